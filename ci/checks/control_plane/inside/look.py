"""What there is of a canary at one moment, as the API server has it; pure but for `Seen.now`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci.checks.control_plane.inside.api import Api, Document

ROLLOUTS = "/apis/argoproj.io/v1alpha1/rollouts"
RUNS = "/apis/argoproj.io/v1alpha1/analysisruns"
VIRTUAL_SERVICES = "/apis/networking.istio.io/v1/virtualservices"
STOPPED = ("Failed", "Error", "Inconclusive")
"""Phases of an analysis that stops a canary."""


@dataclass(frozen=True)
class Seen:
    """What there is at one moment.

    Attributes:
        rollouts: By namespace and name.
        virtual_services: Likewise.
        runs: AnalysisRuns, by the uid of their Rollout.
    """

    rollouts: Mapping[tuple[str, str], Document]
    virtual_services: Mapping[tuple[str, str], Document]
    runs: Mapping[str, Sequence[Document]]

    @classmethod
    def now(cls, api: Api) -> "Seen":
        """Ask for it.

        Args:
            api: The API server.
        """
        rollouts, services = ({_key(each): each for each in api.items(path)} for path in (ROLLOUTS, VIRTUAL_SERVICES))
        runs: dict[str, list[Document]] = {}
        for each in api.items(RUNS):
            for owner in each["metadata"].get("ownerReferences") or ():
                runs.setdefault(owner["uid"], []).append(each)
        return cls(rollouts, services, runs)

    def of(self, rollout: Document) -> "Look":
        """Return what there is of a Rollout.

        Args:
            rollout: It, or a copy of it.
        """
        now = self.rollouts[_key(rollout)]
        canary = now["spec"]["strategy"]["canary"]
        istio = (canary.get("trafficRouting") or {}).get("istio") or {}
        names = [each["name"] for each in (istio.get("virtualService"), *istio.get("virtualServices", ())) if each]
        service = self.virtual_services.get((_key(rollout)[0], names[0])) if names else None
        weight = _weight(service, str(canary.get("canaryService"))) if service else None
        return Look(now, weight, self.runs.get(now["metadata"]["uid"], ()))


@dataclass(frozen=True)
class Look:
    """What there is of one Rollout at one moment.

    Attributes:
        rollout: The Rollout.
        weight: The canary's, in percent, as its VirtualService has it; None where it has none.
        runs: AnalysisRuns of the Rollout.
    """

    rollout: Document
    weight: int | None = None
    runs: Sequence[Document] = ()

    @property
    def status(self) -> Mapping[str, Any]:
        """The Rollout's."""
        found: Mapping[str, Any] = self.rollout.get("status", {})
        return found

    @property
    def revision(self) -> str:
        """Pod-template hash of the version that is rolled out."""
        return str(self.status.get("currentPodHash", ""))

    @property
    def step(self) -> int:
        """Index of the step that is under way."""
        return int(self.status.get("currentStepIndex") or 0)

    @property
    def pauses(self) -> set[str]:
        """Why it waits."""
        return {each["reason"] for each in self.status.get("pauseConditions") or ()}

    @property
    def is_stable(self) -> bool:
        """Whether the version is all there is, and gets all requests."""
        return (
            self.status.get("phase") == "Healthy" and self.revision == self.status.get("stableRS") and not self.weight
        )

    @property
    def is_aborted(self) -> bool:
        """Whether the version was stopped, and gets no requests any more."""
        return self.status.get("phase") == "Degraded" and bool(self.status.get("abort")) and not self.weight

    @property
    def is_held(self) -> bool:
        """Whether an analysis could not tell, so that a person has to."""
        return "InconclusiveAnalysisRun" in self.pauses

    @property
    def own_runs(self) -> list[Document]:
        """AnalysisRuns of the version that is rolled out."""
        label = "rollouts-pod-template-hash"
        return [each for each in self.runs if each["metadata"].get("labels", {}).get(label) == self.revision]

    @property
    def is_paused(self) -> bool:
        """Whether it waits at a step that is a pause."""
        return "CanaryPauseStep" in self.pauses

    @property
    def measured(self) -> Iterator[tuple[Document, Document, Document]]:
        """The metrics of its analyses: AnalysisRun, metric, and what came of it, empty where nothing has yet."""
        for run in self.own_runs:
            results = {each["name"]: each for each in run.get("status", {}).get("metricResults") or ()}
            for metric in run["spec"]["metrics"]:
                yield run, metric, results.get(metric["name"], {})

    @property
    def culprits(self) -> Iterator[tuple[Document, Document]]:
        """The metrics that stop the version, or would have: AnalysisRun, and what came of it."""
        for run, _, result in self.measured:
            if result.get("phase") in STOPPED and not result.get("dryRun"):
                yield run, result

    @property
    def progress(self) -> object:
        """What differs from look to look while it goes on: what the background measures, where that is waited for."""
        counts = [
            (result.get("count"), result.get("error"))
            for run, _, result in self.measured
            if self.is_paused or step_of(run) is not None
        ]
        return self.revision, self.step, self.status.get("phase"), sorted(self.pauses), self.weight, counts


def step_of(run: Document) -> int | None:
    """Return the index of the step that an AnalysisRun is; None for one that measures in the background.

    Args:
        run: It.
    """
    index = run["metadata"].get("labels", {}).get("step-index")
    return None if index is None else int(index)


def _key(document: Document) -> tuple[str, str]:
    return document["metadata"]["namespace"], document["metadata"]["name"]


def _weight(virtual_service: Document, host: str) -> int | None:
    """Return the percentage of requests that a Service gets by a VirtualService; None where no route names it."""
    for route in virtual_service["spec"].get("http") or ():
        for each in route.get("route") or ():
            if each["destination"]["host"].partition(".")[0] == host:
                return int(each.get("weight", 0))
    return None
