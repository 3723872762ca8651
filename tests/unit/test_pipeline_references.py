"""Each link between the chart's objects, broken once: the finding names the object and what it should point at."""

import copy
import functools
import itertools
import json
import re
from pathlib import Path

import pytest

from ci.base.errors import CheckFailedError
from ci.base.paths import CHART, ROOT
from ci.manifests import dashboards, manifests, references
from ci.manifests.chart import Chart


@pytest.fixture(scope="module")
def rendered(chart):
    result = chart.template(env="dev")
    assert result.returncode == 0, result.stderr
    templates = {
        str(file.relative_to(CHART)): file.read_text() for file in (CHART / "templates").rglob("*") if file.is_file()
    }
    return manifests.parse(result.stdout, templates, str(CHART.relative_to(ROOT)))


@pytest.fixture(scope="module")
def check(read):
    return lambda objects: references.check(objects, read(references.expressions(objects)))


def test_an_account_that_is_there_already_is_not_looked_for(chart, check):
    text = chart.template({"exampleModel": {"predictor": {"serviceAccountName": "models"}}}).stdout
    assert check(manifests.parse(text, {}, "chart")) == []


def broken(rendered, kind, path, value, name=None):
    """Return the objects with one value changed, or taken away if it is None."""
    changed = []
    done = False
    for manifest in rendered:
        data = copy.deepcopy(manifest.data)
        if manifest.kind == kind and (name is None or manifest.name.endswith(name)):
            *parents, last = path
            holder = data
            for part in parents:
                holder = holder[part]
            if value is None:
                del holder[last]
            else:
                holder[last] = value
            done = True
        changed.append(manifests.Manifest(data, manifest.text, manifest.file, manifest.template))
    assert done, f"there is no {kind} to break"
    return changed


CANARY = ("spec", "strategy", "canary")
VIRTUAL = (*CANARY, "trafficRouting", "istio", "virtualService")
PRIMARY = ("spec", "http", 0)
SERVER = "serving.kserve.io"

