"""How a model version's behaviour differs: plots of text, Markdown for comment and summary, SVG for HTML."""

import math
import xml.etree.ElementTree as ET

from ci.base.text import cut, one_line
from ci.results import Behaviour, ChangedAnswer, LatencyDifference, Proportion, Slice

SHOWN = 10
"""Answers that went from right to wrong that are listed; report.json has them all."""
CELLS = 31
LEGEND = "○ champion, ● candidate, ─ 95 % interval of the candidate"
LATENCY_LEGEND = "● candidate less champion, ─ 95 % interval, │ no difference"
ANSWER_CHARACTERS = 80
REASON_CHARACTERS = 200
GLANCE_CHARACTERS = 40
"""Of an answer that a reader compares with another at a glance."""
LONGEST = 600
"""Characters of a text in Markdown."""
PLAIN = " .,:/-%()"
"""Characters besides letters and digits that mean nothing to Markdown within a line."""
WIDTH, ROW, SECTION, MARGIN = 760, 22, 34, 8
"""Of the image and its lines, in pixels."""
LEFT, RIGHT = 150, 560
"""Of its axes; names stand before them, figures behind."""


def verdict(behaviour: Behaviour) -> str:
    """Return the comparison in one line."""
    whole = behaviour.slices[0]
    return (
        f"{whole.agreement.count} of {whole.agreement.total} answers agree; accuracy {percent(whole.champion)} → "
        f"{percent(whole.candidate)}; {whole.regressions} right → wrong, {whole.improvements} wrong → right"
    )


def percent(proportion: Proportion) -> str:
    """Return a share as a percentage; 0 % means none and 100 % every one, never rounded to."""
    some = 0 < proportion.count < proportion.total
    return f"{min(max(proportion.share, 0.001), 0.999) if some else proportion.share:.1%}"


def interval(proportion: Proportion) -> str:
    """Return the two ends of a share's interval, in percent."""
    return f"{proportion.low * 100:.1f} to {proportion.high * 100:.1f} %"


def p_value(value: float) -> str:
    """Return a p-value with as many digits as it deserves."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def difference(item: LatencyDifference) -> str:
    """Return a latency's difference with its interval, in milliseconds."""
    return f"{item.difference_ms:+.1f} ({item.low_ms:+.1f} to {item.high_ms:+.1f})"


def answered(item: ChangedAnswer) -> str:
    """Return what the candidate answered, and why it is wrong where that is not plain to see."""
    plain = all(0 < len(each) <= GLANCE_CHARACTERS for each in (item.expected, item.answered))
    parts = [cut(item.answered, ANSWER_CHARACTERS), "" if plain else cut(item.reason, REASON_CHARACTERS)]
    return ": ".join(filter(None, parts)) or "no steady answer"


def expected(item: ChangedAnswer) -> str:
    """Return the right answer, the beginning of it where it is long."""
    return cut(item.expected or "by the schema", ANSWER_CHARACTERS)


def failed(behaviour: Behaviour) -> list[str]:
    """Return how many requests got no answer, and why the first of them did, a line for each version that has such."""
    return [
        f"{name}: {number} of {behaviour.requests} requests got no answer, the first: {cut(why, REASON_CHARACTERS)}"
        for name, number, why in (
            ("champion", behaviour.champion_failed, behaviour.champion_failure),
            ("candidate", behaviour.candidate_failed, behaviour.candidate_failure),
        )
        if number
    ]


def accuracy_axis(behaviour: Behaviour) -> float:
    """Return where the axis of accuracies begins, a multiple of 10 % below all of them; it ends at 1."""
    least = min(min(each.candidate.low, each.champion.share) for each in behaviour.slices)
    return math.floor(least * 10) / 10


def latency_axis(behaviour: Behaviour) -> float:
    """Return how far the axis of differences reaches to both sides of 0, in milliseconds."""
    return max((max(abs(item.low_ms), abs(item.high_ms)) for item in behaviour.latency), default=0.0) or 1.0


