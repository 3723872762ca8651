"""Waits: deadlines, consecutive successes, and the last state seen."""

import time

import anyio
import pytest

from ci.base import wait
from ci.base.errors import CheckFailedError, WaitTimeoutError
from ci.base.wait import NotYet, until

pytestmark = pytest.mark.anyio


def answers(*states: object):
    """A probe that goes through these states; a string is a state that does not hold."""
    remaining = list(states)

    async def probe() -> object:
        state = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        if isinstance(state, str):
            raise NotYet(state)
        return state

    return probe


async def test_returns_the_value_once_it_holds():
    assert await until("x", answers("starting", "starting", 42), timeout=60, interval=0.01) == 42


async def test_flapping_does_not_count_as_several_successes_in_a_row():
    seen = []

    async def probe() -> int:
        seen.append(None)
        if len(seen) in (1, 3):
            raise NotYet("down")
        return len(seen)

    assert await until("x", probe, timeout=60, interval=0.01, successes=3) == 6


async def test_the_deadline_names_the_condition_and_the_last_state():
    with pytest.raises(WaitTimeoutError, match=r"the moon: not within .* last seen: waning"):
        await until("the moon", answers("full", "waning"), timeout=0.2, interval=0.01)


async def test_what_came_in_time_is_seen_though_this_process_was_late():
    come = []

    async def probe() -> bool:
        if not come:
            come.append(None)
            time.sleep(0.3)  # noqa: ASYNC251 - not scheduled, beyond the deadline
            raise NotYet("not here")
        return True

    assert await until("x", probe, timeout=0.2, interval=0.01)


async def test_a_look_that_never_returns_does_not_outlive_the_deadline():
    async def probe() -> None:
        await anyio.sleep_forever()

    with anyio.fail_after(60), pytest.raises(WaitTimeoutError):
        await until("x", probe, timeout=0.2)


async def test_any_other_error_ends_the_wait_at_once():
    async def probe() -> None:
        raise CheckFailedError("it crashed")

    with pytest.raises(CheckFailedError, match="it crashed"):
        await until("x", probe, timeout=60)


async def test_a_long_wait_says_what_it_sees_and_a_short_one_nothing(monkeypatch, capsys):
    monkeypatch.setattr(wait, "QUIET_SECONDS", 60.0)
    await until("the moon", answers("full", 1), timeout=60, interval=0.01)
    assert capsys.readouterr().err == ""

    monkeypatch.setattr(wait, "QUIET_SECONDS", 0.05)
    began = time.monotonic()
    await until("the moon", answers("full", *["waning\nstill"] * 40, 1), timeout=60, interval=0.01)
    lines = capsys.readouterr().err.splitlines()
    assert 1 < len(lines) <= (time.monotonic() - began) / 0.05, "no line for each look"
    assert lines[-1].strip().endswith("s: the moon; seen: waning still")
