"""`python bench/plan.py`: the seconds that `plan` takes on a project of 500 applications, as a whole command."""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if __package__ in (None, ""):  # `python bench/plan.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console
from rich.table import Table

from ci import project
from ci.base import paths

GOAL_SECONDS = 1
APPLICATIONS = 500
PROJECT = """
repository = "https://example.com/acme/platform"
environments = [{name = "test", namespace = "test"}, {name = "live", namespace = "live"}]
"""
APPLICATION = """
chart: {{revision: main}}
model: {{version: "{number}", storageUri: s3://models/{number}, digest: ""}}
image: {{repository: example.com/server, tag: v1, digest: ""}}
"""


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="measured runs of each (default: %(default)s)")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    table = Table(title=f"Seconds, {os.cpu_count()} cores", title_justify="left", box=None, pad_edge=False)
    for heading in (f"{APPLICATIONS} applications", "Median", "Least", "Most", "Processor", "Goal"):
        table.add_column(heading, justify="left" if heading.endswith("applications") else "right")
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder)
        first = _repository(repository)
        cases = {"one differs": ["--base=HEAD~1"], "all differ": [f"--base={first}"], "no --base": []}
        for name, arguments in cases.items():
            taken = [_seconds(repository, arguments) for _ in range(options.runs + 1)][1:]
            walls, processor = [wall for wall, _ in taken], statistics.median(used for _, used in taken)
            figures = (f"{value:.2f}" for value in (statistics.median(walls), min(walls), max(walls), processor))
            table.add_row(name, *figures, f"≤ {GOAL_SECONDS}")
    Console().print(table)


def _repository(folder: Path) -> str:
    """Fill a repository; return its first commit, from which every application differs."""
    _git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / project.FILE).write_text(PROJECT)
    chart = folder / "helm" / "charts" / "ml-serving" / "Chart.yaml"
    chart.parent.mkdir(parents=True)
    chart.write_text("version: 1.0.0\n")
    for number in range(APPLICATIONS):
        file = folder / "gitops" / ("test", "live")[number % 2] / f"model-{number:03}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(APPLICATION.format(number=number))
    first = _commit(folder)
    chart.write_text("version: 1.1.0\n")
    _commit(folder)
    (folder / "gitops" / "test" / "model-000.yaml").write_text(APPLICATION.format(number="0.1"))
    _commit(folder)
    return first


def _commit(folder: Path) -> str:
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "--message=x")
    return _git(folder, "rev-parse", "HEAD")


def _seconds(folder: Path, arguments: list[str]) -> tuple[float, float]:
    """Return the seconds that a whole command takes, by the clock and of the processors, git's included."""
    program = [sys.executable, paths.ROOT / "ci" / "main.py", f"--project={folder}", "plan", *arguments]
    before, started = os.times(), time.monotonic()
    subprocess.run(program, check=True, capture_output=True)
    after = os.times()
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return time.monotonic() - started, used


def _git(folder: Path, *args: str) -> str:
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    done = subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
