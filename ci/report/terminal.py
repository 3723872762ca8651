"""The report for the person at the terminal: rich renderables, printed by whoever owns the console."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ci.base.calling import as_called
from ci.base.text import counted, inert
from ci.report import applications as words
from ci.report import behaviour as plots
from ci.report.words import narrowed, used
from ci.results import (
    Behaviour,
    CanaryCourse,
    CanaryTimeline,
    Effect,
    Event,
    Finding,
    Proof,
    Report,
    RevisionTraffic,
    Share,
    Stage,
    WeightChange,
    errors_first,
)

MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("-", "dim"), "interrupted": ("✗", "red")}
BAR_CELLS = 20
COURSE = "pauses and intervals shortened, no pod ran, all figures made up; it says nothing of the model"


def render(report: Report) -> Group:
    """Return the whole report.

    Args:
        report: The run.

    Returns:
        Something `rich.console.Console.print` takes.
    """
    report = inert(report)
    parts: list[RenderableType] = []
    if report.effects:
        parts += [effects(report.effects), Text()]
    if report.findings:
        parts += [findings(report.findings), Text()]
    for canary in report.canaries:
        parts += [timeline(canary), Text()]
    if report.behaviour:
        parts += [behaviour(report.behaviour), Text()]
    if report.gitops:
        parts += [events(report.gitops), Text()]
    for proof, why in words.ended(report):
        parts += [application(proof, why), Text()]
    if report.stages:
        parts += [stages(report.stages), Text()]
    mark, style = MARKS[report.outcome]
    parts.append(Text(f"{mark} {report.outcome} in {report.seconds:.1f} s", style=f"bold {style}"))
    if report.usage:
        parts.append(Text(used(report.usage)))
    if worth := narrowed(report):
        parts.append(Text(worth, style="bold yellow"))
    return Group(*parts)


def behaviour(result: Behaviour) -> Group:
    """Return how a model version's behaviour differs: by slice, in latency, and each answer that went wrong.

    Args:
        result: What came out.

    Returns:
        A heading, what the gates have against it, and tables with plots.
    """
    mark, style = MARKS["failed" if result.failures else "passed"]
    heading = f"{result.champion} → {result.candidate} on {result.golden} {result.golden_version}"
    parts: list[RenderableType] = [
        Text.assemble((f"{mark} ", style), (heading, "bold"), f": {plots.verdict(result)}"),
        *(Text(f"  ✗ {line}", style="red") for line in result.failures),
        *(Text(f"  {line}") for line in plots.failed(result)),
        *_answers(result),
    ]
    return Group(*parts)


def _answers(result: Behaviour) -> list[RenderableType]:
    parts: list[RenderableType] = [_slices(result), _accuracies(result)]
    if result.latency:
        parts.append(_latency(result))
    if result.regressions:
        parts.append(_regressions(result))
    return parts


def _slices(result: Behaviour) -> Table:
    table = titled("Answers by slice: how many are right before and after")
    for heading in ("Slice", "Inputs", "Agree", "Before", "After", "Worse", "Better", "p"):
        table.add_column(heading, justify="left" if heading == "Slice" else "right", no_wrap=True)
    for each in result.slices:
        shares = (plots.percent(share) for share in (each.agreement, each.champion, each.candidate))
        worse = Text(str(each.regressions), style="red" if each.regressions else "")
        figures = (worse, str(each.improvements), plots.p_value(each.p_value))
        table.add_row(Text(each.name), str(each.agreement.total), *shares, *figures)
    return table


def _accuracies(result: Behaviour) -> Table:
    table = titled(plots.accuracy_title(result))
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True, overflow="crop")
    start = plots.accuracy_axis(result)
    for each in result.slices:
        table.add_row(Text(each.name), Text(plots.accuracy_bar(each, start)))
    return table


def _latency(result: Behaviour) -> Table:
    table = titled(plots.latency_title(result))
    for heading in ("", "Before ms", "After ms", "Difference ms (95 %)"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    table.add_column("", no_wrap=True, overflow="crop")
    reach = plots.latency_axis(result)
    for item in result.latency:
        figures = (f"{item.champion_ms:.1f}", f"{item.candidate_ms:.1f}", plots.difference(item))
        table.add_row(f"p{item.percentile}", *figures, Text(plots.latency_bar(item, reach)))
    return table


def _regressions(result: Behaviour) -> Table:
    left = len(result.regressions) - plots.SHOWN
    table = titled("Answers that went from right to wrong" + (f" ({left} more in report.json)" if left > 0 else ""))
    table.add_column("Input", no_wrap=True)
    table.add_column("Expected", no_wrap=True)
    table.add_column("Answered", overflow="fold")
    for item in result.regressions[: plots.SHOWN]:
        table.add_row(Text(item.input), Text(plots.expected(item)), Text(plots.answered(item)))
    return table


def application(proof: Proof, why: str) -> Group:
    """Return what was proven of one application: the sets, what was served, asked and moved; not its canary's steps.

    Args:
        proof: What was proven.
        why: Why it failed; empty where it did not.

    Returns:
        A heading, a table, and a line for each thing there is to know.
    """
    mark, style = MARKS[words.outcome(proof, why)]
    heading = Text.assemble((f"{mark} ", style), (words.name(proof), "bold"), f": {words.moved(proof)}")
    parts: list[RenderableType] = [heading]
    if why:
        parts.append(Text(f"  ✗ {why}", style="red"))
    if proof.reached:
        parts.append(_served(proof, why))
    parts += [Text(f"  {line}") for line in words.told(proof, why)]
    if proof.overlay:
        parts.append(Text("  changed for the cluster:"))
        parts += [Text(f"    {line}") for line in proof.overlay]
    if proof.behaviour is not None and proof.champion is not None:
        parts += _answers(proof.behaviour)
    return Group(*parts)


def _served(proof: Proof, why: str) -> Table:
    table = titled("As served, digests cut")
    for heading in ("", "Model", "Its files", "Image", "Served"):
        table.add_column(heading, no_wrap=heading == "", overflow="fold")
    for what, served in words.sets(proof, why):
        model = (served.release.get("model.version", ""), words.short(served.model))
        image = (served.release.get("image.tag", ""), words.short(served.image))
        table.add_row(what, *map(Text, (*model, *image)))
    return table


def events(items: Sequence[Event]) -> Table:
    """Return one row an event of a loop of commits.

    Args:
        items: The events in order.

    Returns:
        A table.
    """
    table = titled("Versions moved by commits")
    table.add_column("At", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for event in items:
        table.add_row(f"{event.at:.1f} s", Text(event.what))
    return table


def stages(items: Sequence[Stage]) -> Table:
    """Return one row a stage: ✓ or ✗, its name, its seconds, why it failed.

    Args:
        items: The stages in order.

    Returns:
        A table.
    """
    table = titled("Stages")
    table.add_column("", width=1)
    table.add_column("Stage", no_wrap=True)
    table.add_column("Seconds", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for stage in items:
        mark, style = MARKS[stage.outcome]
        seconds = "" if stage.outcome == "skipped" else f"{stage.seconds:.1f}"
        table.add_row(Text(mark, style=style), Text(stage.name), seconds, Text(stage.message))
    return table


def effects(items: Sequence[Effect]) -> Group:
    """Return what a change does to pods, a line each.

    Args:
        items: One for each model.
    """
    return Group(*(Text(f"• {each}") for each in inert(list(items))))


def findings(items: Sequence[Finding]) -> Group:
    """Return the findings, errors first, each with its place on a line of its own that an editor can open.

    Args:
        items: The findings of every check.

    Returns:
        Lines of text: a table would cut the paths of a narrow terminal.
    """
    lines: list[Text] = []
    for finding in errors_first(inert(list(items))):
        mark, style = ("✗", "red") if finding.severity == "error" else ("!", "yellow")
        lines.append(
            Text.assemble(
                (f"{mark} ", style), (finding.place, "bold"), f" {finding.message} ", (f"({finding.check})", "dim")
            )
        )
        lines.append(Text(f"  → {as_called(finding.remedy)}"))
    errors = sum(finding.severity == "error" for finding in items)
    lines.append(Text(f"{counted(errors, 'error')}, {counted(len(items) - errors, 'warning')}", style="bold"))
    return Group(*lines)


def courses(items: Sequence[CanaryCourse]) -> Group:
    """Return how canaries went on a control plane without nodes, and what that does not say.

    Args:
        items: The Rollouts that were played.

    Returns:
        A line for each.
    """
    lines = [Text(f"{counted(len(items), 'canary course')}: {COURSE}", style="bold")]
    for each in inert(list(items)):
        mark, style = MARKS["failed" if each.wrong else "passed"]
        lines.append(Text.assemble((f"{mark} ", style), (each.application, "bold"), f" {each.rollout}: {_went(each)}"))
    return Group(*lines)


def _went(course: CanaryCourse) -> str:
    if course.wrong:
        return course.wrong
    weights = ", ".join(f"{weight} %" for weight in course.weights)
    parts = [f"a good version becomes stable{f' by {weights}' if weights else ''}"]
    if course.promoted:
        parts.append(f"step {', '.join(map(str, course.promoted))}, which waits for a person, was promoted")
    stopped = f"one with '{course.fault}' is stopped by {', '.join(course.by)}"
    parts.append(stopped if course.fault else "no bad version was played")
    return "; ".join(parts)


def timeline(canary: CanaryTimeline) -> Group:
    """Return one canary: its weights over time, the share of answers at each, the latency by revision.

    Args:
        canary: What was observed.

    Returns:
        A heading and up to three tables.
    """
    failed = Text(f"{canary.failed} failed", style="red" if canary.failed else "green")
    pauses = f"{canary.declared_pause_seconds:.0f} s"
    # stopped before their end, or a way back that takes no steps
    held = f"{pauses} of them declared" if canary.seconds >= canary.declared_pause_seconds else f"not all {pauses} of"
    heading = Text.assemble(
        (canary.name, "bold"),
        f": {canary.outcome} after {canary.seconds:.1f} s ({held} pauses); {counted(canary.requests, 'request')}, ",
        failed,
    )
    parts: list[RenderableType] = [heading]
    if canary.weights:
        parts.append(_weights(canary.weights))
    if canary.shares:
        parts.append(_shares(canary.shares))
    if canary.traffic:
        parts.append(_traffic(canary))
    return Group(*parts)


def _weights(weights: Sequence[WeightChange]) -> Table:
    table = titled("Weights on the VirtualService")
    table.add_column("At", justify="right", no_wrap=True)
    table.add_column("Stable", justify="right", no_wrap=True)
    table.add_column("Canary", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, overflow="crop")
    for change in weights:
        cells = round(change.canary * BAR_CELLS / 100)
        table.add_row(
            f"{change.at:.1f} s", f"{change.stable} %", f"{change.canary} %", "█" * cells + "░" * (BAR_CELLS - cells)
        )
    return table


def _shares(shares: Sequence[Share]) -> Table:
    table = titled("Answers of the canary at each weight")
    for heading in ("Weight", "Requests", "Canary", "Share", "Bound"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", width=1)
    for share in shares:
        table.add_row(
            f"{share.canary_weight} %",
            str(share.requests),
            str(share.canary_requests),
            f"{share.canary_requests / share.requests:.1%}" if share.requests else "",
            f"{share.low} to {share.high}",
            Text("✓", style="green") if share.inside else Text("✗", style="red"),
        )
    return table


def _traffic(canary: CanaryTimeline) -> Table:
    table = titled("Latency by revision, seen by the client")
    for heading in ("Revision", "Requests", "Failed", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(heading, justify="left" if heading == "Revision" else "right", no_wrap=True)
    for item in canary.traffic:
        table.add_row(
            Text(_revision(canary, item)),
            str(item.requests),
            Text(str(item.failed), style="red" if item.failed else ""),
            f"{item.p50_ms:.1f}",
            f"{item.p95_ms:.1f}",
            f"{item.p99_ms:.1f}",
        )
    return table


def _revision(canary: CanaryTimeline, item: RevisionTraffic) -> str:
    role = canary.role(item.revision)
    return f"{item.revision} ({role})" if role else item.revision


def titled(title: str) -> Table:
    """Return an empty table in the report's style."""
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
