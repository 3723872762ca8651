"""`python -m ci.checks.control_plane.inside.change FILE`: apply applications over what they were before a change.

The file has {"stack", "clusters", "applications"}, as JSON: as for `apply`, and each application with the objects
"before" and the "options" with which Argo CD applies all of its objects. Standard output gets {"complaints",
"effects"}: what is wrong, as `apply` tells it, and a list of {"application", "kind", "name", "outcome"}, one for each
object that has pods.
"""

import http
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ci.checks.control_plane.inside import apply, install, pods, processes
from ci.checks.control_plane.inside.api import Api, Document
from ci.checks.control_plane.inside.apply import Application
from ci.checks.control_plane.inside.verdict import Verdict

OPTIONS = "argocd.argoproj.io/sync-options"
REPLACE, FORCE = "Replace=true", "Force=true"
KEPT = ("Prune=false", "Prune=confirm")
"""Options with which an object stays that is rendered no more."""
UPDATED = (install.DEFINITION, "Namespace")
"""Kinds that Argo CD never deletes to make them anew: all that is in them would go."""
CLAIMS = "/api/v1/persistentvolumeclaims"
LAST: Document = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "last", "namespace": "kserve"},
    "spec": {"predictor": {"containers": [{"name": "kserve-container", "image": "none"}]}},
}
"""KServe takes one InferenceService after the other: once it has come to this one it has seen all that came before."""
MADE_LAST = ("Deployment", "kserve", "last-predictor")


@dataclass
class Before(Application):
    """An application as it was.

    Attributes:
        there: What the API server took of it, as it was given and as it was answered.
        had: What its pods are made of.
    """

    there: dict[pods.Key, tuple[Document, Document]] = field(default_factory=dict)
    had: dict[pods.Key, dict[pods.Key, pods.Pods]] = field(default_factory=dict)

    def put(self, api: Api, document: Document) -> tuple[int, Document]:
        """Apply an object, and remember it."""
        code, answer = api.apply(document)
        if code < http.HTTPStatus.BAD_REQUEST:
            self.there[pods.key(document)] = document, answer
        return code, answer


@dataclass(kw_only=True)
class After(Application):
    """An application as the change has it.

    Attributes:
        before: What it is applied over.
        options: With which Argo CD applies all of it.
        marked: Whether `LAST` was applied behind it.
    """

    before: Before
    options: Sequence[str]
    marked: bool = False

    def put(self, api: Api, document: Document) -> tuple[int, Document]:
        """Have an object there as Argo CD would: nothing is done of what is as it was (ApplyOutOfSyncOnly)."""
        given, answer = self.before.there.get(pods.key(document), (None, {}))
        if given == document:
            return http.HTTPStatus.OK, answer
        own = _options(document)
        if given is None or REPLACE not in (*self.options, *own):
            return api.apply(document)
        if FORCE in own and document["kind"] not in UPDATED:
            return _made_anew(api, document)
        return api.replace(document)

    def judged(self, seen: Sequence[Document]) -> Verdict:
        """Return what the controllers make of it, once they have seen it."""
        found = super().judged(seen)
        applied = [each for _, each in self.applied]
        found.waiting += pods.behind(applied, seen)
        if self.marked and MADE_LAST not in map(pods.key, seen):
            found.waiting += (
                (each["metadata"]["uid"], f"InferenceService {each['metadata']['name']}: KServe has not come to it yet")
                for each in applied
                if each["kind"] == LAST["kind"]
            )
        return found

    @property
    def is_decided(self) -> bool:
        """Whether the controllers have decided, and stand by it: before they begin, all is as it should be."""
        idle = time.monotonic() - self.since
        stands = idle > apply.STANDS_SECONDS and self.looks > apply.STANDS_LOOKS
        return super().is_decided and (stands or bool(self.verdict.waiting))

    def gone(self) -> Iterator[Document]:
        """Yield what was there before and is rendered no more, unless it is to stay."""
        left = self.before.there.keys() - {pods.key(answer) for _, answer in self.applied}
        rendered = {(each["kind"], each["metadata"].get("name")) for each in self.objects}
        for key in left:
            document, _ = self.before.there[key]
            kept = any(option in KEPT for option in (*self.options, *_options(document)))
            # a Namespace goes with all that is in it, and nobody here is in charge of that
            if not kept and (key[0], key[2]) not in rendered and key[0] != "Namespace":
                yield document


