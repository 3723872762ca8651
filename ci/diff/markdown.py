"""The difference as Markdown for a pull request, in parts of a size that GitHub takes.

Whatever comes from outside is within a code span, a fenced block or an element whose text is escaped: there, nothing in
it is Markdown, HTML, a mention or a link. No part leaves a fence or a <details> open.
"""

import html
import itertools
import re
from collections.abc import Iterator, Sequence

from ci.base.text import counted, cut, visible
from ci.diff.model import (
    BECOMES,
    BY_CHART,
    RISKS,
    ApplicationChange,
    Difference,
    Effect,
    Field,
    FileChange,
    ObjectChange,
)
from ci.results import OUTCOMES

HEADING = "## What this change does to the clusters"
"""How each part begins."""
LIMIT = 65_000
"""Bytes of UTF-8, of which there are never fewer than characters: GitHub takes 65,536; the rest is for a marker."""
LINE_LIMIT = 4_000
"""Characters of a line of a diff; the JSON and HTML files have it whole."""
MENTIONED = 10
"""Fields that are listed of one model."""
TITLED = 3
"""Fields that stand in the title of an object."""
LISTED = 50
"""Files that are listed without what differs in them."""
LONGEST = 300
"""Characters of a name or a path."""


def render(difference: Difference) -> list[str]:
    """Return the parts, each of them Markdown that stands alone.

    Args:
        difference: What is shown.
    """
    parts: list[list[str]] = [[]]
    size = 0
    for block in _blocks(difference):
        length = len(block.encode()) + 1
        if size + length > LIMIT - 100 and parts[-1]:  # the heading of a part
            parts.append([])
            size = 0
        parts[-1].append(block)
        size += length
    return [_headed("\n".join(part), number, len(parts)) for number, part in enumerate(parts, 1)]


def _headed(text: str, number: int, total: int) -> str:
    of = f" ({number} of {total})" if total > 1 else ""
    return f"{HEADING}{of}\n\n{text.strip()}\n"


def _blocks(difference: Difference) -> Iterator[str]:
    """Yield blocks between any two of which a part may end."""
    yield from _summary(difference)
    if difference.effects:
        yield "\n### Models\n"
        yield from map(_effect, difference.effects)
    for risk, heading in RISKS.items():
        chosen = [each for each in difference.objects if each.risk == risk]
        if chosen:
            yield f"\n### {heading}\n"
        for each in chosen:
            yield from _details(_title(each), each.diff)
    if difference.files:
        yield "\n### Files\n"
        yield from _files(difference.files)


def _summary(difference: Difference) -> Iterator[str]:
    counts = [(heading, [each for each in difference.objects if each.risk == risk]) for risk, heading in RISKS.items()]
    told = [f"| {heading} | {len(chosen)} |" for heading, chosen in counts if chosen]
    span = f"`{difference.base[:12]}` → `{difference.head[:12]}`, {', '.join(difference.environments)}"
    yield f"{span}: {'nothing changes.' if difference.nothing else ''}".rstrip()
    if told:
        yield "\n".join(["", "| Risk | Objects |", "|:--|--:|", *told])
    if difference.files:
        yield f"\nBeside objects: {counted(len(difference.files), 'file')}."
    if difference.noise:
        yield f"\nNot shown: {difference.noise} more, in which only hashes, order or the chart's version label differ."
    if difference.applications:
        yield ""
    for application in difference.applications:
        yield f"- Application {span_of(application.place)} {BECOMES[application.change]}{_unread(application)}."


def _unread(application: ApplicationChange) -> str:
    return f": its file could not be read, {span_of(application.said)}" if application.said else ""


def _effect(effect: Effect) -> str:
    lines = [f"- {span_of(effect.model)} in {span_of(effect.place)} **{OUTCOMES[effect.outcome]}**"]
    if effect.innocent:
        lines[0] += ", by labels or annotations alone: model, image and settings stay the same"
    if effect.by_chart:
        lines[0] += f"; {BY_CHART}"
    lines += [f"  - {_field(field)}" for field in effect.fields[:MENTIONED]]
    if len(effect.fields) > MENTIONED:
        lines.append(f"  - … and {len(effect.fields) - MENTIONED} more fields")
    return "\n".join(lines)


def _field(field: Field) -> str:
    values = " → ".join(span_of(value) if value else "nothing" for value in (field.before, field.after))
    return f"{span_of(field.path)}: {values} ({field.why})"


def _files(files: Sequence[FileChange]) -> Iterator[str]:
    """Yield what differs in files that are text, and the names of the others."""
    for each in files:
        if each.diff:
            said = f", {html.escape(_shown(each.said))}" if each.said else ""
            yield from _details(f"{each.change}: {_element(each.path)}{said}", each.diff)
    bare = [each for each in files if not each.diff]
    for each in bare[:LISTED]:
        yield f"- {each.change}: {span_of(each.path)}" + (f", {span_of(each.said)}" if each.said else "")
    if len(bare) > LISTED:
        yield f"- … and {counted(len(bare) - LISTED, 'more file')}"


def _details(title: str, diff: Sequence[str]) -> Iterator[str]:
    """Yield a diff, folded; one that is too long for a part in several pieces."""
    shown = [visible(line, keep="\t") for line in diff]
    lines = [f"{line[:LINE_LIMIT]} … ({len(line)} characters)" if len(line) > LINE_LIMIT else line for line in shown]
    for number, piece in enumerate(_pieces(lines)):
        yield _folded(title + (" (continued)" if number else ""), piece)


def _pieces(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yield the lines in groups that fit into a part, whatever stands around them."""
    sizes = itertools.accumulate(len(line.encode()) + 1 for line in lines)
    room = LIMIT // 3  # a long line may follow, and the fence is longer than any run of backticks
    for _, group in itertools.groupby(zip(sizes, lines, strict=True), key=lambda each: each[0] // room):
        yield [line for _, line in group]


def _title(each: ObjectChange) -> str:
    name = each.name or "(no name)"
    where = f"{each.namespace}/{name}" if each.namespace else name
    kind = f"{each.kind}.{each.group}" if each.group else each.kind or "(no kind)"
    title = f"{each.change}: {_element(f'{kind} {where}')} in {_element(each.place)}"
    if each.which:
        title += f", {html.escape(_shown(each.which))}"
    if each.fields:
        more = [f"{len(each.fields) - TITLED} more"] if len(each.fields) > TITLED else []
        title += f": {', '.join([*map(_element, each.fields[:TITLED]), *more])}"
    return title


def _element(text: str) -> str:
    """Return a text for where HTML is read and Markdown is not: within <summary>."""
    return f"<code>{html.escape(_shown(text))}</code>"


def _folded(title: str, lines: Sequence[str]) -> str:
    text = "\n".join(lines)
    fence = _fence(text, 3)
    return f"<details><summary>{title}</summary>\n\n{fence}diff\n{text}\n{fence}\n\n</details>\n"


def span_of(text: str) -> str:
    """Return a text of one line as a code span that nothing in it can end."""
    shown = _shown(text)
    fence = _fence(shown, 1)
    pad = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _fence(text: str, least: int) -> str:
    """Return more backticks than stand together anywhere in a text."""
    return "`" * max(least, *(len(run) + 1 for run in re.findall(r"`+", text)), 0)


def _shown(text: str) -> str:
    return cut(visible(text), LONGEST)
