"""Values that are each right and together wrong: refused by their keys, and what is ordinary beside them is taken."""

import re

import pytest

from tests.harness import chart as charts
from tests.unit.conftest import ENVIRONMENTS
from tests.unit.test_chart_values import VALUES, nested

GPU = "nvidia.com/gpu"


def resources(**given):
    return {"exampleModel": {"resources": given}}


def scaled(*, target, **given):
    """Resources, and what the autoscaler aims at beside them."""
    return resources(**given) | {"autoscaling": target}


def of_gpu(part):
    return f'exampleModel.resources.{part}["{GPU}"]'


@pytest.mark.parametrize(
    ("values", "words"),
    [
        # A request above its limit, whether or not the other one is the chart's.
        (
            resources(requests={"memory": "2Gi"}),
            ["exampleModel.resources.requests.memory (2Gi) is above exampleModel.resources.limits.memory (1Gi)"],
        ),
        (resources(limits={"cpu": "50m"}), ["requests.cpu (100m) is above exampleModel.resources.limits.cpu (50m)"]),
        (resources(requests={"cpu": 2}, limits={"cpu": "1500m"}), ["requests.cpu (2) is above"]),
        (resources(requests={"memory": "1073741825"}), ["requests.memory (1073741825) is above"]),
        (resources(requests={"memory": "1.1e9"}, limits={"memory": "1G"}), ["requests.memory (1.1e+09) is above"]),
        (resources(requests={"memory": "1Ti"}, limits={"memory": "1T"}), ["requests.memory (1Ti) is above"]),
        (resources(limits={"cpu": 0}), ["requests.cpu (100m) is above exampleModel.resources.limits.cpu (0)"]),
        (
            resources(requests={"ephemeral-storage": "2G"}, limits={"ephemeral-storage": "1G"}),
            ['exampleModel.resources.requests["ephemeral-storage"] (2G) is above'],
        ),
        # A device is asked for as often as it is given.
        (resources(requests={GPU: 1}, limits={GPU: 2}), [of_gpu("requests"), of_gpu("limits"), "differ"]),
        (resources(requests={GPU: "2"}, limits={GPU: 1}), [of_gpu("requests"), of_gpu("limits"), "differ"]),
        (resources(requests={GPU: 1}), [f"{of_gpu('requests')} (1) has no limit", f"write 1 in {of_gpu('limits')}"]),
        (resources(requests={"hugepages-2Mi": "2Mi"}), ["has no limit"]),
        (resources(requests={"amd.com/gpu": 1}, limits={GPU: 1}), ['requests["amd.com/gpu"] (1) has no limit']),
        (resources(limits={GPU: "500m"}), [f"{of_gpu('limits')} (500m) is a part of a device"]),
        (resources(limits={GPU: 0.5}), [f"{of_gpu('limits')} (0.5) is a part of a device"]),
        (resources(limits={"gpu": 1}), ["exampleModel.resources.limits.gpu is no resource", "nvidia.com/gpu"]),
        # Written for the other one.
        (resources(limits={"memory": 1}), ["exampleModel.resources.limits.memory (1) is less than 1Mi"]),
        (resources(limits={"cpu": "2Gi"}), ["exampleModel.resources.limits.cpu (2Gi) is more CPUs than a node has"]),
        # Kubernetes takes it for another number.
        (
            resources(limits={"memory": "1e40"}),
            ["exampleModel.resources.limits.memory (1e+40) is more than Kubernetes can"],
        ),
        (
            resources(limits={"ephemeral-storage": "8Ei"}),
            ['exampleModel.resources.limits["ephemeral-storage"] (8Ei) is more than Kubernetes can count'],
        ),
        # A target that the limit keeps the pods below.
        (
            scaled(limits={"cpu": "500m"}, target={"cpu": "1400m"}),
            ["autoscaling.cpu (1400m) is too high for exampleModel.resources.limits.cpu (500m)"],
        ),
        (
            scaled(limits={"cpu": "500m"}, target={"cpu": "700m"}),
            ["autoscaling.cpu (700m)", "exampleModel.resources.limits.cpu (500m)"],
        ),
        ({"autoscaling": {"cpu": 2}}, ["autoscaling.cpu (2)", "exampleModel.resources.limits.cpu (1)"]),
        ({"autoscaling": {"memory": "1Gi"}}, ["autoscaling.memory (1Gi)", "exampleModel.resources.limits.memory"]),
        ({"autoscaling": {"memory": "1024000Ki"}}, ["autoscaling.memory (1024000Ki)"]),
        # A target that the pods are above at rest.
        (
            scaled(
                requests={"memory": "16Gi", GPU: 1},
                limits={"memory": "16Gi", "cpu": 4, GPU: 1},
                target={"memory": "800Mi"},
            ),
            ["autoscaling.memory (800Mi)", "exampleModel.resources.requests.memory (16Gi)", "maxReplicas"],
        ),
        (
            scaled(requests={"memory": "2Gi"}, limits={"memory": 4e9}, target={"memory": "800Mi"}),
            ["autoscaling.memory (800Mi)", "exampleModel.resources.requests.memory (2Gi)"],
        ),
        ({"autoscaling": {"memory": "100M"}}, ["autoscaling.memory (100M)", "requests.memory (256Mi)"]),
        # Nothing to make a target of.
        (
            resources(limits={"cpu": None}),
            ["autoscaling.cpu is empty", "exampleModel.resources.limits.cpu", "autoscaling.cpu to null"],
        ),
        ({"exampleModel": {"resources": None}, "autoscaling": {"cpu": 1}}, ["exampleModel.resources.limits.memory"]),
        (resources(requests={"memory": 0}, limits={"memory": "1Mi"}), ["autoscaling.memory (0Mi) is no target"]),
        # No target at all.
        ({"autoscaling": {"cpu": 0}}, ["autoscaling.cpu (0) is no target"]),
        ({"autoscaling": {"memory": "0.0Gi"}}, ["autoscaling.memory (0.0Gi) is no target", "null"]),
        (
            scaled(requests={"memory": "1Gi"}, target={"cpu": None, "requestsPerSecond": 0}),
            ["autoscaling.cpu and autoscaling.memory are left out, or empty with no room"],
        ),
        (
            {"autoscaling": {"cpu": None, "memory": None, "requestsPerSecond": 0}},
            ["autoscaling.cpu and autoscaling.memory are left out", "features.autoscaling"],
        ),
        (
            {"features": {"sloMonitoring": False}, "autoscaling": {"cpu": None, "memory": None}},
            ["autoscaling.cpu and autoscaling.memory are left out", "features.sloMonitoring"],
        ),
    ],
)
def test_what_kubernetes_or_the_autoscaler_cannot_use_is_refused_by_key(chart, values, words):
    message = chart.refusal(values)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("limits", {"memory": -1}),
        ("limits", {"memory": "1Gb"}),
        ("requests", {"cpu": "-100m"}),
        ("requests", {GPU: None}),
    ],
)
def test_what_is_no_quantity_is_refused_by_key(chart, path, value):
    (name,) = value
    assert f"/exampleModel/resources/{path}/{name.replace('/', '~1')}" in chart.refusal(resources(**{path: value}))


