"""A node's containerd, given the node's own registry configuration: it gets images of any registry from the local one.

Real: containerd, as root and without its runtime, and the registry's program.
"""

import json
import os
import subprocess
import tarfile
from pathlib import Path

import anyio
import pytest

from ci.base.wait import NotYet, until
from ci.cluster import node
from ci.supply import foreign
from tests.faults.supply.registries import Local

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="containerd needs root")
CONFIG = """\
version = 3
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = [
  "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri",
  "io.containerd.nri.v1.nri",
]
[grpc]
  address = "{folder}/socket"
"""
START_SECONDS = 60


@pytest.fixture
def local(registry_program, tmp_path):
    (tmp_path / "local").mkdir()
    made = Local(registry_program, tmp_path / "local")
    anyio.run(made.start)
    yield made
    made.stop()


@pytest.fixture
def ctr(machine, local, tmp_path):
    """`ctr content fetch`, with the files that a node has."""
    containerd, client = (anyio.run(machine._binary, f"containerd/{name}") for name in ("containerd", "ctr"))
    folder = tmp_path / "containerd"
    folder.mkdir()
    (folder / "config.toml").write_text(CONFIG.format(folder=folder))
    for path, content in node.hosts(local.registry.host).items():
        file = folder / "certs.d" / Path(path).relative_to(node.HOSTS_FOLDER)
        file.parent.mkdir(parents=True)
        file.write_text(content)

    def call(*argv: str | Path) -> subprocess.CompletedProcess[str]:
        given = [client, f"--address={folder}/socket", f"--connect-timeout={START_SECONDS}s", *argv]
        return subprocess.run(given, capture_output=True, text=True, timeout=120, check=False)

    log = (folder / "log").open("w")
    with log, subprocess.Popen([containerd, f"--config={folder}/config.toml"], stdout=log, stderr=log) as daemon:
        try:
            anyio.run(_there, folder / "socket")
            assert call("version").returncode == 0, (folder / "log").read_text()
            yield lambda reference: call("content", "fetch", f"--hosts-dir={folder}/certs.d", reference)
        finally:
            daemon.terminate()


async def _there(socket: Path) -> None:
    """Wait until containerd listens: ctr looks for the socket once before it waits for who is behind it."""

    async def listens() -> None:
        if not socket.exists():
            raise NotYet("there is no socket")

    await until("containerd listens", listens, timeout=START_SECONDS, interval=0.05)


def push(machine, local: Local, path: str, folder: Path) -> str:
    """Push an image to the local registry by its digest alone, as `foreign` does, and return that."""
    layer = folder / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        tar.addfile(tarfile.TarInfo("file"))

    def crane(*argv: str | Path) -> str:
        ran = subprocess.run([machine.tool("crane"), *argv], capture_output=True, text=True, timeout=60, check=True)
        return ran.stdout.strip()

    made = crane("append", "--oci-empty-base", f"--new_tag={local.registry.host}/made:1", f"--new_layer={layer}")
    digest = made.partition("@")[2]
    crane("copy", made, f"{local.registry.host}/{path}@{digest}")
    return digest


@pytest.mark.parametrize(
    "name",
    ["registry.example.invalid:5000/x/y", "ghcr.io/acme/tiny", "tiny", "acme/tiny", "localhost:9/x", "r.invalid/x"],
)
def test_an_image_of_any_registry_is_got_from_the_local_one(machine, local, ctr, tmp_path, name):
    parsed = foreign.parse(name)
    digest = push(machine, local, parsed.path, tmp_path)

    # ctr wants names in full, as a kubelet makes them
    got = ctr(parsed.at(digest))
    assert got.returncode == 0, got.stderr
    assert digest in got.stdout


def test_what_the_local_one_has_not_is_asked_for_at_its_own_host(ctr):
    got = ctr(f"registry.example.invalid:5000/x/y@sha256:{'a' * 64}")

    assert got.returncode != 0
    assert "https://registry.example.invalid:5000/v2/x/y/manifests/" in got.stderr, json.dumps(got.stderr)
