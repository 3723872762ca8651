"""The report's folder: what in it is a run's own, and which lines of that tell most about a failure."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.text import Text

from ci import command, paths
from ci.report.model import File, Stage
from ci.report.text import legal

FOLDERS = ("diagnostics", "kind", "rendered")
PATTERNS = (
    "report.json",
    "report.html",
    "junit.xml",
    "gitops.json",
    "inference.json",
    "dashboards.json",
    "canary-*.json",
    "pytest-*",
    "evidence.dsse.json",
    "sbom.cdx.json",
    f"{paths.CHART.name}-*.tgz",
)

TELLING = {
    "diagnostics/api-server.txt": 10,
    "diagnostics/logs/**/*.previous.log": 20,
    "diagnostics/describe/**/*.txt": 25,
    "diagnostics/events.txt": 25,
}
"""Files to the number of their last lines that are worth a look, the most telling first; in all of them the end tells
more than the beginning."""
TEST_LINES = 40
MOST_EXCERPTS = 12
LONGEST_LINE = 300


def empty(folder: Path) -> None:
    """Have the folder, without what an earlier run left in it; files of others stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
    for pattern in PATTERNS:
        for file in folder.glob(pattern):
            file.unlink()


def listed(folder: Path, stages: Sequence[Stage]) -> list[File]:
    """Return what the run left, by name; where a stage failed, with excerpts of what tells why.

    Args:
        folder: The report's.
        stages: How each of them ended.
    """
    excerpts = dict(_excerpts(folder, [stage.name for stage in stages if stage.outcome == "failed"]))
    telling = {path: number for number, path in enumerate(excerpts)}
    files = [path for name in FOLDERS for path in (folder / name).rglob("*") if path.is_file()]
    files += [path for pattern in PATTERNS for path in folder.glob(pattern)]
    return [
        File(path.relative_to(folder).as_posix(), path.stat().st_size, excerpts.get(path, ""))
        for path in sorted(files, key=lambda path: (telling.get(path, len(telling)), path))
    ]


def _excerpts(folder: Path, failed: Sequence[str]) -> Iterator[tuple[Path, str]]:
    wanted = {f"pytest-{name}.log": TEST_LINES for name in failed} | (TELLING if failed else {})
    found = [(path, lines) for pattern, lines in wanted.items() for path in sorted(folder.glob(pattern))]
    for path, lines in found[:MOST_EXCERPTS]:
        plain = legal(Text.from_ansi(command.tail(path, lines)).plain)
        if plain.strip():
            yield path, "\n".join(_shortened(line) for line in plain.splitlines())


def _shortened(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
