"""The report's folder: what a run takes out of it first, and what it finds in it at its end."""

import pytest

from ci.report import folder
from ci.report.model import Stage

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


def test_an_earlier_runs_files_go_and_those_of_others_stay(left):
    folder.empty(left)
    assert sorted(path.name for path in left.iterdir()) == ["mine.txt", "notes"]


def test_a_missing_folder_is_made(tmp_path):
    folder.empty(tmp_path / "new" / "report")
    assert (tmp_path / "new" / "report").is_dir()


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
    assert excerpts["diagnostics/logs/ml-serving/x/app.previous.log"] == "ERROR out of memory"


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
