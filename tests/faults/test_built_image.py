"""An image that was just built in the Docker daemon, for the nodes: a real daemon of our own, as in test_docker_daemon.

Real: dockerd in namespaces of its own, the registry's program, crane.
"""

import shutil
from pathlib import Path

import anyio

from ci.supply.supply import Supply
from tests.faults import test_docker_daemon
from tests.faults.test_docker_daemon import in_namespaces

pytestmark = test_docker_daemon.pytestmark

BUILT = """
import io, json, subprocess, sys, tarfile
from pathlib import Path
import anyio
from ci.base.errors import UsageError
from ci.host import docker
from ci.supply import foreign
from ci.supply.supply import Supply
from tests.faults.supply.registries import Local

folder = Path(sys.argv[1])
NAME = "registry.example.com:5000/acme/tiny"


def run(*argv):
    return subprocess.run(["docker", *argv], check=True, capture_output=True, text=True).stdout.strip()


def make(content, *options):
    with tarfile.open(folder / "image.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo(content))
    return run("import", *options, folder / "image.tar")


async def refused(kind, supply, image):
    try:
        await foreign.built(supply, image, NAME)
    except kind as error:
        return error.message
    raise AssertionError(f"{image} was taken")


async def life():
    await docker.ensure(folder / "docker")
    local = Local(folder / "bin" / "registry", folder)
    supply = Supply("source", folder / "cache")

    async def start(*, empty=False):
        await local.start()
        supply._registry = local.registry

    supply._start_registry = start
    try:
        untagged, other = make("one"), make("two", "--platform=linux/s390x")
        tagged = make("three")
        run("tag", tagged, "acme/built:dev")

        first = await foreign.built(supply, untagged, NAME)
        assert first.origin == "local"
        assert first.reference == f"{NAME}@{first.digest}"
        assert await local.registry.digest(f"others/acme/tiny:{untagged.partition(':')[2]}") == first.digest
        assert await foreign.built(supply, untagged, NAME) == first
        assert run("image", "inspect", "--format={{.Id}}", untagged) == untagged, "an image without a name is kept"

        second = await foreign.built(supply, "acme/built:dev", NAME)
        assert second.digest != first.digest
        assert json.loads(run("image", "inspect", "--format={{json .RepoTags}}", tagged)) == ["acme/built:dev"]

        assert await refused(UsageError, supply, "acme/none:dev") == (
            "--image acme/none:dev: the Docker daemon has no such image"
        )
        assert "for linux/s390x, and this machine is linux/" in await refused(UsageError, supply, other)
    finally:
        local.stop()
        await docker.stop_services(folder / "docker")


anyio.run(life)
"""


def test_an_image_just_built_is_pushed_under_its_name_and_called_local(tmp_path: Path) -> None:
    machine = Supply("source")
    anyio.run(machine.fetch, ["crane"])
    crane = machine.tool("crane").resolve().parent
    shutil.copytree(crane, tmp_path / "cache" / "go" / crane.name)
    (tmp_path / "bin").mkdir()
    shutil.copy(anyio.run(machine._binary, "distribution/registry"), tmp_path / "bin")

    ended = in_namespaces(BUILT, tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