def accuracy_bar(each: Slice, start: float) -> str:
    """Return a slice's accuracies on an axis of text that begins at `start` and ends at 100 %."""
    cells = [" "] * CELLS

    def cell(value: float) -> int:
        return round((value - start) / (1 - start) * (CELLS - 1))

    _fill(cells, cell(each.candidate.low), cell(each.candidate.high))
    cells[cell(each.champion.share)] = "○"
    cells[cell(each.candidate.share)] = "●"
    return "".join(cells)


def latency_bar(item: LatencyDifference, reach: float) -> str:
    """Return a difference on an axis of text from `-reach` to `reach` milliseconds."""
    cells = [" "] * CELLS

    def cell(value: float) -> int:
        return round((min(max(value, -reach), reach) + reach) / (2 * reach) * (CELLS - 1))

    _fill(cells, cell(item.low_ms), cell(item.high_ms))
    cells[cell(0)] = "│"
    cells[cell(item.difference_ms)] = "●"
    return "".join(cells)


def markdown(behaviour: Behaviour) -> str:
    """Return the comparison as GitHub's Markdown, for a comment or a job summary.

    Args:
        behaviour: What came out.

    Returns:
        Headed paragraphs, tables and a plot, ending with a newline. Text of others is shown as it is, never as markup.
    """
    mark = "✗" if behaviour.failures else "✓"
    lines = [
        f"### {mark} Model behaviour: {_code(behaviour.champion)} → {_code(behaviour.candidate)}",
        "",
        f"{verdict(behaviour)}. Golden inputs {_code(behaviour.golden)}, version {behaviour.golden_version}, "
        f"{behaviour.requests} requests to each; failed: {behaviour.champion_failed} → {behaviour.candidate_failed}.",
        "",
        *(f"- ✗ {_code(line)}" for line in behaviour.failures),
        *(f"- {_code(line)}" for line in failed(behaviour)),
        *([""] if behaviour.failures or failed(behaviour) else []),
        "| Slice | Agreement | Champion right | Candidate right | Right → wrong | Wrong → right | p |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *(
            f"| {_code(each.name)} | {_share(each.agreement)} | {_share(each.champion)} | {_share(each.candidate)} "
            f"| {each.regressions} | {each.improvements} | {p_value(each.p_value)} |"
            for each in behaviour.slices
        ),
        "",
    ]
    if behaviour.latency:
        lines += [
            "| Latency | Champion ms | Candidate ms | Difference ms (95 % interval) |",
            "|---|--:|--:|--:|",
            *(
                f"| p{item.percentile} | {item.champion_ms:.1f} | {item.candidate_ms:.1f} | {difference(item)} |"
                for item in behaviour.latency
            ),
            "",
        ]
    lines += ["```text", *_plot(behaviour), "```", ""]
    if behaviour.regressions:
        lines += [
            "| Right → wrong | Slices | Expected | Answered |",
            "|---|---|---|---|",
            *(
                f"| {_code(item.input)} | {', '.join(map(_code, item.slices))} | {_code(expected(item))} "
                f"| {_code(answered(item))} |"
                for item in behaviour.regressions[:SHOWN]
            ),
            "",
            *([f"… and {left} more in report.json.", ""] if (left := len(behaviour.regressions) - SHOWN) > 0 else []),
        ]
    return "\n".join(lines)


