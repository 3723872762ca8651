"""The Grafana dashboards: what they ask, what a healthy model shows of it, and how they are laid out."""

import itertools
import json
import re
import subprocess

import pytest
import yaml

from ci.base.paths import CHART
from ci.checks import rules
from ci.manifests import dashboards, manifests

FILES = sorted((CHART / dashboards.FOLDER).glob("*.json"))
NAMES = [file.stem for file in FILES]
COLUMNS = 24
MODEL = {"namespace": "ml-serving", "model": "sklearn-iris"}


def parsed(chart, values=None, **options):
    """Return the dashboards by the name of their file."""
    found = {}
    for (kind, _), item in chart.render(values, **options).items():
        if kind == "ConfigMap":
            ((key, text),) = item["data"].items()
            found[key.split(".")[-2]] = json.loads(text)
    return found


@pytest.fixture(scope="module")
def rendered(chart):
    return parsed(chart)


@pytest.fixture(params=NAMES)
def dashboard(request, rendered):
    return rendered[request.param]


def queries(dashboard):
    return [(owner, dashboards.promql(text, MODEL)) for _, owner, text in dashboards.queries(dashboard)]


def unit(panel):
    return panel["options"]["yAxis"]["unit"] if panel["type"] == "heatmap" else panel["fieldConfig"]["defaults"]["unit"]


