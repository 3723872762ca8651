"""`python bench/bump.py`: what one bump takes on a tree of 5,000 applications, and fifty at once onto one branch.

A bare remote, real commits, every result rendered by Helm. One bump is timed inside this process, after its imports,
and without a push; the fifty are processes of their own, as fifty CI jobs would be.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if __package__ in (None, ""):  # `python bench/bump.py`: make the packages importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import anyio
from rich.console import Console

from bench import measuring
from ci.base import paths
from ci.release.bump import Bump
from ci.supply import tools
from ci.tree import git, writeback
from ci.tree.writeback import LocalBranch
from tests.harness import project

APPLICATIONS = 5000
GOAL_SECONDS, GOAL_PARALLEL_SECONDS = 0.3, 15


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="measured bumps (default: %(default)s)")
    parser.add_argument("--parallel", type=int, default=50, help="bumps at once (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        remote, clone = _tree(Path(folder))
        one = anyio.run(_one, clone, options.runs)
        measuring.git(clone, "push", "--quiet", "origin", "trunk")
        before = _commits(remote)
        started = time.monotonic()
        _parallel(clone, options.parallel)
        many = time.monotonic() - started
        landed = _commits(remote) - before
    headings = (f"{APPLICATIONS} applications", "Median", "Least", "Most", "Goal")
    table = measuring.table(f"Seconds, {os.cpu_count()} cores", *headings)
    table.add_row("one bump", *measuring.spread(one, 3), f"≤ {GOAL_SECONDS}")
    table.add_row(f"{options.parallel} at once, {landed} landed", f"{many:.1f}", "", "", f"≤ {GOAL_PARALLEL_SECONDS}")
    Console().print(table)


def _tree(folder: Path) -> tuple[Path, Path]:
    """Return a bare remote with the applications, and a clone of it."""
    seed, remote, clone = (folder / name for name in ("seed", "remote.git", "clone"))
    names = [f"model-{number}" for number in range(APPLICATIONS)]
    project.made(seed, environments=("lab",), applications=names).commit()
    measuring.git(folder, "clone", "--quiet", "--bare", str(seed), str(remote))
    measuring.git(folder, "clone", "--quiet", str(remote), str(clone))
    return remote, clone


def _commits(remote: Path) -> int:
    return int(measuring.git(remote, "rev-list", "--count", "trunk"))


async def _one(clone: Path, runs: int) -> list[float]:
    seconds = []
    for number in range(runs + 1):  # the first is not measured: it warms the file system's cache
        started = time.monotonic()
        repository = await git.opened(clone)
        version = f"s3://acme/model-250/8.{number}"
        bump = Bump("model", "lab", version, "", "model-250", "", "", tools.installed("helm"))
        assert await writeback.write(repository, LocalBranch(repository, "trunk"), bump.edit)
        seconds.append(time.monotonic() - started)
    return seconds[1:]


def _parallel(clone: Path, number: int) -> None:
    program = [sys.executable, paths.ROOT / "ci" / "main.py", f"--project={clone}", "bump", "model", "--env=lab"]
    bumps = [
        subprocess.Popen(
            [*program, f"--app=model-{each}", f"--to=s3://acme/model-{each}/9", "--push"], stdout=subprocess.DEVNULL
        )
        for each in range(number)
    ]
    failed = sum(bump.wait() != 0 for bump in bumps)
    if failed:
        sys.exit(f"{failed} of {number} bumps failed")


if __name__ == "__main__":
    main()
