"""The report's folder: what in it is a run's own, and which lines of that tell most about a failure."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import filelock
from rich.text import Text

from ci.base import command, jsonfile, oserrors, paths, settings
from ci.base.errors import MachineError, UsageError
from ci.base.progress import note
from ci.base.text import legal
from ci.project import Project
from ci.results import File, Stage

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
    "*-[0-9]*.tgz",
)

MARK = ".ml-serving-ci.json"
LOCK = ".ml-serving-ci.lock"
NAMED = 5
"""How many files of others a refusal names."""

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


@dataclass(frozen=True)
class Mark:
    """What of a report's folder is ours, whatever else is in it.

    Attributes:
        files: What the last run left, from the folder; None while a run goes on: then it is all that has one of our
            names, for none of them was there before.
    """

    files: list[str] | None


def resolved(folder: Path) -> Path:
    """Return the folder that a person named, without `~` and symbolic links.

    Raises:
        UsageError: There is no such place.
    """
    try:
        expanded = folder.expanduser()
    except RuntimeError as error:
        raise UsageError(f"--report {folder}: {error}") from error
    return Path(os.path.realpath(expanded))  # Path's own raises a RuntimeError for links that lead back to themselves


def require_apart(folder: Path, top: Path, project: Project) -> None:
    """Refuse a report's folder that would mix its files with those of the project.

    Args:
        folder: As `resolved` returned it.
        top: The project file's folder.
        project: The project.

    Raises:
        UsageError: It is a folder that the project file names, in one, or around one.
    """
    for key, path in project.paths.named.items():
        own = Path(os.path.realpath(top / path))
        if folder.is_relative_to(own) or own.is_relative_to(folder):
            how = "is" if folder == own else "is inside" if folder.is_relative_to(own) else "holds"
            said = f"--report {folder}: it {how} the project's {path} (paths.{key})"
            raise UsageError(said, fix="Choose a folder of its own: --report report")


@contextmanager
def taken(folder: Path) -> Iterator[None]:
    """Have the folder for one run, without what an earlier run left in it; files of others stay.

    Args:
        folder: As `resolved` returned it; made where it is missing.

    Raises:
        UsageError: It is no folder for a report, another run writes there, or there are files of others in the way.
        MachineError: It cannot be written.
    """
    _require_suitable(folder)
    lock = filelock.FileLock(folder / LOCK)
    try:
        with oserrors.naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
            _ours(folder)  # before anything is written, the lock too
            lock.acquire(blocking=False)
            _empty(folder)
            jsonfile.write(folder / MARK, Mark(None))
    except filelock.Timeout as error:
        raise UsageError(
            f"--report {folder}: another run writes its report there", fix="Choose another: --report DIR"
        ) from error
    except OSError as error:
        lock.release()
        raise oserrors.machine(error) from error
    except UsageError:
        lock.release()
        raise
    try:
        yield
    finally:
        try:
            jsonfile.write(folder / MARK, Mark([_relative(path, folder) for path in _written(folder)]))
        except OSError as error:
            note(f"{folder / MARK}: {error.strerror}")
        lock.release()


def _require_suitable(folder: Path) -> None:
    for what, inner in (("this checkout", paths.ROOT), ("the home folder", _home())):
        if inner is not None and inner.is_relative_to(folder):
            raise UsageError(f"--report {folder}: it holds {what}", fix="Choose a folder of its own: --report report")


def _home() -> Path | None:
    try:
        return settings.home().resolve()
    except MachineError:
        return None


def _ours(folder: Path) -> list[Path]:
    """Return what an earlier run wrote, and refuse a folder with files of others where this one writes."""
    mark = _marked(folder)
    written = {_relative(path, folder): path for path in _written(folder)}
    ours = set(written) if mark.files is None else set(mark.files)
    # a folder of a file's name was never ours
    foreign = [name for name, path in written.items() if name not in ours or (path.is_dir() and not path.is_symlink())]
    if foreign:
        more = f" and {len(foreign) - NAMED} more" if len(foreign) > NAMED else ""
        raise UsageError(
            f"--report {folder}: not written by this tool: {', '.join(foreign[:NAMED])}{more}",
            fix="Choose another folder: --report DIR; or move them away.",
        )
    return list(written.values())


def _empty(folder: Path) -> None:
    for path in _ours(folder):
        path.unlink()
        with suppress(OSError):  # one of them is not empty yet
            for parent in path.relative_to(folder).parents[:-1]:
                (folder / parent).rmdir()


def _marked(folder: Path) -> Mark:
    try:
        return jsonfile.read(folder / MARK, Mark)
    except UsageError:
        return Mark([])


def _written(folder: Path) -> Iterator[Path]:
    """Yield everything that has one of our names; links are not followed."""
    for name in FOLDERS:
        if (folder / name).is_symlink() or (folder / name).is_file():
            yield folder / name
            continue
        for inner, folders, names in os.walk(folder / name):
            links = [name for name in folders if Path(inner, name).is_symlink()]
            yield from (Path(inner, name) for name in sorted(names + links))
    for pattern in PATTERNS:
        yield from sorted(folder.glob(pattern))


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


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
    logs = [pattern for name in failed for pattern in (f"pytest-{name}.log", f"pytest-{name}.*.log")]
    wanted = dict.fromkeys(logs, TEST_LINES) | (TELLING if failed else {})
    found = [(path, lines) for pattern, lines in wanted.items() for path in sorted(folder.glob(pattern))]
    for path, lines in found[:MOST_EXCERPTS]:
        plain = legal(Text.from_ansi(command.tail(path, lines)).plain)
        if plain.strip():
            yield path, "\n".join(_shortened(line) for line in plain.splitlines())


def _shortened(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…"
