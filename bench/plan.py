"""`python bench/plan.py`: the seconds that `plan` takes on a project of 500 applications, as a whole command."""

import os
import statistics
import sys
import tempfile
from pathlib import Path

if __package__ in (None, ""):  # `python bench/plan.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console

from bench import measuring
from ci import project

GOAL_SECONDS = 1
APPLICATIONS = 500
APPLICATION = """
chart: {{revision: main}}
model: {{version: "{number}", storageUri: s3://models/{number}, digest: ""}}
image: {{repository: example.com/server, tag: v1, digest: ""}}
"""


def main() -> None:
    """Parse, run, print."""
    runs = measuring.runs(__doc__, 9)
    headings = (f"{APPLICATIONS} applications", "Median", "Least", "Most", "Processor", "Goal")
    table = measuring.table(f"Seconds, {os.cpu_count()} cores", *headings)
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder)
        first = _repository(repository)
        cases = {"one differs": ["--base=HEAD~1"], "all differ": [f"--base={first}"], "no --base": []}
        for name, arguments in cases.items():
            taken = [_seconds(repository, arguments) for _ in range(runs + 1)][1:]
            walls, processor = [wall for wall, _ in taken], statistics.median(used for _, used in taken)
            table.add_row(name, *measuring.spread(walls, 2), f"{processor:.2f}", f"≤ {GOAL_SECONDS}")
    Console().print(table)


def _repository(folder: Path) -> str:
    """Fill a repository; return its first commit, from which every application differs."""
    measuring.git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / project.FILE).write_text(measuring.PROJECT)
    chart = folder / "helm" / "charts" / "ml-serving" / "Chart.yaml"
    chart.parent.mkdir(parents=True)
    chart.write_text("version: 1.0.0\n")
    for number in range(APPLICATIONS):
        file = folder / "gitops" / ("test", "live")[number % 2] / f"model-{number:03}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(APPLICATION.format(number=number))
    first = measuring.commit(folder)
    chart.write_text("version: 1.1.0\n")
    measuring.commit(folder)
    (folder / "gitops" / "test" / "model-000.yaml").write_text(APPLICATION.format(number="0.1"))
    measuring.commit(folder)
    return first


def _seconds(folder: Path, arguments: list[str]) -> tuple[float, float]:
    """Return the seconds that a whole command takes, by the clock and of the processors, git's included."""
    before = os.times()
    wall = measuring.seconds(folder, "plan", *arguments)
    after = os.times()
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return wall, used


if __name__ == "__main__":
    main()
