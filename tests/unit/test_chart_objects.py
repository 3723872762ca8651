"""The objects that the chart renders, and how they hang together."""

import copy
import hashlib
import itertools
import json
import shutil

import pytest
import yaml

from ci.base.paths import CHART
from tests.unit.conftest import ENVIRONMENTS, KNOWN, KNOWN_ANSWER

FLAGS = ("kserve", "canaryDeployment", "sloMonitoring", "autoscaling")
COMBINATIONS = [dict(zip(FLAGS, switches, strict=True)) for switches in itertools.product((True, False), repeat=4)]
PREDICTOR = "sklearn-iris-predictor"


def title(flags):
    return "+".join(flag for flag in FLAGS if flags[flag]) or "nothing"


@pytest.mark.parametrize("flags", COMBINATIONS, ids=title)
def test_each_flag_takes_its_own_part_away_and_leaves_nothing_dangling(chart, flags):
    canary, slo, scaled = flags["canaryDeployment"], flags["sloMonitoring"], flags["autoscaling"]
    expected = {
        ("InferenceService", "sklearn-iris"): True,
        ("ServiceAccount", PREDICTOR): True,
        ("Service", f"{PREDICTOR}-stable"): True,
        ("PodDisruptionBudget", PREDICTOR): True,
        ("Pod", f"{PREDICTOR}-test"): True,
        ("Rollout", PREDICTOR): canary,
        ("VirtualService", PREDICTOR): canary,
        ("Service", f"{PREDICTOR}-canary"): canary,
        ("AnalysisTemplate", f"{PREDICTOR}-slo"): canary and slo,
        ("AnalysisTemplate", f"{PREDICTOR}-gate"): canary and slo,
        ("ServiceMonitor", PREDICTOR): slo,
        ("PodMonitor", f"{PREDICTOR}-rollout"): canary and slo,
        ("Service", f"{PREDICTOR}-metrics"): slo,
        ("PrometheusRule", "ml-serving-slo-alerts"): slo,
        ("ConfigMap", "ml-serving-dashboard-slo-overview"): slo,
        ("ConfigMap", "ml-serving-dashboard-canary"): slo,
        ("ConfigMap", "ml-serving-dashboard-serving"): slo,
        ("HorizontalPodAutoscaler", f"{PREDICTOR}-hpa"): scaled,
    }
    found = chart.render({"features": flags, **KNOWN})
    assert set(found) == {item for item, there in expected.items() if there and flags["kserve"]}
    if not flags["kserve"]:
        return

    inference = found["InferenceService", "sklearn-iris"]
    predictor = inference["spec"]["predictor"]
    autoscaler_class = inference["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"]
    # Exactly one owner of the number of pods.
    if canary:
        assert (autoscaler_class, predictor["minReplicas"]) == ("none", 0)
        assert ("replicas" in found["Rollout", PREDICTOR]["spec"]) is not scaled
        assert ("analysis" in found["Rollout", PREDICTOR]["spec"]["strategy"]["canary"]) is slo
    elif scaled:
        assert autoscaler_class == "external"
        assert "minReplicas" not in predictor
    else:
        assert (autoscaler_class, predictor["minReplicas"]) == ("none", 1)
    # Argo Rollouts sets the selector of the Services it switches; without it the stable one means all pods.
    stable = found["Service", f"{PREDICTOR}-stable"]["spec"]
    assert stable.get("selector") == (None if canary else {"app": f"isvc.{PREDICTOR}"})
    if scaled:
        scaler = found["HorizontalPodAutoscaler", f"{PREDICTOR}-hpa"]["spec"]
        assert scaler["scaleTargetRef"]["kind"] == ("Rollout" if canary else "Deployment")
        assert scaler["scaleTargetRef"]["name"] == PREDICTOR
        assert ("Pods" in [metric["type"] for metric in scaler["metrics"]]) is slo


