"""The tool's own image, built here, and Docker daemons to run it on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from ci.base import paths
from ci.supply.supply import Supply
from ci.supply.ways import choose
from tests.client.daemon import Daemon, second_daemon

IMAGE = "ml-serving-ci"


@pytest.fixture(scope="session")
def supply() -> Supply:
    """The supply, with all that a run takes."""
    supply = Supply(choose("auto"))

    async def fetch() -> None:
        await supply.fetch()
        await supply.fetch([IMAGE])

    anyio.run(fetch)
    return supply


@pytest.fixture(scope="session")
def image(supply: Supply) -> str:
    """The image, in Docker."""
    return supply.image(IMAGE)


@pytest.fixture(scope="session")
def cache(supply: Supply) -> list[str]:
    """Options that give the image this machine's cache, at its own place, for its links are absolute."""
    modules = supply.module("kind").parents[1]  # GOMODCACHE: its path is sigs.k8s.io/kind@VERSION
    folders = [f"--volume={paths.cache()}:{paths.cache()}", f"--volume={modules}:{modules}:ro"]
    return [*folders, f"--env=ML_SERVING_CI_CACHE={paths.cache()}", f"--env=GOMODCACHE={modules}"]


@pytest.fixture
def second(image: str, supply: Supply, tmp_path: Path) -> Iterator[Daemon]:
    """A second daemon beside this machine's, reached as `docker` on a network of this one's."""
    if shutil.which("nsenter") is None or shutil.which("dockerd") is None:
        pytest.fail("needs dockerd and nsenter, to have a second daemon")
    with second_daemon(image, supply.way, tmp_path) as daemon:
        yield daemon