BROKEN = {
    "workloadRef": ("Rollout", ("spec", "workloadRef", "name"), "other", "names Deployment other"),
    "workloadRef kind": ("Rollout", ("spec", "workloadRef", "kind"), "StatefulSet", "names StatefulSet"),
    "minReplicas": ("InferenceService", ("spec", "predictor", "minReplicas"), 2, "would keep pods of its own"),
    "autoscalerClass": (
        "InferenceService",
        ("metadata", "annotations", f"{SERVER}/autoscalerClass"),
        "hpa",
        "KServe would scale",
    ),
    "deploymentMode": (
        "InferenceService",
        ("metadata", "annotations", f"{SERVER}/deploymentMode"),
        "Knative",
        "makes no Deployment",
    ),
    "the InferenceService's name": ("InferenceService", ("metadata", "name"), "iris", "names Deployment sklearn-iris"),
    "service account": ("InferenceService", ("spec", "predictor", "serviceAccountName"), "x", "ServiceAccount x"),
    "stableService": ("Rollout", (*CANARY, "stableService"), "nope", "stableService names Service nope"),
    "no stableService": ("Rollout", (*CANARY, "stableService"), None, "needs a stableService"),
    "KServe's own Service": (
        "Rollout",
        (*CANARY, "canaryService"),
        "sklearn-iris-predictor",
        "which the chart does not render",
    ),
    "one Service twice": (
        "Rollout",
        (*CANARY, "canaryService"),
        "sklearn-iris-predictor-stable",
        "are both sklearn-iris-predictor-stable",
    ),
    "VirtualService": ("Rollout", (*VIRTUAL, "name"), "nope", "names VirtualService nope"),
    "route": ("Rollout", (*VIRTUAL, "routes"), ["secondary"], "no http route named secondary"),
    "the route's name": ("VirtualService", (*PRIMARY, "name"), "main", "no http route named primary"),
    "the route's destinations": (
        "VirtualService",
        (*PRIMARY, "route", 1, "destination", "host"),
        "sklearn-iris-predictor-metrics",
        "has no destination sklearn-iris-predictor-canary",
    ),
    "weights": ("VirtualService", (*PRIMARY, "route", 0, "weight"), 90, "add up to 90"),
    "host": ("VirtualService", ("spec", "hosts"), ["nope"], "nope is no Service"),
    "destination": ("VirtualService", (*PRIMARY, "route", 0, "destination", "host"), "nope", "nope is no Service"),
    "destination's port": (
        "VirtualService",
        (*PRIMARY, "route", 0, "destination", "port", "number"),
        8080,
        "has no port 8080",
    ),
    "AnalysisTemplate": (
        "Rollout",
        (*CANARY, "analysis", "templates", 0, "templateName"),
        "nope",
        "AnalysisTemplate nope is not rendered",
    ),
    "argument not given": ("Rollout", (*CANARY, "analysis", "args"), [], "argument revision"),
    "argument not asked for": (
        "Rollout",
        (*CANARY, "analysis", "args", 0, "name"),
        "hash",
        "argument hash is asked for by none",
    ),
    "argument not declared": ("AnalysisTemplate", ("spec", "args"), [], "uses args.revision"),
    "argument not used": (
        "AnalysisTemplate",
        ("spec", "args"),
        [{"name": "revision"}, {"name": "spare", "value": "1"}],
        "argument spare is used by no metric",
    ),
    "metric twice": ("AnalysisTemplate", ("spec", "metrics", 1, "name"), "requests", "is there twice"),
    "dry run": ("AnalysisTemplate", ("spec", "dryRun"), [{"metricName": "nope"}], "dryRun names metric nope"),
    "starting step": ("Rollout", (*CANARY, "analysis", "startingStep"), 9, "it never starts"),
    "HPA target": ("HorizontalPodAutoscaler", ("spec", "scaleTargetRef", "name"), "nope", "names Rollout nope"),
    "HPA target's kind": (
        "HorizontalPodAutoscaler",
        ("spec", "scaleTargetRef"),
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "sklearn-iris-predictor"},
        "whose pods Rollout sklearn-iris-predictor owns",
    ),
    "HPA target's API": (
        "HorizontalPodAutoscaler",
        ("spec", "scaleTargetRef", "apiVersion"),
        "apps/v1",
        "is of argoproj.io/v1alpha1",
    ),
    "HPA container": (
        "HorizontalPodAutoscaler",
        ("spec", "metrics", 0, "containerResource", "container"),
        "model",
        "have no container model",
    ),
    "two owners of replicas": ("Rollout", ("spec", "replicas"), 3, "replicas is set"),
    "ServiceMonitor's selector": (
        "ServiceMonitor",
        ("spec", "selector", "matchLabels"),
        {"a": "b"},
        "matches no Service",
    ),
    "ServiceMonitor's port": ("ServiceMonitor", ("spec", "endpoints", 0, "port"), "metrics", "no port named metrics"),
    "pods counted twice": (
        "ServiceMonitor",
        ("spec", "selector", "matchLabels"),
        {"app.kubernetes.io/name": "ml-serving"},
        "which have the same pods",
    ),
    "PodDisruptionBudget": (
        "PodDisruptionBudget",
        ("spec", "selector", "matchLabels"),
        {"app": "nope"},
        "means no pods",
    ),
    "recorded series": (
        "PrometheusRule",
        ("spec", "groups", 0, "rules", 0, "expr"),
        "rate(inference_requests_total[5m])",
        "series inference_requests_total",
    ),
    "alert on a series of old": (
        "PrometheusRule",
        ("spec", "groups", 1, "rules", 0, "expr"),
        'sli:inference_failures:5m{model="a"} > 1',
        "series sli:inference_failures:5m",
    ),
    "a range": ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "expr"), "up[5m]", "a range vector, and no"),
    "a string": ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "expr"), '"up"', "a string, and no"),
    "a measured range": (
        "AnalysisTemplate",
        ("spec", "metrics", 0, "provider", "prometheus", "query"),
        "up[5m:1m]",
        "a range vector, and no",
    ),
    "no PromQL": ("PrometheusRule", ("spec", "groups", 0, "rules", 0, "expr"), "sum(up", "no PromQL"),
    "analysis query": (
        "AnalysisTemplate",
        ("spec", "metrics", 0, "provider", "prometheus", "query"),
        'rate(requests_total{revision="{{args.revision}}"}[1m])',
        "series requests_total",
    ),
    "relabelling": (
        "ServiceMonitor",
        ("spec", "endpoints", 0, "metricRelabelings", 0, "replacement"),
        "requests",
        "series inference_request_total",
    ),
    "relabelling of the histogram": (
        "ServiceMonitor",
        ("spec", "endpoints", 0, "metricRelabelings", 1, "regex"),
        r"envoy_cluster_upstream_rq_time_(sum|count);inbound\|8080\|\|;?",
        "series inference_request_duration_milliseconds_bucket",
    ),
}


def test_the_chart_as_it_is_has_no_broken_link(rendered, check):
    assert check(rendered) == []


