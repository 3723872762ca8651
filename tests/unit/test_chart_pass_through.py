"""KServe's own fields below the chart's: what passes as it is, and what is refused for it has a key of its own."""

import re
import subprocess

import pytest

from ci.checks import schema, tools
from ci.manifests import manifests, series
from tests.harness import project as projects
from tests.unit.test_chart_values import nested

PREDICTOR = "sklearn-iris-predictor"
SECOND = [{"name": "tokens", "image": "me/tokens:1"}]
TRANSFORMER = [{"name": "transformer-container", "image": "me/front:1", "ports": [{"containerPort": 9000}]}]
OUTSIDE = {"sidecar.istio.io/inject": "false"}
OFF = {"canaryDeployment": False, "sloMonitoring": False}


def predictor(chart, **model):
    return chart.render({"exampleModel": model})["InferenceService", "sklearn-iris"]["spec"]["predictor"]


def test_fields_of_the_predictor_reach_kserve_beside_the_charts(chart):
    own = {
        "volumes": [{"name": "cache", "emptyDir": {}}],
        "initContainers": SECOND,
        "containers": SECOND,
        "priorityClassName": "high",
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["store"]}],
    }
    spec = predictor(chart, predictor=own)
    assert {key: spec[key] for key in own if key != "volumes"} == {key: own[key] for key in own if key != "volumes"}
    assert spec["volumes"] == [{"name": "tmp", "emptyDir": {}}, *own["volumes"]]
    assert spec["model"]["storageUri"]


@pytest.mark.parametrize(
    "nothing",
    [
        {"exampleModel": {"predictor": dict.fromkeys(["hostAliases", "priorityClassName", "logger", "volumes"])}},
        {"exampleModel": {"predictor": dict.fromkeys(["containers", "initContainers", "serviceAccountName"])}},
        {"exampleModel": {"model": dict.fromkeys(["envFrom", "workingDir", "ports", "volumeMounts", "livenessProbe"])}},
        {"exampleModel": {"model": {"lifecycle": {"postStart": None}, "readinessProbe": {"grpc": None, "exec": None}}}},
        {"exampleModel": {"model": {"modelFormat": {"version": None}}}},
        {"exampleModel": {"predictor": None, "model": None}},
        {"monitoring": {"endpoint": {"params": None, "relabelings": None, "metricRelabelings": None}}},
        {"canary": {"analysis": {"prometheus": {"headers": None}}}},
    ],
)
def test_null_is_as_if_it_were_not_there(chart, nothing):
    assert chart.render(nothing) == chart.render({})


def test_null_within_a_list_or_a_field_is_as_if_it_were_not_there(chart):
    own = {
        "volumes": [{"name": "cache", "emptyDir": None, "projected": {"sources": [], "defaultMode": None}}],
        "batcher": {"maxBatchSize": 8, "timeout": None},
    }
    spec = predictor(chart, predictor=own)
    assert spec["volumes"][1] == {"name": "cache", "projected": {"sources": []}}
    assert spec["batcher"] == {"maxBatchSize": 8}


def test_a_container_of_ones_own_comes_before_those_beside_it(chart):
    spec = predictor(chart, runtime="", image="me/mine:1", storageUri="", predictor={"containers": SECOND})
    assert [each["name"] for each in spec["containers"]] == ["kserve-container", "tokens"]


