"""`python bench/run.py`: the times that people wait for, as medians of real runs on this machine.

Runs the project's own commands as a user would, each once unmeasured first: that run warms what the figures take as
warm (the supply, the Dagger cache). Seconds of a test run's stages come from its report.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

if __package__ in (None, ""):  # `python bench/run.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console
from rich.table import Table

from ci.base import jsonfile, paths
from ci.results import Report

TO_FIRST_ANSWER = ("cluster", "stack", "install")
"""Stages from nothing to the first good answers through the mesh, with which `install` ends."""

GOALS = {"lint + template": 10.0, "cluster ready": 15.0, "first answer": 60.0, "whole test, without pauses": 90.0}
"""Seconds, on 2 cores with a warm supply."""


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="measured runs of each command (default: %(default)s)")
    parser.add_argument("--no-test", action="store_true", help="measure only what needs no cluster")
    parser.add_argument("--supply", default="auto", help="as for `ci/main.py test` (default: %(default)s)")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")

    checks = [_seconds("lint") + _seconds("template") for _ in range(options.runs + 1)]
    measured = {"lint + template": checks[1:]}
    if not options.no_test:
        reports = [_test(options.supply) for _ in range(options.runs + 1)][1:]
        measured["cluster ready"] = [_stages(report, ("cluster",)) for report in reports]
        measured["first answer"] = [_stages(report, TO_FIRST_ANSWER) for report in reports]
        measured["whole test, without pauses"] = [report.seconds - _pauses(report) for report in reports]
        for stage in reports[0].stages:
            measured[f"stage {stage.name}"] = [_stages(report, (stage.name,)) for report in reports]
    Console().print(_table(measured))


def _seconds(*command: str) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, paths.ROOT / "ci" / "main.py", *command], cwd=paths.ROOT, check=True)
    return time.monotonic() - started


def _test(supply: str) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        _seconds("test", "--supply", supply, "--report", folder)
        return jsonfile.read(Path(folder) / "report.json", Report)


def _stages(report: Report, names: Sequence[str]) -> float:
    return sum(stage.seconds for stage in report.stages if stage.name in names)


def _pauses(report: Report) -> float:
    """Seconds that the longest canary waits on purpose; the others run beside it."""
    return max(canary.declared_pause_seconds for canary in report.canaries)


def _table(measured: Mapping[str, Sequence[float]]) -> Table:
    table = Table(title="Seconds", title_justify="left", box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for heading in ("Median", "Least", "Most", "Goal"):
        table.add_column(heading, justify="right")
    for name, seconds in measured.items():
        median, goal = statistics.median(seconds), GOALS.get(name)
        style = "" if goal is None else "green" if median <= goal else "red"
        table.add_row(
            name,
            f"[{style}]{median:.1f}[/]" if style else f"{median:.1f}",
            f"{min(seconds):.1f}",
            f"{max(seconds):.1f}",
            "" if goal is None else f"≤ {goal:.0f}",
        )
    return table


if __name__ == "__main__":
    main()
