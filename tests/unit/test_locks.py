"""Locks between processes: who waits says for whom, and a killed holder holds nothing."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys

import anyio
import pytest

from ci.base import locks, progress, wait
from ci.base.errors import MachineError
from ci.base.wait import NotYet, until

pytestmark = pytest.mark.anyio
SECONDS = 60
HOLD = """
import anyio, sys
from pathlib import Path
from ci.base import locks
async def hold():
    async with locks.exclusive(Path(sys.argv[1]), "helm"):
        print("held", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)
anyio.run(hold)
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "locks" / "helm.lock"


@pytest.fixture
def holder(file):
    """Another process that holds the lock until its standard input ends."""
    argv = [sys.executable, "-c", HOLD, file, "supply", "fetch", "helm"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(progress, "note", lines.append)
    return lines


async def test_who_waits_says_for_whom_and_gets_its_turn(file, holder, said):
    async def told():
        if not said:
            raise NotYet("nothing said")

    async def wait_for_it():
        async with locks.exclusive(file, "helm"):
            held.set()

    held = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(wait_for_it)
        await until("the line", told, timeout=SECONDS, interval=0.05)
        assert not held.is_set()
        holder.communicate()
        with anyio.fail_after(SECONDS):
            await held.wait()

    (line,) = said
    assert line.startswith(f"waiting for helm: process {holder.pid} (-c {file} supply fetch helm, since ")


async def test_a_short_wait_is_not_worth_a_line(file, holder, said, monkeypatch):
    monkeypatch.setattr(locks, "QUIET_SECONDS", float(SECONDS))
    holder.stdin.close()
    async with locks.exclusive(file, "helm"):
        pass
    assert said == []


async def test_a_long_wait_is_said_once_here_and_then_by_the_wait(file, holder, said, monkeypatch):
    monkeypatch.setattr(locks, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(wait, "QUIET_SECONDS", 0.5)
    again = []

    def told(line):
        again.append(line)
        if len(again) == 2:
            holder.stdin.close()

    monkeypatch.setattr(wait, "note", told)
    async with locks.exclusive(file, "helm", timeout=SECONDS):
        assert len(said) == 1
    assert len(again) >= 2
    assert all(f"process {holder.pid} " in line for line in again)


async def test_the_deadline_names_the_holder(file, holder):
    with pytest.raises(MachineError, match=rf"helm: process {holder.pid} \(.*\) works on it, and has for 1 s") as late:
        async with locks.exclusive(file, "helm", timeout=1):
            pass
    assert late.value.exit_code == 3


async def test_a_killed_holder_holds_nothing(file, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with anyio.fail_after(SECONDS):
        async with locks.exclusive(file, "helm"):
            assert str(os.getpid()) in file.with_suffix(".holder").read_text()
    assert not file.with_suffix(".holder").exists()


async def test_tasks_of_one_process_take_turns_in_silence(file, said, monkeypatch):
    monkeypatch.setattr(locks, "QUIET_SECONDS", 0.0)
    inside = 0

    async def work():
        nonlocal inside
        async with locks.exclusive(file, "helm"):
            inside += 1
            await anyio.sleep(0.01)
            assert inside == 1
            inside -= 1

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(work)
    assert said == []


HOLDER = '{"pid": 1, "host": "h", "command": "c", "since": %s}'


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "\xff", *(HOLDER % since for since in ('"x"', "1e999", "NaN", "-1e17", "null"))]
)
async def test_a_holder_that_wrote_nothing_readable(file, holder, text):
    file.with_suffix(".holder").write_text(text, encoding="latin-1")
    with pytest.raises(MachineError, match="another process works on it"):
        async with locks.exclusive(file, "helm", timeout=0.5):
            pass


async def test_a_place_for_no_lock_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"helm\.lock"):
        async with locks.exclusive(tmp_path / "file" / "helm.lock", "helm"):
            pass


@pytest.mark.parametrize("holder", ["a folder", "a link to nowhere"])
async def test_where_the_holder_cannot_be_written_down_the_lock_is_held_all_the_same(file, holder):
    file.parent.mkdir()
    if holder == "a folder":
        file.with_suffix(".holder").mkdir()
    else:
        file.with_suffix(".holder").symlink_to("/nonexistent/holder")
    async with locks.exclusive(file, "helm"):
        with pytest.raises(MachineError, match="another process works on it"):
            await anyio.to_thread.run_sync(anyio.run, held_elsewhere, file)


async def held_elsewhere(file):
    """Ask for a lock as a thread with a loop of its own does: as another process."""
    async with locks.exclusive(file, "helm", timeout=0.5):
        pass


TAKE = HOLD.replace("await anyio.to_thread.run_sync(sys.stdin.read)", "pass").replace(
    "anyio.run(hold)", "try: anyio.run(hold)\nexcept OSError as error: print(error)"
)


def taken(file, *around):
    """What another process says that takes a lock."""
    argv = [*around, sys.executable, "-c", TAKE, file]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=300).stdout.strip()


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root, who gives up its power")
async def test_a_lock_of_another_users_can_be_held(file):
    file.parent.mkdir()
    file.touch()
    os.chown(file, 65534, 65534)
    powerless = ["setpriv", "--bounding-set=-all"]
    assert taken(file, *powerless) == "held"
    async with locks.exclusive(file, "helm"):
        file.chmod(0)
        assert "helm.lock" in taken(file, *powerless), "which nobody may open but its owner"


@pytest.mark.skipif(
    not shutil.which("strace") or subprocess.run(["strace", "-qq", "true"], check=False).returncode != 0,
    reason="needs strace, which makes calls of the system fail",
)
@pytest.mark.parametrize("code", ["ENOSYS", "ENOLCK", "EIO"])
async def test_a_file_system_without_locks_is_named_at_once(file, code):
    """As Lustre has none where it is mounted without `flock`, NFS none where its server's lock daemon is off."""
    file.parent.mkdir()
    file.touch()  # of an earlier run
    said = taken(file, "strace", "-f", "-qq", "-o", os.devnull, "-e", f"inject=flock:error={code}")
    assert said.startswith(f"[Errno {getattr(errno, code)}] {os.strerror(getattr(errno, code))}: '{file}'")


async def test_a_holder_that_is_no_process_here_is_not_named_by_its_number(file, holder):
    """It is of another PID namespace, or left over beside a lock that a user holds who could not write there."""
    note = file.with_suffix(".holder")
    note.write_text(json.dumps({**json.loads(note.read_text()), "pid": 4194299}))  # hardly ever given
    with pytest.raises(MachineError, match="another process works on it"):
        async with locks.exclusive(file, "helm", timeout=0.5):
            pass
