"""What a control plane without nodes says of applications: judged by what one said, and put where it is to be changed.

fixtures/control_plane.json has what the pinned controllers left, as the API server had it when it was first looked at
and in the end; without the fields that nothing here reads.
"""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from ci.checks.control_plane import certificate, container, findings, groups
from ci.checks.control_plane.findings import Refusal
from ci.checks.control_plane.inside import apply, conditions, verdict
from ci.checks.control_plane.inside.apply import Application
from ci.checks.control_plane.inside.conditions import Condition
from ci.manifests.brought import Brought
from ci.manifests.chart import Chart, Rendering, Target, Values
from ci.manifests.manifests import Manifest
from ci.results import Finding
from ci.supply import pins

RECORDED = json.loads((Path(__file__).parent / "fixtures" / "control_plane.json").read_text())


def looked(name, look="last"):
    """A recorded application that was looked at."""
    recorded = RECORDED[name]
    found = Application("lab/a", "acme-lab", recorded["applied"], applied=list(enumerate(recorded["applied"])))
    found.look(recorded[look])
    return found


def told(application):
    """What is said of it in the end, with the kind of what it is said of."""
    application.end()
    return [(application.objects[each["object"]]["kind"], each["said"]) for each in application.found]


def test_a_good_application_is_waited_for_and_then_taken():
    first, last = looked("whole", "first"), looked("whole")
    assert not first.is_decided
    assert last.is_decided
    assert told(last) == []


@pytest.mark.parametrize(
    ("name", "kinds", "cause"),
    [
        ("selector", ["InferenceService"], 'spec.template.spec.nodeSelector: Invalid value: "gpu pool"'),
        ("scheme", ["InferenceService"], "StorageUri [ftp://acme/scheme/7] is not supported"),
        ("runtime", ["InferenceService"], "with the name: kserve-nothing"),
        ("account", ["Rollout"], 'serviceaccount "account-predictor" not found'),
        ("service", ["Rollout"], 'spec.strategy.canary.canaryService: Invalid value: "nowhere"'),
        ("argument", ["AnalysisRun", "AnalysisRun"], "failed to resolve {{args.nowhere}}"),
    ],
)
def test_the_cause_is_told_and_nothing_that_follows_from_it(name, kinds, cause):
    found = told(looked(name))
    assert [kind for kind, _ in found] == kinds
    assert all(cause in said for _, said in found)


def test_what_follows_from_an_object_that_was_never_taken_is_not_told():
    account = looked("account")
    account.objects = [*account.objects, thing("ServiceAccount", "account-predictor")]
    account.tell(len(account.objects) - 1, "no such annotation")
    assert told(account) == [("ServiceAccount", "no such annotation")]


@pytest.mark.parametrize("said", ["duplicate entries for key", ""], ids=["refused", "not served"])
def test_an_inference_service_that_was_never_taken_has_no_deployment_to_miss(said):
    """What is not served is not even applied: that there is no such API is the schema check's finding."""
    found = looked("selector")
    found.applied = [each for each in found.applied if each[1]["kind"] != "InferenceService"]
    (number,) = [at for at, each in enumerate(found.objects) if each["kind"] == "InferenceService"]
    if said:
        found.tell(number, said)
    found.look(RECORDED["selector"]["last"])
    assert [each.uid for each in found.verdict.complaints], "the Rollout has it against itself"
    assert told(found) == ([("InferenceService", said)] if said else [])


def test_a_stopped_inference_service_is_the_cause_where_a_rollout_takes_its_pods():
    found = looked("selector")
    (service,) = [each for each in RECORDED["selector"]["last"] if each["kind"] == "InferenceService"]
    conditions = [{"type": "Stopped", "status": "True"}, {"type": "Ready", "status": "False", "reason": "Stopped"}]
    stopped = {**service, "status": {"conditions": conditions}}
    found.look([stopped, *(each for each in RECORDED["selector"]["last"] if each["kind"] == "Rollout")])
    assert told(found) == [("InferenceService", verdict.STOPPED)]
    alone = verdict.of([service], [stopped])
    assert alone.complaints == [], "it may well be stopped where nobody needs it"
    annotated = {"metadata": {"annotations": {"team": "a", "serving.kserve.io/stop": "true"}}}
    assert findings.place(annotated, "", verdict.STOPPED) == ("metadata", "annotations", "serving.kserve.io/stop")


