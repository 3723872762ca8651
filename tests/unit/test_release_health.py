"""What Argo CD and Argo Rollouts say decides what moves on and what goes back."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import anyio
import pytest
import yaml

from ci.base.errors import UsageError, WaitTimeoutError
from ci.release import aborted, health
from ci.release.health import Health, NotProvenError, settled
from ci.release.promote import require_proven
from ci.tree import tree
from ci.tree.render import values
from tests.harness import remote

DIGEST = "sha256:" + "a" * 64
NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


def application(environment="dev"):
    return remote.application(environment)


def argo(pinned="", **changes):
    """An Argo CD Application that runs what dev's file says, healthy since half an hour."""
    status = {
        "sync": {"status": "Synced", "revision": "a" * 40},
        "health": {"status": "Healthy", "lastTransitionTime": "2026-11-25T11:30:00Z"},
        "history": [{"deployedAt": "2026-11-25T11:29:00Z"}],
    }
    model = values(application())["exampleModel"]
    helm = {"values": yaml.safe_dump({"exampleModel": {**model, **({"digest": pinned} if pinned else {})}})}
    return {"spec": {"source": {"helm": helm}}, "status": {**status, **changes}}


def pod(ready="True", deleted=None, pinned="", **changes):
    """A pod of the model's, as the API server has it."""
    model = {**values(application())["exampleModel"], **changes}
    metadata = {"annotations": {health.SOURCE_URI: model["storageUri"]}}
    if deleted is not None:
        metadata["deletionTimestamp"] = deleted
    command = ["python3", "-c", "compare", pinned, "python"] if pinned else []
    server = {"name": "kserve-container", "image": model["image"], "command": command}
    containers = [server, {"name": "istio-proxy", "image": "proxy"}]
    status = {"conditions": [{"type": "Ready", "status": ready}]}
    return {"metadata": metadata, "spec": {"containers": containers}, "status": status}


def read(*pods, **changes) -> Health:
    return health.read(argo(**changes), pods or [pod()], "Argo CD", NOW)


def test_a_set_that_is_healthy_for_its_soak_time_is_proven():
    line = require_proven(application(), read())

    assert "Synced and Healthy for 1800 s" in line
    assert "pods that run it: 1" in line
    assert "asks for 600 s" in line


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sync": {"status": "OutOfSync"}}, "OutOfSync and Healthy"),
        ({"health": {"status": "Degraded", "message": "RolloutAborted"}}, r"Degraded \(RolloutAborted\)"),
        ({"health": {"status": "Healthy", "lastTransitionTime": "2026-11-25T11:59:00Z"}}, "healthy for 60 s"),
        ({"history": [{"deployedAt": "2026-11-25T11:55:00Z"}]}, "healthy for 300 s"),
        ({"health": {}, "history": []}, "Unknown"),
        ({"health": {"status": "Healthy"}, "history": []}, "healthy for 0 s"),
    ],
    ids=["not synced", "degraded", "healthy too short", "deployed too lately", "unknown", "since nobody knows when"],
)
def test_anything_less_is_not(changes, said):
    with pytest.raises(NotProvenError, match=said):
        require_proven(application(), read(**changes))


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        ([pod(ready="False")], "has no ready pod"),
        ([pod(), pod(storageUri="s3://models/older")], "still answers with s3://models/older"),
        ([pod(image="older:1")], "still answers with .* on older:1"),
    ],
    ids=["none is ready", "an older model", "an older image"],
)
def test_what_argo_cd_deployed_and_no_pod_runs_is_not_proven(pods, said):
    with pytest.raises(NotProvenError, match=said):
        require_proven(application(), read(*pods))


