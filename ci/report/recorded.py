"""What the gates would have made of a recorded canary, for the person at the terminal."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ci.canary.assessment import Outcome, Recorded, Share
from ci.report import terminal

ENDINGS = {"Healthy": "goes through", "Degraded": "is aborted", "Paused": "is held for a person"}


def render(items: Sequence[Recorded]) -> Group:
    """Return for each environment how the canary ends, how the recording was read, and what it has.

    Args:
        items: What came out.
    """
    parts: list[RenderableType] = []
    for item in items:
        mark = Text("✓ ", style="green") if item.outcome.phase == "Healthy" else Text("✗ ", style="red")
        parts.append(Text.assemble(mark, (item.environment, "bold"), f": {ending(item.outcome)}"))
        parts += [Text(f"  {note}") for note in item.notes]
        parts += [_shares(item.shares), Text()]
    return Group(*parts)


def ending(outcome: Outcome) -> str:
    """Return how a recorded canary ends, in a sentence without its full stop."""
    if outcome.phase == "Unknown":
        end = f"how the canary ends is not known: its figures end before it is measured at {outcome.second} s"
    else:
        end = f"the recorded canary {ENDINGS[outcome.phase]} at {outcome.second} s"
    step = "" if outcome.phase == "Healthy" else f", step {outcome.step}"
    return f"{end}{step}{f', by {outcome.metric}: {outcome.why}' if outcome.metric else ''}"


def _shares(shares: Sequence[Share]) -> Table:
    table = terminal.titled("Requests in the recording, by the rendered steps")
    for heading in ("Step", "Weight", "Seconds", "Requests", "Canary", "Share"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in shares:
        share = f"{each.canary / each.requests:.1%}" if each.requests else ""
        seconds = f"{each.start} to {each.end}"
        row = (str(each.step), f"{each.weight} %", seconds, f"{each.requests:.0f}", f"{each.canary:.0f}", share)
        table.add_row(*row)
    return table