def svg(behaviour: Behaviour) -> str:
    """Return the plots as an SVG image to stand within HTML: in the page's own colour, light or dark.

    Args:
        behaviour: What came out.

    Returns:
        One `svg` element of class `behaviour`, with a title and a description; all text in it is escaped.
    """
    rows = len(behaviour.slices) + len(behaviour.latency)
    sections = 2 if behaviour.latency else 1
    height = SECTION * sections + ROW * rows + MARGIN
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH} {height}",
            "role": "img",
            "class": "behaviour",
            "width": str(WIDTH),
            "fill": "currentColor",
            "stroke": "none",
        },
    )
    ET.SubElement(root, "title").text = "Model behaviour: accuracy by slice, latency difference"
    ET.SubElement(root, "desc").text = verdict(behaviour)
    start = accuracy_axis(behaviour)
    top = _section(root, 0, accuracy_title(behaviour))
    for each in behaviour.slices:
        got, had = each.candidate, each.champion
        _row(root, top, each.name, f"{percent(had)} → {percent(got)}")
        _line(root, top, _x(got.low, start, 1), _x(got.high, start, 1))
        _point(root, top, _x(had.share, start, 1), hollow=True)
        _point(root, top, _x(got.share, start, 1))
        top += ROW
    if behaviour.latency:
        reach = latency_axis(behaviour)
        top = _section(root, top, latency_title(behaviour))
        middle = f"{_x(0, -reach, reach):.1f}"
        end = str(top + ROW * len(behaviour.latency))
        ET.SubElement(root, "line", x1=middle, x2=middle, y1=str(top), y2=end, stroke="currentColor", opacity="0.4")
        for item in behaviour.latency:
            _row(root, top, f"p{item.percentile}", f"{difference(item)} ms")
            _line(root, top, _x(item.low_ms, -reach, reach), _x(item.high_ms, -reach, reach))
            _point(root, top, _x(item.difference_ms, -reach, reach))
            top += ROW
    return ET.tostring(root, encoding="unicode")


def _x(value: float, start: float, end: float) -> float:
    return LEFT + (min(max(value, start), end) - start) / (end - start) * (RIGHT - LEFT)


def _section(root: ET.Element, top: float, title: str) -> float:
    heading = ET.SubElement(root, "text", {"x": "0", "y": f"{top + SECTION - 12:.0f}", "font-weight": "bold"})
    heading.text = title
    return top + SECTION


def _row(root: ET.Element, top: float, name: str, figures: str) -> None:
    for x, text in ((0, name), (RIGHT + 16, figures)):
        ET.SubElement(root, "text", x=str(x), y=f"{top + ROW / 2 + 4:.0f}").text = text


def _line(root: ET.Element, top: float, start: float, end: float) -> None:
    ends = {"x1": f"{start:.1f}", "x2": f"{end:.1f}", "y1": f"{top + ROW / 2:.0f}", "y2": f"{top + ROW / 2:.0f}"}
    ET.SubElement(root, "line", ends, stroke="currentColor")


def _point(root: ET.Element, top: float, x: float, *, hollow: bool = False) -> None:
    fill = "none" if hollow else "currentColor"
    ET.SubElement(root, "circle", cx=f"{x:.1f}", cy=f"{top + ROW / 2:.0f}", r="5", fill=fill, stroke="currentColor")


def accuracy_title(behaviour: Behaviour) -> str:
    """Return what the plot of accuracies shows."""
    return f"Accuracy, {accuracy_axis(behaviour) * 100:.0f} to 100 %: {LEGEND}"


def latency_title(behaviour: Behaviour) -> str:
    """Return what the plot of latencies shows."""
    reach = latency_axis(behaviour)
    return f"Latency, -{reach:.1f} to +{reach:.1f} ms: {LATENCY_LEGEND}"


def _plot(behaviour: Behaviour) -> list[str]:
    """Return both plots as lines of text."""
    start = accuracy_axis(behaviour)
    names = [cut(one_line(each.name), ANSWER_CHARACTERS) for each in behaviour.slices]
    width = max(map(len, names))
    lines = [accuracy_title(behaviour)]
    lines += [
        f"{name:<{width}}  {accuracy_bar(each, start)}".rstrip()
        for name, each in zip(names, behaviour.slices, strict=True)
    ]
    if behaviour.latency:
        reach = latency_axis(behaviour)
        lines += ["", latency_title(behaviour)]
        lines += [f"p{item.percentile:<{width - 1}}  {latency_bar(item, reach)}".rstrip() for item in behaviour.latency]
    return lines


def _fill(cells: list[str], first: int, last: int) -> None:
    for cell in range(first, last + 1):
        cells[cell] = "─"


def _share(proportion: Proportion) -> str:
    return f"{proportion.count} of {proportion.total} ({interval(proportion)})"


def _code(text: str) -> str:
    """Return text that Markdown and HTML take for nothing but text, a table's cell included."""
    shown = (each if each.isalnum() or each in PLAIN else f"&#{ord(each)};" for each in cut(one_line(text), LONGEST))
    return f"<code>{''.join(shown)}</code>"
