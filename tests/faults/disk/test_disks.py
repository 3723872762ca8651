"""A disk that is full, has no inode left, is read-only or mounted noexec: one line, exit 3, and nothing is hidden."""

import pytest

from tests.harness import project

FILL = 'head -c 1M /dev/zero > "$M/fill" 2>/dev/null;'
NO_INODES = '(set +e; for n in 1 2 3 4 5 6 7 8 9; do : > "$M/$n"; done) 2>/dev/null;'

SHOWN_AT_END = """
import sys
from pathlib import Path
from ci import prove
from ci.results import Failure, Report, Stage
from ci.stages.run import Options
folder = Path(sys.argv[1])
report = Report("test", "now", "failed", 1.0, stages=[Stage("canary", "failed", 1.0, "the model answers 503")])
report.failure = Failure("canary", "the model answers 503")
prove._show(report, Options(folder, "dev", False, None, None, False, folder))
"""

PROGRAM = """
import sys
from pathlib import Path
import typer
from ci.base import command
from ci.commands.runner import run_async
log = Path(sys.argv[2]) if len(sys.argv) > 2 else None
async def main():
    await command.run([sys.argv[1]], log=log)
try:
    run_async(main)
except typer.Exit as ended:
    sys.exit(ended.exit_code)
"""


def lines(ended):
    assert "Traceback" not in ended.stderr
    return [line for line in ended.stderr.splitlines() if "no evidence will be written" not in line]


@pytest.mark.parametrize(
    ("options", "before", "said", "fix"),
    [
        ("size=64k", FILL, "/report: No space left on device", "df -h "),
        (
            "size=64k,nr_inodes=8",
            NO_INODES,
            "/report: no inode is left for another file, though there is room",
            "df -i ",
        ),
        ("size=64k", 'mount -o remount,ro "$M";', "/report: Read-only file system", "findmnt --target "),
        (
            "size=64k",
            'mkdir "$M/report"; mount -o remount,ro "$M";',
            "/report: Read-only file system",
            "findmnt --target ",
        ),
    ],
)
def test_a_report_folder_there_is_one_line_with_the_way_out(disk, tmp_path, options, before, said, fix):
    own = project.made(tmp_path / "own").folder
    there = disk(options)
    ended = there.run(f'{before} CI --project {own} test --report "$M/report"')
    shown = lines(ended)
    assert ended.returncode == 3, ended.stderr
    assert shown[0] == f"error: {there.path}{said}"
    assert shown[1].startswith(f"  fix: {fix}{there.path}")
    assert len(shown) == 2


def test_a_report_that_finds_no_room_hides_nothing_of_the_run(disk):
    there = disk("size=64k")
    ended = there.run(f'{FILL} PY - "$M"', stdin=SHOWN_AT_END, GITHUB_STEP_SUMMARY=str(there.path / "summary"))
    assert ended.returncode == 0, ended.stderr
    assert "the model answers 503" in ended.stdout
    notes = [line.partition(":")[0].strip() for line in lines(ended)]
    assert notes == ["no report.json", "no junit.xml", "no report.html", "no job summary"]
    assert all("No space left on device" in line for line in lines(ended))


def test_a_report_that_finds_little_room_is_written_in_the_forms_that_fit(disk):
    there = disk("size=12k")
    ended = there.run('PY - "$M"; ls "$M"; cat "$M"/junit.xml', stdin=SHOWN_AT_END, GITHUB_STEP_SUMMARY="")
    assert [line.partition(":")[0].strip() for line in lines(ended)] == ["no report.html"]
    assert "report.json" in ended.stdout
    assert ">the model answers 503</failure>" in ended.stdout


@pytest.mark.parametrize("output", ['"$M/list"', '"$M/list" 2>"$M/errors"'])
def test_an_output_on_a_full_disk_exits_3(disk, output):
    ended = disk("size=64k").run(f": > $M/list; {FILL} CI supply list --supply source --json > {output}")
    assert ended.returncode == 3
    assert lines(ended) == [] if "errors" in output else lines(ended)[0].startswith("error: standard output: No space")


