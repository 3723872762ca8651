"""`python bench/history.py`: the seconds that `history`, `status` and `rollback` take after 1,000 commits."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

if __package__ in (None, ""):  # `python bench/history.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console

from bench import measuring
from ci import project

GOAL_SECONDS = 1
COMMITS = 1000
APPLICATION = """
chart: {{revision: main}}
model: {{version: "{number}", storageUri: s3://models/{number}, digest: ""}}
image: {{repository: example.com/server, tag: v1, digest: ""}}
values: {{autoscaling: {{maxReplicas: 7}}, exampleModel: {{resources: {{requests: {{cpu: 1, memory: 2Gi}}}}}}}}
"""
MESSAGE = (
    "Bump model in test to {number}\n\nWhy: better\n\nApplication: model\nEnvironment: test\nTool: ml-serving-ci bump"
)


def main() -> None:
    """Parse, run, print."""
    runs = measuring.runs(__doc__, 9)
    headings = (f"{COMMITS} commits", "Median", "Least", "Most", "Goal")
    table = measuring.table(f"Seconds, {os.cpu_count()} cores", *headings)
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder)
        first = _repository(repository)
        cases = {
            "history": ["history", "--env=test"],
            "status": ["status"],
            "rollback": ["rollback", "--env=test", f"--to={first}", "--dry-run"],
        }
        for name, words in cases.items():
            taken = [measuring.seconds(repository, *words) for _ in range(runs + 1)][1:]
            table.add_row(name, *measuring.spread(taken, 2), f"≤ {GOAL_SECONDS}" if name == "history" else "")
    Console().print(table)


def _repository(folder: Path) -> str:
    """Fill a repository, by one command: a thousand commits take a minute otherwise; return its first commit."""
    measuring.git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / project.FILE).write_text(measuring.PROJECT)
    chart = folder / "helm" / "charts" / "ml-serving"
    chart.mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: ml-serving\nversion: 1.0.0\n")
    first = measuring.commit(folder)
    stream = b"".join(_commits(first))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=folder, input=stream, check=True)
    measuring.git(folder, "reset", "--quiet", "--hard", "main")
    return measuring.git(folder, "rev-parse", f"main~{COMMITS - 1}")


def _commits(first: str) -> Iterator[bytes]:
    """Yield what `git fast-import` makes the commits of."""
    for number in range(COMMITS):
        content, message = (text.format(number=number).encode() for text in (APPLICATION, MESSAGE))
        parent = f"from {first}\n" if number == 0 else ""
        yield f"commit refs/heads/main\ncommitter bench <bench@example.com> {1_700_000_000 + number} +0000\n".encode()
        yield f"data {len(message)}\n".encode() + message + f"\n{parent}".encode()
        yield b"M 100644 inline gitops/test/model.yaml\n"
        yield f"data {len(content)}\n".encode() + content + b"\n"


if __name__ == "__main__":
    main()
