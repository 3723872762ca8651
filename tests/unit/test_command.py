"""The runner of other programs, with real processes."""

import os
import signal
import sys
import time
import tracemalloc
from pathlib import Path

import anyio
import pytest

from ci.base import command
from ci.base.errors import CommandError, MachineError
from ci.base.wait import NotYet, until

pytestmark = pytest.mark.anyio


async def test_returns_what_the_program_printed():
    result = await command.run([sys.executable, "-c", "import sys; print(sys.stdin.read()[::-1])"], stdin="abc")
    assert result.stdout == "cba\n"


async def test_an_exit_code_other_than_0_is_an_error_with_command_code_and_last_line():
    with pytest.raises(CommandError) as caught:
        await command.run([sys.executable, "-c", "import sys; print('why', file=sys.stderr); sys.exit(7)"])
    assert caught.value.returncode == 7
    assert "exit code 7: why" in str(caught.value)
    assert sys.executable in caught.value.detail


async def test_a_program_that_takes_its_time_is_told_of_with_the_last_line_of_its_log(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "TELL_SECONDS", 0.2)
    go_on = tmp_path / "go on"
    script = (
        "import sys, time\nfrom pathlib import Path\nprint('half done', flush=True)\n"
        "while not Path(sys.argv[1]).exists(): time.sleep(0.02)\nprint('x' * 200_000)"
    )
    told = []

    def note(line):
        told.append(line)
        if line.endswith(" s: half done"):
            go_on.touch()

    monkeypatch.setattr(command, "note", note)
    result = await command.run([sys.executable, "-c", script, go_on], log=tmp_path / "log", timeout=60)
    assert told[-1].startswith(f"{Path(sys.executable).name} runs for ")
    assert result.returncode == 0

    result = await command.run([sys.executable, "-c", script, go_on])
    assert len(result.stdout) == len("half done\n") + 200_001, "all that it printed is there"


async def test_a_missing_program_is_named():
    with pytest.raises(MachineError, match="no-such-program-here"):
        await command.run(["no-such-program-here"])


async def test_secrets_are_in_no_error_and_no_output():
    script = "import sys; print(sys.argv[1]); print('token', sys.argv[1], file=sys.stderr); sys.exit(1)"
    with pytest.raises(CommandError) as caught:
        await command.run([sys.executable, "-c", script, "hunter2"], secrets=["hunter2"])
    assert "hunter2" not in f"{caught.value} {caught.value.detail} {caught.value.argv} {caught.value.stdout}"


async def test_at_its_deadline_the_whole_process_group_is_gone(tmp_path: Path):
    pid_file = tmp_path / "pid"
    with pytest.raises(CommandError, match="no end after"):  # a shell is there in a moment, even on a busy machine
        await command.run(["sh", "-c", 'sleep 600 & echo $! >"$0"; wait', pid_file], timeout=6)
    assert not _runs(int(pid_file.read_text()))


async def test_cancelling_stops_a_program_that_ignores_sigterm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(command, "GRACE_SECONDS", 0.5)
    pid_file = tmp_path / "pid"
    script = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(pid_file)!r}, 'w').write(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )

    async def started() -> None:
        if not (pid_file.exists() and pid_file.read_text()):
            raise NotYet("no pid yet")

    async with anyio.create_task_group() as group:
        group.start_soon(command.run, [sys.executable, "-c", script])
        await until("the program runs", started, timeout=60, interval=0.02)
        group.cancel_scope.cancel()
    assert not _runs(int(pid_file.read_text()))


async def test_a_log_gets_the_output_and_a_failure_shows_its_end(tmp_path: Path):
    log = tmp_path / "logs" / "x.log"
    with pytest.raises(CommandError) as caught:
        await command.run([sys.executable, "-c", "print('the reason'); raise SystemExit(3)"], log=log)
    assert "the reason" in log.read_text()
    assert "the reason" in caught.value.stderr


NOTICE = "[notice] A new release of pip is available\n[notice] To update, run: pip install --upgrade pip\n"


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("/venv/bin/python: No module named pip\n", "/venv/bin/python: No module named pip"),
        (
            f"ERROR: Could not open requirements file: c.txt\n\n{NOTICE}",
            "ERROR: Could not open requirements file: c.txt",
        ),
        ("the reason\n-----\n\n", "the reason"),
        (NOTICE, "[notice] To update, run: pip install --upgrade pip"),
        ("", ""),
    ],
)
async def test_the_last_words_of_a_log_are_in_the_error_and_not_those_of_the_program_before(
    tmp_path: Path, printed: str, said: str
):
    log = tmp_path / "x.log"
    await command.run(["echo", "of the program before"], log=log)
    with pytest.raises(CommandError) as caught:
        await command.run(["sh", "-c", 'printf %s "$0" >&2; exit 1', printed], log=log)
    assert caught.value.message == f"sh: exit code 1{f': {said}' if said else ''} (whole log: {log})"
    assert "of the program before" not in caught.value.detail


async def test_a_log_of_any_size_and_any_bytes_is_read_from_its_end_and_shows_no_secret(tmp_path: Path):
    script = "import sys; sys.stdout.buffer.write(b'\\xff' * (50 << 20) + b'\\nno entry for hunter2\\n'); sys.exit(1)"
    tracemalloc.start()
    with pytest.raises(CommandError) as caught:
        await command.run([sys.executable, "-c", script], log=tmp_path / "x.log", secrets=["hunter2"])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "exit code 1: no entry for *** (whole log: " in caught.value.message
    assert len(caught.value.detail) < 2 * command.TAIL_BYTES
    assert most < 16 << 20, "only the end is read"


def _runs(pid: int) -> bool:
    """Whether a process still runs; a killed child may stay in the table a moment as a zombie of init."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(pid, signal.SIG_DFL)
        except ProcessLookupError:
            return False
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        time.sleep(0.05)
    return True
