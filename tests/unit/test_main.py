"""The command line as a person meets it: real processes, exit codes, one line a mistake."""

import json
import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.text import Text
from typer.testing import CliRunner

from ci import main
from ci.base.paths import ROOT
from ci.supply import pins
from tests.harness import cli
from tests.harness.project import Made, made

pytestmark = pytest.mark.usefixtures("project")


def ci(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    ended = cli.run(*arguments, cwd=ROOT, env={**os.environ, **environment})
    ended.stderr = Text.from_ansi(ended.stderr).plain  # on GitHub's runners it has colours
    return ended


def test_help_names_every_command():
    shown = ci("--help").stdout
    assert all(re.search(rf"^  {command} ", shown, re.MULTILINE) for command in main.COMMANDS)


@pytest.mark.parametrize("name", main.COMMANDS)
def test_the_list_says_of_a_command_what_its_own_help_does(name: str):
    assert main.first_paragraph(main.imported(name)) == main.COMMANDS[name]


def test_it_says_its_version():
    shown = ci("--version")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert re.fullmatch(r"ml-serving-ci \d+\.\d+\.\d+\n", shown.stdout)


def test_the_lines_of_a_list_are_whole():
    shown = " ".join(ci("cluster", "--help").stdout.split())
    assert "whether one is in use, kept or left over, or its run cannot be seen." in shown


def test_a_command_that_is_meant_is_named():
    assert "No such command 'lnt'. Did you mean 'lint'?" in ci("lnt").stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["lnt"], "lnt"),
        (["cluster", "stat"], "status"),
        (["test", "--bogus"], "--bogus"),
        (["test", "--only", "canry"], "canry: no such stage"),
        (["test", "--skip", "stack"], "--skip stack"),
        (["test", "--only", "lint", "--kubeconfig", "/no/such/file"], "/no/such/file"),
        (["test", "--sample-env", "qa"], "--sample-env qa: not one of the environments"),
        (["test", "--env", "live"], "No such option: --env"),
        (["test", "--app", "wyne"], "--app wyne: there is no gitops/*/wyne.yaml"),
        (["test", "--app", "wyne", "--base", "HEAD"], "--app wyne: there is no gitops/*/wyne.yaml"),
        (["test", "--app", "dev/wyne"], "--app dev/wyne: there is no gitops/dev/wyne.yaml"),
        (["plan", "--app", "a/b/wyne"], "--app a/b/wyne: there is no gitops/a/b/wyne.yaml"),
        (["plan", "--app", "dev/Wyne"], "--app Wyne: not the name of an application"),
        (["test", "--models", "no-such-folder"], "no-such-folder"),
        (["test", "--models", "README.md"], "README.md"),
        (["test", "--models", "docs", "--only", "lint"], "--models docs: the stage that takes it, models, is left out"),
        (["test", "--image", "Tiny"], "--image Tiny: not the name of an image"),
        (["test", "--image", "tiny", "--only", "lint"], "--image tiny: the stage that takes it, models, is left out"),
        (["test", "--image", "tiny", "--base", "HEAD"], "--image tiny: nothing differs from HEAD"),
        (["test", "--image", "tiny", "--kubeconfig", "README.md"], "--image tiny: nodes of a cluster that is there"),
        (["template", "--env", "qa"], "qa: not one of the environments"),
        (["gates", "--env", "qa"], "qa: not one of the environments"),
        (["gates", "--start", "1700006400"], "there is no --series: --start"),
        (["gates", "--start", "yesterday"], "yesterday: neither a time"),
        (["gates", "--start", "2026-11-26T05:40:12"], "2026-11-26T05:40:12: neither a time"),
        (["gates", "--series", "canary.json", "--label", "pod=a"], "pod=a: not namespace=VALUE"),
        (["gates", "--series", "canary.json", "--repeat", "2"], "--series has requests of its own"),
        (["gates", "--series", "no-such.json"], "no-such.json: No such file or directory"),
        (["golden", "rec"], "record"),
        (["lint", "--supply", "magic"], "--supply magic"),
        (["lint", "--base", "main", "--no-control-plane"], "--base: it is the control plane that is asked"),
        (["lint", "--base", "no-such-branch"], "no-such-branch"),
        (["test", "--supply", "magic"], "--supply magic"),
        (["supply", "fetch", "no-such-tool", "--supply", "source"], "no-such-tool: nothing of that name in pins.toml"),
    ],
)
def test_wrong_use_is_named_in_one_line_and_exits_2(arguments: list[str], named: str, project: Path):
    Made(project).commit()  # --base names one
    ended = ci(*arguments)
    assert ended.returncode == 2, ended.stderr
    assert named in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("how", ["-O", "PYTHONOPTIMIZE"])
