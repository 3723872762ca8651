"""`test --only inference` from the tool's own image, which has no privilege and shares no file with any daemon."""

import json
import re
import secrets
import subprocess
import threading
from pathlib import Path

from tests.client.daemon import HOST, Daemon, ask

RUN_SECONDS = 900
SOCKET = "/var/run/docker.sock"
OF_THE_DAEMON = {"/lib/modules"}
"""kind gives its nodes the kernel modules of the daemon's own machine."""
LABELS = ("ml-serving-ci", "io.x-k8s.kind")
NODE = "-control-plane"


class Mounts:
    """What a daemon's containers of ours mount of its host, looked at for as long as a block runs."""

    def __init__(self, host: str | None) -> None:
        self.host = host
        self.seen: dict[str, set[str]] = {}
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look)

    def __enter__(self) -> "Mounts":
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watch.join()

    def _names(self) -> list[str]:
        return ask("ps", "--format={{.Names}}", host=self.host).split()

    def _look(self) -> None:
        where = ["--host", self.host] if self.host else []
        while not self._done.wait(2):
            # one may end in between: the others are shown all the same
            argv = ["docker", *where, "inspect", *self._names()]
            shown = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
            for container in json.loads(shown.stdout or "[]"):
                if any(label.startswith(LABELS) for label in container["Config"]["Labels"] or {}):
                    binds = {mount["Source"] for mount in container["Mounts"] if mount["Type"] == "bind"}
                    self.seen.setdefault(container["Name"].strip("/"), set()).update(binds)


def proves_inference(image: str, options: list[str], report: Path, daemon: str | None = None) -> None:
    """Run it, and look at its report and at what its containers had mounted."""
    name = f"client-{secrets.token_hex(4)}"
    argv = ["docker", "run", f"--name={name}", *options, image, "test", "--only", "inference"]
    try:
        with Mounts(daemon) as mounts:
            run = subprocess.run(argv, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        ask("cp", f"{name}:/project/report/report.json", report)
    finally:
        ask("rm", "--force", "--volumes", name)

    told = json.loads((report / "report.json").read_text())
    assert told["outcome"] == "passed"
    assert {stage["name"]: stage["outcome"] for stage in told["stages"]}["inference"] == "passed"
    node = re.search(r"create cluster (\S+)", run.stdout + run.stderr)[1] + NODE  # other runs have nodes of their own
    assert {node, "ml-serving-ci-registry"} <= set(mounts.seen)
    assert set().union(*mounts.seen.values()) <= OF_THE_DAEMON, mounts.seen
    assert node not in ask("ps", "--all", "--format={{.Names}}", host=daemon).split(), "the cluster is gone"


def test_with_the_socket_of_the_daemon_that_runs_it(image: str, cache: list[str], tmp_path: Path) -> None:
    proves_inference(image, [f"--volume={SOCKET}:{SOCKET}", *cache], tmp_path)


def test_with_a_daemon_elsewhere(image: str, cache: list[str], second: Daemon, tmp_path: Path) -> None:
    elsewhere = [f"--network={second.network}", f"--env=DOCKER_HOST={HOST}"]
    proves_inference(image, [*elsewhere, *cache], tmp_path, second.socket)
