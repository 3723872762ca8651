"""What the system refuses, made by the system itself: one line that names the thing, with what to do about it."""

import errno
import json
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from ci.base import command, files, oserrors
from ci.base.errors import CommandError, MachineError
from ci.base.paths import ROOT


def refused(call):
    """What people are told of the error that a call ends with."""
    with pytest.raises(OSError) as caught:
        call()
    told = oserrors.machine(caught.value)
    assert told.exit_code == 3
    assert "\n" not in told.message + told.fix
    return told


@pytest.mark.parametrize("below", ["", "/a/b"])
def test_a_folder_below_a_file(tmp_path, below):
    (tmp_path / "file").write_text("")
    path = tmp_path / f"file{below}" / "report.json"
    told = refused(lambda: files.write(path, b"x"))
    assert str(tmp_path / "file") in told.message
    assert told.message.endswith(os.strerror(errno.EEXIST if not below else errno.ENOTDIR))


def test_a_folder_in_the_place_of_a_file(tmp_path):
    (tmp_path / "report.json").mkdir()
    told = refused(lambda: files.write(tmp_path / "report.json", b"x"))
    assert told.message == f"{tmp_path / 'report.json'}: Is a directory"
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_a_name_that_is_too_long(tmp_path):
    told = refused(lambda: files.write(tmp_path / ("x" * 300), b"x"))
    assert (told.message.endswith("File name too long"), told.fix) == (True, "Use a shorter path.")


def test_links_that_lead_back(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    told = refused((tmp_path / "a" / "x").read_bytes)
    assert told.message == f"{tmp_path / 'a' / 'x'}: Too many levels of symbolic links"
    assert told.fix.startswith(f"namei {tmp_path / 'a' / 'x'}")


def test_no_room_is_told_with_the_file_and_not_with_the_one_beside_it(tmp_path):
    def full():
        with oserrors.naming(tmp_path / "report.json"), Path("/dev/full").open("wb", buffering=0) as device:
            device.write(b"x")

    told = refused(full)
    assert told.message == f"{tmp_path / 'report.json'}: No space left on device"
    assert told.fix.startswith(f"df -h {tmp_path}  # make room there")


LIMITED = """
import json, resource, signal, sys
from pathlib import Path
from ci.base import oserrors
from ci.base import files
resource.setrlimit(getattr(resource, sys.argv[1]), (int(sys.argv[2]),) * 2)
try:
    kept = [files.write(Path(sys.argv[3]), b"x" * 5000)]
    kept += [open("/dev/null") for _ in range(100)]
except OSError as error:
    told = oserrors.machine(error)
    print(json.dumps([told.message, told.fix]))
"""


@pytest.mark.parametrize(
    ("limit", "value", "message", "fix"),
    [
        ("RLIMIT_NOFILE", 20, "Too many open files", "ulimit -n 65536"),
        ("RLIMIT_FSIZE", 1000, "File too large", "ulimit -f"),
    ],
)
def test_a_limit_of_the_process(tmp_path, limit, value, message, fix):
    assert hasattr(resource, limit)
    argv = [sys.executable, "-c", LIMITED, limit, str(value), str(tmp_path / "x")]
    said = json.loads(subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300).stdout)
    assert message in said[0]
    assert said[1].startswith(fix)


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("ENOLCK", "EOPNOTSUPP"), "has no locks, or its server gives none"),
        (("ESTALE", "ENOTCONN", "EHOSTDOWN"), "lost it: mount it again"),
        (("EBADMSG", "EUCLEAN"), "is damaged"),
        (("ENOKEY",), "is encrypted"),
    ],
)
def test_what_only_another_kind_of_file_system_answers(tmp_path, names, what):
    """No such file system can be mounted here: the system's own words for it, with its number."""
    for code in (getattr(errno, name) for name in names if hasattr(errno, name)):
        told = oserrors.machine(OSError(code, os.strerror(code), tmp_path / "helm.lock"))
        assert told.message == f"{tmp_path / 'helm.lock'}: {os.strerror(code)}"
        assert told.fix.startswith(f"findmnt --target {tmp_path}  # this file system {what}")


# --- programs ---


def started(program, **options):
    with pytest.raises(MachineError) as caught:
        anyio.run(lambda: command.run([program], **options))
    return caught.value


@pytest.fixture
def program(tmp_path):
    """A program in the place of one that a run would start."""

    def made(content, mode=0o755):
        path = tmp_path / "helm"
        path.write_bytes(content)
        path.chmod(mode)
        return path

    return made


def test_a_program_that_is_not_there():
    assert started("no-such-program-here").message == "no-such-program-here: no such program"


def test_a_program_by_path_that_is_not_there(tmp_path):
    assert started(tmp_path / "helm").message == f"{tmp_path / 'helm'}: No such file or directory"


def test_an_empty_program(program):
    told = started(path := program(b""))
    assert told.message == f"{path}: an empty file (Exec format error)"
    assert told.fix.startswith(f"rm {path}; python ci/main.py supply fetch")


