"""The chart's values: what is documented, what is refused, and with which words."""

import json
import re

import pytest
import yaml

from ci.base.paths import CHART, ROOT
from ci.stack import prometheus_adapter
from tests.harness import chart as charts
from tests.unit.conftest import ENVIRONMENTS, KNOWN_ANSWER

VALUES_TEXT = (CHART / "values.yaml").read_text()
VALUES = yaml.safe_load(VALUES_TEXT)
README = (CHART / "README.md").read_text()
DIGEST = f"sha256:{'0' * 64}"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def nested(path, value):
    """Return {"a": {"b": value}} for "a.b"."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def comments():
    """Return each `# --` comment of values.yaml by the key below it."""
    found, path, comment = {}, [], None
    for line in VALUES_TEXT.splitlines():
        if described := re.match(r" *# -- (.+)$", line):
            comment = described[1]
        elif key := re.match(r"( *)([A-Za-z]\w*):", line):
            path = [*path[: len(key[1]) // 2], key[2]]
            if comment:
                found[".".join(path)] = comment
            comment = None
    return found


COMMENTS = comments()


def leaves(values, path=""):
    """Yield every key that holds a value, down to the keys that a comment describes."""
    for key, value in values.items():
        here = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict) and here not in COMMENTS:
            yield from leaves(value, here)
        else:
            yield here, value


def schema_of(path):
    node = SCHEMA
    for key in path.split("."):
        node = node["properties"][key]
    return node


def described(node, path=""):
    """Yield the schema's properties down to those that carry a description."""
    for key, child in node.get("properties", {}).items():
        here = f"{path}.{key}".lstrip(".")
        if "description" in child:
            yield here, child["description"]
        else:
            yield from described(child, here)


def objects(node):
    """Yield every part of the schema that describes an object."""
    if isinstance(node, dict):
        if node.get("type") == "object":
            yield node
        for child in node.values():
            yield from objects(child)


def test_every_value_has_a_comment():
    assert {path for path, _ in leaves(VALUES)} == set(COMMENTS)


def test_the_schema_knows_exactly_the_values_and_says_the_same_of_them():
    known = {path: text for path, text in described(SCHEMA) if path not in ("global", "enabled")}
    assert {path: text for path, text in known.items() if path in COMMENTS} == COMMENTS
    assert {*known} - {*COMMENTS} <= {f"exampleModel.{key}" for key in charts.VALUES}, (
        "an example model may be left out"
    )


def test_no_object_of_the_schema_takes_unknown_keys():
    kubernetes_own = [schema_of("exampleModel.affinity")["properties"][key] for key in ("nodeAffinity", "podAffinity")]
    free = [node for node in objects(SCHEMA) if "additionalProperties" not in node]
    assert all(node == {"type": "object"} for node in kubernetes_own)
    assert all(node == {"type": "object"} or node is SCHEMA["properties"]["global"] for node in free)
    below = ("exampleModel.predictor", "exampleModel.model", "canary.analysis.prometheus", "monitoring.endpoint")
    passed_through = [node for path in below for node in objects(schema_of(path))]
    kubernetes_own += [schema_of(f"exampleModel.{key}") for key in ("securityContext", "podSecurityContext")]
    kubernetes_own += [schema_of("exampleModel.topologySpread")["items"]]
    passed_through += [schema_of("exampleModel.resources")["properties"]["claims"]["items"], *kubernetes_own]
    taking_any = [node for node in objects(SCHEMA) if node.get("additionalProperties") is True]
    assert all(any(node is passed for passed in passed_through) for node in taking_any)


def test_the_readme_lists_every_value_with_its_default():
    table = README.partition("<!-- values -->")[2].partition("<!-- /values -->")[0]
    rows = re.findall(r"^\| `([\w.]+)` \| `(.+?)` \| (.+) \|$", table, re.MULTILINE)
    listed = {path: (json.loads(default), text) for path, default, text in rows if path in COMMENTS}
    assert listed == {path: (value, COMMENTS[path]) for path, value in leaves(VALUES)}