@pytest.mark.parametrize(
    ("options", "before", "said"),
    [
        ("size=64k,nr_inodes=8", NO_INODES, "no inode is left"),
        ("size=64k", 'mount -o remount,ro "$M";', "/cache is read-only"),
    ],
)
def test_a_cache_there_is_one_line_with_the_way_out(disk, options, before, said):
    there = disk(options)
    ended = there.run(f"{before} CI supply fetch helm --supply source", ML_SERVING_CI_CACHE=str(there.path / "cache"))
    assert ended.returncode == 3, ended.stderr
    told = [line for line in lines(ended) if line.startswith("error: ")]
    assert len(told) == 1
    assert said in told[0]


def test_a_program_on_a_noexec_mount_is_named_with_the_mount(disk):
    there = disk("noexec")
    ended = there.run('cp /bin/true "$M/helm"; PY - "$M/helm"', stdin=PROGRAM)
    assert ended.returncode == 3
    assert lines(ended)[0] == f"error: {there.path}/helm: on a file system mounted noexec, from which no program runs"
    assert lines(ended)[1].startswith(f"  fix: findmnt --target {there.path}/helm")


GO = """
import sys
from pathlib import Path
import anyio
from ci.base.errors import MachineError
from ci.supply.source import go
try:
    anyio.run(go.unpacked, Path(sys.argv[1]))
except MachineError as error:
    print(error.message, error.fix, sep="\\n")
"""


def test_a_go_that_was_unpacked_on_a_noexec_mount_is_named_with_the_mount(disk):
    there = disk("noexec")
    said = there.run('mkdir -p "$M/go/bin"; cp /bin/true "$M/go/bin/go"; PY - "$M"', stdin=GO).stdout.splitlines()
    assert said[0] == f"{there.path}/go/bin/go: on a file system mounted noexec, from which no program runs"
    assert said[1].startswith(f"findmnt --target {there.path}")


def test_a_program_that_finds_no_room_says_so_and_exits_3(disk):
    there = disk("size=64k")
    script = f'{FILL} printf \'#!/bin/sh\\ncp /etc/passwd "%s/copy"\\n\' "$M" > "$T"; chmod +x "$T"; PY - "$T"'
    ended = there.run(script, stdin=PROGRAM, T=str(there.path.parent / "program"))
    assert ended.returncode == 3
    assert "No space left on device" in lines(ended)[0]
    assert lines(ended)[1].startswith("  fix: df -h; df -i")


MOVED = """
import sys
from pathlib import Path
from ci.base import oserrors
try:
    Path(sys.argv[1]).rename(sys.argv[1] + ".old")
except OSError as error:
    told = oserrors.machine(error)
    print(told.message, told.fix, sep="\\n")
"""


def test_a_folder_that_is_mounted_cannot_be_moved_away(disk):
    there = disk("size=64k")
    said = there.run('PY - "$M"', stdin=MOVED).stdout.splitlines()
    assert said[0] == f"{there.path}: Device or resource busy"
    assert said[1].startswith(f"fuser -vm {there.path}")


def test_a_log_that_finds_no_room_is_named(disk):
    there = disk("size=64k")
    ended = there.run(f'{FILL} PY - /bin/true "$M/x.log"', stdin=PROGRAM)
    assert ended.returncode == 3
    assert lines(ended)[0] == f"error: {there.path}/x.log: No space left on device"
    assert lines(ended)[1].startswith(f"  fix: df -h {there.path}")
    assert len(lines(ended)) == 2


WRITTEN = """
import sys
from pathlib import Path
from ci.base import oserrors
try:
    Path(sys.argv[1], "kind.yaml").write_text("x" * 9000)
except OSError as error:
    assert error.filename is None
    print(oserrors.machine(error).message)
"""


