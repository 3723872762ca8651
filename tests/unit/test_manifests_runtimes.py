"""Whether a serving runtime takes a model, as KServe decides it; its own runtimes, of the pinned version."""

import anyio
import pytest
import yaml

from ci.checks import runtimes as check
from ci.manifests import runtimes
from ci.manifests.chart import Chart, Rendering, Target, Values
from ci.supply.supply import Supply


@pytest.fixture(scope="module")
def known(tool):
    return anyio.run(runtimes.kserves, tool("helm"), Supply("source").module("kserve"))


def service(runtime=None, form="sklearn", version=None, protocol=None):
    model = {"modelFormat": {"name": form}}
    model |= {"runtime": runtime} if runtime else {}
    model |= {"protocolVersion": protocol} if protocol else {}
    model["modelFormat"] |= {"version": version} if version else {}
    return {"kind": "InferenceService", "metadata": {"name": "x"}, "spec": {"predictor": {"model": model}}}


OWN = {
    "kind": "ServingRuntime",
    "metadata": {"name": "ours"},
    "spec": {"supportedModelFormats": [{"name": "lightgmb"}]},
}


@pytest.mark.parametrize(
    "asked",
    [
        service("kserve-lgbserver", "lightgbm"),
        service("kserve-lgbserver", "lightgbm", "4"),
        service("kserve-sklearnserver", protocol="v2"),
        service("kserve-predictiveserver", "lightgbm"),
        service("kserve-vllmserver", "vLLM", protocol="v1"),
        service("ours", "lightgmb"),
        service(form="lightgbm"),
        service(form="onnx", protocol="v2"),
        {"kind": "InferenceService", "spec": {"predictor": {"containers": [{"name": "kserve-container"}]}}},
        {"kind": "Service", "spec": {}},
    ],
)
def test_what_kserve_takes_is_taken(known, asked):
    assert runtimes.fault(asked, [OWN, *known]) is None


@pytest.mark.parametrize(
    ("asked", "key", "said", "remedy", "sure"),
    [
        (
            service("kserve-lgbservr"),
            "runtime",
            "called kserve-lgbservr; there are",
            "is kserve-lgbserver meant?",
            False,
        ),
        (
            service("kserve-lgbserver", "lightgmb"),
            "modelFormat",
            "serving runtime kserve-lgbserver takes no model of format lightgmb; it takes lightgbm",
            "is lightgbm meant?",
            True,
        ),
        (
            service("kserve-sklearnserver", "xgboost"),
            "modelFormat",
            "takes no model of format xgboost; it takes sklearn",
            "xgboost is a format of kserve-mlserver, kserve-predictiveserver, kserve-xgbserver",
            True,
        ),
        (
            service("kserve-sklearnserver", "sklearn", "9"),
            "modelFormat",
            "no model of format sklearn:9",
            "sklearn",
            True,
        ),
        (service("kserve-mlserver", protocol="v1"), "protocolVersion", "does not speak v1; it speaks v2", "", True),
        (
            service("kserve-huggingfaceserver-multinode", "huggingface"),
            "runtime",
            "kserve-huggingfaceserver-multinode has a model on several nodes",
            "single node",
            True,
        ),
        (service(form="lightgmb"), "modelFormat", "takes models of format lightgmb", "is lightgbm meant?", False),
        (service(form="onnx", protocol="v1"), "protocolVersion", "kserve-tritonserver do not", "", False),
    ],
)
def test_what_it_does_not_take_is_told_with_what_is_meant(known, asked, key, said, remedy, sure):
    fault = runtimes.fault(asked, known)
    assert (fault.key, fault.sure) == (key, sure)
    assert said in fault.said
    assert remedy in fault.remedy


def rendering(tmp_path, own, made):
    chart = Chart(tmp_path, "chart")
    given = yaml.safe_dump(yaml.safe_load(own or "values: {}")["values"])
    values = [
        Values("gitops/dev/x.yaml", own, given, top=("values",)),
        Values("chart/values.yaml", "exampleModel: {}\n"),
    ]
    return Rendering(Target("dev", "x", "x", "x", chart, values, "1.36"), made)


MADE = """apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: x}
spec: {predictor: {model: {modelFormat: {name: lightgmb}, runtime: RUNTIME}}}
"""
OWN_VALUES = "values:\n  exampleModel:\n    runtime: RUNTIME\n    modelFormat: lightgmb\n"


