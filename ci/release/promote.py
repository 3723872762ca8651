"""`promote`: the whole set that one environment runs well, to the next."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ci.base.errors import UsageError
from ci.project import FILE, Project
from ci.release import break_glass, taken_back
from ci.release.health import Health, Look, NotProvenError, require_running
from ci.tree import git, quarantine, taken, tree
from ci.tree.git import Snapshot
from ci.tree.message import EVIDENCE_COMMIT, message
from ci.tree.tree import Application
from ci.tree.writeback import Edit

if TYPE_CHECKING:
    from ci.evidence.verify import Evidence


@dataclass(frozen=True)
class Promote:
    """What is asked for.

    Attributes:
        source: The environment that runs it.
        target: The next one.
        application: Which; may be left out where the environment has one only.
        why: The reason, for the commit.
        evidence: Where it can be checked, as the commit tells it.
        proof: Evidence to hold the promotion against; none is promoted to a protected environment without it.
        helm: The executable that renders the result.
        look: How the source's health is read.
        say: Gets each decision as a line that a person can check.
        over_revert: Why the set is wanted again though a person took it back there; None: then it is refused.
        break_glass: Why a protected environment gets it without evidence; None where no such reason is given.
    """

    source: str
    target: str
    application: str | None
    why: str
    evidence: str
    proof: "Evidence | None"
    helm: Path
    look: Look
    say: Callable[[str], None]
    over_revert: str | None = None
    break_glass: str | None = None

    async def edit(self, snapshot: Snapshot) -> Edit | None:
        """Return the edit, or None where the target has the set already.

        Raises:
            UsageError: The target does not follow the source, or takes nothing without evidence.
            NotProvenError: The source does not show that the set is good.
            QuarantinedError: The set failed before.
            TakenBackError: A person took it back in the target.
            EvidenceError: The evidence does not prove this very promotion.
        """
        project = await tree.project(snapshot)
        require_next(project, self.source, self.target)
        place = project.environment(self.target)
        unproven = self._unproven() if place.protected and self.proof is None else None
        trailers = dict(break_glass.require(place, self.break_glass, unproven))
        source = await tree.load(snapshot, self.source, self.application)
        target = await tree.destination(snapshot, self.target, source)
        new = await snapshot.read(target.file) is None
        before = dict.fromkeys(tree.KEYS, "") if new else target.release
        health = await self.look(source)
        commit = await snapshot.resolve(health.chart_revision or source.release[tree.CHART[0]])
        release = {**source.release, tree.CHART[0]: await _pinned(snapshot, commit, target.release[tree.CHART[0]])}
        for line in tree.changes(before, release):
            self.say(line)
        if release == before:
            self.say(f"{self.target} has the set of {self.source} already")
            return None
        await quarantine.require_free(snapshot, self.target, source.name, release)
        self.say("not quarantined")
        again = await taken_back.require_wanted(snapshot, target, release, self.over_revert)
        self.say(require_proven(source, health))
        known = target.carried(source)
        said = [f"{tree.dotted(path)}: as {source.environment} has it" for path in known]
        for line in said:
            self.say(line)
        promoted = target.promoted(source, release)
        if self.proof is not None:
            from ci.evidence import verify  # what verifies signatures is for protected environments alone

            trailers[EVIDENCE_COMMIT] = self.proof.commit
            for line in await verify.require(
                self.proof, verify.Promotion(snapshot, source, promoted, commit, self.helm)
            ):
                self.say(line)
        await taken.require(snapshot, self.helm, promoted, commit)
        return Edit(
            target.file,
            target.differing(release),
            message(
                f"Promote {target.name} from {self.source} to {self.target}: {tree.called(release)}",
                target,
                "promote",
                [*tree.changes(before, release), *said, f"Proven: {health.text}", *again.lines],
                self.why,
                self.evidence,
                {**trailers, **again.trailers},
            ),
            blocks=known,
            new=target.content if new else None,
        )

    def _unproven(self) -> UsageError:
        return UsageError(
            f"--to {self.target}: nothing is promoted there without evidence"
            + (" that was verified" if self.evidence else ""),
            fix="--public-key FILE: the key it is verified with"
            if self.evidence
            else "--evidence FILE --public-key FILE: what `test` wrote, and the key it is verified with",
        )


async def _pinned(snapshot: Snapshot, commit: str, present: str) -> str:
    """Return the commit that pins the chart: the one it is pinned to already where the chart is the same at both."""
    if git.COMMIT.fullmatch(present) and await tree.chart(snapshot, present) == await tree.chart(snapshot, commit):
        return present
    return commit


def require_next(project: Project, source: str, target: str) -> None:
    """Refuse a promotion from an environment that does not let sets into the other: one left out, back, or nowhere."""
    for environment in (source, target):
        project.environment(environment)
    allowed = project.evidence_for(target)
    if source not in allowed:
        raise UsageError(
            f"--from {source} --to {target}: a version moves {' → '.join(project.names)}, step by step",
            fix=f"--from {' or '.join(allowed)}" if allowed else unpromoted(project, target),
        )


def unpromoted(project: Project, target: str) -> str:
    """Return how an environment gets a set that takes none from another one."""
    if project.environment(target).protected:
        return f'bump --env {target} --break-glass "REASON": no environment before it could prove a set'
    return f"bump is how a set gets into {target}"


def require_proven(source: Application, health: Health) -> str:
    """Refuse a set that its environment does not show to be good, and return the line that shows it."""
    require_running(source, health)
    if health.seconds < source.soak:
        raise NotProvenError(
            f"{source.argo_name} is healthy for {health.seconds:.0f} s; soak of {source.environment} in {FILE} is "
            f"{source.soak:.0f} s",
            fix=f"Try again in {source.soak - health.seconds:.0f} s.",
        )
    return f"{health.text}; pods that run it: {len(health.pods)}; {FILE} asks for {source.soak:.0f} s"
