"""`python bench/diff.py`: the seconds that `diff` takes on three environments, as a whole command.

A real repository in which everything differs: a new model in each environment and another chart at each revision, so
that all six are rendered; and one in which nothing does.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

if __package__ in (None, ""):  # `python bench/diff.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console

from bench import measuring
from ci.base import paths

GOAL_SECONDS = 5


def main() -> None:
    """Parse, run, print."""
    runs = measuring.runs(__doc__, 9)
    table = measuring.table(f"Seconds, {os.cpu_count()} cores", "", "Median", "Least", "Most", "Goal")
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder)
        base = _repository(repository)
        for name, revision in (("everything differs", base), ("nothing differs", "HEAD")):
            seconds = [measuring.seconds(repository, "diff", f"--base={revision}") for _ in range(runs + 1)][1:]
            table.add_row(f"three environments, {name}", *measuring.spread(seconds, 2), f"≤ {GOAL_SECONDS}")
    Console().print(table)


def _repository(folder: Path) -> str:
    """Fill a repository; return the commit before the change."""
    for part in (paths.CHART.relative_to(paths.ROOT), "gitops", "k8s/argocd"):
        shutil.copytree(paths.ROOT / part, folder / part)
    measuring.git(folder, "init", "--quiet", "--initial-branch=main")
    first = measuring.commit(folder)
    _release(folder, first, "1.0")
    base = measuring.commit(folder)
    values = folder / paths.CHART.relative_to(paths.ROOT) / "values.yaml"
    values.write_text(values.read_text().replace("maxReplicas: ", "maxReplicas: 1"))
    second = measuring.commit(folder)
    _release(folder, second, "2.0")
    measuring.commit(folder)
    return base


def _release(folder: Path, revision: str, model: str) -> None:
    """Have every environment run a chart's revision and a model."""
    for file in folder.glob("gitops/*/sklearn-iris.yaml"):
        lines = file.read_text().splitlines(keepends=True)
        uri = f"  storageUri: gs://kfserving-examples/models/sklearn/{model}/model\n"
        changed = {"  revision:": f"  revision: {revision}\n", "  storageUri:": uri}
        written = (next((new for old, new in changed.items() if line.startswith(old)), line) for line in lines)
        file.write_text("".join(written))


if __name__ == "__main__":
    main()
