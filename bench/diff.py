"""`python bench/diff.py`: the seconds that `diff` takes, as a whole command.

On three environments in a real repository in which everything differs: a new model in each environment and another
chart at each revision, so that all six are rendered; on one in which nothing does; and on 3,000 applications of which
300 differ.
"""

import os
import sys
import tempfile
from pathlib import Path

if __package__ in (None, ""):  # `python bench/diff.py`: make the packages importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console

from bench import measuring
from tests.harness import project
from tests.harness.project import CHART_FOLDER, ENVIRONMENTS

APPLICATIONS, DIFFERENT = 1000, 100
"""In each environment."""
GOAL_SECONDS, GOAL_MANY_SECONDS = 5, 45


def main() -> None:
    """Parse, run, print."""
    runs = measuring.runs(__doc__, 9)
    table = measuring.table(f"Seconds, {os.cpu_count()} cores", "", "Median", "Least", "Most", "Goal")
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder, "few"), Path(folder, "many")
        base = _few(few)
        for name, revision in (("everything differs", base), ("nothing differs", "HEAD")):
            seconds = [measuring.seconds(few, "diff", f"--base={revision}") for _ in range(runs + 1)][1:]
            table.add_row(f"three environments, {name}", *measuring.spread(seconds, 2), f"≤ {GOAL_SECONDS}")
        base = _many(many)
        seconds = [measuring.seconds(many, "diff", f"--base={base}") for _ in range(min(runs, 3))]
        all_, differing = (len(ENVIRONMENTS) * number for number in (APPLICATIONS, DIFFERENT))
        row = f"{all_} applications, {differing} differ"
        table.add_row(row, *measuring.spread(seconds, 1), f"≤ {GOAL_MANY_SECONDS}")
    Console().print(table)


def _few(folder: Path) -> str:
    """Fill a repository; return the commit before the change."""
    made = project.made(folder, applications=("model",))
    first = made.commit()
    for environment in ENVIRONMENTS:
        made.deploy(environment, "model", first, {"canary": {"revisionHistoryLimit": 4}})
    base = made.commit()
    values = folder / CHART_FOLDER / "values.yaml"
    values.write_text(values.read_text().replace("maxReplicas: ", "maxReplicas: 1"))
    second = made.commit()
    for environment in ENVIRONMENTS:
        made.deploy(environment, "model", second, {"canary": {"revisionHistoryLimit": 5}})
    made.commit()
    return base


def _many(folder: Path) -> str:
    """Fill a repository; return the commit before the change."""
    names = [f"model-{number}" for number in range(APPLICATIONS)]
    made = project.made(folder, applications=names)
    base = made.commit()
    for environment in ENVIRONMENTS:
        for name in names[:DIFFERENT]:
            made.deploy(environment, name, values={"autoscaling": {"maxReplicas": 9}})
    made.commit()
    return base


if __name__ == "__main__":
    main()
