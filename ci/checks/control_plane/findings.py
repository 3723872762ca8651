"""From what a control plane has against an object to the value that it is about, with file and line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ci.checks.control_plane.inside import apply, verdict
from ci.manifests import hooks, manifests, places, quantities, runtimes
from ci.manifests.brought import CHECK, Brought
from ci.manifests.chart import Rendering
from ci.manifests.manifests import Manifest
from ci.project import FILE, dotted
from ci.results import Finding

FIELD = re.compile(r"\b(?:spec|metadata|data)(?:\.[\w/-]+|\[[^\]]*\])+")
"""A field in what is said."""
ANNOTATION = re.compile(r"annotation '([^']+)'")
"""As Istio names one of a pod's, which stands in another object than the one that it refuses the pods of."""
WHOLE = re.compile(r"Invalid value: [{\[].*[}\]]: ")
"""A whole part of an object, as the API server prints it in what it says."""
TELLING = 4
"""Letters that a value needs to be told by where no field is named: shorter ones are in any sentence."""
NAMES = (("metadata", "name"), ("metadata", "namespace"))
"""What nearly every message repeats."""
CONTAINERS = ("spec", "template", "spec", "containers")
BESIDE = ("spec", "predictor", "containers")
"""Where a Deployment has its containers, and an InferenceService those beside the server's."""
OF_KSERVE: Mapping[str | int, str] = {"containers": "model"}
"""Keys of the pods that KServe makes, and what it makes them of."""
TOLD_BY = {"rules": "PrometheusRule", "runtimes": "InferenceService"}
"""Kind of the objects that a check looks into."""
OF_ENDPOINT = re.compile(r"(?P<endpoint>\w+\[\d+\]): (?P<about>.+)", re.DOTALL)
WORD = re.compile(r"\w+")
OF_OPERATOR: Mapping[str | int, str] = {
    "endpoint": "podMetricsEndpoints",
    "relabelConfigs": "relabelings",
    "metricRelabelConfigs": "metricRelabelings",
}
"""Fields of a monitor by what the Prometheus operator calls them, where that is another name."""
LISTED = 2
"""Parts that tell an entry of a list: the key of the list, and a number or a key of its own."""
REMEDY = "change what it names: a cluster refuses it as well"
OVER_BEFORE = "correct it: a cluster that has it as it was refuses the change"
"""Where the change alone is refused, and not what it comes to."""
ANEW = (
    "a cluster that has it as it was refuses the change: keep that, give the object another name, or annotate it with "
    "argocd.argoproj.io/sync-options: Force=true,Replace=true, by which Argo CD deletes it and makes it anew"
)
"""Where nothing else makes it so: it ends what runs, and may lose what is kept."""
KEPT = re.compile(
    r"immutable|may not change|may not be (?:changed|updated)|cannot change|can ?not be less|updates? to .+ forbidden"
)
"""What the API server's own validation says of a field that an object has for good
(https://github.com/kubernetes/kubernetes/tree/v1.37.0/pkg/apis)."""
INVALID, DENIED = "Invalid", re.compile(r"\bdenied (?:the )?request\b")
"""Reason of that, and what is said instead where a policy or a webhook has something against it."""
REMEDIES = {
    apply.UNDECIDED: "run it again; `--no-control-plane` leaves this check out",
    apply.NO_CONDITION: "correct it: on a cluster each measurement ends in an Error, and so does the analysis",
    verdict.LEFT_OUT: "correct it: on a cluster the Prometheus operator leaves it out, and nothing of it is scraped",
}
ACCOUNT = re.compile(r'serviceaccount "(?P<name>[^"]+)" not found')
"""What the API server says of pods, whoever makes them."""
NO_ACCOUNT = (
    f"where your clusters have it, put its manifest, with its namespace, into the folder that paths.policies of {FILE} "
    "names; or name none, for the release's own"
)
LIMIT = re.compile(
    r"imum (?P<resource>\S+) usage per Container is [^,]+, but (?P<bound>request|limit) is (?P<is>[^\s,\]]+)"
)
"""What a LimitRange says of pods: their containers have the amount in another spelling, 1k for 1000
(https://github.com/kubernetes/kubernetes/blob/v1.37.0/plugin/pkg/admission/limitranger/admission.go)."""
LIMITED_ELSEWHERE = (
    "no container of the application names this amount: istio-proxy has it by annotation {annotation} of the pods "
    "(exampleModel.podAnnotations), KServe's storage-initializer and a serving runtime by your clusters' own, and any "
    "container that names none by the LimitRange's default: set it there, or widen the LimitRange"
)
OF_PROXY = {"cpu": "sidecar.istio.io/proxyCPU", "memory": "sidecar.istio.io/proxyMemory"}
"""Annotations of a pod by what they set of its proxy (https://istio.io/latest/docs/reference/config/annotations/)."""
QUOTA = re.compile(r"exceeded quota: (?P<name>[^,]+), requested: (?P<resource>[^=]+)=")
"""What a ResourceQuota says, of the first resource that there is too little of."""
OVER_QUOTA = (
    "ask for less (exampleModel.resources), or raise ResourceQuota {name}{place}, and on your clusters as well: while "
    "a canary runs, pods of both versions count"
)
ISTIO_INIT = re.compile(r'violates PodSecurity .*"istio-init"')
"""The container that Istio gives pods where its CNI plugin does not do the same on the node
(https://istio.io/latest/docs/setup/additional-setup/cni/)."""
NO_CNI = (
    "a cluster without Istio's CNI plugin refuses it as well; where the environment's has it, no pod has istio-init: "
    f"say istio_cni = true of the environment in {FILE}"
)


