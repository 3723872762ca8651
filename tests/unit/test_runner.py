"""How commands end: exit codes, one line for people, and clean-up on a signal, in a real process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ci.paths import ROOT

PROGRAM = """
import anyio, typer
from ci.commands.runner import run_async
from ci.errors import CheckFailedError, MachineError, UsageError

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

app = typer.Typer(pretty_exceptions_enable=False)

@app.command()
def main(what: str):
    kinds = {"check": CheckFailedError, "usage": UsageError, "machine": MachineError}
    run_async(wait) if what == "wait" else run_async(fail, kinds[what])

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
    ended = subprocess.run([*program, kind], capture_output=True, text=True, env=ENVIRONMENT, timeout=60)
    assert ended.returncode == code
    assert "error: the disk is full" in ended.stderr
    assert "fix: make room" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "a long tail" not in ended.stderr


def test_debug_shows_the_rest(program: list[str]):
    environment = {**ENVIRONMENT, "ML_SERVING_CI_DEBUG": "1"}
    ended = subprocess.run([*program, "check"], capture_output=True, text=True, env=environment, timeout=60)
    assert "Traceback" in ended.stderr
    assert "a long tail" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cleans_up_and_exits_130(program: list[str], number: signal.Signals):
    with subprocess.Popen([*program, "wait"], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        assert process.stdout.read() == "cleaned up\n"
        assert process.wait(30) == 130
