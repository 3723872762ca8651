"""Whether a serving runtime takes a model, as KServe decides it; its own runtimes, of the pinned version."""

import anyio
import pytest

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
    values = [Values("gitops/dev/x.yaml", own, top=("values",)), Values("chart/values.yaml", "exampleModel: {}\n")]
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


def test_a_runtime_that_another_application_brings_is_there(tmp_path, known):
    one = rendering(tmp_path, OWN_VALUES, MADE.replace("RUNTIME", "ours"))
    spec = "spec: {supportedModelFormats: [{name: lightgmb}]}\n"
    other = f"apiVersion: serving.kserve.io/v1alpha1\nkind: ServingRuntime\nmetadata: {{name: ours}}\n{spec}"
    assert list(check.rendered([one, rendering(tmp_path, "", other)], known)) == []
