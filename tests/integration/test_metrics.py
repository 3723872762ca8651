"""Prometheus scrapes the model, and the SLO series follow from it."""

import pytest

from ci.base.wait import NotYet, until
from tests.integration.release import KNOWN_BODY

pytestmark = pytest.mark.anyio

SERIES_SECONDS = 60
"""For a scrape, a rule evaluation, and the second sample that a rate needs."""
LATENCY = {"InferenceLatencyP95High": "p95", "InferenceLatencyP99High": "p99"}
"""Alerts of the machine's speed, and the part of their series' names that is theirs."""


@pytest.fixture(scope="module")
async def requested(release, through_the_mesh):
    """Requests of this very moment, a good one and one that is refused."""
    assert (await through_the_mesh(release.predict_path, KNOWN_BODY)).status == 200
    assert (await through_the_mesh(release.predict_path, "no JSON")).status == 400


async def values(prometheus, promql, enough):
    """Query until the result has what it takes."""

    async def probe():
        result = await prometheus.query(promql)
        if not enough(result):
            raise NotYet(f"{promql}: {result}")
        return result

    return await until(f"series {promql}", probe, timeout=SERIES_SECONDS, interval=1)


async def test_each_pod_is_scraped_exactly_once(release, prometheus):
    async def probe():
        pods = sorted(pod["metadata"]["name"] for pod in await release.pods())
        targets = await prometheus.targets(release)
        if sorted(item["labels"]["pod"] for item in targets) != pods:
            raise NotYet(f"pods {pods}, targets {[item['labels'] for item in targets]}")
        if any(item["health"] != "up" for item in targets):
            raise NotYet(str([(item["health"], item["lastError"]) for item in targets]))

    await until("one healthy target a pod", probe, timeout=SERIES_SECONDS, interval=1)


@pytest.mark.usefixtures("requested")
async def test_requests_are_counted_by_service_model_revision_and_code(release, prometheus):
    matchers = f'{{namespace="{release.namespace}",model="{release.model}"}}'

    def complete(result):
        codes = {item["metric"].get("response_code") for item in result}
        return {"200", "400"} <= codes

    counted = await values(prometheus, f"inference_request_total{matchers}", complete)
    stable = (await release.get("rollout"))["status"]["stableRS"]
    pods = {pod["metadata"]["name"] for pod in await release.pods()}
    of_stable = [item["metric"] for item in counted if item["metric"]["revision"] == stable]
    assert of_stable
    for labels in of_stable:
        assert labels["service"] == release.predictor
        assert labels["pod"] in pods


async def test_each_request_is_counted_once(release, prometheus, through_the_mesh):
    series = f'inference_request_total{{namespace="{release.namespace}",model="{release.model}"}}'

    async def counted():
        """The count when every pod was scraped after this very moment, as Prometheus' own clock tells both."""
        now = float((await prometheus.query("vector(time())"))[0]["value"][1])
        await values(prometheus, f"min(timestamp({series})) > {now}", bool)
        return float((await prometheus.query(f"sum({series})"))[0]["value"][1])

    before = await counted()
    for _ in range(5):
        assert (await through_the_mesh(release.predict_path, KNOWN_BODY)).status == 200
    assert await counted() == before + 5


@pytest.mark.usefixtures("requested")
@pytest.mark.parametrize(
    ("series", "low", "high"),
    [
        ("sli:inference_request_rate:5m", 0.0, 10_000.0),
        ("sli:inference_latency_p95:5m", 0.0, 10.0),
        ("sli:inference_latency_p99:5m", 0.0, 10.0),
        ("sli:inference_error_rate:5m", 0.0, 0.0),
        ("sli:inference_availability:5m", 1.0, 1.0),
    ],
)
async def test_the_recording_rules_return_a_value(release, prometheus, series, low, high):
    promql = f'{series}{{namespace="{release.namespace}",model="{release.model}"}}'
    (result,) = await values(prometheus, promql, lambda result: result and result[0]["value"][1] != "NaN")
    assert result["metric"]["service"] == release.predictor
    assert low <= float(result["value"][1]) <= high


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
    result = await values(prometheus, promql, bool)
    assert (release.predictor, release.model) in {
        (item["metric"]["service"], item["metric"]["model"]) for item in result
    }


async def test_every_rule_evaluates_and_every_alert_is_quiet(release, prometheus):
    async def evaluated():
        matchers = (f'namespace="{release.namespace}"', f'model="{release.model}"')
        rules = [rule for rule in await prometheus.rules() if all(text in rule["query"] for text in matchers)]
        if not rules or any(rule["health"] == "unknown" for rule in rules):
            raise NotYet(str([(rule["name"], rule["health"]) for rule in rules]))
        return rules

    async def slow():
        """The alerts that are right: on a busy machine the model is slow."""
        matchers = f'{{namespace="{release.namespace}",model="{release.model}"}}'
        over = "sli:inference_latency_{0}:5m{1} > on (namespace, model) slo:inference_latency_{0}:limit{1}"
        return {name for name, part in LATENCY.items() if await prometheus.query(over.format(part, matchers))}

    async def quiet():
        """A pod that just went, the last canary's, may hold up one scrape: its alert is pending until the next."""
        right = await slow()
        alerts = [rule for rule in await evaluated() if rule["type"] == "alerting"]
        states = [(rule["name"], rule["state"]) for rule in alerts if rule["name"] not in right]
        assert not [name for name, state in states if state == "firing"], states
        if any(state != "inactive" for _, state in states):
            raise NotYet(str(states))
        return {rule["name"] for rule in alerts}

    rules = await until("every rule evaluated once", evaluated, timeout=SERIES_SECONDS, interval=1)
    assert {rule["name"]: rule["health"] for rule in rules if rule["health"] != "ok"} == {}
    names = await until("every alert not of a slow machine is inactive", quiet, timeout=SERIES_SECONDS, interval=1)
    assert {"InferenceErrorBudgetBurn", "InferenceLatencyP95High", "InferenceTargetDown"} <= names
