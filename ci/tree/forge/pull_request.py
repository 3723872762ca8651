"""What a pull request says, and what of that a person has edited since."""

import hashlib
import re
from dataclasses import dataclass

from ci.tree.forge import rest

MARKER = re.compile(r"\s*<!-- ml-serving-ci change=(?P<change>\w+) title=(?P<title>\w+) text=(?P<text>\w+) -->\s*")
"""At the end of a body: what is to change, and digests of title and text as we wrote them: others are a person's."""
ROOM = rest.MOST - 200
"""Characters of a text beside its marker."""


@dataclass(frozen=True)
class PullRequest:
    """A pull request as it is wanted.

    Attributes:
        head: Its branch.
        base: The branch that it is to be merged into.
        title: One line.
        text: What it says.
        change: Names what it changes, in letters and digits: the same for the same values.
    """

    head: str
    base: str
    title: str
    text: str
    change: str

    @property
    def body(self) -> str:
        """Its text as it is written, with the marker."""
        return _marked(self._fitting, self.change, _digest(self.title), _digest(self._fitting))

    @property
    def _fitting(self) -> str:
        return rest.fitting(self.text.strip(), ROOM)

    def is_same(self, title: str, body: str) -> bool:
        """Tell whether another one was to change the same.

        Args:
            title: The other's.
            body: The other's.
        """
        marker = MARKER.search(body)
        return marker["change"] == self.change if marker else title == self.title

    def updates(self, title: str, body: str) -> dict[str, str]:
        """Return what is to be changed of one that is open: what a person has edited stays.

        Args:
            title: As it is there.
            body: As it is there.
        """
        marker = MARKER.search(body)
        if marker is None:
            return {}
        text = MARKER.sub("\n\n", body).strip()
        own_title, own_text = (_digest(there) == marker[name] for there, name in ((title, "title"), (text, "text")))
        wanted = {
            "title": self.title if own_title else title,
            "body": _marked(
                self._fitting if own_text else text,
                self.change,
                _digest(self.title) if own_title else marker["title"],
                _digest(self._fitting) if own_text else marker["text"],
            ),
        }
        return {name: value for name, value in wanted.items() if value != {"title": title, "body": body}[name]}


def _marked(text: str, change: str, title_digest: str, text_digest: str) -> str:
    return f"{text}\n\n<!-- ml-serving-ci change={change} title={title_digest} text={text_digest} -->\n"


def _digest(text: str) -> str:
    """Return a digest of a text, whatever the form in a browser makes of its line ends and of the room at its end."""
    lines = (line.rstrip() for line in text.strip().splitlines())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
