"""What all tests share."""

import signal

import pytest


@pytest.fixture(scope="session")
def anyio_backend():
    """The one that the commands run on."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def a_terminal():
    """Have programs begin as at a terminal: under nohup or a script's `&` they would begin with a signal ignored."""
    ignored = [number for number in (signal.SIGHUP, signal.SIGINT) if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