@pytest.mark.parametrize("link", BROKEN)
def test_each_broken_link_is_found(rendered, link, check):
    kind, path, value, expected = BROKEN[link]
    findings = check(broken(rendered, kind, path, value))
    matching = [finding for finding in findings if expected in finding.message]
    assert matching, "\n".join(finding.message for finding in findings) or "nothing was found"
    assert all(finding.remedy and finding.file.startswith("helm/charts/ml-serving/") for finding in matching)


def test_a_selector_that_misses_the_pods_is_found(rendered, check):
    findings = check(broken(rendered, "Service", ("spec", "selector"), {"app": "nope"}, name="-metrics"))
    assert any("its selector means no pods" in finding.message for finding in findings)


def beside(rendered, kind, **changed):
    """Return the objects with a second one of a kind, which differs from the chart's in some fields of its spec."""
    (own,) = (manifest for manifest in rendered if manifest.kind == kind)
    spec = {key: value for key, value in {**own.data["spec"], **changed}.items() if value is not None}
    data = {**own.data, "metadata": {"name": "second"}, "spec": spec}
    return [*rendered, manifests.Manifest(data, "", "charts/x.yaml", f"kind: {kind}\nspec:\n")]


HTTP = [{"name": "all", "route": [{"destination": {"host": "sklearn-iris-predictor-stable", "port": {"number": 80}}}]}]
ADMIN = [{**HTTP[0], "match": [{"uri": {"prefix": "/admin"}}]}]
OWN_GATEWAY = {"gateways": ["edge/public"], "hosts": ["iris.example.com"]}


@pytest.mark.parametrize(
    ("kind", "changed", "said"),
    [
        ("HorizontalPodAutoscaler", {"maxReplicas": 2}, "Rollout sklearn-iris-predictor as well, and two that do stop"),
        ("PodDisruptionBudget", {"maxUnavailable": 2}, "none that has two budgets can be evicted"),
        (
            "PodDisruptionBudget",
            {"selector": {"matchLabels": {"serving.kserve.io/inferenceservice": "sklearn-iris"}}},
            "none that has two budgets can be evicted",
        ),
        ("VirtualService", {"http": HTTP}, "is for sklearn-iris-predictor as well, and the one that was made first"),
        ("VirtualService", {"http": ADMIN}, "is for sklearn-iris-predictor as well, and the one that was made first"),
    ],
)
def test_a_second_object_that_does_the_same_is_found_with_the_first(rendered, check, kind, changed, said):
    (finding,) = check(beside(rendered, kind, **changed))
    assert said in finding.message
    assert finding.message.startswith(f"{kind} second: {kind} sklearn-iris")
    assert re.search(r"\(helm/charts/ml-serving/templates/\w+\.yaml:\d+\)", finding.message)
    assert finding.place == "charts/x.yaml:2"


@pytest.mark.parametrize(
    ("kind", "changed"),
    [
        ("VirtualService", {**OWN_GATEWAY, "http": HTTP}),
        ("VirtualService", {"gateways": ["edge/public"], "http": HTTP}),
    ],
)
def test_one_of_another_host_or_gateway_is_no_second_one(rendered, check, kind, changed):
    assert check(beside(rendered, kind, **changed)) == []


def test_kedas_autoscaler_of_what_another_scales_is_found(rendered, check):
    (own,) = (manifest for manifest in rendered if manifest.kind == "HorizontalPodAutoscaler")
    data = {
        "kind": "ScaledObject",
        "metadata": {"name": "keda"},
        "spec": {"scaleTargetRef": own.data["spec"]["scaleTargetRef"]},
    }
    (finding,) = check([*rendered, manifests.Manifest(data, "", "charts/x.yaml")])
    assert "scales Rollout sklearn-iris-predictor as well" in finding.message


@pytest.mark.parametrize(("http", "found"), [(HTTP, 1), (ADMIN, 0)])
def test_a_gateway_joins_two_of_a_host_where_one_takes_all(rendered, check, http, found):
    first = beside(rendered, "VirtualService", **OWN_GATEWAY, http=HTTP)
    second = manifests.Manifest({**first[-1].data, "spec": {**OWN_GATEWAY, "http": http}}, "", "charts/y.yaml")
    said = [finding for finding in check([*first, second]) if "iris.example.com as well" in finding.message]
    assert len(said) == found


def test_a_switched_service_with_a_selector_of_its_own_must_mean_the_rollouts_pods(rendered, check):
    findings = check(broken(rendered, "Service", ("spec", "selector"), {"app": "nope"}, name="-canary"))
    assert any("does not mean the pods of Rollout" in finding.message for finding in findings)


