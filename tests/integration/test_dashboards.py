"""Every panel of the dashboards that the release brings has something to show."""

import json
import math
import time

import pytest

from ci.base.wait import NotYet, until
from ci.manifests import dashboards
from ci.results import Dashboard, DashboardPanel, Plotted
from tests.integration.release import KNOWN_BODY

pytestmark = pytest.mark.anyio

DATA_SECONDS = 420
"""The error budget's series counts windows of five minutes by the clock, so a new release has its first after that."""

WINDOW_SECONDS, STEP_SECONDS = 900, 15
"""Of what is drawn."""


async def config_maps(release):
    """Return the ConfigMaps that Grafana's sidecar would load from this release."""
    labels = (await release.values())["monitoring"]["dashboards"]["labels"]
    labels = {"app.kubernetes.io/instance": release.name, **labels}
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    return await release.kubectl.get_list("configmaps", release.namespace, selector)


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
async def test_every_query_of_a_dashboard_has_data(release, prometheus, through_the_mesh, drawn, name):
    # Given a dashboard as it is on the cluster
    found = [
        text for item in await config_maps(release) for key, text in item["data"].items() if key.split(".")[-2] == name
    ]
    assert len(found) == 1
    dashboard = json.loads(found[0])
    variables = {"namespace": release.namespace, "model": release.model}
    asked = [(owner, dashboards.promql(text, variables)) for _, owner, text in dashboards.queries(dashboard)]
    assert len(asked) > 3
    unanswered = dict.fromkeys(asked)

    # When there is a little traffic, then each of its queries has a figure
    async def probe():
        assert (await through_the_mesh(release.predict_path, KNOWN_BODY)).status == 200
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
