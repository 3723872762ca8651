"""What a change does to its base on a control plane without nodes: what is asked of it, and how its answer is read."""

import http
import json

import pytest

from ci.checks.control_plane import findings, groups
from ci.checks.control_plane.inside import apply, pods, verdict
from ci.checks.control_plane.inside.change import MADE_LAST, After, Before
from ci.manifests.chart import Chart, Rendering, Target, Values
from ci.results import Effect, Finding
from ci.tree import application_set
from tests.harness import project


def thing(kind, name, uid="", owner="", status=None, **spec):
    owners = {"ownerReferences": [{"uid": owner}]} if owner else {}
    metadata = {"name": name, "namespace": "acme", "uid": uid or f"{kind} {name}", "generation": 1, **owners}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec, "status": status or {}}


MODEL = thing("InferenceService", "fraud")
TAKEN = {"kind": "Deployment", "name": "fraud-predictor"}


def deployment(image="a", name="fraud-predictor", owner="InferenceService fraud"):
    return thing("Deployment", name, owner=owner, template={"image": image})


def rollout(revision="1", stable="1", steps=({"setWeight": 20},), **status):
    seen = {"observedGeneration": "1", "workloadObservedGeneration": "1", **status}
    revisions = {"currentPodHash": revision, "stableRS": stable}
    strategy = {"canary": {"steps": list(steps)}}
    return thing("Rollout", "fraud", workloadRef=TAKEN, strategy=strategy, status={**seen, **revisions})


def outcomes(before, after, applied=()):
    applied = applied or [MODEL, thing("Rollout", "fraud")]
    return {
        name: said for (_, _, name), said in pods.outcomes(pods.of(applied, before), pods.of(applied, after)).items()
    }


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([deployment(), rollout()], [deployment("b"), rollout("2")], "canary"),
        ([deployment(), rollout()], [deployment("b"), rollout("2", steps=())], "update"),
        ([deployment(), rollout()], [deployment(), rollout()], "none"),
        ([deployment()], [deployment("b")], "update"),
        ([deployment()], [deployment()], "none"),
        ([deployment(), rollout()], [deployment()], "update"),
        ([deployment()], [deployment(), rollout()], "first"),
        ([], [deployment(), rollout()], "first"),
        ([deployment(), rollout("", "")], [deployment(), rollout()], "first"),
        (
            [deployment(), rollout(), deployment(name="fraud-transformer")],
            [deployment(), rollout(), deployment("b", name="fraud-transformer")],
            "update",
        ),
    ],
    ids=[
        "steps",
        "no steps",
        "same",
        "bare",
        "same, bare",
        "switched off",
        "switched on",
        "new",
        "mended",
        "another part",
    ],
)
def test_what_becomes_of_the_pods_of_a_model(before, after, said):
    assert outcomes([MODEL, *before], [MODEL, *after]) == {"fraud": said}


def test_workloads_of_nobody_and_of_another_application_are_left_out():
    others = [deployment(name="other", owner="InferenceService other"), deployment(name="gone", owner="")]
    assert outcomes([MODEL, *others], [MODEL, *others]) == {}


def test_a_workload_that_is_applied_itself_is_told_by_its_name():
    before, after = (thing("StatefulSet", "cache", template={"image": each}) for each in "ab")
    assert outcomes([before], [after], [before]) == {"cache": "update"}


@pytest.mark.parametrize(
    ("status", "waits"),
    [
        ({}, False),
        ({"observedGeneration": "0"}, True),
        ({"workloadObservedGeneration": "0"}, True),
        ({"workloadObservedGeneration": "0", "conditions": [{"type": "InvalidSpec", "status": "True"}]}, False),
    ],
)
def test_a_rollout_is_waited_for_that_argo_rollouts_has_not_looked_at(status, waits):
    seen = [MODEL, deployment(), rollout(**status)]
    assert bool(list(pods.behind([MODEL, thing("Rollout", "fraud")], seen))) == waits


def test_of_a_canary_as_many_pods_are_waited_for_as_its_step_asks_for():
    def said(revision):
        asked = rollout(revision)
        asked["spec"]["replicas"] = 3
        made = thing("ReplicaSet", "fraud-2", owner="Rollout fraud", replicas=1, status={"replicas": 1})
        return verdict.of([asked], [asked, made]).waiting

    assert said("2") == []
    assert said("1")