def test_a_complaint_counts_once_it_stands_and_is_over_with_the_next_turn_of_the_controller():
    found = looked("selector")
    found.since -= apply.STANDS_SECONDS
    assert not found.is_decided, "on a busy machine looks count, not seconds"
    found.look(RECORDED["selector"]["first"])
    assert found.looks == 0
    for _ in range(apply.STANDS_LOOKS + 2):
        found.look(RECORDED["selector"]["last"])
    assert not found.is_decided
    found.since -= apply.STANDS_SECONDS
    assert found.is_decided


def test_where_the_status_says_no_more_the_model_s_status_does():
    seen = [each for each in RECORDED["runtime"]["last"] if each["kind"] != "Event"]
    found = verdict.of(RECORDED["runtime"]["applied"], seen)
    assert found.complaints[0].reason == "RuntimeNotRecognized"


def test_two_controllers_that_write_at_once_are_no_complaint():
    (service,) = [each for each in RECORDED["selector"]["first"] if each["kind"] == "InferenceService"]
    event = {
        "kind": "Event",
        "metadata": {"name": "conflict", "uid": "1"},
        "type": "Warning",
        "reason": "UpdateFailed",
        "message": 'Operation cannot be fulfilled on deployments.apps "x": the object has been modified; please apply',
        "involvedObject": {"uid": service["metadata"]["uid"]},
    }
    unjudged = {**service, "status": {}}
    found = verdict.of(RECORDED["selector"]["applied"], [unjudged, event])
    assert found.complaints == []
    assert found.waiting
    told = verdict.of(RECORDED["selector"]["applied"], [unjudged, {**event, "message": "no such storage"}])
    assert [each.said for each in told.complaints] == ["no such storage"]


@pytest.mark.parametrize("gone", ["Event", "ReplicaSet"])
def test_pods_that_are_refused_are_told_by_the_condition_or_the_event(gone):
    seen = copy.deepcopy(RECORDED["account"]["last"])
    for each in seen:
        if gone == each["kind"] == "ReplicaSet":
            each["status"].pop("conditions", None)
    found = verdict.of(
        RECORDED["account"]["applied"], [each for each in seen if gone != each["kind"] or gone != "Event"]
    )
    assert ['serviceaccount "account-predictor" not found' in each.said for each in found.complaints] == [True]


def test_pods_that_nobody_has_made_or_refused_are_waited_for():
    seen = copy.deepcopy(RECORDED["whole"]["last"])
    for each in seen:
        if each["kind"] == "ReplicaSet":
            each["status"]["replicas"] = 0
    found = verdict.of(RECORDED["whole"]["applied"], seen)
    assert found.complaints == []
    assert [said for _, said in found.waiting] == ["Rollout good-whole-predictor: its pods are not made yet"]


@pytest.mark.parametrize(("asked", "decided"), [(1, False), (3, False), (None, False), (0, True)])
def test_a_replica_set_that_is_still_to_be_scaled_decides_nothing(asked, decided):
    """Argo Rollouts makes it to have no pods, and has them made at a later turn."""
    seen = copy.deepcopy(RECORDED["whole"]["last"])
    for each in seen:
        if each["kind"] == "ReplicaSet":
            each["spec"]["replicas"] = each["status"]["replicas"] = 0
        if each["kind"] == "Rollout":
            each["spec"] = {} if asked is None else {"replicas": asked}
    found = verdict.of(RECORDED["whole"]["applied"], seen)
    assert found.complaints == []
    assert bool(found.waiting) != decided


@pytest.mark.parametrize(
    ("kind", "spec", "status", "decided"),
    [
        ("StatefulSet", {"replicas": 2}, {"replicas": 0}, False),
        ("StatefulSet", {"replicas": 2}, {"replicas": 1}, True),
        ("StatefulSet", {"replicas": 0}, {"replicas": 0}, True),
        ("Job", {"parallelism": 1}, {}, False),
        ("Job", {"parallelism": 1}, {"active": 1}, True),
        ("Job", {"parallelism": 1}, {"conditions": [{"type": "Suspended", "status": "True"}]}, True),
        ("DaemonSet", {}, {"desiredNumberScheduled": 0}, True),
    ],
)
def test_of_other_workloads_the_first_pod_decides(kind, spec, status, decided):
    workload = {**thing(kind, "job", uid="1"), "spec": spec, "status": status}
    found = verdict.of([workload], [workload])
    assert found.complaints == []
    assert bool(found.waiting) != decided


