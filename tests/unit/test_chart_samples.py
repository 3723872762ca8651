"""The InferenceServices that KServe itself shows people: each can be written for the chart, or is refused by name."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from ci.manifests.manifests import dig

TABLE = yaml.safe_load((Path(__file__).parent / "fixtures" / "kserve-samples.yaml").read_text())
WRITTEN, REFUSED = TABLE["written"], TABLE["refused"]
UNWRITTEN = [sample for why in REFUSED.values() for sample in why["samples"]]
FRAMEWORKS = {"lightgbm", "onnx", "paddle", "pmml", "pytorch", "sklearn", "tensorflow", "triton", "xgboost"}
CONTAINER = "kserve-container"
INJECT = "sidecar.istio.io/inject"


@pytest.fixture(scope="module")
def samples(module):
    """Every InferenceService among KServe's samples, by its file and its place there."""
    folder, found = module("kserve") / "docs" / "samples", {}
    for file in sorted(folder.rglob("*.yaml")):
        text = re.sub(r"{(docker_)?username}/", "username/", file.read_text())  # for the reader to fill in
        if re.search(r"^kind: \"?InferenceService\b", text, re.MULTILINE):
            of_file = [each for each in yaml.safe_load_all(text) if each and each["kind"] == "InferenceService"]
            name = str(file.relative_to(folder))
            found |= {f"{name}:{number}" if number else name: each for number, each in enumerate(of_file)}
    return found


def as_kserve_has_it(sample):
    """Return a sample as KServe's and Kubernetes' defaults change it, with today's names for older ones."""
    labels, annotations = (dict(sample["metadata"].get(key, {})) for key in ("labels", "annotations"))
    # one sample has nodeName beside the predictor, where KServe has no such field
    predictor = {**sample["spec"], **sample["spec"].get("predictor", {})}
    predictor.pop("predictor", None)
    for framework in FRAMEWORKS & {*predictor}:
        predictor["model"] = {"modelFormat": {"name": framework}, **predictor.pop(framework)}
    if "container" in predictor:  # of another sample: an older API's
        predictor["containers"] = [predictor.pop("container")]
    if len(predictor.get("containers", [])) == 1:
        predictor["containers"] = [{**predictor["containers"][0], "name": CONTAINER}]
    if "serviceAccount" in predictor:
        predictor["serviceAccountName"] = predictor.pop("serviceAccount")
    if labels.pop("networking.knative.dev/visibility", None):
        labels["networking.kserve.io/visibility"] = "cluster-local"
    if INJECT in annotations:
        predictor["labels"] = {INJECT: annotations.pop(INJECT)}
    if scraped := {key: annotations.pop(key) for key in [*annotations] if key.startswith("prometheus.io/")}:
        predictor["annotations"] = scraped
    metadata = {"name": sample["metadata"]["name"], "labels": labels, "annotations": annotations}
    return {"metadata": metadata, "spec": {"predictor": predictor}}


def missing(wanted, found, path=""):
    """Yield the path of each field that is not there with the same value; items of a list may stand anywhere in it."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        for key, value in wanted.items():
            yield from missing(value, found.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and all(isinstance(each, Mapping) for each in wanted):
        for number, value in enumerate(wanted):
            if not any(not list(missing(value, each)) for each in found):
                yield f"{path}[{number}]"
    elif type(wanted) is not type(found) or wanted != found:
        yield path


def test_every_sample_is_written_or_refused(samples):
    assert sorted([*WRITTEN, *UNWRITTEN]) == sorted(samples)
    assert len(UNWRITTEN) <= len(samples) / 3


@pytest.mark.parametrize("sample", WRITTEN)
def test_every_field_of_a_sample_is_rendered(chart, samples, sample):
    wanted = as_kserve_has_it(samples[sample])
    name, fewest = wanted["metadata"]["name"], wanted["spec"]["predictor"].pop("minReplicas", 1)
    found = chart.render(WRITTEN[sample])
    assert list(missing(wanted, found["InferenceService", name])) == []
    assert found["HorizontalPodAutoscaler", f"{name}-predictor-hpa"]["spec"]["minReplicas"] == fewest


@pytest.mark.parametrize("reason", REFUSED)
def test_what_the_chart_has_not_of_a_sample_is_refused_by_name(chart, samples, reason):
    why = REFUSED[reason]
    assert why["said"] in chart.refusal(why["values"])
    for name in why["samples"]:
        there = dig(as_kserve_has_it(samples[name]), *why["at"])
        assert there == why["is"] if "is" in why else there is not None, name
