"""Words that every view of the report shares."""

from ci.report.model import Report

ILLEGAL = dict.fromkeys(
    [
        *(code for code in range(0x20) if code not in (0x9, 0xA, 0xD)),
        *range(0x7F, 0xA0),
        *range(0xD800, 0xE000),
        0xFFFE,
        0xFFFF,
    ]
)
"""Characters that XML 1.0 or HTML cannot hold (a log line's colour codes, say); they are left out."""


def legal(text: str) -> str:
    """Return a text without the characters that no XML and no HTML can hold."""
    return text.translate(ILLEGAL)


def counted(number: int, noun: str) -> str:
    """Return "1 request", "2 requests"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def lasting(seconds: float) -> str:
    """Return a duration as people say it: "52.9 s", "5 min 38 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def place(report: Report) -> str:
    """Return where a run ended before its end: a stage, or nothing where it was between two."""
    if report.failure is not None:
        return report.failure.where
    return next((stage.name for stage in report.stages if stage.outcome == "failed"), "")


def narrowed(report: Report) -> str:
    """Return what a run left out, and what it is worth then; nothing of a whole one."""
    if not report.left_out:
        return ""
    return f"narrowed: this run proves nothing for promote; left out: {', '.join(report.left_out)}"


def headline(report: Report) -> str:
    """Return how a run ended: "passed in 5 min 38 s, narrowed", "failed at canary after 52.9 s"."""
    if report.outcome == "passed":
        return f"passed in {lasting(report.seconds)}{', narrowed' if report.left_out else ''}"
    where = place(report)
    return f"{report.outcome}{f' at {where}' if where else ''} after {lasting(report.seconds)}"