@pytest.mark.parametrize(
    ("seen", "told", "decided"),
    [
        ([], [], False),
        ([{"status": "True", "observedGeneration": 2}], [], True),
        ([{"status": "False", "observedGeneration": 1, "message": "as it was before"}], [], False),
        ([{"status": "False", "observedGeneration": 2, "message": "two at once"}], ["two at once"], True),
        ([{"status": "False", "observedGeneration": 2, "message": 'scrapeClassName: scrapeClass "x"'}], [], True),
    ],
    ids=["not yet", "taken", "changed since", "left out", "of a class that is theirs"],
)
def test_the_operator_says_of_a_monitor_whether_it_is_scraped(seen, told, decided):
    monitor = thing("ServiceMonitor", "a", uid="1", generation=2)
    found = verdict.of([monitor], [{**monitor, "status": {"bindings": [{"conditions": seen}]}}])
    assert [each.said for each in found.complaints] == told
    assert bool(found.waiting) != decided


def analysis(**metric):
    spec = {"args": [{"name": "most", "value": "5"}, {"name": "revision"}], "metrics": [{"name": "a"}, metric]}
    return {**thing("AnalysisTemplate", "a"), "spec": spec}


def test_each_condition_is_evaluated_once_with_what_is_put_into_it():
    plain, filled = "result[0] < 1", "result[0] < {{args.most}}"
    template = analysis(successCondition=plain, failureCondition=filled)
    found = list(conditions.of(template))
    given = [(("most", "5"), ("revision", each)) for each in ("1", "==")]
    assert found == [
        ("spec.metrics[1].successCondition", [Condition("successCondition", plain, ())]),
        ("spec.metrics[1].failureCondition", [Condition("failureCondition", filled, each) for each in given]),
    ]
    assert list(conditions.of({**template, "kind": "Rollout"})) == []


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        (["could not evaluate: unexpected token"] * 3, "could not evaluate: unexpected token"),
        (["could not evaluate: a list has none", "could not evaluate: a number has none", ""], ""),
        (["", "", ""], ""),
        (["connection refused"] * 3, ""),
    ],
)
def test_a_condition_is_none_where_the_same_is_said_whatever_is_answered(messages, told):
    assert conditions.said({"metricResults": [{"measurements": [{"message": each}]} for each in messages]}) == told


def test_of_several_replica_sets_the_newest_is_waited_for():
    seen = copy.deepcopy(RECORDED["whole"]["last"])
    (old,) = [each for each in seen if each["kind"] == "ReplicaSet" and each["spec"]["replicas"]]
    old["metadata"]["creationTimestamp"] = "2026-12-01T07:00:01Z"
    metadata = {**old["metadata"], "name": "second", "uid": "2", "creationTimestamp": "2026-12-01T07:00:02Z"}
    new = {**old, "metadata": metadata, "spec": {"replicas": 0}, "status": {"replicas": 0}}
    assert verdict.of(RECORDED["whole"]["applied"], [new, *seen]).waiting
    assert not verdict.of(
        RECORDED["whole"]["applied"], [{**new, "spec": old["spec"], "status": old["status"]}, *seen]
    ).waiting


def test_a_pod_that_is_refused_again_under_another_name_is_the_same_complaint():
    recorded = copy.deepcopy(RECORDED["account"])
    (pods,) = [each for each in recorded["last"] if each["kind"] == "ReplicaSet" and each["spec"]["replicas"]]
    said = set()
    for letters in ("abcde", "fghij"):
        message = f'pods "{pods["metadata"]["name"]}-{letters}" is forbidden: violates PodSecurity'
        pods["status"]["conditions"][0]["message"] = message
        said |= {each.said for each in verdict.of(recorded["applied"], recorded["last"]).complaints}
    assert len(said) == 1


SERVICE = {
    "kind": "InferenceService",
    "metadata": {"name": "fraud", "annotations": {"team": "risk"}},
    "spec": {
        "predictor": {
            "annotations": {"bad key!": "x"},
            "securityContext": {"runAsUser": 1},
            "dnsPolicy": "None",
            "initContainers": [{"name": "first", "image": "a"}, {"name": "second"}, {"name": "first", "image": "b"}],
            "nodeSelector": {"pool": "gpu pool"},
            "containers": [{"name": "tokens"}, {"name": "tokens", "image": "c"}],
            "model": {
                "image": "server",
                "storageUri": "ftp://acme/fraud",
                "securityContext": {"privileged": True},
                "resources": {"requests": {"cpu": "2", "memory": "3Gi"}, "limits": {"memory": "2Gi", "a.b/gpu": "1"}},
                "volumeMounts": [{"name": "tmp"}, {"name": "data"}],
            },
        }
    },
}
MODEL = ("spec", "predictor", "model")


