"""`rollback`: an environment back to a set that it ran, and what failed into quarantine."""

import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ci.base.errors import CheckFailedError, MachineError, UsageError
from ci.base.progress import note, warning
from ci.release import ran
from ci.release.ran import History
from ci.release.serving import Serving
from ci.supply import tools
from ci.tree import quarantine, taken, tree
from ci.tree.git import Snapshot
from ci.tree.message import message
from ci.tree.quarantine import Entry
from ci.tree.scalars import KeyPath
from ci.tree.tree import KEYS, Application, Blocks, Release
from ci.tree.writeback import Edit

PARTS = {"image": tree.IMAGE, "model": tree.MODEL}
"""What may stay where the rest goes back."""
HASH = re.compile("[0-9a-fA-F]{4,64}")
"""A commit's hash, or the beginning of one: git takes no shorter one."""
NAMED = 5
"""Of more sets than these, the newest ones are named."""


class BarredError(CheckFailedError):
    """The set to go back to failed before, or a person took it back."""


@dataclass(frozen=True)
class Back:
    """A set to go back to.

    Attributes:
        commit: A commit that had it; the one that brought it, as `history` lists it, where that is not named otherwise.
        application: As it was while it ran: what changed besides meanwhile, such as a known answer, included.
        healthy: What says that it was healthy; empty where nothing does.
    """

    commit: str
    application: Application
    healthy: str


