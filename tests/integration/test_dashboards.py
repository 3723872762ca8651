"""Every panel of the dashboards that the release brings has something to show.

The sample's alone: the figures of KServe's own servers are among them, which a container of one's own need not have. Of
any application, test_monitored.py asks whether each query is answered.
"""

import math
import time

import pytest

from ci.base.wait import NotYet, until
from ci.manifests import dashboards
from ci.results import Dashboard, DashboardPanel, Plotted

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sample")]

DATA_SECONDS = 420
"""The error budget's series counts windows of five minutes by the clock, so a new release has its first after that."""

WINDOW_SECONDS, STEP_SECONDS = 900, 15
"""Of what is drawn."""


@pytest.fixture(scope="module")
def drawn(to_report):
    """Gets each dashboard as it was seen, for the report."""
    kept = []
    yield kept
    to_report("dashboards.json", kept)


async def seen(dashboard, prometheus, variables):
    """A dashboard's panels with what Prometheus has for them."""
    end = time.time()
    panels = []
    for _, panel in dashboards.panels(dashboard):
        if not panel.get("targets"):
            continue
        series = []
        for target in panel["targets"]:
            query = dashboards.promql(target["expr"], variables)
            for item in await prometheus.query_range(query, end - WINDOW_SECONDS, end, STEP_SECONDS):
                points = [(at - end + WINDOW_SECONDS, float(value)) for at, value in item["values"]]
                finite = [(round(at, 1), value) for at, value in points if math.isfinite(value)]
                series.append(Plotted(dashboards.legend(target.get("legendFormat", ""), item["metric"]), finite))
        unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "")
        panels.append(DashboardPanel(panel["title"], unit, series))
    return Dashboard(dashboard["title"], WINDOW_SECONDS, panels)


@pytest.mark.parametrize("name", ["slo-overview", "canary", "serving"])
async def test_every_query_of_a_dashboard_has_data(release, prometheus, through_the_mesh, question, drawn, name):
    # Given a dashboard as it is on the cluster
    dashboard = (await release.dashboards())[name]
    variables = {"namespace": release.namespace, "model": release.model}
    asked = [(owner, dashboards.promql(text, variables)) for _, owner, text in dashboards.queries(dashboard)]
    assert len(asked) > 3
    unanswered = dict.fromkeys(asked)

    # When there is a little traffic, then each of its queries has a figure
    async def probe():
        assert (await through_the_mesh(question.path, question.body)).status == 200
        for owner, query in list(unanswered):
            values = [float(item["value"][1]) for item in await prometheus.query(query)]
            if any(not math.isnan(value) for value in values):
                del unanswered[owner, query]
            else:
                unanswered[owner, query] = values
        if unanswered:
            raise NotYet("; ".join(f"{owner}: {query}: {values}" for (owner, query), values in unanswered.items()))

    await until(f"data for every query of dashboard {name}", probe, timeout=DATA_SECONDS, interval=1)

    # And so a window of it can be drawn
    drawn.append(await seen(dashboard, prometheus, variables))
    assert all(any(series.points for series in panel.series) for panel in drawn[-1].panels)