def test_an_autoscaler_of_ones_own_finds_no_number_of_pods_set(chart):
    """Neither `helm upgrade` nor Argo CD then takes back what it has set."""
    own = {"features": {"autoscaling": False}, "exampleModel": {"replicas": None}}
    found = chart.render(own)
    assert "replicas" not in found["Rollout", PREDICTOR]["spec"]
    assert not [kind for kind, _ in found if kind == "HorizontalPodAutoscaler"]
    own["features"]["canaryDeployment"] = False
    inference = chart.render(own)["InferenceService", "sklearn-iris"]
    assert inference["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "external"
    assert "minReplicas" not in inference["spec"]["predictor"]


def test_without_the_example_model_the_release_is_empty_but_for_its_namespace(chart):
    assert chart.render({"exampleModel": {"enabled": False}}) == {}
    only = chart.render({"exampleModel": {"enabled": False}, "namespace": {"create": True}})
    assert list(only) == [("Namespace", "ml-serving")]
    assert only["Namespace", "ml-serving"]["metadata"]["labels"]["istio-injection"] == "enabled"


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_every_environment_renders_for_every_combination_of_flags(chart, env):
    for flags in COMBINATIONS:
        assert bool(chart.render({"features": flags}, env=env)) is flags["kserve"]


def test_two_releases_with_two_models_share_a_namespace(chart):
    model = {"storageSecret": "models", "knownAnswer": KNOWN_ANSWER}
    everything = {"networkPolicy": {"enabled": True}, "exampleModel": model}
    everything["monitoring"] = {"runbookBase": "https://example.com"}  # a repository may have iris in its address
    first = chart.render(everything)
    other = copy.deepcopy(everything)
    other["exampleModel"]["name"] = "wine"
    second = chart.render(other, release="wine")
    assert not set(first) & set(second)
    assert len(first) == len(second) == 19
    # Nothing of the second points at the first, by name, host or label.
    assert "iris" not in yaml.safe_dump(list(second.values())).replace("/sklearn/1.0/model", "")


def test_the_contract_names_of_the_default_release(chart):
    found = chart.render()
    assert ("PrometheusRule", "ml-serving-slo-alerts") in found
    assert found["InferenceService", "sklearn-iris"]["spec"]["predictor"]["model"]["runtime"] == "kserve-sklearnserver"
    rules = found["PrometheusRule", "ml-serving-slo-alerts"]["spec"]["groups"]
    series = {rule["record"] for group in rules for rule in group["rules"] if "record" in rule}
    assert {"sli:inference_latency_p95:5m", "sli:inference_latency_p99:5m", "sli:inference_error_rate:5m"} <= series
    assert {port["port"] for port in found["Service", f"{PREDICTOR}-stable"]["spec"]["ports"]} == {80}


def test_a_chart_that_makes_other_pods_of_the_same_values_says_so(chart):
    """NOTES.txt and `diff` go by it, and people by the changelog."""
    models = ({}, {"digest": f"sha256:{'0' * 64}"}, {"runtime": "", "image": "me/mine:1"})
    made = [chart.render({"exampleModel": model})["InferenceService", "sklearn-iris"] for model in models]
    digest = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:12]
    said = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]["ml-serving/pods"]
    assert said == digest, f"write ml-serving/pods: {digest} into Chart.yaml, and into CHANGELOG.md that models restart"


def test_a_new_chart_version_changes_no_pod_template(chart, tmp_path):
    newer = tmp_path / "ml-serving"
    shutil.copytree(CHART, newer)
    manifest = newer / "Chart.yaml"
    manifest.write_text(manifest.read_text().replace("\nversion: ", "\nversion: 9"))
    before, after = chart.render(), chart.render(folder=newer)
    assert before["Rollout", PREDICTOR]["metadata"]["labels"] != after["Rollout", PREDICTOR]["metadata"]["labels"]
    assert before["InferenceService", "sklearn-iris"] == after["InferenceService", "sklearn-iris"]


