"""The chart's example model is the one of the deployment guide, which installs the chart without any values."""

import subprocess

from ci import sample
from ci.base.paths import CHART
from ci.manifests import documents
from tests.unit.conftest import find_tool


def test_without_any_values_the_chart_serves_the_guides_model():
    argv = [find_tool("helm"), "template", "ml-serving", CHART, "--namespace", "ml-serving"]
    rendered = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=300).stdout

    served = documents.find(documents.parse(rendered), "InferenceService", sample.facts().model)["spec"]["predictor"]

    assert served["model"]["storageUri"] == "gs://kfserving-examples/models/sklearn/1.0/model"
    assert served["model"]["runtime"] == "kserve-sklearnserver"
    assert documents.find(documents.parse(rendered), "Rollout", sample.facts().predictor)
