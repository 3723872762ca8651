"""Dashboards as plain geometry: each panel's series over one window of time."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from ci.report.chart import Chart, Column, Line, Panel, Tick, above, clock, joined, time_steps
from ci.results import Dashboard, DashboardPanel, Plotted

SHOWN = 8
"""Series of a panel that are drawn; there are as many colours."""
UNITS: dict[str, Callable[[float], str]] = {
    "percentunit": lambda value: f"{100 * value:.4g} %",
    "s": lambda value: f"{value:.3g} s" if abs(value) >= 1 else f"{1000 * value:.3g} ms",
    "ms": lambda value: f"{value:.3g} ms",
    "reqps": lambda value: f"{value:.3g}/s",
}
"""Grafana's name of a unit to how a value is written in it."""


def chart(dashboard: Dashboard) -> Chart:
    """Return a dashboard's panels, drawn.

    Args:
        dashboard: What Prometheus had for its queries.
    """
    ticks = [Tick(_x(dashboard, second), clock(second)) for second in time_steps(dashboard.seconds)]
    return Chart((), ticks, (), [_panel(dashboard, panel) for panel in dashboard.panels])


def _panel(dashboard: Dashboard, panel: DashboardPanel) -> Panel:
    series = [each for each in panel.series if each.points][:SHOWN]
    values = [value for each in series for _, value in each.points]
    top, bottom = above(max(values, default=0), 0), -above(-min(values, default=0), 0)
    if top == bottom:
        top = 1.0
    words = UNITS.get(panel.unit, _plain)
    lines = []
    for number, each in enumerate(series):
        points = [(_x(dashboard, at), 100 * (top - value) / (top - bottom)) for at, value in each.points]
        lines.append(Line(f"series{number}", joined(points)))
    left = len(panel.series) - len(series)
    ticks = [Tick(at, words(top - at / 100 * (top - bottom))) for at in (0, 50, 100)]
    legend = [each.label or panel.title for each in series] + ([f"{left} more"] if left else [])
    note = "" if series else "no data"
    return Panel(panel.title, ticks, _columns(dashboard, series, words), lines, note=note, legend=legend)


def _plain(value: float) -> str:
    return f"{value:.4g}"


def _columns(dashboard: Dashboard, series: Sequence[Plotted], words: Callable[[float], str]) -> list[Column]:
    said: dict[float, list[str]] = {}
    for each in series:
        for at, value in each.points:
            said.setdefault(at, []).append(f"{each.label} {words(value)}".strip())
    times = sorted(said)
    step = min((after - before for before, after in pairwise(times)), default=dashboard.seconds)
    width = _x(dashboard, step)
    return [Column(_x(dashboard, at), width, f"{clock(at)}: {', '.join(said[at])}") for at in times]


def _x(dashboard: Dashboard, second: float) -> float:
    return round(100 * second / dashboard.seconds, 2)
