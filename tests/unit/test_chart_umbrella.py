"""The chart as a dependency of another one, many times over in one release."""

import json

import pytest

from tests.harness import chart as charts

LONG = f"{'a' * 70}_-"
"""An alias, longer than a label may be."""


@pytest.fixture
def umbrella(tmp_path):
    """A chart of charts; takes the alias of each, and returns how to render it."""

    def made(aliases):
        return {"folder": charts.umbrella(tmp_path, aliases), "model": "/dev/null"}

    return made


def model(name, **more):
    known = {"protocol": "v1", "request": {"instances": [[1]]}, "at": "$.predictions[0]", "expected": 0}
    return {"exampleModel": {"name": name, "knownAnswer": known}, "networkPolicy": {"enabled": True}, **more}


@pytest.mark.parametrize("release", ["models", "fraud-and-wine"])
def test_two_aliases_in_a_release_share_nothing(chart, umbrella, release):
    folder = umbrella(["fraud", "wine"])
    both = chart.render({"fraud": model("fraud", enabled=True), "wine": model("wine")}, release=release, **folder)
    one = chart.render({"fraud": model("fraud"), "wine": {"enabled": False}}, release=release, **folder)

    assert len(both) == 2 * len(one)  # `render` has seen that no two have the same name
    dashboards = [item["data"] for (kind, _), item in both.items() if kind == "ConfigMap"]
    files = [name for data in dashboards for name in data]
    shown = [json.loads(text) for data in dashboards for text in data.values()]
    for each in (files, [one["uid"] for one in shown], [one["title"] for one in shown]):
        assert len(set(each)) == len(each), each


def test_a_value_of_the_chart_is_left_out_under_an_alias_too(chart, umbrella):
    folder = umbrella(["fraud"])
    found = chart.render({"fraud": model("fraud", autoscaling={"memory": None})}, **folder)
    metrics = found["HorizontalPodAutoscaler", "fraud-predictor-hpa"]["spec"]["metrics"]
    assert [metric.get("containerResource", {}).get("name") for metric in metrics] == ["cpu", None]


def test_values_of_helm_and_of_a_wrong_key_are_told_apart(chart, umbrella):
    folder = umbrella(["fraud"])
    chart.render({"global": {"team": "x"}, "tags": {"models": True}, "fraud": {"enabled": True}}, **folder)
    assert "'enable' not allowed" in chart.refusal({"fraud": {"enable": True}}, **folder)


def labels(value):
    """Yield every label, of objects and in selectors."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if key in ("labels", "matchLabels") and isinstance(inner, dict):
            yield from inner.values()
        elif isinstance(inner, dict | list):
            yield from labels(inner)


def test_no_label_is_longer_than_kubernetes_takes(chart, umbrella):
    release, name = "r" * 53, "m" * 45
    found = chart.render({LONG: model(name)}, release=release, namespace="default", **umbrella([LONG]))
    every = {str(value) for value in labels(list(found.values()))}
    assert release in every
    for value in every:
        assert len(value) <= 63, value
        assert value == value.strip("-_."), value
