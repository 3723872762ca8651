"""What a throw-away cluster changes of an environment, and that each change is told."""

from ci.applications import overlay
from ci.project import Throwaway

CHART = {
    "exampleModel": {"replicas": 1, "resources": {"requests": {"memory": "1Gi"}}},
    "autoscaling": {"minReplicas": 2, "maxReplicas": 5},
    "canary": {"steps": [{"weight": 20, "pause": "1m"}, {"weight": 50}]},
}


def test_nothing_is_changed_that_the_project_file_does_not_name():
    assert overlay.values(Throwaway(), "scores", [CHART]) == ({}, [])


def test_pods_and_pauses_are_cut_to_what_it_says_and_each_cut_is_told():
    layers = [
        {"exampleModel": {"replicas": 3}},
        {"canary": {"steps": [{"weight": 5, "pause": "2h"}, {"weight": 9}]}},
        CHART,
    ]

    over, lines = overlay.values(Throwaway(replicas=2, longest_pause="20s"), "scores", layers)

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


def test_values_are_of_all_applications_or_of_one_and_what_is_so_already_is_no_change():
    given = {
        "*": {"exampleModel": {"resources": {"requests": {"memory": "256Mi"}}}},
        "scores": {"exampleModel": {"replicas": 1}},
        "other": {"exampleModel": {"replicas": 9}},
    }

    memory = "exampleModel.resources.requests.memory"

    over, lines = overlay.values(Throwaway(values=given), "scores", [CHART])

    assert over == {"exampleModel": {"resources": {"requests": {"memory": "256Mi"}}}}
    assert lines == [f"{memory}: 1Gi → 256Mi (throwaway.values.*.{memory})"]
