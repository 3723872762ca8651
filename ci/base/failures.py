"""Any error as one line for people, with a way out: this tool's own, the system's, and those that are bugs."""

import shlex
import sys
import traceback
from pathlib import Path

from ci.base import oserrors, paths
from ci.base.errors import CheckFailedError, CIError, MachineError


def explained(error: BaseException) -> CIError:
    """Return any error as one with a line for people and a way out."""
    if isinstance(error, CIError):
        return error
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and not _of_a_wait(error)):
        return oserrors.machine(error)
    if isinstance(error, ModuleNotFoundError) and error.name is not None and not error.name.startswith("ci."):
        lock = shlex.quote(str(paths.ROOT / "requirements.txt"))
        return MachineError(
            f"{error.name.partition('.')[0]}: not installed here, and needed for this",
            fix=f"pip install --require-hashes --requirement {lock}",
        )
    debug = shlex.join(["python", "ci/main.py", "--debug", *(word for word in sys.argv[1:] if word != "--debug")])
    return CheckFailedError(
        f"internal error: {type(error).__name__}: {error} at {_where(error)}",
        fix=f"{debug}  # a bug of this tool: report it with what this shows",
    )


def _of_a_wait(error: OSError) -> bool:
    """Tell whether it is a deadline of this tool's own that nobody caught, which Python has for one of the system's."""
    return isinstance(error, TimeoutError) and error.errno is None


def _where(error: BaseException) -> str:
    """Return the line of this tool, or else of a library, that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(paths.ROOT / "ci")]
    if not frames:
        return "an unknown line"
    last = (own or frames)[-1]
    file = Path(last.filename)
    shown = file.relative_to(paths.ROOT) if file.is_relative_to(paths.ROOT) else file
    return f"{shown}:{last.lineno}"
