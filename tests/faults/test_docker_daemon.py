"""A real Docker daemon of our own, in namespaces of its own: it never meets the machine's."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ci.base.paths import ROOT

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("dockerd") is None or shutil.which("unshare") is None,
    reason="needs root, dockerd and unshare",
)

LIFE = """
import os, signal, sys
from pathlib import Path
import anyio
from ci.host import docker

folder = Path(sys.argv[1])


async def life():
    assert await docker.find() is None
    await docker.ensure(folder)
    os.kill(docker.started_with(folder / "daemon.json"), signal.SIGKILL)
    while docker.started_with(folder / "daemon.json") is not None:
        await anyio.sleep(0.05)

    # what a killed daemon leaves, its numbers taken by another program since
    (folder / "dockerd.pid").write_text(str(os.getpid()))
    Path("/run/docker/containerd/containerd.pid").write_text(str(os.getpid()))
    assert await docker.ensure(folder) == await docker.find()

    for file in folder.glob("*-runc"):
        file.unlink()  # a cleaned cache
    await docker.ensure(folder)
    assert Path(folder, "ml-serving-ci-runc").exists() == bool(docker.oci_runtime.missing_here())

    assert await docker.stop_services(folder) == ["dockerd"]
    assert await docker.stop_services(folder) == []
    assert await docker.find() is None


anyio.run(life)
"""

GUEST = """
import subprocess, sys
from pathlib import Path
import anyio
from ci.host import docker

folder = Path(sys.argv[1])


def run(*argv):
    return subprocess.run(["docker", *argv], check=True, capture_output=True, text=True).stdout.strip()


async def life():
    await docker.ensure(folder)
    await docker.ensure_network("services")
    (folder / "empty").write_text("")
    subprocess.run(["tar", "-cf", folder / "image.tar", "-C", folder, "empty"], check=True)
    run("import", folder / "image.tar", "guest")
    parts = [f"--volume={part}:{part}:ro" for part in ("/bin", "/lib", "/lib64", "/usr")]
    guest = run("run", "--detach", "--name=persons", "--network=services", *parts, "guest", "/bin/sleep", "600")
    run("create", f"--label={docker.SERVICE_LABEL}=registry", "--name=ours", *parts, "guest", "/bin/sleep", "600")

    assert await docker.stop_services(folder) == ["container ours"]
    assert await docker.find() is not None
    assert run("inspect", "--format={{.State.Running}}", guest) == "true"

    run("rm", "--force", guest)
    assert await docker.stop_services(folder) == ["network services", "dockerd"]


anyio.run(life)
"""

BROKEN = """
import sys
from pathlib import Path
import anyio
from ci.base.errors import MachineError
from ci.host import docker

docker.USER_CONFIG = Path(sys.argv[1], "user.json")
docker.USER_CONFIG.write_text('{"no-such-key": 1}')
try:
    anyio.run(docker.ensure, Path(sys.argv[1]))
except MachineError as error:
    print(error.message, error.detail)
"""


DISK = """
import json, os, sys
from pathlib import Path
import anyio
from ci.host import docker, limits, machine

folder = Path(sys.argv[1])
root = folder / "root"
root.mkdir()
os.system(f"mount -t tmpfs -o size=1g t {root}")
docker.USER_CONFIG = folder / "user.json"
docker.USER_CONFIG.write_text(json.dumps({"data-root": str(root), "storage-driver": "vfs"}))


def disks(found):
    return [[check.need, check.how] for check in machine.checks(folder, found) if "(Docker)" in check.need]


async def look():
    before = disks(None)
    found = await docker.ensure(folder)
    after = disks(await docker.find())
    print(json.dumps([found.where, limits.program(found.process), before, after]))
    await docker.stop_services(folder)


anyio.run(look)
"""


def in_namespaces(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    setup = 'ip link set lo up; mount -t tmpfs t /run && mount -t tmpfs t /var/lib/docker && exec "$@"'
    return subprocess.run(
        ["unshare", "--mount", "--net", "sh", "-c", setup, "sh", sys.executable, "-c", program, folder],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "DOCKER_HOST"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_a_daemon_is_started_killed_started_again_and_stopped(tmp_path: Path) -> None:
    ended = in_namespaces(LIFE, tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_daemon_and_a_network_that_somebody_else_uses_stay(tmp_path: Path) -> None:
    ended = in_namespaces(GUEST, tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "runs what is not ours: persons" in ended.stderr


def test_a_daemon_that_refuses_its_configuration_is_named_with_its_own_words(tmp_path: Path) -> None:
    ended = in_namespaces(BROKEN, tmp_path)
    assert "the Docker daemon did not start" in ended.stdout, ended.stdout + ended.stderr
    assert "no-such-key" in ended.stdout


def test_the_disk_that_holds_the_daemons_folder_is_judged(tmp_path: Path) -> None:
    ended = in_namespaces(DISK, tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    where, program, before, after = json.loads(ended.stdout)
    assert (where, program) == ("here", "dockerd")
    assert before == after == [[f"disk space at {tmp_path}/root (Docker)", "1.0 GiB free, 6 GiB needed"]]