EXAMPLES = re.compile(r"^```yaml\n(.+?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES.findall(README) + EXAMPLES.findall((ROOT / "docs/chart.md").read_text()))
def test_an_example_of_the_docs_is_accepted(chart, example):
    chart.render(yaml.safe_load(example))


def test_the_readme_has_the_rule_that_the_stack_gives_the_metrics_adapter():
    (rule,) = re.findall(r"^```text\n(rules:\n.+?)^```", README, re.MULTILINE | re.DOTALL)
    assert yaml.safe_load(rule) == prometheus_adapter.RULES


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_an_environment_sets_only_what_differs(env):
    own = yaml.safe_load((CHART / "values" / f"{env}.yaml").read_text())

    def same(overlay, base, path=""):
        for key, value in overlay.items():
            here = f"{path}.{key}".lstrip(".")
            if isinstance(value, dict) and isinstance(base.get(key), dict):
                yield from same(value, base[key], here)
            elif value == base.get(key):
                yield here

    assert list(same(own, VALUES)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("features.kserv", True),
        ("exampleModel.storageURI", "gs://bucket/model"),
        ("slo.latency.p95Thresold", 0.5),
        ("exampleModel.resources.limit", {}),
        ("exampleModel.knownAnswer.tolerance", 0.1),
        ("canary.analysis.sucessRate", 0.9),
        ("monitor", {}),
    ],
)
def test_an_unknown_key_is_refused_by_name(chart, path, value):
    assert f"'{path.rpartition('.')[2]}' not allowed" in chart.refusal(nested(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("features.kserve", "yes"),
        ("features.autoscaling", 1),
        ("exampleModel.name", "Iris"),
        ("exampleModel.name", "i" * 46),
        ("exampleModel.name", 'x";echo${IFS}pwned;#'),
        ("exampleModel.storageUri", "models/iris"),
        ("exampleModel.storageUri", 1),
        ("exampleModel.replicas", 0),
        ("exampleModel.resources.limits.memory", "1 GB"),
        ("exampleModel.knownAnswer.protocol", "grpc"),
        ("exampleModel.knownAnswer.path", "predict"),
        ("exampleModel.knownAnswer.request", "text"),
        ("exampleModel.knownAnswer.at", "predictions"),
        ("exampleModel.knownAnswer.at", "$.predictions[-1]"),
        ("exampleModel.knownAnswer.at", "$.predictions[*]"),
        ("exampleModel.knownAnswer.at", "$..predictions"),
        ("exampleModel.knownAnswer.at", "$.predictions[0:2]"),
        ("exampleModel.knownAnswer.at", "$.predictions[?(@.a)]"),
        ("exampleModel.knownAnswer.at", "$.class-name"),
        ("exampleModel.knownAnswer.at", "$['a\\b']"),
        ("exampleModel.knownAnswer.expected", []),
        ("exampleModel.knownAnswer.expected", {"label": 1}),
        ("exampleModel.knownAnswer.expected", [[1]]),
        ("exampleModel.knownAnswer.absolute", -1),
        ("exampleModel.knownAnswer.relative", "0.1"),
        ("exampleModel.protocolVersion", "v3"),
        ("exampleModel.port", 0),
        ("exampleModel.args", "--verbose"),
        ("exampleModel.env", [{"value": "1"}]),
        ("exampleModel.imagePullSecrets", ["registry"]),
        ("exampleModel.probes.readinessPath", "ready"),
        ("exampleModel.metricsPath", "metrics"),
        ("canary.steps", []),
        ("canary.steps", [{"weight": 120}]),
        ("canary.steps", [{"pause": "20s"}]),
        ("canary.steps", [{"weight": 20, "pause": 20}]),
        ("canary.analysis.window", "soon"),
        ("canary.analysis.errorBudgetBurn", 0),
        ("canary.analysis.latencyIncrease", -1),
        ("canary.analysis.minRequests", 1.5),
        ("slo.latency.p95Threshold", "fast"),
        ("slo.latency.p95Threshold", "0.0"),
        ("slo.availability.target", 1),
        ("slo.availability.target", "1.0"),
        ("canary.steps", [{"weight": 20, "analysis": {"successRate": "99"}}]),
        ("autoscaling.cpu", "much"),
        ("autoscaling.minReplicas", 1.5),
        ("monitoring.prometheusAddress", "prometheus:9090"),
        ("monitoring.runbookBase", "docs/runbooks"),
        ("monitoring.alerts.labels", {"our-team": "fraud"}),
        ("monitoring.alerts.severity.page", ""),
        ("monitoring.dashboards.grafanaAddress", "grafana"),
        ("networkPolicy.clientNamespaces", "frontend"),
        ("virtualService.hosts", ["https://iris.example.com"]),
        ("virtualService.gateways", ["mesh"]),
        ("exampleModel.longestAnswerSeconds", 30),
        ("exampleModel.model.readinessProbe.httpGet", "x"),
        ("exampleModel.model.livenessProbe.exec", ["x"]),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_key(chart, path, value):
    assert f"/{path.replace('.', '/')}" in chart.refusal(nested(path, value))


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """How to render the chart without an example model, and without the tests' own."""
    folder = tmp_path_factory.mktemp("bare") / "chart"
    charts.copy(folder)
    charts.without_example(folder)
    return {"folder": folder, "model": "/dev/null"}


@pytest.mark.parametrize("key", charts.VALUES)
def test_a_value_that_neither_chart_nor_user_has_is_refused_by_its_name(chart, bare, key):
    values = {name: value for name, value in charts.VALUES.items() if name != key}
    said = chart.refusal({"exampleModel": values}, **bare)
    assert f"at '/exampleModel': missing property '{key}'" in said


def test_no_model_needs_no_value(chart, bare):
    assert chart.render({"exampleModel": {"enabled": False}}, **bare) == {}


def test_a_container_of_its_own_needs_no_model(chart, bare):
    own = {"name": "mine", "runtime": "", "image": "me/mine:1"}
    predictor = chart.render({"exampleModel": own}, **bare)["InferenceService", "mine"]["spec"]["predictor"]
    assert predictor["containers"][0]["image"] == "me/mine:1"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"enabled": False}, ["enabled is read by Helm alone", "exampleModel.enabled"]),
        ({"exampleModel": {"storageUri": ""}}, ["exampleModel.storageUri is empty", "exampleModel.enabled"]),
        (
            {"slo": {"latency": {"p95Threshold": 2, "p99Threshold": 1.5}}},
            ["slo.latency.p95Threshold (2)", "slo.latency.p99Threshold (1.5)"],
        ),
        ({"exampleModel": {"drainSeconds": 30}}, ["exampleModel.drainSeconds (30)", "terminationGracePeriodSeconds"]),
        (
            {"autoscaling": {"minReplicas": 9, "maxReplicas": 3}},
            ["autoscaling.minReplicas (9)", "autoscaling.maxReplicas (3)"],
        ),
        (
            {"canary": {"steps": [{"weight": 50, "pause": "5m"}, {"weight": 20, "pause": "5m"}]}},
            ["canary.steps[1].weight (20)", "ascending"],
        ),
        (
            {"canary": {"steps": [{"weight": 50, "pause": "5m"}, {"weight": 50}]}},
            ["canary.steps[1].weight (50)", "ascending"],
        ),
        ({"canary": {"maxSurge": 1}}, ["canary.maxSurge (1) does not change a canary", "canary.steps", "remove it"]),
        ({"canary": {"maxSurge": "25%", "maxUnavailable": 0}}, ["canary.maxSurge (25%) does not change a canary"]),
        ({"canary": {"maxUnavailable": "100%"}}, ["canary.maxUnavailable (100%) does not change a canary"]),
        (
            {"canary": {"analysis": {"successRate": 0.99}}},
            ["canary.analysis.successRate (0.99) is no longer known: write canary.analysis.errorBudgetBurn"],
        ),
        (
            {"canary": {"analysis": {"inconclusiveLimit": 2}}},
            ["canary.analysis.inconclusiveLimit (2) is no longer known: write canary.analysis.noDataLimit"],
        ),
        ({"canary": {"analysis": {"fromStep": 3}}}, ["canary.analysis.fromStep (3)", "2 canary.steps"]),
        ({"canary": {"analysis": {"window": "20s"}}}, ["canary.analysis.window (20s)", "monitoring.scrapeInterval"]),
        (
            {"canary": {"steps": [{"weight": 20, "pause": "10s"}, {"weight": 50, "pause": "10s"}]}},
            ["only after 50 s", "end after 20 s", "lengthen canary.steps' pauses"],
        ),
        (
            {"canary": {"analysis": {"errorBudgetBurn": 1000}}},
            ["canary.analysis.errorBudgetBurn (1000)", "slo.availability.target", "every request"],
        ),
        ({"canary": {"analysis": {"fromStep": 2, "interval": "1m"}}}, ["only after 150 s", "end after 60 s"]),
        ({"exampleModel": {"runtime": "", "image": ""}}, ["exampleModel.runtime", "exampleModel.image", "both empty"]),
        (
            {"exampleModel": {"runtime": "triton", "digest": DIGEST}},
            ["exampleModel.runtime is triton", "kserve-lgbserver", "exampleModel.command", "exampleModel.digest needs"],
        ),
        (
            {"exampleModel": {"runtime": "", "image": "me/mine:1", "digest": DIGEST}},
            ["exampleModel.digest needs exampleModel.command with a container of your own"],
        ),
        (
            {"exampleModel": {"runtime": "", "image": "me/mine:1", "storageUri": "", "digest": DIGEST}},
            ["exampleModel.digest is set, but exampleModel.storageUri is empty"],
        ),
        (
            {
                "exampleModel": {
                    "runtime": "",
                    "image": "me/mine:1",
                    "env": [{"name": "STORAGE_URI", "value": "s3://a/b"}],
                }
            },
            ["exampleModel.env[0] sets STORAGE_URI", "exampleModel.storageUri"],
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused_with_what_to_change(chart, values, words):
    message = chart.refusal(values)
    assert all(word in message for word in words), message


def without(key):
    return {name: value for name, value in KNOWN_ANSWER.items() if name != key}


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({"instances": [[1]], "predictions": [0]}, ["instances is no longer known: write protocol: v1, request:"]),
        ({**KNOWN_ANSWER, "agreement": 0.8}, ["agreement is no longer known"]),
        *((without(key), [f"knownAnswer has no {key}: add it"]) for key in KNOWN_ANSWER),
        ({**KNOWN_ANSWER, "protocol": "json"}, ["path is missing", "protocol json"]),
        ({**KNOWN_ANSWER, "protocol": "v2"}, ["request has no inputs, which protocol v2"]),
        ({**KNOWN_ANSWER, "request": {"inputs_": []}}, ["request has no instances, which protocol v1"]),
        ({**KNOWN_ANSWER, "request": [1]}, ["request has no instances, which protocol v1"]),
        ({**KNOWN_ANSWER, "expected": 2**53 + 1}, ["expected has 9007199254740992, which Argo Rollouts cannot tell"]),
        ({**KNOWN_ANSWER, "expected": [1, -(10**18)]}, ["expected has -1000000000000000000, which Argo Rollouts"]),
        ({**KNOWN_ANSWER, "absolute": 0.1}, ["absolute is a tolerance for numbers", "expected has none"]),
        ({**KNOWN_ANSWER, "expected": [True], "relative": 0.1}, ["relative is a tolerance for numbers"]),
    ],
)
@pytest.mark.parametrize("features", [{}, {"sloMonitoring": False}, {"kserve": False}], ids=["all", "no slo", "none"])
def test_a_known_answer_that_cannot_be_asked_is_refused_in_one_line(chart, known, words, features):
    message = chart.refusal({"features": features, "exampleModel": {"knownAnswer": known}})
    assert len(message.strip().splitlines()) <= 3, message
    assert all(word in message for word in words), message