def test_a_run_without_assertions_is_refused(monkeypatch, how):
    if how == "PYTHONOPTIMIZE":
        monkeypatch.setenv(how, "1")
    argv = [sys.executable, *(["-O"] if how == "-O" else []), "ci/main.py", "test", "--only", "lint"]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 2
    assert "leaves out what the tests assert" in " ".join(ended.stderr.split())


def test_a_command_loads_only_what_it_takes():
    commands = [
        ["supply", "path", "--supply", "source"],
        ["test", "--sample-env", "qa"],
        ["test", "--report", "/dev/null/x"],
        ["gates", "--env", "qa"],
        ["lint", "--supply", "magic"],
        ["evidence", "verify", "--help"],
        *([name, "--help"] for name in main.COMMANDS),
    ]
    found = loaded(*commands)
    assert len(found) == len(commands)
    assert [words for words, modules in found.items() if not modules.isdisjoint({"dagger", "scipy"})] == []


NOT_FOR_HELP = {
    *("cryptography", "dagger", "filelock", "jinja2", "jsonpatch", "jsonschema", "kubernetes", "numpy", "requests"),
    *("ruamel", "scipy", "securesystemslib", "zstandard"),
    *("ci.prove", "ci.supply.supply", "ci.tree.forge.github"),
}
"""What takes longest to load: half a second together, which no command takes to say how it is used."""


def test_help_loads_nothing_that_a_command_takes_to_work():
    commands = [[name, "--help"] for name in main.COMMANDS] + [["evidence", "verify", "--help"]]
    found = loaded(*commands)
    assert len(found) == len(commands)
    assert {words: modules & NOT_FOR_HELP for words, modules in found.items() if modules & NOT_FOR_HELP} == {}


def test_a_commit_of_a_moment_loads_nothing_that_draws(tmp_path: Path):
    tree = made(tmp_path, environments=("lab",), applications=("wine",))
    tree.commit()
    words = [f"--project={tmp_path}", "bump", "model", "--env=lab", "--to=s3://acme/wine/8"]
    words += ["--over-revert=wanted"]  # of which it has a line to say
    modules = loaded(words)[" ".join(words)]
    assert tree.git("log", "-1", "--format=%s") == "Bump wine model in lab to 8"
    assert modules.isdisjoint({"rich", "jinja2"})


WATCHED = """
import atexit, gc, runpy, sys

default = gc.get_threshold()
gc.callbacks.append(lambda *_: default == gc.get_threshold() or print("looked for unused objects", file=sys.stderr))
atexit.register(gc.callbacks.clear)  # what is left then is looked through in any case
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_commit_of_a_moment_does_not_look_for_unused_objects(tmp_path: Path):
    made(tmp_path, environments=("lab",), applications=("wine",)).commit()
    words = ["ci/main.py", f"--project={tmp_path}", "bump", "model", "--env=lab", "--to=s3://acme/wine/8"]
    argv = [sys.executable, "-c", f"import sys; sys.argv = {words}\n{WATCHED}"]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_look_at_the_tree_loads_neither_a_forge_nor_a_cluster_nor_what_renders(project: Path):
    Made(project).deploy("lab", "wine")
    Made(project).commit()
    assert ci("history", "--env", "lab").returncode == 0
    found = loaded(["history", "--env", "lab"], ["status"], ["status", "--output", "json"])
    assert len(found) == 3
    assert [modules & (NOT_FOR_HELP | {"ci.cluster.existing"}) for modules in found.values()] == [set()] * 3


def test_a_plugin_that_is_installed_beside_it_takes_no_part(project: Path, tmp_path: Path):
    Made(project).commit()
    record = tmp_path / "site" / "spy-1.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: spy\nVersion: 1\n")
    (record / "entry_points.txt").write_text("[pydantic]\nspy = spy:plugin\n")
    (record.parent / "spy.py").write_text(f"open({str(tmp_path / 'loaded')!r}, 'w')\nplugin = None\n")

    argv = [sys.executable, "ci/main.py", "history", "--env", "lab"]  # a process begun anew loads pydantic itself
    environment = {**os.environ, "PYTHONPATH": str(record.parent)}
    ended = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)

    assert ended.returncode == 0, ended.stderr
    assert not (tmp_path / "loaded").exists()


def test_the_list_of_commands_loads_none_of_them():
    modules = loaded(["--help"])["--help"]
    assert modules.isdisjoint({"dagger", "pydantic", "scipy", "kubernetes", "requests", "rich", "ci.commands"})


LOADED = """
import json, sys
from ci.main import run