@pytest.mark.parametrize(
    ("runtime", "line", "severity"),
    [("kserve-lgbserver", 4, "error"), ("kserve-lgbservr", 3, "warning")],
    ids=["a format that it does not take", "a runtime that a cluster may have"],
)
def test_lint_names_file_and_line(tmp_path, known, runtime, line, severity):
    one = rendering(tmp_path, OWN_VALUES.replace("RUNTIME", runtime), MADE.replace("RUNTIME", runtime))
    ((name, finding),) = check.rendered([one], known)
    assert (name, finding.file, finding.line, finding.severity) == ("dev/x", "gitops/dev/x.yaml", line, severity)


def test_a_version_of_a_format_is_told_at_the_version(tmp_path, known):
    made = MADE.replace("RUNTIME", "kserve-lgbserver").replace("name: lightgmb", 'name: lightgbm, version: "9"')
    own = 'values:\n  exampleModel:\n    runtime: kserve-lgbserver\n    model: {modelFormat: {version: "9"}}\n'
    ((_, finding),) = check.rendered([rendering(tmp_path, own, made)], known)
    assert (finding.file, finding.line) == ("gitops/dev/x.yaml", 4)
    assert finding.message.startswith("exampleModel.model.modelFormat.version: ")


def test_a_runtime_that_another_application_brings_is_there(tmp_path, known):
    one = rendering(tmp_path, OWN_VALUES, MADE.replace("RUNTIME", "ours"))
    spec = "spec: {supportedModelFormats: [{name: lightgmb}]}\n"
    other = f"apiVersion: serving.kserve.io/v1alpha1\nkind: ServingRuntime\nmetadata: {{name: ours}}\n{spec}"
    assert list(check.rendered([one, rendering(tmp_path, "", other)], known)) == []


SERVED = """apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: x}
spec:
  predictor:
    annotations: {prometheus.io/port: "8080", prometheus.io/path: /metrics}
    model:
      modelFormat: {name: FORMAT}
      runtime: RUNTIME
      startupProbe: {httpGet: {path: /v2/health/live, port: 8080}}
      livenessProbe: {httpGet: {path: /v2/health/live, port: 8080}}
      readinessProbe: {httpGet: {path: /v2/models/x/ready, port: 8080}}
"""


def assumed(tmp_path, known, runtime, form, own=""):
    values = f"values:\n  exampleModel:\n    runtime: {runtime}\n{own}"
    one = rendering(tmp_path, values, SERVED.replace("RUNTIME", runtime).replace("FORMAT", form))
    return [finding for _, finding in check.rendered([one], known)]


def test_probes_that_the_runtime_itself_asks_otherwise_are_told_by_their_key(tmp_path, known):
    found = assumed(tmp_path, known, "kserve-vllmserver", "vLLM")
    assert {(each.file, each.line, each.severity) for each in found} == {("gitops/dev/x.yaml", 3, "error")}
    assert [each.message for each in found] == [
        "exampleModel.runtime: kserve-vllmserver is asked /v1/models by its own probes, and the chart's readinessProbe "
        "asks /v2/models/x/ready",
        "exampleModel.runtime: kserve-vllmserver is asked /v1/models by its own probes, and the chart's livenessProbe "
        "asks /v2/health/live",
    ]
    assert found[1].remedy.startswith("exampleModel.probes.livenessPath: /v1/models; or write /v2/health/live there")


def test_a_person_s_own_word_on_probes_and_metrics_stands(tmp_path, known):
    own = "    probes: {livenessPath: /v2/health/live, readinessPath: /v2/models/x/ready}\n"
    assert assumed(tmp_path, known, "kserve-vllmserver", "vLLM", own) == []
    assert assumed(tmp_path, known, "kserve-tritonserver", "onnx", "    metricsPort: 8080\n") == []


def test_metrics_that_the_runtime_has_at_another_port_are_told(tmp_path, known):
    (found,) = assumed(tmp_path, known, "kserve-tritonserver", "onnx")
    assert (found.line, found.severity, found.remedy) == (3, "warning", "exampleModel.metricsPort: 8002")
    assert "kserve-tritonserver has its metrics at port 8002, and the chart asks port 8080" in found.message


@pytest.mark.parametrize(
    ("runtime", "form"),
    [("kserve-sklearnserver", "sklearn"), ("kserve-mlserver", "sklearn"), ("kserve-huggingfaceserver", "huggingface")],
)
def test_a_runtime_that_says_nothing_else_is_taken_at_the_charts_word(tmp_path, known, runtime, form):
    assert assumed(tmp_path, known, runtime, form) == []


