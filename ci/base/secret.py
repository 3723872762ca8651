"""Secrets: typed, so that none is printed by mistake, and known in every form in which they could show up."""

import base64
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field


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
