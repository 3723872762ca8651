"""`python -m ci.checks.control_plane.inside.apply FILE`: apply the objects of applications, and tell what came of it.

The file has {"stack", "clusters", "applications", "courses"}, as JSON: objects of the stack that the project's clusters
have otherwise than it is installed, those that they have of their own, a list of {"name", "namespace", "objects",
"tried"}, as of `Application`, and the canaries to play, as `play.Player` reads them. Standard output gets
{"complaints", "courses"}: a list of what is wrong, each {"application", "object", "said", "field", "reason"}, where
`object` is its number among the application's, or the clusters' where that is empty; and what `play.play` returns.
"""

import http
import json
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ci.checks.control_plane.inside import conditions, install, play, processes, verdict
from ci.checks.control_plane.inside.api import Api, Document
from ci.checks.control_plane.inside.play import Player
from ci.checks.control_plane.inside.verdict import Verdict

SECOND_WAVE = ("Rollout", "HorizontalPodAutoscaler")
"""Kinds that refer to what KServe makes: applied with the rest, a Rollout says for seconds that it is not there."""
UNDECIDED = "Undecided"
"""Reason of what is no complaint: nobody has come to a decision."""
NO_CONDITION = "NoCondition"
"""Reason of what is wrong with a condition whatever is measured."""
FIRST = ("Namespace", "ResourceQuota", "LimitRange")
"""Kinds that judge or limit whatever comes after them; Argo CD applies them first as well."""
QUOTAS = "/api/v1/resourcequotas"
"""Until the controller has counted what there is, a quota lets everything in."""
POLICY, POLICY_SECONDS = "AdmissionPolicy", 2.0
"""The API server reads policies anew each second, and nothing tells that it has."""
TLS = {"ca": processes.CERTIFICATE, "cert": processes.CERTIFICATE, "keySecret": processes.KEY}
"""Fields of a monitor with what the Prometheus operator reads: elsewhere any text will do."""
FULL = "exceeded quota: "
"""Said of what is too much beside all else, which tells nothing of an object that is never there beside it."""
LOOK_SECONDS = 0.15
STANDS_SECONDS, STANDS_LOOKS = 2.0, 8
"""How long a complaint has to stay as it is: some are over with the controller's next turn.

By the clock, and by looks: on a busy machine these take as much longer as the controllers do.
"""
PATIENCE_SECONDS, PATIENCE_LOOKS = 30.0, 60
"""How long nothing has to change for an object that nobody comes to a decision about."""
LOOKED_AT = (
    "/apis/serving.kserve.io/v1beta1/inferenceservices",
    "/apis/argoproj.io/v1alpha1/rollouts",
    "/apis/argoproj.io/v1alpha1/analysisruns",
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/replicasets",
    "/apis/apps/v1/statefulsets",
    "/apis/apps/v1/daemonsets",
    "/apis/batch/v1/jobs",
    "/apis/monitoring.coreos.com/v1/servicemonitors",
    "/apis/monitoring.coreos.com/v1/podmonitors",
    "/apis/monitoring.coreos.com/v1/probes",
    "/api/v1/events",
)


@dataclass
class Application:
    """One application, and how far it is.

    Attributes:
        name: ENV/APP.
        namespace: Where objects go that name none.
        objects: As Helm rendered them.
        tried: Numbers of those that nobody applies: it is asked whether they would be taken, and none is there.
        found: What is wrong.
        applied: What the API server took, each with its number among the objects.
        whole: Whether the second wave was applied, too.
        over: Whether all is known.
        verdict: The controllers', as last seen.
        since: When it became what it is.
        looks: How often it was the same since.
    """

    name: str
    namespace: str
    objects: Sequence[Document]
    tried: Sequence[int] = ()
    found: list[Document] = field(default_factory=list)
    applied: list[tuple[int, Document]] = field(default_factory=list)
    whole: bool = False
    over: bool = False
    verdict: Verdict = field(default_factory=Verdict)
    since: float = 0.0
    looks: int = 0

    def tell(self, number: int, said: str, where: str = "", reason: str = "") -> None:
        """Say that something is wrong with an object."""
        found = {"application": self.name, "object": number, "said": said, "field": where, "reason": reason}
        if found not in self.found:
            self.found.append(found)

    def put(self, api: Api, document: Document) -> tuple[int, Document]:
        """Have an object there, as Argo CD would; arguments and answer as for `Api.apply`."""
        return api.apply(document)

    def judged(self, seen: Sequence[Document]) -> Verdict:
        """Return what the controllers make of it, of what there is now."""
        return verdict.of([each for _, each in self.applied], seen)

    def look(self, seen: Sequence[Document]) -> None:
        """Take notice of what there is now."""
        found = self.judged(seen)
        self.looks += 1
        if found != self.verdict:
            self.verdict, self.since, self.looks = found, time.monotonic(), 0

    @property
    def is_decided(self) -> bool:
        """Whether the controllers have come to a decision on all that was applied, or nobody will."""
        idle = time.monotonic() - self.since
        if self.verdict.waiting:
            return idle > PATIENCE_SECONDS and self.looks > PATIENCE_LOOKS
        return not self.verdict.complaints or (idle > STANDS_SECONDS and self.looks > STANDS_LOOKS)

    def has_templates(self, seen: Sequence[Document]) -> bool:
        """Tell whether the Deployments are there whose pods its Rollouts take."""
        there = {(each["metadata"]["namespace"], each["metadata"]["name"]) for each in _of_kind(seen, "Deployment")}
        wanted = {
            (_namespace(each) or self.namespace, reference.get("name"))
            for each in _of_kind(self.objects, "Rollout")
            if (reference := each.get("spec", {}).get("workloadRef"))
        }
        return wanted <= there

    def end(self) -> None:
        """Say what the controllers have against it, and what nobody decided."""
        numbers = {each["metadata"]["uid"]: number for number, each in self.applied}
        refused = {each["object"] for each in self.found} | {numbers[each.uid] for each in self.verdict.complaints}
        refused |= set(range(len(self.objects))) - set(numbers.values())  # of a kind that is not served
        for each in self.verdict.complaints:
            others = [self.objects[number] for number in refused - {numbers[each.uid]}]
            if not verdict.is_echo(each.said, others):
                self.tell(numbers[each.uid], each.said, reason=each.reason)
        for uid, said in self.verdict.waiting:
            self.tell(numbers[uid], f"no decision within {PATIENCE_SECONDS:.0f} s: {said}", reason=UNDECIDED)
        self.over = True


