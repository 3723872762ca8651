"""Which applications a run proves, and the set that each is held against."""

from dataclasses import dataclass, replace

from ci.base.errors import UsageError
from ci.project import FILE
from ci.tree import application_set, render, tree
from ci.tree.application_set import HelmSource
from ci.tree.change import ApplicationChange, Change
from ci.tree.earlier import Earlier, confirmed
from ci.tree.git import Snapshot
from ci.tree.tree import Application, Asked

GONE = "the set before cannot be had any more, so there is no canary from it"
RED = "the set before does not serve, so there is no canary from it"
BY_FILE = f"the set before is rendered as {FILE} has it"
FIRST = "a first deploy has no champion, and no canary"


@dataclass(frozen=True)
class Version:
    """One set of an application.

    Attributes:
        application: The application, with that set.
        revision: The commit, or whole tree, that has its chart.
        source: What the ApplicationSet says of Helm.
    """

    application: Application
    revision: str
    source: HelmSource


@dataclass(frozen=True)
class Subject:
    """One application in one environment, to be proven.

    Attributes:
        candidate: The set of the change.
        champion: The set that it would replace; None where there is none.
        rules: What is not done as for any change, a sentence each.
        earlier: Why the golden file is not of the candidate's model; None where it is.
    """

    candidate: Version
    champion: Version | None
    rules: tuple[str, ...] = ()
    earlier: Earlier | None = None

    @property
    def name(self) -> str:
        """Its place, as ENV/APP."""
        return f"{self.candidate.application.environment}/{self.candidate.application.name}"


async def of(change: Change, head: Snapshot, base: Snapshot | None, asked: Asked | None) -> list[Subject]:
    """Return what is to be proven.

    Args:
        change: What differs, or everything.
        head: The change.
        base: What it started from, whose sets are the champions. None: they are those of the environments that a set
            is promoted to.
        asked: One application, in one environment or in each where it is in the change; all by default.

    Raises:
        UsageError: A file of what is to be proven is wrong, or there is no such application.
    """
    wanted = change if asked is None else change.narrowed(asked)
    for line in wanted.malformed.values():
        raise UsageError(line)
    found = [await _of(each, head, base) for each in wanted.served]
    known = [change.earlier.get((each.environment, each.name)) for each in wanted.served]
    return [
        replace(each, earlier=await confirmed(earlier, head, each.candidate.application) if earlier else None)
        for each, earlier in zip(found, known, strict=True)
    ]


async def _of(change: ApplicationChange, head: Snapshot, base: Snapshot | None) -> Subject:
    application = await tree.load(head, change.environment, change.name)
    candidate = Version(application, await tree.chart_commit(head, application), await application_set.of(head))
    if base is None:
        return await _onward(head, candidate)
    if change.kind != "changed":
        was = f"{change.was[0]}/{change.was[1]} was {change.kind}: " if change.was else ""
        return Subject(candidate, None, (f"{was}{FIRST}",))
    try:
        before = await tree.load(base, change.environment, change.name)
    except UsageError as error:
        return await _without_champion(head, candidate, error)
    if (before.namespace, before.place.cluster) != (application.namespace, application.place.cluster):
        return Subject(candidate, None, (f"it moves from namespace {before.namespace}: {FIRST}",))
    source, wrong = await application_set.left_behind(base)
    own = await _input(head, candidate)
    try:
        champion = Version(before, await tree.chart_commit(base, before), source)
        same = own == await _input(base, champion)
    except UsageError as error:
        return await _without_champion(head, candidate, error)
    if same:
        return Subject(candidate, None, ("Argo CD deploys the same as before: there is no canary",))
    return Subject(candidate, champion, (f"{BY_FILE}: {wrong.message}",) if wrong else ())


async def _onward(head: Snapshot, candidate: Version) -> Subject:
    """Return what proves a set that nothing changed: that it may go where it is promoted to."""
    application = candidate.application
    for onward in application.project.targets(application.environment):
        if application.name in await tree.names(head, onward):
            runs = await tree.load(head, onward, application.name)
            # the sets alone differ, and what a model is asked: other values are those of the environment that is proven
            over = application.with_release(runs.release)
            if application.model != runs.model:
                over = over.with_blocks(application.carried(runs))
            try:
                champion = replace(candidate, application=over, revision=await tree.chart_commit(head, runs))
            except UsageError as error:
                return await _without_champion(head, candidate, error)
            if await _input(head, candidate) == await _input(head, champion):
                return Subject(candidate, None, (f"{onward} runs this very set: there is no canary to take",))
            return Subject(candidate, champion)
    return Subject(candidate, None, (f"it runs nowhere else yet: {FIRST}",))


async def _without_champion(head: Snapshot, candidate: Version, error: UsageError) -> Subject:
    """Return what is proven where the champion is gone or cannot be read, and not only left out of this clone."""
    if head.repository.shallow:
        raise UsageError(error.message, fix="git fetch --unshallow") from error
    return Subject(candidate, None, (f"{GONE}: {error.message}",))


async def _input(snapshot: Snapshot, version: Version) -> tuple[object, ...]:
    """Return all that Helm is given for a version."""
    application = version.application
    given = await render.given(snapshot.repository, application, version.revision, version.source)
    return (*given, {**application.release, tree.CHART[0]: ""}, application.values)
