"""The course of a canary: its steps, taken by the controllers themselves, and looked at until they are over.

A first version is deployed; a good one has to become stable, each of its steps having done what it says; a bad one has
to be stopped. No look decides anything that the one before might have decided otherwise: a course is a generator that
is given what there is, again and again.
"""

import http
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ci.checks.control_plane.inside.answers import Moment
from ci.checks.control_plane.inside.api import Api, Document
from ci.checks.control_plane.inside.look import STOPPED, Look, Seen, step_of

CHANGED = "ml-serving-ci/version"
"""Annotation of the pods by which a version differs from the one before."""
PATIENCE_SECONDS, PATIENCE_LOOKS = 30.0, 60
"""How long nothing has to change for a canary that is still under way; by the clock and by looks, as in `apply`."""
SERVICE, COMPONENT = "InferenceService", "component"
"""What KServe makes a Deployment of, and the label by which that says of which part."""
FIRST, GOOD, BAD = "first", "good", "bad"
"""Versions, in their order."""


class DeviationError(Exception):
    """A canary does not go as its steps say.

    Args:
        said: How.
        step: Index of the step that it is about; None where it is about none, or about a metric in the background.
        metric: Name of the metric that it is about.
        late: Whether time alone may change it.
    """

    def __init__(self, said: str, step: int | None = None, *, metric: str = "", late: bool = False) -> None:
        super().__init__(said)
        self.told = {"said": said, "step": step, "metric": metric, "late": late}