@pytest.mark.parametrize(
    ("field", "said", "path"),
    [
        ("spec.predictor.nodeSelector", "is wrong", ("spec", "predictor", "nodeSelector")),
        (
            "",
            'spec.template.spec.nodeSelector: Invalid value: "gpu pool"',
            ("spec", "predictor", "nodeSelector", "pool"),
        ),
        ("", 'metadata.annotations: Invalid value: "bad key!"', ("spec", "predictor", "annotations", "bad key!")),
        ("", "spec.template.spec.containers[0].securityContext: Invalid value", (*MODEL, "securityContext")),
        (
            "",
            'spec.template.spec.containers[0].resources.requests: Invalid value: "3Gi": must be less',
            (*MODEL, "resources", "requests", "memory"),
        ),
        (
            "",
            'spec.template.spec.containers[0].volumeMounts[1].name: Not found: "data"',
            (*MODEL, "volumeMounts", 1, "name"),
        ),
        (
            "",
            "spec.template.spec.initContainers[1].image: Required value",
            ("spec", "predictor", "initContainers", 1),
        ),
        (
            "",
            'spec.template.spec.initContainers[2].name: Duplicate value: "first"',
            ("spec", "predictor", "initContainers", 2, "name"),
        ),
        ("", "spec.template.spec.containers[0].image: Required value", (*MODEL, "image")),
        (
            "",
            'spec.template.spec.containers[0].resources.limits[a.b/gpu]: Invalid value: "a.b/gpu": name part must',
            (*MODEL, "resources", "limits", "a.b/gpu"),
        ),
        ("", "spec.template.spec.containers[1].image: Required value", ("spec", "predictor", "containers", 0)),
        (
            "",
            'spec.template.spec.containers[2].name: Duplicate value: "tokens"',
            ("spec", "predictor", "containers", 1, "name"),
        ),
        (
            "",
            "spec.template.spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
            ("spec", "predictor", "dnsPolicy"),
        ),
        ("", "StorageUri [ftp://acme/fraud] is not supported", (*MODEL, "storageUri")),
        ("", "fraud is wrong, and nobody knows why", ()),
    ],
)
def test_the_value_is_found_that_is_meant(field, said, path):
    assert findings.place(SERVICE, field, said) == path


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("endpoints[1]: basicAuth: no such", ("endpoints", 1, "basicAuth")),
        ("endpoints[1]: oauth2 and basicAuth", ("endpoints", 1, "basicAuth")),
        ("endpoints[1]: relabelConfigs: [0]: x", ("endpoints", 1, "relabelings")),
        ("endpoints[0]: basicAuth: x", ("endpoints", 0)),
        ("endpoint[0]: metricRelabelConfigs: x", ("podMetricsEndpoints", 0, "metricRelabelings")),
    ],
)
def test_what_the_operator_says_of_an_endpoint_is_put_at_the_field(said, path):
    endpoints = [{"port": "http"}, {"basicAuth": {}, "relabelings": []}]
    spec = {"endpoints": endpoints, "podMetricsEndpoints": [{"metricRelabelings": []}]}
    assert findings.place({**thing("ServiceMonitor", "a"), "spec": spec}, "", said) == ("spec", *path)


def test_what_the_operator_leaves_out_is_not_called_refused_by_a_cluster(tmp_path):
    made = rendering(tmp_path, "a", thing("ServiceMonitor", "a"))
    told = [{"application": "lab/a", "object": 0, "said": "no", "field": "", "reason": "InvalidConfiguration"}]
    (refusal,) = findings.refusals([made], [], told)
    assert "leaves it out" in refusal.finding.remedy


def rendering(tmp_path, name, *objects, namespace="acme"):
    target = Target("lab", name, name, namespace, Chart(tmp_path, "chart"), [Values("a.yaml", "")], "v1.37.0")
    return Rendering(
        target, "".join(f"---\n# Source: chart/templates/{name}.yaml\n{json.dumps(each)}\n" for each in objects)
    )