@pytest.mark.parametrize(
    "values",
    [
        # Each would contradict something that is switched off.
        {"features": {"autoscaling": False}, "autoscaling": {"minReplicas": 9, "maxReplicas": 3}},
        {"features": {"canaryDeployment": False}, "canary": {"maxSurge": 0}},
        {"features": {"sloMonitoring": False}, "canary": {"steps": [{"weight": 20, "pause": "1s"}]}},
        {"exampleModel": {"enabled": False, "storageUri": ""}},
        # A step that waits for a person leaves the analysis all the time it needs.
        {"canary": {"steps": [{"weight": 20, "pause": "5s"}, {"weight": 50}]}},
        # `--set` hands over fractions as strings.
        {"slo": {"latency": {"p95Threshold": "0.3", "p99Threshold": "1.0"}, "availability": {"target": "0.99"}}},
        {"canary": {"steps": [{"weight": 20, "pause": "5m", "analysis": {"successRate": "1.0"}}]}},
        # Free forms that Kubernetes knows.
        {"autoscaling": {"cpu": 0.5}, "podDisruptionBudget": {"maxUnavailable": "10%"}},
        {"global": {"anything": 1}},
        # A tolerance of 0 is none.
        {"exampleModel": {"knownAnswer": {**KNOWN_ANSWER, "absolute": 0, "relative": 0.0}}},
        {"exampleModel": {"knownAnswer": {**KNOWN_ANSWER, "request": {"inputs": [[1]]}}}},
        # What a runtime of one's own may be called, and a container that brings its model along.
        {"exampleModel": {"runtime": "triton", "modelFormat": "vLLM", "digest": DIGEST, "command": ["serve"]}},
        {"exampleModel": {"runtime": "", "image": "me/mine:1", "storageUri": ""}},
    ],
)
def test_what_is_no_contradiction_is_accepted(chart, values):
    chart.render(values)
