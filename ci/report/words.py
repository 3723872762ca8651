"""Words that every view of the report shares: how a run ended, where, and what it took."""

from ci.base.text import lasting
from ci.results import Report, Usage


def place(report: Report) -> str:
    """Return where a run ended before its end: a stage, or nothing where it was between two."""
    if report.failure is not None:
        return report.failure.where
    return next((stage.name for stage in report.stages if stage.outcome == "failed"), "")


def narrowed(report: Report) -> str:
    """Return why a run proves nothing for promote; nothing where it does."""
    if report.left_out:
        return f"narrowed: this run proves nothing for promote; left out: {', '.join(report.left_out)}"
    return f"this run proves nothing for promote: {report.unproven}" if report.unproven else ""


def headline(report: Report) -> str:
    """Return how a run ended: "passed in 5 min 38 s, narrowed", "failed at canary after 52.9 s"."""
    if report.outcome == "passed":
        return f"passed in {lasting(report.seconds)}{', narrowed' if report.left_out else ''}"
    where = place(report)
    return f"{report.outcome}{f' at {where}' if where else ''} after {lasting(report.seconds)}"


def used(usage: Usage) -> str:
    """Return what a run took of the machine, in a few words."""
    memory, disk, supply = usage.memory / (1 << 30), usage.disk / 1e9, usage.supply / 1e9
    return (
        f"took at most {memory:.1f} GiB of memory and {disk:.1f} GB of disk, beside {supply:.1f} GB of images and tools"
    )