modules = {}
for words in json.loads(sys.argv[1]):
    sys.argv = ["main.py", *words]
    try:
        run()
    except SystemExit:
        modules[" ".join(words)] = list(sys.modules)
print("\\n" + json.dumps(modules))
"""
"""Command lines one after the other: what one of them loads is there for those after it, too."""


def loaded(*commands: list[str]) -> dict[str, set[str]]:
    """The modules that each command line, or one before it, has loaded at its end."""
    argv = [sys.executable, "-c", LOADED, json.dumps(commands)]
    ended = subprocess.run(argv, cwd=ROOT, check=True, timeout=300, capture_output=True)
    return {words: set(modules) for words, modules in json.loads(ended.stdout.splitlines()[-1]).items()}


def line(text: str) -> str:
    """A command line of the shell with this tool in place of $CI."""
    return f'set -o pipefail; CI() {{ {sys.executable} ci/main.py "$@"; }}; {text}'


def shell(text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "NO_COLOR": "1", **environment}
    argv = ["bash", "-c", line(text)]
    return subprocess.run(
        argv, cwd=ROOT, env=variables, capture_output=True, errors="replace", timeout=300, check=False
    )


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ("/dev/null", "/dev/null: File exists"),
        ("/dev/null/x", "/dev/null/x: Not a directory"),
        ("/proc/x", "/proc/x: No such file or directory"),
        ("endless/x", "Too many levels of symbolic links"),
        ("x" * 300, "File name too long"),
    ],
    ids=lambda text: text[:80],
)
def test_a_report_folder_that_cannot_be_is_one_line_and_exits_3_before_anything_is_done(tmp_path, report, said):
    (tmp_path / "endless").symlink_to("endless")
    ended = ci("test", "--report", str(tmp_path / report), NO_COLOR="1")
    assert ended.returncode == 3
    errors = [line for line in ended.stderr.splitlines() if "no evidence will be written" not in line]
    assert errors[0].startswith("error: ")
    assert errors[0].endswith(said)
    assert errors[1].startswith("  fix: ")
    assert len(errors) == 2


def test_a_reader_that_has_seen_enough_is_no_error():
    ended = shell("CI supply list --supply source | head -1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(ended.stdout.splitlines()) == 1
    assert shell("CI supply path --supply nope 2>&1 | true").returncode == 2


@pytest.mark.parametrize("columns", ["80", "20", ""])
def test_a_name_can_be_copied_from_a_table_however_narrow_the_terminal(columns: str):
    ended = ci("supply", "list", "--supply", "source", COLUMNS=columns)
    rows = [line.split() for line in ended.stdout.splitlines()]
    assert {*pins.load().tools, *pins.load().images} <= {row[1] for row in rows}


def test_an_output_that_is_full_is_one_line_and_exits_3():
    ended = shell("CI supply list --supply source > /dev/full")
    assert ended.returncode == 3
    assert [line.partition(":")[0] for line in ended.stderr.splitlines()] == ["error", "  fix"]
    assert "standard output: No space left on device" in ended.stderr


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_or_full_change_no_exit_code(closed: str):
    assert shell(f"CI doctor {closed}", HOME="no/absolute/path", ML_SERVING_CI_CACHE="").returncode == 3
    assert shell(f"CI supply path --supply source {closed}").returncode == 0
    assert shell(f"CI lnt {closed}").returncode == 2


def test_a_closed_stream_is_not_the_next_file_that_is_opened(tmp_path):
    file = tmp_path / "list"
    shell(f"CI supply list --supply source --json > {file} 2>&-")
    assert file.read_text().startswith("[")


@pytest.mark.parametrize(
    ("arguments", "code"), [("supply path --supply source", 0), ("lnt", 2), ("test --report /dev/null/x", 3)]
)
def test_under_pythoninspect_a_command_ends_with_its_own_exit_code_and_without_a_prompt(arguments: str, code: int):
    ended = shell(f"CI {arguments} </dev/null", PYTHONINSPECT="1")
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    assert ">>>" not in ended.stderr + ended.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict"])
def test_an_encoding_that_lacks_the_tools_marks_is_no_error(encoding: str):
    ended = shell("CI supply fetch crâne✓ --supply source; CI doctor --help", PYTHONIOENCODING=encoding)
    assert "Traceback" not in ended.stderr
    assert "nothing of that name in pins.toml" in ended.stderr
    assert "Show what this machine has" in ended.stdout


def test_files_are_utf_8_whatever_the_terminal_is(tmp_path):
    (tmp_path / "text").write_bytes("Zürich\n".encode())
    code = (
        "import sys; from pathlib import Path; from ci.base import process; process.prepare()\n"
        "text = Path(sys.argv[1]).read_text(); Path(sys.argv[1]).write_text(text); print(text)"
    )
    given = {**os.environ, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    argv = [sys.executable, "-c", code, tmp_path / "text"]
    ended = subprocess.run(argv, cwd=ROOT, env=given, capture_output=True, check=True, timeout=300)
    assert ended.stdout == b"Z\\xfcrich\n\n"
    assert (tmp_path / "text").read_bytes() == "Zürich\n".encode()


@pytest.mark.parametrize("name", ["TERMINAL_WIDTH", "COLUMNS"])
@pytest.mark.parametrize("value", ["", "abc", "-1", "0", "٣", "1e3"])
def test_a_width_that_is_none_is_no_error(name: str, value: str):
    ended = shell("CI doctor --help", **{name: value})
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("command", ["supply", "cluster", "evidence"])
def test_no_command_writes_into_a_persons_shell(command: str, tmp_path):
    assert ci(command, "--install-completion", HOME=str(tmp_path)).returncode == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_a_name_of_other_bytes_is_shown_whole(locale: str):
    ended = shell("CI supply fetch $'caf\\xe9\\e[31m' --supply source", LC_ALL=locale)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[0] == r"error: caf\xe9: nothing of that name in pins.toml"


@pytest.mark.parametrize("command", ["##[error]x", "##[set-output name=a]b"])
def test_no_line_is_a_command_to_githubs_runner(command: str):
    ended = ci("supply", "fetch", command, "--supply", "source", GITHUB_ACTIONS="true")
    assert "##[" not in ended.stderr
    assert f"error: {command.replace('##[', '## [')}" in ended.stderr


ASKED = """
import os, runpy, sys

class Asked:
    def find_spec(self, name, path=None, target=None):
        if name == "typer.core":  # one of the imports that take a moment
            os.kill(os.getpid(), int(number))

number, sys.argv = sys.argv[1], ["ci/main.py", "doctor"]
sys.meta_path.insert(0, Asked())
runpy.run_path("ci/main.py", run_name="__main__")
"""
"""The command, sent a signal in the middle of its imports."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_before_a_command_has_begun_is_silent_and_exits_130(number: signal.Signals):
    argv = [sys.executable, "-c", ASKED, str(int(number))]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert (ended.returncode, ended.stderr, ended.stdout) == (130, "", "")


def test_windows_is_named_with_the_way_out(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    ended = CliRunner().invoke(main.app, ["doctor"])
    assert ended.exit_code == 3
    assert "wsl --install" in ended.output
