"""Argo Rollouts, KServe, Istio and Prometheus themselves take canaries through their steps, as `lint` plays them.

All applications are played side by side, on one control plane.
"""

import json
from dataclasses import replace

import anyio
import pytest

from ci.checks import session
from ci.checks.control_plane import check, container
from ci.checks.control_plane import course as canaries
from ci.supply.supply import Supply
from ci.supply.ways import choose
from tests.harness import project
from tests.unit.conftest import KNOWN_ANSWER, find_tool

BARE = {"features": {"autoscaling": False}}
KNOWN = {**BARE, "exampleModel": {"knownAnswer": KNOWN_ANSWER}}
TEMPLATES = f"{project.CHART_FOLDER}/templates"
STEPS = [
    {"weight": 10, "pause": "10m"},
    {"weight": 60},
    {"weight": 90, "pause": "1h", "analysis": {"successRate": 0.5}},
]
GOOD = {"whole": KNOWN, "stepwise": {**KNOWN, "canary": {"steps": STEPS}}}
"""Values of applications whose canaries go as they should."""
QUOTA = """---
# Source: serving/templates/quota.yaml
apiVersion: v1
kind: ResourceQuota
metadata: {name: own, namespace: acme-small}
spec:
  hard: {pods: "2"}
"""
"""Room for the stable version's pods, and none beside them."""
DEVIATING = {
    "mute": (
        'model=\\"mute\\"',
        'model=\\"nobody\\"',
        "analysistemplate.yaml",
        'the good version is stopped: Metric "requests"',
    ),
    "blind": (">= {{args.success-rate}}", ">= 0.0", "rollout.yaml", "a version with '5xx 100 %' goes through"),
    "late": ("startingStep: 1", "startingStep: 9", "rollout.yaml", "the analysis in the background never begins"),
}
"""What only a template does wrong: text of the whole application, what is in its place, the template, what is said."""


def foreign(name, *steps, **canary):
    """A Rollout with pods of its own, as another chart has it."""
    labels = {"app": name}
    container = {"name": "server", "image": "registry.example.com/server:1"}
    spec = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        "strategy": {"canary": {"steps": [*steps], **canary}},
    }
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": name}, "spec": spec}


JOB = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AnalysisTemplate",
    "metadata": {"name": "probe"},
    "spec": {
        "args": [{"name": "key", "valueFrom": {"secretKeyRef": {"name": "gone", "key": "key"}}}],
        "metrics": [{"name": "answers", "provider": {"job": {"spec": {"template": {"spec": {"containers": []}}}}}}],
    },
}
PROBED = {"analysis": {"templates": [{"templateName": "probe"}]}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    found = project.made(tmp_path_factory.mktemp("project"), environments=("lab", "small"), applications=())
    for name, values in {**GOOD, **dict.fromkeys(DEVIATING, KNOWN)}.items():
        found.deploy("lab", name, values=values)
    found.deploy("small", "crowded", values=KNOWN)
    found.commit()
    return found


@pytest.fixture(scope="module")
def said(made, tmp_path_factory):
    found = made.helm(find_tool("helm"), "template", defaults=False)
    crowded = found["small/crowded"]
    renderings = [
        *(found[f"lab/{name}"] for name in GOOD),
        *(changed(found[f"lab/{name}"], *texts[:2]) for name, texts in DEVIATING.items()),
        replace(crowded, text=crowded.text + QUOTA),
        theirs(found["lab/whole"], foreign("theirs", {"setWeight": 50}, {"pause": {}}, PROBED), JOB),
    ]

    async def ask():
        supply = Supply(choose("auto"))
        async with session.opened(supply) as (client, tool):
            plane = await container.plane(supply)
            playing = await canaries.playing(tool, made.folder, made.project, renderings)
            return await check.check(client, plane, renderings, [], tmp_path_factory.mktemp("work") / "plane", playing)

    return anyio.run(ask)


def changed(rendering, old, new):
    assert old in rendering.text
    return replace(rendering, text=rendering.text.replace(old, new))


def theirs(rendering, *objects):
    """What another chart renders."""
    text = "".join(
        f"---\n# Source: theirs/templates/{each['kind'].lower()}.yaml\n{json.dumps(each)}\n" for each in objects
    )
    return replace(rendering, text=text, target=replace(rendering.target, application="theirs"))


def course(said, name):
    (found,) = (each for each in said.courses if each.application.endswith(f"/{name}"))
    return found


def errors(said, name):
    return [each for target, each in said.found if target.endswith(f"/{name}") and each.severity == "error"]


def test_nothing_of_it_is_refused(said):
    assert said.refused == []


@pytest.mark.parametrize(("name", "weights", "promoted"), [("whole", [20, 50], []), ("stepwise", [10, 60, 90], [4])])
def test_a_good_version_takes_every_step_and_a_bad_one_is_stopped(said, name, weights, promoted):
    found = course(said, name)
    assert errors(said, name) == []
    assert (found.weights, found.promoted, found.wrong) == (weights, promoted, "")
    assert "success-rate" in found.by


def test_another_chart_s_canary_is_played_without_what_nobody_can_answer(said):
    found = course(said, "theirs")
    assert (found.promoted, found.fault, found.wrong) == ([2], "", "")
    left_out = [each.message for target, each in said.found if target == "lab/theirs"]
    assert any("metric answers is not played" in each and "it asks by job" in each for each in left_out)


@pytest.mark.parametrize("name", DEVIATING)
def test_a_canary_that_does_not_go_as_declared_is_told_where(said, name):
    *_, template, message = DEVIATING[name]
    (finding,) = errors(said, name)
    assert finding.file == f"{TEMPLATES}/{template}"
    assert message in finding.message
    assert course(said, name).wrong in finding.message


def test_a_step_that_never_ends_is_told_with_what_was_seen_last(said):
    (finding,) = errors(said, "crowded")
    assert "step 1 (setWeight) does not end" in finding.message
    assert finding.file == f"{TEMPLATES}/rollout.yaml"
