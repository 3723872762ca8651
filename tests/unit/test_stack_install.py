"""The order in which components come up."""

import json

import anyio
import anyio.lowlevel
import pytest

from ci.base.command import Result
from ci.base.errors import CheckFailedError, MachineError
from ci.stack import install
from ci.stack.component import Component, StackContext


class Cluster:
    """Answers the one call that tells which API groups are served; anything else is a mistake in the code tested."""

    def __init__(self, *groups):
        self.groups = groups

    async def run(self, *args):
        assert args == ("get", "--raw=/apis")
        return Result(args, 0, json.dumps({"groups": [{"name": group} for group in self.groups]}), "", 0.0)


class Recorder:
    """Components that write down what is done with them."""

    def __init__(self):
        self.log = []

    def component(self, name, *needs, found=None, fails=False):
        async def find(_context):
            self.log.append(f"find {name}")
            return found

        async def apply(_context):
            await anyio.lowlevel.checkpoint()
            if fails:
                raise CheckFailedError(f"{name} broke")
            self.log.append(f"install {name}")

        async def ready(_context):
            await anyio.lowlevel.checkpoint()
            self.log.append(f"ready {name}")

        return Component(name, f"{name}.io", needs, find, apply, ready)


def bring_up(monkeypatch, cluster, *components, **options):
    monkeypatch.setattr(install, "STACK", list(components))
    context = StackContext(kubectl=cluster, helm=None, supply=None)
    return anyio.run(lambda: install.install(context, **options))


def test_every_need_is_a_component_that_stands_before():
    seen = set()
    for component in install.STACK:
        assert set(component.needs) <= {c.name for c in install.STACK}
        assert component.name not in seen
        assert set(component.needs) <= seen
        seen.add(component.name)


def test_only_the_components_that_are_asked_for_come_up(monkeypatch):
    # Given
    record = Recorder()
    monkeypatch.setattr(install, "STACK", [record.component("mesh")])
    context = StackContext(kubectl=Cluster(), helm=None, supply=None)

    # When
    outcome = anyio.run(install.install, context, [record.component("gitops")])

    # Then
    assert outcome == {"gitops": "installed"}
    assert record.log == ["install gitops", "ready gitops"]


def test_a_component_waits_for_what_it_needs(monkeypatch):
    record = Recorder()
    bring_up(monkeypatch, Cluster(), record.component("late", "early"), record.component("early"))
    assert record.log.index("install early") < record.log.index("install late")
    assert set(record.log) == {"install early", "install late", "ready early", "ready late"}


def test_what_somebody_else_installed_is_only_waited_for(monkeypatch):
    record = Recorder()
    foreign = record.component("mesh", found={"metadata": {"name": "mesh", "labels": {"heritage": "Helm"}}})
    outcome = bring_up(monkeypatch, Cluster("mesh.io"), foreign, record.component("metrics"))
    assert outcome == {"mesh": "found", "metrics": "installed"}
    assert "install mesh" not in record.log
    assert "ready mesh" in record.log


def test_our_own_work_is_applied_again(monkeypatch):
    record = Recorder()
    ours = {"metadata": {"name": "mesh", "labels": {"app.kubernetes.io/managed-by": "ml-serving-ci"}}}
    outcome = bring_up(monkeypatch, Cluster("mesh.io"), record.component("mesh", found=ours))
    assert outcome == {"mesh": "installed"}
    assert "install mesh" in record.log


def test_nothing_is_touched_when_installing_is_not_allowed(monkeypatch):
    record = Recorder()
    with pytest.raises(MachineError, match="metrics, mesh"):
        bring_up(monkeypatch, Cluster(), record.component("metrics"), record.component("mesh"), allowed=False)
    assert record.log == []


def test_the_failure_of_a_component_is_the_error_and_stops_the_others(monkeypatch):
    record = Recorder()
    with pytest.raises(CheckFailedError, match="mesh broke"):
        bring_up(monkeypatch, Cluster(), record.component("mesh", fails=True), record.component("late", "mesh"))
    assert "install late" not in record.log
