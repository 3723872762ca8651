"""Whether all that a change makes of protected environments is proven, on the merge result.

A set is proven by the signed evidence of the commit that its promotion names, or it ran there before. What only the
merge result can prove (values, a new file, a chart, what Argo CD is given) is proven by the test of the same workflow
run, whose evidence no key signs: it is read in that run only. Anything else is break-glass, which its commit says.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ci.base.errors import CheckFailedError, CIError, MachineError, UsageError
from ci.base.text import has_words
from ci.evidence import touched, verify
from ci.evidence.envelope import EvidenceError
from ci.evidence.touched import Sides, Touched
from ci.evidence.verify import Evidence, Promotion
from ci.tree import git, history, quarantine, tree
from ci.tree.message import BREAK_GLASS, EVIDENCE_COMMIT
from ci.tree.quarantine import QuarantinedError
from ci.tree.tree import KNOWN_ANSWER, Application, Blocks

TRAILER = re.compile(r"([A-Z][A-Za-z-]*): (.+)")
"""A line of a block of trailers; a squash puts such blocks into the middle of its message."""
NO_RUN = "--run FILE: evidence.dsse.json of this workflow run's `test`, on this very commit"
AGAIN = "promote it again, with the evidence of a green run that proves it"
BY_GLASS = 'or, with a reason, a commit with the trailer "Break-glass: REASON", as bump --break-glass makes it'


@dataclass(frozen=True)
class Verdict:
    """What came of one application.

    Attributes:
        place: The application, or the environment.
        said: What proves it, or what is wrong.
        proven: Whether it may be merged.
        fix: The way out, where it may not.
    """

    place: str
    said: str
    proven: bool = True
    fix: str | None = None

    def __str__(self) -> str:
        way = f" → {self.fix}" if self.fix else ""
        return f"{self.place}: {self.said}" if self.proven else f"{self.place}: refused: {self.said}{way}"


@dataclass(frozen=True)
class Check:
    """What a change is held against.

    Attributes:
        sides: Both ends of the change.
        helm: The executable that renders.
        run: Evidence of the workflow run that asks; None where there is none.
        signed: Returns the verified evidence of a commit.
    """

    sides: Sides
    helm: Path
    run: Evidence | None
    signed: Callable[[str], Awaitable[Evidence]]
    _said: dict[str, Sequence[Mapping[str, str]]] = field(default_factory=dict, init=False, repr=False)
    """Trailers of each commit, once they were read."""

    async def verdicts(self) -> list[Verdict]:
        """Return a verdict for all that the change touches of protected environments; none where that is nothing.

        Raises:
            UsageError: The clone lacks the history that it takes.
            MachineError: The forge does not answer.
        """
        found = await touched.touched(self.sides)
        if found and self.sides.head.repository.shallow:
            raise UsageError(
                "this clone is shallow, and what ran before cannot be seen in it",
                fix="git fetch --unshallow; in a workflow, fetch-depth: 0 of the checkout",
            )
        if self.run is not None:
            await self._require_this_run(self.run)
        return [await self._verdict(each) for each in found]

    async def _verdict(self, each: Touched) -> Verdict:
        deleted = each.after is None and each.name and not each.wrong
        if deleted and any(reason.said == "gone" for reason in each.why):
            return Verdict(each.place, "deleted; what it serves goes on until a person deletes it")
        if each.wrong:  # nobody can say what would be deployed, so no reason lets it in
            return Verdict(each.place, each.wrong, False, "correct the file")
        try:
            if each.after is not None and touched.changed_set(each):
                await self._require_free(each, each.after)
            if reasons := await self._break_glass(each):
                return Verdict(each.place, f"break-glass: {'; '.join(reasons)}")
            return Verdict(each.place, "; ".join(await self._proofs(each)))
        except MachineError:
            raise
        except CIError as error:
            return Verdict(each.place, error.message, False, error.fix or f"{AGAIN}; {BY_GLASS}")

    async def _require_free(self, each: Touched, after: Application) -> None:
        """Refuse a set that is in quarantine, or was before this very change."""
        await quarantine.require_free(self.sides.head, each.environment, each.name, after.release)
        try:
            await quarantine.require_free(self.sides.tree, each.environment, each.name, after.release)
        except QuarantinedError as error:
            fix = "merge what lifts it by itself, before what brings it"
            raise QuarantinedError(f"{error.message}, and this change lifts that for itself", fix=fix) from error

    async def _proofs(self, each: Touched) -> list[str]:
        """Return what proves an application.

        Raises:
            CIError: Nothing does.
        """
        if each.after is None:
            why = "; ".join(reason.text for reason in each.why)
            raise CheckFailedError(why, fix=BY_GLASS)
        changed = touched.changed_set(each)
        if not each.other and (before := await self._before(each)) is not None:
            return [f"ran there before, in {before}"]
        if changed:
            _require_pinned(each.after)
        if not changed or (each.before is None and not await self._known(each.after, each)):
            return [await self._of_this_run(each)]
        return await self._promoted(each)

    async def _known(self, after: Application, each: Touched) -> bool:
        """Tell whether an application that base does not have is not new: it is promoted, or it was there before."""
        return bool(await self._promotions(each) or await history.steps(self.sides.base, after))

    async def _promoted(self, each: Touched) -> list[str]:
        """Return what proves a set that a promotion brought, and the values that it gets."""
        commits = await self._promotions(each)
        if not commits or each.after is None:
            lines = tree.changes(each.before.release, each.after.release) if each.before and each.after else []
            source = next(iter(self.sides.after.evidence_for(each.environment)), "ENV")
            options = (
                f"--from {source} --to {each.environment} --app {each.name} --evidence FILE --public-key FILE --pr"
            )
            way = f"python ci/main.py promote {options}"
            said = f"{'; '.join(lines)}: no promotion brings this set, and it never ran there"
            raise CheckFailedError(said, fix=f"{way}; {BY_GLASS}")
        evidence = await self.signed(commits[0])
        promotion = await self._promotion(evidence, each, each.after)
        await verify.require_set(evidence, promotion)
        proven = f"evidence of {evidence.commit[:12]}, signed by {evidence.signer}"
        try:
            await verify.require_manifests(evidence, promotion)
        except EvidenceError:  # values that the run of that commit did not have
            if self.run is None:
                raise
            return [proven, await self._of_this_run(each)]
        return [proven]

    async def _promotion(self, evidence: Evidence, each: Touched, after: Application) -> Promotion:
        """Return the promotion that the evidence has to prove: from the source as it was tested, to what head has."""
        sides = self.sides
        tested = replace(sides.base, commit=evidence.commit)
        served = {one.environment for one in evidence.statement.predicate.applications if one.name == each.name}
        for source in sorted(sides.before.evidence_for(each.environment), key=lambda one: one not in served):
            content = await tested.read(tree.file_of(sides.before, source, each.name))
            if content is not None:
                then = tree.read(sides.before, source, each.name, content)
                moved = then.with_release({**after.release, tree.CHART[0]: then.release[tree.CHART[0]]})
                commit = await tree.chart_commit(sides.head, after)
                return Promotion(sides.tree, moved, after, commit, self.helm, result=sides.head)
        raise CheckFailedError(f"{each.name} was in no environment at {evidence.commit[:12]} that lets a set in")

    async def _of_this_run(self, each: Touched) -> str:
        """Return that the test of this workflow run proves an application as head has it.

        Raises:
            CheckFailedError: There is none, or it does not.
        """
        why = "; ".join(reason.text for reason in each.why)
        if self.run is None or each.after is None:
            raise CheckFailedError(f"{why}: nothing proves it", fix=f"{NO_RUN}; {BY_GLASS}")
        commit = await tree.chart_commit(self.sides.head, each.after)
        sides, after = self.sides, each.after
        promotion = Promotion(sides.tree, after, after, commit, self.helm, self.run.commit, sides.head)
        await verify.require(self.run, promotion)
        return f"{why}: proven by the test of this run"

    async def _require_this_run(self, run: Evidence) -> None:
        trees = await self.sides.head.repository.objects_of(
            *(f"{commit}^{{tree}}" for commit in (run.commit, self.sides.head.commit))
        )
        if trees[0] is None or trees[0] != trees[1]:
            raise run.refusal(
                "predicate.project.digest.gitCommit",
                f"{run.commit[:12]} is not what is checked out, {self.sides.head.commit[:12]}",
                "--run takes the evidence of this very workflow run alone.",
            )

    async def _before(self, each: Touched) -> str | None:
        """Return the commit of base in which an application ran as head has it, but for what stays as it is now."""
        now, after = each.before, each.after
        if now is None or after is None or not git.COMMIT.fullmatch(after.release[tree.CHART[0]]):
            return None
        for step in await history.steps(self.sides.base, now):
            then = step.application
            if then is None or then.release != after.release:
                continue
            moved: Blocks = {} if then.known_answer == now.known_answer else {KNOWN_ANSWER: then.known_answer}
            stays = (now.values, now.with_blocks(moved).values) if then.release != now.release else ()
            if after.values in (then.values, *stays):
                return str(step)
        return None

    async def _promotions(self, each: Touched) -> list[str]:
        """Return the commits whose evidence the change's own commits name for an application, the newest first."""
        return [
            trailers[EVIDENCE_COMMIT]
            for blocks in (await self._commits()).values()
            for trailers in blocks
            if _is_of(trailers, each) and git.COMMIT.fullmatch(trailers.get(EVIDENCE_COMMIT, ""))
        ]

    async def _break_glass(self, each: Touched) -> list[str]:
        """Return the reasons of the commits that make what differs; none where one thing differs that none makes."""
        made: dict[str, str] = {}
        wanted = {f"{reason.path}" for reason in each.other}
        before, after = touched.facets(each.before), touched.facets(each.after)
        keys = {key for key in {*before, *after} if before.get(key) != after.get(key)}
        wanted |= keys or (set() if each.after is not None else {reason.path for reason in each.why})
        for commit, blocks in (await self._commits()).items():
            reasons = [one[BREAK_GLASS] for one in blocks if has_words(one.get(BREAK_GLASS, "")) and _is_of(one, each)]
            for thing in await self._made(commit, each, wanted) if reasons else ():
                made.setdefault(thing, f"{await self.sides.head.repository.who(commit)}: {reasons[0]}")
        return [*dict.fromkeys(made.values())] if wanted and wanted == made.keys() else []

    async def _made(self, commit: str, each: Touched, wanted: set[str]) -> Iterator[str]:
        """Return which of some paths and keys of an application are by a commit what they are at head."""
        head, after = self.sides.head, touched.facets(each.after)
        own = tree.file_of(self.sides.after, each.environment, each.name) if each.after is not None else None
        sides = [replace(head, commit=name) for name in (f"{commit}^", commit)]
        known = await head.repository.objects_of(*(side.commit for side in sides))  # of the first there is none before
        then = [await self._facets(side, each, own) if there else {} for side, there in zip(sides, known, strict=True)]
        made = {key for key in wanted & after.keys() if then[0].get(key) != then[1].get(key) == after[key]}
        for path in wanted - after.keys():
            objects = await head.repository.objects_of(
                *(f"{side.commit}:{head.repository.at(path)}" for side in (*sides, head))
            )
            if objects[0] != objects[1] == objects[2]:
                made.add(path)
        return iter(made)

    async def _facets(self, side: git.Snapshot, each: Touched, file: str | None) -> Mapping[str, str]:
        content = await side.read(file) if file is not None else None
        if content is None:
            return {}
        try:
            return touched.facets(tree.read(self.sides.after, each.environment, each.name, content).checked())
        except UsageError:
            return {}

    async def _commits(self) -> Mapping[str, Sequence[Mapping[str, str]]]:
        """Return the blocks of trailers that each commit of the change has, the newest commit first."""
        if not self._said:
            span = f"{self.sides.base.commit}..{self.sides.head.commit}"
            listed = (await self._git("log", "-z", "--format=%H%x00%B", "--end-of-options", span)).split("\0")
            self._said.update(
                (commit, [*_blocks(text)]) for commit, text in zip(listed[::2], listed[1::2], strict=False)
            )
        return self._said

    async def _git(self, *words: str) -> str:
        return await self.sides.head.repository.output(*words)


