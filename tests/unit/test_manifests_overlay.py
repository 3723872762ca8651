"""What a cluster under test changes of an environment, and that each change is told."""

import itertools

import pytest

from ci.base.errors import UsageError
from ci.manifests import overlay
from ci.project import Cluster, Prometheus, Throwaway

CHART = {
    "exampleModel": {"replicas": 1, "resources": {"requests": {"memory": "1Gi"}}},
    "autoscaling": {"minReplicas": 2, "maxReplicas": 5},
    "canary": {"steps": [{"weight": 20, "pause": "1m"}, {"weight": 50}]},
}


def test_nothing_is_changed_that_the_project_file_does_not_name():
    assert overlay.throwaway(Throwaway(), "scores", [CHART]) == ({}, [])


def test_pods_and_pauses_are_cut_to_what_it_says_and_each_cut_is_told():
    layers = [
        {"exampleModel": {"replicas": 3}},
        {"canary": {"steps": [{"weight": 5, "pause": "2h"}, {"weight": 9}]}},
        CHART,
    ]

    over, lines = overlay.throwaway(Throwaway(replicas=2, longest_pause="20s"), "scores", layers)

    assert over == {
        "exampleModel": {"replicas": 2},
        "autoscaling": {"maxReplicas": 2},
        "canary": {"steps": [{"weight": 5, "pause": "20s"}, {"weight": 9}]},
    }
    assert lines == [
        "exampleModel.replicas: 3 → 2 (throwaway.replicas)",
        "autoscaling.maxReplicas: 5 → 2 (throwaway.replicas)",
        "canary.steps: [{'weight': 5, 'pause': '2h'}, {'weight': 9}] → [{'weight': 5, 'pause': '20s'}, {'weight': 9}] "
        "(throwaway.longest_pause)",
    ]


def test_a_pause_that_is_no_duration_is_named_by_its_key():
    layers = [{"canary": {"steps": [{"pause": "1m"}, {"pause": ""}]}}, CHART]

    with pytest.raises(UsageError, match=r"^canary\.steps\[1\]\.pause: '' is no duration such as 30s, 5m or 2h$"):
        overlay.throwaway(Throwaway(longest_pause="20s"), "scores", layers)


def test_steps_of_another_form_are_left_alone():
    steps = [{"setWeight": 5}, {"pause": {"duration": "1m"}}, {"pause": {}}, "wait"]

    assert overlay.throwaway(Throwaway(longest_pause="20s"), "scores", [{"canary": {"steps": steps}}]) == ({}, [])


def test_values_are_of_all_applications_or_of_one_and_what_is_so_already_is_no_change():
    given = {
        "*": {"exampleModel": {"resources": {"requests": {"memory": "256Mi"}}}},
        "scores": {"exampleModel": {"replicas": 1}},
        "other": {"exampleModel": {"replicas": 9}},
    }

    memory = "exampleModel.resources.requests.memory"

    over, lines = overlay.throwaway(Throwaway(values=given), "scores", [CHART])

    assert over == {"exampleModel": {"resources": {"requests": {"memory": "256Mi"}}}}
    assert lines == [f"{memory}: 1Gi → 256Mi (throwaway.values.*.{memory})"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"a": 1}, [], "{'a': 1} → []"),
        (True, 1, "True → 1"),
        (0, False, "0 → False"),
        (1, 1.0, "1 → 1.0"),
        ("1", 1, "'1' → 1"),
        ([1, {"deep": True}], [1, {"deep": 1}], "[1, {'deep': True}] → [1, {'deep': 1}]"),
        (True, True, None),
        ([1, {"deep": [1.0]}], [1, {"deep": [1.0]}], None),
    ],
)
def test_a_value_of_another_type_is_a_change_and_is_told(old, new, said):
    over, lines = overlay.throwaway(Throwaway(values={"*": {"args": new}}), "scores", [{"args": old}])

    told = [f"args: {said} (throwaway.values.*.args)"] if said else []
    assert (over, lines) == ({"args": new} if said else {}, told)
    assert all(overlay.key_of(line) for line in lines)


@pytest.mark.parametrize(
    ("path", "before"),
    [
        (("exampleModel", "nodeSelector"), "{'pool': 'serving'}"),
        (("serviceAccount", "annotations"), "{'kept': 'by the chart', 'role': 'of a cloud'}"),
        (("exampleModel", "tolerations"), "[{'key': 'gpu'}]"),
        (("exampleModel", "replicas"), "1"),
    ],
)
def test_an_empty_table_takes_away_what_every_layer_has_there(path, before):
    own = {
        "exampleModel": {"nodeSelector": {"pool": "serving"}, "tolerations": [{"key": "gpu"}]},
        "serviceAccount": {"annotations": {"role": "of a cloud"}},
    }
    chart = {**CHART, "serviceAccount": {"annotations": {"kept": "by the chart", "role": ""}}}
    given = Throwaway(values={"*": {path[0]: {path[1]: {}}}})

    over, (line,) = overlay.throwaway(given, "scores", [{}, own, chart])

    assert over == {path[0]: {path[1]: None}}
    assert overlay.effective([over, own, chart], path) is None
    name = ".".join(path)
    assert line == f"{name}: {before} → nothing (throwaway.values.*.{name})"
    assert overlay.key_of(line) in given.allowed("scores")


