"""The report's folder: what a run takes out of it first, and what it finds in it at its end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ci.base import paths
from ci.base.errors import MachineError, UsageError
from ci.project import Paths, Project
from ci.report import folder
from ci.results import Stage

FAILED = [Stage("install", "passed", 1.0), Stage("canary", "failed", 2.0), Stage("uninstall", "skipped", 0.0)]


def written(top, files):
    for name, content in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture
def left(tmp_path):
    """What a run leaves whose canary failed."""
    written(
        tmp_path,
        {
            "mine.txt": "of somebody else",
            "notes/mine.txt": "of somebody else",
            "pytest-install.log": "1 passed\n",
            "pytest-canary.log": "".join(f"line {number}\n" for number in range(100)),
            "pytest-canary.xml": "<testsuites/>",
            "canary-good.json": "{}",
            "rendered/dev.yaml": "kind: Service\n",
            "diagnostics/events.txt": "an event\n",
            "diagnostics/nodes.txt": "a node\n",
            "diagnostics/describe/ml-serving/rollouts.argoproj.io-x.txt": "Status: Degraded\n",
            "diagnostics/describe/nodes-n.txt": "NotReady\n",
            "diagnostics/logs/ml-serving/x/app.log": "it runs\n",
            "diagnostics/logs/ml-serving/x/app.previous.log": "\x1b[31mERROR\x1b[0m out of memory\x00\n",
            "diagnostics/logs/ml-serving/x/proxy.previous.log": "\n",
        },
    )
    return tmp_path


REPORT = {
    "report.json": "{}",
    "pytest-canary.log": "1 failed\n",
    "rendered/dev.yaml": "kind: Service\n",
    "diagnostics/logs/a/b.log": "it runs\n",
}


def everything(top):
    """What there is below a folder but for the tool's own marks, links as such."""
    found = (path.relative_to(top).as_posix() for path in top.rglob("*"))
    return sorted(name for name in found if name not in (folder.MARK, folder.LOCK))


def run(top, files=REPORT):
    with folder.taken(folder.resolved(top)):
        written(top, files)


def test_an_earlier_runs_files_go_and_those_of_others_stay(tmp_path):
    run(tmp_path)
    written(tmp_path, {"mine.txt": "of somebody else", "rendered.txt": "", "notes/mine.txt": "of somebody else"})
    (tmp_path / "kind").mkdir()
    with folder.taken(tmp_path):
        assert everything(tmp_path) == ["kind", "mine.txt", "notes", "notes/mine.txt", "rendered.txt"]


def test_a_missing_folder_is_made(tmp_path):
    with folder.taken(tmp_path / "new" / "report"):
        assert (tmp_path / "new" / "report").is_dir()


@pytest.mark.parametrize("again", [False, True], ids=["at the first run", "after a run"])
@pytest.mark.parametrize(
    "name", ["kind/config.yaml", "rendered/mine.yaml", "report.html", "junit.xml", "pytest-x/mine.txt", "kind/a/b/c"]
)
def test_files_of_others_in_the_way_are_named_and_nothing_is_touched(tmp_path, name, again):
    if again:
        run(tmp_path, {"sbom.cdx.json": "{}", "diagnostics/events.txt": "an event\n"})
    written(tmp_path, {name: "of somebody else"})
    before = everything(tmp_path)
    with pytest.raises(UsageError, match=name.partition("/mine.txt")[0]) as refused, folder.taken(tmp_path):
        pytest.fail("the folder was taken")
    assert refused.value.fix
    assert everything(tmp_path) == before
    assert (tmp_path / folder.LOCK).exists() == again
    assert (tmp_path / name).read_text() == "of somebody else"


def test_what_a_killed_run_left_goes(tmp_path):
    program = (
        "import os, sys; from pathlib import Path; from ci.report import folder\n"
        "top = Path(sys.argv[1])\n"
        "with folder.taken(top):\n"
        "    (top / 'kind').mkdir(); (top / 'kind/a.log').write_text(''); (top / 'report.json').write_text('')\n"
        "    os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", program, tmp_path], cwd=paths.ROOT, check=False, timeout=300)
    assert ended.returncode == -9
    assert everything(tmp_path) == ["kind", "kind/a.log", "report.json"]
    with folder.taken(tmp_path):
        assert everything(tmp_path) == []


def test_a_run_that_fails_leaves_its_report_to_the_next(tmp_path):
    with pytest.raises(ZeroDivisionError), folder.taken(tmp_path):
        written(tmp_path, REPORT)
        raise ZeroDivisionError
    assert "report.json" in everything(tmp_path)
    with folder.taken(tmp_path):
        assert everything(tmp_path) == []


def test_two_runs_do_not_share_a_folder(tmp_path):
    with folder.taken(tmp_path):
        written(tmp_path, REPORT)
        with pytest.raises(UsageError, match="another run"), folder.taken(tmp_path):
            pytest.fail("the folder was taken twice")
        assert "report.json" in everything(tmp_path)
    run(tmp_path)


def test_links_are_not_followed(tmp_path):
    mine, report = tmp_path / "mine", tmp_path / "report"
    written(mine, {"a.yaml": "of somebody else", "deep/b.yaml": "of somebody else"})
    run(report, {"diagnostics/events.txt": ""})
    (report / "rendered").symlink_to(mine)
    with pytest.raises(UsageError, match="rendered"), folder.taken(report):
        pytest.fail("the folder was taken")
    (report / "rendered").unlink()
    with folder.taken(report):
        (report / "diagnostics").mkdir()
        (report / "diagnostics" / "deep").symlink_to(mine / "deep")
    with folder.taken(report):
        assert everything(report) == []
    assert everything(mine) == ["a.yaml", "deep", "deep/b.yaml"]


