import os
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from ci import command
from ci.cluster import clean, runs


def test_this_process_is_an_owner_that_lives() -> None:
    me = runs.Owner.me()

    assert me.pid == os.getpid()
    assert me.alive
    assert runs.Owner.parse(str(me)) == me


def test_an_owner_that_ended_is_dead() -> None:
    # Given
    process = subprocess.Popen(["sleep", "60"])
    started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    owner = runs.Owner(runs.Owner.me().host, process.pid, started)
    assert owner.alive

    # When
    process.kill()
    process.wait()

    # Then
    assert not owner.alive


def test_another_process_of_the_same_number_is_not_the_owner() -> None:
    me = runs.Owner.me()

    assert not runs.Owner(me.host, me.pid, str(int(me.started) - 1)).alive


def test_an_owner_on_another_machine_counts_as_alive() -> None:
    assert runs.Owner("somewhere-else.example", 1, "1").alive


@pytest.mark.parametrize("text", ["", "x", "host/pid/1", "host/1", "host/1/2/3x"])
def test_other_text_is_no_owner(text: str) -> None:
    assert runs.Owner.parse(text) is None


def test_programs_of_a_killed_run_are_stopped_and_those_of_a_living_one_are_not() -> None:
    # Given: a run that is killed while a program of its own works on, and one that lives
    script = (
        "import anyio, sys; from ci import command; from ci.cluster import runs\n"
        "anyio.run(lambda: command.run(['sleep', sys.argv[1]], env=runs.environment()))"
    )
    killed, living = (subprocess.Popen([sys.executable, "-c", script, f"10000.{n}"]) for n in (1, 2))
    try:
        wait_for(lambda: sleeping("10000.1") and sleeping("10000.2"))
        killed.kill()
        killed.wait()
        assert sleeping("10000.1")

        # When
        stopped = clean.stop_strays()

        # Then
        assert len([line for line in stopped if "sleep 10000.1" in line]) == 1
        wait_for(lambda: not sleeping("10000.1"))
        assert sleeping("10000.2")
    finally:
        living.terminate()
        living.wait()
        for seconds in ("10000.1", "10000.2"):
            for pid in sleeping(seconds):
                os.kill(pid, 9)


def test_programs_started_for_a_run_carry_its_owner() -> None:
    result = anyio.run(lambda: command.run(["env"], env=runs.environment()))

    assert f"{runs.OWNER_VARIABLE}={runs.Owner.me()}" in result.stdout.splitlines()


def sleeping(seconds: str) -> list[int]:
    """Return the processes that run `sleep` for so long."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes() == f"sleep\0{seconds}\0".encode():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_for(condition, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)
