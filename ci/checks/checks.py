"""Every check that needs no cluster, at once, and their findings as one list."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import dagger

from ci.base import paths, tasks
from ci.base.errors import CheckFailedError
from ci.checks import chart, gates, rules, schema, style, tools
from ci.manifests import manifests, references
from ci.manifests.chart import Chart, Rendering
from ci.results import Finding, Gate


@dataclass(frozen=True)
class Lint:
    """What the checks say.

    Attributes:
        findings: By file and line; what several environments share is there once.
        gates: The canary's gates against simulated faults.
    """

    findings: list[Finding]
    gates: list[Gate]


@dataclass
class _Run:
    client: dagger.Client
    tools: tools.Tools
    root: Path
    chart: Chart
    helm: dagger.Container
    environments: Sequence[str]
    found: list[tuple[str, Finding]] = field(default_factory=list)  # with the environment, or ""
    gates: list[Gate] = field(default_factory=list)

    async def keep(self, environment: str, check: Callable[..., Awaitable[list[Finding]]], *args: object) -> None:
        self.found += [(environment, finding) for finding in await check(*args)]


async def lint(
    client: dagger.Client,
    tool: tools.Tools,
    root: Path = paths.ROOT,
    environments: Sequence[str] = paths.ENVIRONMENTS,
) -> Lint:
    """Run every check on a checkout.

    Args:
        client: The Dagger session.
        tool: What the checks run with.
        root: The top of the checkout.
        environments: Whose values the chart is rendered with.

    Returns:
        What they find.
    """
    source = the_chart(tool, root)
    run = _Run(client, tool, root, source, chart.helm(client, tool.helm, source), environments)
    async with tasks.group() as group:
        group.start_soon(_style, run)
        group.start_soon(_chart, run)
    return Lint(merged(run.found, environments), run.gates)


async def render(
    client: dagger.Client, tool: tools.Tools, environments: Sequence[str], root: Path = paths.ROOT
) -> list[Rendering]:
    """Render the chart with the values of each environment.

    Args:
        client: The Dagger session.
        tool: What it takes.
        environments: Which ones.
        root: The top of the checkout.

    Returns:
        The renderings, in the same order.
    """
    source = the_chart(tool, root)
    helm = chart.helm(client, tool.helm, source)
    renderings: dict[str, Rendering] = {}

    async def one(environment: str) -> None:
        renderings[environment] = await chart.render(helm, source, environment)

    async with tasks.group() as group:
        for environment in environments:
            group.start_soon(one, environment)
    return [renderings[environment] for environment in environments]


def the_chart(tool: tools.Tools, root: Path = paths.ROOT) -> Chart:
    """Return the project's chart.

    Args:
        tool: Names the cluster's version.
        root: The top of the checkout.

    Returns:
        The chart.
    """
    return Chart(root, str(paths.CHART.relative_to(paths.ROOT)), tool.kubernetes_version)


def merged(found: Sequence[tuple[str, Finding]], environments: Sequence[str]) -> list[Finding]:
    """Say once what several environments share, and name the environment where only some have it.

    Args:
        found: Findings, each with its environment ("" for those without).
        environments: All of them.

    Returns:
        The findings by file and line.
    """
    by_finding: dict[Finding, list[str]] = {}
    for environment, finding in found:
        by_finding.setdefault(finding, []).append(environment)
    result = []
    for finding, where in by_finding.items():
        some = [environment for environment in environments if environment in where]
        if some and len(some) < len(environments):
            result.append(replace(finding, message=f"{finding.message} [{', '.join(some)}]"))
        else:
            result.append(finding)
    return sorted(result, key=lambda finding: (finding.file, finding.line, finding.check, finding.message))


async def _style(run: _Run) -> None:
    container = style.linters(run.client, run.tools.wheels, run.root)
    async with tasks.group() as group:
        group.start_soon(run.keep, "", style.yaml, run.client, container, run.root)
        group.start_soon(run.keep, "", style.python, run.client, container, run.root)
        group.start_soon(run.keep, "", style.workflows, run.client, container, run.tools.actionlint, run.root)


async def _chart(run: _Run) -> None:
    parsed: dict[str, list[manifests.Manifest]] = {}

    async def one(environment: str) -> None:
        rendering = await chart.render(run.helm, run.chart, environment)
        run.found += [(environment, finding) for finding in rendering.findings]
        if not rendering.findings:
            parsed[environment] = chart.objects(run.chart, rendering)

    async with tasks.group() as group:
        for environment in run.environments:
            group.start_soon(run.keep, environment, chart.lint, run.helm, run.chart, environment)
            group.start_soon(one, environment)
    # in one order, whichever came first: the same question gets the remembered answer
    rendered = {environment: parsed[environment] for environment in run.environments if environment in parsed}
    if not rendered:
        return
    async with tasks.group() as group:
        group.start_soon(_schema, run, rendered)
        group.start_soon(_gates, run, rendered)
        for environment, objects in rendered.items():
            run.found += [(environment, finding) for finding in references.check(objects)]
            group.start_soon(run.keep, environment, rules.check, run.client, run.tools.promtool, run.root, objects)


async def _gates(run: _Run, rendered: dict[str, list[manifests.Manifest]]) -> None:
    rendering = await chart.render(run.helm, run.chart, paths.DEFAULTS)
    defaults = {} if rendering.findings else {paths.DEFAULTS: chart.objects(run.chart, rendering)}
    found = await gates.assess(run.tools.prometheus, run.tools.promtool, run.chart, defaults | rendered)
    run.found += [("", finding) for finding in found.findings]
    run.gates = found.gates


async def _schema(run: _Run, rendered: dict[str, list[manifests.Manifest]]) -> None:
    for environment, findings in (await schema.validate(run.client, run.tools, rendered)).items():
        run.found += [(environment, finding) for finding in findings]


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
