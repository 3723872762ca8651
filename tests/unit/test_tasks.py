"""Clean-up that breaks never hides what went wrong before it; what is done ahead is told of in its place."""

import anyio
import anyio.lowlevel
import pytest

from ci.base import tasks
from ci.base.errors import CheckFailedError, MachineError

CAUSE = CheckFailedError("the cause")
SECONDS = 30


def tidied(*, failing: Exception | None, breaking: Exception | None) -> None:
    try:
        if failing is not None:
            raise failing
    finally:
        with tasks.clean_up("delete the probe"):
            if breaking is not None:
                raise breaking


@pytest.mark.parametrize("breaking", [MachineError("gone"), OSError(5, "Input/output error"), ValueError("bug")])
def test_what_breaks_after_an_error_is_a_note_and_the_error_goes_on(breaking, capsys):
    with pytest.raises(CheckFailedError) as caught:
        tidied(failing=CAUSE, breaking=breaking)
    assert caught.value is CAUSE
    assert capsys.readouterr().err.startswith("    then, delete the probe: ")


def test_what_breaks_alone_is_the_error():
    with pytest.raises(MachineError, match="gone"):
        tidied(failing=None, breaking=MachineError("gone"))


def test_what_does_not_break_says_nothing(capsys):
    with pytest.raises(CheckFailedError):
        tidied(failing=CAUSE, breaking=None)
    assert capsys.readouterr().err == ""


@pytest.mark.anyio
async def test_a_cancelled_task_stays_cancelled():
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.sleep(1)
        finally:
            with tasks.clean_up("delete the probe"):
                raise MachineError("gone")
    assert scope.cancelled_caught


def test_the_errors_of_groups_within_groups_are_in_their_order():
    inner = ExceptionGroup("inner", [ValueError("b"), ValueError("c")])
    group = ExceptionGroup("outer", [ValueError("a"), inner, ValueError("d")])
    assert [str(error) for error in tasks.leaves(group)] == ["a", "b", "c", "d"]


@pytest.mark.anyio
async def test_what_is_called_ahead_runs_while_the_block_does():
    begun = anyio.Event()

    async def answer():
        begun.set()
        return 42

    async with tasks.ahead(answer) as returned:
        with anyio.fail_after(SECONDS):
            await begun.wait()
        assert await returned() == 42


@pytest.mark.anyio
async def test_of_two_errors_the_block_s_own_is_told_though_the_other_came_first():
    failing = anyio.Event()

    async def fails():
        failing.set()
        raise MachineError("first by the clock")

    with pytest.raises(CheckFailedError) as caught:
        async with tasks.ahead(fails):
            await failing.wait()
            for _ in range(10):
                await anyio.lowlevel.checkpoint()  # where a group that had failed would end
            raise CAUSE
    assert caught.value is CAUSE


@pytest.mark.anyio
async def test_an_error_of_what_is_called_ahead_is_raised_as_itself_where_it_is_asked_for():
    async def fails():
        raise CAUSE

    with pytest.raises(CheckFailedError) as caught:
        async with tasks.ahead(fails) as returned:
            await returned()
    assert caught.value is CAUSE


@pytest.mark.anyio
async def test_what_is_called_ahead_is_cancelled_where_the_block_fails():
    cancelled = []

    async def waits():
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            cancelled.append(True)
            raise

    with anyio.fail_after(SECONDS), pytest.raises(CheckFailedError):
        async with tasks.ahead(waits):
            await anyio.wait_all_tasks_blocked()
            raise CAUSE
    assert cancelled