def thing(kind, name, **metadata):
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **metadata}}


PROXY = "sidecar.istio.io/proxyCPU"


@pytest.mark.parametrize(
    ("named", "kind", "line"),
    [(f"annotation '{PROXY}'", "InferenceService", 2), ("annotation 'nobody.has/it'", "Rollout", 0)],
)
def test_an_annotation_of_the_pods_is_found_where_it_stands(tmp_path, named, kind, line):
    service = thing("InferenceService", "fraud") | {"spec": {"predictor": {"annotations": {PROXY: "100 m"}}}}
    made = rendering(tmp_path, "a", service, thing("Rollout", "fraud-predictor"))
    text = f"exampleModel:\n  podAnnotations: {{{PROXY}: 100 m}}\n"
    made = replace(made, target=replace(made.target, values=[Values("own.yaml", text), Values("a.yaml", "")]))
    said = f"admission webhook denied the request: invalid value '100 m' for {named}: quantities must match"
    told = [{"application": "lab/a", "object": 1, "said": said, "field": "", "reason": "FailedCreate"}]
    (refusal,) = findings.refusals([made], [], told)
    assert refusal.manifest.kind == "Rollout"
    assert refusal.finding.message.startswith(f"{kind} ")
    assert (refusal.finding.file, refusal.finding.line) == (
        ("own.yaml", line) if line else ("chart/templates/a.yaml", 0)
    )


def test_what_the_control_plane_says_names_field_object_and_template(tmp_path):
    told = [{"application": "lab/a", "object": 0, "said": "too\n  many", "field": "spec.ports", "reason": "Invalid"}]
    (refusal,) = findings.refusals([rendering(tmp_path, "a", thing("Service", "front"))], [], told)
    assert refusal.finding.message == "Service front: spec.ports: too many"
    assert refusal.finding.file == "chart/templates/a.yaml"


NOT_THERE = 'pods "wine-1-" is forbidden: error looking up service account acme/{0}: serviceaccount "{0}" not found'
INIT = (
    'pods "wine-1" is forbidden: violates PodSecurity "{}": non-default capabilities (container "istio-init" must not '
    'include "NET_ADMIN", "NET_RAW" in securityContext.capabilities.add)'
)


def told_of_pods(tmp_path, said, brought=(), **predictor):
    """What is told of a Rollout's pods, where an application's values have fields of the predictor."""
    values = {"exampleModel": {"predictor": predictor}}
    objects = [
        thing("Rollout", "wine-predictor"),
        thing("InferenceService", "wine") | {"spec": {"predictor": predictor}},
    ]
    made = rendering(tmp_path, "a", *objects)
    own = [Values("tree/wine.yaml", f"# its own\n{yaml.safe_dump(values)}"), Values("chart/values.yaml", "")]
    told = [{"application": "lab/a", "object": 0, "said": said, "field": "", "reason": "FailedCreate"}]
    (found,) = findings.refusals([replace(made, target=replace(made.target, values=own))], brought, told)
    return found.finding


@pytest.mark.parametrize("name", ["models", "reads-s3", "m.2"])
def test_an_account_that_is_not_there_is_told_where_the_application_names_it(tmp_path, name):
    found = told_of_pods(tmp_path, NOT_THERE.format(name), serviceAccountName=name, priorityClassName="models")

    assert found.place == "tree/wine.yaml:5"
    assert "(exampleModel.predictor.serviceAccountName, rendered by chart/templates/a.yaml" in found.message
    assert "paths.policies" in found.remedy


OF_ANOTHER = "maximum cpu usage per Container is 1, but limit is 2"
TOO_MUCH = 'pods "wine-1" is forbidden: {}'


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("maximum cpu usage per Container is 64, but limit is 1k", "limits.cpu"),
        ("maximum nvidia.com/gpu usage per Container is 1, but limit is 2", "limits.nvidia.com/gpu"),
        ("maximum cpu usage per Container is 64, but request is 200", "requests.cpu"),
        (f"[{OF_ANOTHER}, maximum cpu usage per Container is 64, but limit is 1k]", "limits.cpu"),
    ],
)
def test_an_amount_that_a_limit_range_does_not_take_is_told_where_it_stands(tmp_path, said, key):
    resources = {"limits": {"cpu": 1000, "nvidia.com/gpu": "2"}, "requests": {"cpu": "200"}}
    beside = [{"name": "beside", "resources": resources}]
    found = told_of_pods(tmp_path, TOO_MUCH.format(said), containers=beside)

    assert f"(exampleModel.predictor.containers[0].resources.{key}, rendered by" in found.message
    assert found.file == "tree/wine.yaml"