def _blocks(message: str) -> Iterator[dict[str, str]]:
    """Yield the blocks of trailers of a message: at its end, or, where commits were squashed, anywhere."""
    for paragraph in message.replace("\r\n", "\n").split("\n\n"):
        lines = [TRAILER.fullmatch(line.strip()) for line in paragraph.strip().splitlines()]
        found = {line[1]: line[2] for line in lines if line is not None}
        if found.keys() & {BREAK_GLASS, EVIDENCE_COMMIT}:
            yield found


def _is_of(trailers: Mapping[str, str], each: Touched) -> bool:
    """Tell whether trailers are about an application; those that name none are about all that their commit changes."""
    return trailers.get("Environment", each.environment) == each.environment and (
        trailers.get("Application", each.name) == each.name
    )


def _require_pinned(application: Application) -> None:
    """Refuse a set that may become another one under the same name."""
    revision = application.release[tree.CHART[0]]
    if not git.COMMIT.fullmatch(revision):
        raise CheckFailedError(
            f"chart.revision {revision} is no commit, so what runs there may change without a change of the file",
            fix=f"git rev-parse {revision} prints the commit",
        )
    for each in tree.unpinned(application.release):
        first, name = application.project.names[0], application.name
        way = f"{each.bump(first, name)}, and promote that"
        raise CheckFailedError(f"{tree.dotted(each.key)}: {each.said}", fix=way)
