"""An aborted Rollout, with what its analyses measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci.cluster.kubectl import Kubectl
from ci.release import health
from ci.tree.tree import Application

MEASUREMENTS = 3
"""Of each metric that failed, the last ones are told."""


@dataclass(frozen=True)
class Abort:
    """One abort.

    Attributes:
        rollout: NAMESPACE/NAME.
        revision: Pod-template hash of the canary that was stopped.
        reason: In Argo Rollouts' own words.
        measurements: A line for each metric that was not good.
    """

    rollout: str
    revision: str
    reason: str
    measurements: Sequence[str]


async def look(kubectl: Kubectl, application: Application) -> Abort | None:
    """Return the abort of the very set that the tree wants, or None where that set is not aborted.

    What was aborted is what the canary's ReplicaSet runs. The InferenceService and the Deployment tell what comes next:
    after a revert they have the former set again while the Rollout still shows the abort of the other.

    Args:
        kubectl: On the environment's cluster.
        application: As the tree has it.
    """
    predictor = f"{application.name}-predictor"
    rollout = await kubectl.get("rollouts.argoproj.io", predictor, application.namespace)
    if rollout is None or not rollout.get("status", {}).get("abort"):
        return None
    revision = rollout["status"].get("currentPodHash", "")
    selector = f"rollouts-pod-template-hash={revision}"
    canaries = await kubectl.get_list("replicasets.apps", application.namespace, selector)
    if health.wanted(application.release) not in [health.runs(canary["spec"]["template"]) for canary in canaries]:
        return None
    runs = await kubectl.get_list("analysisruns.argoproj.io", application.namespace, selector)
    return Abort(
        f"{application.namespace}/{predictor}",
        revision,
        rollout["status"].get("message", "aborted"),
        [line for run in runs for line in measured(run)],
    )


def measured(run: Mapping[str, Any]) -> list[str]:
    """Return a line for each metric of an AnalysisRun that is not good, with its last values."""
    lines = []
    for metric in run.get("status", {}).get("metricResults", []):
        if metric["phase"] in ("Successful", "Running"):
            continue
        last = metric.get("measurements", [])[-MEASUREMENTS:]
        told = [f"{item.get('value') or item.get('message') or 'no value'} ({item['phase']})" for item in last]
        counts = ", ".join(
            f"{metric[word]} {word}" for word in ("successful", "failed", "inconclusive", "error") if metric.get(word)
        )
        lines.append(
            f"{metric['name']}: {metric['phase']}: {', '.join(told)}; {counts}; AnalysisRun {run['metadata']['name']}"
        )
    return lines