def test_an_amount_of_another_container_is_told_of_who_is_refused(tmp_path):
    said = "minimum memory usage per Container is 1Gi, but request is 40Mi"
    beside = [{"name": "beside", "resources": {"requests": {"memory": "512Mi"}}}]
    found = told_of_pods(tmp_path, TOO_MUCH.format(said), containers=beside)

    assert found.file == "chart/templates/a.yaml"


@pytest.mark.parametrize(
    ("said", "annotation"),
    [
        ("maximum memory usage per Container is 512Mi, but limit is 1Gi", "sidecar.istio.io/proxyMemoryLimit"),
        ("minimum cpu usage per Container is 200m, but request is 100m", "sidecar.istio.io/proxyCPU"),
    ],
)
def test_an_amount_that_no_container_names_is_told_with_who_sets_it(tmp_path, said, annotation):
    beside = [{"name": "beside", "resources": {"limits": {"memory": "256Mi"}}}]
    found = told_of_pods(tmp_path, TOO_MUCH.format(said), containers=beside)

    assert f"annotation {annotation} of the pods" in found.remedy
    assert "widen the LimitRange" in found.remedy


OVER = "exceeded quota: q, requested: {0}=2, used: {0}=2, limited: {0}=3"
QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "acme"}}


@pytest.mark.parametrize(
    ("resource", "key"),
    [
        ("requests.cpu", "containers[1].resources.requests.cpu"),
        ("cpu", "containers[1].resources.requests.cpu"),
        ("limits.memory", "containers[0].resources.limits.memory"),
        ("requests.nvidia.com/gpu", "containers[1].resources.limits.nvidia.com/gpu"),
        ("requests.cpu=2,requests.memory", "containers[1].resources.requests.cpu"),
    ],
)
def test_what_asks_most_of_a_quota_is_named_with_the_quota(tmp_path, resource, key):
    small = {"name": "small", "resources": {"requests": {"cpu": "900m"}, "limits": {"memory": "2Gi"}}}
    limits = {"cpu": 4, "memory": "512Mi", "nvidia.com/gpu": 1}
    large = {"name": "large", "resources": {"requests": {"cpu": 1}, "limits": limits}}
    quotas = [Brought(QUOTA, "cluster/quotas.yaml", 7), Brought(thing("ResourceQuota", "q"), "cluster/other.yaml", 1)]
    found = told_of_pods(tmp_path, TOO_MUCH.format(OVER.format(resource)), quotas, containers=[small, large])

    assert f"(exampleModel.predictor.{key}, rendered by" in found.message
    assert found.file == "tree/wine.yaml"
    assert "raise ResourceQuota q (cluster/quotas.yaml:7), and on your clusters as well" in found.remedy


def test_a_quota_of_pods_is_told_of_who_is_refused(tmp_path):
    found = told_of_pods(tmp_path, TOO_MUCH.format(OVER.format("pods")), containers=[{"name": "beside"}])

    assert found.file == "chart/templates/a.yaml"
    assert "raise ResourceQuota q, and on your clusters" in found.remedy


class Full:
    """An API server whose quota is used up; it remembers what it was to have, and what it was only asked about."""

    def __init__(self):
        self.there, self.tried = [], []

    def serves(self, _document):
        return True

    def is_namespaced(self, _document):
        return True

    def apply(self, document):
        self.there.append(document["metadata"]["name"])
        return 200, document

    def try_out(self, document):
        self.tried.append(document["metadata"]["name"])
        said = "exceeded quota: q" if document["metadata"]["name"] == "asks" else "serviceaccount not found"
        return 403, {"message": said, "reason": "Forbidden"}


def test_what_argo_cd_never_applies_is_asked_about_and_takes_of_no_quota(tmp_path):
    def test(kind, name, **annotations):
        return thing(kind, name, annotations={"helm.sh/hook": "test", **annotations})

    objects = [
        test("Pod", "asks"),
        test("Job", "wrong"),
        test("ServiceAccount", "reads"),
        test("Pod", "smoke", **{"argocd.argoproj.io/hook": "PostSync"}),
        thing("Pod", "serves"),
    ]
    application, api = Application(**groups.given(rendering(tmp_path, "a", *objects))), Full()

    apply.apply_first_wave(api, [application])

    assert sorted(api.tried) == ["asks", "wrong"]
    assert sorted(api.there) == ["reads", "serves", "smoke"]
    assert [(each["object"], each["said"]) for each in application.found] == [(1, "serviceaccount not found")]


