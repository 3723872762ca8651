"""`rollback`: an environment back to the set it ran before, and the set that failed into quarantine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ci.base.errors import CheckFailedError, UsageError
from ci.base.progress import note
from ci.tree import quarantine, tree
from ci.tree.git import Snapshot
from ci.tree.message import message
from ci.tree.quarantine import Entry
from ci.tree.tree import KEYS, Application, Blocks, Release
from ci.tree.writeback import Edit


@dataclass(frozen=True)
class Rollback:
    """What is asked for.

    Attributes:
        environment: Where.
        application: Which; may be left out where the environment has one only.
        why: What is wrong with the present set.
        evidence: Where it can be checked.
        measurements: What an analysis measured, a line each.
        revision: Pod-template hash of the canary that was aborted, where that is why.
        only: Roll back only while this set is in place; None: whichever is.
    """

    environment: str
    application: str | None
    why: str
    evidence: str
    measurements: Sequence[str] = ()
    revision: str = ""
    only: Release | None = None

    async def edit(self, snapshot: Snapshot) -> Edit | None:
        """Return the edit, or None where another set is in place than the one to roll back.

        Raises:
            CheckFailedError: There is no set before the present one that may run.
            UsageError: The clone is shallow, and does not have it.
        """
        application = await tree.load(snapshot, self.environment, self.application)
        bad = application.release
        if self.only is not None and bad != self.only:
            return None
        before, commit = await _previous(snapshot, application)
        good = before.release
        changed = [key for key in KEYS if bad[key] != good[key]]
        entry = Entry(
            application.name,
            application.environment,
            {tree.dotted(key): bad[key] for key in changed},
            " ".join(self.why.split()),
            datetime.now(UTC).isoformat(timespec="seconds"),
            tuple(self.measurements),
            self.revision,
            {tree.dotted(key): good[key] for key in KEYS},
        )
        file = entry.file(application.project)
        return Edit(
            application.file,
            {key: good[key] for key in changed},
            message(
                f"Roll {application.name} in {application.environment} back to model {good[('model', 'version')]}",
                application,
                "rollback",
                [
                    *tree.changes(bad, good),
                    f"Back to what {commit[:12]} had; {file} keeps it from coming again.",
                    *await _left(snapshot, application, before, commit),
                    *self.measurements,
                ],
                self.why,
                self.evidence,
            ),
            {file: entry.content(application.project)},
            _known_answer(application, before),
        )


def _known_answer(application: Application, before: Application) -> Blocks:
    """Return the known answer of the model that comes back; of the same model, the present one stays."""
    if application.model == before.model or application.known_answer == before.known_answer:
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
    file = f"{application.project.paths.golden}/{application.name}.yaml"
    if await snapshot.read(file) == await replace(snapshot, commit=commit).read(file):
        return []
    return [f"{file} stays, which has changed since: this model is not held to its answers until the next bump."]


async def _previous(snapshot: Snapshot, application: Application) -> tuple[Application, str]:
    """Return the application with its last set that is not in quarantine, and the commit that had it."""
    barred = await quarantine.entries(snapshot, application.name)
    history = await snapshot.repository.output(
        "rev-list", "--first-parent", snapshot.commit, "--", snapshot.repository.at(application.file)
    )
    for commit in history.split():
        content = await replace(snapshot, commit=commit).read(application.file)
        if content is None:
            continue
        before = replace(application, content=content)
        try:
            release = before.checked().release
        except UsageError as error:  # conflict markers, say, mended a minute later
            note(f"{commit[:12]} is left out: {error.message}")
            continue
        if release != application.release and not any(entry.matches(release) for entry in barred):
            return before, commit
    if await snapshot.repository.output("rev-parse", "--is-shallow-repository") == "true":
        raise UsageError(
            f"{application.file}: this clone is shallow, and has no earlier set to go back to",
            fix="git fetch --unshallow",
        )
    raise CheckFailedError(
        f"{application.file} has no earlier set to go back to",
        fix=f"git log -p -- {application.file}; bump it to a version known to be good",
    )