@dataclass(frozen=True)
class Refusal:
    """One thing that the control plane has against an object.

    Attributes:
        target: The application's name.
        manifest: The object.
        said: What.
        finding: The same, where it is to be changed.
    """

    target: str
    manifest: Manifest
    said: str
    finding: Finding

    def is_told_by(self, other: Finding) -> bool:
        """Tell whether a finding of another check is about the same."""
        if other.check == "schema":
            return other.message.startswith(f"{self.manifest}: ")
        if other.check == "gates":  # of a condition, which is evaluated here whoever uses it
            return other.place == self.finding.place
        return TOLD_BY.get(other.check) == self.manifest.kind


def refusals(
    renderings: Sequence[Rendering],
    brought: Sequence[Brought],
    complaints: Sequence[Mapping[str, Any]],
    *,
    over_before: bool = False,
) -> Iterator[Refusal | Finding]:
    """Yield what is wrong with renderings, and with what the clusters have.

    Args:
        renderings: What was applied.
        brought: What the clusters have.
        complaints: As `inside.apply` tells them.
        over_before: Whether they were applied over what was there before a change.
    """
    named = {each.target.name: each for each in renderings}
    for each in complaints:
        said = " ".join(each["said"].split())
        way_out = _remedy(said, each["reason"], over_before=over_before)
        message = said if each["field"] in said else f"{each['field']}: {said}"
        if not each["application"]:
            own = brought[each["object"]]
            name = f"{own.document['kind']} {own.document['metadata'].get('name')}"
            yield Finding(CHECK, own.file, own.line, f"{name}: {message}", way_out)
            continue
        rendering = named[each["application"]]
        within = rendering.objects
        manifest = within[each["object"]]
        own_value = _annotated(within, said) or _account(within, said) or _limited(within, said) or _most(within, said)
        about, path = own_value or (manifest, place(manifest.data, each["field"], said))
        if quota := QUOTA.search(said):
            way_out = OVER_QUOTA.format(name=quota["name"], place=_quota(rendering, brought, quota["name"]))
        elif own_value is None and (limit := LIMIT.search(said)) and (annotation := OF_PROXY.get(limit["resource"])):
            suffix = "Limit" if limit["bound"] == "limit" else ""
            way_out = LIMITED_ELSEWHERE.format(annotation=f"{annotation}{suffix}")
        finding = about.finding(CHECK, path, message, way_out)
        yield Refusal(each["application"], manifest, said, finding)


