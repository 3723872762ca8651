"""`python bench/diff.py`: the seconds that `diff` takes on three environments, as a whole command.

A real repository in which everything differs: a new model in each environment and another chart at each revision, so
that all six are rendered; and one in which nothing does.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if __package__ in (None, ""):  # `python bench/diff.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console
from rich.table import Table

from ci.base import paths

GOAL_SECONDS = 5


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="measured runs of each (default: %(default)s)")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    table = Table(title=f"Seconds, {os.cpu_count()} cores", title_justify="left", box=None, pad_edge=False)
    for heading in ("", "Median", "Least", "Most", "Goal"):
        table.add_column(heading, justify="right" if heading else "left")
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder)
        base = _repository(repository)
        for name, revision in (("everything differs", base), ("nothing differs", "HEAD")):
            seconds = [_seconds(repository, revision) for _ in range(options.runs + 1)][1:]
            figures = (f"{value:.2f}" for value in (statistics.median(seconds), min(seconds), max(seconds)))
            table.add_row(f"three environments, {name}", *figures, f"≤ {GOAL_SECONDS}")
    Console().print(table)


def _repository(folder: Path) -> str:
    """Fill a repository; return the commit before the change."""
    for part in (paths.CHART.relative_to(paths.ROOT), "gitops", "k8s/argocd"):
        shutil.copytree(paths.ROOT / part, folder / part)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    first = _commit(folder)
    _release(folder, first, "1.0")
    base = _commit(folder)
    values = folder / paths.CHART.relative_to(paths.ROOT) / "values.yaml"
    values.write_text(values.read_text().replace("maxReplicas: ", "maxReplicas: 1"))
    second = _commit(folder)
    _release(folder, second, "2.0")
    _commit(folder)
    return base


def _release(folder: Path, revision: str, model: str) -> None:
    """Have every environment run a chart's revision and a model."""
    for file in folder.glob("gitops/*/sklearn-iris.yaml"):
        lines = file.read_text().splitlines(keepends=True)
        uri = f"  storageUri: gs://kfserving-examples/models/sklearn/{model}/model\n"
        changed = {"  revision:": f"  revision: {revision}\n", "  storageUri:": uri}
        written = (next((new for old, new in changed.items() if line.startswith(old)), line) for line in lines)
        file.write_text("".join(written))


def _commit(folder: Path) -> str:
    _git(folder, "add", ".")
    _git(folder, "commit", "--quiet", "--message=x")
    return _git(folder, "rev-parse", "HEAD")


def _seconds(folder: Path, base: str) -> float:
    program = [sys.executable, paths.ROOT / "ci" / "main.py", f"--project={folder}", "diff", f"--base={base}"]
    started = time.monotonic()
    subprocess.run(program, check=True, capture_output=True)
    return time.monotonic() - started


def _git(folder: Path, *args: str) -> str:
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    done = subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
