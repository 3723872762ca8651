"""Two sides compared object by object: paired, secrets hidden, noise taken out, and every change given its risk."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ci.base.text import visible
from ci.diff import canary, fields, mask, text
from ci.diff.fields import Path
from ci.diff.model import RISKS, ApplicationChange, Difference, Effect, ObjectChange, Risk
from ci.diff.normalise import normalise, stem
from ci.diff.sides import Side
from ci.manifests.documents import Document

SELECTORS = (("spec", "selector"), ("spec", "podSelector"), ("spec", "namespaceSelector"))
RBAC_GROUP = "rbac.authorization.k8s.io"
RBAC_KINDS = frozenset({"AppProject", "ServiceAccount"})
RBAC_CONFIG = ("ConfigMap", "argocd-rbac-cm")

Identity = tuple[str, str, str, str]
"""API group, kind, namespace, name."""


@dataclass
class _Pair:
    """An object on both sides, its secrets hidden.

    Attributes:
        identity: Whose it is.
        before: None where it is new.
        after: None where it goes.
    """

    identity: Identity
    before: Document | None
    after: Document | None


@dataclass
class _Found:
    objects: list[ObjectChange] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    noise: int = 0


def compare(base: Side, head: Side) -> Difference:
    """Return what becomes of the clusters.

    Args:
        base: Where the change started from.
        head: What is to be merged.
    """
    found = _Found()
    for place in sorted({*base.places, *head.places}):
        _compare(place, base.places.get(place, ()), head.places.get(place, ()), found)
    risks = list(RISKS)
    order = sorted(
        found.objects,
        key=lambda each: (risks.index(each.risk), each.place, each.kind, each.group, each.namespace, each.name),
    )
    return Difference(
        base.snapshot.commit,
        head.snapshot.commit,
        tuple(head.environments),
        tuple(_applications(base, head)),
        tuple(found.effects),
        tuple(order),
        found.noise,
    )


def _applications(base: Side, head: Side) -> Iterator[ApplicationChange]:
    for place in sorted(base.applications.keys() ^ head.applications.keys()):
        yield ApplicationChange(place, "added" if place in head.applications else "deleted")


def _compare(place: str, before: Sequence[Document], after: Sequence[Document], found: _Found) -> None:
    pairs, names = _pairs(before, after)
    old = [pair.before for pair in pairs if pair.before is not None]
    new = [pair.after for pair in pairs if pair.after is not None]
    effects = {effect.model: effect for effect in canary.effects(place, old, new)}
    changed = False
    for pair in pairs:
        effect = effects.get(visible(pair.identity[3])) if pair.identity[1] == "InferenceService" else None
        change = _change(place, pair, names, effect)
        if change is not None:
            found.objects.append(change)
            changed = True
        elif not fields.same(pair.before, pair.after):
            found.noise += 1
    if changed:
        found.effects += effects.values()


def _change(place: str, pair: _Pair, names: Mapping[str, str], effect: Effect | None) -> ObjectChange | None:
    """Return what differs in an object, or None where nothing but noise does."""
    before, after = (None if side is None else normalise(side, names) for side in (pair.before, pair.after))
    starts = effect is not None and bool(effect.fields)
    if starts and fields.same(before, after):  # its pods see the very name that is noise to everybody else
        before, after = pair.before, pair.after
    if fields.same(before, after):
        return None
    differs = () if before is None or after is None else tuple(each.path for each in fields.changes(before, after))
    change: Literal["added", "changed", "deleted"] = (
        "added" if before is None else "deleted" if after is None else "changed"
    )
    group, kind, namespace, name = map(visible, pair.identity)
    return ObjectChange(
        place,
        kind,
        group,
        namespace,
        name,
        change,
        _risk(pair.identity, change, differs, starts=starts),
        tuple(visible(fields.shown(path)) for path in differs),
        text.unified(text.lines(before), text.lines(after)),
    )


def _risk(identity: Identity, change: str, differs: Sequence[Path], *, starts: bool) -> Risk:
    group, kind, _, name = identity
    if kind == "CustomResourceDefinition" or any(path[:2] in SELECTORS for path in differs):
        return "structure"
    if starts or (kind == "Rollout" and any(map(canary.moves, differs))):
        return "canary"
    if change == "deleted":
        return "deleted"
    return "rbac" if group == RBAC_GROUP or kind in RBAC_KINDS or (kind, name) == RBAC_CONFIG else "rest"


def _pairs(before: Sequence[Document], after: Sequence[Document]) -> tuple[list[_Pair], dict[str, str]]:
    """Return the objects of both sides, and every generated name with what stands for it."""
    old, new = ({_identity(each): each for each in side} for side in (before, after))
    names: dict[str, str] = {}
    stems = [Counter(map(_stem, one.keys() - other.keys())) for one, other in ((old, new), (new, old))]
    for side, other in ((old, new), (new, old)):
        for identity in sorted(side.keys() - other.keys()):
            key = _stem(identity)
            if key != identity and all(count[key] == 1 for count in stems):
                side[key] = side.pop(identity)
                names[identity[3]] = key[3]
    identities = sorted({*old, *new})
    return [_Pair(each, *mask.pair(old.get(each), new.get(each))) for each in identities], names


def _identity(document: Document) -> Identity:
    group = str(document.get("apiVersion", "")).rpartition("/")[0]
    metadata = document["metadata"]
    return group, document["kind"], str(metadata.get("namespace") or ""), metadata["name"]


def _stem(identity: Identity) -> Identity:
    return (*identity[:3], stem(identity[3]))
