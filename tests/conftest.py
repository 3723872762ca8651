"""What all tests share."""

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from ci.base.paths import ROOT
from tests.pruned import OWN

ABOUT_OWN = tuple(
    ROOT / "tests" / name
    for name in (
        "sample", "integration", "workflows", "client", "guide", "browser", "unit/test_supply_own_image.py",
        "upstream/test_own_tree.py",
    )
)  # fmt: skip
"""Tests of this repository as a project, of its workflows, and of the image that has the whole checkout."""
GUARDED = tuple(str(ROOT / each) for each in OWN)
guarding = False


def guard(event, arguments):
    """Refuse to open what belongs to no test of the tool; what a child process opens, tests/pruned.py shows."""
    if not guarding or event not in {"open", "os.listdir", "os.scandir"}:
        return
    (path, *more) = arguments
    if not isinstance(path, str | bytes | os.PathLike):
        return
    file = Path(os.fsdecode(path))
    if event == "open" and more[0] is None and not file.is_absolute():  # `os.open`, with a folder, as in rmtree
        return
    if str(file.absolute()).startswith(GUARDED):
        raise AssertionError(f"{path} is this repository's own: give the test a fixture")


sys.addaudithook(guard)


@contextmanager
def guarded(path):
    """Guard what is done for a file of tests."""
    global guarding
    guarding = not any(path.is_relative_to(folder) for folder in ABOUT_OWN)
    try:
        yield
    finally:
        guarding = False


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    if not isinstance(collector, pytest.Module):
        return (yield)
    with guarded(collector.path):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    with guarded(item.path):
        return (yield)


def pytest_configure(config):
    """Hold a property to some examples in every run; with --hypothesis-profile=nightly to many."""
    if not config.pluginmanager.hasplugin("hypothesispytest"):  # as in the stages of `test`
        return
    from hypothesis import settings

    # the same ones each time: what is found by chance is the night's to find; and a busy machine may take its time
    settings.register_profile("every run", max_examples=20, deadline=None, derandomize=True)
    settings.register_profile("nightly", max_examples=300, deadline=None)
    settings.load_profile("every run")  # which the option's own comes after


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
