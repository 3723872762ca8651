"""The chart's package, the same bytes from the same commit: what evidence names and a registry gets."""

import os
import tempfile
from pathlib import Path

from ci.base import command, files
from ci.tree import dependencies
from ci.tree.git import Repository

PACKAGE_SECONDS = 60


async def write(repository: Repository, helm: Path, tree_name: str, chart_folder: str, folder: Path) -> Path:
    """Write the chart's package as `helm package` makes it, the same bytes every time: its files have no times.

    What it depends on is in it. What building that leaves besides is not: a lock, which has the time in it.

    Args:
        repository: Has the chart.
        helm: The executable.
        tree_name: A commit, or a whole tree.
        chart_folder: The chart's folder in the project.
        folder: Gets NAME-VERSION.tgz.

    Returns:
        The package.

    Raises:
        UsageError: The chart is more than files, or depends on what no commit has.
    """
    await dependencies.require_plain(repository, tree_name, chart_folder)
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryDirectory() as out:
        chart = await dependencies.written(repository, tree_name, chart_folder, Path(work))
        files_of_git = {file for file in chart.iterdir() if file.is_file()}
        _without_times(Path(work))
        await dependencies.build(repository, helm, tree_name, chart_folder, chart)
        for file in {file for file in chart.iterdir() if file.is_file()} - files_of_git:
            file.unlink()
        _without_times(chart)
        await command.run([helm, "package", chart, f"--destination={out}"], timeout=PACKAGE_SECONDS)
        (made,) = Path(out).glob("*.tgz")
        files.write(folder / made.name, made.read_bytes())
        return folder / made.name


def _without_times(folder: Path) -> None:
    for file in folder.rglob("*"):
        os.utime(file, (0, 0))