@dataclass(frozen=True)
class Rollback:
    """What is asked for.

    Attributes:
        environment: Where.
        application: Which; may be left out where the environment has one only.
        why: What is wrong with the present set.
        evidence: Where it can be checked.
        measurements: What an analysis measured, a line each.
        revision: Pod-template hash of the canary that was aborted, where that is why: the set before is what the
            Rollout's stable ReplicaSet runs, and needs no other record of its health.
        only: Roll back only while this set is in place; None: whichever is.
        to: Hash of a commit that had the set to go back to; the last one that is known as healthy by default.
        keep: "image", "model": what stays as it is, and is not to blame.
        quarantine: Whether what failed is refused from then on.
        look: Reads what the application serves, where a cluster is asked.
    """

    environment: str
    application: str | None
    why: str
    evidence: str
    measurements: Sequence[str] = ()
    revision: str = ""
    only: Release | None = None
    to: str = ""
    keep: Collection[str] = ()
    quarantine: bool = True
    look: Callable[[Application], Awaitable[Serving]] | None = None

    async def edit(self, snapshot: Snapshot) -> Edit | None:
        """Return the edit, or None where another set is in place than the one to roll back, or it is back already.

        Raises:
            CheckFailedError: There is no set before the present one that may run, or the chart does not take it.
            UsageError: The set has to be named, or no commit is named so; or the clone does not have it.
        """
        application = await tree.load(snapshot, self.environment, self.application)
        bad = application.release
        if self.only is not None and bad != self.only:
            return None
        found = await ran.read(snapshot, application, await self.look(application) if self.look else None)
        if not self.to and not self.revision and (step := found.returned) is not None:
            note(f"rolled back already, in {step}; further back: {self._command('COMMIT')}")
            return None
        back = await self._named(snapshot, application, found) if self.to else self._default(application, found)
        good = self._wanted(back.application, application)
        if good == bad:
            note(f"{application.file} has that set already")
            return None
        self._require_allowed(application, found, back, good)
        return await self._edit(snapshot, application, back, good)

    async def _edit(self, snapshot: Snapshot, application: Application, back: Back, good: Release) -> Edit:
        """Return the edit to a set, seen to be what the chart takes."""
        bad = application.release
        changed = application.differing(good)
        entry = self._entry(application, good) if self.quarantine else None
        changes = tree.changes(bad, good)
        kept = f"{entry.file(application.project)} keeps it from coming again." if entry else "Nothing is quarantined."
        note(f"back to what {back.commit[:12]} had ({back.healthy or 'nothing says whether it was healthy'})")
        for line in (*changes, kept):
            note(line)
        known = _known_answer(application, back.application, good)
        written = application.with_release(changed).with_blocks(known)
        rendered = await _renders(snapshot, written)
        return Edit(
            application.file,
            changed,
            message(
                f"Roll {application.name} in {application.environment} back to {_called(changed, good)}",
                application,
                "rollback",
                [
                    *changes,
                    f"Back to what {back.commit[:12]} had; {kept}",
                    *([f"Healthy: {back.healthy}"] if back.healthy else []),
                    *await _left(snapshot, application, written, back.commit),
                    *self.measurements,
                ],
                self.why,
                self.evidence,
            ),
            {entry.file(application.project): entry.content(application.project)} if entry else {},
            known,
            rendered,
        )

    def _entry(self, application: Application, good: Release) -> Entry:
        bad = application.release
        return Entry(
            application.name,
            application.environment,
            quarantine.failed(bad, good),
            " ".join(self.why.split()),
            datetime.now(UTC).isoformat(timespec="seconds"),
            tuple(self.measurements),
            self.revision,
            {tree.dotted(key): good[key] for key in KEYS},
        )

    def _wanted(self, before: Application, application: Application) -> Release:
        """Return the set of an earlier commit, but for what stays as it is."""
        kept = [key for part in self.keep for key in PARTS[part]]
        return {**before.release, **{key: application.release[key] for key in kept}}

    async def _named(self, snapshot: Snapshot, application: Application, history: History) -> Back:
        """Return the set that the named commit of the branch had."""
        fix = self._history()
        if not HASH.fullmatch(self.to):
            raise UsageError(f"--to {self.to}: not the hash of a commit", fix=fix)
        listed = await snapshot.repository.output("rev-list", "--first-parent", "--end-of-options", snapshot.commit)
        found = [commit for commit in listed.split() if commit.startswith(self.to.lower())]
        if len(found) != 1:
            said = f"begins {len(found)} commits of" if found else "not a commit of"
            raise UsageError(f"--to {self.to}: {said} {snapshot.branch} at {snapshot.commit[:12]}", fix=fix)
        content = await replace(snapshot, commit=found[0]).read(application.file)
        if content is None:
            raise UsageError(f"--to {self.to}: that commit has no {application.file}", fix=fix)
        try:
            before = replace(application, content=content).checked()
        except UsageError as error:
            raise UsageError(f"--to {self.to}: that commit has no set: {error.message}", fix=fix) from error
        brought = next((row.application for row in history.rows if row.step.commit == found[0]), before)
        return Back(found[0], brought, history.healthy(before.release))

    def _default(self, application: Application, found: History) -> Back:
        """Return the last set that is known as healthy; of an aborted canary, the one before."""
        for line in found.left_out:
            note(line)
        candidates = list(self._candidates(application, found))
        healthy = [back for back in candidates if back.healthy or self.revision]
        if healthy:
            return healthy[0]
        if candidates:
            named = "\n".join(
                f"  {self._command(back.commit[:12])}   # {_set(back.application.release)}"
                for back in candidates[:NAMED]
            )
            raise UsageError(
                f"{application.file}: nothing says which earlier set was healthy, so name one with --to",
                fix=f"one of these, the newest first:\n{named}",
            )
        if found.shallow:
            raise UsageError(
                f"{application.file}: this clone is shallow, and has no earlier set to go back to",
                fix="git fetch --unshallow",
            )
        barred = next((row for row in found.rows if row.barred and row.release != application.release), None)
        raise CheckFailedError(
            f"{application.file} has no earlier set to go back to"
            + (f": {barred.step.commit[:12]} is {barred.because}" if barred else ""),
            fix=f"{self._history()}; {self._forward(application)} a version known to be good",
        )

    def _candidates(self, application: Application, found: History) -> Iterator[Back]:
        """Yield the sets that the environment may go back to, the newest first."""
        seen = [application.release]
        for row in found.rows:
            good = self._wanted(row.application, application)
            if good not in seen and not found.bar(good):
                yield Back(row.step.commit, row.application, found.healthy(row.release))
            seen.append(good)

    def _require_allowed(self, application: Application, found: History, back: Back, good: Release) -> None:
        """Refuse a set that is barred, and one that never ran in a protected environment."""
        if barred := found.bar(good):
            raise BarredError(f"{back.commit[:12]} had a set that is {barred.said}", fix=f"To lift it: {barred.lift}")
        if application.place.protected and all(row.release != good for row in found.rows):
            raise UsageError(
                f"{application.file}: {_set(good)}: never ran there as one set, and {self.environment} is protected",
                fix=f"Leave --keep out, or promote that set; {self._history()} has those that ran",
            )

    def _forward(self, application: Application) -> str:
        return "promote, or bump --break-glass REASON to," if application.place.protected else "bump it to"

    def _command(self, commit: str) -> str:
        app = f" --app {self.application}" if self.application else ""
        return f"python ci/main.py rollback --env {self.environment}{app} --to {commit}"

    def _history(self) -> str:
        app = f" --app {self.application}" if self.application else ""
        return f"python ci/main.py history --env {self.environment}{app}"


