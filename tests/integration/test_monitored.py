"""Prometheus knows the application: it scrapes its pods, has its rules, and answers what judges and shows it."""

import math

import pytest

from ci.base import paths
from ci.base.wait import NotYet, until
from ci.canary import plan
from ci.cluster import readiness
from ci.manifests import dashboards, manifests
from tests.integration.prometheus import SCRAPED_SECONDS, SERIES_SECONDS

pytestmark = [pytest.mark.anyio, pytest.mark.needs("features.sloMonitoring")]
ALERTS = pytest.mark.needs("slo.availability.minFailed")
"""An application may run an earlier revision of the chart, which has neither this value nor what is asked for here."""


async def test_each_pod_is_scraped_exactly_once(release, prometheus):
    async def probe():
        pods = sorted(pod["metadata"]["name"] for pod in await release.pods())
        targets = await prometheus.targets(release)
        if sorted(item["labels"]["pod"] for item in targets) != pods:
            raise NotYet(f"pods {pods}, targets {[item['labels'] for item in targets]}")
        if any(item["health"] != "up" for item in targets):
            raise NotYet(str([(item["health"], item["lastError"]) for item in targets]))

    await until("one healthy target a pod", probe, timeout=SCRAPED_SECONDS, interval=1)


@ALERTS
async def test_prometheus_knows_of_each_pod_that_it_is_ready(release, prometheus):
    async def probe():
        targets = await prometheus.targets(release)
        if not targets or any(item["labels"]["ready"] != "true" for item in targets):
            raise NotYet(str([item["labels"] for item in targets]))

    await until("each target is ready", probe, timeout=SCRAPED_SECONDS, interval=1)


async def test_requests_are_counted_by_service_model_revision_and_code(release, prometheus, through_the_mesh, question):
    status = (await through_the_mesh(question.path, question.body)).status
    assert 200 <= status < 300
    labels = f'namespace="{release.namespace}",model="{release.model}",service="{release.predictor}"'
    revisions = {pod["metadata"]["name"]: readiness.revision(pod) for pod in await release.pods()}

    def of_its_pods(result):
        return [item["metric"] for item in result if item["metric"]["pod"] in revisions]

    series = f'inference_request_total{{{labels},response_code="{status}"}}'
    counted = of_its_pods(await prometheus.until(series, of_its_pods))
    assert {item["pod"]: item["revision"] for item in counted}.items() <= revisions.items()


async def test_every_rule_evaluates(release, prometheus):
    rules = await prometheus.rules(release)
    assert {rule["name"]: rule["health"] for rule in rules if rule["health"] != "ok"} == {}
    alerts = {rule["name"] for rule in rules if rule["type"] == "alerting"}
    assert {"InferenceErrorBudgetBurn", "InferenceLatencyP95High", "InferenceTargetDown"} <= alerts


@ALERTS
async def test_the_proxies_of_its_pods_say_since_when_they_count(release, prometheus):
    labels = f'namespace="{release.namespace}",model="{release.model}"'
    pods = {pod["metadata"]["name"] for pod in await release.pods()}
    found = await prometheus.until(f"inference_proxy_uptime_seconds{{{labels}}}", bool)
    assert pods <= {item["metric"]["pod"] for item in found}


@ALERTS
@pytest.mark.needs("features.canaryDeployment")
async def test_the_phase_of_its_rollout_is_known(release, prometheus):
    labels = f'namespace="{release.namespace}",model="{release.model}",service="{release.predictor}"'

    def completed(found):
        return {item["metric"]["phase"] for item in found} == {"Completed"}

    await prometheus.until(f"inference_rollout_info{{{labels}}}", completed)  # the last scrape may have come before


@pytest.mark.needs("features.canaryDeployment")
async def test_what_judges_a_canary_has_figures_of_the_version_that_runs(
    release, prometheus, through_the_mesh, question
):
    # Given the queries of the analyses, about the one version that there is
    rendered = await release.helm.run("get", "manifest", release.name, f"--namespace={release.namespace}")
    canary = plan.read(release.name, manifests.parse(rendered.stdout, {}, str(paths.CHART)))
    stable = (await release.get("rollout"))["status"]["stableRS"]
    unanswered = {item.about({"Stable": stable, "Latest": stable}) for item in canary.metrics if item.query}
    assert len(unanswered) > 3

    # When there is a little traffic, then each of them has a figure
    async def probe():
        assert 200 <= (await through_the_mesh(question.path, question.body)).status < 300
        for query in sorted(unanswered):
            if any(math.isfinite(float(item["value"][1])) for item in await prometheus.query(query)):
                unanswered.discard(query)
        if unanswered:
            raise NotYet("; ".join(sorted(unanswered)))

    await until("a figure for every query of the analyses", probe, timeout=SERIES_SECONDS, interval=1)


@pytest.mark.needs("monitoring.dashboards.enabled")
async def test_every_query_of_its_dashboards_is_answered(release, prometheus):
    variables = {"namespace": release.namespace, "model": release.model}
    queries = {
        dashboards.promql(text, variables)
        for dashboard in (await release.dashboards()).values()
        for _, _, text in dashboards.queries(dashboard)
    }
    assert len(queries) > 3
    for query in queries:
        await prometheus.query(query)
