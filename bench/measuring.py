"""What the measurements share: the option, the table, a repository of their own, and a command of the tool timed."""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from ci.base import paths

PROJECT = """
repository = "https://example.com/acme/platform"
environments = [{name = "test", namespace = "test"}, {name = "live", namespace = "live"}]
"""
"""A project file of two environments."""


def runs(doc: str | None, default: int) -> int:
    """Parse the command line; return how often each thing is measured.

    Args:
        doc: The script's docstring, whose first line says what it does.
        default: Without --runs.
    """
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=default, help="measured runs of each (default: %(default)s)")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")
    return int(options.runs)


def table(title: str, *headings: str) -> Table:
    """Return an empty table; all but its first column are figures."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for number, heading in enumerate(headings):
        made.add_column(heading, justify="right" if number else "left")
    return made


def spread(seconds: Sequence[float], digits: int) -> list[str]:
    """Return median, least and most, as the table has them."""
    return [f"{value:.{digits}f}" for value in (statistics.median(seconds), min(seconds), max(seconds))]


def seconds(project: Path, *words: str, codes: Sequence[int] = (0,)) -> float:
    """Return what a whole command of the tool takes on a project.

    Args:
        project: Its folder.
        words: The command.
        codes: Exit codes that are no failure; any other ends the measurement.
    """
    argv = [sys.executable, paths.ROOT / "ci" / "main.py", f"--project={project}", *words]
    started = time.monotonic()
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    taken = time.monotonic() - started
    if done.returncode not in codes:
        sys.exit(done.stdout + done.stderr)
    return taken


def git(folder: Path, *words: str) -> str:
    """Run a git command in a folder; return what it prints."""
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    """Commit all of a folder; return the commit."""
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=x")
    return git(folder, "rev-parse", "HEAD")