def test_fields_of_the_model_reach_its_container_beside_the_charts(chart):
    own = {
        "envFrom": [{"secretRef": {"name": "keys"}}],
        "workingDir": "/srv",
        "ports": [{"name": "grpc", "containerPort": 9000}],
        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
        "lifecycle": {"postStart": {"exec": {"command": ["warm"]}}},
        "modelFormat": {"version": "1"},
    }
    model = predictor(chart, model=own)["model"]
    assert (model["envFrom"], model["workingDir"]) == (own["envFrom"], "/srv")
    assert [each["containerPort"] for each in model["ports"]] == [8080, 9000]
    assert [each["mountPath"] for each in model["volumeMounts"]] == ["/tmp", "/cache"]
    assert model["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}, **own["lifecycle"]}
    assert model["modelFormat"] == {"name": "sklearn", "version": "1"}


def test_a_probe_asks_in_another_way_or_adds_to_the_charts(chart):
    grpc = {"grpc": {"port": 9000}, "timeoutSeconds": 9}
    model = predictor(chart, model={"readinessProbe": grpc, "livenessProbe": {"failureThreshold": 9}})["model"]
    assert model["readinessProbe"] == {**grpc, "periodSeconds": 2}
    assert model["livenessProbe"]["httpGet"] == {"path": "/v2/health/live", "port": 8080}
    assert (model["livenessProbe"]["failureThreshold"], model["livenessProbe"]["timeoutSeconds"]) == (9, 5)


def test_what_a_key_of_the_charts_holds_is_kubernetes_whole(chart):
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 2}
    spec = predictor(
        chart,
        topologySpread=[spread],
        securityContext={"appArmorProfile": {"type": "RuntimeDefault"}},
        podSecurityContext={"sysctls": [{"name": "net.core.somaxconn", "value": "1024"}]},
        resources={"claims": [{"name": "gpu"}]},
        protocolVersion="grpc-v2",
    )
    assert spec["topologySpreadConstraints"] == [
        {**spread, "labelSelector": {"matchLabels": {"app": f"isvc.{PREDICTOR}"}}}
    ]
    assert spec["securityContext"]["sysctls"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["model"]["securityContext"]["appArmorProfile"] == {"type": "RuntimeDefault"}
    assert (spec["model"]["resources"]["claims"], spec["model"]["protocolVersion"]) == ([{"name": "gpu"}], "grpc-v2")


def test_an_account_that_is_there_takes_the_place_of_the_releases(chart):
    found = chart.render({"exampleModel": {"predictor": {"serviceAccountName": "models"}}})
    assert found["InferenceService", "sklearn-iris"]["spec"]["predictor"]["serviceAccountName"] == "models"
    assert not [name for kind, name in found if kind == "ServiceAccount"]
    number = predictor(chart, predictor={"serviceAccountName": "123"})
    assert number["serviceAccountName"] == "123", "YAML would take it for a number"
    taken_back = chart.render({"exampleModel": {"predictor": {"serviceAccountName": ""}, "storageSecret": "keys"}})
    assert taken_back["ServiceAccount", PREDICTOR]["secrets"] == [{"name": "keys"}]


@pytest.mark.parametrize(
    ("own", "port"),
    [
        ({}, 8080),
        ({"containers": TRANSFORMER}, 9000),
        ({"containers": [{"name": "transformer-container", "image": "me/front:1"}]}, 8080),
        ({"batcher": {"maxBatchSize": 8}, "logger": None}, 9081),
        ({"batcher": None, "logger": None}, 8080),
        ({"logger": {"mode": "all"}, "containers": TRANSFORMER}, 9081),
    ],
    ids=["server", "transformer", "silent transformer", "batcher", "neither", "logger"],
)
def test_requests_and_figures_enter_a_pod_where_kserve_has_them_enter(chart, own, port):
    serves = 8085 if "containers" in own else 8080
    values = {"exampleModel": {"predictor": own, "port": serves}, "networkPolicy": {"enabled": True}}
    found = chart.render(values)
    for role in ("stable", "canary"):
        assert found["Service", f"{PREDICTOR}-{role}"]["spec"]["ports"][0]["targetPort"] == port
    assert found["NetworkPolicy", PREDICTOR]["spec"]["ingress"][0]["ports"][0]["port"] == port
    rules = found["ServiceMonitor", PREDICTOR]["spec"]["endpoints"][0]["metricRelabelings"]
    assert all(rf"inbound\|{port}\|\|" in rule["regex"] for rule in rules if "inbound" in rule["regex"])
    model = found["InferenceService", "sklearn-iris"]["spec"]["predictor"]["model"]
    assert model["ports"][0]["containerPort"] == model["livenessProbe"]["httpGet"]["port"] == serves


def test_pods_leave_the_mesh_only_where_nothing_needs_it(chart):
    assert predictor(chart)["labels"] == {"sidecar.istio.io/inject": "true"}
    chart.render({"exampleModel": {"podLabels": {"istio.io/rev": "canary", "istio.io/dataplane-mode": "none"}}})
    own = {"exampleModel": {"podLabels": {**OUTSIDE, "team": "a"}}}
    labels = chart.render({"features": OFF, **own})["InferenceService", "sklearn-iris"]["spec"]["predictor"]["labels"]
    assert labels == {**OUTSIDE, "team": "a"}
    for feature in OFF:
        ambient = {"exampleModel": {"labels": {"istio.io/dataplane-mode": "ambient"}}}
        for values, key in (
            (own, 'exampleModel.podLabels["sidecar.istio.io/inject"] (false)'),
            (ambient, 'exampleModel.labels["istio.io/dataplane-mode"] (ambient)'),
        ):
            said = chart.refusal({"features": {**OFF, feature: True}, **values})
            assert f"{key} takes the pods out of the proxies' mesh, which features.{feature} needs" in said

    host = {"exampleModel": {"predictor": {"hostNetwork": True}}}
    chart.render({"features": OFF, **host})
    assert "exampleModel.predictor.hostNetwork (true) takes the pods out of the proxies' mesh" in chart.refusal(host)


@pytest.mark.parametrize(("way", "kind"), [("httpGet", "readiness"), ("tcpSocket", "liveness"), ("httpGet", "startup")])
def test_a_probe_asks_a_port_by_a_name_that_there_is(chart, way, kind):
    def values(port):
        probe = {f"{kind}Probe": {way: {"port": port}}}
        return {"exampleModel": {"model": {"ports": [{"name": "grpc", "containerPort": 9000}], **probe}}}

    said = f"exampleModel.model.{kind}Probe.{way}.port (metrics) is the name of no port of this container"
    assert said in chart.refusal(values("metrics"))
    for port in ("http", "grpc", 9000):
        chart.render(values(port))


INBOUND = "traffic.sidecar.istio.io/{}InboundPorts"


@pytest.mark.parametrize(
    ("key", "value", "taken"),
    [
        (INBOUND.format("exclude"), "8080", "9000"),
        (INBOUND.format("exclude"), "9000, 8080", ""),
        (INBOUND.format("include"), "", "*"),
        (INBOUND.format("include"), "9000", "9000,8080"),
        ("sidecar.istio.io/interceptionMode", "NONE", "TPROXY"),
    ],
)
def test_requests_enter_by_the_proxy_where_it_counts_them(chart, key, value, taken):
    for name in ("annotations", "podAnnotations"):
        said = chart.refusal({"exampleModel": {name: {key: value}}})
        assert f'exampleModel.{name}["{key}"] ({value}) takes requests to port 8080 past the proxy' in said
        chart.render({"exampleModel": {name: {key: taken}}})
        chart.render({"features": {"sloMonitoring": False}, "exampleModel": {name: {key: value}}})


def test_the_proxy_is_among_what_istio_puts_into_the_pods(chart):
    key = "inject.istio.io/templates"
    said = chart.refusal({"exampleModel": {"podAnnotations": {key: "gateway"}}})
    assert f'exampleModel.podAnnotations["{key}"] (gateway) takes the pods out of the proxies\' mesh' in said
    chart.render({"exampleModel": {"podAnnotations": {key: "sidecar, custom"}}})
    chart.render({"features": OFF, "exampleModel": {"podAnnotations": {key: "gateway"}}})


def mount(path):
    return [{"name": "cache", "mountPath": path}]


def beside(name, **fields):
    return [{"name": name, "image": "me/evil:1", **fields}]


@pytest.mark.parametrize(
    ("path", "value", "other"),
    [
        # Image and model of the server are the tree's.
        ("model.image", "me/evil:1", "exampleModel.image"),
        ("model.storageUri", "s3://evil/1", "exampleModel.storageUri"),
        ("model.storage", {"path": "evil"}, "exampleModel.storageUri"),
        ("model.command", ["evil"], "exampleModel.command"),
        ("model.args", ["--model_dir=/evil"], "exampleModel.args"),
        ("model.env", [{"name": "A", "value": "1"}], "exampleModel.env"),
        ("model.runtime", "evil", "exampleModel.runtime"),
        ("model.runtimeVersion", "evil", "exampleModel.image"),
        ("model.name", "evil", "kserve-container"),
        ("model.volumeMounts", mount("/mnt/models"), "exampleModel.storageUri"),
        ("model.volumeMounts", mount("/mnt/./models/"), "exampleModel.storageUri"),
        ("model.volumeMounts", mount("mnt/models/a"), "exampleModel.storageUri"),
        ("model.volumeMounts", mount("/mnt"), "exampleModel.storageUri"),
        ("model.volumeMounts", mount("/"), "exampleModel.storageUri"),
        ("predictor.model", {"storageUri": "s3://evil/1"}, "exampleModel.model"),
        ("predictor.sklearn", {"storageUri": "s3://evil/1"}, "exampleModel.modelFormat"),
        ("predictor.storageUris", [{"uri": "s3://evil/1"}], "exampleModel.storageUri"),
        ("predictor.containers", beside("kserve-container"), "exampleModel.image"),
        ("predictor.initContainers", beside("kserve-container"), "exampleModel.image"),
        ("predictor.initContainers", beside("storage-initializer"), "exampleModel.storageUri"),
        ("predictor.initContainers", beside("seed", volumeMounts=mount("/mnt/models")), "exampleModel.storageUri"),
        ("predictor.containers", beside("modelcar"), "exampleModel.storageUri"),
        ("predictor.volumes", [{"name": "kserve-provision-location"}], "exampleModel.storageUri"),
        ("podAnnotations", {"internal.serving.kserve.io/storage-initializer-sourceuri": "s3://evil/1"}, "storageUri"),
        ("annotations", {"internal.serving.kserve.io/storage-initializer-sourceuri": "s3://evil/1"}, "storageUri"),
        ("labels", {"internal.serving.kserve.io/localmodel": "evil"}, "exampleModel.storageUri"),
        ("podLabels", {"internal.serving.kserve.io/localmodel": "evil"}, "exampleModel.storageUri"),
        # What the chart writes has one key.
        ("model.resources", {}, "exampleModel.resources"),
        ("model.ports", [{"containerPort": 8080}], "exampleModel.port (8080)"),
        ("model.ports", [{"name": "http", "containerPort": 9000}], "exampleModel.port (8080)"),
        ("model.volumeMounts", mount("/tmp/"), "readOnlyRootFilesystem"),
        ("model.lifecycle", {"preStop": {"sleep": {"seconds": 9}}}, "exampleModel.drainSeconds"),
        ("model.modelFormat", {"name": "sklearn"}, "exampleModel.modelFormat"),
        ("model.readinessProbe", {"periodSeconds": 9}, "exampleModel.probes.readinessPeriodSeconds"),
        ("model.livenessProbe", {"httpGet": {"path": "/x"}}, "exampleModel.probes.livenessPath"),
        ("model.startupProbe", {"failureThreshold": 9}, "exampleModel.probes.startupSeconds"),
        ("predictor.minReplicas", 2, "autoscaling.minReplicas"),
        ("predictor.maxReplicas", 2, "autoscaling.maxReplicas"),
        ("predictor.canaryTrafficPercent", 10, "canary.steps"),
        ("predictor.nodeSelector", {}, "exampleModel.nodeSelector"),
        ("predictor.labels", {}, "exampleModel.podLabels"),
        ("predictor.annotations", {}, "exampleModel.podAnnotations"),
        ("predictor.name", "other", "exampleModel.name"),
        ("predictor.serviceAccount", "models", "exampleModel.predictor.serviceAccountName"),
        ("predictor.volumes", [{"name": "tmp"}], "readOnlyRootFilesystem"),
        ("podAnnotations", {"prometheus.io/port": "1"}, "exampleModel.metricsPort"),
        ("annotations", {"modelFormat": "xgboost"}, "exampleModel.modelFormat"),
        ("podAnnotations", {"sidecar.istio.io/inject": "false"}, "exampleModel.podLabels"),
        ("podAnnotations", {"sidecar.istio.io/statsInclusionRegexps": ".*"}, "canary.analysis"),
        ("podAnnotations", {"status.sidecar.istio.io/port": "15021"}, "15020"),
        ("annotations", {"serving.kserve.io/deploymentMode": "Knative"}, "features.canaryDeployment"),
        ("labels", {"networking.kserve.io/visibility": "exposed"}, "the chart's"),
        ("podLabels", {"app": "other"}, "exampleModel.name (sklearn-iris)"),
        ("podLabels", {"pod-template-hash": "a"}, "exampleModel.name (sklearn-iris)"),
        ("predictor.priority", 7, "exampleModel.predictor.priorityClassName"),
        # What no canary covers.
        ("predictor.workerSpec", {}, "canary.steps"),
        ("predictor.deploymentStrategy", {"type": "Recreate"}, "features.canaryDeployment"),
        ("predictor.containers", beside("transformer-container"), "exampleModel.port (8080)"),
        ("transformer", {}, "exampleModel.predictor.containers"),
        ("explainer", {}, "canary.steps"),
    ],
)
def test_what_has_another_key_or_no_canary_is_refused_with_both(chart, path, value, other):
    own = nested(path, value) | ({"image": "me/mine:1"} if path == "model.runtimeVersion" else {})
    said = chart.refusal({"exampleModel": own})
    message = said.partition("): ")[2].splitlines()[0]
    assert message.startswith(f"exampleModel.{path}"), message
    assert other in message


LOGGED = {"logger": {"mode": "all"}}
CONTAINER = "exampleModel.predictor.containers[0].ports[0].containerPort"


def ports(number):
    return [{"containerPort": number}]


@pytest.mark.parametrize(
    ("model", "key", "whose"),
    [
        ({"port": 9081, "predictor": LOGGED}, "exampleModel.port (9081)", "exampleModel.predictor.logger and .batcher"),
        ({"predictor": {**LOGGED, "containers": beside("tokens", ports=ports(9081))}}, CONTAINER, "logger"),
        ({"port": 15006}, "exampleModel.port (15006)", "the mesh"),
        ({"metricsPort": 15020}, "exampleModel.metricsPort (15020)", "the mesh"),
        ({"model": {"ports": ports(15090)}}, "exampleModel.model.ports[0].containerPort (15090)", "the mesh"),
        ({"predictor": {"containers": beside("tokens", ports=ports(15020))}}, f"{CONTAINER} (15020)", "the mesh"),
        (
            {"predictor": {"containers": beside("tap", ports=ports(8080))}},
            f"{CONTAINER} (8080)",
            "of exampleModel.port,",
        ),
        (
            {"port": 9000, "predictor": {"containers": beside("tap", ports=ports(9000))}},
            CONTAINER,
            "exampleModel.port,",
        ),
        (
            {"model": {"ports": ports(9000)}, "predictor": {"containers": beside("tap", ports=ports(9000))}},
            f"{CONTAINER} (9000)",
            "exampleModel.model.ports[0].containerPort",
        ),
        (
            {"predictor": {"containers": [*beside("tap", ports=ports(9000)), *beside("tokens", ports=ports(9000))]}},
            CONTAINER.replace("containers[0]", "containers[1]"),
            CONTAINER,
        ),
        (
            {
                "port": 8085,
                "predictor": {"containers": [*beside("transformer-container"), *beside("tap", ports=ports(8080))]},
            },
            CONTAINER.replace("containers[0]", "containers[1]"),
            CONTAINER,
        ),
        (
            {"predictor": {"initContainers": beside("tap", restartPolicy="Always", ports=ports(8080))}},
            CONTAINER.replace("containers", "initContainers"),
            "of exampleModel.port,",
        ),
    ],
)
def test_a_port_of_the_pods_sidecars_is_refused(chart, model, key, whose):
    message = chart.refusal({"exampleModel": model}).partition("): ")[2].splitlines()[0]
    assert message.startswith(key), message
    assert whose in message


def test_a_port_is_free_where_nothing_has_it(chart):
    outside = {"port": 15006, "metricsPort": 15020, "podLabels": OUTSIDE, "model": {"ports": ports(9081)}}
    chart.render({"features": OFF, "exampleModel": outside})
    twice = [{"containerPort": 53, "protocol": "UDP"}, *ports(53)]
    besides = [
        *beside("dns", ports=[*twice, *ports(9000)]),
        *beside("log", ports=[{"containerPort": 9000, "protocol": "UDP"}]),
    ]
    first = beside("prepare", ports=ports(8080))  # gone before the server begins
    chart.render({"exampleModel": {"metricsPort": 9000, "predictor": {"containers": besides, "initContainers": first}}})


@pytest.mark.parametrize("field", ["runtimeVersion", "modelFormat"])
def test_fields_of_a_runtime_need_one(chart, field):
    own = {"runtime": "", "image": "me/mine:1", "model": {field: {}}}
    assert f"exampleModel.model.{field} is for the runtime's server" in chart.refusal({"exampleModel": own})


@pytest.mark.parametrize("variable", ["STORAGE_URI", "PROTOCOL"])
def test_no_variable_says_what_kserve_reads_of_a_container_of_ones_own(chart, variable):
    own = {"runtime": "", "image": "me/mine:1", "storageUri": "", "env": [{"name": variable, "value": "s3://evil/1"}]}
    assert f"exampleModel.env[0] sets {variable}" in chart.refusal({"exampleModel": own})


@pytest.mark.parametrize(
    "other", [{"exampleModel": {"storageSecret": "keys"}}, {"serviceAccount": {"annotations": {"a": "b"}}}]
)
def test_another_account_leaves_nothing_for_the_releases(chart, other):
    model = {"predictor": {"serviceAccountName": "models"}, **other.get("exampleModel", {})}
    said = chart.refusal({**other, "exampleModel": model})
    assert "exampleModel.predictor.serviceAccountName (models) takes an account that is there" in said
    assert any(key in said for key in ("exampleModel.storageSecret", "serviceAccount.annotations"))


TOKEN = {"name": "token", "valueFrom": {"secretKeyRef": {"name": "mimir", "key": "token"}}}
ASKED = {
    "headers": [{"key": "Authorization", "value": "Bearer {{args.token}}"}],
    "authentication": {"oauth2": {"tokenUrl": "https://login.example.com", "scopes": ["metrics"]}},
    "timeout": 20,
}


def test_every_measurement_asks_prometheus_with_what_argo_rollouts_has_for_it(chart):
    found = chart.render({"canary": {"analysis": {"prometheus": ASKED, "args": [TOKEN]}}})
    for name in ("slo", "gate"):
        spec = found["AnalysisTemplate", f"{PREDICTOR}-{name}"]["spec"]
        asked = [metric["provider"]["prometheus"] for metric in spec["metrics"]]
        assert len(asked) > 3
        assert all({key: each[key] for key in ASKED} == ASKED and each["address"] and each["query"] for each in asked)
        assert TOKEN in spec["args"]


def test_an_argument_may_stand_between_spaces_as_argo_rollouts_takes_it(chart):
    spaced = {"headers": [{"key": "Authorization", "value": "Bearer {{ args.token }}"}]}
    chart.render({"canary": {"analysis": {"prometheus": spaced, "args": [TOKEN]}}})


@pytest.mark.parametrize(
    "given",
    [
        {"valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a']"}}},
        {"valueFrom": {"secretKeyRef": {"name": "mimir"}}},
        {"value": "a", "valueFrom": TOKEN["valueFrom"]},
        {},
    ],
    ids=["field", "no key", "both", "neither"],
)
def test_an_argument_is_a_value_or_of_a_secret(chart, given):
    own = {"prometheus": ASKED, "args": [{"name": "token", **given}]}
    assert "/canary/analysis/args/0" in chart.refusal({"canary": {"analysis": own}})