@dataclass
class Course:
    """One Rollout's.

    Attributes:
        rollout: Its number among the application's objects.
        document: It as it is played.
        held: Indices of the steps that wait for a person.
        times: Of the series, in Unix time, at each step.
        names: What revisions are called in them: by the version that is rolled out, its own and the stable one's.
        answers: The model's, by version.
        fault: Name of what is wrong with the bad version; empty where there is none to play.
        version: The one that is rolled out.
        stable: Pod-template hash of the one before.
        weights: The canary's at each step at which it is held, as last seen.
        promoted: Steps that wait for a person, and did not have to.
        by: Names of the metrics that stopped the bad version.
    """

    rollout: int
    document: Document
    held: Sequence[int]
    times: Sequence[float]
    names: Mapping[str, Mapping[str, str]]
    answers: Mapping[str, Any]
    fault: str
    version: str = FIRST
    stable: str = ""
    weights: dict[int, int] = field(default_factory=dict)
    promoted: list[int] = field(default_factory=list)
    by: list[str] = field(default_factory=list)

    @property
    def steps(self) -> Sequence[Mapping[str, Any]]:
        """The canary's."""
        return self._canary.get("steps") or ()

    @property
    def _canary(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.document["spec"]["strategy"]["canary"]
        return found

    @property
    def told(self) -> Document:
        """What was seen of it."""
        weights = [weight for _, weight in sorted(self.weights.items())]
        return {"rollout": self.rollout, "weights": weights, "promoted": self.promoted, "by": self.by}

    def play(self, api: Api) -> Generator[None, Seen, None]:
        """Play it to its end.

        Args:
            api: The API server.

        Raises:
            DeviationError: It does not go as its steps say.
        """
        require_taken(api.apply(self.document))
        look = yield from self._ended(api)
        source = _source(api, look.rollout)
        yield from self._changed(api, source, look, GOOD)
        look = yield from self._ended(api)
        if not look.is_stable:
            raise self._deviation("the good version is stopped", look)
        self._require_weights()
        self._require_measured(look)
        if self.fault:
            yield from self._changed(api, source, look, BAD)
            look = yield from self._ended(api)
            if look.is_stable:
                raise DeviationError(f"a version with '{self.fault}' goes through: no analysis stops it")
            self.by = [metric["name"] for _, metric in look.culprits]

    def moment(self, api: Api) -> Moment:
        """Return what its analyses are answered now."""
        status = api.get(api.path(self.document))["status"]
        names = self.names.get(self.version) or {}
        hashes = {"Latest": status.get("currentPodHash"), "Stable": status.get("stableRS")}
        step = min(status.get("currentStepIndex") or 0, len(self.times) - 1)
        return Moment(
            self.times[step],
            {pod_hash: names[role] for role, pod_hash in hashes.items() if pod_hash and role in names},
            self.answers.get(self.version),
        )

    def _changed(
        self, api: Api, source: tuple[str, Sequence[str]], look: Look, version: str
    ) -> Generator[None, Seen, None]:
        """Roll out a version, and wait until Argo Rollouts has taken notice."""
        self.version, self.stable = version, look.revision
        path, way = source
        changes: Document = {CHANGED: version}
        for key in reversed(way):
            changes = {key: changes}
        require_taken(api.merge(path, changes))
        yield from self._until(lambda look: look.revision != self.stable, "a changed pod template starts no canary")

    def _ended(self, api: Api) -> Generator[None, Seen, Look]:
        """Wait until a version is all there is, or is stopped."""

        def ended(look: Look) -> bool:
            self._notice(api, look)
            return look.is_stable or look.is_aborted or look.is_held

        return (yield from self._until(ended, ""))

    def _until(self, ended: Callable[[Look], bool], missing: str) -> Generator[None, Seen, Look]:
        since, looks, before = time.monotonic(), 0, None
        while True:
            look = (yield).of(self.document)
            if ended(look):
                return look
            looks += 1
            if look.progress != before:
                since, looks, before = time.monotonic(), 0, look.progress
            if time.monotonic() - since > PATIENCE_SECONDS and looks > PATIENCE_LOOKS:
                said = missing or f"{self._where(look)} does not end"
                raise self._deviation(f"{said}: nothing changes in {PATIENCE_SECONDS:.0f} s", look, late=True)

    def _notice(self, api: Api, look: Look) -> None:
        """Keep what a pause shows, and end it once that is all."""
        if self.version == FIRST or not look.is_paused:
            return
        if look.weight is not None and self.version == GOOD:
            self.weights[look.step] = look.weight
        if look.step < self._first_analysis or self._is_measured(look):
            if look.step in self.held and look.step not in self.promoted:
                self.promoted.append(look.step)
            api.merge(f"{api.path(look.rollout)}/status", {"status": {"pauseConditions": None}})

    @property
    def _first_analysis(self) -> int:
        """Index of the step from which on something measures in the background."""
        analysis = self._canary.get("analysis")
        return len(self.steps) if analysis is None else int(analysis.get("startingStep") or 0)

    def _is_measured(self, look: Look) -> bool:
        """Tell whether what measures in the background has measured: a bad version until it can be stopped by that."""
        in_background = [each for each in look.measured if step_of(each[0]) is None]
        return bool(in_background) and all(
            _is_enough(result, _limit(metric) if self.version == BAD else 0) for _, metric, result in in_background
        )

    def _require_weights(self) -> None:
        """Hold what the VirtualService had against the weights that are declared."""
        declared = None
        for index, step in enumerate(self.steps):
            declared = step.get("setWeight", declared)
            seen = self.weights.get(index, declared)
            if declared is not None and seen != declared:
                raise DeviationError(f"the VirtualService has {seen} % where {declared} % is declared", index)

    def _require_measured(self, look: Look) -> None:
        """Hold against analyses what did not keep the good version from its end: it is over within seconds here."""
        measured = list(look.measured)
        if self._canary.get("analysis") and all(step_of(run) is not None for run, _, _ in measured):
            raise DeviationError("the analysis in the background never begins")
        for run, metric, result in measured:
            bad = _last(result).get("phase") in STOPPED or not result.get("successful")
            if bad and not result.get("dryRun"):
                said = f"the good version: {_told(run, metric['name'], result)}"
                raise DeviationError(said, step_of(run), metric=metric["name"])

    def _deviation(self, said: str, look: Look, *, late: bool = False) -> DeviationError:
        """Return what is wrong, with what was seen last, as of the metric that stops the canary where one does."""
        for run, metric in look.culprits:
            said = f"{said}: {_told(run, metric['name'], metric)}"
            return DeviationError(said, step_of(run), metric=metric["name"], late=late)
        seen = look.status.get("message") or f"phase {look.status.get('phase')}"
        return DeviationError(
            f"{said}; last seen: {seen}", look.step if look.step < len(self.steps) else None, late=late
        )

    def _where(self, look: Look) -> str:
        if self.version == FIRST:
            return "the first deployment"
        if look.step >= len(self.steps):
            return f"the {self.version} version"
        return f"step {look.step + 1} ({', '.join(self.steps[look.step])})"


def _limit(metric: Mapping[str, Any]) -> int:
    """Return how many failures a metric tolerates; none where an argument says so, which is in the results alone."""
    written = str(metric.get("failureLimit", 0))
    return int(written) if written.isdecimal() else 0


def _told(run: Document, name: str, result: Mapping[str, Any]) -> str:
    """Return what came of a metric, in Argo Rollouts' words as far as there are any."""
    last = _last(result)
    if not last:
        return f"metric {name} is never measured"
    said = run.get("status", {}).get("message") or f"metric {name}"
    return f"{said}; last measurement {last.get('phase')}: {last.get('message') or last.get('value')}"


def _last(result: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the last measurement of a metric; nothing where there is none."""
    found: Sequence[Mapping[str, Any]] = result.get("measurements") or ()
    return found[-1] if found else {}


def _is_enough(result: Mapping[str, Any], failures: int) -> bool:
    """Tell whether a metric is decided, or was measured more often than so many failures would take."""
    measured = int(result.get("count", 0)) + int(result.get("error", 0))
    return measured > failures or result.get("phase", "Running") != "Running"


def require_taken(answer: tuple[int, Document]) -> None:
    """Raise where the API server did not take what it was given.

    Args:
        answer: As of `Api.apply`.

    Raises:
        DeviationError: It did not.
    """
    code, found = answer
    if code >= http.HTTPStatus.BAD_REQUEST:
        raise DeviationError(f"its next version is refused: {found.get('message')}")


def _source(api: Api, rollout: Document) -> tuple[str, Sequence[str]]:
    """Return where the pods of a Rollout are changed: an object's path, and the way to annotations in it.

    Raises:
        DeviationError: Nobody here knows how.
    """
    annotations = ("metadata", "annotations")
    reference = rollout["spec"].get("workloadRef")
    if reference is None:
        return api.path(rollout), ("spec", "template", *annotations)
    namespace = rollout["metadata"]["namespace"]
    workload = api.get(api.path({**reference, "metadata": {"name": reference["name"], "namespace": namespace}}))
    for owner in workload["metadata"].get("ownerReferences") or ():
        if owner["kind"] != SERVICE:
            raise DeviationError(f"its pods are of {owner['kind']} {owner['name']}, which nobody here knows to change")
        part = workload["metadata"]["labels"][COMPONENT]
        path = api.path({**owner, "metadata": {"name": owner["name"], "namespace": namespace}})
        return path, ("spec", part, "annotations")
    return api.path(workload), (*(() if reference["kind"] == "PodTemplate" else ("spec",)), "template", *annotations)