def test_a_program_of_another_architecture(program):
    machine = {"x86_64": 0xB7, "aarch64": 0x3E}[platform.machine()]
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") + machine.to_bytes(2, "little")
    told = started(path := program(header + bytes(44)))
    assert told.message == f"{path}: no program for this machine ({platform.machine()}) (Exec format error)"


def test_a_program_whose_interpreter_is_missing(program):
    told = started(path := program(b"#!/no/such/python3\n"))
    assert told.message == f"{path}: its interpreter is missing: /no/such/python3"


def test_a_program_without_the_right_to_run(program):
    told = started(path := program(b"#!/bin/sh\n", 0o644))
    assert told.message == f"{path}: Permission denied"


def test_a_program_that_is_still_written_to(program):
    path = program(b"\x7fELF")
    with path.open("ab"):
        told = started(path)
    assert told.message == f"{path}: Text file busy"
    assert told.fix.startswith(f"fuser -v {path}")


def test_a_folder_to_run_in_that_is_not_there(tmp_path):
    assert started("true", cwd=tmp_path / "gone").message == f"{tmp_path / 'gone'}: No such file or directory"


def test_a_log_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as caught:
        anyio.run(lambda: command.run(["true"], log=tmp_path / "file" / "x" / "log"))
    assert str(tmp_path / "file") in oserrors.machine(caught.value).message


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("write /x: no space left on device", "df -h; df -i"),
        ("mkdir: cannot create directory 'x': Read-only file system", "findmnt --target"),
        ("exec /usr/bin/x: exec format error", "python ci/main.py doctor"),
        ("Disk quota exceeded", "quota -s"),
    ],
)
def test_a_program_that_was_refused_something_says_so_with_the_way_out(said, fix, tmp_path):
    for log in (None, tmp_path / "log"):
        with pytest.raises(CommandError) as caught:
            anyio.run(lambda log=log: command.run(["sh", "-c", 'echo "$0" >&2; exit 1', said], log=log))
        assert said in caught.value.message
        assert caught.value.exit_code == 3
        assert caught.value.fix.startswith(fix)


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("write /var/lib/docker/tmp/x: no space left on device", "docker system df"),
        ("failed to create fsnotify watcher: too many open files", "sudo sysctl -w fs.inotify.max_user_instances=512"),
        ("mkdir /var/lib/docker/x: read-only file system", "docker info"),
    ],
)
def test_what_the_docker_daemon_met_is_told_of_its_own_machine(said, fix, tmp_path):
    for name in ("docker", "kind"):
        program = tmp_path / name
        program.write_text('#!/bin/sh\necho "$1" >&2; exit 1\n')
        program.chmod(0o755)
        with pytest.raises(CommandError) as caught:
            anyio.run(lambda program=program: command.run([program, said]))
        assert (caught.value.exit_code, caught.value.fix.startswith(fix)) == (3, True)


def test_any_other_failure_of_a_program_is_one_of_the_check():
    with pytest.raises(CommandError) as caught:
        anyio.run(lambda: command.run(["sh", "-c", "echo space left; exit 1"]))
    assert (caught.value.exit_code, caught.value.fix) == (1, None)


def test_a_library_that_reaches_nobody_is_told_by_its_name():
    told = oserrors.machine(type("ConnectTimeout", (OSError,), {})("pypi.org does not answer"))
    assert told.message == "ConnectTimeout: pypi.org does not answer"


def test_no_memory():
    assert oserrors.machine(MemoryError()).message == "no memory is left"


def test_a_working_folder_that_is_gone(tmp_path):
    code = (
        "import errno, os, sys\nos.mkdir(sys.argv[1]); os.chdir(sys.argv[1]); os.rmdir(sys.argv[1])\n"
        f"sys.path.insert(0, {str(ROOT)!r})\nfrom ci.base import oserrors\n"
        "for name in (None, 'x'):\n"
        "    print(oserrors.machine(OSError(errno.ENOSPC, 'No space left on device', name)).message)\n"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "gone")]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=300).stdout.splitlines()
    assert [line.rpartition(": ")[2] for line in said] == ["No space left on device"] * 2


def test_of_a_path_below_a_folder_that_cannot_be_entered_that_folder_is_shown(tmp_path):
    shut = tmp_path / "shut"
    (shut / "cache").mkdir(parents=True)
    shut.chmod(0)
    code = (
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom pathlib import Path\nfrom ci.base import oserrors\n"
        "try:\n    Path(sys.argv[1]).mkdir()\nexcept OSError as error:\n    print(oserrors.machine(error).fix)\n"
    )
    powerless = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []  # root may enter every folder
    argv = [*powerless, sys.executable, "-c", code, str(shut / "cache" / "images")]
    try:
        said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=300).stdout
    finally:
        shut.chmod(0o700)
    assert said.startswith(f"ls -ld {shut}; id")