def of_change(
    complaint: Mapping[str, Any], before: Mapping[str, Any] | None, after: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a complaint about a change as one about the value that is another one, without the part that has it.

    Args:
        complaint: As `inside.change` tells it.
        before: The object as it was; None where it was not there.
        after: The object.
    """
    own = places.field_path(complaint["field"])
    said = WHOLE.sub(
        "", complaint["said"].partition("\n")[0]
    )  # behind which a part is printed, or compared line by line
    below = (path for path in manifests.differing(before, after) if path[: len(own)] == own != path)
    return {**complaint, "said": said, "field": dotted(next(below, own)) if own and before else complaint["field"]}


def without(found: Sequence[Refusal | Finding], known: Sequence[Refusal | Finding]) -> Iterator[Refusal | Finding]:
    """Yield what is said of objects of which nothing else is said.

    Args:
        found: What is said of the change.
        known: What is said of what it comes to: what is wrong with that has to be corrected first.
    """
    objects = {(each.target, str(each.manifest)) for each in known if isinstance(each, Refusal)}
    for each in found:
        if isinstance(each, Refusal) and (each.target, str(each.manifest)) not in objects:
            yield each


def untold(found: Sequence[Refusal | Finding], others: Sequence[tuple[str, Finding]]) -> Iterator[tuple[str, Finding]]:
    """Yield what no other check says, for of its own rules each knows the place better; of one value once.

    Args:
        found: What the control plane has to say.
        others: What other checks found, each with its target's name.
    """
    told = set()
    for each in found:
        if isinstance(each, Finding):
            yield "", each
            continue
        cause = (each.target, each.finding.place, each.said)
        if cause not in told and not any(
            each.is_told_by(finding) for target, finding in others if target == each.target
        ):
            told.add(cause)
            yield each.target, each.finding


def _remedy(said: str, reason: str, *, over_before: bool) -> str:
    if ACCOUNT.search(said):
        return NO_ACCOUNT
    if ISTIO_INIT.search(said):
        return NO_CNI
    if over_before and reason == INVALID and KEPT.search(said) and not DENIED.search(said):
        return ANEW
    return REMEDIES.get(reason, OVER_BEFORE if over_before else REMEDY)


def _account(objects: Sequence[Manifest], said: str) -> tuple[Manifest, places.Path] | None:
    """Return where the service account is named that is not there: a Rollout's pods are an InferenceService's."""
    if (missing := ACCOUNT.search(said)) is None:
        return None
    asked = ("serviceAccountName", missing["name"])
    named = ((each, path) for each in objects for path, value in places.walk(each.data) if (path[-1], value) == asked)
    return next(named, None)


def _limited(objects: Sequence[Manifest], said: str) -> tuple[Manifest, places.Path] | None:
    """Return where an amount stands that a LimitRange does not take; None where it is of none of these containers."""
    for limit in LIMIT.finditer(said):
        end = ("resources", f"{limit['bound']}s", limit["resource"])
        amounts = (
            (each, path, value) for each in objects for path, value in places.walk(each.data) if path[-3:] == end
        )
        for each, path, value in amounts:
            if quantities.same(value, limit["is"]):
                return each, path
    return None


def _most(objects: Sequence[Manifest], said: str) -> tuple[Manifest, places.Path] | None:
    """Return where the most is asked of what a quota has too little of; None where no amount of it is named."""
    if (quota := QUOTA.search(said)) is None:
        return None
    bound, _, name = quota["resource"].partition(".")
    # a quota of cpu is one of requests.cpu, and what has a limit alone asks for as much
    keys, resource = (("limits",), name) if bound == "limits" else (("requests", "limits"), quota["resource"])
    end = resource.removeprefix("requests.")
    asked = [
        (much, (each, (*path, key, end)))
        for each in objects
        if not hooks.is_left_out(each.data)
        for path, value in places.walk(each.data)
        if path[-1] == "resources"
        if (key := next((each for each in keys if manifests.dig(value, each, end) is not None), ""))
        and (much := quantities.amount(manifests.dig(value, key, end))) is not None
    ]
    return max(asked, key=lambda each: each[0], default=(0, None))[1]


def _quota(rendering: Rendering, brought: Sequence[Brought], name: str) -> str:
    """Return where a quota stands, in brackets; nothing where only the application itself may have it."""
    own = ("ResourceQuota", name, rendering.target.namespace)
    for each in brought:
        metadata = each.document["metadata"]
        if (each.document["kind"], metadata.get("name"), metadata.get("namespace")) == own:
            return f" ({each.file}:{each.line})"
    return ""


def _of_endpoint(data: Mapping[str, Any], said: str) -> places.Path:
    """Return the path of what the Prometheus operator says of an endpoint; empty where it says nothing of one."""
    if (told := OF_ENDPOINT.match(said)) is None:
        return ()
    endpoint = ("spec", *(OF_OPERATOR.get(part, part) for part in places.field_path(told["endpoint"])))
    named = (OF_OPERATOR.get(word, word) for word in WORD.findall(told["about"]))
    found = next((word for word in named if manifests.dig(data, *endpoint, word) is not None), None)
    return (*endpoint, found) if found else endpoint


def place(data: Mapping[str, Any], field: str, said: str) -> places.Path:
    """Return the path of the value that something is said of; of the object itself where that cannot be told.

    Args:
        data: The object.
        field: The object's own, as Kubernetes writes it; empty where none is named.
        said: What is said.
    """
    own = places.field_path(field)
    if data.get("kind") in verdict.MONITORS and (endpoint := _of_endpoint(data, said)):
        return endpoint
    if own and manifests.dig(data, *own) is not None:
        found: places.Path = own
    elif other := FIELD.search(field or said):
        named = (path for path, _ in places.walk(data) if f"`{path[-1]}`" in said)
        told = places.field_path(other[0])
        found = _beside(data, told) or _nearest(_concerned(data, told), told, said) or next(named, ())
    else:
        texts = [(path, value) for path, value in places.walk(data) if isinstance(value, str) and path not in NAMES]
        repeated = [(len(value), path) for path, value in texts if len(value) >= TELLING and value in said]
        found = max(repeated, key=lambda each: each[0], default=(0, ()))[1]
    return (*found, *_part(manifests.dig(data, *found), said)) if found else ()


def _container(data: Mapping[str, Any], field: places.Path) -> int | None:
    """Return which container of a Deployment a field is about, where KServe makes the first of `model`; else None."""
    if tuple(field[: len(CONTAINERS)]) != CONTAINERS or manifests.dig(data, *runtimes.MODEL) is None:
        return None
    number = next(iter(field[len(CONTAINERS) :]), None)
    return number if isinstance(number, int) else None


def _beside(data: Mapping[str, Any], field: places.Path) -> places.Path:
    """Return the path of what is said of a container beside the server's, or of that; empty for any other field."""
    number = _container(data, field)
    if not number:
        return ()
    within = field[len(CONTAINERS) + 1 :]
    ways = ((*BESIDE, number - 1, *within[:depth]) for depth in range(len(within), -1, -1))
    return next((way for way in ways if manifests.dig(data, *way) is not None), ())


def _concerned(data: Mapping[str, Any], field: places.Path) -> Mapping[str, Any]:
    """Return as much of an object as a field can be about: of the server's container, `model` alone."""
    if _container(data, field) != 0:
        return data
    return {"spec": {"predictor": {"model": manifests.dig(data, *runtimes.MODEL)}}}


def _annotated(objects: Sequence[Manifest], said: str) -> tuple[Manifest, places.Path] | None:
    """Return the object that has an annotation that is named, and its place there; None where there is none."""
    named = ANNOTATION.search(said)
    every = ((each, path) for each in objects for path, _ in places.walk(each.data)) if named else ()
    return next(((each, path) for each, path in every if named and [*path[-2:]] == ["annotations", named[1]]), None)


def _nearest(data: Mapping[str, Any], field: places.Path, said: str) -> places.Path:
    """Return the path that a field of another object comes from, which a controller made of this one.

    Its end is the same; of several the one with a value that is repeated.
    """
    own = tuple(OF_KSERVE.get(part, part) for part in field)
    near = [
        (_is_repeated(path, value, said) or bool(_part(value, said)), shared, places.same_end(path, field), path)
        for path, value in places.walk(data)
        if path not in NAMES and (shared := max(places.shared(path, field), places.shared(path, own)))
    ]
    repeated, shared, _, found = max(near, key=lambda each: (*each[:3], -len(each[3])), default=(False, 0, 0, ()))
    if len(field) > 1 and isinstance(field[-2], int) and not repeated:
        entry = _nearest(data, field[:-1], said)  # may lack what another has
        if entry and found[:-1] != entry and (shared < LISTED or places.same_end(entry, field[:-1]) >= LISTED):
            return entry
    return found


def _part(value: Any, said: str) -> places.Path:
    """Return the way to the first part of a value that is repeated in what is said."""
    parts = ((path, inner) for path, inner in places.walk(value) if len(path) == 1)
    return next((path for path, inner in parts if _is_repeated(path, inner, said)), ())


def _is_repeated(path: places.Path, value: Any, said: str) -> bool:
    """Tell whether what is said has a value, or its key, in quotes."""
    return any(f'"{each}"' in said for each in (value, path[-1]) if isinstance(each, str | int))
