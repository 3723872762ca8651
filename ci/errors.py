"""The one root of every error this tool raises on purpose, and its exit codes."""

from collections.abc import Sequence
from typing import ClassVar


class CIError(Exception):
    """Something went wrong in a way a person can act on.

    Args:
        message: One line that names the thing that failed.
        fix: What to do next, as a sentence or a command to paste.
        detail: Longer text (a log tail, a command's output), shown below the line.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, fix: str | None = None, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.detail = detail


class CheckFailedError(CIError):
    """A check ran and its answer is no (exit 1)."""


class UsageError(CIError):
    """The command line or a file the user wrote is wrong (exit 2)."""

    exit_code = 2


class MachineError(CIError):
    """This machine cannot do it; `fix` names what is missing and the way out (exit 3)."""

    exit_code = 3


class CommandError(CIError):
    """A program exited with a code other than 0, or did not end in time.

    Attributes:
        argv: The command, redacted.
        returncode: Its exit code, or None when it was stopped at its deadline.
        stdout: What it printed, redacted.
        stderr: What it printed to standard error, redacted.
    """

    def __init__(
        self, argv: Sequence[str], returncode: int | None, stdout: str, stderr: str, *, seconds: float
    ) -> None:
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        ending = f"exit code {returncode}" if returncode is not None else f"no end after {seconds:.0f} s"
        last = next((line for line in reversed((stderr or stdout).splitlines()) if line.strip()), "")
        super().__init__(
            f"{self.argv[0].rsplit('/', 1)[-1]}: {ending}{': ' + last.strip() if last else ''}",
            detail=f"$ {' '.join(self.argv)}\n{stdout}{stderr}",
        )


class WaitTimeoutError(CheckFailedError):
    """A wait reached its deadline.

    Attributes:
        what: The condition waited for.
        seconds: How long.
        last: The last state seen.
    """

    def __init__(self, what: str, seconds: float, last: str) -> None:
        self.what = what
        self.seconds = seconds
        self.last = last
        super().__init__(f"{what}: not within {seconds:.0f} s; last seen: {last}")