def test_probes_by_a_protocol_that_the_runtime_does_not_speak_are_told_by_their_key(tmp_path, known):
    found = assumed(tmp_path, known, "kserve-tensorflow-serving", "tensorflow")
    assert {(each.line, each.severity) for each in found} == {(3, "error")}
    said = "exampleModel.runtime: kserve-tensorflow-serving has no protocol v2, by which the chart's {} asks {}"
    assert [each.message for each in found] == [
        said.format("readinessProbe", "/v2/models/x/ready"),
        said.format("livenessProbe", "/v2/health/live"),
    ]
    assert found[0].remedy.startswith("exampleModel.probes.readinessPath: /v1/models/x")
    own = "    probes: {livenessPath: /v1/models/x, readinessPath: /v1/models/x}\n"
    assert assumed(tmp_path, known, "kserve-tensorflow-serving", "tensorflow", own) == []


LISTENING = """apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: x}
spec:
  predictor:
    model: {modelFormat: {name: FORMAT}, runtime: RUNTIME, ports: [{name: http, containerPort: 9100}], TOLD}
"""


def heard(tmp_path, known, runtime, form, told, own="port: 9100"):
    made = LISTENING.replace("RUNTIME", runtime).replace("FORMAT", form).replace("TOLD", told)
    values = f"values:\n  exampleModel:\n    {own}\n    runtime: {runtime}\n"
    return [each for _, each in check.rendered([rendering(tmp_path, values, made)], known)]


@pytest.mark.parametrize(
    ("runtime", "form", "said"),
    [
        ("kserve-sklearnserver", "sklearn", "--http_port=8080"),
        ("kserve-tritonserver", "onnx", "--grpc-port=9000, --http-port=8080"),
        ("kserve-tensorflow-serving", "tensorflow", "--port=9000, --rest_api_port=8080"),
        ("kserve-mlserver", "sklearn", "MLSERVER_HTTP_PORT=8080, MLSERVER_GRPC_PORT=9000"),
    ],
)
def test_a_port_that_nothing_tells_the_server_of_is_told(tmp_path, known, runtime, form, said):
    (found,) = heard(tmp_path, known, runtime, form, "args: [--workers=2]")
    assert (found.file, found.line, found.severity) == ("gitops/dev/x.yaml", 3, "error")
    assert f"exampleModel.port: {runtime} is told {said}, and nothing tells it of 9100" in found.message


@pytest.mark.parametrize(
    ("runtime", "told"),
    [
        ("kserve-sklearnserver", "args: [--http_port=9100]"),
        ("kserve-sklearnserver", "args: [--http_port, '9100']"),
        ("kserve-mlserver", "env: [{name: MLSERVER_HTTP_PORT, value: '9100'}]"),
        ("kserve-sklearnserver", "command: [serve, ':9100']"),
    ],
)
def test_a_port_that_the_server_is_told_of_is_taken(tmp_path, known, runtime, told):
    assert heard(tmp_path, known, runtime, "sklearn", told) == []


def test_a_port_that_nobody_has_written_is_the_charts_own(tmp_path, known):
    assert heard(tmp_path, known, "kserve-sklearnserver", "sklearn", "args: []", own="replicas: 1") == []


@pytest.mark.parametrize(
    ("runtime", "form", "told", "said", "remedy"),
    [
        ("kserve-sklearnserver", "sklearn", "args: [--http_port=9000]", "--http_port=9000", "exampleModel.port: 9000"),
        ("kserve-sklearnserver", "sklearn", "args: [--grpc_port=9100]", "--http_port=8080", "tell it by"),
        ("kserve-mlserver", "sklearn", "env: [{name: MLSERVER_GRPC_PORT, value: '9100'}]", "PORT=8080", "tell it by"),
    ],
    ids=["HTTP elsewhere", "gRPC there", "gRPC there by a variable"],
)
def test_a_port_that_is_written_is_held_against_what_the_server_is_told_of_http(
    tmp_path, known, runtime, form, told, said, remedy
):
    (found,) = heard(tmp_path, known, runtime, form, told)
    assert (found.file, found.line) == ("gitops/dev/x.yaml", 3)
    assert said in found.message
    assert "nothing tells it of 9100" in found.message
    assert found.remedy.startswith(remedy)


OWN_CONTAINER = """apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: x}
spec:
  predictor:
    containers:
      - {name: beside, args: [--http_port=9100]}
      - {name: kserve-container, ports: [{name: http, containerPort: 8080}], TOLD}
"""


def by_itself(tmp_path, known, told):
    values = f'values:\n  exampleModel:\n    runtime: ""\n    {told}\n'
    one = rendering(tmp_path, values, OWN_CONTAINER.replace("TOLD", told))
    return [each for _, each in check.rendered([one], known)]


def test_a_container_of_ones_own_is_told_where_its_arguments_have_it_listen(tmp_path, known):
    (found,) = by_itself(tmp_path, known, "args: [serve, --http-port=9000]")
    assert (found.file, found.line, found.remedy) == ("gitops/dev/x.yaml", 4, "exampleModel.port: 9000")
    assert found.message.startswith("exampleModel.args: --http-port=9000: requests and probes come to 8080")