@pytest.mark.parametrize(
    "values",
    [
        # The same amount, written in two ways.
        resources(requests={"memory": 1073741824, "cpu": "1000m"}),
        resources(requests={"cpu": "0.1e1", "memory": "1048576Ki"}),
        resources(requests={"cpu": "1100u"}, limits={"cpu": "1"}),
        resources(requests={"ephemeral-storage": "1.5Gi"}, limits={"ephemeral-storage": 1610612736}),
        # As quantities may be written.
        resources(requests={"memory": "1e8"}, limits={"memory": "1.E"}),
        resources(requests={"cpu": ".5"}, limits={"cpu": 1.5}),
        # A device by its limit alone, in both, or none; a resource of Kubernetes' own name may be promised twice.
        resources(limits={GPU: 1}),
        resources(requests={GPU: "1"}, limits={GPU: 1}),
        resources(requests={GPU: 0}, limits={GPU: 0}),
        resources(requests={"kubernetes.io/batch-cpu": 1000}, limits={"kubernetes.io/batch-cpu": 2000}),
        # No limit, no request, neither.
        scaled(requests={"cpu": 2}, limits={"cpu": None}, target={"cpu": 1}),
        resources(requests={"cpu": None}),
        {"exampleModel": {"resources": None}, "autoscaling": {"cpu": 1, "memory": None}},
        # Targets with room above and below.
        scaled(limits={"cpu": "500m"}, target={"cpu": "450m"}),
        scaled(requests={"memory": "16Gi"}, limits={"memory": "20Gi"}, target={"memory": "14Gi"}),
        scaled(requests={"memory": "1600Mi"}, limits={"memory": "2Gi"}, target={"memory": "800Mi"}),
        resources(requests={"cpu": 8}, limits={"cpu": 8}),
        scaled(requests={"memory": "16Gi"}, limits={"memory": "16Gi"}, target={"memory": None}),
        scaled(limits={"cpu": None}, target={"cpu": 20}),
        # Targets that follow the limits.
        resources(limits={"cpu": "500m"}),
        resources(requests={"memory": "16Gi", GPU: 1}, limits={"memory": "16Gi", "cpu": 4, GPU: 1}),
        # Nothing is scaled, or nothing is there.
        {"features": {"autoscaling": False}, **resources(limits={"cpu": None})},
        {"features": {"autoscaling": False}, **scaled(limits={"cpu": "500m"}, target={"cpu": 0})},
        {"exampleModel": {"enabled": False, "resources": {"requests": {"memory": "2Gi"}}}},
    ],
)
def test_amounts_that_agree_are_taken(chart, values):
    chart.render(values)


