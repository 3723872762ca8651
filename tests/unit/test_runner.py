"""How commands end: exit codes, one line for people, and clean-up on a signal, in a real process."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from ci.base.paths import ROOT

PROGRAM = """
import dataclasses, sys
from pathlib import Path
import anyio, typer
from ci.base import command, process, progress
from ci.commands.runner import run_async
from ci.results import Failure
from ci.base.errors import CheckFailedError, MachineError, UsageError

async def wait():
    try:
        print("started", flush=True)
        await anyio.sleep(60)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.1)
            print("cleaned up", flush=True)

async def fail(kind):
    async with anyio.create_task_group() as group:
        async def inner():
            raise kind("the disk is full", fix="make room", detail="a long tail")
        group.start_soon(inner)

async def stubborn():
    try:
        print("started", flush=True)
        await anyio.sleep(60)
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(sys.stdin.read)
            print("cleaned up", flush=True)

async def gone():
    try:
        progress.note("started")
        await anyio.sleep(60)
    finally:
        with anyio.CancelScope(shield=True):
            progress.note("the terminal is gone")
            print("the terminal is gone", flush=True)
            await anyio.sleep(0.1)
            Path(sys.argv[2]).write_text("cleaned up")

async def two():
    async def late():
        try:
            await anyio.sleep(60)
        finally:
            raise MachineError("the tear-down broke")
    async def early():
        await anyio.sleep(0.1)
        raise CheckFailedError("the cause")
    async with anyio.create_task_group() as group:
        group.start_soon(late)
        group.start_soon(early)

async def other(kind):
    async with anyio.create_task_group() as group:
        group.start_soon(raised, kind)

async def raised(kind):
    if kind == "system":
        await command.run([sys.argv[0] + ".not-there/x"], log=Path("/dev/null/a/log"))
    if kind == "bug":
        dataclasses.replace(Failure("where", "message"), no_such_field=1)
    if kind == "exit":
        raise typer.Exit(1)
    await waited()

async def waited():
    with anyio.fail_after(0):
        await anyio.sleep(1)

app = typer.Typer(pretty_exceptions_enable=False)

@app.command()
def main(what: str, file: str = typer.Argument("")):
    kinds = {"check": CheckFailedError, "usage": UsageError, "machine": MachineError}
    runs = {"wait": wait, "stubborn": stubborn, "gone": gone, "two": two}
    if what in kinds:
        run_async(fail, kinds[what])
    elif what in runs:
        run_async(runs[what])
    else:
        run_async(other, what)

if "gone" in sys.argv:
    process.prepare()
app()
"""


@pytest.fixture
def program(tmp_path: Path) -> list[str]:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    return [sys.executable, str(file)]


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(("kind", "code"), [("check", 1), ("usage", 2), ("machine", 3)])
def test_an_error_is_one_line_with_its_way_out_and_its_exit_code(program: list[str], kind: str, code: int):
    ended = subprocess.run([*program, kind], capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
    assert ended.returncode == code
    assert "error: the disk is full" in ended.stderr
    assert "fix: make room" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "a long tail" not in ended.stderr


def test_debug_shows_the_rest(program: list[str]):
    environment = {**ENVIRONMENT, "ML_SERVING_CI_DEBUG": "1"}
    ended = subprocess.run([*program, "check"], capture_output=True, text=True, env=environment, timeout=300)
    assert "Traceback" in ended.stderr
    assert "a long tail" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cleans_up_and_exits_130(program: list[str], number: signal.Signals):
    with subprocess.Popen([*program, "wait"], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        assert process.stdout.read() == "cleaned up\n"
        assert process.wait(60) == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_no_further_signal_ends_the_clean_up(program: list[str], number: signal.Signals):
    argv = [*program, "stubborn"]
    with subprocess.Popen(argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "started\n"
        for count, again in enumerate((signal.SIGINT, number, number)):
            process.send_signal(again)
            assert process.stderr.readline() == f"{again.name}: {'still ' if count else ''}stopping, cleaning up …\n"
        process.stdin.close()
        assert process.stdout.read() == "cleaned up\n"
        assert process.wait(60) == 130


def test_under_nohup_the_end_of_the_terminal_stops_nothing(program: list[str]):
    argv = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *program, "wait"]
    with subprocess.Popen(argv, stdout=PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 130


def test_a_terminal_that_is_gone_neither_hides_the_signal_nor_breaks_the_clean_up(program: list[str], tmp_path: Path):
    master, slave = os.openpty()
    done = tmp_path / "done"
    take = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    argv = [sys.executable, "-c", take, *program, "gone", str(done)]
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), slave)
    with subprocess.Popen(argv, env=ENVIRONMENT, start_new_session=True, **streams) as process:
        os.close(slave)
        assert b"started" in os.read(master, 1000)
        os.close(master)  # as when ssh is gone: the kernel sends SIGHUP, and every write ends with EIO
        assert process.wait(60) == 130
    assert done.read_text() == "cleaned up"


def ended(program: list[str], what: str) -> tuple[int, list[str]]:
    run = subprocess.run([*program, what], capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
    return run.returncode, run.stderr.splitlines()


def test_the_first_of_several_errors_is_the_error_and_the_others_follow(program: list[str]):
    code, lines = ended(program, "two")
    assert (code, lines) == (1, ["error: the cause", "    then: the tear-down broke"])


def test_what_the_system_refuses_is_one_line_with_its_path_and_a_way_out(program: list[str]):
    code, lines = ended(program, "system")
    assert (code, lines[0]) == (3, "error: /dev/null/a: Not a directory")
    assert lines[1].startswith("  fix: ")
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("what", "said"),
    [("bug", "TypeError: "), ("deadline", "TimeoutError: ")],
)
def test_a_bug_is_one_line_that_says_where_and_how_to_report_it(program: list[str], what: str, said: str):
    code, lines = ended(program, what)
    assert code == 1
    assert lines[0].startswith(f"error: internal error: {said}")
    assert re.search(r" at \S+\.py:\d+$", lines[0])
    assert lines[1] == f"  fix: python ci/main.py --debug {what}  # a bug of this tool: report it with what this shows"
    assert len(lines) == 2


def test_an_exit_code_of_a_command_stays(program: list[str]):
    assert ended(program, "exit") == (1, [])
