"""The model server's container: KServe's own runtimes, one of the user's, and a container without any."""

import json
import subprocess
import sys

import pytest

PREDICTOR = "sklearn-iris-predictor"
DIGEST = f"sha256:{'0' * 64}"


def predictor(chart, **model):
    found = chart.render({"exampleModel": model})
    return found["InferenceService", model.get("name", "sklearn-iris")]["spec"]["predictor"]


def container(chart, **model):
    spec = predictor(chart, **model)
    return spec["model"] if "model" in spec else spec["containers"][0]


@pytest.mark.parametrize(
    ("runtime", "module"),
    [
        ("kserve-sklearn", "sklearnserver"),
        ("kserve-sklearnserver", "sklearnserver"),
        ("kserve-xgbserver", "xgbserver"),
        ("kserve-lgbserver", "lgbserver"),
        ("kserve-predictiveserver", "predictiveserver"),
    ],
)
def test_kserves_own_servers_start_after_the_comparison_without_being_named(chart, runtime, module):
    command = container(chart, runtime=runtime, digest=DIGEST)["command"]
    assert command[:3] == ["python3", "-I", "-c"]
    assert command[4:] == [DIGEST, "python", "-m", module]
    assert container(chart, runtime=runtime, digest=DIGEST, command=["serve"])["command"][4:] == [DIGEST, "serve"]


def test_no_file_and_no_variable_of_the_servers_has_a_say_in_the_comparison(chart, tmp_path):
    (tmp_path / "hashlib.py").write_text("raise SystemExit(0)  # before anything is compared")
    command = [each.replace('"/dev/termination-log"', '"log"') for each in container(chart, digest=DIGEST)["command"]]
    own = {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, *command[1:]], cwd=tmp_path, env=own, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"but {DIGEST} is pinned" in done.stderr


def test_a_model_of_a_hub_is_told_for_what_its_client_leaves(chart):
    own = {"runtime": "", "image": "me/mine:1", "digest": DIGEST, "command": ["serve"]}
    assert container(chart, storageUri="hf://acme/iris:1", **own)["command"][4:] == ["--hub", DIGEST, "serve"]
    assert container(chart, storageUri="s3://acme/hf", **own)["command"][4:] == [DIGEST, "serve"]


def test_a_command_starts_the_server_without_a_digest_too(chart):
    assert container(chart, command=["serve", "--x"])["command"] == ["serve", "--x"]
    assert "command" not in container(chart)


def test_kserves_own_fields_reach_the_predictor(chart):
    environment = [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    secrets = [{"name": "registry"}]
    spec = predictor(
        chart, args=["--nthread=2"], env=environment, imagePullSecrets=secrets, protocolVersion="v2", image="me/mine:1"
    )
    assert spec["imagePullSecrets"] == secrets
    model = spec["model"]
    assert (model["args"], model["env"], model["protocolVersion"]) == (["--nthread=2"], environment, "v2")
    assert model["image"] == "me/mine:1"
    assert not {"args", "env", "protocolVersion", "image"} & set(container(chart))


def test_a_container_of_ones_own_needs_no_runtime_and_no_model(chart):
    spec = predictor(chart, runtime="", image="me/mine:1", storageUri="", command=["serve"], args=["--port=9000"])
    assert "model" not in spec
    (own,) = spec["containers"]
    assert (own["name"], own["image"]) == ("kserve-container", "me/mine:1")
    assert (own["command"], own["args"]) == (["serve"], ["--port=9000"])
    assert "env" not in own


def test_a_container_of_ones_own_is_a_server_like_any_other(chart):
    with_runtime = container(chart, image="me/mine:1")
    own = container(chart, runtime="", image="me/mine:1", storageUri="")
    of_the_runtime = {"modelFormat", "runtime", "storageUri"}
    assert {key: own[key] for key in own if key != "name"} == {
        key: with_runtime[key] for key in with_runtime if key not in of_the_runtime
    }


def test_a_container_of_ones_own_gets_its_model_the_way_kserve_has_for_it(chart):
    own = container(
        chart,
        runtime="",
        image="me/mine:1",
        storageUri="s3://models/a",
        protocolVersion="v2",
        env=[{"name": "A", "value": "1"}],
        digest=DIGEST,
        command=["serve"],
    )
    assert {item["name"]: item["value"] for item in own["env"]} == {
        "STORAGE_URI": "s3://models/a",
        "PROTOCOL": "v2",
        "A": "1",
    }
    assert own["command"][4:] == [DIGEST, "serve"]


def test_another_port_is_the_port_everywhere(chart):
    values = {"exampleModel": {"port": 9000}, "networkPolicy": {"enabled": True}}
    found = chart.render(values)
    spec = found["InferenceService", "sklearn-iris"]["spec"]["predictor"]
    model = spec["model"]
    probes = [model[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "liveness", "readiness")]
    assert [model["ports"][0]["containerPort"], *probes] == [9000] * 4
    assert spec["annotations"]["prometheus.io/port"] == "9000"
    for role in ("stable", "canary"):
        assert found["Service", f"{PREDICTOR}-{role}"]["spec"]["ports"][0]["targetPort"] == 9000
    assert found["NetworkPolicy", PREDICTOR]["spec"]["ingress"][0]["ports"][0]["port"] == 9000
    rules = found["ServiceMonitor", PREDICTOR]["spec"]["endpoints"][0]["metricRelabelings"]
    assert [rule["regex"] for rule in rules if "inbound" in rule["regex"]] == [
        r"envoy_cluster_upstream_rq;inbound\|9000\|\|;?;(.+)",
        r"envoy_cluster_upstream_rq_time_(bucket|sum|count);inbound\|9000\|\|;?",
    ]


def paths(model):
    return [model[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")]


def test_probes_ask_kserves_paths_or_the_given_ones(chart):
    assert paths(container(chart)) == ["/v2/health/live", "/v2/health/live", "/v2/models/sklearn-iris/ready"]
    assert paths(container(chart, name="fraud"))[2] == "/v2/models/fraud/ready"
    assert paths(container(chart, probes={"livenessPath": "/live"}))[:2] == ["/live", "/live"]
    own = {"startupPath": "/up", "livenessPath": "/live", "readinessPath": "/ready"}
    assert paths(container(chart, probes=own)) == ["/up", "/live", "/ready"]


def test_the_servers_own_metrics_are_where_the_values_say(chart):
    def told(**model):
        found = predictor(chart, **model)["annotations"]
        return {key.rpartition("/")[2]: value for key, value in found.items() if key.startswith("prometheus.io/")}

    assert told() == {"scrape": "true", "port": "8080", "path": "/metrics"}
    assert told(metricsPort=9102, metricsPath="/m") == {"scrape": "true", "port": "9102", "path": "/m"}
    assert told(metricsPath="") == {}


def test_the_proxies_let_a_long_answer_end_when_they_are_told_how_long_one_takes(chart):
    annotation = "proxy.istio.io/config"
    assert annotation not in predictor(chart)["annotations"]
    config = json.loads(predictor(chart, longestAnswerSeconds=600)["annotations"][annotation])
    assert config == {"drainDuration": "600s"}
    own = {"podAnnotations": {annotation: "{}"}}
    assert predictor(chart, **own)["annotations"][annotation] == "{}"
    refusal = chart.refusal({"exampleModel": {"longestAnswerSeconds": 600, **own}})
    assert "exampleModel.podAnnotations has proxy.istio.io/config, which exampleModel.longestAnswerSeconds" in refusal
