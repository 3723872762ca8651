"""Whose a process, a cluster's folder or a program is, told from the real process table and from recorded ones."""

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from ci.base import command, paths
from ci.base.errors import WaitTimeoutError
from ci.cluster import clean, runs

BOOT = "0f3c1f3e-8d0e-4a3c-9f58-7a8b3c1d2e4f"
STATE = "import sys; from ci.cluster import runs; print(runs.Owner.parse(sys.argv[1]).state())"
AS_NOBODY = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)"
namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare for other namespaces"
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A process table as this process would see it, on a boot of its own."""
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    (tmp_path / "sys/kernel/random/boot_id").write_text(f"{BOOT}\n")
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "self/ns/pid").symlink_to("pid:[4026531836]")
    (tmp_path / "self/status").write_text(f"Name:\tpython\nNSpid:\t{os.getpid()}\n")
    (tmp_path / "self/stat").write_text(stat(os.getpid(), 700))
    (tmp_path / str(os.getpid())).symlink_to("self")
    return tmp_path


def stat(pid: int, started: int, state: str = "S") -> str:
    """A line of /proc/PID/stat, of a program with a name that would confuse a reader."""
    return f"{pid} (a) (b 1) {state} 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 {started} 0 0\n"


def ended() -> int:
    """The number of a process that there was."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_this_process_is_an_owner_that_lives() -> None:
    me = runs.Owner.me()

    assert me.pid == os.getpid()
    assert me.state() == "alive"
    assert runs.Owner.parse(str(me)) == me


def test_an_owner_that_ended_is_dead() -> None:
    # Given
    process = subprocess.Popen(["sleep", "60"])
    started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
    me = runs.Owner.me()
    owner = runs.Owner(me.boot, me.namespace, process.pid, started)
    assert owner.state() == "alive"

    # When: killed, and not yet waited for
    process.kill()
    wait_for(lambda: owner.state() == "dead")

    # Then: waited for
    process.wait()
    assert owner.state() == "dead"


def test_another_process_of_the_same_number_is_not_the_owner() -> None:
    me = runs.Owner.me()

    assert runs.Owner(me.boot, me.namespace, me.pid, str(int(me.started) - 1)).state() == "dead"


def test_a_recorded_table_says_the_same(table: Path) -> None:
    me = runs.Owner.me(table)

    assert me == runs.Owner(BOOT, "4026531836", os.getpid(), "700")
    assert me.state(table) == "alive"
    assert runs.Owner(BOOT, "4026531836", ended(), "700").state(table) == "dead"


@pytest.mark.parametrize(
    "text",
    [
        "9a3c1f3e-8d0e-4a3c-9f58-7a8b3c1d2e4f/4026531836/{gone}/700",  # another machine, or this one before its reboot
        f"{BOOT}/4026532255/{{gone}}/700",  # another container
        "-/4026531836/{gone}/700",
        f"{BOOT}/-/{{gone}}/700",
        f"{BOOT}/4026531836/{{gone}}/-",
        "-/-/{gone}/-",
    ],
)
def test_where_this_process_cannot_look_it_does_not_know(table: Path, text: str) -> None:
    owner = runs.Owner.parse(text.format(gone=ended()))

    assert owner is not None
    assert owner.state(table) == "unknown"


@pytest.mark.parametrize("without", ["sys/kernel/random/boot_id", "self/ns/pid", "self/status"])
def test_a_table_that_lacks_something_tells_nothing(table: Path, without: str) -> None:
    owner = runs.Owner(BOOT, "4026531836", ended(), "700")
    assert owner.state(table) == "dead"

    (table / without).unlink()

    assert owner.state(table) == "unknown"
    assert runs.Owner.parse(str(runs.Owner.me(table))) == runs.Owner.me(table)


def test_a_machine_without_a_process_table(tmp_path: Path) -> None:
    me = runs.Owner.me(tmp_path)

    assert runs.Owner.parse(str(me)) == me
    assert me.state(tmp_path) == "unknown"


def test_a_table_of_the_namespace_around_this_one_tells_nothing(table: Path) -> None:
    (table / "self/status").write_text("NSpid:\t26117\t3\n")

    assert runs.Owner(BOOT, "4026531836", ended(), "700").state(table) == "unknown"


@namespaces
@pytest.mark.parametrize("mount", [[], ["--mount-proc"]], ids=["the table around it", "its own table"])
def test_another_pid_namespace_does_not_know(mount: list[str]) -> None:
    dead = runs.Owner(runs.Owner.me().boot, runs.Owner.me().namespace, ended(), "700")

    for owner in (runs.Owner.me(), dead):
        assert said("unshare", "--pid", "--fork", *mount, sys.executable, "-c", STATE, str(owner)) == "unknown"


