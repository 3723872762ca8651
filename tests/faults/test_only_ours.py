"""Only what is ours goes: other people's clusters, containers, networks and runs stay, whatever they are called.

Real: Docker, kind, the node image, other PID namespaces and users. One test makes a cluster, half a minute; the others
take seconds: `pytest tests/faults/test_only_ours.py`.
"""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import anyio
import pytest

from ci.base import paths
from ci.base.errors import MachineError, UsageError
from ci.cluster import clean, kind, runs
from ci.supply import registry

GONE = "4194299"
"""A process number that is hardly ever given."""
HIDDEN = 'mount -t proc -o hidepid=2,gid=65533 proc /proc && exec "$@"'
SOCKET = Path("/var/run/docker.sock")


def docker(*argv: str) -> str:
    return subprocess.run(["docker", *argv], capture_output=True, text=True, check=True).stdout.strip()


def there(what: str, name: str) -> bool:
    return subprocess.run(["docker", what, "inspect", name], capture_output=True, check=False).returncode == 0


def dead() -> str:
    me = runs.Owner.me()
    return str(runs.Owner(me.boot, me.namespace, int(GONE), "1"))


class Things:
    """Containers and networks as somebody makes them, removed in the end by their ids."""

    def __init__(self, image: str, stack: ExitStack) -> None:
        self.run = runs.new_id()
        self.name = runs.cluster_name(self.run)
        self._image = image
        self._stack = stack

    def network(self, name: str, *labels: str) -> str:
        made = docker("network", "create", *(f"--label={label}" for label in labels), name)
        self._stack.callback(subprocess.run, ["docker", "network", "rm", made], capture_output=True, check=False)
        return made

    def ours(self, owner: str, *, keep: bool = False) -> str:
        labels = {runs.RUN_LABEL: self.run, runs.OWNER_LABEL: owner, runs.KEEP_LABEL: str(keep).lower()}
        return self.network(self.name, *(f"{key}={value}" for key, value in labels.items()))

    def node(self, network: str, *, name: str | None = None, command: str = "run") -> str:
        """What kind leaves in Docker: a container with its label."""
        options = ["--detach"] if command == "run" else []
        label = f"--label={runs.KIND_LABEL}={name or self.name}"
        made = docker(command, *options, label, f"--network={network}", "--entrypoint=sleep", self._image, "600")
        self._stack.callback(subprocess.run, ["docker", "rm", "--force", made], capture_output=True, check=False)
        return made

    def found(self) -> clean.Found | None:
        return {found.name: found for found in anyio.run(clean.clusters)}.get(self.name)


