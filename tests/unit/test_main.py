"""The command line as a person meets it: real processes, exit codes, one line a mistake."""

import subprocess
import sys

import pytest
from rich.text import Text

from ci.paths import ROOT


def ci(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "ci/main.py", *arguments]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    ended.stderr = Text.from_ansi(ended.stderr).plain  # on GitHub's runners it has colours
    return ended


def test_help_names_every_command():
    shown = ci("--help").stdout
    assert all(command in shown for command in ("doctor", "lint", "template", "test", "cluster", "supply"))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["lnt"], "lnt"),
        (["cluster", "stat"], "status"),
        (["test", "--bogus"], "--bogus"),
        (["test", "--only", "canry"], "canry: no such stage"),
        (["test", "--skip", "stack"], "--skip stack"),
        (["test", "--env", "qa"], "--env qa: not one of dev, staging, prod"),
        (["template", "--env", "qa"], "qa: not one of dev, staging, prod"),
        (["gates", "--env", "qa"], "--env qa: not one of defaults, dev, staging, prod"),
        (["gates", "--start", "1700006400"], "there is no --series: --start"),
        (["gates", "--start", "yesterday"], "yesterday: neither a time"),
        (["gates", "--start", "2026-11-26T05:40:12"], "2026-11-26T05:40:12: neither a time"),
        (["gates", "--series", "canary.json", "--label", "pod=a"], "pod=a: not namespace=VALUE"),
        (["gates", "--series", "canary.json", "--repeat", "2"], "--series has requests of its own"),
        (["gates", "--series", "no-such.json"], "no-such.json: No such file or directory"),
        (["lint", "--supply", "magic"], "--supply magic"),
        (["test", "--supply", "magic"], "--supply magic"),
        (["supply", "fetch", "no-such-tool", "--supply", "source"], "no-such-tool: nothing of that name in pins.toml"),
    ],
)
def test_wrong_use_is_named_in_one_line_and_exits_2(arguments: list[str], named: str):
    ended = ci(*arguments)
    assert ended.returncode == 2, ended.stderr
    assert named in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("how", ["-O", "PYTHONOPTIMIZE"])
def test_a_run_without_assertions_is_refused(monkeypatch, how):
    if how == "PYTHONOPTIMIZE":
        monkeypatch.setenv(how, "1")
    argv = [sys.executable, *(["-O"] if how == "-O" else []), "ci/main.py", "test", "--only", "lint"]
    ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "leaves out what the tests assert" in " ".join(ended.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["supply", "path", "--supply", "source"],
        ["test", "--env", "qa"],
        ["gates", "--env", "qa"],
        ["evidence", "verify", "--help"],
        ["publish", "--help"],
        ["doctor", "--help"],
    ],
    ids=" ".join,
)
def test_a_command_loads_only_what_it_takes(arguments):
    code = (
        f"import sys; sys.argv = ['main.py', *{arguments}]\n"
        "from ci.main import app\n"
        "try:\n    app()\nexcept SystemExit:\n    sys.exit('dagger' in sys.modules or 'scipy' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60, capture_output=True)
