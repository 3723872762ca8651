"""Waiting: every wait has a deadline and says what it saw last."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from ci.base.errors import WaitTimeoutError
from ci.base.progress import note

T = TypeVar("T")
QUIET_SECONDS = 10.0
"""How long a wait may last before it says what it sees, and then between two lines at least."""
LAST_LOOK_SECONDS = 1.0
"""For a look when the deadline has passed: this process may have been the late one, and what it waits for in time."""
LONGEST_LINE = 300


class NotYet(Exception):  # noqa: N818 - a state, not an error
    """Raised by a probe whose condition does not hold yet; its text is the state seen."""


async def until(
    what: str,
    probe: Callable[[], Awaitable[T]],
    *,
    timeout: float,
    interval: float = 0.5,
    successes: int = 1,
) -> T:
    """Call `probe` until it holds; from the tenth second on, say what it sees while it waits.

    Args:
        what: The condition, for the error.
        probe: Returns when the condition holds and raises `NotYet` while it does not; other errors end the wait.
        timeout: Deadline in seconds; a last look follows it.
        interval: Seconds between two calls.
        successes: How many calls in a row must hold, for conditions that flap.

    Returns:
        What the last successful call returned.

    Raises:
        WaitTimeoutError: The deadline passed; it holds the last state seen.
    """
    started = time.monotonic()
    held = 0
    last = "nothing yet"
    quiet_until = started + QUIET_SECONDS
    while True:
        if (now := time.monotonic()) >= quiet_until:
            note(f"waiting for {now - started:.0f} s: {what}; seen: {' '.join(last.split())[:LONGEST_LINE]}")
            quiet_until = now + QUIET_SECONDS
        remaining = timeout - (time.monotonic() - started)
        try:
            with anyio.fail_after(max(remaining, LAST_LOOK_SECONDS)):
                value = await probe()
        except NotYet as state:
            held, last = 0, str(state)
        except TimeoutError:
            raise WaitTimeoutError(what, timeout, f"{last} (the last look did not return)") from None
        else:
            held += 1
            last = f"held {held} of {successes} times in a row"
            if held >= successes:
                return value
        if remaining <= 0:
            raise WaitTimeoutError(what, timeout, last)
        await anyio.sleep(min(interval, max(0.0, timeout - (time.monotonic() - started))))
