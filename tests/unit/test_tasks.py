"""Clean-up that breaks: it never hides what went wrong before it."""

import anyio
import pytest

from ci.base import tasks
from ci.base.errors import CheckFailedError, MachineError

CAUSE = CheckFailedError("the cause")


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