def test_a_monitor_keeps_more_and_relabels_after_the_chart(chart):
    last = {"regex": "pod_ip|node_ip", "action": "labeldrop"}
    node = {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "regex": "(.+)-.+", "targetLabel": "node"}
    own = {"metricRelabelings": [last], "relabelings": [node, last], "params": {"a": ["b"]}}
    values = {"monitoring": {"keep": ["vllm:.+", "nv_gpu_utilization"], "endpoint": own}}
    text = chart.template(values).stdout
    monitor = chart.render(values)["ServiceMonitor", PREDICTOR]["spec"]["endpoints"][0]
    assert monitor["params"] == own["params"]
    assert monitor["relabelings"][-1] == monitor["metricRelabelings"][-1] == last
    (keep,) = (rule["regex"] for rule in monitor["metricRelabelings"] if rule.get("action") == "keep")
    kept = ("vllm:time_to_first_token_seconds_sum", "nv_gpu_utilization", "inference_request_total")
    assert [name for name in (*kept, "go_threads", "nv_gpu_utilization_2") if re.fullmatch(keep, name)] == [*kept]
    (made,) = (each for each in manifests.parse(text, {}, "chart") if each.kind == "ServiceMonitor")
    assert any(re.fullmatch(pattern, kept[0]) for pattern in series.relabelled(made))