def test_a_mark_names_nothing_outside_the_reports_own_files(tmp_path):
    report = tmp_path / "report"
    written(tmp_path, {"mine.txt": "of somebody else", "report/notes.txt": "of somebody else"})
    (report / folder.MARK).write_text(json.dumps({"files": ["../mine.txt", "notes.txt", "diagnostics/../notes.txt"]}))
    run(report)
    assert (tmp_path / "mine.txt").exists()
    assert (report / "notes.txt").exists()


@pytest.mark.parametrize("mark", ["", "[]", '{"files": 1}', "\xff"])
def test_a_broken_mark_makes_nothing_ours(tmp_path, mark):
    run(tmp_path)
    (tmp_path / folder.MARK).write_text(mark, encoding="latin-1")
    with pytest.raises(UsageError, match=r"report\.json"), folder.taken(tmp_path):
        pytest.fail("the folder was taken")
    assert "rendered/dev.yaml" in everything(tmp_path)


@pytest.mark.parametrize("place", ["/", "~", "checkout", "checkout/..", "link"])
def test_a_folder_that_holds_the_checkout_or_the_home_is_none(tmp_path, monkeypatch, place):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(paths.ROOT)
    named = {"checkout": paths.ROOT, "checkout/..": paths.ROOT / "..", "link": tmp_path / "link"}
    with pytest.raises(UsageError, match="it holds"), folder.taken(folder.resolved(named.get(place, Path(place)))):
        pytest.fail("the folder was taken")
    assert not (tmp_path / "home" / folder.MARK).exists()


def test_a_home_below_and_a_link_to_a_folder_are_well(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    run(Path("~/link").expanduser())
    assert folder.resolved(Path("~/link")) == tmp_path / "disk"
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "report.json").exists()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("chart", r"it is the project's chart \(paths\.chart\)"),
        ("deploy/live/report", r"it is inside the project's deploy \(paths\.tree\)"),
        (".", r"it holds the project's deploy \(paths\.tree\)"),
        ("k8s", r"it holds the project's k8s/argocd \(paths\.argocd\)"),
        ("link", r"it is the project's golden \(paths\.golden\)"),
    ],
)
def test_a_folder_that_is_mixed_with_the_projects_own_is_none(tmp_path, place, said):
    (tmp_path / "link").symlink_to("golden")
    project = Project(
        repository="x", paths=Paths(tree="deploy", chart="chart"), environments=[{"name": "a", "namespace": "b"}]
    )

    with pytest.raises(UsageError, match=said):
        folder.require_apart(folder.resolved(tmp_path / place), tmp_path, project)
    folder.require_apart(folder.resolved(tmp_path / "report"), tmp_path, project)


def test_a_file_is_no_folder(tmp_path):
    written(tmp_path, {"mine.txt": "of somebody else"})
    for place in (tmp_path / "mine.txt", tmp_path / "mine.txt" / "report", Path("/dev/null/x")):
        with pytest.raises(MachineError, match=r"File exists|Not a directory"), folder.taken(folder.resolved(place)):
            pytest.fail("the folder was taken")


def test_a_loop_of_links_is_one_line(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for place, said in ((tmp_path / "loop", "File exists"), (tmp_path / "loop" / "x", "Too many levels")):
        with pytest.raises(MachineError, match=said), folder.taken(folder.resolved(place)):
            pytest.fail("the folder was taken")


def test_a_folder_that_cannot_be_written_is_this_machines_fault(tmp_path):
    with pytest.raises(MachineError, match=r"^/proc/report: ") as refused, folder.taken(Path("/proc/report")):
        pytest.fail("the folder was taken")
    assert refused.value.exit_code == 3


def test_what_the_run_left_is_listed_the_telling_first(left):
    files = folder.listed(left, FAILED)
    assert [file.path for file in files if file.excerpt] == [
        "pytest-canary.log",
        "diagnostics/logs/ml-serving/x/app.previous.log",
        "diagnostics/describe/ml-serving/rollouts.argoproj.io-x.txt",
        "diagnostics/describe/nodes-n.txt",
        "diagnostics/events.txt",
    ]
    rest = [file.path for file in files[5:]]
    assert rest == sorted(rest)
    assert len(files) == 12
    assert not [file for file in files if "mine" in file.path]
    assert {file.path: file.size for file in files}["rendered/dev.yaml"] == 14


def test_an_excerpt_is_the_end_without_colours_or_control_characters(left):
    excerpts = {file.path: file.excerpt for file in folder.listed(left, FAILED)}
    assert excerpts["pytest-canary.log"].splitlines() == [f"line {number}" for number in range(60, 100)]
    assert excerpts["diagnostics/logs/ml-serving/x/app.previous.log"] == r"ERROR out of memory\x00"


def test_excerpts_are_bounded(tmp_path):
    written(tmp_path, {f"diagnostics/describe/n/pods-{number}.txt": "x" * 10_000 + "\n" for number in range(100)})
    written(tmp_path, {"pytest-canary.log": b"\xff\xfe" * 1000})
    excerpts = [file.excerpt for file in folder.listed(tmp_path, FAILED) if file.excerpt]
    assert len(excerpts) == folder.MOST_EXCERPTS
    assert max(len(line) for excerpt in excerpts for line in excerpt.splitlines()) <= folder.LONGEST_LINE


def test_where_nothing_failed_there_are_no_excerpts(left):
    files = folder.listed(left, [Stage("canary", "passed", 1.0)])
    assert [file.path for file in files] == sorted(file.path for file in files)
    assert not any(file.excerpt for file in files)
