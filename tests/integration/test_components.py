"""Every component that the deployment guide lists exists and is healthy."""

import pytest

pytestmark = pytest.mark.anyio
canary = pytest.mark.needs("features.canaryDeployment")
monitoring = pytest.mark.needs("features.sloMonitoring")


@pytest.mark.usefixtures("sample")
async def test_the_namespace_gives_its_pods_a_sidecar(release):
    namespace = await release.kubectl.get("namespace", release.namespace)
    assert namespace["metadata"]["labels"]["istio-injection"] == "enabled"


@canary
async def test_the_inference_service_is_ready_and_kserve_runs_no_pod_of_its_own(release):
    service = await release.get("inferenceservice", release.model)
    conditions = {item["type"]: item["status"] for item in service["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    deployment = await release.get("deployment")
    assert deployment["spec"]["replicas"] == 0, "two owners would fight for the pods"


@canary
async def test_the_rollout_is_healthy_and_owns_every_pod(release):
    rollout = await release.get("rollout")
    assert rollout["status"]["phase"] == "Healthy"
    assert rollout["spec"]["workloadRef"]["name"] == release.predictor
    sets = await release.kubectl.get_list("replicasets", release.namespace)
    own = {
        item["metadata"]["name"]
        for item in sets
        for owner in item["metadata"].get("ownerReferences", [])
        if owner["uid"] == rollout["metadata"]["uid"]
    }
    pods = await release.pods()
    assert {owner["name"] for pod in pods for owner in pod["metadata"]["ownerReferences"]} <= own
    assert len(await release.stable_pods()) == rollout["status"]["updatedReplicas"] >= 1


async def test_every_pod_runs_the_model_and_a_sidecar(release):
    pods = await release.pods()
    assert pods
    for pod in pods:
        ready = {item["name"]: item["ready"] for item in pod["status"].get("containerStatuses", [])}
        ready |= {item["name"]: item["ready"] for item in pod["status"].get("initContainerStatuses", [])}
        assert ready["kserve-container"]
        assert ready["istio-proxy"]


@pytest.mark.usefixtures("sample")
async def test_every_pod_runs_without_privileges(release):
    for pod in await release.pods():
        (server,) = [item for item in pod["spec"]["containers"] if item["name"] == "kserve-container"]
        assert server["securityContext"]["allowPrivilegeEscalation"] is False
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True


@canary
@pytest.mark.parametrize("role", ["stable", "canary"])
async def test_both_services_lead_to_ready_pods_on_port_80(release, values, role):
    name = f"{release.predictor}-{role}"
    service = await release.get("service", name)
    ports = [(port["port"], port["targetPort"]) for port in service["spec"]["ports"]]
    assert ports == [(80, values["exampleModel"]["port"])]
    slices = await release.kubectl.get_list("endpointslices", release.namespace, f"kubernetes.io/service-name={name}")
    addresses = {
        address
        for item in slices
        for endpoint in item["endpoints"] or []
        if endpoint["conditions"]["ready"]
        for address in endpoint["addresses"]
    }
    assert addresses == {pod["status"]["podIP"] for pod in await release.stable_pods()}


@canary
async def test_the_virtual_service_sends_everything_to_stable(release):
    virtual_service = await release.get("virtualservice")
    assert virtual_service["spec"]["hosts"] == [release.predictor]
    (route,) = virtual_service["spec"]["http"]
    assert route["name"] == "primary"
    weights = {item["destination"]["host"]: item.get("weight", 0) for item in route["route"]}
    assert weights == {f"{release.predictor}-stable": 100, f"{release.predictor}-canary": 0}


@canary
@monitoring
async def test_the_rollout_judges_by_an_analysis_template_that_is_there(release):
    rollout = await release.get("rollout")
    (template,) = rollout["spec"]["strategy"]["canary"]["analysis"]["templates"]
    metrics = (await release.get("analysistemplate", template["templateName"]))["spec"]["metrics"]
    assert {"success-rate", "latency-p95"} <= {metric["name"] for metric in metrics}


@canary
@pytest.mark.needs("features.autoscaling")
async def test_the_autoscaler_works_on_the_rollout(release):
    autoscaler = await release.get("hpa", f"{release.predictor}-hpa")
    target = autoscaler["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Rollout", release.predictor)


@monitoring
@pytest.mark.parametrize("kind", ["prometheusrule", "servicemonitor"])
async def test_prometheus_is_told_of_rules_and_targets(release, values, kind):
    (name,) = [name for what, name in await release.manifest() if what.lower() == kind]
    found = await release.get(kind, name)
    selected_by = values["monitoring"]["labels"]
    assert selected_by.items() <= found["metadata"]["labels"].items(), "the operator selects by these labels"


@pytest.mark.needs("podDisruptionBudget.enabled")
async def test_a_disruption_budget_of_its_own(release):
    budget = await release.get("poddisruptionbudget")
    assert budget["status"]["expectedPods"] >= 1


async def test_a_service_account_of_its_own(release):
    for pod in await release.pods():
        assert pod["spec"]["serviceAccountName"] == release.predictor
