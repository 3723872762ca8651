"""The one root of every error this tool raises on purpose, and its exit codes."""

import re
from collections.abc import Sequence
from pathlib import Path

ADVICE = re.compile(r"(?i)(\x1b\[[\d;]*m|\[)*(notice|hint|warning)\b")
"""How lines begin that say what to do next time, not what failed."""


class CIError(Exception):
    """Something went wrong in a way a person can act on.

    Args:
        message: One line that names the thing that failed.
        fix: What to do next, as a sentence or a command to paste.
        detail: Longer text (a log tail, a command's output), shown below the line.
    """

    exit_code: int = 1

    def __init__(self, message: str, *, fix: str | None = None, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.detail = detail


class CheckFailedError(CIError):
    """A check ran and its answer is no (exit 1)."""


class GoneError(CheckFailedError):
    """A store or a registry answered that it has no such thing, or another under its name: it will answer so again."""


class UsageError(CIError):
    """The command line or a file the user wrote is wrong (exit 2)."""

    exit_code = 2


class UnnamedError(UsageError):
    """A set names no image, or no model, that can be had by it: nothing mends that but another set."""


class MachineError(CIError):
    """This machine cannot do it; `fix` names what is missing and the way out (exit 3)."""

    exit_code = 3


class CommandError(CIError):
    """A program exited with a code other than 0, or did not end in time.

    Attributes:
        argv: The command, redacted.
        returncode: Its exit code, or None when it was stopped at its deadline.
        stdout: What it printed, redacted.
        stderr: What it printed to standard error, redacted; with a log, its last lines.
        log: The file that has all of what it printed, where there is one.
    """

    def __init__(
        self,
        argv: Sequence[str],
        returncode: int | None,
        stdout: str,
        stderr: str,
        *,
        seconds: float,
        log: Path | None = None,
    ) -> None:
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        ending = f"exit code {returncode}" if returncode is not None else f"no end after {seconds:.0f} s"
        said = last_words(stderr or stdout)
        super().__init__(
            f"{self.argv[0].rsplit('/', 1)[-1]}: {ending}{f': {said}' if said else ''}"
            f"{f' (whole log: {log})' if log is not None else ''}",
            detail=f"$ {' '.join(self.argv)}\n{stdout}{stderr}",
        )


def last_words(printed: str) -> str:
    """Return the last line that says something, rather than advice such as pip's notice of a newer pip.

    Args:
        printed: By a program.
    """
    lines = [line.strip() for line in printed.splitlines() if any(map(str.isalnum, line))]
    telling = [line for line in lines if not ADVICE.match(line)]
    return (telling or lines or [""])[-1]


class ToldError(CIError):
    """An error that was told when it happened: what is left to say in the end is where that was.

    Attributes:
        where: What was under way.
        cause: The error.
    """

    def __init__(self, where: str, cause: BaseException) -> None:
        self.where = where
        self.cause = cause
        super().__init__(f"{where} failed: the error above says why")


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
