"""What a project lets an application have, held against Argo CD's own code, built from the pinned module."""

import itertools
from pathlib import Path

from ci.checks import permitted
from tests.harness import upstream

OBJECTS = [
    ("external-secrets.io", "ExternalSecret", "token"),
    ("", "Namespace", "models"),
    ("", "Namespace", "models-2"),
    ("rbac.authorization.k8s.io", "ClusterRole", "models:read"),
]
PATTERNS = ["", "*", "ExternalSecret", "External*", "?xternalSecret", "external-secrets.io", "*.io", "Namespace", "*e*"]
NAMES = [None, "models", "models*", "*", "other"]
ODD = ["[", "[A-Z]*", "[^E]*", "Names\\\\pace", "\\\\"]


def lists(patterns):
    """Absent, empty, and of one entry each."""
    kinds = [{"group": group, "kind": kind} for group, kind in itertools.product(patterns, patterns)]
    named = [each | ({} if name is None else {"name": name}) for each, name in itertools.product(kinds, NAMES)]
    return [None, [], *([each] for each in named)]


def questions(patterns):
    for (group, kind, name), namespaced in itertools.product(OBJECTS, (True, False)):
        scope = "namespace" if namespaced else "cluster"
        for entries, color in itertools.product(lists(patterns), ("White", "Black")):
            allowed = {f"{scope}ResourceWhitelist": [{"group": "*", "kind": "*"}]}
            given = {f"{scope}Resource{color}list": entries}
            spec = {key: value for key, value in (allowed | given).items() if value is not None}
            yield {"spec": spec, "group": group, "kind": kind, "name": name, "namespaced": namespaced}


def test_a_project_refuses_what_argo_cd_refuses():
    program = upstream.built(Path(__file__).with_name("permitted.go"), "argo-cd")
    asked, odd = list(questions(PATTERNS)), list(questions(ODD))
    ours = [permitted.refused(**each) is None for each in (*asked, *odd)]
    theirs = program([*asked, *odd])

    assert {True, False} == set(theirs[: len(asked)])
    for each, mine, its in zip(asked, ours, theirs, strict=False):
        assert mine == its, each
    assert [
        each for each, mine, its in zip(odd, ours[len(asked) :], theirs[len(asked) :], strict=True) if its > mine
    ] == []