@pytest.mark.parametrize(
    ("cpu", "rendered"),
    [(0.5, "0.5"), (1.25, "1.25"), (0.1, "0.1"), (2, 2), (2.0, 2), ("0.5", "0.5"), ("500m", "500m")],
)
def test_a_part_of_a_cpu_is_text_to_kserves_crd(chart, cpu, rendered):
    given = {"requests": {"cpu": 0.05}, "limits": {"cpu": cpu, "memory": "1Gi"}}
    found = chart.render(resources(**given))["InferenceService", "sklearn-iris"]["spec"]["predictor"]["model"][
        "resources"
    ]
    assert found["requests"]["cpu"] == "0.05"
    assert found["limits"] == {"cpu": rendered, "memory": "1Gi"}


def scaler_of(chart, values, **options):
    return chart.render(values, **options)["HorizontalPodAutoscaler", "sklearn-iris-predictor-hpa"]["spec"]


@pytest.mark.parametrize(
    ("scaling", "metrics"),
    [
        ({}, ["cpu", "memory", "inference_requests_per_second"]),
        ({"memory": None}, ["cpu", "inference_requests_per_second"]),
        ({"cpu": None, "requestsPerSecond": 0}, ["memory"]),
        ({"cpu": None, "memory": None}, ["inference_requests_per_second"]),
        # A language model answers less than one a second.
        ({"cpu": None, "memory": None, "requestsPerSecond": 0.5}, ["inference_requests_per_second"]),
    ],
)
def test_null_leaves_a_metric_of_the_autoscaler_out(chart, scaling, metrics):
    scaler = scaler_of(chart, {"autoscaling": scaling})
    named = [each.get("containerResource") or each["pods"]["metric"] for each in scaler["metrics"]]
    assert [each["name"] for each in named] == metrics


@pytest.mark.parametrize(
    ("given", "targets"),
    [
        ({}, ["700m", "800Mi"]),
        ({"limits": {"cpu": "2", "memory": "2Gi"}}, ["1400m", "1600Mi"]),
        ({"limits": {"cpu": 16, "memory": "16Gi", GPU: 1}}, ["11200m", "12800Mi"]),
        ({"limits": {"cpu": "150m", "memory": "1G"}}, ["105m", "745Mi"]),
        ({"limits": {"memory": 1.6e12}}, ["700m", "1192092Mi"]),
        ({"requests": None}, ["700m", "800Mi"]),
        ({"requests": {"memory": "400Mi"}}, ["700m", "800Mi"]),
        # At rest a pod would use so much of a target that no pod would ever be taken away.
        ({"requests": {"memory": "401Mi"}}, ["700m"]),
        ({"requests": {"memory": "16Gi"}, "limits": {"cpu": 4, "memory": "16Gi", GPU: 1}}, ["2800m"]),
    ],
)
def test_the_autoscalers_targets_follow_the_resources(chart, given, targets):
    metrics = [each.get("containerResource") for each in scaler_of(chart, resources(**given))["metrics"]]
    assert [each["target"]["averageValue"] for each in metrics if each] == targets


