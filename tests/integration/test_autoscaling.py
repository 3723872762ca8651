"""The autoscaler reads all of its metrics."""

import pytest

from ci.base.wait import NotYet, until

pytestmark = [pytest.mark.anyio, pytest.mark.needs("features.autoscaling")]
by_requests = pytest.mark.needs("features.sloMonitoring", "autoscaling.requestsPerSecond")

METRIC_SECONDS = 120
"""metrics-server looks every 15 s and wants two looks; the autoscaler itself looks every 15 s."""


async def test_the_autoscaler_reads_each_of_its_metrics_and_scales_by_them(release, values, through_the_mesh, question):
    wanted = {"cpu", "memory"}
    if values["features"]["sloMonitoring"] and values["autoscaling"]["requestsPerSecond"]:
        wanted.add("inference_requests_per_second")

    async def probe():
        await through_the_mesh(question.path, question.body)  # the requests metric is there once there are requests
        status = (await release.get("hpa", f"{release.predictor}-hpa")).get("status", {})
        read = {}
        for metric in status.get("currentMetrics") or []:
            if metric["type"] == "ContainerResource":
                read[metric["containerResource"]["name"]] = metric["containerResource"]["current"]["averageValue"]
            elif metric["type"] == "Pods":
                read[metric["pods"]["metric"]["name"]] = metric["pods"]["current"]["averageValue"]
        conditions = {item["type"]: item["status"] for item in status.get("conditions") or []}
        able = {conditions.get("AbleToScale"), conditions.get("ScalingActive")} == {"True"}
        if read.keys() != wanted or not able:
            raise NotYet(f"read {read}, conditions {status.get('conditions')}")
        return read

    read = await until(f"the autoscaler reads {', '.join(sorted(wanted))}", probe, timeout=METRIC_SECONDS, interval=1)
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


@by_requests
async def test_the_custom_metric_is_served_for_each_pod(release, through_the_mesh, question):
    path = (
        f"/apis/custom.metrics.k8s.io/v1beta1/namespaces/{release.namespace}/pods/*/inference_requests_per_second"
        f"?labelSelector=app%3Disvc.{release.predictor}"
    )

    async def probe():
        await through_the_mesh(question.path, question.body)
        served = {item["describedObject"]["name"] for item in (await release.raw(path))["items"]}
        pods = {pod["metadata"]["name"] for pod in await release.pods()}
        if served != pods:
            raise NotYet(f"served for {served}, pods {pods}")

    await until("requests per second of each pod", probe, timeout=METRIC_SECONDS, interval=1)