def main() -> None:
    """Apply before and after, and print what is wrong with that, and what it does."""
    given = json.loads(Path(sys.argv[1]).read_text())
    befores = [Before(each["name"], each["namespace"], each["before"]) for each in given["applications"]]
    afters = [
        After(each["name"], each["namespace"], each["objects"], each["tried"], before=before, options=each["options"])
        for before, each in zip(befores, given["applications"], strict=True)
    ]
    with processes.running() as plane:
        install.put(plane.api, given["stack"])
        plane.start(*processes.COLLECTING)
        apply.prepare(plane.api, Application("", "default", given["clusters"]), befores)
        apply.judge(plane.api, befores)
        _remember(plane.api, befores)
        _move(plane.api, afters)
        seen = apply.looked(plane.api)
    found = {
        "complaints": [found for each in afters for found in each.found],
        "effects": [effect for each in afters if not each.found for effect in _effects(each, seen)],
    }
    json.dump(found, sys.stdout)


def _remember(api: Api, befores: Sequence[Before]) -> None:
    """Keep what there is to compare with, and have volumes bound as they are where pods run."""
    for claim in api.items(CLAIMS):
        bound = {"phase": "Bound", "capacity": claim["spec"]["resources"]["requests"]}
        for path, part in (
            (api.path(claim), {"spec": {"volumeName": f"of-{claim['metadata']['name']}"}}),
            (f"{api.path(claim)}/status", {"status": bound}),
        ):
            code, answer = api.merge(path, part)
            if code >= http.HTTPStatus.BAD_REQUEST:
                raise SystemExit(f"{path}: {answer.get('message')}")
    seen = apply.looked(api)
    for each in befores:
        each.had = pods.of([answer for _, answer in each.applied], seen)


def _move(api: Api, afters: Sequence[After]) -> None:
    """Apply the change, wait until it is decided, and remove what it leaves behind (PruneLast)."""
    apply.prepare(api, Application("", "default", ()), afters)
    apply.apply_first_wave(api, afters)
    code, _ = api.apply(LAST)
    for each in afters:
        each.marked = code < http.HTTPStatus.BAD_REQUEST  # a policy of the clusters may refuse it
    apply.watch(api, afters)
    pruned = {id(each): list(each.gone()) for each in afters}
    for document in (document for own in pruned.values() for document in own):
        api.delete(document, "Foreground")
    rest = [each for each in afters if pruned[id(each)]]
    for each in rest:
        _await_gone(api, pruned[id(each)])
        each.over, each.since, each.looks = False, time.monotonic(), 0
    apply.watch(api, rest)


def _effects(after: After, seen: Sequence[Document]) -> Iterator[Document]:
    now = pods.of([answer for _, answer in after.applied], seen)
    for (kind, _, name), outcome in sorted(pods.outcomes(after.before.had, now).items()):
        yield {"application": after.name, "kind": kind, "name": name, "outcome": outcome}


def _made_anew(api: Api, document: Document) -> tuple[int, Document]:
    """Delete an object and create it, as `kubectl replace --force` does."""
    code, answer = api.delete(document, "Background")
    if code >= http.HTTPStatus.BAD_REQUEST and code != http.HTTPStatus.NOT_FOUND:
        return code, answer
    _await_gone(api, [document])
    return api.create(document)


def _await_gone(api: Api, documents: Sequence[Document]) -> None:
    """Wait until objects are gone, or nobody lets go of them."""
    until = time.monotonic() + apply.PATIENCE_SECONDS
    while any(map(api.has, documents)) and time.monotonic() < until:
        time.sleep(apply.LOOK_SECONDS)


def _options(document: Document) -> list[str]:
    """Return the options that an object has for Argo CD."""
    said = (document["metadata"].get("annotations") or {}).get(OPTIONS, "")
    return [each.strip() for each in str(said).split(",")]


if __name__ == "__main__":
    main()