def main() -> None:
    """Apply them, and print what is wrong."""
    given = json.loads(Path(sys.argv[1]).read_text())
    clusters = Application("", "default", given["clusters"])
    applications = [Application(**each) for each in given["applications"]]
    with processes.running() as plane:
        install.put(plane.api, given["stack"])
        plane.start(*processes.PROGRAMS)
        prepare(plane.api, clusters, applications)
        with ThreadPoolExecutor(1) as beside:
            wrong = beside.submit(wrong_conditions, plane.api, applications)
            judge(plane.api, applications)
        for application, number, where, said in wrong.result():
            application.tell(number, said, where, NO_CONDITION)
        taken = {each.name for each in applications if not each.found}
        players = [Player.of(each) for each in given["courses"] if each["application"] in taken]
        courses = play.play(plane, players) if players else []
    complaints = [found for each in (clusters, *applications) for found in each.found]
    json.dump({"complaints": complaints, "courses": courses}, sys.stdout)


def prepare(api: Api, clusters: Application, applications: Sequence[Application]) -> None:
    """Have what is there before: namespaces, Secrets, CRDs, and what judges or limits whatever comes after it."""
    everything = [clusters, *applications]
    names = {name for each in everything for name in (each.namespace, *map(_namespace, each.objects)) if name}
    for name in sorted(names):  # where one is refused, so is what goes into it
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for kept in (*_secrets(applications), *_asked_for(applications)):
        api.apply(kept)
    _apply(api, everything, lambda kind: kind == install.DEFINITION)
    install.discover(api, [each for application in everything for _, each in application.applied])
    _apply(api, [clusters], lambda kind: kind != install.DEFINITION)
    _apply(api, applications, lambda kind: kind in FIRST)
    until = time.monotonic() + PATIENCE_SECONDS
    while not all(each.get("status", {}).get("hard") for each in api.items(QUOTAS)) and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
    if any(POLICY in each["kind"] for each in clusters.objects):
        time.sleep(POLICY_SECONDS)


def judge(api: Api, applications: Sequence[Application]) -> None:
    """Apply applications, and find out what is wrong with them."""
    apply_first_wave(api, applications)
    watch(api, applications)


def wrong_conditions(api: Api, applications: Sequence[Application]) -> list[tuple[Application, int, str, str]]:
    """Return which conditions of analyses are none, each with its object's number, its place there and what is said.

    What several have is evaluated once.
    """
    found = [
        (application, number, where, filled)
        for application in applications
        for number, document in enumerate(application.objects)
        for where, filled in conditions.of(document)
    ]
    wrong = conditions.judge(api, list(dict.fromkeys(each for *_, filled in found for each in filled)))
    return [
        (application, number, where, wrong[filled[0]])
        for application, number, where, filled in found
        if all(each in wrong for each in filled)
    ]


def apply_first_wave(api: Api, applications: Sequence[Application]) -> None:
    """Apply all that needs nothing that controllers make."""
    _apply(api, applications, lambda kind: kind not in (install.DEFINITION, *FIRST, *SECOND_WAVE))


