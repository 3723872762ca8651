"""Diagnostics name the likely culprit."""

from ci.cluster import diagnostics


def pod(*statuses, phase="Running", conditions=(), name="web-0"):
    return {
        "kind": "Pod",
        "metadata": {"namespace": "apps", "name": name},
        "status": {"phase": phase, "conditions": list(conditions), "containerStatuses": list(statuses)},
    }


def container(state, *, last=None, restarts=0, ready=False):
    return {
        "name": "app",
        "state": state,
        "lastState": {"terminated": last} if last else {},
        "restartCount": restarts,
        "ready": ready,
    }


def test_an_image_that_cannot_be_pulled():
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "manifest\n unknown"}}
    assert diagnostics.culprits({"pods": [pod(container(waiting), phase="Pending")]}, {}) == [
        "pod apps/web-0, container app: ImagePullBackOff: manifest unknown"
    ]


def test_a_deployment_is_not_blamed_for_what_its_pod_tells():
    deployment = {
        "kind": "Deployment",
        "metadata": {"namespace": "apps", "name": "web"},
        "spec": {"replicas": 1},
        "status": {},
    }
    waiting = {"waiting": {"reason": "ErrImagePull", "message": "not found"}}
    broken = {"pods": [pod(container(waiting), phase="Pending")], "deployments": [deployment]}
    assert diagnostics.culprits(broken, {}) == ["pod apps/web-0, container app: ErrImagePull: not found"]
    assert diagnostics.culprits({"deployments": [deployment]}, {}) == ["Deployment apps/web: 0 of 1 replicas ready"]


def test_a_crash_loop_shows_the_last_words():
    crashing = container({"waiting": {"reason": "CrashLoopBackOff"}}, last={"exitCode": 2}, restarts=3)
    assert diagnostics.culprits({"pods": [pod(crashing)]}, {("apps", "web-0", "app"): "flag not defined: -x"}) == [
        "pod apps/web-0, container app: ended with exit code 2, restarted 3 times: flag not defined: -x"
    ]


def test_out_of_memory():
    killed = container({"running": {}}, last={"exitCode": 137, "reason": "OOMKilled"}, restarts=1)
    assert diagnostics.culprits({"pods": [pod(killed)]}, {}) == [
        "pod apps/web-0, container app: OOMKilled, restarted 1 time"
    ]


def test_a_pod_that_fits_nowhere():
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient cpu"}
    assert diagnostics.culprits({"pods": [pod(phase="Pending", conditions=[condition])]}, {}) == [
        "pod apps/web-0: Unschedulable: Insufficient cpu"
    ]


def test_a_webhook_that_refuses_is_named_once():
    event = {
        "type": "Warning",
        "message": 'failed calling webhook "x": connection refused',
        "involvedObject": {"kind": "ReplicaSet", "namespace": "apps", "name": "web"},
    }
    assert diagnostics.culprits({"events": [event, event]}, {}) == [
        'ReplicaSet apps/web: failed calling webhook "x": connection refused'
    ]


def test_a_degraded_rollout_says_why():
    rollout = {
        "kind": "Rollout",
        "metadata": {"namespace": "apps", "name": "web"},
        "status": {"phase": "Degraded", "message": "aborted by analysis"},
    }
    assert diagnostics.culprits({"rollouts.argoproj.io": [rollout]}, {}) == [
        "Rollout apps/web: Degraded; aborted by analysis"
    ]


def test_what_is_in_order_is_not_mentioned():
    ready = [{"type": "Ready", "status": "True"}]
    restarted = container({"running": {}}, last={"exitCode": 1}, restarts=1, ready=True)
    node = {"kind": "Node", "metadata": {"name": "n"}, "status": {"conditions": ready}}
    objects = {
        "nodes": [node],
        "pods": [pod(restarted, conditions=ready), pod(phase="Succeeded", name="job")],
        "deployments": [
            {
                "kind": "Deployment",
                "metadata": {"namespace": "apps", "name": "idle"},
                "spec": {"replicas": 0},
                "status": {},
            }
        ],
    }
    assert diagnostics.culprits(objects, {}) == []
