"""How this process begins and ends: streams (closed, full, gone, ASCII, a CI system's log), signals, the exit code."""

import codecs
import contextlib
import errno
import gc
import io
import locale
import os
import re
import signal
import stat
import sys
import threading
from typing import Any, NoReturn, TextIO, cast

from ci.base import settings

INTERRUPTED = 130
OBJECTS = 100_000
"""How many new ones make Python look for unused ones: more than a command of a moment makes."""
ERRORS = "ml-serving-ci"
"""Name of the way in which characters are written that the stream's encoding does not have."""
PLAIN = dict(zip("✓✗…→–·│─●○█░▶±≤≥“”’", '+x~>--|-*o#.>~<>""\'', strict=True))
"""The tool's own marks in ASCII, one character each, so that tables stay in line; others are written as "\\u2713"."""
WORKFLOW_COMMAND = re.compile(r"(?m)((?:^|\r)[^\S\n]*)::|##(?=\[)")
"""How GitHub's runner knows a command: "::" at a line's start, or "##[" anywhere in it.

Source: https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs
"""


def prepare() -> None:
    """Have streams that no text and no reader can break, and end in silence when asked to.

    Called once, before anything is opened or printed. A command that has something to clean up listens itself.
    """
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is not signal.SIG_IGN:  # as SIGHUP under nohup
            signal.signal(each, _leave)
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would be taken for it
            os.open(os.devnull, os.O_RDWR)
    # or files are read in the encoding of the caller's locale, which is the terminal's, not theirs
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    gc.set_threshold(OBJECTS)
    register()
    settings.no_plugins()
    sys.stdout = _stream(sys.stdout, 1, {errno.EPIPE, *({errno.EIO} if _mode(1, stat.S_ISCHR) else {})})
    sys.stderr = _stream(sys.stderr, 2, set(errno.errorcode))


def register() -> None:
    """Have the way in which a stream writes what its encoding does not have."""
    codecs.register_error(ERRORS, _replaced)


def end(code: str | int | None) -> NoReturn:
    """End this process now, with this exit code.

    Python itself would wait for threads that were left to themselves, such as one that waits for a silent server; show
    a traceback and a prompt under PYTHONINSPECT; and look for unused objects among all that were loaded, which takes a
    sixth of the time that loading them took.

    Args:
        code: As of `sys.exit`.
    """
    gc.freeze()
    left = [each for each in threading.enumerate() if not each.daemon and each is not threading.main_thread()]
    if (left or sys.flags.inspect) and not isinstance(code, str):
        sys.stderr.flush()
        os._exit(code or 0)
    sys.exit(code)


def _leave(number: int, frame: object) -> NoReturn:
    end(INTERRUPTED)


class _Descriptor(io.FileIO):
    """A file descriptor that drops what it cannot write for some reasons: nobody is there who could read it.

    Any other reason is told once, or Python would tell it again at its end.
    """

    def __init__(self, number: int, dropped: set[int]) -> None:
        super().__init__(number, "w", closefd=False)
        self._dropped = dropped

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            if error.errno not in self._dropped:
                self._dropped = set(errno.errorcode)
                error.filename = "standard output"
                raise
            return memoryview(data).nbytes


class _Log(io.TextIOWrapper):
    """A stream in whose lines a CI system looks for commands: text from outside must not be taken for one."""

    def write(self, text: str, /) -> int:
        return super().write(WORKFLOW_COMMAND.sub(_no_command, text))


def _no_command(found: re.Match[str]) -> str:
    return "## " if found[1] is None else f"{found[1]}: :"


def _stream(given: TextIO | None, number: int, dropped: set[int]) -> TextIO:
    kind = _Log if settings.variable("GITHUB_ACTIONS") and not _mode(number, stat.S_ISREG) else io.TextIOWrapper
    stream = kind(
        io.BufferedWriter(_Descriptor(number, dropped)),
        encoding=(given.encoding if given is not None else None) or "utf-8",
        errors=ERRORS,
        line_buffering=True,
    )
    return cast("TextIO", stream)


def _mode(number: int, is_kind: Any) -> bool:
    return bool(is_kind(os.fstat(number).st_mode))


def _replaced(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    bad = error.object[error.start : error.end]
    return "".join(PLAIN.get(char) or char.encode("ascii", "backslashreplace").decode() for char in bad), error.end
