"""What all tests share."""

import signal

import pytest


@pytest.fixture(scope="session")
def anyio_backend():
    """The one that the commands run on."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def a_terminal_that_can_hang_up():
    """Have programs begin as at a terminal: under nohup they would begin with SIGHUP ignored, and leave it so."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
