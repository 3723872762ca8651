"""Every check that needs no cluster, at once, and their findings as one list."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagger

from ci.base import tasks
from ci.base.errors import CheckFailedError
from ci.canary import declared, engine
from ci.checks import (
    argocd,
    chart,
    converted,
    gates,
    golden,
    hosts,
    links,
    mirrors,
    misplaced,
    permitted,
    pinned,
    quarantine,
    repeated,
    rules,
    runtimes,
    schema,
    skipped,
    style,
    targets,
    throwaway,
    tools,
    unserved,
    varying,
)
from ci.checks.control_plane import before, comparing, course
from ci.checks.control_plane import check as control_plane
from ci.checks.control_plane.container import Plane
from ci.checks.control_plane.findings import Refusal, untold, without
from ci.checks.merged import merged
from ci.checks.targets import Chosen, Targets
from ci.manifests import brought, crds, dashboards, references
from ci.manifests import runtimes as serving
from ci.manifests.brought import Brought
from ci.manifests.chart import DEFAULTS, Rendering, Target
from ci.manifests.manifests import Manifest
from ci.project import FILE, Project
from ci.results import CanaryCourse, Effect, Finding, Gate
from ci.tree import application_set, git
from ci.tree.git import Snapshot


@dataclass(frozen=True)
class Lint:
    """What the checks say.

    Attributes:
        findings: By file and line; what several targets share is there once.
        gates: The canary's gates against simulated faults.
        effects: What the change does to pods, where there is one.
        courses: How canaries went on the control plane, where they were played.
    """

    findings: list[Finding]
    gates: list[Gate]
    effects: list[Effect]
    courses: list[CanaryCourse]


@dataclass(frozen=True)
class Rendered:
    """What Helm made of targets.

    Attributes:
        renderings: Of those that it did not refuse, in the targets' order.
        findings: Why there are no others.
        known: As in `Targets`; nothing where one was refused.
    """

    renderings: list[Rendering]
    findings: list[Finding]
    known: Collection[str]


@dataclass
class _Run:
    client: dagger.Client
    tools: tools.Tools
    root: Path
    prefix: str  # of that folder in its repository
    project: Project
    targets: Targets
    plane: Plane | None
    base: Snapshot | None
    plays: bool
    found: list[tuple[str, Finding]]  # with the target's name, or ""
    gates: list[Gate] = field(default_factory=list)
    refused: list[Refusal | Finding] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    courses: list[CanaryCourse] = field(default_factory=list)

    async def keep(self, check: Callable[..., Awaitable[list[Finding]]], *args: object) -> None:
        self.found += [("", finding) for finding in await check(*args)]

    async def keep_named(self, check: Callable[..., Awaitable[list[tuple[str, Finding]]]], *args: object) -> None:
        self.found += await check(*args)


async def lint(
    client: dagger.Client,
    tool: tools.Tools,
    root: Path,
    project: Project,
    chosen: Chosen | None = None,
    plane: Plane | None = None,
    base: Snapshot | None = None,
    *,
    plays: bool = False,
) -> Lint:
    """Run every check on a project.

    Args:
        client: The Dagger session.
        tool: What the checks run with.
        root: The project's folder.
        project: The project.
        chosen: What of its applications; all by default.
        plane: What the control plane is made of; without it none is asked.
        base: Where a change began, over which it is applied there.
        plays: Whether canaries are played on it.

    Returns:
        What they find.

    Raises:
        UsageError: There is no such environment, or no such application.
    """
    chosen = chosen or Chosen()
    async with targets.found(root, project, chosen, tool.helm) as found:
        repository = await git.opened(root)
        refused = [("", finding) for finding in found.findings]
        run = _Run(client, tool, root, repository.prefix, project, found, plane, base, plays, refused)
        run.found += [("", each) for each in found.warnings]
        run.found += [("", each) for each in argocd.findings(root, project, repository.prefix)]
        run.found += [("", each) for each in await converted.findings(repository, project)]
        run.found += [("", each) for each in await links.findings(repository)]
        run.found += [("", each) for each in (*repeated.files(root, project), *crds.strays(root, project))]
        run.found += [("", each) for each in brought.strays(root, project)]
        run.found += [("", each) for each in pinned.findings(project, found.judged, found.applications)]
        run.found += golden.findings(root, project, found.judged, found.applications)
        run.found += [("", each) for each in quarantine.findings(root, project, chosen)]
        if chosen.whole:
            run.found += [("", each) for each in (*misplaced.findings(root, project), *golden.strays(root, project))]
            text = (root / FILE).read_text(encoding="utf-8-sig")
            run.found += [("", each) for each in mirrors.findings(text, project, found.applications)]
        async with tasks.group() as group:
            group.start_soon(_style, run)
            if found.judged:
                group.start_soon(_targets, run)
        run.found += untold(run.refused, run.found)
        found_in_all = merged(run.found, [each.name for each in found.judged])
        return Lint(found_in_all, run.gates, run.effects, run.courses)


async def render(client: dagger.Client, tool: tools.Tools, root: Path, project: Project, chosen: Chosen) -> Rendered:
    """Render a project's applications, each as Argo CD would.

    Args:
        client: The Dagger session.
        tool: What it takes.
        root: The project's folder.
        project: The project.
        chosen: What of its applications.

    Raises:
        UsageError: There is no such environment, or no such application.
    """
    async with targets.found(root, project, chosen, tool.helm) as found:
        renderings: list[Rendering] = []
        if found.judged:
            helm = _helm(client, tool, found.judged, found.folder / "helm")
            renderings = await chart.render(helm, found.judged)
        refused = [(each.target.name, finding) for each in renderings for finding in each.findings]
        findings = merged(
            [*(("", finding) for finding in found.findings), *refused], [each.name for each in found.judged]
        )
        known = () if findings else found.known
        return Rendered([each for each in renderings if not each.findings], findings, known)


def _helm(client: dagger.Client, tool: tools.Tools, judged: Sequence[Target], folder: Path) -> dagger.Container:
    chart.laid_out(judged, folder)
    return tools.batch(client, tool.helm, folder)


async def _style(run: _Run) -> None:
    container = style.linters(run.client, run.tools.wheels)
    async with tasks.group() as group:
        group.start_soon(run.keep, style.yaml, run.client, container, run.root, run.project)
        group.start_soon(run.keep, style.python, run.client, container, run.root)
        group.start_soon(run.keep, style.workflows, run.client, container, run.tools.actionlint, run.root)


async def _targets(run: _Run) -> None:
    judged, folder = run.targets.judged, run.targets.folder
    helm = _helm(run.client, run.tools, judged, folder / "helm")
    async with tasks.group() as group:
        group.start_soon(run.keep_named, chart.lint, helm, judged)
        all_of_them = await chart.render(helm, judged)
        run.found += [(each.target.name, finding) for each in all_of_them for finding in each.findings]
        renderings = [each for each in all_of_them if not each.findings]
        if not renderings:
            return
        run.found += (*repeated.rendered(renderings), *skipped.rendered(renderings), *unserved.rendered(renderings))
        run.found += pinned.beside(run.project, renderings)
        run.found += hosts.rendered(run.project.environments, renderings)
        charts = {each.target.chart.folder: each.target.chart for each in renderings}
        run.found += (("", finding) for each in charts.values() for finding in dashboards.left_out(each))
        own_crds = crds.own(run.root, run.project)
        brought_crds = crds.of(one.data for each in renderings for one in each.objects)
        scope = permitted.scope([*own_crds, *brought_crds], run.tools.crds, run.tools.kubernetes)
        run.found += permitted.rendered(run.root, run.prefix, run.project, renderings, scope)
        if run.plane is not None:
            group.start_soon(_control_plane, run, run.plane, renderings)
        group.start_soon(_runtimes, run, renderings)
        group.start_soon(_again, run, [each for each in renderings if varying.may_be(each.target)])
        group.start_soon(_throwaway, run, [each.target for each in renderings])
        group.start_soon(
            run.keep_named, schema.validate, run.client, run.tools, renderings, own_crds, folder / "schema"
        )
        group.start_soon(run.keep_named, rules.check, run.client, run.tools.promtool, renderings, folder / "rules")
        whole = not run.targets.findings and len(renderings) == len(all_of_them)
        group.start_soon(_gates, run, renderings, run.targets.known if whole else ())
        group.start_soon(_rules, run, renderings)


async def _rules(run: _Run, renderings: Sequence[Rendering]) -> None:
    """Test the rules as the chart's tests have it, and check what needs every expression read."""
    own: list[Manifest] = []
    default = next((each.target for each in renderings if each.target.name == DEFAULTS), None)
    if default is not None and (run.root / rules.TESTS).is_dir():
        fixed = rules.fixed(run.root, default)
        helm = _helm(run.client, run.tools, [fixed], run.targets.folder / "tested")
        (rendering,) = await chart.render(helm, [fixed])
        run.found += (("", finding) for finding in rendering.findings)
        own += [] if rendering.findings else rules.sources(rendering.objects)
    # An application of an earlier revision has that revision's rules.
    same = [each for each in renderings if each.target.chart.name == run.project.paths.chart]
    async with tasks.group() as group:
        group.start_soon(_expressions, run, renderings, own)
        group.start_soon(run.keep_named, rules.test_own, run.client, run.tools.promtool, run.root, same)
        if own and rules.tests(run.root):
            group.start_soon(run.keep, rules.test, run.client, run.tools.promtool, run.root, own)