@pytest.mark.parametrize(
    ("path", "value", "other"),
    [
        ("monitoring.endpoint.interval", "5s", "monitoring.scrapeInterval"),
        ("monitoring.endpoint.port", "http", "exampleModel.metricsPort"),
        ("monitoring.endpoint.scheme", "https", "without TLS"),
        ("monitoring.endpoint.path", "/metrics", "exampleModel.metricsPath"),
        ("monitoring.endpoint.relabelings", [{"targetLabel": "revision"}], "canary.analysis"),
        ("monitoring.endpoint.metricRelabelings", [{"targetLabel": "model"}], "canary.analysis"),
        ("canary.analysis.prometheus.address", "http://x", "monitoring.prometheusAddress"),
        ("canary.analysis.prometheus.query", "up", "slo"),
        ("canary.analysis.prometheus.rangeQuery", {}, "canary.analysis.window"),
        ("canary.analysis.prometheus", {"headers": [{"key": "a", "value": "{{args.token}}"}]}, "canary.analysis.args"),
        ("canary.analysis.args", [TOKEN], "canary.analysis.prometheus"),
        ("canary.analysis.args", [{"name": "revision", "value": "x"}], "slo"),
    ],
)
def test_what_measures_has_one_key_too(chart, path, value, other):
    message = chart.refusal(nested(path, value)).partition("): ")[2].splitlines()[0]
    assert message.startswith(path), message
    assert other in message


