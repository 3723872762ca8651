"""`python bench/lint.py`: the seconds that `lint` and `gates` take for 1 and for 20 applications, as whole commands.

A project of its own, in three shapes: one application, in three environments; twenty whose canaries differ in their
names alone, which are judged once; twenty with limits of their own, which are not. And one canary that is played. Each
command runs once unmeasured first: that one warms the supply, and the first run of a changed project is what the second
shape measures.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):  # `python bench/lint.py`: make the packages importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console

from bench import measuring
from tests.harness import project
from tests.harness.project import Made

MANY = 20
GOALS = {1: 10, MANY: 60}
"""Seconds, by the number of applications, on 2 cores."""
COURSE, COURSE_GOAL = "--canary-course", 25
"""The option that plays canaries, and the seconds of `lint` with it, for one environment."""
ENVIRONMENTS = ("lab", "trial", "live")
"""Of the one application; many are in the first."""


def main() -> None:
    """Parse, run, print."""
    runs = measuring.runs(__doc__, 3)
    table = measuring.table(f"Seconds, {os.cpu_count()} cores", "", "Median", "Least", "Most", "Goal")
    shapes = (("1 application", 1, False), (f"{MANY}, alike", MANY, False), (f"{MANY}, each with its own", MANY, True))
    for said, number, own in shapes:
        for command in ("lint", "gates"):
            seconds = [_seconds([command], number, own, run) for run in range(runs + 1)][1:]
            table.add_row(f"{command}: {said}", *measuring.spread(seconds, 1), f"≤ {GOALS[number]}")
    words = ["lint", COURSE, "--env", ENVIRONMENTS[0]]
    seconds = [_seconds(words, 1, False, run) for run in range(runs + 1)][1:]
    table.add_row(f"lint {COURSE}: 1 environment", *measuring.spread(seconds, 1), f"≤ {COURSE_GOAL}")
    Console().print(table)


def _seconds(words: Sequence[str], number: int, own: bool, run: int) -> float:
    """Time a command on a project that Dagger has not seen: what it remembers of another run is no measure."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"model-{run}-{each}" for each in range(number)]
        made = project.made(
            Path(folder), environments=ENVIRONMENTS if number == 1 else ENVIRONMENTS[:1], applications=names
        )
        if own:
            _unlike(made, names)
        made.commit()
        return measuring.seconds(made.folder, *words, codes=(0, 1))  # that a gate is too weak is no failure here


def _unlike(made: Made, names: list[str]) -> None:
    for each, name in enumerate(names):
        made.deploy("lab", name, values={"canary": {"analysis": {"minRequests": 20 + each}}})


if __name__ == "__main__":
    main()
