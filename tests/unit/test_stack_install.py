"""The order in which components come up."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace

import anyio
import anyio.lowlevel
import pytest

from ci.base import paths
from ci.base.command import Result
from ci.base.errors import CheckFailedError, MachineError
from ci.project import Prometheus
from ci.stack import certificates, install
from ci.stack import record as records
from ci.stack.component import Component, StackContext

OURS = {"app.kubernetes.io/managed-by": "ml-serving-ci"}


class Cluster:
    """Tells which API groups are served, and keeps annotations; anything else is a mistake in the code tested."""

    def __init__(self, *groups):
        self.groups = groups
        self.objects = {}

    async def run(self, *args, stdin=None):
        if args == ("get", "--raw=/apis"):
            return Result(args, 0, json.dumps({"groups": [{"name": group} for group in self.groups]}), "", 0.0)
        verb, *options, change = args
        assert (verb, options) == ("annotate", ["--overwrite", "--filename=-"])
        key, is_set, value = change.partition("=")
        for item in json.loads(stdin)["items"]:
            annotations = self.objects[item["metadata"]["name"]]["metadata"].setdefault("annotations", {})
            if is_set:
                annotations[key] = value
            else:
                del annotations[key.removesuffix("-")]
        return Result(args, 0, "", "", 0.0)

    def have(self, name):
        """Have the object by which a component of ours is known."""
        document = {"apiVersion": "v1", "kind": "Mesh", "metadata": {"name": name, "labels": dict(OURS)}}
        return self.objects.setdefault(name, document)


class Recorder:
    """Components that write down what is done with them; with a cluster, they are there once applied."""

    def __init__(self, cluster=None):
        self.log = []
        self.cluster = cluster

    def component(self, name, *needs, found=None, fails=False, answers=True):
        async def find(_context):
            self.log.append(f"find {name}")
            return self.cluster.objects.get(name) if self.cluster is not None else found

        async def apply(_context):
            await anyio.lowlevel.checkpoint()
            if fails:
                raise CheckFailedError(f"{name} broke")
            self.log.append(f"install {name}")
            if self.cluster is not None:
                self.log.append(f"recorded: {self.cluster.have(name)['metadata'].get('annotations', {})}")

        async def ready(_context):
            await anyio.lowlevel.checkpoint()
            if not answers:
                raise CheckFailedError(f"{name} does not answer")
            self.log.append(f"ready {name}")

        return Component(name, f"{name}.io", needs, find, apply, ready)


def context(cluster, **options):
    return StackContext(kubectl=cluster, helm=None, supply=SimpleNamespace(way="source"), **options)


def bring_up(monkeypatch, cluster, *components, **options):
    monkeypatch.setattr(install, "STACK", list(components))
    return anyio.run(lambda: install.install(context(cluster), **options))


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

    # When
    outcome = anyio.run(install.install, context(Cluster()), [record.component("gitops")])

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


def test_our_own_work_without_a_record_is_applied_again(monkeypatch):
    record = Recorder()
    ours = {"metadata": {"name": "mesh", "labels": OURS}}
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


@pytest.fixture
def cluster():
    """A cluster that outlives a run, and serves the API of every component of these tests."""
    return Cluster("mesh.io", "metrics.io")


def test_what_was_applied_from_the_same_input_and_answered_is_not_applied_again(monkeypatch, cluster):
    record = Recorder(cluster)
    components = record.component("mesh"), record.component("metrics")
    assert bring_up(monkeypatch, cluster, *components, lasting=True) == dict.fromkeys(("mesh", "metrics"), "installed")
    record.log.clear()

    assert bring_up(monkeypatch, cluster, *components, lasting=True) == dict.fromkeys(("mesh", "metrics"), "found")
    assert {"ready mesh", "ready metrics"} <= set(record.log)
    assert not [line for line in record.log if line.startswith("install")]


def test_what_is_gone_from_the_cluster_is_applied_again_alone(monkeypatch, cluster):
    record = Recorder(cluster)
    components = record.component("mesh"), record.component("metrics")
    bring_up(monkeypatch, cluster, *components, lasting=True)
    del cluster.objects["metrics"]

    outcome = bring_up(monkeypatch, cluster, *components, lasting=True)
    assert outcome == {"mesh": "found", "metrics": "installed"}
    assert bring_up(monkeypatch, cluster, *components, lasting=True)["metrics"] == "found"


def test_another_input_is_applied_and_the_record_of_the_old_one_goes_before(monkeypatch, cluster):
    record = Recorder(cluster)
    bring_up(monkeypatch, cluster, record.component("mesh"), lasting=True)
    record.log.clear()
    monkeypatch.setattr(records, "key", lambda *_: "another")

    assert bring_up(monkeypatch, cluster, record.component("mesh"), lasting=True) == {"mesh": "installed"}
    assert "recorded: {}" in record.log
    assert bring_up(monkeypatch, cluster, record.component("mesh"), lasting=True) == {"mesh": "found"}


def test_what_did_not_answer_is_not_recorded(monkeypatch, cluster):
    record = Recorder(cluster)
    with pytest.raises(CheckFailedError, match="does not answer"):
        bring_up(monkeypatch, cluster, record.component("mesh", answers=False), lasting=True)
    assert bring_up(monkeypatch, cluster, record.component("mesh"), lasting=True) == {"mesh": "installed"}


def test_what_answers_no_more_is_applied_again_by_the_next_run(monkeypatch, cluster):
    record = Recorder(cluster)
    bring_up(monkeypatch, cluster, record.component("mesh"), lasting=True)
    with pytest.raises(CheckFailedError, match="does not answer"):
        bring_up(monkeypatch, cluster, record.component("mesh", answers=False), lasting=True)
    assert bring_up(monkeypatch, cluster, record.component("mesh"), lasting=True) == {"mesh": "installed"}


def test_a_throw_away_cluster_gets_no_record(monkeypatch, cluster):
    record = Recorder(cluster)
    bring_up(monkeypatch, cluster, record.component("mesh"))
    assert "annotations" not in cluster.objects["mesh"]["metadata"]


def test_a_record_on_what_is_not_ours_counts_for_nothing():
    known_by = {"metadata": {"name": "mesh", "annotations": {records.ANNOTATION: "key"}}}
    assert not records.holds(known_by, "key")


def key(of):
    return records.key(of.supply.way, of.prometheus, of.argocd)


def test_the_key_is_another_for_other_code_other_pins_and_another_prometheus(monkeypatch, tmp_path):
    code = tmp_path / "ci" / "stack" / "istio.py"
    code.parent.mkdir(parents=True)
    code.write_text("TAG = 1")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    here = context(None)
    first = key(here)

    assert key(context(None)) == first
    assert key(context(None, prometheus=Prometheus(namespace="elsewhere"))) != first
    assert key(StackContext(None, None, SimpleNamespace(way="upstream"))) != first
    code.write_text("TAG = 2")
    assert key(here) != first


def test_a_record_holds_for_less_time_than_a_certificate_is_renewed_ahead_of_its_end(monkeypatch):
    def on(day):
        monkeypatch.setattr(records, "datetime", SimpleNamespace(now=lambda _zone: day))
        return key(context(None))

    day = datetime(2026, 12, 28, tzinfo=UTC)
    assert on(day) != on(day + certificates.RENEW_BEFORE / 2)
