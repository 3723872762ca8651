"""Two sides compared object by object: paired, secrets hidden, noise taken out, and every change given its risk.

What differs and is no object is compared as text, or named at least: a path that differs is never passed over.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ci.base.text import visible
from ci.diff import canary, fields, mask, text, unshown
from ci.diff.fields import Path
from ci.diff.files import Changed
from ci.diff.model import RISKS, ApplicationChange, Difference, Effect, ObjectChange, Risk
from ci.diff.normalise import normalise, stem
from ci.diff.sides import Placed, Side
from ci.manifests import documents
from ci.manifests.documents import Document, Identity
from ci.manifests.manifests import dig

SELECTORS = (("spec", "selector"), ("spec", "podSelector"), ("spec", "namespaceSelector"))
RBAC_GROUP = "rbac.authorization.k8s.io"
RBAC_KINDS = frozenset({"AppProject", "ServiceAccount"})
RBAC_CONFIG = ("ConfigMap", "argocd-rbac-cm")

Key = tuple[Identity, str, int]
"""Identity; and of an object that is not the only one with it, or has no name: its file, and which it is there."""
ALONE = ("", 0)


@dataclass
class _Pair:
    """An object on both sides, its secrets hidden.

    Attributes:
        identity: Whose it is.
        before: None where it is new.
        after: None where it goes.
        files: Those that have it.
        which: Which it is of several with its identity; empty where it is the only one.
    """

    identity: Identity
    before: Document | None
    after: Document | None
    files: frozenset[str]
    which: str


@dataclass
class _Found:
    objects: list[ObjectChange] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    noise: int = 0


def compare(base: Side, head: Side, changed: Sequence[Changed] = ()) -> Difference:
    """Return what becomes of the clusters.

    Args:
        base: Where the change started from.
        head: What is to be merged.
        changed: The files that differ.
    """
    found = _Found()
    for place in sorted({*base.places, *head.places}):
        sides = (base.places.get(place, ()), head.places.get(place, ()))
        _compare(place, *sides, found, judged=place not in base.unread)
    risks = list(RISKS)
    order = sorted(
        found.objects,
        key=lambda each: (risks.index(each.risk), each.place, each.kind, each.group, each.namespace, each.name),
    )
    applications = tuple(_applications(base, head))
    places = {each.place for each in found.objects} | {each.place for each in applications}
    rendered = places & {*base.applications, *head.applications}
    return Difference(
        base.snapshot.commit,
        head.snapshot.commit,
        tuple(head.environments),
        applications,
        tuple(found.effects),
        tuple(order),
        tuple(unshown.files(changed, found.files, rendered)),
        found.noise,
    )


def _applications(base: Side, head: Side) -> Iterator[ApplicationChange]:
    before, after = base.applications.keys() | base.unread.keys(), head.applications.keys()
    for place in sorted((before ^ after) | base.unread.keys()):
        change: Literal["added", "deleted", "unreadable"] = "added" if place not in before else "unreadable"
        yield ApplicationChange(place, change if place in after else "deleted", visible(base.unread.get(place, "")))


def _compare(
    place: str, before: Sequence[Placed], after: Sequence[Placed], found: _Found, *, judged: bool = True
) -> None:
    """Add what differs in one place; of what was there before nothing is known where that is not `judged`."""
    pairs, names = _pairs(before, after)
    old = [pair.before for pair in pairs if pair.before is not None]
    new = [pair.after for pair in pairs if pair.after is not None]
    effects = {effect.model: effect for effect in canary.effects(place, old, new)} if judged else {}
    changed = False
    for pair in pairs:
        effect = effects.get(visible(pair.identity[3])) if pair.identity[1] == "InferenceService" else None
        change = _change(place, pair, names, effect)
        if change is not None:
            found.objects.append(change)
            found.files |= pair.files
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
        visible(pair.which),
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


def _pairs(before: Sequence[Placed], after: Sequence[Placed]) -> tuple[list[_Pair], dict[str, str]]:
    """Return the objects of both sides, and every generated name with what stands for it."""
    identities = [[documents.identity(each.document) for each in side] for side in (before, after)]
    generated = _generated(*map(set, identities))
    counts = [Counter(generated.get(each, each) for each in side) for side in identities]
    old, new = (_keyed(side, generated, counts) for side in (before, after))
    pairs = []
    for key in sorted({*old, *new}):
        there = [side[key] for side in (old, new) if key in side]
        several = max(count[key[0]] for count in counts) if key[1:] != ALONE else 0
        hidden = mask.pair(*(side[key].document if key in side else None for side in (old, new)))
        which = _which(key, several, there[-1].document) if several else ""
        pairs.append(_Pair(key[0], *hidden, frozenset(each.file for each in there), which))
    return pairs, {identity[3]: other[3] for identity, other in generated.items()}


def _keyed(
    side: Sequence[Placed], generated: Mapping[Identity, Identity], counts: Sequence[Mapping[Identity, int]]
) -> dict[Key, Placed]:
    """Return the objects of a side by what tells them apart; no two are ever one."""
    found: dict[Key, Placed] = {}
    seen: Counter[tuple[Identity, str]] = Counter()
    for each in side:
        identity = documents.identity(each.document)
        identity = generated.get(identity, identity)
        if identity[3] and all(count[identity] < 2 for count in counts):
            found[identity, *ALONE] = each
        else:
            seen[identity, each.file] += 1
            found[identity, each.file, seen[identity, each.file]] = each
    return found


def _generated(old: set[Identity], new: set[Identity]) -> dict[Identity, Identity]:
    """Return objects under a generated name that are there under another one on the other side, with what they are."""
    stems = [Counter(map(_stem, one - other)) for one, other in ((old, new), (new, old))]
    only = ((identity, _stem(identity)) for identity in sorted(old ^ new))
    return {identity: key for identity, key in only if key != identity and all(count[key] == 1 for count in stems)}


def _which(key: Key, several: int, document: Document) -> str:
    """Return which of several objects one is, for people."""
    (_, _, _, name), file, number = key
    place = f" in {file}" if file else ""
    if name:
        return f"number {number} of {several} with this name{place}"
    stated = dig(document, "metadata", "generateName")
    return f"number {number}{place}, its name is generated from {stated}" if stated else f"number {number}{place}"


def _stem(identity: Identity) -> Identity:
    return (*identity[:3], stem(identity[3]))
