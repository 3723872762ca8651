"""The report for people: one HTML page that loads nothing, and says first what failed."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from ci.base import files, text
from ci.report import applications, behaviour, chart, dashboards, matrix, words
from ci.results import Report, errors_first

SECTIONS = {
    "outcome": "Outcome",
    "stages": "Stages",
    "applications": "Applications",
    "diagnostics": "Diagnostics",
    "findings": "Findings",
    "effects": "What the change does to pods",
    "canaries": "Canaries",
    "behaviour": "Model behaviour",
    "inference": "Inference",
    "gates": "Gates",
    "gitops": "Versions moved by commits",
    "dashboards": "Dashboards",
    "run": "About this run",
}
"""Each section's id to its title, in their order; all of them are always there."""

FINDINGS_SHOWN = 25
"""The others are folded."""


def render(report: Report) -> str:
    """Return the page; the same report makes the same page.

    Args:
        report: The run.
    """
    environment = _environment()
    style = environment.get_template("report.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        report=report,
        sections=SECTIONS,
        style_digest=digest,
        findings=errors_first(report.findings),
        findings_shown=FINDINGS_SHOWN,
        excerpts=[file for file in report.files if file.excerpt],
        collected=[file for file in report.files if file.path.startswith("diagnostics/")],
    )


def write(path: Path, report: Report) -> None:
    """Write the page to a file.

    Args:
        path: The file; an older one is replaced at once.
        report: The run.
    """
    files.write(path, render(report).encode())


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ci.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: type(value)(text.legal(value)) if isinstance(value, str) else value,  # Markup stays that
    )
    environment.filters |= {"lasting": text.lasting, "counted": text.counted, "size": _size, "link": _link}
    environment.globals |= {
        "headline": words.headline,
        "narrowed": words.narrowed,
        "used": words.used,
        "applications": applications,
        "behaviour": behaviour,
        "chart_of": chart.canary,
        "drawn_of": dashboards.chart,
        "plot_of": lambda compared: Markup(behaviour.svg(compared)),  # noqa: S704 - it escapes all text itself
        "matrix": matrix,
        "MARKS": {"passed": "✓", "failed": "✗", "skipped": "–", "interrupted": "✗"},
    }
    return environment


def _link(path: str) -> str:
    """Return the address of a file beside the page: never one with a scheme, whatever bytes its name has."""
    name = re.sub("[\ud800-\udc7f\udd00-\udfff]", lambda found: text.visible(found[0]), path)
    return quote(name, errors="surrogateescape")


def _size(size: int) -> str:
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.1f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"
