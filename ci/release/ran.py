"""The sets that ran in an environment, the newest first, and what is known of each: healthy, barred, or neither."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ci.base.errors import UsageError
from ci.base.text import counted
from ci.release import health
from ci.release.serving import Serving
from ci.tree import git, history, quarantine
from ci.tree.git import Snapshot
from ci.tree.history import Step, TakenBack
from ci.tree.quarantine import Entry
from ci.tree.tree import CHART, KEYS, Application, Release

PROVEN = "Proven"
"""How the line of a promotion's commit begins that says how the earlier environment showed the set to be good."""
SAID = 3
"""Of more commits that cannot be read, the first ones are named."""
Part = tuple[str, ...]


@dataclass(frozen=True)
class Bar:
    """Why a set is not to come back.

    Attributes:
        said: The reason.
        lift: What lifts it.
    """

    said: str
    lift: str


@dataclass(frozen=True)
class Ran:
    """A set that ran from one commit on.

    Attributes:
        step: The commit that brought it.
        application: As the last commit with this set has it.
        healthy: What says that it was healthy; empty where nothing does.
        barred: Why it is not to come back; None where it may.
    """

    step: Step
    application: Application
    healthy: str
    barred: Bar | None

    @property
    def release(self) -> Release:
        """The set."""
        return self.application.release

    @property
    def why(self) -> str:
        """Why it came: the reason that was given, or the subject of the commit."""
        return self.step.said("Why") or self.step.subject

    @property
    def state(self) -> str:
        """One of "barred", "healthy", "unknown"."""
        if self.barred:
            return "barred"
        return "healthy" if self.healthy else "unknown"

    @property
    def because(self) -> str:
        """What says so; empty where nothing is known."""
        return self.barred.said if self.barred else self.healthy


@dataclass(frozen=True)
class History:
    """What ran of one application in one environment.

    Attributes:
        application: Whose.
        rows: A set each, the newest first; sets that are equal and follow one another are one.
        unread: Commits whose file cannot be read.
        entries: What is in quarantine of the application.
        taken_back: What a person took back and is not lifted.
        shallow: Whether older commits are missing from this clone.
    """

    application: Application
    rows: Sequence[Ran]
    unread: Sequence[Step]
    entries: Sequence[Entry]
    taken_back: Sequence[TakenBack]
    shallow: bool

    @property
    def left_out(self) -> list[str]:
        """What is to be said of commits that are not among the rows, a line each."""
        said = [f"{step.commit[:12]} is left out: {step.unread}" for step in self.unread[:SAID]]
        more = len(self.unread) - len(said)
        return [*said, *([f"{counted(more, 'more commit')} left out, which cannot be read"] if more else [])]

    def bar(self, release: Release) -> Bar | None:
        """Return why a set is not to come back; None where it may."""
        return bar(self.application, self.entries, self.taken_back, release)

    def healthy(self, release: Release) -> str:
        """Return what says that a set was healthy; empty where nothing does."""
        return next((row.healthy for row in self.rows if row.healthy and row.release == release), "")

    @property
    def returned(self) -> Step | None:
        """The commit that went back to the present set, by a rollback or by a person; None where none did."""
        if not self.rows:
            return None
        step = self.rows[0].step
        by_person = any(back.step.commit == step.commit for back in self.taken_back)
        return step if step.action == "rollback" or by_person else None


async def read(snapshot: Snapshot, application: Application, serving: Serving | None = None) -> History:
    """Return the sets that an application ran.

    Args:
        snapshot: The tree.
        application: Which; it need not be in the tree any more.
        serving: What its Rollout serves, where a cluster is asked: that is healthy.

    Raises:
        UsageError: An entry of the quarantine cannot be read.
    """
    steps = await history.steps(snapshot, application)
    entries = await quarantine.entries(snapshot, application.name)
    taken_back = history.in_force(steps)
    promotions = await _promotions(snapshot, application, steps)
    stable = _stable(steps, serving)
    rows: list[Ran] = []
    for newest, oldest in spans(steps):
        release = _read(newest).release
        served = f"stable in {serving.source}" if serving and newest is stable else ""
        proven = (said for promoted, said in promotions.get(_pods(release), ()) if _charts(promoted, release))
        barred = bar(application, entries, taken_back, release)
        rows.append(Ran(oldest, _read(newest), served or next(proven, ""), barred))
    shallow = snapshot.repository.shallow
    return History(application, rows, [step for step in steps if step.unread], entries, taken_back, shallow)


def bar(application: Application, entries: Sequence[Entry], backs: Sequence[TakenBack], release: Release) -> Bar | None:
    """Return why a set is not to come back; None where it may.

    Args:
        application: Whose.
        entries: What is in quarantine of it.
        backs: What a person took back of it.
        release: The set.
    """
    for entry in entries:
        if entry.matches(release):
            file = entry.file(application.project)
            return Bar(f"quarantined in {file}: {entry.reason}", f"git rm {file}, commit and push")
    for back in backs:
        if back.matches(release):
            return Bar(f"taken back in {back.step}", f"git revert {back.step.commit[:12]}, and push")
    return None


def spans(steps: Sequence[Step]) -> Iterator[tuple[Step, Step]]:
    """Yield the newest and the oldest commit of each set that ran; what cannot be read ends none.

    Args:
        steps: As `history.steps` returns them.
    """
    span: list[Step] = []
    for step in steps:
        if step.unread:
            continue
        ended = step.application is None or (span and _read(step).release != _read(span[0]).release)
        if ended and span:
            yield span[0], span[-1]
            span = []
        if step.application is not None:
            span.append(step)
    if span:
        yield span[0], span[-1]


def _read(step: Step) -> Application:
    if step.application is None:
        raise UsageError(step.unread)
    return step.application


async def _promotions(
    snapshot: Snapshot, application: Application, steps: Sequence[Step]
) -> dict[Part, list[tuple[Release, str]]]:
    """Return what promotions into and out of an environment have proven, by model and image: the newest first."""
    found: dict[Part, list[tuple[Release, str]]] = {}
    targets = application.project.targets(application.environment)
    for target in targets:
        later = Application(application.project, target, application.name, b"")
        for step, release in _proven(await history.steps(snapshot, later)):
            found.setdefault(_pods(release), []).append((release, f"promoted to {target} in {step.commit[:12]}"))
    for step, release in _proven(steps):
        found.setdefault(_pods(release), []).append((release, f"proven before it came, in {step.commit[:12]}"))
    return found


def _proven(steps: Sequence[Step]) -> Iterator[tuple[Step, Release]]:
    for step in steps:
        if step.action == "promote" and step.said(PROVEN) and step.application is not None:
            yield step, step.application.release


def _stable(steps: Sequence[Step], serving: Serving | None) -> Step | None:
    """Return the newest commit of the set that a Rollout's stable ReplicaSet runs.

    Where only the chart differs the pods look alike: while a canary is under way, or was aborted, it is not the newest.
    """
    if serving is None or serving.stable is None:
        return None
    sets = [newest for newest, _ in spans(steps)][0 if serving.settled else 1 :]
    return next((step for step in sets if health.wanted(_read(step).release) == serving.stable), None)


def _pods(release: Release) -> Part:
    """Return what a set's pods are known by: everything but the chart's revision."""
    return tuple(release[key] for key in KEYS if key not in CHART)


def _charts(promoted: Release, release: Release) -> bool:
    """Tell whether a promotion may have been of a set: one that follows a branch is promoted as a commit of it."""
    chart = release[CHART[0]]
    return chart == promoted[CHART[0]] or not git.COMMIT.fullmatch(chart)
