"""A node that never gets Ready is a failure with logs, not a warning (kind#2654).

Real: Docker, kind, the node image.
"""

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from ci.base.errors import CheckFailedError
from ci.cluster import clean, kind, runs
from ci.host import client


@pytest.fixture
def image_without_network(tools: tuple[str, str, str]) -> Iterator[str]:
    """The node image without its pod network."""
    name = f"ml-serving-ci-faults:{uuid.uuid4().hex}"
    subprocess.run(
        ["docker", "build", "--tag", name, "-"],
        input=f"FROM {tools[2]}\nRUN rm /etc/cni/net.d/10-bridge.conflist\n".encode(),
        check=True,
        capture_output=True,
    )
    yield name
    subprocess.run(["docker", "rmi", "--force", name], check=True, capture_output=True)


def test_a_node_that_never_gets_ready_fails_with_its_logs(
    tools: tuple[str, str, str], image_without_network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    monkeypatch.setattr(kind, "READY_SECONDS", 30.0)
    run = runs.new_id()

    async def make() -> None:
        async with kind.kind_cluster(Path(tools[0]), Path(tools[1]), image_without_network, tmp_path, name=run):
            pytest.fail("the cluster was called Ready")

    # When
    with pytest.raises(CheckFailedError) as caught:
        anyio.run(make)

    # Then
    assert caught.value.exit_code == 1
    assert "did not come up" in caught.value.message
    assert "cni plugin not initialized" in caught.value.message
    assert list((tmp_path / "kind").rglob("kubelet.log"))
    assert run not in {found.run for found in anyio.run(clean.clusters)}


def test_an_api_server_that_dies_fails_with_its_logs(
    tools: tuple[str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: etcd starts, the API server ends at once, kubeadm waits for it
    config = kind.config

    def broken(image: str, here: client.Client) -> dict[str, Any]:
        made = config(image, here)
        patch = {"kind": "ClusterConfiguration", "apiServer": {"extraArgs": {"no-such-flag": "1"}}}
        made["kubeadmConfigPatches"].append(yaml.safe_dump(patch))
        return made

    monkeypatch.setattr(kind, "config", broken)
    monkeypatch.setattr(kind, "CREATE_SECONDS", 40.0)
    run = runs.new_id()

    # When
    with pytest.raises(CheckFailedError) as caught:
        anyio.run(lambda: kind.create(Path(tools[0]), Path(tools[1]), tools[2], tmp_path, run=run, keep=True))

    # Then
    assert "no end after 40 s" in caught.value.message
    logs = [log.read_text() for log in (tmp_path / "kind").rglob("kube-apiserver*.log")]
    assert any("unknown flag: --no-such-flag" in log for log in logs)
    assert run not in {found.run for found in anyio.run(clean.clusters)}
