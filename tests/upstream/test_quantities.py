"""The chart compares quantities as Kubernetes does, by whose own code they are compared here."""

import itertools
from pathlib import Path

import pytest

from tests.harness import upstream
from tests.unit.conftest import Chart, find_tool

UNITS = ("", *"numkMGTPE", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
QUANTITIES = [
    *(f"1{unit}" for unit in UNITS),
    *(f"1.024{unit}" for unit in ("k", "M", "G", "T")),
    *("0", "00.0", ".1", "100m", "0.1", "1.", "1e3", "1E3", "1000e-3", "1e-9", "999m", "1001m", "1073741824", "1024Mi"),
]


@pytest.fixture(scope="module")
def chart():
    return Chart(find_tool("helm"))


@pytest.fixture(scope="module")
def pairs():
    """Each two quantities, by what Kubernetes' code says of them: -1, 0, 1."""
    ask = upstream.built(Path(__file__).with_name("quantities.go"), "argo-rollouts")
    found = {-1: [], 0: [], 1: []}
    asked = list(itertools.product(QUANTITIES, repeat=2))
    for pair, order in zip(asked, ask(asked), strict=True):
        found[order].append(pair)
    return found


def resources(pairs):
    """A request and its limit for each pair, of resources that may be promised twice."""
    named = {f"kubernetes.io/r{number}": pair for number, pair in enumerate(pairs)}
    requests, limits = ({name: pair[side] for name, pair in named.items()} for side in (0, 1))
    return {"exampleModel": {"resources": {"requests": requests, "limits": limits}}}


@pytest.mark.parametrize("order", [-1, 0])
def test_a_request_is_taken_where_kubernetes_takes_it(chart, pairs, order):
    chart.render(resources(pairs[order]))


def test_a_request_is_refused_where_kubernetes_refuses_it(chart, pairs):
    for pair in pairs[1][::25]:  # helm runs for each of them
        assert ") is above exampleModel.resources.limits" in chart.refusal(resources([pair]))