def watch(api: Api, applications: Sequence[Application]) -> None:
    """Apply the second wave once its time has come, and wait until all of an application is decided."""
    while waiting := [each for each in applications if not each.over]:
        seen = looked(api)
        due = []
        for each in waiting:
            each.look(seen)
            if each.whole and each.is_decided:
                each.end()
            elif not each.whole and (each.is_decided or each.has_templates(seen)):
                due.append(each)
        _apply(api, due, lambda kind: kind in SECOND_WAVE)
        for each in due:
            each.whole = True
        time.sleep(LOOK_SECONDS)


def looked(api: Api) -> list[Document]:
    """Return what there is of all that tells what the controllers make of applications."""
    return [document for path in LOOKED_AT for document in api.items(path)]


def _secrets(applications: Sequence[Application]) -> Iterator[Document]:
    """Yield an empty Secret for each that pods get by their service account: git has none, and the cluster does."""
    wanted = {
        (_namespace(account) or application.namespace, secret["name"])
        for application in applications
        for account in _of_kind(application.objects, "ServiceAccount")
        for secret in account.get("secrets") or ()
    }
    for namespace, name in sorted(wanted):
        yield {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}}


def _asked_for(applications: Sequence[Application]) -> Iterator[Document]:
    """Yield each Secret and ConfigMap that monitors take a key of, with these keys, whose contents are in no git.

    Where a chart renders one, that comes into its place.
    """
    wanted: dict[tuple[str, str, str], dict[str, bytes]] = {}
    for application in applications:
        for monitor in (each for each in application.objects if each["kind"] in verdict.MONITORS):
            for way, asked in _keys(monitor.get("spec")):
                kind = "ConfigMap" if way[-1] == "configMap" else "Secret"
                where = (kind, _namespace(monitor) or application.namespace, str(asked["name"]))
                file = next((file for each, file in TLS.items() if each in way), None)
                content = file.read_bytes() if file else b"1"
                wanted.setdefault(where, {})[str(asked["key"])] = content
    for (kind, namespace, name), keys in sorted(wanted.items()):
        data = {key: _encoded(kind, content) for key, content in keys.items()}
        yield {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "data": data}


def _keys(value: object, way: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Document]]:
    """Yield whatever names an object and a key of it, with the way there."""
    if isinstance(value, dict):
        if {"name", "key"} <= value.keys():
            yield way, value
        for key, inner in value.items():
            yield from _keys(inner, (*way, key))
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner, way)


def _encoded(kind: str, content: bytes) -> str:
    return b64encode(content).decode() if kind == "Secret" else content.decode()


def _apply(api: Api, applications: Sequence[Application], wanted: Callable[[str], bool]) -> None:
    """Apply the objects of some kinds side by side, and an AnalysisRun of each template among them."""
    named = [
        (application, number, each)
        for application in applications
        for number, document in enumerate(application.objects)
        # a kind that is not served is a finding of the schemas; a name that is made anew each time cannot be applied
        if wanted(document["kind"]) and api.serves(document) and document["metadata"].get("name")
        for each in _with_run(_placed(api, document, application.namespace))
    ]
    with ThreadPoolExecutor(install.AT_ONCE) as pool:
        answers = list(pool.map(lambda each: _put(api, *each), named))
    for (application, number, _), (code, answer) in zip(named, answers, strict=True):
        tried = number in application.tried
        if code >= http.HTTPStatus.BAD_REQUEST and not (tried and FULL in answer.get("message", "")):
            for cause in answer.get("details", {}).get("causes") or [{"message": answer.get("message", "")}]:
                application.tell(number, cause["message"], cause.get("field", ""), answer.get("reason", ""))
        elif not tried:
            application.applied.append((number, answer))
    for application in applications:
        application.since, application.looks = time.monotonic(), 0


def _put(api: Api, application: Application, number: int, document: Document) -> tuple[int, Document]:
    return api.try_out(document) if number in application.tried else application.put(api, document)


def _placed(api: Api, document: Document, namespace: str) -> Document:
    """Return an object in its namespace, if it has one."""
    if not api.is_namespaced(document):
        return document
    metadata = document["metadata"]
    return {**document, "metadata": {**metadata, "namespace": metadata.get("namespace") or namespace}}


def _with_run(document: Document) -> Iterator[Document]:
    """Yield an object; and of an AnalysisTemplate what Argo Rollouts would make of it.

    It is told to end before it begins: its arguments are put in and its metrics are looked at, and nobody is asked.
    """
    yield document
    if document["kind"] == "AnalysisTemplate":
        metadata, spec = document["metadata"], document["spec"]
        yield {
            "apiVersion": document["apiVersion"],
            "kind": "AnalysisRun",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "spec": {**spec, "args": conditions.arguments(spec), "terminate": True},
        }


def _of_kind(documents: Sequence[Document], kind: str) -> Iterator[Document]:
    return (each for each in documents if each["kind"] == kind)


def _namespace(document: Document) -> str:
    return str(document["metadata"].get("namespace") or "")


if __name__ == "__main__":
    main()
