"""Secrets: typed, so that none is printed by mistake, and known in every form in which they could show up."""

import base64
import os
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ci.errors import UsageError


@dataclass(frozen=True)
class Secret:
    """A value that no log, error or report may show.

    Attributes:
        value: The secret itself; not part of the object's representation.
        user: Name that goes with it where it is a password: the pair's base64 is a secret as well.
    """

    value: str = field(repr=False)
    user: str = ""

    @property
    def basic(self) -> str:
        """The credentials of HTTP's Basic scheme."""
        return base64.b64encode(f"{self.user}:{self.value}".encode()).decode()

    @property
    def forms(self) -> Sequence[str]:
        """Every string that would give it away, longest first: whole, by lines, in base64, quoted for a URL."""
        lines = [line for line in self.value.splitlines() if line.strip()]
        plain = {self.value, *lines}
        encoded = {base64.b64encode(text.encode()).decode() for text in plain} | {self.basic}
        quoted = {urllib.parse.quote(text, safe="") for text in plain}
        return sorted(plain | encoded | quoted, key=len, reverse=True)


def from_environment(*names: str, user: str = "") -> Secret | None:
    """Return the first secret that is set: in the variable NAME, or in the file that NAME_FILE names.

    Args:
        names: Variables, in order of preference.
        user: Name that goes with it.

    Raises:
        UsageError: NAME_FILE names no file that can be read.
    """
    for name in names:
        if file := os.environ.get(f"{name}_FILE"):
            try:
                value = Path(file).read_text().strip()
            except OSError as error:
                raise UsageError(f"{name}_FILE={file}: {error.strerror}") from error
            except UnicodeDecodeError:
                raise UsageError(f"{name}_FILE={file}: not text in UTF-8") from None
        else:
            value = os.environ.get(name, "").strip()
        if value:
            return Secret(value, user)
    return None