def test_there_is_a_config_map_for_each_file_that_the_sidecar_finds(chart):
    found = {name: item for (kind, name), item in chart.render().items() if kind == "ConfigMap"}
    assert found.keys() == {f"ml-serving-dashboard-{name}" for name in ("canary", "serving", "slo-overview")}
    for item in found.values():
        assert item["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert "annotations" not in item["metadata"]


def test_labels_and_annotations_are_the_values(chart):
    own = {"labels": {"grafana_dashboard": None, "team": "ml"}, "annotations": {"grafana_folder": "Models"}}
    for (kind, _), item in chart.render({"monitoring": {"dashboards": own}}).items():
        if kind == "ConfigMap":
            assert item["metadata"]["labels"].items() >= {"team": "ml"}.items()
            assert "grafana_dashboard" not in item["metadata"]["labels"]
            assert item["metadata"]["annotations"] == {"grafana_folder": "Models"}


@pytest.mark.parametrize(
    "values", [{"features": {"sloMonitoring": False}}, {"monitoring": {"dashboards": {"enabled": False}}}]
)
def test_switched_off_there_is_none(chart, values):
    assert not [kind for kind, _ in chart.render(values) if kind == "ConfigMap"]


def test_the_files_themselves_are_json():
    for file in FILES:
        json.loads(file.read_text())


@pytest.mark.parametrize("values", [{}, {"exampleModel": {"name": "wine"}}])
def test_every_word_that_the_chart_fills_in_is_filled_in(chart, values):
    for dashboard in parsed(chart, values).values():
        assert not re.search(r"@\w+@", json.dumps(dashboard))
        current = {item["name"]: item["current"].get("value") for item in dashboard["templating"]["list"]}
        assert current["namespace"] == "ml-serving"
        assert current["model"] == values.get("exampleModel", {}).get("name", "sklearn-iris")


def test_two_releases_share_no_uid_title_or_file(chart):
    def identities(release):
        """Return what Grafana and its sidecar tell dashboards apart by."""
        for (kind, _), item in chart.render(release=release).items():
            if kind == "ConfigMap":
                ((key, text),) = item["data"].items()
                dashboard = json.loads(text)
                yield from (key, dashboard["uid"], dashboard["title"])

    found = [*identities("iris"), *identities("wine.v2")]
    assert len(set(found)) == len(found) == 3 * 3 * 2


def test_grafana_accepts_and_keeps_it(dashboard):
    assert re.fullmatch(r"[a-z0-9-]{1,40}", dashboard["uid"])
    assert dashboard["schemaVersion"] >= 39
    assert dashboard["editable"] is False
    assert [item["name"] for item in dashboard["templating"]["list"]] == ["datasource", "namespace", "model"]
    assert "id" not in dashboard, "the number is one Grafana's own"


def test_each_panel_says_what_it_shows_and_in_which_unit(dashboard):
    panels = dashboard["panels"]
    assert 3 <= len(panels) <= 12
    for key in ("id", "title"):
        assert len({panel[key] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["title"]
        assert panel["description"]
        assert unit(panel)
        assert panel["targets"]
        for holder in (panel, *panel["targets"]):
            assert holder["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


def test_the_panels_lie_on_the_grid_side_by_side(dashboard):
    cells = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        own = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert own
        assert {column for column, _ in own} <= set(range(COLUMNS))
        assert not own & cells, panel["title"]
        cells |= own
    assert len(cells) == COLUMNS * (1 + max(row for _, row in cells)), "there is a hole"


def test_each_query_is_of_the_chosen_model_and_has_no_variable_left(dashboard):
    for owner, query in queries(dashboard):
        assert "$" not in query, owner
        selectors = re.findall(r"\{(.*?)\}", query)
        if owner.startswith("panel"):
            assert selectors
            assert all('namespace="ml-serving", model="sklearn-iris"' in selector for selector in selectors), owner


def test_the_model_servers_own_series_are_kept(chart, rendered, read):
    (keep,) = [
        re.compile(rule["regex"])
        for rule in chart.render()["ServiceMonitor", "sklearn-iris-predictor"]["spec"]["endpoints"][0][
            "metricRelabelings"
        ]
        if rule.get("action") == "keep"
    ]
    asked = read({query for item in rendered.values() for _, query in queries(item)})
    names = set().union(*(expression.names for expression in asked.values()))
    own = {name for name in names if name.startswith(("request_", "inference_"))}
    assert "request_predict_seconds_bucket" in own
    assert all(keep.fullmatch(name) for name in own)


SAMPLES = """
inference_request_total{pod="a-1", revision="a", response_code="200"} 0+100x480
inference_request_total{pod="b-1", revision="b", response_code="200"} 0+20x480
inference_request_duration_milliseconds_bucket{pod="a-1", revision="a", le="25"} 0+100x480
inference_request_duration_milliseconds_bucket{pod="a-1", revision="a", le="+Inf"} 0+100x480
inference_request_duration_milliseconds_bucket{pod="b-1", revision="b", le="25"} 0+20x480
inference_request_duration_milliseconds_bucket{pod="b-1", revision="b", le="+Inf"} 0+20x480
request_preprocess_seconds_sum{pod="a-1", revision="a"} 0+0.1x480
request_preprocess_seconds_count{pod="a-1", revision="a"} 0+100x480
request_predict_seconds_sum{pod="a-1", revision="a"} 0+1x480
request_predict_seconds_count{pod="a-1", revision="a"} 0+100x480
request_predict_seconds_bucket{pod="a-1", revision="a", le="0.025"} 0+100x480
request_predict_seconds_bucket{pod="a-1", revision="a", le="+Inf"} 0+100x480
request_postprocess_seconds_sum{pod="a-1", revision="a"} 0+0.1x480
request_postprocess_seconds_count{pod="a-1", revision="a"} 0+100x480
up{pod="a-1", revision="a"} 1x480
up{pod="b-1", revision="b"} 1x480
inference_rollout_info{phase="Completed"} 1x480
scrape_duration_seconds{pod="a-1", revision="a"} 0.01x480
"""
"""A model with two healthy revisions, scraped every 15 s for two hours."""
FAILING = 'inference_request_total{pod="b-1", revision="b", response_code="503"} 0+20x480\n'


@pytest.fixture
def ask(chart, promtool, tmp_path):
    """Check with Prometheus' own engine that expressions come to their values, without labels, after the samples."""

    def run(expressions, samples=SAMPLES):
        labels = ", ".join(f'{key}="{value}"' for key, value in {**MODEL, "service": "sklearn-iris-predictor"}.items())
        lines = [line.replace("{", f"{{{labels}, ", 1) for line in samples.strip().splitlines()]
        test = {
            "interval": "15s",
            "input_series": [
                dict(zip(("series", "values"), re.split(r"(?<=\}) ", line), strict=True)) for line in lines
            ],
            "promql_expr_test": [
                {"expr": expression, "eval_time": "2h", "exp_samples": [{"labels": "{}", "value": value}]}
                for expression, value in expressions
            ],
        }
        objects = manifests.parse(chart.template().stdout, {}, "chart")
        text = rules.text([manifest for manifest in objects if manifest.kind == "PrometheusRule"])
        (tmp_path / rules.RULES_FILE).write_text(text)
        suite = {"rule_files": [rules.RULES_FILE], "evaluation_interval": "1m", "tests": [test]}
        suite["group_eval_order"] = [f"sklearn-iris-{name}" for name in ("sli", "slo", "serving", "canary")]
        (tmp_path / "panels_test.yaml").write_text(yaml.safe_dump(suite))
        result = subprocess.run(
            [promtool, "test", "rules", "panels_test.yaml"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr

    return run


def figures(expression):
    """How many figures an expression gives; NaN, which Grafana shows as nothing, is none."""
    return f"count(({expression}) == ({expression}))"


@pytest.mark.parametrize("samples", [SAMPLES, SAMPLES + FAILING], ids=["healthy", "failing"])
def test_every_panel_shows_something(rendered, ask, samples):
    ask([(f"{figures(query)} > bool 0", 1) for item in rendered.values() for _, query in queries(item)], samples)


def of_panel(dashboard, title):
    """Return the first query of a panel."""
    return next(query for owner, query in queries(dashboard) if owner == f"panel {title}")


def test_what_is_shown_of_a_canary_that_fails_half_its_requests_is_true(rendered, ask):
    canary, overview = rendered["canary"], rendered["slo-overview"]
    codes = of_panel(canary, "5xx by revision and code")
    alerts = of_panel(overview, "Firing alerts over time")
    shown = [
        (f"sum({of_panel(canary, 'Success rate by revision')} == 0.5)", 0.5),
        (f"round(sum({of_panel(canary, 'Share of requests by revision')}), 0.001)", 1),
        (f"{figures(codes)}", 2),
        (f"sum({codes}) > bool 1", 1),
        (f"{figures(alerts)} > bool 1", 1),
        (of_panel(overview, "Firing alerts"), 3),
        (f"sum({of_panel(overview, 'Error budget remaining')}) < bool 0", 1),
    ]
    ask(shown, SAMPLES + FAILING)


def test_a_model_in_health_shows_zeros_where_faults_would_be(rendered, ask):
    zeros = [
        (rendered["slo-overview"], "Firing alerts"),
        (rendered["slo-overview"], "Firing alerts over time"),
        (rendered["canary"], "5xx by revision and code"),
        (rendered["serving"], "Targets down"),
    ]
    ask([(f"max({of_panel(dashboard, title)})", 0) for dashboard, title in zeros])


def test_a_legend_is_written_with_the_series_own_labels():
    labels = {"revision": "abc", "response_code": "200"}
    assert dashboards.legend("{{revision}} {{ response_code }}", labels) == "abc 200"
    assert dashboards.legend("Limit", labels) == "Limit"
