"""What an application serves: the set that is stable, and the canary that is under way or was aborted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ci.cluster.kubectl import Kubectl
from ci.release import health
from ci.release.health import Pod
from ci.tree.tree import Application


@dataclass(frozen=True)
class Serving:
    """One look at a Rollout, or at Argo CD where there is none.

    Attributes:
        source: What was looked at.
        stable: What the pods of its stable ReplicaSet run; None where there is none yet.
        settled: Whether the stable ReplicaSet is what it was asked for last: no canary, and none that was aborted.
        aborted: Whether the canary was aborted.
        weight: Percent of the requests that the canary gets.
        step: Steps of the canary that are done.
        steps: All of them.
        message: What Argo Rollouts adds.
    """

    source: str
    stable: Pod | None
    settled: bool
    aborted: bool = False
    weight: int = 0
    step: int = 0
    steps: int = 0
    message: str = ""

    @property
    def text(self) -> str:
        """The canary in a few words; empty where there is none."""
        if self.aborted:
            return f"aborted{f': {self.message}' if self.message else ''}"
        if self.settled:
            return ""
        return f"{self.weight} %, step {self.step} of {self.steps}"


async def look(kubectl: Kubectl, application: Application) -> Serving | None:
    """Return what an application's Rollout serves; None where it has none.

    Args:
        kubectl: On the environment's cluster.
        application: Which.
    """
    name = f"{application.name}-predictor"
    rollout = await kubectl.get("rollouts.argoproj.io", name, application.namespace)
    if rollout is None:
        return None
    stable = rollout.get("status", {}).get("stableRS", "")
    selector = f"rollouts-pod-template-hash={stable}"
    sets = await kubectl.get_list("replicasets.apps", application.namespace, selector) if stable else []
    return read(rollout, sets)


async def known(kubectl: Kubectl, application: Application) -> Serving:
    """Return what an application serves, by Argo CD's word where it has no Rollout.

    Args:
        kubectl: On the environment's cluster.
        application: Which.

    Raises:
        CheckFailedError: It has neither.
    """
    if (found := await look(kubectl, application)) is not None:
        return found
    told = await health.from_argo_cd(kubectl, application)
    return Serving(told.source, told.deployed if told.good else None, settled=True)


def read(rollout: Mapping[str, Any], sets: list[dict[str, Any]]) -> Serving:
    """Return what a Rollout's status says.

    Args:
        rollout: The Rollout.
        sets: ReplicaSets of its stable revision, as the API server has them.
    """
    metadata, status = rollout["metadata"], rollout.get("status", {})
    steps = rollout.get("spec", {}).get("strategy", {}).get("canary", {}).get("steps") or []
    weights = status.get("canary", {}).get("weights") or {}
    aborted = bool(status.get("abort"))
    return Serving(
        f"Rollout {metadata['namespace']}/{metadata['name']}",
        next((health.runs(each["spec"]["template"]) for each in sets), None),
        not aborted and status.get("stableRS") == status.get("currentPodHash"),
        aborted,
        (weights.get("canary") or {}).get("weight", 0),
        status.get("currentStepIndex", 0),
        len(steps),
        status.get("message", ""),
    )