async def _expressions(run: _Run, renderings: Sequence[Rendering], own: Sequence[Manifest]) -> None:
    """Check what needs every expression read: each text once, by one Prometheus."""
    tests = [path.read_text() for path in rules.tests(run.root)] if own else []
    texts = rules.expressions(tests).union(*(references.expressions(each.objects) for each in renderings))
    async with engine.empty(run.tools.prometheus) as reader:
        read = await reader.read(texts)
    there = run.project.cluster.prometheus.series
    for each in renderings:
        run.found += [(each.target.name, finding) for finding in references.check(each.objects, read, there)]
    run.found += [("", finding) for finding in rules.untested(own, tests, read)]


async def _control_plane(run: _Run, plane: Plane, renderings: Sequence[Rendering]) -> None:
    deployed = [each for each in renderings if each.target.application is not None]
    folder = run.targets.folder / "control-plane"
    there = brought.objects(run.root, run.project)
    asked = deployed or renderings
    playing = await course.playing(run.tools, run.root, run.project, asked) if run.plays else None
    said = await control_plane.check(run.client, plane, asked, there, folder, playing)
    run.refused += said.refused
    run.found += said.found
    run.courses += said.courses
    if run.base is not None:
        await _change(run, plane, run.base, deployed, there, run.targets.folder / "change")


