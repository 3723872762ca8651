"""The report as GitHub's job summary: Markdown, appended to the file that $GITHUB_STEP_SUMMARY names.

Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary
"""

import html
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from ci import settings
from ci.report import behaviour, matrix
from ci.report.model import CanaryTimeline, Report, errors_first
from ci.report.text import counted, headline, lasting, legal, narrowed

VARIABLE = "GITHUB_STEP_SUMMARY"
MOST_BYTES = 1 << 20
"""GitHub refuses the whole summary of a step above it; other commands of the step may have written there before."""
CUT = "\n\n*More is in the report.*\n"
FINDINGS_SHOWN = 50
LONGEST = 600

SPECIAL = {ord(character): f"&#{ord(character)};" for character in r"\`*_{}[]()#+-.!|~@$:"}
"""What Markdown, or GitHub's own additions to it, would take for more than a character; "<", ">" and "&" are HTML's."""

MARKS = {"passed": "✅", "failed": "❌", "skipped": "➖", "interrupted": "❌"}


def append(report: Report) -> None:
    """Append the summary where GitHub asks for one; elsewhere nothing happens.

    Args:
        report: The run.

    Raises:
        OSError: The file cannot be written.
    """
    name = settings.variable(VARIABLE)
    if not name:
        return
    path = Path(name)
    there = path.stat().st_size if path.exists() else 0
    with path.open("ab") as file:
        file.write(render(report, MOST_BYTES - there).encode())


def render(report: Report, most: int = MOST_BYTES) -> str:
    """Return the summary.

    Args:
        report: The run.
        most: Bytes that it may take; parts that do not fit are left out, from the end, and that is said.
    """
    kept = ""
    for part in _parts(report):
        if len(f"{kept}{part}\n\n{CUT}".encode()) > most:
            return kept + CUT if len(CUT.encode()) <= most else ""
        kept += f"{part}\n\n"
    return kept


def escaped(text: str) -> str:
    """Return a text as one line that Markdown shows as it is, in a table too.

    Args:
        text: From anywhere.
    """
    line = " ".join(legal(text).split())
    shown = line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
    return html.escape(shown, quote=False).translate(SPECIAL)


def _parts(report: Report) -> Iterator[str]:
    yield f"## {MARKS[report.outcome]} {escaped(headline(report)).capitalize()}"
    if report.left_out:
        yield f"**{escaped(narrowed(report)).capitalize()}**"
    if report.failure is not None:
        yield f"**{escaped(report.failure.message)}**"
        if report.failure.fix:
            yield f"Fix: {escaped(report.failure.fix)}"
    if report.culprits:
        yield "\n".join(["Likely to blame:", "", *(f"- {escaped(line)}" for line in report.culprits[:10])])
    if report.stages:
        rows = [
            (
                MARKS[stage.outcome],
                stage.name,
                "" if stage.outcome == "skipped" else f"{stage.seconds:.1f}",
                stage.message,
            )
            for stage in report.stages
        ]
        yield _table(("", "Stage", "Seconds", ""), rows)
    if report.canaries:
        headings = ("Canary", "Ended", "After", "Requests", "Failed", "p95 stable", "p95 canary")
        yield _table(headings, [_canary(canary) for canary in report.canaries])
    if report.behaviour is not None:
        yield behaviour.markdown(report.behaviour).rstrip("\n")
    if report.gates:
        scores = [
            f"- {escaped(name)}: {matrix.score(list(own))}"
            for name, own in groupby(report.gates, key=attrgetter("environment"))
        ]
        yield "\n".join(["Gates, replayed against simulated versions:", "", *scores])
    if report.findings:
        yield _findings(report)
    yield f"<sub>{escaped(report.command)} · the whole report is report.html in the run's report folder</sub>"


def _canary(canary: CanaryTimeline) -> tuple[str, ...]:
    p95 = {canary.role(item.revision): f"{item.p95_ms:.1f} ms" for item in canary.traffic}
    return (
        canary.name,
        canary.outcome,
        lasting(canary.seconds),
        str(canary.requests),
        str(canary.failed),
        p95.get("stable", ""),
        p95.get("canary", ""),
    )


def _findings(report: Report) -> str:
    findings = errors_first(report.findings)
    errors = sum(finding.severity == "error" for finding in findings)
    rows = [
        ("❌" if item.severity == "error" else "⚠️", item.place, item.message, item.remedy)
        for item in findings[:FINDINGS_SHOWN]
    ]
    table = _table(("", "Where", "Finding", "Remedy"), rows)
    more = len(findings) - FINDINGS_SHOWN
    heading = f"<summary>{counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}</summary>"
    rest = f"\n\n{more} more are in the report." if more > 0 else ""
    return f"<details{' open' if errors else ''}>{heading}\n\n{table}{rest}\n\n</details>"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings)]
    lines += [[escaped(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
