"""A node that never gets Ready is a failure with logs, not a warning (kind#2654).

Real: Docker, kind, the node image.
"""

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from ci.cluster import clean, kind, runs
from ci.errors import CheckFailedError


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
    monkeypatch.setattr(kind, "READY_SECONDS", 10.0)
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