def test_an_account_that_no_value_names_is_told_of_who_misses_it(tmp_path):
    found = told_of_pods(tmp_path, NOT_THERE.format("wine-predictor"), serviceAccountName="models")

    assert (found.file, found.message.partition(":")[0]) == ("chart/templates/a.yaml", "Rollout wine-predictor")


@pytest.mark.parametrize(
    ("said", "as_well"),
    [
        (INIT.format("restricted:latest"), "a cluster without Istio's CNI plugin refuses it as well"),
        (INIT.format("baseline:v1.33"), "a cluster without Istio's CNI plugin refuses it as well"),
        (INIT.format("baseline:latest").replace("istio-init", "seed"), "change what it names: a cluster refuses it"),
        ('duplicate name "istio-init"', "change what it names: a cluster refuses it"),
    ],
)
def test_what_istio_s_cni_plugin_would_do_without_is_no_verdict_on_every_cluster(tmp_path, said, as_well):
    remedy = told_of_pods(tmp_path, said).remedy
    assert remedy.startswith(as_well)
    assert ("istio_cni = true of the environment in ml-serving-ci.toml" in remedy) == ("plugin" in as_well)


def refusal(kind="Service", name="front", said="port: too high", line=3):
    manifest = Manifest(thing(kind, name), "", "chart/templates/a.yaml")
    found = Finding("control-plane", "lab/a.yaml", line, f"{manifest}: {said}", "change it")
    return Refusal("lab/a", manifest, said, found)


@pytest.mark.parametrize(
    ("found", "other", "told"),
    [
        (refusal(), ("schema", "Service front: port: too high"), False),
        (refusal(), ("schema", "Service back: port: too high"), True),
        (refusal("PrometheusRule"), ("rules", "rule up: no PromQL"), False),
        (refusal("AnalysisTemplate", line=1), ("gates", "metric a: >> 1: cannot be read"), False),
        (refusal("AnalysisTemplate", line=2), ("gates", "metric a: >> 1: cannot be read"), True),
        (refusal("InferenceService"), ("runtimes", "no serving runtime is called x"), False),
        (refusal("Rollout"), ("runtimes", "no serving runtime is called x"), True),
    ],
)
def test_what_another_check_says_is_not_said_twice(found, other, told):
    check_name, message = other
    others = [("lab/a", Finding(check_name, "lab/a.yaml", 1, message, "change it"))]
    assert list(findings.untold([found], others)) == ([("lab/a", found.finding)] if told else [])
    assert list(findings.untold([found], [("lab/b", others[0][1])])) == [("lab/a", found.finding)]


def test_one_value_that_several_objects_have_is_one_finding():
    three = [refusal(name="one"), refusal(name="two"), refusal(name="three", line=4)]
    assert [finding for _, finding in findings.untold(three, [])] == [three[0].finding, three[2].finding]


def test_environments_with_one_namespace_are_clusters_apart(tmp_path):
    own = thing("Service", "front")
    a, b, c = (
        rendering(tmp_path, name, thing("Namespace", "acme"), *objects)
        for name, objects in {"a": [own], "b": [own], "c": [thing("Service", "front", namespace="elsewhere")]}.items()
    )
    assert groups.groups([a, b, c]) == [[a, c], [b]]
    other = replace(b, target=replace(b.target, namespace="other"))
    assert groups.groups([a, other]) == [[a, other]]


def test_clusters_with_istio_s_cni_plugin_are_apart_from_those_without(tmp_path):
    a, b, c = (rendering(tmp_path, name, thing("Service", name)) for name in "abc")
    with_cni = [replace(each, target=replace(each.target, istio_cni=True)) for each in (a, c)]
    assert groups.groups([with_cni[0], b, with_cni[1]]) == [with_cni, [b]]


def test_programs_come_out_of_the_images_that_the_supply_has():
    images = pins.load().images
    for image, path in container.PROGRAMS.values():
        assert path in {**images[image].source.files, **images[image].source.links}


def test_certificate_and_keys_are_the_same_each_time():
    assert certificate.fixed() == certificate.fixed()
