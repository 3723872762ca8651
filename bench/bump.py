"""`python bench/bump.py`: what one bump takes on a tree of 500 applications, and fifty at once onto one branch.

A bare remote, real commits, every result rendered by Helm. One bump is timed inside this process, after its imports,
and without a push; the fifty are processes of their own, as fifty CI jobs would be.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if __package__ in (None, ""):  # `python bench/bump.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import anyio
from rich.console import Console
from rich.table import Table

from ci.base import paths
from ci.release.bump import Bump
from ci.supply import tools
from ci.tree import git, writeback
from ci.tree.writeback import LocalBranch

APPLICATIONS = 500


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="measured bumps (default: %(default)s)")
    parser.add_argument("--parallel", type=int, default=50, help="bumps at once (default: %(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        remote, clone = _tree(Path(folder))
        one = anyio.run(_one, clone, options.runs)
        _git(clone, "push", "--quiet", "origin", "main")
        before = len(_git(remote, "rev-list", "main").split())
        started = time.monotonic()
        _parallel(clone, options.parallel)
        many = time.monotonic() - started
        landed = len(_git(remote, "rev-list", "main").split()) - before
    table = Table(title="Seconds", title_justify="left", box=None, pad_edge=False)
    for heading in ("", "Median", "Least", "Most", "Goal"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("one bump", *(f"{value:.3f}" for value in (statistics.median(one), min(one), max(one))), "≤ 0.3")
    table.add_row(f"{options.parallel} at once, {landed} landed", f"{many:.1f}", "", "", "≤ 60")
    Console().print(table)


def _tree(folder: Path) -> tuple[Path, Path]:
    """Return a bare remote with the applications, and a clone of it."""
    seed, remote, clone = (folder / name for name in ("seed", "remote.git", "clone"))
    shutil.copytree(paths.CHART, seed / paths.CHART.relative_to(paths.ROOT))
    shutil.copytree(paths.ROOT / "gitops", seed / "gitops")
    content = (seed / "gitops" / "dev" / "sklearn-iris.yaml").read_bytes()
    for number in range(APPLICATIONS):
        (seed / "gitops" / "dev" / f"iris-{number}.yaml").write_bytes(content)
    _git(seed, "init", "--quiet", "--initial-branch=main")
    _git(seed, "add", ".")
    _git(seed, "commit", "--quiet", f"--message={APPLICATIONS} applications")
    _git(folder, "clone", "--quiet", "--bare", seed, remote)
    _git(folder, "clone", "--quiet", remote, clone)
    return remote, clone


async def _one(clone: Path, runs: int) -> list[float]:
    seconds = []
    for number in range(runs + 1):  # the first is not measured: it warms the file system's cache
        started = time.monotonic()
        repository = await git.opened(clone)
        bump = Bump("model", "dev", f"2.{number}", "", "iris-250", "", "", tools.installed("helm"))
        assert await writeback.write(repository, LocalBranch(repository, "main"), bump.edit)
        seconds.append(time.monotonic() - started)
    return seconds[1:]


def _parallel(clone: Path, number: int) -> None:
    program = [
        sys.executable,
        paths.ROOT / "ci" / "main.py",
        f"--project={clone}",
        "bump",
        "model",
        "--env=dev",
        "--to=9.9",
        "--push",
    ]
    bumps = [subprocess.Popen([*program, f"--app=iris-{each}"], stdout=subprocess.DEVNULL) for each in range(number)]
    failed = sum(bump.wait() != 0 for bump in bumps)
    if failed:
        sys.exit(f"{failed} of {number} bumps failed")


def _git(folder: Path, *args: str | Path) -> str:
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    return subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