def parts(keep: Sequence[str]) -> Collection[str]:
    """Return the parts of a set that stay as they are.

    Args:
        keep: What a person names.

    Raises:
        UsageError: One of them is no such part, or all would stay.
    """
    for part in keep:
        if part not in PARTS:
            raise UsageError(f"--keep {part}: not one of {', '.join(PARTS)}")
    if set(keep) == PARTS.keys():
        raise UsageError("--keep image --keep model: nothing is left that could go back", fix="Keep one of them.")
    return set(keep)


def _called(changed: Collection[KeyPath], good: Release) -> str:
    """Return what a set is called that brings these keys: by its model, or by its image where that alone goes back."""
    if set(changed) <= set(tree.IMAGE):
        return f"image {good['image', 'tag']}"
    return tree.called(good)


def _set(release: Release) -> str:
    """Return a set in a few words."""
    return f"model {release[tree.VERSION]}, image {release['image', 'tag']}, chart {release[tree.CHART[0]][:12]}"


async def _renders(snapshot: Snapshot, application: Application) -> bool:
    """Tell whether the chart was seen to take an application, which needs Helm: it ran before, and goes without it too.

    Raises:
        UsageError: The chart's commit is not there.
        CheckFailedError: The chart does not take it.
    """
    commit = await tree.chart_commit(snapshot, application)
    try:
        helm = tools.installed("helm")
    except MachineError as error:
        warning("not rendered: whether the chart takes it was not looked at", f"{error.message}; {error.fix}")
        return False
    await taken.require(snapshot, helm, application, commit)
    return True


def _known_answer(application: Application, before: Application, good: Release) -> Blocks:
    """Return the known answer of the model that comes back; of the same model, the present one stays."""
    same = application.model == application.with_release(good).model
    if same or application.known_answer == before.known_answer:
        return {}
    return {tree.KNOWN_ANSWER: before.known_answer}


async def _left(snapshot: Snapshot, application: Application, before: Application, commit: str) -> list[str]:
    """Return what is to be said of a golden file that has changed since the model that comes back, and stays as it is.

    Args:
        snapshot: The tree.
        application: With the set that is taken back.
        before: With the one that comes back.
        commit: What had that one.
    """
    environments = application.project.names
    ahead = environments[: environments.index(application.environment)]
    first = not any([application.name in await tree.names(snapshot, each) for each in ahead])
    if not first or application.model == before.model:
        return []
    file = application.project.paths.golden_file(application.name)
    if await snapshot.read(file) == await replace(snapshot, commit=commit).read(file):
        return []
    return [f"{file} stays, which has changed since: this model is not held to its answers until the next bump."]