def test_a_finding_stands_at_the_key_in_the_template(rendered, check):
    changed = broken(rendered, "Rollout", (*CANARY, "stableService"), "nope")
    finding = next(item for item in check(changed) if "stableService names" in item.message)
    line = (ROOT / finding.file).read_text().splitlines()[finding.line - 1]
    assert line.strip().startswith("stableService:")


def test_what_only_helm_can_read_is_one_clear_line():
    with pytest.raises(CheckFailedError, match=r"chart/templates/x\.yaml: .*"):
        manifests.parse("# Source: c/templates/x.yaml\nkind: A\nvalue: .inf\n", {}, "chart")


def test_the_objects_of_a_list_are_seen_one_by_one():
    items = "items:\n- {kind: A, metadata: {name: x}}\n- {kind: A, metadata: {name: z}}\n"
    one, other = manifests.parse(f"# Source: c/templates/x.yaml\nkind: List\n{items}", {}, "chart")
    assert [(each.name, each.index, each.siblings) for each in (one, other)] == [("x", 0, 2), ("z", 1, 2)]
    assert json.loads(one.text) == one.data


def test_an_object_of_another_shape_is_no_crash(rendered, check):
    for kind in ("Rollout", "VirtualService", "AnalysisTemplate", "HorizontalPodAutoscaler", "ServiceMonitor"):
        for value in ("text", 3, ["a"], {"http": "x", "metrics": {"a": 1}, "endpoints": "y", "selector": [1]}):
            check(broken(rendered, kind, ("spec",), value))


FLAGS = ("kserve", "canaryDeployment", "sloMonitoring", "autoscaling")


@pytest.mark.parametrize("on", list(itertools.product((True, False), repeat=len(FLAGS))), ids=str)
def test_no_combination_of_flags_leaves_a_link_dangling(chart, on, check):
    result = chart.template({"features": dict(zip(FLAGS, on, strict=True))})
    assert result.returncode == 0, result.stderr
    assert check(manifests.parse(result.stdout, {}, "chart")) == []


def with_dashboard(rendered, change):
    """Return the objects with the text of the canary's dashboard changed."""
    (config_map,) = [item for item in rendered if item.name.endswith("-dashboard-canary")]
    ((key, text),) = config_map.data["data"].items()
    return broken(rendered, "ConfigMap", ("data", key), change(text), name="-dashboard-canary")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("(rate(inference_request_total", "(rate(inference_requests_total", "series inference_requests_total"),
        ("label_values(inference_request_total,", "label_values(requests_total,", "variable namespace: series"),
        ("sum by (revision) (up", "sum by (revision) up", "panel Pods by revision: no PromQL"),
        ('"schemaVersion": 39,', '"schemaVersion": 39', "no JSON"),
    ],
)
def test_a_dashboard_that_shows_nothing_is_found_at_its_line(rendered, old, new, expected, check):
    (finding,) = check(with_dashboard(rendered, lambda text: text.replace(old, new, 1)))
    assert expected in finding.message
    assert finding.file == "helm/charts/ml-serving/dashboards/canary.json"
    lines = (ROOT / finding.file).read_text().splitlines()
    # A comma is missed only where the next line begins.
    assert old in (lines[finding.line - 2] if expected == "no JSON" else lines[finding.line - 1])


def test_a_panel_in_a_folded_row_is_looked_at(rendered, check):
    row = '{"panels": [{"title": "row", "panels": [{"title": "a", "targets": [{"expr": "nope"}]}]}]}'
    (finding,) = check(with_dashboard(rendered, lambda _: row))
    assert finding.message.startswith("panel a: series nope")


NEITHER = "neither a list of `panels` (schema v1) nor `elements` (v2)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "JSON, but no object"),
        ('[{"panels": []}]', "JSON, but no object"),
        ("null", "JSON, but no object"),
        ("{}", NEITHER),
        ('{"panels": 3}', NEITHER),
        ('{"spec": {"elements": []}, "kind": "Dashboard"}', NEITHER),
        ('{"kind": "Dashboard", "spec": {"panels": {"a": {"kind": "Panel"}}}}', NEITHER),
        ('{"meta": {}, "dashboard": {"panels": []}}', "it has one under `dashboard`"),
        ('{"dashboard": {}, "overwrite": true}', "it has one under `dashboard`"),
        ('{"Dashboard": {"panels": []}}', "it has one under `Dashboard`"),
        ('{"type": "stat", "targets": [{"expr": "up"}]}', "a panel alone"),
        ('{"uid": "a", "kind": 1, "model": {"type": "stat"}}', "a panel alone"),
        ('{"gridPos": {}, "libraryPanel": {"uid": "a"}}', "a panel alone"),
    ],
)
def test_what_is_no_dashboard_is_told_with_its_file(rendered, text, said, check):
    (finding,) = check(with_dashboard(rendered, lambda _: text))

    assert finding.message == f"no dashboard: {said}" or finding.message.startswith(f"no dashboard: {said},")
    assert finding.place == "helm/charts/ml-serving/dashboards/canary.json"
    assert finding.severity == "error"