@pytest.mark.parametrize("variable", ["ML_SERVING_CI_CACHE", "ML_SERVING_CI_STATE", "TMPDIR"])
def test_a_write_that_names_no_file_is_told_with_the_folder_whose_disk_is_full(disk, variable, tmp_path):
    there = disk("size=64k")
    elsewhere = {"ML_SERVING_CI_CACHE": str(tmp_path), "ML_SERVING_CI_STATE": "", "TMPDIR": str(tmp_path)}
    ended = there.run(f'{FILL} PY - "$M"', stdin=WRITTEN, **{**elsewhere, variable: str(there.path)})
    assert ended.stdout == f"{there.path}: No space left on device\n"


MADE = """
import sys
from pathlib import Path
from ci.base import oserrors
from ci.supply import partial
try:
    with getattr(partial, sys.argv[1])(Path(sys.argv[2], "item")) as aside, (aside / sys.argv[3]).open("wb") as file:
        file.write(bytes(1 << 20))
except OSError as error:
    told = oserrors.machine(error)
    print(told.message, told.fix, sep="\\n")
"""


@pytest.mark.parametrize(("what", "inner"), [("file", ""), ("folder", "half"), ("scratch", "half")])
def test_what_finds_no_room_in_the_cache_is_named_with_its_disk(disk, what, inner):
    there = disk("size=64k")
    ended = there.run(f'PY - {what} "$M" "{inner}"', stdin=MADE)
    assert ended.stdout.splitlines()[0] == f"{there.path}/item: No space left on device"
    assert ended.stdout.splitlines()[1].startswith(f"df -h {there.path}")


LOCK = """
import sys
from pathlib import Path
import anyio
from ci.base import locks
async def main():
    async with locks.exclusive(Path(sys.argv[1]), "helm"):
        print("held")
anyio.run(main)
"""


def test_a_lock_on_a_full_disk_is_held(disk):
    ended = disk("size=64k").run(f'mkdir "$M/locks"; {FILL} PY - "$M/locks/helm.lock"; ls "$M/locks"', stdin=LOCK)
    assert (ended.stdout.split(), ended.stderr) == (["held", "helm.lock"], "")


JUDGED = """
import sys
from pathlib import Path
from ci.host import machine
print(*(f"{check.outcome} {check.need}: {check.how}" for check in machine.storage(Path(sys.argv[1]))), sep="\\n")
"""


def test_doctor_asks_a_read_only_cache_for_no_room(disk, tmp_path):
    there = disk("size=64k")
    state = tmp_path / "state"
    ended = there.run(f'{FILL} mount -o remount,ro "$M"; PY - "$M"', stdin=JUDGED, ML_SERVING_CI_STATE=str(state))
    (line,) = ended.stdout.splitlines()
    assert f"disk space at {state} (the cache is read-only; files of runs): " in line
    assert "a first run" not in line


def test_doctor_names_a_folder_for_runs_that_cannot_be_written(disk, tmp_path):
    there = disk("ro")
    for variables in ({"ML_SERVING_CI_STATE": str(there.path / "state")}, {"XDG_STATE_HOME": str(there.path)}):
        cache = '"$M/cache"' if "XDG_STATE_HOME" in variables else str(tmp_path)
        said = there.run(f"PY - {cache}", stdin=JUDGED, **{"ML_SERVING_CI_STATE": "", **variables}).stdout
        assert f"\nmissing files of runs at {there.path}/" in said
        assert "this user may not write there" in said
    assert "files of runs at" not in disk("rw").run('PY - "$M"', stdin=JUDGED, ML_SERVING_CI_STATE="").stdout


def test_doctor_names_a_cache_from_which_no_program_runs(disk):
    there = disk("noexec")
    ended = there.run('PY - "$M/cache"', stdin=JUDGED)
    assert ended.stdout.splitlines()[-1] == (
        f"missing cache at {there.path}/cache: on a file system mounted noexec, "
        "from which none of the supply's programs runs"
    )
    assert "noexec" not in disk("exec").run('PY - "$M/cache"', stdin=JUDGED).stdout