@pytest.fixture
def things(tools: tuple[str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Things]:
    monkeypatch.setenv("ML_SERVING_CI_CACHE", str(tmp_path / "cache"))
    with ExitStack() as stack:
        yield Things(tools[2], stack)


NETWORKS: dict[str, Callable[[Things], str]] = {
    "Docker's own": lambda _: "bridge",
    "one called like ours": lambda things: things.network(things.name),
    "one with kind's name": lambda things: things.network(f"kind-{things.run}"),
    "ours, for a cluster of another name": lambda things: things.network(
        runs.cluster_name(runs.new_id()), f"{runs.RUN_LABEL}={things.run}", f"{runs.OWNER_LABEL}={runs.Owner.me()}"
    ),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_a_persons_cluster_called_like_ours_is_not_ours(things: Things, network: str, tmp_path: Path) -> None:
    # Given
    joined = NETWORKS[network](things)
    node = things.node(joined)

    # Then
    assert things.found() is None
    assert anyio.run(clean.delete, things.name) == []
    anyio.run(clean.clean)
    with pytest.raises(UsageError, match="taken, and not by a cluster of this tool: container") as refused:
        anyio.run(lambda: kind.create(Path("kind"), Path("kubectl"), "image", tmp_path, run=things.run, keep=False))
    assert refused.value.exit_code == 2
    assert there("container", node)
    assert there("network", joined)


def test_a_persons_network_and_container_with_our_names_are_taken(things: Things, tmp_path: Path) -> None:
    network = things.network(things.name)
    with pytest.raises(UsageError, match=f"taken, and not by a cluster of this tool: network {things.name}"):
        anyio.run(lambda: kind.create(Path("kind"), Path("kubectl"), "image", tmp_path, run=things.run, keep=False))
    assert anyio.run(clean.delete, things.name) == []
    assert there("network", network)


def test_a_taken_name_is_refused_before_anything_is_fetched(things: Things) -> None:
    things.node("bridge")
    refused = ci("cluster", "up", "--name", things.run)
    assert refused.returncode == 2, refused.stderr
    assert f"the name {things.run} is taken, and not by a cluster of this tool: container " in refused.stderr


def test_whoever_else_is_on_a_network_of_ours_stays(things: Things) -> None:
    # Given: what a dead run left, and a person's cluster and container on its network
    network = things.ours(dead())
    node, created = things.node(network), things.node(things.name, command="create")
    others = [things.node(network, name="demo"), things.node(network, name=f"{things.name}-2")]

    # When
    removed = anyio.run(clean.clean)

    # Then
    assert f"network {things.name}" in removed
    assert not there("network", network)
    assert not there("container", node)
    assert not there("container", created)
    assert all(there("container", other) for other in others)


def test_a_node_whose_network_went_is_known_by_the_mark(things: Things) -> None:
    # Given: a stopped node, its network pruned, and a person's that is called the same
    network = things.ours(dead())
    node = things.node(network)
    runs.Mark(network, dead(), keep=False, created=datetime.now(UTC), containers=(node,)).write(things.name)
    docker("kill", node)
    docker("network", "rm", network)
    other = things.node(things.network(things.name))

    # When
    anyio.run(clean.clean)

    # Then
    assert not there("container", node)
    assert there("container", other)
    assert not runs.folder(things.name).exists()


def test_a_kept_cluster_is_kept_wherever_it_is_looked_at_from(things: Things, monkeypatch: pytest.MonkeyPatch) -> None:
    node = things.node(things.ours(dead(), keep=True))
    for owner in ("no mark", "a mark of another daemon's"):
        if owner != "no mark":
            runs.Mark("f" * 64, dead(), keep=False, created=datetime.now(UTC)).write(things.name)
        found = things.found()
        assert found is not None
        assert found.state == "kept"
        anyio.run(clean.clean)
        assert there("container", node)
    assert runs.folder(things.name).exists()


def test_a_kept_cluster_is_kept_when_a_cleaner_took_its_kubeconfig(things: Things) -> None:
    network = things.ours(dead(), keep=True)
    node = things.node(network)
    runs.Mark(network, dead(), keep=True, created=datetime.now(UTC), containers=(node,)).write(things.name)

    anyio.run(clean.clean)
    assert there("container", node)

    docker("kill", node)
    docker("network", "rm", network)
    anyio.run(clean.clean)
    assert there("container", node)
    assert runs.folder(things.name).exists()


def test_one_that_was_to_be_kept_and_never_came_up_is_left_over(things: Things) -> None:
    network = things.ours(dead(), keep=True)
    node = things.node(network)
    runs.Mark(network, dead(), keep=True, created=datetime.now(UTC)).write(things.name)

    anyio.run(clean.clean)

    assert not there("container", node)
    assert not there("network", network)


def test_a_folder_that_a_killed_run_had_not_marked_yet_goes_with_its_network(things: Things) -> None:
    things.ours(dead())
    runs.folder(things.name).mkdir(parents=True)
    (runs.folder(things.name) / ".cluster.json.x").write_text("")

    anyio.run(clean.clean)

    assert not runs.folder(things.name).exists()


@pytest.mark.parametrize("content", [{"notes.txt": "mine"}, {runs.MARK: ""}, {runs.MARK: "{"}])
def test_a_folder_without_a_mark_stays_when_another_users_cluster_of_its_name_goes(
    things: Things, content: dict[str, str]
) -> None:
    network = things.ours(dead())
    runs.folder(things.name).mkdir(parents=True)
    for name, text in content.items():
        (runs.folder(things.name) / name).write_text(text)

    assert f"network {things.name}" in anyio.run(clean.clean)

    assert not there("network", network)
    assert [path.name for path in runs.folder(things.name).iterdir()] == list(content)


def test_a_networks_name_shows_no_cluster_that_there_is_none_of(things: Things) -> None:
    name = f"{things.name}\nkept\tkept\t\x1b[31m-"
    network = things.network(name, f"{runs.RUN_LABEL}=x", f"{runs.OWNER_LABEL}={runs.Owner.me()}")
    shown = [line for line in ci("cluster", "status").stdout.splitlines() if line.startswith((things.run, "kept"))]
    assert shown == [f"{things.run}\\x0akept\\x09kept\\x09\\x1b[31m-\tin use\t-\t-"]
    assert there("network", network)


def test_of_another_users_cluster_no_kubeconfig_is_named(things: Things) -> None:
    things.node(things.ours(dead(), keep=True))
    shown = ci("cluster", "status").stdout
    assert [line.split("\t")[-1] for line in shown.splitlines() if line.startswith(things.run)] == ["-"]
    asked = ci("cluster", "kubeconfig", "--name", things.run)
    assert (asked.returncode, asked.stdout) == (2, "")
    assert f"the cluster {things.run} has no kubeconfig in " in asked.stderr


def test_a_networks_name_leads_to_no_folder(things: Things, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (precious / "work").mkdir(parents=True)
    network = things.network(str(precious), f"{runs.RUN_LABEL}=x", f"{runs.OWNER_LABEL}={dead()}")

    anyio.run(clean.clean)

    assert not there("network", network)
    assert (precious / "work").is_dir()


def test_the_folder_of_a_cluster_on_another_daemon_stays_while_its_run_may_live(things: Things) -> None:
    mark = runs.Mark("f" * 64, str(runs.Owner.me()), keep=False, created=datetime.now(UTC))
    mark.write(things.name)
    anyio.run(clean.clean)
    assert runs.folder(things.name).exists()


def test_an_owner_that_cannot_be_seen_is_left_alone_and_shown_as_such(things: Things) -> None:
    me = runs.Owner.me()
    network = things.ours(str(runs.Owner(me.boot, "1", int(GONE), "1")))
    anyio.run(clean.clean)
    assert there("network", network)
    shown = ci("cluster", "status")
    assert f"{things.run}\tin use, or not: its process cannot be seen from here\t-" in shown.stdout


def test_a_cluster_of_another_process_by_the_same_name_is_not_torn_down(things: Things) -> None:
    network = things.ours(dead())
    assert anyio.run(lambda: clean.delete(things.name, owner=runs.Owner.me())) == []
    assert there("network", network)


@pytest.mark.skipif(os.geteuid() != 0 or not SOCKET.is_socket(), reason="needs root and the daemon's socket")
@pytest.mark.parametrize(
    "place",
    [
        ["unshare", "--pid", "--fork", "--mount-proc"],
        ["unshare", "--pid", "--fork"],
        ["unshare", "--mount", "sh", "-c", HIDDEN, "sh"],
    ],
    ids=["another container", "another PID namespace without a table of its own", "another user who sees no process"],
)
def test_clean_beside_a_live_run_harms_nothing(things: Things, place: list[str]) -> None:
    # Given: a live run's cluster, and a program of it
    network = things.ours(str(runs.Owner.me()))
    node = things.node(network)
    program = subprocess.Popen(["sleep", "600"], env={**os.environ, **runs.environment()})
    group = SOCKET.stat().st_gid
    user = f"os.setgroups([{group}]); os.setgid(65534); os.setuid(65534)" if HIDDEN in place else ""
    script = (
        "import os, anyio; from ci.cluster import clean; os.environ['ML_SERVING_CI_CACHE'] = '/nonexistent'\n"
        f"anyio.run(clean.clusters); {user}\n"  # Python itself may lie where the other user sees nothing
        "print(anyio.run(clean.clean), [found.state for found in anyio.run(clean.clusters)])"
    )
    try:
        # When
        ended = subprocess.run(
            [*place, sys.executable, "-c", script], cwd=paths.ROOT, capture_output=True, text=True, check=False
        )

        # Then
        assert ended.returncode == 0, ended.stderr
        assert "unknown" in ended.stdout
        assert there("container", node)
        assert there("network", network)
        assert program.poll() is None
    finally:
        program.kill()
        program.wait()


def test_a_persons_volume_with_the_registrys_name_is_not_emptied(things: Things) -> None:
    volume = f"{registry.CONTAINER}-{things.run}"
    docker("volume", "create", volume)
    try:
        with pytest.raises(MachineError, match=f"its volume {volume} bears no label"):
            anyio.run(registry.empty, things.run)
        assert there("volume", volume)
    finally:
        docker("volume", "rm", volume)


def test_a_persons_real_cluster_survives_everything(
    things: Things, tools: tuple[str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given: a cluster of kind's that works, with our name on a network with our name; no label and no mark is ours
    with monkeypatch.context() as person:
        person.setattr(runs, "RUN_LABEL", "person.run")
        person.setenv("ML_SERVING_CI_CACHE", str(tmp_path / "persons"))
        create = functools.partial(kind.create, Path(tools[0]), Path(tools[1]), tools[2], tmp_path)
        cluster = anyio.run(lambda: create(run=things.run, keep=False))
    try:
        # When
        assert things.found() is None
        assert anyio.run(clean.delete, things.name) == []
        assert ci("cluster", "clean").returncode == 0
        for command in ("down", "up"):
            assert ci("cluster", command, "--name", things.run).returncode == 2
        with pytest.raises(UsageError, match="taken, and not by a cluster of this tool"):
            anyio.run(lambda: create(run=things.run, keep=False))

        # Then
        answer = [tools[1], f"--kubeconfig={cluster.kubeconfig}", "get", "nodes", "--output=json"]
        nodes = json.loads(subprocess.run(answer, capture_output=True, check=True).stdout)["items"]
        assert [node["metadata"]["name"] for node in nodes] == [f"{things.name}-control-plane"]
    finally:
        subprocess.run([tools[0], "delete", "cluster", f"--name={things.name}"], capture_output=True, check=True)
        subprocess.run(["docker", "network", "disconnect", "--force", things.name, registry.CONTAINER], check=True)
        subprocess.run(["docker", "network", "rm", things.name], capture_output=True, check=True)


def ci(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "ci/main.py", *argv], cwd=paths.ROOT, capture_output=True, text=True, check=False
    )