@pytest.mark.parametrize("text", ['{"panels": []}', '{"rows": []}', '{"elements": {}}', '{"spec": {"panels": []}}'])
def test_a_dashboard_without_a_panel_is_one(rendered, text, check):
    assert check(with_dashboard(rendered, lambda _: text)) == []


CONFIG_MAP = """\
kind: ConfigMap
metadata:
  name: own
  labels: {%s}
data:
  a.b: c
  %s: |
    %s
"""


def config_map(label, key, text):
    """Return a ConfigMap whose data stands in its template."""
    template = CONFIG_MAP % (label, key, text)
    return manifests.parse(f"# Source: c/templates/x.yaml\n{template}", {"templates/x.yaml": template}, "chart")


@pytest.mark.parametrize(
    ("key", "text", "said"),
    [
        ("a.json", "{}", f"no dashboard: {NEITHER}"),
        ("a.json", '{"panels": [}', "no JSON: Expecting value"),
        ("a.json", '{"panels": [{"title": "a", "targets": [{"expr": "nope"}]}]}', "panel a: series nope"),
    ],
)
def test_a_dashboard_in_a_template_is_told_at_its_key(key, text, said, check):
    found = check(config_map('grafana_dashboard: "1"', key, text))

    (finding,) = [each for each in found if "key a.b" not in each.message]
    assert finding.message.startswith(said)
    assert finding.place == "chart/templates/x.yaml:7"


@pytest.mark.parametrize("key", ["a.yaml", "a.yml", "a.JSON", "a"])
def test_a_dashboard_under_a_name_that_grafana_does_not_read_is_told(key, check):
    found = check(config_map('grafana_dashboard: "1"', key, "panels: []"))

    assert [each.message.split(":")[0] for each in found] == ["key a.b", f"key {key}"]
    assert [each.line for each in found] == [6, 7]


@pytest.mark.parametrize(
    ("label", "key"), [("app: x", "a.json"), ("app: x", "a.yaml"), ("app: x", "a.txt"), ("", "config.json")]
)
def test_json_and_yaml_of_other_purposes_are_left_alone(label, key, check):
    assert check(config_map(label, key, '{"port": 80}')) == []


def test_what_the_sidecar_downloads_is_left_alone(check):
    assert "key a.json.url" not in str(check(config_map('grafana_dashboard: "1"', "a.json.url", "http://x/y")))


@pytest.fixture
def own_chart(tmp_path):
    """Return a function that makes a chart of files under dashboards/ and a template that takes some."""

    def made(template, *names):
        for name, text in {"templates/x.yaml": template, **{f"dashboards/{name}": "{}" for name in names}}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return Chart(tmp_path, "chart")

    return made


OURS = '{{ range $path, $_ := .Files.Glob "dashboards/*.json" }}'


@pytest.mark.parametrize("name", ["a.yaml", "a.yml", "a.JSON", "more/a.json"])
def test_a_dashboard_that_no_template_takes_is_told(own_chart, name):
    (finding,) = dashboards.left_out(own_chart(OURS, "b.json", name))

    assert finding.place == f"chart/dashboards/{name}"
    assert finding.message == "no template takes it; of the dashboards they take dashboards/*.json"


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (OURS, "a.json"),
        (OURS, "README.md"),
        (OURS, "a.jsonnet"),
        ('{{ .Files.Glob "dashboards/**.json" }}', "more/a.json"),
        ('{{ .Files.Glob "dashboards/*.{json,yaml}" }}', "a.yaml"),
        ('{{ $.Files.Get "dashboards/more/a.json" }}', "more/a.json"),
        ("{{ .Files.Glob .Values.dashboards }}", "a.yaml"),
        ("", "a.yaml"),
    ],
)
def test_a_file_that_is_taken_or_no_dashboard_is_left_alone(own_chart, template, name):
    assert list(dashboards.left_out(own_chart(template, name))) == []


def test_the_charts_own_dashboards_are_all_taken():
    assert list(dashboards.left_out(Chart(CHART, "chart"))) == []
    assert dashboards.TAKEN.findall("".join(Chart(CHART, "chart").templates.values())) == ["dashboards/*.json"]


