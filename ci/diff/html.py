"""The difference as one HTML page that needs nothing else; whatever is put into it is escaped by Jinja."""

from pathlib import Path

import jinja2

from ci.base.text import legal
from ci.diff.model import BECOMES, BY_CHART, RISKS, Difference
from ci.results import OUTCOMES

TEMPLATE = "page.html.j2"


def render(difference: Difference) -> str:
    """Return the page.

    Args:
        difference: What is shown.
    """
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: type(value)(legal(value)) if isinstance(value, str) else value,  # Markup stays that
    )
    by_risk = [(heading, [each for each in difference.objects if each.risk == risk]) for risk, heading in RISKS.items()]
    shown = [(heading, chosen) for heading, chosen in by_risk if chosen]
    page = environment.get_template(TEMPLATE)
    return page.render(difference=difference, risks=shown, outcomes=OUTCOMES, becomes=BECOMES, by_chart=BY_CHART) + "\n"
