"""`python docs/environment.py` writes the tables of docs/environment.md from ci/base/{settings,programs}.py."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ci.base import programs, settings

PAGE = Path(__file__).with_suffix(".md")


def page() -> str:
    """Return the page with its tables as they should be."""
    tables = {"settings": _settings(), "variables": _variables(), "programs": _programs()}
    text = PAGE.read_text()
    for name, rows in tables.items():
        begin, end = f"<!-- {name}: python docs/environment.py -->\n", f"<!-- end of {name} -->"
        found = re.search(f"{re.escape(begin)}.*?{re.escape(end)}", text, re.DOTALL)
        if found is None:
            sys.exit(f"{PAGE}: no place for the table {name}")
        lines = "".join(f"| {' | '.join(row)} |\n" for row in rows)
        text = text.replace(found[0], f"{begin}{lines}{end}")
    return text


def _settings() -> Iterator[Sequence[str]]:
    yield "Variable", "What it says", "Where it is not set"
    yield "---", "---", "---"
    for name, meaning in settings.OWN.items():
        what, _, without = meaning.partition("; ")
        file = f", or `{name}_FILE` names a file with it" if name in settings.SECRETS else ""
        yield f"`{name}`", f"{what}{file}", without


def _variables() -> Iterator[Sequence[str]]:
    yield "For", "Variables"
    yield "---", "---"
    for name, variables in programs.GROUPS.items():
        yield f"**{name}**: {programs.ABOUT[name]}", ", ".join(f"`{variable}`" for variable in variables)


def _programs() -> Iterator[Sequence[str]]:
    yield "Program", f"Is given, beside **{programs.BASE}**", "Has always"
    yield "---", "---", "---"
    for name, program in programs.PROGRAMS.items():
        always = ", ".join(f"`{variable}={value}`" for variable, value in program.sets.items())
        yield f"`{name}`", ", ".join(program.groups), always


if __name__ == "__main__":
    PAGE.write_text(page())
