"""How this tool was called: texts name `python ci/main.py`, which is so in its own checkout alone."""

import functools
import shlex
import sys
from pathlib import Path

SAID = "python ci/main.py"
"""What messages, reports and evidence say, wherever the tool is."""
SCRIPT = ("ci", "main.py")


def as_called(text: str) -> str:
    """Return a text for the person at the terminal: its commands of this tool as that person has to type them."""
    return text.replace(SAID, _called()) if SAID in text else text


@functools.cache
def _called() -> str:
    """Return the beginning of the command line, with the project where that was named in it."""
    words = sys.orig_argv
    script = next((number for number, word in enumerate(words) if Path(word).parts[-2:] == SCRIPT), None)
    if script is None:  # a library of some other program
        return SAID
    return shlex.join([*words[: script + 1], *_project(words[script + 1 :])])


def _project(words: list[str]) -> list[str]:
    """Return the option that names the project, which stands before the command; none where there is none."""
    option = "--project"
    for number, word in enumerate(words):
        if word.startswith(f"{option}="):
            return [word]
        if word == option:
            return words[number : number + 2]
        if not word.startswith("-"):
            break
    return []