@pytest.mark.parametrize(
    "told",
    [
        "args: [--http_port=8080]",
        "args: [--backend-http-port=9000]",
        "args: [--port=9000]",
        "args: [--http_port=9000, --listen=0.0.0.0:8080]",
        "env: [{name: HTTP_PORT, value: '9000'}]",
    ],
)
def test_of_a_container_of_ones_own_nothing_is_guessed(tmp_path, known, told):
    assert by_itself(tmp_path, known, told) == []


TOLD = """apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata: {name: wine}
spec:
  predictor:
    model:
      modelFormat: {name: FORMAT}
      runtime: RUNTIME
      ports: [{name: http, containerPort: 8080}]
      TOLD
      readinessProbe: {httpGet: {path: PATH, port: 8080}}
"""


def told(tmp_path, known, runtime, form, said, path="/v2/models/wine/ready"):
    made = TOLD.replace("RUNTIME", runtime).replace("FORMAT", form).replace("TOLD", said).replace("PATH", path)
    values = f"values:\n  exampleModel:\n    runtime: {runtime}\n    {said}\n"
    return [each for _, each in check.rendered([rendering(tmp_path, values, made)], known)]


@pytest.mark.parametrize(
    ("runtime", "form", "given", "said", "remedy"),
    [
        (
            "kserve-sklearnserver",
            "sklearn",
            "args: [--model_name=red]",
            "exampleModel.args: --model_name=red: the server calls its model so, and the chart's readinessProbe asks "
            "/v2/models/wine/ready",
            "leave it out: the model has the application's name",
        ),
        (
            "kserve-mlserver",
            "sklearn",
            "env: [{name: MLSERVER_HTTP_PORT, value: '8085'}]",
            "exampleModel.env: MLSERVER_HTTP_PORT=8085: requests and probes come to 8080",
            "leave it out; or exampleModel.port: 8085",
        ),
        (
            "kserve-lgbserver",
            "lightgbm",
            "args: [--workers=2, --model_dir, /mnt/models/../red]",
            "exampleModel.args: --model_dir /mnt/models/../red: exampleModel.storageUri is in /mnt/models, and the "
            "server would serve another model",
            "leave it out, or name a folder in /mnt/models",
        ),
        (
            "kserve-tritonserver",
            "onnx",
            "args: [--http-port=8085]",
            "exampleModel.args: --http-port=8085: requests and probes come to 8080",
            "leave it out; or exampleModel.port: 8085",
        ),
        (
            "kserve-huggingfaceserver",
            "huggingface",
            "args: [--http_port, '8085']",
            "exampleModel.args: --http_port 8085: requests and probes come to 8080",
            "leave it out; or exampleModel.port: 8085",
        ),
        (
            "kserve-sklearnserver",
            "sklearn",
            "args: [--http_port=8080, --http_port=8085, --grpc_port=8080]",
            "exampleModel.args: --http_port=8085: requests and probes come to 8080",
            "leave it out; or exampleModel.port: 8085",
        ),
    ],
)
def test_what_a_server_is_told_beside_its_runtime_and_against_the_chart_is_told(
    tmp_path, known, runtime, form, given, said, remedy
):
    (found,) = told(tmp_path, known, runtime, form, given)
    assert (found.file, found.line, found.severity) == ("gitops/dev/x.yaml", 4, "error")
    assert said in found.message
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("runtime", "form", "given", "path"),
    [
        ("kserve-sklearnserver", "sklearn", "args: [--model_name=wine]", "/v2/models/wine/ready"),
        ("kserve-sklearnserver", "sklearn", "args: [--model_name=red, --model_name=wine]", "/v2/models/wine/ready"),
        ("kserve-sklearnserver", "sklearn", "args: [--model_name=red]", "/v2/models/red/ready"),
        ("kserve-sklearnserver", "sklearn", "args: [--model_name=red]", "/v2/health/ready"),
        ("kserve-sklearnserver", "sklearn", "args: [--model_dir=/mnt/models/red]", "/v2/models/wine/ready"),
        ("kserve-sklearnserver", "sklearn", "args: [--grpc_port=9001, --verbose]", "/v2/models/wine/ready"),
        ("kserve-xgbserver", "xgboost", "args: [--nthread=4]", "/v2/models/wine/ready"),
        ("kserve-huggingfaceserver", "huggingface", "args: [--model_id, acme/red]", "/v2/models/wine/ready"),
    ],
)
def test_what_a_server_may_be_told_beside_its_runtime_is_taken(tmp_path, known, runtime, form, given, path):
    assert told(tmp_path, known, runtime, form, given, path) == []
