"""Services with fixed names: two runs that start one at once both get it, and what somebody else made is refused.

Real: Docker, the registry's image. Seconds: `pytest tests/faults/test_services.py`.
"""

import socket
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from ci.base import tasks
from ci.base.errors import CommandError, MachineError
from ci.host import docker, engine, preflight
from ci.supply import pins, registry


def said(*argv: str) -> str:
    return subprocess.run(["docker", *argv], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A name in place of the fixed one, so that the machine's own services are not met."""
    chosen = f"faults-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(registry, "CONTAINER", chosen)
    monkeypatch.setattr(registry, "NETWORK", chosen)
    monkeypatch.setenv("ML_SERVING_CI_REGISTRY_PORT", str(free_port()))
    yield chosen
    subprocess.run(["docker", "rm", "--force", "--volumes", chosen], capture_output=True, check=False)
    subprocess.run(["docker", "volume", "rm", "--force", f"{chosen}-source"], capture_output=True, check=False)
    for network in said("network", "ls", "--quiet", f"--filter=name=^{chosen}$").split():
        subprocess.run(["docker", "network", "rm", network], capture_output=True, check=False)


@pytest.fixture
def image(tools: tuple[str, str, str]) -> str:
    return pins.load().ref(registry.IMAGE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_registry_is_found_at_the_port_that_it_has(name: str, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    first = anyio.run(registry.start, image, "source")

    # When: another run, told of another port
    monkeypatch.setenv("ML_SERVING_CI_REGISTRY_PORT", str(free_port()))
    second = anyio.run(registry.start, image, "source")

    # Then
    assert second == first
    assert first.host.startswith("127.0.0.1:")


def test_a_registry_that_somebody_paused_goes_on(name: str, image: str) -> None:
    first = anyio.run(registry.start, image, "source")
    said("pause", name)
    assert anyio.run(registry.start, image, "source") == first
    assert said("inspect", "--format={{.State.Paused}}", name) == "false"


def test_two_runs_that_start_the_registry_at_once_both_get_it(name: str, image: str) -> None:
    found: list[registry.Registry] = []

    async def start() -> None:
        found.append(await registry.start(image, "source"))

    async def both() -> None:
        async with tasks.group() as group:
            group.start_soon(start)
            group.start_soon(start)

    anyio.run(both)
    assert found[0] == found[1]


def test_a_container_that_another_run_is_making_is_waited_for(name: str, image: str) -> None:
    # Given: another run's, made and not yet started
    theirs = said("create", f"--name={name}", f"--label={docker.SERVICE_LABEL}=x", "--entrypoint=/bin/registry", image)

    async def look() -> dict | None:
        return await docker.ours("container", name)

    async def both() -> dict | None:
        async with tasks.group() as group:
            group.start_soon(start)
            return await docker.settled(look)

    async def start() -> None:
        await anyio.sleep(1)
        await docker.command.run(["docker", "start", name])

    # Then
    found = anyio.run(both)
    assert found is not None
    assert found["Id"] == theirs
    assert found["State"]["Status"] != "created"


def test_one_that_a_killed_run_left_unstarted_is_taken_for_that(
    name: str, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "SETTLE_SECONDS", 0.5)
    said("create", f"--name={name}", f"--label={docker.SERVICE_LABEL}=x", image)
    found = anyio.run(docker.settled, lambda: docker.ours("container", name))
    assert found is not None
    assert found["State"]["Status"] == "created"


def test_somebody_elses_container_of_the_registrys_name_is_refused_and_stays(name: str, image: str) -> None:
    theirs = said("create", f"--name={name}", image)
    with pytest.raises(MachineError, match=f"container {name} that this tool did not make") as refused:
        anyio.run(registry.start, image, "source")
    assert f"docker rename {name}" in (refused.value.fix or "")
    assert said("inspect", "--format={{.Id}}", name) == theirs


def test_somebody_elses_container_of_the_engines_name_is_refused_and_stays(
    name: str, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "container_name", lambda image: name)
    theirs = said("create", f"--name={name}", image)
    with pytest.raises(MachineError, match=f"container {name} is no Dagger engine") as refused:
        anyio.run(engine.ensure, image, name, {}, tmp_path)
    assert f"docker rename {name}" in (refused.value.fix or "")
    check = anyio.run(preflight.engine, image)
    assert (check.outcome, check.how) == ("missing", refused.value.message)
    assert said("inspect", "--format={{.Id}} {{.State.Status}}", name) == f"{theirs} created"


def test_somebody_elses_network_of_our_name_is_refused_and_stays(name: str, image: str) -> None:
    theirs = said("network", "create", name)
    with pytest.raises(MachineError, match=f"network {name} that this tool did not make"):
        anyio.run(registry.start, image, "source")
    with pytest.raises(MachineError, match=f"network {name} that this tool did not make"):
        anyio.run(docker.ensure_network, name)
    assert said("network", "inspect", "--format={{.Id}}", name) == theirs


def test_a_network_of_ours_is_found_again(name: str) -> None:
    anyio.run(docker.ensure_network, name)
    made = said("network", "inspect", "--format={{.Id}}", name)
    anyio.run(docker.ensure_network, name)
    assert said("network", "inspect", "--format={{.Id}}", name) == made


def test_the_start_of_anothers_id_is_no_name_of_ours(name: str) -> None:
    made = said("network", "create", name)
    assert anyio.run(docker.ours, "network", made[:12]) is None
    assert anyio.run(docker.ours, "container", "faults-nowhere") is None


def test_a_name_that_somebody_was_faster_with_is_known_by_dockers_words(name: str, image: str) -> None:
    said("create", f"--name={name}", image)

    async def again() -> None:
        await docker.command.run(["docker", "create", f"--name={name}", image])

    with pytest.raises(CommandError) as caught:
        anyio.run(again)
    assert docker.name_taken(caught.value)