class Server:
    """Takes whatever is asked of it, and says what that was."""

    def __init__(self):
        self.asked = []

    def __getattr__(self, verb):
        def ask(document, *more):
            self.asked.append(verb)
            return False if verb == "has" else (http.HTTPStatus.OK, {**document, "answered": True})

        return ask


def annotated(document, options):
    return {
        **document,
        "metadata": {**document["metadata"], "annotations": {"argocd.argoproj.io/sync-options": options}},
    }


def moved(before, after, *options):
    """An application of one object that was applied, and what is asked for it to become another one."""
    was = Before("lab/a", "acme", [before])
    was.applied = [(0, was.put(Server(), before)[1])]
    now = After("lab/a", "acme", [after] if after else [], before=was, options=options)
    return now, Server()


OLD, NEW = thing("Job", "train", image="a"), thing("Job", "train", image="b")
SPACE = [thing("Namespace", "acme", label=each) for each in "ab"]


@pytest.mark.parametrize(
    ("before", "after", "options", "asked"),
    [
        (OLD, OLD, (), []),
        (OLD, NEW, (), ["apply"]),
        (OLD, annotated(NEW, "Force=true"), (), ["apply"]),
        (OLD, annotated(NEW, "Prune=false, Replace=true"), (), ["replace"]),
        (OLD, NEW, ("Replace=true",), ["replace"]),
        (OLD, annotated(NEW, "Force=true,Replace=true"), (), ["delete", "has", "create"]),
        (OLD, annotated(NEW, "Force=true"), ("Replace=true",), ["delete", "has", "create"]),
        (SPACE[0], annotated(SPACE[1], "Force=true,Replace=true"), (), ["replace"]),
        (OLD, annotated(thing("Job", "other"), "Force=true,Replace=true"), (), ["apply"]),
    ],
)
def test_an_object_is_applied_as_argo_cd_would(before, after, options, asked):
    application, server = moved(before, after, *options)
    application.put(server, after)
    assert server.asked == asked


@pytest.mark.parametrize(
    ("before", "after", "options", "gone"),
    [
        (OLD, None, (), ["train"]),
        (OLD, OLD, (), []),
        (annotated(OLD, "Prune=false"), None, (), []),
        (annotated(OLD, "Prune=confirm"), None, (), []),
        (OLD, None, ("Prune=false",), []),
        (SPACE[0], None, (), []),
    ],
)
def test_what_is_rendered_no_more_is_removed_unless_it_is_to_stay(before, after, options, gone):
    application, server = moved(before, after, *options)
    application.applied = [(0, application.put(server, after)[1])] if after else []
    assert [each["metadata"]["name"] for each in application.gone()] == gone


def test_an_object_that_is_refused_is_not_removed():
    application, _ = moved(OLD, NEW)
    application.tell(0, "field is immutable")
    assert list(application.gone()) == []


def test_what_was_right_before_is_believed_once_kserve_has_come_to_it_and_it_stays():
    before = Before("lab/a", "acme", [MODEL])
    conditions = [{"type": "Ready", "status": "True"}]
    service = {**MODEL, "status": {"conditions": conditions}}
    seen = [service, thing("ReplicaSet", "fraud-1", owner=MODEL["metadata"]["uid"], replicas=0)]
    after = After("lab/a", "acme", [MODEL], before=before, options=(), applied=[(0, MODEL)], marked=True)
    after.look(seen)
    assert "KServe has not come to it yet" in after.verdict.waiting[0][1]
    kind, namespace, name = MADE_LAST
    last = {"kind": kind, "metadata": {"namespace": namespace, "name": name, "uid": "last"}, "spec": {"template": {}}}
    after.look([*seen, last])
    assert not after.is_decided
    for _ in range(apply.STANDS_LOOKS + 1):
        after.look([*seen, last])
    after.since -= apply.STANDS_SECONDS
    assert after.is_decided


@pytest.mark.parametrize(
    ("policy", "options"),
    [
        ({"automated": {"prune": True}, "syncOptions": ["Replace=true"]}, ("Replace=true",)),
        ({"automated": {"prune": False}}, ("Prune=false",)),
        ({"syncOptions": ["PruneLast=true"]}, ("PruneLast=true", "Prune=false")),
    ],
)
def test_the_application_set_says_how_all_objects_are_applied(tmp_path, policy, options):
    made = project.made(tmp_path, applications=())
    content = json.dumps({"spec": {"template": {"spec": {"syncPolicy": policy}}}}).encode()
    assert application_set.sync_options(content, made.project) == options


