"""Upstream's manifests, read once for all clusters."""

from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from ci.base import paths
from ci.stack import manifests
from ci.stack.component import StackContext
from ci.supply import pins
from ci.supply.supply import Supply

CHART = Path("/modules/mesh@v1/charts/mesh")
MESH = "kind: Mesh\nmetadata: {name: mesh}\nspec: {on: yes, port: 80, since: 2026-01-01}\n"
READ = [{"kind": "Mesh", "metadata": {"name": "mesh"}, "spec": {"true": True, "port": 80, "since": "2026-01-01"}}]
"""As Kubernetes does."""


class Helm:
    """Counts how often it renders."""

    def __init__(self, text=MESH):
        self.text = text
        self.renders = 0

    async def template(self, _release, _chart, _namespace, *, values):
        self.renders += 1
        return self.text


@pytest.fixture
def supply(tmp_path):
    return Supply("source", tmp_path / "cache")


def render(helm, supply, values=None, chart=CHART):
    context = StackContext(kubectl=None, helm=helm, supply=supply)
    return anyio.run(lambda: manifests.from_chart(context, "mesh", chart, "mesh-system", values))


def test_a_chart_is_rendered_once(supply):
    helm = Helm()
    assert render(helm, supply) == READ
    assert render(helm, supply) == READ
    assert helm.renders == 1


def test_what_is_read_from_the_cache_is_the_caller_s_own(supply):
    helm = Helm()
    render(helm, supply)[0]["spec"]["port"] = 81
    assert render(helm, supply) == READ


@pytest.mark.parametrize("change", [{"values": {"port": 81}}, {"chart": CHART.parent / "other"}])
def test_other_values_and_another_chart_are_rendered(supply, change):
    helm = Helm()
    render(helm, supply)
    render(helm, supply, **change)
    assert helm.renders == 2


def test_other_pins_are_rendered(supply, monkeypatch, tmp_path):
    helm = Helm()
    render(helm, supply)
    raised = tmp_path / "pins.toml"
    raised.write_text("[tools.helm]\n")
    monkeypatch.setattr(pins, "FILE", raised)
    render(helm, supply)
    assert helm.renders == 2


def test_what_is_not_itself_any_more_is_rendered_again(supply):
    helm = Helm()
    render(helm, supply)
    (kept,) = (supply.cache / manifests.READ).glob("*.json")
    kept.write_text("[]")
    assert render(helm, supply) == READ
    assert helm.renders == 2


def test_with_a_read_only_cache_it_is_rendered_each_time(supply, monkeypatch):
    monkeypatch.setattr(paths, "writable", lambda _folder: False)
    helm = Helm()
    assert render(helm, supply) == render(helm, supply) == READ
    assert helm.renders == 2
    assert not (supply.cache / manifests.READ).exists()


def test_files_are_read_as_one(supply, tmp_path):
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(MESH)
    other.write_text("kind: Role\nmetadata: {name: mesh}\n")
    context = StackContext(kubectl=None, helm=SimpleNamespace(), supply=supply)
    found = anyio.run(manifests.from_files, context, one, other)
    assert [document["kind"] for document in found] == ["Mesh", "Role"]