EXPORTED = sorted((Path(__file__).parent / "fixtures" / "dashboards").glob("*.json"))
GRAFANA = {file.stem: file.read_text() for file in EXPORTED}


@pytest.mark.parametrize("exported", GRAFANA)
def test_a_dashboard_as_grafana_exports_it_is_no_finding(rendered, exported, check):
    assert check(with_dashboard(rendered, lambda _: GRAFANA[exported])) == []


@pytest.mark.parametrize(
    ("exported", "around", "owner"),
    [
        ("grafana-9", "label_values(_, namespace", "variable namespace"),
        ("grafana-9", "label_values(_{namespace=~", "variable model"),
        ("grafana-9", "query_result(topk($top, sum by (pod) (rate(_{", "variable busy"),
        ("grafana-9", "sum by ($label) (rate(_{", "panel Requests"),
        ("grafana-9", "histogram_quantile($quantile, sum by (le) (rate(_{", "panel Latency"),
        ("grafana-10", '"_{alertstate', "annotation Alerts"),
        ("grafana-10", "changes(_{", "annotation Restarts"),
        ("grafana-10", "label_values(_,namespace", "variable namespace"),
        ("grafana-10", '"sum(rate(_{', "panel Errors a request"),
        ("grafana-11", '"_{namespace', "variable model"),
        ("grafana-11", '"_{model', "panel Availability"),
        ("grafana-11", "count by (pod) (_{", "panel Pods"),
        ("grafana-12", "sum by (revision) (rate(_{", "panel Requests"),
        ("grafana-12", "label_values(_, model", "variable model"),
        ("grafana-12", "label_values(_{model", "variable pod"),
        ("grafana-12", '"_{alertstate', "annotation Alerts"),
        ("grafana-12", '"_ == 0', "annotation Down"),
        ("grafana-12-v2alpha1", "count(_{", "panel Pods"),
        ("grafana-12-v2alpha1", "label_values(_, model", "variable model"),
    ],
)
def test_whatever_a_dashboard_asks_prometheus_is_looked_at(rendered, exported, around, owner, check):
    before, after = around.rsplit("_", 1)
    pattern = re.escape(before) + r"[\w:]+" + re.escape(after)
    text = re.sub(pattern, lambda _: f"{before}nope{after}", GRAFANA[exported])

    (finding,) = check(with_dashboard(rendered, lambda _: text))

    assert finding.message.startswith(f"{owner}: series nope: no rule records it")
    assert finding.severity == "error"
    assert finding.file.endswith("dashboards/canary.json")
    assert f"{before}nope{after}" in text.splitlines()[finding.line - 1]


@pytest.mark.parametrize(
    ("elsewhere", "known"),
    [
        (["node_.+"], True),
        (["up", "node_cpu_seconds_total"], True),
        (["node"], False),
        ([], False),
    ],
)
def test_a_series_that_the_project_says_is_there_may_be_read(rendered, read, elsewhere, known):
    asked = "sum (node_cpu_seconds_total"
    asks = with_dashboard(rendered, lambda text: text.replace("sum by (revision) (up", asked, 1))

    found = references.check(asks, read(references.expressions(asks)), elsewhere)

    assert len(found) == (0 if known else 1)
    assert all("say so in cluster.prometheus.series of ml-serving-ci.toml" in each.remedy for each in found)


SHARED = (Path(__file__).parent / "fixtures" / "dashboards" / "shared" / "grafana-11.json").read_text()
SOURCE_INPUT = '{"name": "DS_PROMETHEUS", "type": "datasource", "query": "prometheus"}'


def test_what_only_an_import_fills_in_is_told_of_an_export_for_sharing(rendered, check):
    found = check(with_dashboard(rendered, lambda _: SHARED))

    assert [each.message.partition(":")[0] for each in found] == ["input DS_PROMETHEUS", "input VAR_TARGET"]
    assert {each.severity for each in found} == {"error"}
    assert [SHARED.splitlines()[each.line].strip() for each in found] == [
        '"name": "DS_PROMETHEUS",',
        '"name": "VAR_TARGET",',
    ]
    assert SOURCE_INPUT in found[0].remedy
    assert found[1].remedy == "write 0.99 wherever ${VAR_TARGET} stands"


def test_an_export_for_sharing_whose_inputs_are_variables_or_unused_is_taken(rendered, check):
    variable = SHARED.replace('"list": [\n      {\n        "current"', f'"list": [{SOURCE_INPUT}, {{"current"', 1)
    assert variable != SHARED

    assert check(with_dashboard(rendered, lambda _: variable.replace("${VAR_TARGET}", "0.99"))) == []