def test_where_there_is_no_application_set_the_project_file_says_it(tmp_path):
    made = project.made(tmp_path, applications=())
    assert application_set.sync_options(None, made.project) == application_set.sync_options(b"}", made.project)
    assert "ServerSideApply=true" in application_set.sync_options(None, made.project)
    assert "Prune=false" not in application_set.sync_options(None, made.project)


def rendering(tmp_path, name, *objects):
    target = Target("lab", name, name, "acme", Chart(tmp_path, "chart"), [Values("a.yaml", "")], "v1.37.0")
    return Rendering(
        target, "".join(f"---\n# Source: chart/templates/{name}.yaml\n{json.dumps(each)}\n" for each in objects)
    )


def test_two_applications_with_one_object_before_are_not_applied_at_once(tmp_path):
    a, b = rendering(tmp_path, "a", OLD), rendering(tmp_path, "b", thing("Job", "other"))
    assert groups.groups([a, b]) == [[a, b]]
    assert groups.groups([a, b], {"lab/b": [OLD]}) == [[a], [b]]


def test_a_change_is_told_where_nothing_else_is_said_of_the_object(tmp_path):
    both = rendering(tmp_path, "a", OLD, thing("Service", "front"))

    def told(number, **how):
        said = {"application": "lab/a", "object": number, "said": "no", "field": "", "reason": "Invalid"}
        return list(findings.refusals([both], [], [said], **how))

    (job,), (service,) = told(0, over_before=True), told(1, over_before=True)
    strange = Finding("policies", "cluster/a.yaml", 1, "no", "change it")
    assert list(findings.without([job, service, strange], told(0))) == [service]
    assert "a cluster that has it as it was refuses the change" in service.finding.remedy


OF_POLICY = "ValidatingAdmissionPolicy 'kept' with binding 'kept' denied request: the team is immutable"
BY_WEBHOOK = 'admission webhook "kserve" denied the request: deploymentMode cannot be changed'
OVER_QUOTA = 'pods "fraud" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1'


@pytest.mark.parametrize(
    ("reason", "said", "anew"),
    [
        ("Invalid", "field is immutable", True),
        ("Invalid", "may not change once set", True),
        ("Invalid", "Forbidden: updates to statefulset spec for fields other than 'replicas' are forbidden", True),
        ("Invalid", "cannot change roleRef", True),
        ("Invalid", "field can not be less than status.capacity", True),
        ("Invalid", "must be no more than 63 characters", False),
        ("Invalid", OF_POLICY, False),
        ("BadRequest", BY_WEBHOOK, False),
        ("FailedCreate", OVER_QUOTA, False),
        ("FailedCreate", 'pods "fraud" is forbidden: maximum cpu usage per Container is 1, but limit is 2', False),
    ],
)
def test_nothing_is_deleted_but_for_a_field_that_an_object_has_for_good(tmp_path, reason, said, anew):
    told = {"application": "lab/a", "object": 0, "said": said, "field": "", "reason": reason}
    (refused,) = findings.refusals([rendering(tmp_path, "a", OLD)], [], [told], over_before=True)
    assert ("Force=true" in refused.finding.remedy) == anew
    assert ("delete" in refused.finding.remedy) == anew


def test_an_effect_is_one_sentence():
    assert str(Effect("lab/fraud", "fraud", "canary")) == "fraud in lab/fraud starts a canary"


@pytest.mark.parametrize(
    ("field", "said", "after", "told"),
    [
        (
            "spec.template",
            'Invalid value: {"Spec":{"Image":"b"}}: field is immutable',
            thing("Job", "train", template={"spec": {"containers": [{"image": "b"}]}}),
            ("spec.template.spec.containers[0].image", "field is immutable"),
        ),
        (
            "spec",
            "Forbidden: is immutable\n  - a\n  + b",
            thing("Job", "train", size=2),
            ("spec.template", "Forbidden: is immutable"),
        ),
        ("", "no pod is made", thing("Job", "train"), ("", "no pod is made")),
        (
            "metadata.labels",
            'Invalid value: "a b": no',
            thing("Job", "train"),
            ("metadata.labels", 'Invalid value: "a b": no'),
        ),
    ],
)
def test_the_value_is_meant_that_the_change_makes_another_one(field, said, after, told):
    before = thing("Job", "train", template={"spec": {"containers": [{"image": "a"}]}})
    found = findings.of_change({"field": field, "said": said}, before, after)
    assert (found["field"], found["said"]) == told