@pytest.mark.parametrize(
    ("scaling", "canary", "version", "tolerance"),
    [
        ({}, True, "1.37.0", "500m"),
        ({"cpu": None}, True, "v1.35.2-eks-1de2ab1", "500m"),
        ({"memory": None}, True, "1.36.1", "500m"),
        # What comes with the traffic alone does not grow with the pods.
        ({"cpu": None, "memory": None}, True, "1.37.0", None),
        ({}, False, "1.37.0", None),
        # An API server that does not know the field refuses it, or drops it without a word.
        ({}, True, "1.34.9", None),
    ],
)
def test_half_of_a_target_takes_no_pod_away_where_a_canary_doubles_the_pods(chart, scaling, canary, version, tolerance):
    values = {"autoscaling": scaling, "features": {"canaryDeployment": canary}}
    assert scaler_of(chart, values, kubernetes=version)["behavior"]["scaleDown"].get("tolerance") == tolerance


def loading(seconds, deadline, **features):
    """Seconds that a model may take to load, and those that a canary may take."""
    return {
        "exampleModel": {"probes": {"startupSeconds": seconds}},
        "canary": {"progressDeadlineSeconds": deadline},
        "features": features,
    }


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (loading(300, 180), ["exampleModel.probes.startupSeconds (300)", "canary.progressDeadlineSeconds (180)"]),
        (loading(600, 600), ["exampleModel.probes.startupSeconds (600)", "canary.progressDeadlineSeconds (600)"]),
        ({"exampleModel": {"probes": {"startupSeconds": 1800}}}, ["startupSeconds (1800)", "(600)"]),
        ({"canary": {"progressDeadlineSeconds": 120}}, ["startupSeconds (300)", "progressDeadlineSeconds (120)"]),
    ],
)
def test_a_model_that_may_load_longer_than_its_canary_may_take_is_refused_by_key(chart, values, words):
    message = chart.refusal(values)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    "values",
    [
        loading(150, 180),
        loading(1800, 3600),
        loading(1800, 600, canaryDeployment=False),
        loading(300, 180, kserve=False),
    ],
)
def test_a_model_that_is_loaded_within_the_deadline_is_taken(chart, values):
    chart.render(values)


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_a_model_of_an_environment_is_loaded_within_its_deadline(chart, env):
    found = chart.render(env=env)
    model = found["InferenceService", "sklearn-iris"]["spec"]["predictor"]["model"]
    deadline = found["Rollout", "sklearn-iris-predictor"]["spec"]["progressDeadlineSeconds"]
    assert model["startupProbe"]["failureThreshold"] * model["startupProbe"]["periodSeconds"] < deadline


def budget(most, **more):
    return {"podDisruptionBudget": {"maxUnavailable": most, **more}}


def scraped(interval, window="10m", **features):
    return {
        "monitoring": {"scrapeInterval": interval},
        "canary": {"analysis": {"window": window}},
        "features": features,
    }


def aimed(target, **features):
    """An SLO, and a canary that may spend its budget no faster than that."""
    return {
        "slo": {"availability": {"target": target}},
        "canary": {"analysis": {"errorBudgetBurn": 1}},
        "features": features,
    }


