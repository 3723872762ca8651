"""The chart's package, the same bytes from the same commit: what evidence names and a registry gets."""

import os
import tempfile
from pathlib import Path

from ci.base import command, files
from ci.tree import contents
from ci.tree.git import Repository
from ci.tree.render import chart_files

PACKAGE_SECONDS = 60


async def write(repository: Repository, helm: Path, tree_name: str, chart_folder: str, folder: Path) -> Path:
    """Write the chart's package as `helm package` makes it, the same bytes every time: its files have no times.

    Args:
        repository: Has the chart.
        helm: The executable.
        tree_name: A commit, or a whole tree.
        chart_folder: The chart's folder in the project.
        folder: Gets NAME-VERSION.tgz.

    Returns:
        The package.

    Raises:
        UsageError: The chart is more than files.
    """
    await contents.require_plain(repository, tree_name, chart_folder)
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryDirectory() as out:
        chart = await chart_files(repository, tree_name, chart_folder, Path(work))
        for file in chart.rglob("*"):
            os.utime(file, (0, 0))
        await command.run([helm, "package", chart, f"--destination={out}"], timeout=PACKAGE_SECONDS)
        (made,) = Path(out).glob("*.tgz")
        files.write(folder / made.name, made.read_bytes())
        return folder / made.name
