"""The report as GitHub's job summary: Markdown, appended to the file that $GITHUB_STEP_SUMMARY names.

Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary
"""

import html
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ci.base import oserrors, settings
from ci.base.errors import CheckFailedError
from ci.base.text import counted, cut, lasting, one_line
from ci.report import applications, behaviour, matrix
from ci.report.words import headline, narrowed
from ci.results import CanaryTimeline, Proof, Report, errors_first

VARIABLE = "GITHUB_STEP_SUMMARY"
MOST_BYTES = (1 << 20) - 1
"""GitHub refuses the whole summary of a step above 1 MiB; other commands of the step may have written there before."""
IN_REPORT = "report.html in the run's report folder has all of it"
FINDINGS_SHOWN = 50
LONGEST = 600

SPECIAL = {ord(character): f"&#{ord(character)};" for character in r"\`*_{}[]()#+-.!|~@$:"}
"""What Markdown, or GitHub's own additions to it, would take for more than a character; "<", ">" and "&" are HTML's."""

MARKS = {"passed": "✅", "failed": "❌", "skipped": "➖", "interrupted": "❌"}


def append(report: Report) -> None:
    """Append a run's summary where GitHub asks for one; elsewhere nothing happens.

    Args:
        report: The run.

    Raises:
        OSError: The file cannot be written.
        CheckFailedError: It is full.
    """
    name = settings.variable(VARIABLE)
    if not name:
        return
    path = Path(name)
    there = path.stat().st_size if path.exists() else 0
    text = render(report, MOST_BYTES - there)
    if not text:
        raise CheckFailedError(f"{path} has {there} bytes already, and GitHub takes 1 MiB of a step")
    with oserrors.naming(path), open(path, "ab", opener=_at_once) as file:
        file.write(text.encode())


def _at_once(path: str, flags: int) -> int:
    """Open a file, or fail: a pipe that nobody reads would be waited for, deaf to signals."""
    return os.open(path, flags | os.O_NONBLOCK, 0o666)


def room_in_output() -> int | None:
    """Return how many bytes GitHub takes of standard output where that is the step's summary; else nothing."""
    name = settings.variable(VARIABLE)
    try:
        output = os.fstat(1)
        is_summary = bool(name) and os.path.samestat(output, Path(name or "").stat())
    except OSError:
        return None
    return MOST_BYTES - output.st_size if is_summary else None


def render(report: Report, most: int = MOST_BYTES) -> str:
    """Return a run's summary.

    Args:
        report: The run.
        most: Bytes that it may take.
    """
    return fitting(list(_parts(report)), most, IN_REPORT)


def fitting(parts: Sequence[tuple[str, str]], most: int, whole: str) -> str:
    """Return the parts that fit, from the first; those that do not are named.

    Args:
        parts: The name and the text of each.
        most: Bytes that all may take; nothing is returned where not even the names fit.
        whole: Says where all of it is.
    """
    kept, names = "", [name for name, _ in parts]
    for number, (_, text) in enumerate(parts):
        more = f"{kept}{text}\n\n"
        if len(f"{more}{_left_out(names[number + 1 :], whole)}".encode()) > most:
            said = kept + _left_out(names[number:], whole)
            return said if len(said.encode()) <= most else ""
        kept = more
    return kept


def _left_out(names: Sequence[str], whole: str) -> str:
    if not names:
        return ""
    return f"*Left out, for GitHub takes 1 MiB of a step: {', '.join(dict.fromkeys(names))}; {whole}.*\n"


def escaped(text: str) -> str:
    """Return a text as one line that Markdown shows as it is, in a table too.

    Args:
        text: From anywhere.
    """
    return html.escape(cut(one_line(text), LONGEST), quote=False).translate(SPECIAL)


def _parts(report: Report) -> Iterator[tuple[str, str]]:
    yield "outcome", f"## {MARKS[report.outcome]} {escaped(headline(report)).capitalize()}"
    if worth := escaped(narrowed(report)):
        yield "outcome", f"**{worth[0].upper()}{worth[1:]}**"
    if report.failure is not None:
        yield "outcome", f"**{escaped(report.failure.message)}**"
        if report.failure.fix:
            yield "outcome", f"Fix: {escaped(report.failure.fix)}"
    if report.culprits:
        yield "outcome", "\n".join(["Likely to blame:", "", *(f"- {escaped(line)}" for line in report.culprits[:10])])
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
        yield "stages", _table(("", "Stage", "Seconds", ""), rows)
    if report.applications:
        served = [row for each in applications.ended(report) for row in _sets(*each)]
        yield "applications", _table(("", "Application", "Set", "Model served", "Image served"), served)
        for proof, why in applications.ended(report):
            yield "applications", _proof(proof, why)
    if report.canaries:
        headings = ("Canary", "Ended", "After", "Requests", "Failed", "p95 stable", "p95 canary")
        yield "canaries", _table(headings, [_canary(canary) for canary in report.canaries])
    if report.behaviour is not None:
        yield "model behaviour", behaviour.markdown(report.behaviour).rstrip("\n")
    for proof in report.applications:
        if proof.behaviour is not None and proof.champion is not None:
            yield "model behaviour", behaviour.markdown(proof.behaviour).rstrip("\n")
    if report.gates:
        scores = [f"- {escaped(names)}: {score}" for names, score in matrix.scores(report.gates).items()]
        yield "gates", "\n".join(["Gates, replayed against simulated versions:", "", *scores])
    if report.effects:
        yield (
            "effects",
            "\n".join(["What the change does to pods:", "", *(f"- {escaped(str(each))}" for each in report.effects)]),
        )
    if report.findings:
        yield "findings", _findings(report)
    yield "command", f"<sub>{escaped(report.command)} · {IN_REPORT}</sub>"


def _sets(proof: Proof, why: str) -> list[tuple[str, ...]]:
    """Return a row for each set of an application."""
    return [
        (
            MARKS[applications.outcome(proof, why)],
            applications.name(proof),
            f"{what}: {applications.label(served)}",
            applications.short(served.model),
            applications.short(served.image),
        )
        for what, served in applications.sets(proof, why)
    ]


def _proof(proof: Proof, why: str) -> str:
    lines = [*applications.told(proof, why), *(f"changed for the cluster: {line}" for line in proof.overlay)]
    items = "\n".join(f"- {escaped(line)}" for line in lines)
    return f"<details><summary>{escaped(applications.name(proof))}</summary>\n\n{items}\n\n</details>"


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
