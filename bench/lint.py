"""`python bench/lint.py`: the seconds that `lint` and `gates` take for 1 and for 20 applications, as whole commands.

A project of its own, in three shapes: one application; twenty whose canaries differ in their names alone, which are
judged once; twenty with limits of their own, which are not. Each command runs once unmeasured first: that one warms the
supply, and the first run of a changed project is what the second shape measures.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if __package__ in (None, ""):  # `python bench/lint.py`: make the packages importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console
from rich.table import Table

from ci.base import paths
from tests.harness import project
from tests.harness.project import Made

MANY = 20
GOALS = {1: 15, MANY: 60}
"""Seconds, by the number of applications, on 2 cores."""


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="measured runs of each (default: %(default)s)")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    table = Table(title=f"Seconds, {os.cpu_count()} cores", title_justify="left", box=None, pad_edge=False)
    for heading in ("", "Median", "Least", "Most", "Goal"):
        table.add_column(heading, justify="right" if heading else "left")
    shapes = (("1 application", 1, False), (f"{MANY}, alike", MANY, False), (f"{MANY}, each with its own", MANY, True))
    for said, number, own in shapes:
        for command in ("lint", "gates"):
            seconds = [_seconds(command, number, own, run) for run in range(options.runs + 1)][1:]
            figures = (f"{value:.1f}" for value in (statistics.median(seconds), min(seconds), max(seconds)))
            table.add_row(f"{command}: {said}", *figures, f"≤ {GOALS[number]}")
    Console().print(table)


def _seconds(command: str, number: int, own: bool, run: int) -> float:
    """Time a command on a project that Dagger has not seen: what it remembers of another run is no measure."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"model-{run}-{each}" for each in range(number)]
        made = project.made(Path(folder), environments=("lab",), applications=names)
        if own:
            _unlike(made, names)
        argv = [sys.executable, paths.ROOT / "ci" / "main.py", f"--project={folder}", command]
        started = time.monotonic()
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - started
    if done.returncode not in (0, 1):  # that a gate is too weak is no failure here
        sys.exit(done.stdout + done.stderr)
    return seconds


def _unlike(made: Made, names: list[str]) -> None:
    for each, name in enumerate(names):
        made.deploy("lab", name, values={"canary": {"analysis": {"minRequests": 20 + each}}})


if __name__ == "__main__":
    main()