@pytest.mark.parametrize(
    ("rule", "field", "why"),
    [
        ({"action": "drop", "sourceLabels": ["response_code"], "regex": "5.."}, "action (drop)", "monitoring.keep"),
        ({"action": "Drop", "sourceLabels": ["__name__"], "regex": "inference_.+"}, "action (Drop)", "canary.analysis"),
        ({"action": "keep", "sourceLabels": ["pod"], "regex": "a"}, "action (keep)", "canary.analysis"),
        ({"action": "labelmap", "regex": "pod", "replacement": "revision"}, "action (labelmap)", "canary.analysis"),
        ({"action": "labeldrop", "regex": "team|pod"}, "regex (team|pod)", "canary.analysis"),
        ({"action": "LabelDrop", "regex": "po.+"}, "regex (po.+)", "the plain name of a label"),
        ({"action": "labeldrop"}, "regex ()", "the plain name of a label"),
        ({"action": "labeldrop", "regex": "team", "targetLabel": "a"}, "targetLabel", "Prometheus Operator"),
        ({"targetLabel": "__name__"}, "targetLabel (__name__)", "canary.analysis"),
        ({"targetLabel": "cluster_name"}, "targetLabel (cluster_name)", "canary.analysis"),
        ({"targetLabel": "__address__", "replacement": "fake:80"}, "targetLabel (__address__)", "canary.analysis"),
        ({"action": "Replace", "targetLabel": "pod"}, "targetLabel (pod)", "canary.analysis"),
        ({"targetLabel": "${1}", "regex": "(pod)"}, "targetLabel (${1})", "the plain name of a label"),
        ({"replacement": "a"}, "targetLabel ()", "the plain name of a label"),
        ({"targetLabel": "team", "regex": "(a"}, "regex ((a)", "Prometheus Operator"),
    ],
)
def test_a_relabelling_adds_and_blinds_no_alert_and_no_canary(chart, rule, field, why):
    for key in ("relabelings", "metricRelabelings"):
        own = {"monitoring": {"endpoint": {key: [{"targetLabel": "team", "replacement": "fraud"}, rule]}}}
        message = chart.refusal(own).partition("): ")[2].splitlines()[0]
        assert message.startswith(f"monitoring.endpoint.{key}[1].{field}"), message
        assert why in message