@namespaces
@pytest.mark.skipif(not Path("/proc/self/timens_offsets").exists(), reason="needs time namespaces")
@pytest.mark.parametrize(("boottime", "state"), [("1000", "unknown"), ("0", "alive")])
def test_a_time_namespace_in_which_all_started_at_another_time_does_not_know(boottime: str, state: str) -> None:
    inside = ["unshare", "--time", "--boottime", boottime, "--fork", sys.executable, "-c"]
    assert said(*inside, STATE, str(runs.Owner.me())) == state
    program = STATE.replace("runs.Owner.parse(sys.argv[1]).state()", "runs.Owner.me().state()")
    assert said(*inside, program) == state


@namespaces
@pytest.mark.parametrize("hidden", ["hidepid=1", "hidepid=2"])
def test_another_user_from_whom_processes_are_hidden_does_not_know(hidden: str) -> None:
    # Given: a process of root's, its twin that ended, and a user who sees neither
    me = runs.Owner.me()
    dead = runs.Owner(me.boot, me.namespace, ended(), "700")
    program = STATE.replace("print", f"{AS_NOBODY}; print")
    mounted = 'mount -t proc -o "$0" proc /proc && exec "$@"'

    def seen(owner: runs.Owner) -> str:
        return said("unshare", "--mount", "sh", "-c", mounted, hidden, sys.executable, "-c", program, str(owner))

    # Then
    assert seen(me) == "unknown"
    assert seen(dead) == "dead"


@pytest.mark.parametrize(
    "text", ["", "x", "boot/ns/pid/1", "boot/1", "boot/1/2/3x", "boot/1/0/3", "boot/1/99999999999/3", "host/12/345"]
)
def test_other_text_is_no_owner(text: str) -> None:
    assert runs.Owner.parse(text) is None


@pytest.mark.parametrize(
    ("owner", "keep", "hours", "state"),
    [
        ("alive", False, 48, "in use"),
        ("alive", True, 0, "in use"),
        ("dead", False, 0, "left over"),
        ("dead", True, 0, "kept"),
        ("unknown", False, 23, "unknown"),
        ("unknown", False, 25, "left over"),
        ("unknown", True, 25 * 30, "kept"),
    ],
)
def test_who_wants_a_cluster(owner: runs.OwnerState, keep: bool, hours: int, state: str) -> None:
    created = datetime.now(UTC) - timedelta(hours=hours)

    assert clean.Found("ml-serving-ci-x", "", owner, keep, created).state == state


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ML_SERVING_CI_CACHE", str(tmp_path))
    return tmp_path


def test_only_a_folder_with_a_mark_is_a_clusters(cache: Path) -> None:
    # Given
    mark = runs.Mark("n1", str(runs.Owner.me()), keep=False, created=datetime.now(UTC), containers=("c1",))
    mark.write("ml-serving-ci-a")
    for name, content in {"ml-serving-ci-b": None, "ml-serving-ci-c": "{}", "ml-serving-ci-d": "\xff"}.items():
        (cache / "clusters" / name).mkdir()
        if content is not None:
            (cache / "clusters" / name / runs.MARK).write_text(content)

    # Then
    assert runs.marks() == {"ml-serving-ci-a": mark}


@pytest.mark.parametrize("created", ['"2026-01-01T00:00:00"', "0", '"yesterday"', "null", '"10000-01-01T00:00:00Z"'])
def test_a_mark_without_a_time_that_can_be_compared_is_none(cache: Path, created: str) -> None:
    runs.folder("ml-serving-ci-a").mkdir(parents=True)
    file = runs.folder("ml-serving-ci-a") / runs.MARK
    file.write_text('{"network": "n", "owner": "", "keep": false, "created": "2026-01-01T00:00:00Z"}')
    assert list(runs.marks()) == ["ml-serving-ci-a"]
    file.write_text(file.read_text().replace('"2026-01-01T00:00:00Z"', created))
    assert runs.marks() == {}


@pytest.mark.parametrize(
    ("name", "files", "begun"),
    [
        ("ml-serving-ci-a", [], True),
        ("ml-serving-ci-a", [".cluster.json.x1"], True),
        ("ml-serving-ci-a", [".cluster.json.x1", "notes.txt"], False),
        ("ml-serving-ci-a", ["cluster.json"], False),  # broken, or it would be a mark
        ("../precious", [], False),
        ("/precious", [], False),
        ("..", [], False),
        (".", [], False),
    ],
)
def test_without_a_mark_only_a_folder_that_was_just_begun_is_a_clusters(
    cache: Path, name: str, files: list[str], begun: bool
) -> None:
    name = name.replace("/precious", f"{cache}/precious") if name.startswith("/") else name
    runs.folder(name).mkdir(parents=True, exist_ok=True)
    for file in files:
        (runs.folder(name) / file).touch()
    assert runs.is_begun(name) == begun
    assert not runs.is_begun("ml-serving-ci-missing")


