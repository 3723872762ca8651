"""The autoscaler reads all three of its metrics."""

import pytest

from ci.base.wait import NotYet, until
from tests.integration.release import KNOWN_BODY

pytestmark = pytest.mark.anyio

METRIC_SECONDS = 120
"""metrics-server looks every 15 s and wants two looks; the autoscaler itself looks every 15 s."""


async def test_the_autoscaler_reads_cpu_memory_and_requests_per_second(release, through_the_mesh):
    async def probe():
        await through_the_mesh(release.predict_path, KNOWN_BODY)  # the requests metric is there once there are requests
        status = (await release.get("hpa", f"{release.predictor}-hpa")).get("status", {})
        read = {}
        for metric in status.get("currentMetrics") or []:
            if metric["type"] == "ContainerResource":
                read[metric["containerResource"]["name"]] = metric["containerResource"]["current"]["averageValue"]
            elif metric["type"] == "Pods":
                read[metric["pods"]["metric"]["name"]] = metric["pods"]["current"]["averageValue"]
        if read.keys() != {"cpu", "memory", "inference_requests_per_second"}:
            raise NotYet(f"read {read}, conditions {status.get('conditions')}")
        return read

    read = await until("all three metrics of the autoscaler", probe, timeout=METRIC_SECONDS, interval=1)
    assert read["memory"] != "0"


async def test_the_resource_metrics_name_each_pods_model_container(release):
    async def probe():
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{release.namespace}/pods"
        measured = {item["metadata"]["name"]: item["containers"] for item in (await release.raw(path))["items"]}
        for pod in await release.pods():
            containers = {item["name"] for item in measured.get(pod["metadata"]["name"], [])}
            if "kserve-container" not in containers:
                raise NotYet(f"{pod['metadata']['name']}: {containers}")

    await until("resource metrics of each pod", probe, timeout=METRIC_SECONDS, interval=1)


async def test_the_custom_metric_is_served_for_each_pod(release, through_the_mesh):
    path = (
        f"/apis/custom.metrics.k8s.io/v1beta1/namespaces/{release.namespace}/pods/*/inference_requests_per_second"
        f"?labelSelector=app%3Disvc.{release.predictor}"
    )

    async def probe():
        await through_the_mesh(release.predict_path, KNOWN_BODY)
        served = {item["describedObject"]["name"] for item in (await release.raw(path))["items"]}
        pods = {pod["metadata"]["name"] for pod in await release.pods()}
        if served != pods:
            raise NotYet(f"served for {served}, pods {pods}")

    await until("requests per second of each pod", probe, timeout=METRIC_SECONDS, interval=1)