def test_a_new_model_changes_the_pod_template_and_nothing_else(chart):
    before = chart.render()
    after = chart.render({"exampleModel": {"storageUri": "s3://models/sklearn-iris/v2"}})
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {("InferenceService", "sklearn-iris")}


def test_a_name_that_yaml_would_read_as_something_else_stays_a_name(chart):
    values = {"exampleModel": {"name": "on", "storageSecret": "123", "modelFormat": "1"}}
    found = chart.render(values | {"networkPolicy": {"enabled": True, "clientNamespaces": ["007"]}})
    assert found["InferenceService", "on"]["spec"]["predictor"]["model"]["modelFormat"]["name"] == "1"
    assert found["ServiceAccount", "on-predictor"]["secrets"] == [{"name": "123"}]
    assert found["Service", "on-predictor-metrics"]["metadata"]["labels"]["ml-serving/model"] == "on"
    assert found["ServiceMonitor", "on-predictor"]["spec"]["endpoints"][0]["relabelings"][1]["replacement"] == "on"
    client = found["NetworkPolicy", "on-predictor"]["spec"]["ingress"][0]["from"][1]
    assert client["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "007"}


def test_storage_credentials_reach_the_pods_by_their_service_account(chart):
    found = chart.render({"exampleModel": {"storageSecret": "models"}})
    account = found["InferenceService", "sklearn-iris"]["spec"]["predictor"]["serviceAccountName"]
    assert found["ServiceAccount", account]["secrets"] == [{"name": "models"}]


def test_steps_become_weights_and_pauses_and_the_analysis_starts_in_a_pause(chart):
    found = chart.render(
        {"canary": {"steps": [{"weight": 5, "pause": "5m"}, {"weight": 50}], "analysis": {"fromStep": 2}}}
    )
    canary = found["Rollout", PREDICTOR]["spec"]["strategy"]["canary"]
    declared = [{"setWeight": 5}, {"pause": {"duration": "5m"}}, {"setWeight": 50}, {"pause": {}}]
    assert canary["steps"][:-1] == declared
    assert canary["steps"][canary["analysis"]["startingStep"]] == {"pause": {}}


def test_the_pods_of_the_set_before_are_kept_as_long_as_asked_for(chart):
    found = chart.render({"canary": {"scaleDownDelaySeconds": 5}})
    assert found["Rollout", PREDICTOR]["spec"]["strategy"]["canary"]["scaleDownDelaySeconds"] == 5


@pytest.mark.parametrize(("window", "declared"), [({}, None), ({"rollbackWindow": 2}, {"revisions": 2})])
def test_the_way_back_is_short_only_where_it_is_asked_for(chart, window, declared):
    assert chart.render({"canary": window})["Rollout", PREDICTOR]["spec"].get("rollbackWindow") == declared


def test_the_last_step_is_a_gate_that_only_good_figures_open(chart):
    found = chart.render(KNOWN)
    last = found["Rollout", PREDICTOR]["spec"]["strategy"]["canary"]["steps"][-1]
    assert last["analysis"]["templates"] == [{"templateName": f"{PREDICTOR}-gate"}]
    requests, *judged, known = found["AnalysisTemplate", f"{PREDICTOR}-gate"]["spec"]["metrics"]
    assert [metric["name"] for metric in judged] == ["success-rate", "latency-p95", "latency-p99", "latency-increase"]
    assert (requests["name"], known["name"]) == ("requests", "known-answer")
    assert requests["count"] > requests["failureLimit"], "figures that never come abort"
    for metric in judged:
        assert metric["consecutiveSuccessLimit"] == 1
        assert metric["inconclusiveLimit"] > requests["failureLimit"], "the want of requests is what is named"


def test_a_step_with_thresholds_of_its_own_ends_with_the_gate_at_these(chart):
    steps = [{"weight": 5, "pause": "5m", "analysis": {"successRate": 0.9}}, {"weight": 50, "pause": "5m"}]
    canary = chart.render({"canary": {"steps": steps}})["Rollout", PREDICTOR]["spec"]["strategy"]["canary"]
    own, last = (step["analysis"] for step in canary["steps"] if "analysis" in step)
    assert canary["steps"].index({"analysis": own}) == 2
    assert {"name": "success-rate", "value": "0.9"} in own["args"]
    assert [argument["name"] for argument in last["args"]] == ["revision", "stable"]


def test_the_canarys_limits_come_from_the_slo(chart):
    slo = {"latency": {"p95Threshold": 0.2, "p99Threshold": 0.4}, "availability": {"target": 0.99}}
    for template in ("slo", "gate"):
        spec = chart.render({"slo": slo})["AnalysisTemplate", f"{PREDICTOR}-{template}"]["spec"]
        given = {argument["name"]: argument["value"] for argument in spec["args"] if "value" in argument}
        assert given == {"success-rate": "0.9", "latency-p95": "0.2", "latency-p99": "0.4"}


@pytest.mark.parametrize("template", ["slo", "gate"])
def test_an_empty_or_nan_result_satisfies_no_condition_of_the_prometheus_metrics(chart, template: str):
    metrics = chart.render(KNOWN)["AnalysisTemplate", f"{PREDICTOR}-{template}"]["spec"]["metrics"]
    for metric in metrics[1:-1]:
        for condition in ("successCondition", "failureCondition"):
            assert metric[condition].startswith("len(result) > 0 && !isNaN(result[0]) && ")
    for metric in metrics[:-1]:
        assert 'revision="{{args.revision}}"' in metric["provider"]["prometheus"]["query"]


def test_the_pods_run_without_privileges(chart):
    found = chart.render(KNOWN)
    predictor = found["InferenceService", "sklearn-iris"]["spec"]["predictor"]
    test = found["Pod", f"{PREDICTOR}-test"]["spec"]
    for pod, container in ((predictor, predictor["model"]), (test, test["containers"][0])):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_network_policy_lets_in_clients_prometheus_and_the_analysis_only(chart):
    values = {"networkPolicy": {"enabled": True, "clientNamespaces": ["frontend"]}}
    policy = chart.render(values | KNOWN)["NetworkPolicy", PREDICTOR]["spec"]

    def namespaces(rule):
        return [
            source["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
            for source in rule["from"]
            if "namespaceSelector" in source
        ]

    assert [(namespaces(rule), rule["ports"][0]["port"]) for rule in policy["ingress"]] == [
        (["frontend", "argo-rollouts"], 8080),
        (["monitoring"], 15020),
    ]
    silent = chart.render(values)["NetworkPolicy", PREDICTOR]["spec"]
    assert namespaces(silent["ingress"][0]) == ["frontend"], "without a known answer the analysis asks Prometheus alone"


OUTSIDE = {"virtualService": {"hosts": ["iris.example.com"], "gateways": ["istio-ingress/models"]}}


@pytest.mark.parametrize("canary", [True, False])
def test_callers_outside_the_mesh_take_the_same_route_as_those_within(chart, canary):
    features = {"features": {"canaryDeployment": canary}}
    spec = chart.render(features | OUTSIDE)["VirtualService", PREDICTOR]["spec"]
    assert spec["hosts"] == [PREDICTOR, "iris.example.com"]
    assert spec["gateways"] == ["mesh", "istio-ingress/models"], "one alone would take the mesh's callers off it"
    (route,) = spec["http"]
    services = [f"{PREDICTOR}-stable", f"{PREDICTOR}-canary"] if canary else [f"{PREDICTOR}-stable"]
    assert [each["destination"]["host"] for each in route["route"]] == services
    assert "gateways" not in chart.render()["VirtualService", PREDICTOR]["spec"]
