"""The report for the person at the terminal: rich renderables, printed by whoever owns the console."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ci.report.model import CanaryTimeline, Event, Finding, Report, RevisionTraffic, Share, Stage, WeightChange

MARKS = {"passed": ("✓", "green"), "failed": ("✗", "red"), "skipped": ("-", "dim"), "interrupted": ("✗", "red")}
BAR_CELLS = 20


def render(report: Report) -> Group:
    """Return the whole report.

    Args:
        report: The run.

    Returns:
        Something `rich.console.Console.print` takes.
    """
    parts: list[RenderableType] = []
    if report.findings:
        parts += [findings(report.findings), Text()]
    for canary in report.canaries:
        parts += [timeline(canary), Text()]
    if report.gitops:
        parts += [events(report.gitops), Text()]
    if report.stages:
        parts += [stages(report.stages), Text()]
    mark, style = MARKS[report.outcome]
    parts.append(Text(f"{mark} {report.outcome} in {report.seconds:.1f} s", style=f"bold {style}"))
    return Group(*parts)


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


def findings(items: Sequence[Finding]) -> Group:
    """Return the findings, errors first, each with its place on a line of its own that an editor can open.

    Args:
        items: The findings of every check.

    Returns:
        Lines of text: a table would cut the paths of a narrow terminal.
    """
    lines: list[Text] = []
    for finding in sorted(items, key=lambda item: (item.severity != "error", item.file, item.line)):
        mark, style = ("✗", "red") if finding.severity == "error" else ("!", "yellow")
        where = f"{finding.file}:{finding.line}" if finding.line else finding.file
        lines.append(
            Text.assemble((f"{mark} ", style), (where, "bold"), f" {finding.message} ", (f"({finding.check})", "dim"))
        )
        lines.append(Text(f"  → {finding.remedy}"))
    errors = sum(finding.severity == "error" for finding in items)
    lines.append(Text(f"{_counted(errors, 'error')}, {_counted(len(items) - errors, 'warning')}", style="bold"))
    return Group(*lines)


def timeline(canary: CanaryTimeline) -> Group:
    """Return one canary: its weights over time, the share of answers at each, the latency by revision.

    Args:
        canary: What was observed.

    Returns:
        A heading and up to three tables.
    """
    failed = Text(f"{canary.failed} failed", style="red" if canary.failed else "green")
    heading = Text.assemble(
        (canary.name, "bold"),
        f": {canary.outcome} after {canary.seconds:.1f} s "
        f"({canary.declared_pause_seconds:.0f} s of them declared pauses); "
        f"{_counted(canary.requests, 'request')}, ",
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
        inside = share.low <= share.canary_requests <= share.high
        table.add_row(
            f"{share.canary_weight} %",
            str(share.requests),
            str(share.canary_requests),
            f"{share.canary_requests / share.requests:.1%}" if share.requests else "",
            f"{share.low} to {share.high}",
            Text("✓", style="green") if inside else Text("✗", style="red"),
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
    role = {canary.stable_revision: " (stable)", canary.canary_revision: " (canary)"}.get(item.revision, "")
    return item.revision + role


def titled(title: str) -> Table:
    """Return an empty table in the report's style."""
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