MISTAKES = {
    "fraud": ("predictor", {"timout": 60}, "timout", "timout: 60"),
    "churn": ("predictor", {"logger": {"mode": "some"}}, "logger.mode", "mode: some"),
    "spam": ("predictor", {"containers": [{"image": "me/tokens:1"}]}, "containers[0]", "- image: me/tokens:1"),
    "price": ("model", {"stdin": "maybe"}, "stdin", "stdin: maybe"),
}
"""By application: the part that it is in, itself, the key that is named, and its line."""


def test_what_kserve_has_no_such_field_for_is_found_by_its_own_key(tmp_path, tool, module):
    helm, kubectl_validate = tool("helm"), tool("kubectl-validate")
    made = projects.made(tmp_path, environments=("lab",), applications=tuple(MISTAKES))
    for name, (part, mistake, *_) in MISTAKES.items():
        file = tmp_path / projects.TREE / "lab" / f"{name}.yaml"
        file.write_text(projects.application(name, values={"exampleModel": {part: mistake}}))
    objects = [
        each
        for rendering in made.helm(helm, "template", defaults=False).values()
        for each in rendering.objects
        if each.kind == "InferenceService"
    ]
    (tmp_path / "lab.yaml").write_text("---\n".join(f"{each.text}\n" for each in objects))
    crds = module("kserve") / "config" / "crd" / "full"
    arguments = [kubectl_validate, "lab.yaml", "--output=json", f"--local-crds={crds}"]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    found = schema.findings(tools.Output(done.returncode, done.stdout, done.stderr), {"lab": objects})["lab"]
    assert len(found) == len(MISTAKES)
    for finding in found:
        part, _, key, line = MISTAKES[finding.file.rpartition("/")[2].removesuffix(".yaml")]
        assert f"(exampleModel.{part}.{key}, rendered by " in finding.message
        assert (tmp_path / finding.file).read_text().splitlines()[finding.line - 1].strip() == line
