"""Canaries for the tests of ci/canary, made by hand or rendered."""

from dataclasses import replace

from ci.base import paths
from ci.base.paths import DEFAULTS
from ci.canary.plan import Metric, Plan, Step, read
from ci.checks.chart import objects
from ci.manifests.chart import Chart, Rendering
from tests.unit.conftest import find_tool

SOURCE = Chart(paths.ROOT, str(paths.CHART.relative_to(paths.ROOT)), "v1.37.0")
SERIES = 'inference_request_total{revision="${Latest}"}'


def metric(name="success-rate", **changes):
    """A metric as the chart has them: good from 0.99 on, bad below, neither without a result."""
    default = Metric(
        name,
        f"sum(rate({SERIES}[60s]))",
        "len(result) > 0 && !isNaN(result[0]) && result[0] >= 0.99",
        "len(result) > 0 && !isNaN(result[0]) && !(result[0] >= 0.99)",
        interval=10,
        initial_delay=0,
        count=None,
        failure_limit=1,
        inconclusive_limit=2,
        error_limit=2,
        success_limit=0,
    )
    return replace(default, **changes)


def plan(*metrics, gate=(), pauses=(60, 60), weights=(20, 50), **changes):
    """A canary of these weights, judged from its first step on."""
    steps = [step for weight, pause in zip(weights, pauses, strict=True) for step in (Step(weight), Step(pause=pause))]
    if gate:
        steps.append(Step(metrics=gate))
    default = Plan("dev", "ml-serving", "sklearn-iris", "sklearn-iris-predictor", 15.0, steps, metrics, 1)
    return replace(default, **changes)


def rendered(chart, values=None, environment=DEFAULTS):
    """What the chart makes of an environment's values and more of them."""
    result = chart.template(values, env=None if environment == DEFAULTS else environment)
    assert result.returncode == 0, result.stderr
    return objects(SOURCE, Rendering(environment, result.stdout))


def rendered_plan(chart, values=None, environment=DEFAULTS):
    found = read(environment, rendered(chart, values, environment))
    assert found is not None
    return found


def executables():
    return find_tool("prometheus"), find_tool("promtool")