def test_what_an_operator_may_import_is_not_judged_as_a_file(rendered, check):
    shared = with_dashboard(rendered, lambda _: SHARED)
    unlabelled = broken(shared, "ConfigMap", ("metadata", "labels"), {}, name="-dashboard-canary")

    assert check(unlabelled) == []


PROMETHEUS = {"type": "prometheus", "uid": "p"}
SOURCE = {"templating": {"list": [{"type": "datasource", "name": "source", "query": "prometheus"}]}}


def v1(kind, **item):
    """Return a dashboard of schema v1 with one variable, annotation or panel."""
    if kind == "panel":
        return {"panels": [{"title": "a", "datasource": PROMETHEUS, "targets": [item]}]}
    own = {"name": "a", "type": "query", "datasource": PROMETHEUS, **item}
    return {"panels": [], {"variable": "templating", "annotation": "annotations"}[kind]: {"list": [own]}}


def v2(kind, group="prometheus", **query):
    """Return a dashboard of schema v2 with one variable, annotation or panel."""
    asked = {"name": "a", "title": "a", "query": {"kind": "DataQuery", "group": group, "spec": query}}
    if kind == "panel":
        data = {"kind": "QueryGroup", "spec": {"queries": [{"kind": "PanelQuery", "spec": asked}]}}
        return {"elements": {"p": {"kind": "Panel", "spec": {"title": "a", "data": data}}}}
    kinds = {"variable": ("variables", "QueryVariable"), "annotation": ("annotations", "AnnotationQuery")}
    return {"elements": {}, kinds[kind][0]: [{"kind": kinds[kind][1], "spec": asked}]}


def of_dashboard(check, rendered, dashboard):
    return check(with_dashboard(rendered, lambda _: json.dumps(dashboard, indent="\t")))


@pytest.mark.parametrize(
    "dashboard",
    [
        v1("variable", query="label_values(up, pod"),
        v1("variable", query="label_values()"),
        v1("variable", query="metrics()"),
        v1("variable", query="query_result(up) by pod"),
        v1("variable", query=""),
        v1("variable", query={"qryType": 3, "varQuery": "up"}),
        v1("annotation", target={"refId": "Anno"}),
        v1("annotation", expr=3),
        v1("panel", refId="A", query="up"),
        v1("panel", refId="A", expr=["up"]),
        v1("panel", expr="up", datasource="metrics"),
        v1("panel", expr="up", datasource={"uid": "$source"}),
        {"panels": [{"title": "a", "targets": {"expr": "up"}}]},
        v2("variable", qryType=3),
        v2("annotation", expression="up"),
        v2("panel", refId="A", query="up"),
        {"elements": {"a": {"kind": "Chart", "spec": {}}}},
    ],
    ids=json.dumps,
)
def test_what_may_ask_prometheus_and_is_not_understood_is_a_warning_at_its_line(rendered, check, dashboard):
    (finding,) = of_dashboard(check, rendered, dashboard)

    assert finding.severity == "warning"
    assert " a: not understood, and not checked: " in finding.message
    assert finding.line > 1


@pytest.mark.parametrize(
    "dashboard",
    [
        v1("variable", query="label_names()"),
        v1("variable", query="label_names(up)"),
        v1("variable", query="label_values(pod)"),
        v1("variable", query='label_values({job="x, y"}, pod) '),
        v1("variable", query="metrics(.*)"),
        v1("variable", query="", definition="label_values(up, pod)"),
        v1("variable", query="nope", type="custom"),
        v1("variable", query="*", datasource={"type": "elasticsearch", "uid": "e"}),
        v1("annotation", builtIn=1, datasource=None),
        v1("annotation", datasource="-- Grafana --", tags=["a"]),
        v1("annotation", datasource={"type": "loki", "uid": "l"}, expr='{a="b"} |= `c`'),
        v1("panel", refId="A", hide=False),
        {"panels": [{"type": "text", "title": "a", "targets": [{"refId": "A", "expr": ""}]}]},
        v1("panel", expr="up", datasource=None),
        v1("panel", expr="sum by ([[label]]) (up)", datasource="$source") | SOURCE,
        v1("panel", expr="$aggregation(rate(inference_${what}_total[${minutes}m] offset $ago)) > $limit"),
        v1("panel", expr='{a="b"} |~ "c"', datasource={"uid": "${logs}"})
        | {"templating": {"list": [{"type": "datasource", "name": "logs", "query": "loki"}]}},
        v2("variable", "loki", label="app"),
        v2("annotation", "grafana", type="dashboard"),
        v2("panel", "loki", expr='{a="b"} |~ "c"'),
    ],
    ids=json.dumps,
)
def test_what_asks_for_no_series_or_somebody_else_is_left_alone(rendered, check, dashboard):
    assert of_dashboard(check, rendered, dashboard) == []


