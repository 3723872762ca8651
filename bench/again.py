"""`python bench/again.py`: whole runs of `test` at one commit, beside a busy core, until five in a row are green.

Each run is appended to the file as soon as it is over, so that this can be stopped and go on later. A red run ends it:
its cause is found and fixed, and the count begins anew with the commit that fixes it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

if __package__ in (None, ""):  # `python bench/again.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from ci.base import jsonfile, paths
from ci.results import Report

BUSY = "while True: pass"


@dataclass(frozen=True)
class Again:
    """One whole run.

    Attributes:
        commit: What was tested.
        started: When, in UTC.
        busy: How many processes kept a core busy beside it.
        seconds: How long it took.
        outcome: "passed", or how it ended otherwise.
        first_error: Empty where it passed.
    """

    commit: str
    started: str
    busy: int
    seconds: float
    outcome: str
    first_error: str


def main() -> None:
    """Parse, and run until enough are green in a row."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--green", type=int, default=5, help="runs in a row that must be green (default: %(default)s)")
    parser.add_argument("--busy", type=int, default=1, help="processes that keep a core busy (default: %(default)s)")
    parser.add_argument("--file", type=Path, default=Path("again.jsonl"), help="a line a run (default: %(default)s)")
    options = parser.parse_args()

    commit = _git("rev-parse", "HEAD")
    if changed := _git("status", "--porcelain"):
        parser.error(f"the runs are to be of one commit, and there are changes: {changed.splitlines()[0]}")
    while _green(options.file, commit) < options.green:
        with _busy(options.busy):
            run = _run(commit, options.busy)
        with options.file.open("a") as file:
            file.write(json.dumps(asdict(run)) + "\n")
        print(f"{run.outcome} in {run.seconds:.0f} s {run.first_error}", flush=True)
        if run.outcome != "passed":
            sys.exit(1)


def _green(file: Path, commit: str) -> int:
    """Return how many of the last runs in the file, all of this commit, were green in a row."""
    lines = file.read_text().splitlines() if file.exists() else []
    runs = [Again(**json.loads(line)) for line in lines]
    red = [number for number, run in enumerate(runs) if run.outcome != "passed" or run.commit != commit]
    return len(runs) - (red[-1] + 1 if red else 0)


def _run(commit: str, busy: int) -> Again:
    started, began = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, paths.ROOT / "ci" / "main.py", "test", "--report", folder]
        code = subprocess.run(argv, cwd=paths.ROOT, check=False).returncode
        written = Path(folder, "report.json")
        report = jsonfile.read(written, Report) if written.exists() else None
    outcome = (
        "passed" if code == 0 else report.outcome if report and report.outcome != "passed" else f"exit code {code}"
    )
    failure = report.failure if report else None
    error = f"{failure.where}: {failure.message}" if failure else ""
    return Again(commit, started, busy, round(time.monotonic() - began, 1), outcome, error)


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """Keep cores busy for as long as the block runs."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _git(*args: str) -> str:
    return subprocess.run(["git", *args], cwd=paths.ROOT, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
