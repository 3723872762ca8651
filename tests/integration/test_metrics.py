"""The SLO series follow from the model's requests, and say how many there were and what came of them."""

import pytest

from ci.base.wait import NotYet, until
from tests.integration.prometheus import SERIES_SECONDS

pytestmark = [pytest.mark.anyio, pytest.mark.needs("features.sloMonitoring")]

LATENCY = {"InferenceLatencyP95High": "p95", "InferenceLatencyP99High": "p99"}
"""Alerts of the machine's speed, and the part of their series' names that is theirs."""


@pytest.fixture(scope="module")
async def requested(through_the_mesh, question):
    """A request of this very moment."""
    assert 200 <= (await through_the_mesh(question.path, question.body)).status < 300


@pytest.mark.usefixtures("sample")
async def test_a_refused_request_is_counted_by_its_code(release, prometheus, through_the_mesh, question):
    assert (await through_the_mesh(question.path, "no JSON")).status == 400
    matchers = f'{{namespace="{release.namespace}",model="{release.model}",response_code="400"}}'
    counted = await prometheus.until(f"inference_request_total{matchers}", bool)
    stable = (await release.get("rollout"))["status"]["stableRS"]
    assert (release.predictor, stable) in {(item["metric"]["service"], item["metric"]["revision"]) for item in counted}


@pytest.mark.usefixtures("sample")
async def test_each_request_is_counted_once(release, prometheus, through_the_mesh, question):
    series = f'inference_request_total{{namespace="{release.namespace}",model="{release.model}"}}'

    async def counted():
        """The count when every pod was scraped after this very moment, as Prometheus' own clock tells both."""
        now = float((await prometheus.query("vector(time())"))[0]["value"][1])
        await prometheus.until(f"min(timestamp({series})) > {now}", bool)
        return float((await prometheus.query(f"sum({series})"))[0]["value"][1])

    before = await counted()
    for _ in range(5):
        assert (await through_the_mesh(question.path, question.body)).status == 200
    assert await counted() == before + 5


SERIES = {
    "sli:inference_request_rate:5m": (0.0, 10_000.0),
    "sli:inference_latency_p95:5m": (0.0, 10.0),
    "sli:inference_latency_p99:5m": (0.0, 10.0),
    "sli:inference_error_rate:5m": (0.0, 0.0),
    "sli:inference_availability:5m": (1.0, 1.0),
}
"""What the recording rules make, and between which bounds each is of the sample, which answers all and is fast."""


async def recorded(release, prometheus, series):
    promql = f'{series}{{namespace="{release.namespace}",model="{release.model}"}}'
    (result,) = await prometheus.until(promql, lambda result: result and result[0]["value"][1] != "NaN")
    assert result["metric"]["service"] == release.predictor
    return float(result["value"][1])


@pytest.mark.usefixtures("requested")
@pytest.mark.parametrize("series", SERIES)
async def test_the_recording_rules_return_a_value(release, prometheus, series):
    assert await recorded(release, prometheus, series) >= 0


@pytest.mark.usefixtures("requested", "sample")
@pytest.mark.parametrize("series", SERIES)
async def test_the_value_is_one_of_a_healthy_model(release, prometheus, series):
    low, high = SERIES[series]
    assert low <= await recorded(release, prometheus, series) <= high


@pytest.mark.usefixtures("requested")
@pytest.mark.parametrize(
    "promql",
    [
        "sum(rate(inference_request_total[5m])) by (service, model)",
        "sli:inference_latency_p95:5m",
        "sli:inference_error_rate:5m",
    ],
)
async def test_the_guides_queries_name_the_model(release, prometheus, promql):
    result = await prometheus.until(promql, bool)
    assert (release.predictor, release.model) in {
        (item["metric"]["service"], item["metric"]["model"]) for item in result
    }


@pytest.mark.usefixtures("sample")
async def test_every_alert_is_quiet(release, prometheus):
    async def slow():
        """The alerts that are right: on a busy machine the model is slow."""
        matchers = f'{{namespace="{release.namespace}",model="{release.model}"}}'
        over = "sli:inference_latency_{0}:5m{1} > on (namespace, model) slo:inference_latency_{0}:limit{1}"
        return {name for name, part in LATENCY.items() if await prometheus.query(over.format(part, matchers))}

    async def quiet():
        """A pod that just went, the last canary's, may hold up one scrape: its alert is pending until the next."""
        right = await slow()
        alerts = [rule for rule in await prometheus.rules(release) if rule["type"] == "alerting"]
        states = [(rule["name"], rule["state"]) for rule in alerts if rule["name"] not in right]
        assert not [name for name, state in states if state == "firing"], states
        if any(state != "inactive" for _, state in states):
            raise NotYet(str(states))

    await until("every alert not of a slow machine is inactive", quiet, timeout=SERIES_SECONDS, interval=1)
