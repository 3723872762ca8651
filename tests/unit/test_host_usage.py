"""Memory as the kernel counts it for a container, by both versions of control groups."""

import os
import types

import anyio
import pytest

from ci.host import daemon, limits, usage

CONTAINER = "c0ffee" * 10 + "abcd"


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A process's control groups, and what one of them counts, as the kernel shows both."""
    monkeypatch.setattr(usage, "PROC", tmp_path / "proc")
    monkeypatch.setattr(usage, "CGROUPS", tmp_path / "cgroup")

    def made(of_process, group, files):
        (tmp_path / "proc" / "7").mkdir(parents=True)
        (tmp_path / "proc" / "7" / "cgroup").write_text(of_process)
        folder = tmp_path / "cgroup" / group
        folder.mkdir(parents=True)
        for name, content in files.items():
            (folder / name).write_text(content)
        return folder

    return made


@pytest.mark.parametrize(
    ("of_process", "group", "files"),
    [
        (
            f"12:pids:/docker/{CONTAINER}\n5:memory:/docker/{CONTAINER}\n0::/docker/{CONTAINER}\n",
            f"memory/docker/{CONTAINER}",
            {
                "memory.usage_in_bytes": "5000\n",
                "memory.stat": "cache 9\nactive_file 3\ntotal_active_file 200\ntotal_inactive_file 1000\n",
            },
        ),
        (
            f"0::/system.slice/docker-{CONTAINER}.scope\n",
            f"system.slice/docker-{CONTAINER}.scope",
            {"memory.current": "5000\n", "memory.stat": "anon 9\nactive_file 200\ninactive_file 1000\n"},
        ),
        (
            f"0::/docker/{CONTAINER}/init.scope\n",
            f"docker/{CONTAINER}",
            {"memory.current": "5000\n", "memory.stat": "active_file 200\ninactive_file 1000\n"},
        ),
    ],
    ids=["version 1", "version 2 with systemd", "version 2, a node"],
)
def test_the_cache_that_the_kernel_gives_back_is_not_counted(kernel, of_process, group, files):
    folder = kernel(of_process, group, files)
    assert usage.memory_group(7, CONTAINER) == folder
    assert limits.memory_held(folder) == 3800


def test_a_container_of_another_machine_is_not_looked_for_here(kernel):
    kernel("0::/user.slice\n", "user.slice", {})
    assert usage.memory_group(7, CONTAINER) is None
    assert usage.memory_group(8, CONTAINER) is None


def test_a_container_that_is_gone_uses_nothing(tmp_path):
    assert limits.memory_held(tmp_path / "gone") == 0


@pytest.mark.parametrize(
    ("endpoint", "listener", "seen"),
    [("tcp://10.0.0.7:2376", None, False), ("unix:///run/x/docker.sock", None, False), ("unix:///x", 4711, True)],
    ids=["another machine", "another virtual machine", "here"],
)
def test_the_disk_of_a_daemon_elsewhere_is_not_taken_for_this_machines(endpoint, listener, seen, tmp_path, monkeypatch):
    # Given: a daemon whose folder has a namesake here
    (tmp_path / "docker").write_text(
        f"""#!/bin/sh
case $1 in
info) echo '{{"ServerVersion": "28.0", "DockerRootDir": "{tmp_path}", "KernelVersion": "6.1"}}' ;;
context) echo 'one {endpoint}' ;;
esac
"""
    )
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(daemon, "_listener", lambda endpoint: listener)

    async def measure():
        async with usage.measured() as meter:
            return meter.disk

    assert (anyio.run(measure) is not None) == seen


def test_a_disk_that_was_full_for_a_moment_is_remembered(tmp_path, monkeypatch):
    free = iter([50, 0, 30])
    monkeypatch.setattr(usage.shutil, "disk_usage", lambda root: types.SimpleNamespace(free=next(free)))
    meter = usage.Meter([tmp_path])

    async def look():
        for _ in range(3):
            await meter.look()

    anyio.run(look)
    assert meter.disk == 50