def test_pods_that_compared_their_model_with_another_digest_prove_nothing():
    pinned = application().with_release({tree.MODEL_DIGEST: DIGEST})
    deployed = argo(pinned=DIGEST)

    require_proven(pinned, health.read(deployed, [pod(pinned=DIGEST)], "Argo CD", NOW))
    for other in (pod(), pod(pinned=DIGEST.replace("a", "b"))):
        with pytest.raises(NotProvenError, match="still answers"):
            require_proven(pinned, health.read(deployed, [other], "Argo CD", NOW))
    with pytest.raises(NotProvenError, match="not what gitops/dev"):
        require_proven(pinned, read())


def test_a_pod_on_its_way_in_or_out_does_not_count():
    older = {"storageUri": "s3://models/older"}
    require_proven(
        application(), read(pod(), pod(ready="False", **older), pod(deleted="2026-11-25T12:00:00Z", **older))
    )


def test_a_set_that_is_not_yet_deployed_is_not_proven_by_the_one_that_is():
    other = argo()
    other["spec"]["source"]["helm"]["values"] = "exampleModel: {storageUri: s3://models/older, image: x}"

    with pytest.raises(NotProvenError, match="s3://models/older"):
        require_proven(application(), health.read(other, [pod()], "Argo CD", NOW))


@pytest.mark.parametrize("key", ["namespace: ml-serving", "promotion: {soak: 10m}"])
def test_a_file_in_the_old_form_is_told_the_way_out(key):
    content = application("dev").content + key.encode()

    with pytest.raises(
        UsageError, match=rf"gitops/dev/sklearn-iris.yaml:\d+: {key.partition(':')[0]}: stands in"
    ) as told:
        remote.application("dev", content)
    assert told.value.fix == "python ci/main.py migrate"


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_an_application_says_all_that_the_commands_need(environment):
    found = application(environment)

    assert set(found.release) == set(tree.KEYS)
    without = replace(found, content=re.sub(rb"(model:\n(?:  .*\n)*?)  digest: .*\n", rb"\1", found.content))
    assert without.content != found.content
    assert without.release == {**found.release, tree.MODEL_DIGEST: ""}, "a file may do without model.digest"
    assert found.namespace.startswith("ml-serving")
    assert found.soak > 0
    assert found.release[("model", "version")] in found.release[("model", "storageUri")].split("/")


def run_of(*metrics):
    return {"metadata": {"name": "iris-1"}, "status": {"metricResults": list(metrics)}}


def test_what_an_analysis_measured_is_told_for_each_metric_that_was_not_good():
    lines = aborted.measured(
        run_of(
            {"name": "success-rate", "phase": "Successful", "successful": 3, "measurements": [{"value": "[1]"}]},
            {
                "name": "known-answer",
                "phase": "Failed",
                "failed": 1,
                "measurements": [{"value": "[2]", "phase": "Failed"}],
            },
            {
                "name": "latency-p95",
                "phase": "Error",
                "error": 2,
                "measurements": [{"message": "no route", "phase": "Error"}],
            },
        )
    )

    assert lines == [
        "known-answer: Failed: [2] (Failed); 1 failed; AnalysisRun iris-1",
        "latency-p95: Error: no route (Error); 2 error; AnalysisRun iris-1",
    ]


def test_a_wait_ends_when_argo_cd_runs_what_git_says(monkeypatch):
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.01)
    young = "2026-11-25T11:59:59Z"
    looks = [
        read(pod(storageUri="s3://models/older")),
        read(health={"status": "Progressing"}),
        read(health={"status": "Healthy", "lastTransitionTime": young}),
    ]

    async def look(application):
        return looks.pop(0)

    seen = anyio.run(settled, application(), look, 30.0)

    assert seen.seconds == 1.0, "how long it is so does not matter"
    assert looks == []


def test_a_wait_that_ends_says_what_it_saw(monkeypatch):
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.01)

    async def look(application):
        return read(health={"status": "Degraded", "message": "canary aborted"})

    with pytest.raises(WaitTimeoutError, match=r"Synced and Degraded \(canary aborted\)"):
        anyio.run(settled, application(), look, 0.1)