def nested(value, path=()):
    """Yield the way to everything in a value."""
    for part, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, part)
        yield from nested(item, (*path, part))


@pytest.mark.parametrize("exported", GRAFANA)
def test_a_dashboard_with_any_value_of_another_type_is_no_crash(exported):
    for path in nested(json.loads(GRAFANA[exported])):
        for value in ([], {}, 3, None, "text", [[1]], {"a": {"b": 1}}):
            dashboard = json.loads(GRAFANA[exported])
            *parents, last = path
            functools.reduce(lambda holder, part: holder[part], parents, dashboard)[last] = value
            for each in dashboards.asked(dashboard):
                dashboards.filled(each.query)


@pytest.mark.parametrize(
    ("query", "severity"),
    [
        ('up{pod="$pod"', "error"),
        ("sum by ($label) up", "error"),
        ("sum($metric)", "warning"),
        ("$query $n", "warning"),
    ],
)
def test_what_is_no_promql_only_by_what_a_variable_may_be_is_a_warning(rendered, check, query, severity):
    (finding,) = of_dashboard(check, rendered, v1("panel", expr=query))

    assert "panel a: no PromQL: " in finding.message
    assert finding.severity == severity


PANEL = re.compile(r'(?<="expr": ")(?:[^"\\]|\\.)*')
OWN = """\
kind: AnalysisTemplate
metadata: {name: own}
spec:
  metrics:
    - name: errors
      provider:
        prometheus:
          query: """


def promql(check, rendered, query):
    """Return what is said of an expression as a panel's and as an analysis query."""
    quoted = json.dumps(query)
    changed = with_dashboard(rendered, lambda text: PANEL.sub(lambda _: quoted[1:-1], text, count=1))
    own = manifests.parse(f"# Source: c/templates/x.yaml\n{OWN}{quoted}", {"templates/x.yaml": OWN + quoted}, "chart")
    return [finding for finding in check([*changed, *own]) if "no PromQL" in finding.message]


@pytest.mark.parametrize(
    "query",
    [
        # newer than many a parser of PromQL
        "rate(up[4m + 1m])",
        "rate(up[2 * 5m:1m] offset (1m + 30s))",
        "sum_over_time(up[step() * 5])",
        "rate(up[5m] anchored)",
        "increase(up[5m] smoothed)",
        "up * 1_000",
        # as ever
        "first_over_time(up[300])",
        '{"up"} or {__name__="up"}',
        'histogram_quantile(0.9, sum by (le) (rate(up{pod!~"a.*"}[5m] @ end()))) and on () absent(up)',
    ],
)
def test_what_the_pinned_prometheus_takes_is_promql(check, rendered, query):
    assert promql(check, rendered, query) == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sum(up", "1:7: parse error: unclosed left parenthesis"),
        ("up ==\n  0 0", '2:5: parse error: unexpected number "0"'),
        ("rate(up)", '1:6: parse error: expected type range vector in call to function "rate", got instant vector'),
        ("a.b", "1:2: parse error: unexpected character: '.'"),
        ("", "unknown position: parse error: no expression found in input"),
        # only with --enable-feature, which no Prometheus of the stack has
        ("limitk(2, up)", "1:1: parse error: limitk() is experimental and must be enabled"),
        ("info(up)", '1:1: parse error: function "info" is not enabled'),
        ("up + fill(0) up", "1:1: parse error: binop fill modifiers are experimental and not enabled"),
    ],
)
def test_what_it_does_not_take_is_told_in_its_words_at_the_key(check, rendered, query, said):
    template, panel = sorted(promql(check, rendered, query), key=lambda finding: finding.file)

    assert template.message.startswith(f"AnalysisTemplate own: no PromQL: {said}")
    assert template.place == "chart/templates/x.yaml:8"
    assert panel.message.startswith(f"panel Request rate by revision: no PromQL: {said}")
    assert '"expr":' in (ROOT / panel.file).read_text().splitlines()[panel.line - 1]


@pytest.mark.parametrize("argument", ["{{args.seconds}}", "{{ args.seconds }}"])
def test_an_argument_of_an_analysis_query_is_a_number_a_duration_or_a_part_of_a_string(check, rendered, argument):
    query = 'rate(up{pod="-X-"}[X]) > X or avg_over_time(up[Xm:X] @ X offset X)'.replace("X", argument)

    (of_the_panel,) = promql(check, rendered, query)

    assert of_the_panel.message.startswith("panel ")