@pytest.mark.parametrize(
    ("values", "words"),
    [
        *((budget(most), [f"podDisruptionBudget.maxUnavailable ({most})", "drained"]) for most in (0, "0%", "00%")),
        (budget("101%"), ["podDisruptionBudget.maxUnavailable (101%) is above 100%"]),
        *(
            (scraped(interval), [f"monitoring.scrapeInterval ({interval})", "two scrapes in the 5 minutes"])
            for interval in ("5m", "151s", "3m", "1h")
        ),
        (scraped("5m", canaryDeployment=False), ["monitoring.scrapeInterval (5m)"]),
        *(
            (aimed(target), [f"slo.availability.target ({target})", "14.4", "0.9306"])
            for target in (0.9, 0.5, 0.93, "0.80")
        ),
        (aimed(0.9, canaryDeployment=False), ["slo.availability.target (0.9)"]),
        *(
            (
                {"monitoring": {"alerts": {"labels": {name: "x"}}}},
                [f"monitoring.alerts.labels.{name}: alerts have this label already"],
            )
            for name in ("severity", "pod", "instance", "alertname", "phase")
        ),
        (
            {"monitoring": {"alerts": {"labels": {"team": "{{ $labels.pod"}}}},
            ["monitoring.alerts.labels.team ({{ $labels.pod) is a template to Prometheus"],
        ),
    ],
)
def test_a_budget_or_alert_that_can_never_be_met_is_refused_by_key(chart, values, words):
    message = chart.refusal(values)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    "values",
    [
        *(budget(most) for most in (1, 3, "1%", "100%")),
        budget(0, enabled=False),
        scraped("150s"),
        scraped("2m", "5m"),
        scraped("5m", sloMonitoring=False),
        aimed(0.931),
        aimed("0.95"),
        aimed(0.9, sloMonitoring=False),
        {"exampleModel": {"enabled": False}, **budget(0)},
    ],
)
def test_a_budget_or_alert_that_can_be_met_is_taken(chart, values):
    chart.render(values)


def named(length):
    return {"exampleModel": {"name": "i" * length}}


@pytest.mark.parametrize(
    ("length", "namespace"), [(35, "ml-serving-staging"), (45, "ml-serving"), (2, "n" * 51), (43, "acme-score")]
)
def test_a_name_that_kserve_cannot_make_a_host_of_is_refused_by_key(chart, length, namespace):
    message = chart.refusal(named(length), namespace=namespace)
    for word in (f"exampleModel.name ({'i' * length})", f"namespace {namespace}", str(length + len(namespace) + 11)):
        assert word in message, message


@pytest.mark.parametrize(
    ("length", "namespace"), [(35, "ml-serving-dev"), (34, "ml-serving-staging"), (45, "default"), (1, "n" * 51)]
)
def test_a_name_as_long_as_kserve_takes_it_is_taken(chart, length, namespace):
    chart.render(named(length), namespace=namespace)


@pytest.mark.parametrize(
    "address",
    ["http://{{args.prometheus}}:9090", "https://prometheus.example.com/{{ tenant }}", "http://a.b/{{", "http://{a}"],
)
def test_an_address_that_argo_rollouts_would_fill_in_is_refused_by_key(chart, address):
    assert "/monitoring/prometheusAddress" in chart.refusal({"monitoring": {"prometheusAddress": address}})


@pytest.mark.parametrize("address", ["http://a.b:9090", "https://mimir.example.com/prometheus?x=%7B%7B&y=[1]"])
def test_an_address_without_braces_is_taken(chart, address):
    chart.render({"monitoring": {"prometheusAddress": address}})


@pytest.mark.parametrize(
    ("version", "label"),
    [
        (f"1.2.3-{'a' * 80}", f"ml-serving-1.2.3-{'a' * 46}"),
        (f"1.2.3-{'a' * 41}.1-x+{'f' * 40}", f"ml-serving-1.2.3-{'a' * 41}.1-x"),
        (f"1.2.3-{'a' * 45}.1", f"ml-serving-1.2.3-{'a' * 45}"),
        ("1.2.3-rc.1+build.5", "ml-serving-1.2.3-rc.1_build.5"),
    ],
)
def test_a_version_becomes_a_label_whatever_its_length(chart, tmp_path, version, label):
    folder = tmp_path / "ml-serving"
    charts.copy(folder)
    manifest = folder / "Chart.yaml"
    manifest.write_text(re.sub("^version: .+", f"version: {version}", manifest.read_text(), flags=re.MULTILINE))
    found = chart.render(folder=folder)
    labels = {each["metadata"]["labels"].get("helm.sh/chart") for each in found.values()}
    assert labels == {label, None}  # the InferenceService has none


ROW = [5.1, 3.5, 1.4, 0.2]


def v1(rows, at, expected, key="instances", **model):
    known = {"protocol": "v1", "request": {key: [ROW] * rows}, "at": at, "expected": expected}
    return {"exampleModel": {"knownAnswer": known, **model}}


