"""Which change of an InferenceService starts a canary."""

import copy

import pytest

from ci.diff import canary
from tests.harness.diff import made_by, of_objects, rollout, service


def effect(before, after):
    (found,) = canary.effects("dev/iris", before, after)
    return found


def paths(before, after):
    return [field.path for field in effect([before, rollout()], [after, rollout()]).fields]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"model": {"storageUri": "s3://models/v2"}}, "spec.predictor.model.storageUri"),
        ({"model": {"image": "server:2"}}, "spec.predictor.model.image"),
        ({"model": {"runtime": "kserve-xgbserver"}}, "spec.predictor.model.runtime"),
        ({"model": {"env": [{"name": "MODE", "value": "fast"}]}}, "spec.predictor.model.env"),
        ({"model": {"resources": {"limits": {"cpu": "2"}}}}, "spec.predictor.model.resources.limits.cpu"),
        ({"model": {"readinessProbe": {"periodSeconds": 2}}}, "spec.predictor.model.readinessProbe.periodSeconds"),
        ({"terminationGracePeriodSeconds": 5}, "spec.predictor.terminationGracePeriodSeconds"),
        ({"logger": {"mode": "all"}}, "spec.predictor.logger.mode"),
        ({"labels": {"team": "ranking"}}, "metadata.labels.team"),
        ({"annotations": {"example.com/owner": "ranking"}}, 'metadata.annotations["example.com/owner"]'),
    ],
)
def test_what_reaches_the_pod_template_starts_one(change, path):
    assert paths(service(), service(**change)) == [path]


@pytest.mark.parametrize("field", ["minReplicas", "maxReplicas", "scaleTarget", "timeout", "canaryTrafficPercent"])
def test_what_does_not_reach_it_starts_none(field):
    found = effect([service(), rollout()], [service(**{field: 3}), rollout()])
    assert (found.outcome, found.fields) == ("none", ())


@pytest.mark.parametrize("annotation", ["kubectl.kubernetes.io/last-applied-configuration", "modelFormat"])
def test_annotations_that_kserve_keeps_to_itself_start_none(annotation):
    assert paths(service(), service(annotations={annotation: "x"})) == []


@pytest.mark.parametrize(
    ("change", "innocent"),
    [
        ({"labels": {"team": "ranking"}}, True),
        ({"annotations": {"argocd.argoproj.io/sync-wave": "1"}}, True),
        ({"labels": {"team": "ranking"}, "model": {"storageUri": "s3://models/v2"}}, False),
    ],
)
def test_labels_alone_are_told_to_be_innocent(change, innocent):
    found = effect([service(), rollout()], [service(**change), rollout()])
    assert (found.outcome, found.innocent) == ("canary", innocent)


@pytest.mark.parametrize(
    ("before", "after", "change", "by_chart"),
    [
        ("1", "2", {"model": {"image": "server:2"}}, True),
        ("1", "1", {"model": {"image": "server:2"}}, False),
        ("1", "2", {}, False),
        # Of a chart that says nothing nothing is known.
        (None, "2", {"model": {"image": "server:2"}}, False),
    ],
)
def test_a_chart_that_makes_other_pods_of_the_same_values_is_told(before, after, change, by_chart):
    found = effect([service(), rollout(), made_by(before)], [service(**change), rollout(), made_by(after)])
    assert found.by_chart is by_chart


def test_a_label_that_the_predictor_overrides_changes_nothing():
    before, after = service(labels={"team": "a"}), service(labels={"team": "b"})
    for each in (before, after):
        each["spec"]["predictor"]["labels"] = {"team": "always"}
    assert paths(before, after) == []
    after["spec"]["predictor"]["labels"]["team"] = "now"
    assert paths(before, after) == ["spec.predictor.labels.team"]


@pytest.mark.parametrize(("one", "other", "same"), [("1", "1000m", True), ("1Gi", "1024Mi", True), ("1", "2", False)])
def test_one_quantity_in_two_spellings_is_one(one, other, same):
    limits = [service(model={"resources": {"limits": {"x": value}}}) for value in (one, other)]
    assert (paths(*limits) == []) is same


def test_the_order_of_variables_counts():
    variables = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}]
    ordered = [service(model={"env": each}) for each in (variables, variables[::-1])]
    assert paths(*ordered) == ["spec.predictor.model.env"]


def test_a_variable_is_named():
    variables = [[{"name": "A", "value": value}, {"name": "B", "value": "1"}] for value in ("1", "2")]
    assert paths(*(service(model={"env": each}) for each in variables)) == ["spec.predictor.model.env[A].value"]


def test_true_is_not_one():
    assert paths(service(hostNetwork=True), service(hostNetwork=1)) == ["spec.predictor.hostNetwork"]


def test_without_a_rollout_the_pods_are_replaced_at_once():
    assert effect([service()], [service(model={"image": "server:2"})]).outcome == "update"


def test_a_rollout_without_steps_takes_its_pods_through_none():
    bare = rollout(strategy={"canary": {}})
    assert effect([service(), bare], [service(model={"image": "server:2"}), bare]).outcome == "update"


def test_without_its_rollout_a_model_gets_other_pods():
    assert effect([service(), rollout()], [service()]).outcome == "update"


def test_the_first_deploy_is_no_canary():
    assert effect([], [service(), rollout()]).outcome == "first"
    assert effect([service()], [service(), rollout()]).outcome == "first"


def test_steps_of_the_rollout_start_none_but_another_template_does():
    steps = rollout(strategy={"canary": {"steps": [{"setWeight": 50}]}})
    assert effect([service(), rollout()], [service(), steps]).outcome == "none"
    moved = copy.deepcopy(rollout())
    moved["spec"]["workloadRef"]["apiVersion"] = "apps/v2"
    found = effect([service(), rollout()], [service(), moved])
    assert found.outcome == "canary"
    assert [field.path for field in found.fields] == ["Rollout.spec.workloadRef.apiVersion"]
    assert [each.risk for each in of_objects([service(), rollout()], [service(), moved]).objects] == ["canary"]


def test_a_rollout_of_something_else_is_none_of_ours():
    changed = service(model={"image": "server:2"})
    assert effect([service(), rollout("wine")], [changed, rollout("wine")]).outcome == "update"


def test_a_secret_that_starts_one_is_not_shown():
    variables = [[{"name": "API_TOKEN", "value": value}] for value in ("hunter1", "hunter2")]
    before, after = (service(model={"env": each}) for each in variables)
    difference = of_objects([before, rollout()], [after, rollout()])
    (found,) = difference.effects
    assert found.outcome == "canary"
    assert [(field.before, field.after) for field in found.fields] == [("***", "*** (changed)")]
    assert "hunter" not in repr(difference)


@pytest.mark.parametrize(
    "broken", [{"spec": "x"}, {"spec": {"predictor": []}}, {"metadata": {"name": "iris", "labels": "x"}}]
)
def test_an_object_of_another_form_is_no_crash(broken):
    assert list(canary.effects("dev/iris", [service(), rollout()], [{**service(), **broken}, rollout()]))
