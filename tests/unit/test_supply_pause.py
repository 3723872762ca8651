"""Our program that holds a pod's namespaces does what upstream's does."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import anyio
import pytest

from ci.base.wait import NotYet, until
from ci.supply.source import kubernetes
from ci.supply.supply import Supply

SECONDS = 60


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pause")
    log = folder / "log"

    async def build() -> None:
        toolchain = await Supply("source").toolchain()
        await toolchain.build(kubernetes.FILES / "pause", {"pause": "."}, folder, log)

    anyio.run(build)
    return folder / "pause"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_reaps_what_it_did_not_start_and_ends_well_when_it_is_told_to(program: Path, number: signal.Signals):
    shell = shutil.which("sh")
    assert shell is not None
    words = [shell, "-c", 'exec 3<&0; cat <&3 & exec "$0" 3<&-', program]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        try:
            anyio.run(started, process.pid)
            process.stdin.close()
            anyio.run(reaped, process.pid)
            process.send_signal(number)
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()


async def started(pid: int) -> None:
    """Wait until the shell has become the program, its child still there."""

    async def probe() -> None:
        if Path(f"/proc/{pid}/exe").readlink().name != "pause":
            raise NotYet("it is the shell still")
        assert children(pid)

    await until("the program runs", probe, timeout=SECONDS, interval=0.02)


async def reaped(pid: int) -> None:
    """Wait until a process has no child any more, not even a dead one.

    A child that ended before the program listened is told of again, as the kernel tells of the next one.
    """

    async def probe() -> None:
        if left := children(pid):
            os.kill(pid, signal.SIGCHLD)
            raise NotYet(f"children {left}")

    await until("nothing is left of the orphan", probe, timeout=SECONDS, interval=0.02)


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