async def _change(
    run: _Run, plane: Plane, base: Snapshot, deployed: Sequence[Rendering], there: Sequence[Brought], folder: Path
) -> None:
    """Apply what is deployed over what was there before, once it is known what is wrong with it by itself."""
    was = await before.rendered(base, run.tools.helm, [each.target for each in deployed], run.targets.applications)
    file = run.root / application_set.file_of(run.project)
    options = application_set.sync_options(file.read_bytes() if file.is_file() else None, run.project)
    refused, effects = await comparing.change(run.client, plane, deployed, was, options, there, folder)
    run.refused += without(refused, run.refused)
    run.effects += sorted(effects, key=lambda each: (each.place, each.model))


async def _runtimes(run: _Run, renderings: Sequence[Rendering]) -> None:
    known = await serving.kserves(run.tools.helm, run.tools.crds["kserve"])
    run.found += runtimes.rendered(renderings, known)


async def _again(run: _Run, renderings: Sequence[Rendering]) -> None:
    if renderings:
        wanted = [each.target for each in renderings]
        helm = _helm(run.client, run.tools, wanted, run.targets.folder / "again")
        again = await chart.render(helm.with_env_variable("RENDERED", "again"), wanted)  # Dagger keeps the first answer
        run.found += varying.rendered(run.project, renderings, again)


async def _throwaway(run: _Run, judged: Sequence[Target]) -> None:
    changed, wrong = throwaway.changed(run.project.throwaway, judged)
    run.found += wrong
    if changed:
        wanted = [each.target for each in changed]
        helm = _helm(run.client, run.tools, wanted, run.targets.folder / "throwaway")
        renderings = await chart.render(helm, wanted)
        run.found += throwaway.findings((run.root / FILE).read_text(encoding="utf-8-sig"), changed, renderings)


async def _gates(run: _Run, renderings: Sequence[Rendering], known: Collection[str]) -> None:
    tree = run.project.paths.tree
    try:
        found = await gates.assess(run.tools.prometheus, run.tools.promtool, run.root, tree, renderings, known=known)
    except declared.WrongFileError as error:
        remedy = error.fix or "docs/gates.md explains the file"
        run.found.append(("", Finding("gates", f"{tree}/{declared.FILE}", error.line, error.said, remedy)))
        return
    run.found += [("", finding) for finding in found.findings]
    run.gates = found.gates


def refuse(findings: Sequence[Finding]) -> None:
    """Raise where there is an error among findings.

    Args:
        findings: Of a check.

    Raises:
        CheckFailedError: There is one; the message counts them.
    """
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        files = len({finding.file for finding in errors})
        raise CheckFailedError(f"{len(errors)} {'error' if len(errors) == 1 else 'errors'}, files: {files}")
