"""Text from outside made inert, cut, counted: the one place for it."""

import dataclasses
import re
import unicodedata
from typing import Any, TypeVar, cast

T = TypeVar("T")

CONTROLLING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of characters that control what is around them, such as the direction of writing."""
SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
"""What a program sends to a terminal: colours, and the title of a window or the target of a link."""

ALONE = r"(?<![A-Za-z0-9])"
"""At the beginning of a word, as a forge sees it where Markdown has made an underscore something else."""
CLOSING = rf"{ALONE}(?:clos(?:e[sd]?|ing)|fix(?:e[sd]|ing)?|resolv(?:e[sd]?|ing)|implement(?:s|ed|ing)?):?\s+"
"""Before an issue, these close it at the merge: GitHub's words, and GitLab's."""
ACTING = re.compile(
    "|".join(
        [
            rf"{CLOSING}(?:https?://|[A-Z][A-Z0-9_]*-(?=\d))",  # an issue by its address, or by Jira's name
            r"(?P<link>https?://[\w-]+(?:\.[\w-]+)*(?::\d+)?(?:[/?#][^\s<>]*)?)",  # in which nothing acts
            rf"{ALONE}GH-(?=\d)",
            r"#(?=\w)",
            rf"{ALONE}@(?=\w)",
            r"\[(?=[^\[\]]{0,60}?(?:skip|no[ _-]?ci\b))",
            r"\*{3}(?=NO_CI)",
            rf"{ALONE}skip-(?=checks)",
            r"<(?=[A-Za-z/!?])",
            r"&(?=#?\w+;)",
            r"\](?=[(\[:])",
        ]
    ),
    re.IGNORECASE,
)
"""What a forge acts on in a commit's message or in Markdown, up to the place where a space ends that."""


def visible(text: str, keep: str = "") -> str:
    r"""Return a text in which every character can be seen, written as Python does where it cannot: "\x1b", "\u202e".

    What is left is legal in XML, HTML, JSON and UTF-8. A byte of a file's name that is no UTF-8 is shown as the byte.

    Args:
        text: From anywhere.
        keep: Characters that may stay although they cannot be seen.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char in keep or _plain(char) else _escaped(char) for char in text)


def legal(text: str) -> str:
    """Return a text of any number of lines that no form of the report can trip over, without a program's colours."""
    return visible(SEQUENCES.sub("", text).replace("\r\n", "\n"), keep="\t\n")


def has_words(text: str) -> bool:
    """Tell whether a text says anything: it has a letter or a digit of any script."""
    return any(char.isalnum() for char in text)


def one_line(text: str) -> str:
    """Return a text on one line, made inert."""
    return visible(" ".join(SEQUENCES.sub("", text).split()))


def harmless(text: str) -> str:
    """Return a text on one line that a forge does nothing for: "fixes # 1, thanks @ octocat".

    It closes no issue, calls nobody, skips no workflow, and has no Markdown or HTML that hides or links. Each sign that
    would do so gets a space after it: people see what was written and can copy it. An invisible character would spoil
    that, and an escape does not help: forges look at what Markdown has made of it. A plain link stays one.
    """
    return ACTING.sub(lambda found: found[0] if found["link"] else f"{found[0]} ", one_line(text))


def cut(text: str, most: int) -> str:
    """Return a text of at most `most` characters; that it was longer can be seen."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def inert(value: T) -> T:
    """Return an object of the report's model, or a list or mapping of them, with every text in it made inert."""
    return cast("T", _mapped(value))


def _mapped(value: Any) -> Any:
    if isinstance(value, str):
        return legal(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return dataclasses.replace(value, **{name: _mapped(getattr(value, name)) for name in names})
    if isinstance(value, list | tuple):
        return type(value)(map(_mapped, value))
    if isinstance(value, dict):
        return {_mapped(key): _mapped(each) for key, each in value.items()}
    return value


def _plain(char: str) -> bool:
    code = ord(char)
    noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
    return not noncharacter and unicodedata.category(char) not in CONTROLLING


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte of a name that is no UTF-8
        code -= 0xDC00
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def counted(number: int, noun: str) -> str:
    """Return "1 request", "2 requests"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def lasting(seconds: float) -> str:
    """Return a duration as people say it: "52.9 s", "5 min 38 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