def asking(*instances):
    return {"protocol": "v1", "request": {"instances": list(instances)}, "at": "$.predictions"}


def v2(rows, at, expected, **model):
    tensor = {"name": "x", "shape": [rows, 4], "datatype": "FP64", "data": ROW * rows}
    known = {"protocol": "v2", "request": {"inputs": [tensor]}, "at": at, "expected": expected}
    return {"exampleModel": {"knownAnswer": known, **model}}


KNOWN = "exampleModel.knownAnswer"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (v1(2, "$.predictions", [0]), [f"{KNOWN}.expected (answers: 1)", f"{KNOWN}.request (questions: 2)"]),
        (v1(1, "$.predictions", [0, 1]), [f"{KNOWN}.expected (answers: 2)", f"{KNOWN}.request (questions: 1)"]),
        (v1(3, "$.predictions", [0, 1], key="inputs"), [f"{KNOWN}.request (questions: 3)"]),
        (v1(2, "$['predictions']", [0] * 3, runtime="kserve-lgbserver", modelFormat="lightgbm"), ["(answers: 3)"]),
        (v1(2, "$.predictions", 0), [f"{KNOWN}.expected is one value", f"{KNOWN}.at $.predictions[0]"]),
        (v1(2, "$.predictions[2]", 0), [f"{KNOWN}.at ($.predictions[2]) is beyond", f"{KNOWN}.request (questions: 2)"]),
        (v1(1, "$.predictions[1].label", "a"), [f"{KNOWN}.at ($.predictions[1].label) is beyond"]),
        (v2(2, "$.outputs[0].data", [0, 1, 2]), [f"{KNOWN}.expected (answers: 3)", "(questions: 2)"]),
        (v2(3, "$.outputs[0].data", [0]), [f"{KNOWN}.expected (answers: 1)", "(questions: 3)"]),
        (v2(1, "$.outputs[0].data", 0), [f"{KNOWN}.expected is one value", "$.outputs[0].data[0]"]),
    ],
)
def test_a_known_answer_with_more_or_fewer_answers_than_questions_is_refused_by_key(chart, values, words):
    message = chart.refusal(values)
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    "values",
    [
        v1(2, "$.predictions", [0, 1]),
        v1(2, "$.predictions[1]", 0),
        v1(2, "$.predictions[1]", [0.1, 0.2, 0.7]),
        v1(1, "$.meta", "iris"),
        v1(1, "$", 0),
        v2(2, "$.outputs[0].data", [0, 1]),
        # The probability of each of three classes.
        v2(2, "$.outputs[0].data", [0.1, 0.2, 0.7, 0.8, 0.1, 0.1]),
        v2(1, "$.outputs[0].data[2]", 0.7),
        v2(1, "$.outputs[0].shape", [1, 3]),
        # An object may hold many rows, and what is no question at all is the server's to refuse.
        {"exampleModel": {"knownAnswer": {**asking({"a": [1, 2]}, {"a": [3]}), "expected": [0, 1, 1]}}},
        {"exampleModel": {"knownAnswer": {**asking(), "request": {"instances": 7}, "expected": [0]}}},
        v2(1, "$.outputs[0].data", [0, 1]) | {"features": {"canaryDeployment": False}},
        # Another server may well make one answer of many questions, and many of one.
        v1(1, "$.predictions", [0.1, 0.9], runtime="", image="me/mine:1"),
        v1(2, "$.predictions", 0.5, runtime="triton"),
        v2(4, "$.outputs[0].data", [0.5], runtime="triton"),
    ],
)
def test_a_known_answer_with_an_answer_to_each_question_is_taken(chart, values):
    chart.render(values)


def keys(values, path=""):
    """Yield every key of the chart's values, sections and what is below them."""
    for key, value in values.items():
        here = f"{path}.{key}".lstrip(".")
        yield here
        if isinstance(value, dict):
            yield from keys(value, here)