@pytest.mark.parametrize(
    "there", [{}, {"exampleModel": {"nodeSelector": {}}}, {"exampleModel": {"nodeSelector": None}}]
)
def test_where_nothing_is_an_empty_table_takes_nothing_away(there):
    given = {"*": {"exampleModel": {"nodeSelector": {}}}}

    assert overlay.throwaway(Throwaway(values=given), "scores", [there]) == ({}, [])


@pytest.mark.parametrize(
    ("of_all", "of_one", "over"),
    [
        ({"a": {}}, {"a": {"of": "one"}}, {"a": {"of": "one"}}),
        ({"a": {"of": "all"}}, {"a": {}}, {"a": None}),
        ({"a": {"of": "all"}}, {"a": {"more": "of one"}}, {"a": {"of": "all", "more": "of one"}}),
        ({"a": {"of": "all"}}, {"a": {"of": "the chart"}}, {}),
        ({"a": {}, "b": {}}, {"a": "another"}, {"a": "another", "b": None}),
    ],
)
def test_what_one_application_has_comes_in_place_of_what_all_have(of_all, of_one, over):
    given = Throwaway(values={"*": of_all, "scores": of_one})

    found, lines = overlay.throwaway(given, "scores", [{"a": {"of": "the chart"}, "b": [1]}])

    assert found == over
    assert len(lines) == sum(len(value) if value and isinstance(value, dict) else 1 for value in over.values())


MONITORED = {
    **CHART,
    "monitoring": {
        "prometheusAddress": "http://prometheus-operated.monitoring:9090",
        "labels": {"release": "prometheus"},
    },
    "networkPolicy": {"monitoringNamespace": "monitoring"},
}


def test_an_existing_cluster_changes_nothing_that_the_project_file_does_not_name():
    environment = {"monitoring": {"prometheusAddress": "http://ours.observability:9090"}}

    assert overlay.existing(Cluster(), "scores", [environment, MONITORED]) == ({}, [])


def test_on_an_existing_cluster_its_own_prometheus_scrapes_and_judges():
    there = Prometheus(namespace="observability", service="k8s", port=80, labels={"team": "a"})

    over, lines = overlay.existing(Cluster(prometheus=there), "scores", [MONITORED])

    assert over == {
        "monitoring": {"prometheusAddress": "http://k8s.observability:80", "labels": {"team": "a"}},
        "networkPolicy": {"monitoringNamespace": "observability"},
    }
    assert lines == [
        "monitoring.prometheusAddress: http://prometheus-operated.monitoring:9090 → http://k8s.observability:80 "
        "(cluster.prometheus)",
        "monitoring.labels.team: nothing → a (cluster.prometheus)",
        "networkPolicy.monitoringNamespace: monitoring → observability (cluster.prometheus)",
    ]


def test_an_environment_that_says_so_already_and_a_chart_without_such_a_value_are_left_alone():
    there = Cluster(prometheus=Prometheus(namespace="observability"))
    said = {"monitoring": {"prometheusAddress": "http://prometheus-operated.observability:9090"}}

    assert overlay.existing(there, "scores", [said, CHART]) == ({}, [])


def test_an_existing_cluster_has_values_of_its_own_and_none_of_a_throw_away_ones():
    given = {"*": {"autoscaling": {"maxReplicas": 3}}, "other": {"autoscaling": {"minReplicas": 9}}}
    said = Cluster(values=given)

    over, lines = overlay.existing(said, "scores", [CHART])

    assert over == {"autoscaling": {"maxReplicas": 3}}
    assert lines == ["autoscaling.maxReplicas: 5 → 3 (cluster.values.*.autoscaling.maxReplicas)"]
    assert "cluster.values.*.autoscaling.maxReplicas" in said.allowed("scores")
    assert "cluster.values.other.autoscaling.minReplicas" not in said.allowed("scores")
    assert said.allowed("other") >= {"cluster.values.other.autoscaling.minReplicas"}


VALUES = (
    "",
    " ",
    "nothing",
    "a → b",
    "x (throwaway.replicas)",
    "two\nlines",
    "\u2028",
    "ü",
    3,
    1.5,
    False,
    [],
    {},
    ["", "a\n→"],
)


@pytest.mark.parametrize(("old", "new"), [*itertools.permutations(VALUES, 2)], ids=repr)
def test_a_line_is_read_as_it_was_written_whatever_the_values_are(old, new):
    for given, lay, said in (
        (Throwaway(values={"*": {"a": {"b (c)": new}}}), overlay.throwaway, "throwaway.values.*.a.b (c)"),
        (Cluster(values={"scores": {"x": new}}), overlay.existing, "cluster.values.scores.x"),
    ):
        _, (line,) = lay(given, "scores", [{"a": {"b (c)": old}, "x": old}])

        assert (overlay.key_of(line), len(line.splitlines())) == (said, 1)
        assert said in given.allowed("scores")


@pytest.mark.parametrize(
    "line", ["", "x: 1 → 2", "x: 1 → 2 (elsewhere.x)", "x (throwaway.replicas)", "x: 1 → 2 (cluster.)"]
)
def test_what_names_no_key_that_allows_it_is_no_line(line):
    assert overlay.key_of(line) is None
