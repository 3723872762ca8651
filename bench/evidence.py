"""`python bench/evidence.py`: the seconds that `evidence verify` takes, as a whole command.

A signed statement of a run on a tree of three environments, held against the promotion that it is of: every signature
and digest is checked, and both sides are rendered by Helm.
"""

import os
import sys
import tempfile
from pathlib import Path

if __package__ in (None, ""):  # `python bench/evidence.py`: make the packages importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import pytest
from rich.console import Console

from bench import measuring
from tests.harness.scene import Scene

GOAL_SECONDS = 2


def main() -> None:
    """Parse, run, print."""
    runs = measuring.runs(__doc__, 9)
    table = measuring.table(f"Seconds, {os.cpu_count()} cores", "", "Median", "Least", "Most", "Goal")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        scene = Scene(Path(folder))
        words = ["evidence", "verify", str(scene.evidence(environment)), f"--public-key={scene.keys.public}"]
        taken = [measuring.seconds(scene.clone.folder, *words, "--env=prod") for _ in range(runs + 1)][1:]
        table.add_row("evidence verify", *measuring.spread(taken, 2), f"≤ {GOAL_SECONDS}")
    Console().print(table)


if __name__ == "__main__":
    main()