def test_without_a_cache_there_are_no_marks(cache: Path) -> None:
    assert runs.marks() == {}


DOCKER = """#!/usr/bin/env python3
import json, pathlib, sys
there = pathlib.Path(sys.argv[0]).parent / "networks"
words = sys.argv[1:]
if words[:2] == ["network", "ls"]:
    print(*(path.name for path in there.iterdir()), sep="\\n")
elif words[:2] == ["network", "inspect"]:
    print(json.dumps([json.loads((there / each).read_text()) for each in words[2:] if (there / each).exists()]))
elif words[:2] == ["network", "rm"]:
    if words[2] == "a":
        sys.exit("error while removing network: network ml-serving-ci-a has active endpoints")
    (there / words[2]).unlink()
"""


def test_one_that_will_not_go_keeps_no_other(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given: networks of two dead runs, of which Docker gives up one alone
    me = runs.Owner.me()
    dead = str(runs.Owner(me.boot, me.namespace, ended(), "700"))
    labels = {runs.RUN_LABEL: "x", runs.OWNER_LABEL: dead}
    (cache / "networks").mkdir()
    for name in ("a", "b"):
        shown = {"Id": name, "Name": f"ml-serving-ci-{name}", "Labels": labels, "Created": "2026-01-01T00:00:00Z"}
        (cache / "networks" / name).write_text(json.dumps({**shown, "Containers": {}}))
    (cache / "docker").write_text(DOCKER)
    (cache / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{cache}:{os.environ['PATH']}")
    monkeypatch.setattr(clean, "DELETE_SECONDS", 8.0)

    # When
    with pytest.raises(WaitTimeoutError, match=r"ml-serving-ci-a is gone: not within .* has active endpoints"):
        anyio.run(clean.clean)

    # Then
    assert [path.name for path in (cache / "networks").iterdir()] == ["a"]
    assert "removed network ml-serving-ci-b" in capsys.readouterr().err


def test_programs_of_a_killed_run_are_stopped_and_those_of_a_living_one_are_not() -> None:
    # Given: a run that is killed while a program of its own works on, one that lives, and one of another container
    script = (
        "import anyio, sys; from ci.base import command; from ci.cluster import runs\n"
        "anyio.run(lambda: command.run(['sleep', sys.argv[1]], env=runs.environment()))"
    )
    killed, living = (subprocess.Popen([sys.executable, "-c", script, f"10000.{n}"]) for n in (1, 2))
    unseen = runs.Owner(runs.Owner.me().boot, "4026599999", ended(), "700")
    other = subprocess.Popen(["sleep", "10000.3"], env={**os.environ, runs.OWNER_VARIABLE: str(unseen)})
    try:
        wait_for(lambda: sleeping("10000.1") and sleeping("10000.2") and sleeping("10000.3"))
        killed.kill()
        killed.wait()
        assert sleeping("10000.1")

        # When
        stopped = clean.stop_strays()

        # Then
        assert len([line for line in stopped if "sleep 10000.1" in line]) == 1
        wait_for(lambda: not sleeping("10000.1"))
        assert sleeping("10000.2")
        assert sleeping("10000.3")
    finally:
        living.terminate()
        living.wait()
        other.kill()
        other.wait()
        for seconds in ("10000.1", "10000.2"):
            for pid in sleeping(seconds):
                os.kill(pid, 9)


@namespaces
def test_another_users_stray_is_not_this_users_to_stop() -> None:
    # Given: a program of root's whose run is dead
    me = runs.Owner.me()
    dead = runs.Owner(me.boot, me.namespace, ended(), "700")
    stray = subprocess.Popen(["sleep", "10000.4"], env={**os.environ, runs.OWNER_VARIABLE: str(dead)})
    program = f"from ci.cluster import clean; {AS_NOBODY}; print(clean.stop_strays())"
    try:
        # Then
        wait_for(lambda: sleeping("10000.4"))
        assert said(sys.executable, "-c", program) == "[]"
        assert sleeping("10000.4")
    finally:
        stray.kill()
        stray.wait()


def test_programs_started_for_a_run_carry_its_owner() -> None:
    result = anyio.run(lambda: command.run(["env"], env=runs.environment()))

    assert f"{runs.OWNER_VARIABLE}={runs.Owner.me()}" in result.stdout.splitlines()


def said(*argv: str) -> str:
    """What a program prints that must end well."""
    result = subprocess.run(argv, cwd=paths.ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


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


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)