def holes(value):
    """Yield what is left of a value that was not there, in what is rendered."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from holes(each)
    elif value is None or (isinstance(value, str) and ("<nil>" in value or "%!" in value)):
        yield value


@pytest.mark.parametrize("path", sorted(keys(VALUES)))
def test_null_leaves_a_value_out_or_is_refused_by_its_key(chart, path):
    values = nested(path, None)
    result = chart.template(values)
    section, _, key = path.rpartition(".")
    if path.startswith("exampleModel.resources") and result.returncode:
        assert re.search(r"autoscaling\.\w+ is empty, and so is exampleModel\.resources\.limits\.", result.stderr)
    elif result.returncode:
        assert f"at '{section and '/'}{section.replace('.', '/')}': missing property '{key}'" in result.stderr
    else:
        assert not list(holes(list(chart.render(values).values())))


@pytest.mark.parametrize(
    "path",
    [
        "autoscaling.memory",
        "exampleModel.replicas",
        "exampleModel.resources.requests.cpu",
        "exampleModel.podSecurityContext.runAsUser",
        "exampleModel.podSecurityContext",
        "exampleModel.topologySpread",
        "monitoring.labels",
        "monitoring.labels.release",
        "monitoring.dashboards.labels.grafana_dashboard",
    ],
)
def test_null_is_how_a_value_of_the_chart_is_left_out(chart, path):
    chart.render(nested(path, None))


def test_a_null_that_helm_keeps_leaves_out_as_well(chart, tmp_path):
    """Where the chart has no value for it, which `helm upgrade --reuse-values` has removed the time before."""
    folder = tmp_path / "ml-serving"
    charts.copy(folder)
    text = (folder / "values.yaml").read_text()
    (folder / "values.yaml").write_text(re.sub(r'^  (cpu: ""|memory: ""|replicas: 1)\n', "", text, flags=re.MULTILINE))
    found = scaler_of(chart, {"autoscaling": {"cpu": None, "memory": None}}, folder=folder)
    assert [each["type"] for each in found["metrics"]] == ["Pods"]
    own = {"features": {"autoscaling": False}, "exampleModel": {"replicas": None}}
    assert "replicas" not in chart.render(own, folder=folder)["Rollout", "sklearn-iris-predictor"]["spec"]


def test_a_prometheus_that_selects_all_needs_no_label(chart):
    found = chart.render({"monitoring": {"labels": {"release": None}}})
    labels = found["ServiceMonitor", "sklearn-iris-predictor"]["metadata"]["labels"]
    assert "app.kubernetes.io/instance" in labels
    assert "release" not in labels


@pytest.mark.parametrize(
    "host",
    [
        "*.svc.cluster.local",
        "other-predictor.acme-live.svc.cluster.local",
        "*.acme-live.svc.corp.internal",
        "x.y.svc",
        "other-predictor.apps",
    ],
)
def test_a_model_takes_no_name_of_the_clusters_own(chart, host):
    own = {"virtualService": {"hosts": ["iris.example.com", host], "gateways": ["istio-ingress/models"]}}
    message = chart.refusal(own, namespace="apps")
    assert f"virtualService.hosts[1] ({host}) is a name of the cluster's own" in message
    assert "virtualService.gateways" in message


@pytest.mark.parametrize(("written", "empty"), [("hosts", "gateways"), ("gateways", "hosts")])
def test_callers_outside_the_mesh_need_a_gateway_and_a_name(chart, written, empty):
    given = {"hosts": ["iris.example.com"], "gateways": ["istio-ingress/models"]}
    message = chart.refusal({"virtualService": {written: given[written]}})
    assert f"virtualService.{written} ({given[written][0]})" in message
    assert f"virtualService.{empty} is empty" in message


def run_as(pod, container=None):
    return {"exampleModel": {"podSecurityContext": pod, "securityContext": container or {}}}


POD, CONTAINER = "exampleModel.podSecurityContext", "exampleModel.securityContext"


@pytest.mark.parametrize(
    ("values", "user", "keeps"),
    [
        (run_as({"runAsUser": 0}), POD, POD),
        (run_as({}, {"runAsUser": 0}), CONTAINER, POD),
        (run_as({"runAsUser": 0, "runAsNonRoot": False}, {"runAsNonRoot": True}), POD, CONTAINER),
        (run_as({"runAsNonRoot": False}, {"runAsUser": 0, "runAsNonRoot": True}), CONTAINER, CONTAINER),
    ],
)
def test_a_user_that_the_kubelet_starts_nothing_as_is_refused_by_key(chart, values, user, keeps):
    assert f"{user}.runAsUser is 0, root, and {keeps}.runAsNonRoot keeps root from starting" in chart.refusal(values)


@pytest.mark.parametrize(
    "values",
    [
        run_as({"runAsUser": 0, "runAsNonRoot": False}),
        run_as({"runAsUser": 0, "runAsNonRoot": None}),
        run_as({"runAsUser": 0}, {"runAsUser": 1000}),
        run_as({"runAsUser": 0}, {"runAsNonRoot": False}),
        run_as({"runAsUser": None}),
        run_as({"runAsUser": 1000660000, "fsGroup": 1000660000, "runAsGroup": 0}),
    ],
)
def test_a_user_that_may_run_is_taken(chart, values):
    chart.render(values)


REPOSITORY = "registry.example.com:5000/ml/fraud-score"
PINNED = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    "image",
    [
        f"{REPOSITORY}:v1:v0.20.0",
        f"{REPOSITORY}/:v1",
        f"{REPOSITORY}:",
        f"{REPOSITORY}:v1\u200b",
        f"https://{REPOSITORY}:v1",
        "docker.io/ML/fraud:v1",
        f"{REPOSITORY}:v1@sha256:0a0a",
        f"{REPOSITORY}:v1@{PINNED.upper()}",
        f"{REPOSITORY}:v1@{'0a' * 32}",
    ],
)
def test_an_image_that_no_container_starts_of_is_refused_by_key(chart, image):
    assert f"exampleModel.image ({image}) is no image's reference" in chart.refusal({"exampleModel": {"image": image}})


@pytest.mark.parametrize(
    "image",
    [
        "fraud",
        "ml/fraud_score__2:V1.2_x",
        f"{REPOSITORY}:v1@{PINNED}",
        f"{REPOSITORY}@{PINNED}",
        "localhost:5001/a--b:1",
        "[2001:db8::1]:5000/fraud:1",
        "123456789012.dkr.ecr.eu-central-1.amazonaws.com/ml/xgbserver:v0.20.0",
    ],
)
def test_an_image_by_any_reference_is_taken(chart, image):
    chart.render({"exampleModel": {"image": image}})


def latency(p95, p99):
    return {"slo": {"latency": {"p95Threshold": p95, "p99Threshold": p99}}}


@pytest.mark.parametrize(("p95", "p99", "key"), [(4000, 7200, "p95"), (60, 3600, "p99"), ("1800", "3600.5", "p99")])
def test_a_latency_that_no_request_is_seen_to_exceed_is_refused_by_key(chart, p95, p99, key):
    assert f"slo.latency.{key}Threshold" in chart.refusal(latency(p95, p99))


@pytest.mark.parametrize(("p95", "p99"), [(120, 300), (1800, 3599), ("0.001", 0.002)])
def test_a_latency_of_any_server_is_taken(chart, p95, p99):
    chart.render(latency(p95, p99))
    chart.render(latency(4000, 7200) | {"features": {"sloMonitoring": False}})


@pytest.mark.parametrize(("medium", "taken"), [("memory", "Memory"), ("RAM", ""), ("hugepages", "HugePages-2Mi")])
def test_a_volume_of_a_medium_that_there_is_not_is_refused_by_key(chart, medium, taken):
    def values(name):
        return {"exampleModel": {"predictor": {"volumes": [{"name": "shm", "emptyDir": {"medium": name}}]}}}

    assert f"exampleModel.predictor.volumes[0].emptyDir.medium ({medium})" in chart.refusal(values(medium))
    chart.render(values(taken))


FROM_SECRET = {"secretKeyRef": {"name": "hub", "key": "token"}}


def test_a_variable_has_its_value_from_one_place(chart):
    both = [{"name": "A", "value": "1"}, {"name": "TOKEN", "value": "x", "valueFrom": FROM_SECRET}]
    said = "exampleModel.env[1] (TOKEN) has value and valueFrom"
    assert said in chart.refusal({"exampleModel": {"env": both}})
    for given in ({"value": ""}, {"valueFrom": FROM_SECRET}, {}):
        chart.render({"exampleModel": {"env": [{"name": "TOKEN", **given}]}})
