"""Objects that are no plain part of a release: Helm's hooks and Argo CD's, by their annotations."""

from collections.abc import Mapping
from typing import Any

from ci.manifests.manifests import dig, mapping

HELM = "helm.sh/hook"
ARGO_CD = "argocd.argoproj.io/hook"
HELM_TESTS = frozenset({"test", "test-success", "test-failure"})
ARGO_CD_MOMENTS = frozenset({"PreSync", "Sync", "PostSync", "SyncFail", "PreDelete", "PostDelete"})
"""When Argo CD applies an object of its hooks (gitops-engine's pkg/sync/common/types.go)."""
SKIP = "Skip"


def is_hook(document: Mapping[str, Any]) -> bool:
    """Tell whether an object is there for a while, as others of its name may be before and after it."""
    return HELM in _annotations(document) or ARGO_CD in _annotations(document)


def is_test(document: Mapping[str, Any]) -> bool:
    """Tell whether an object is of `helm test` alone, so that Argo CD does without it."""
    hooks = _named(document, HELM)
    # with its own annotation, Argo CD looks at Helm's no more
    return bool(hooks) and hooks <= HELM_TESTS and ARGO_CD not in _annotations(document)


def is_never_applied(document: Mapping[str, Any]) -> bool:
    """Tell whether Argo CD leaves an object out, which Helm installs (`syncPhases` of gitops-engine's pkg/sync)."""
    own = _named(document, ARGO_CD) & {*ARGO_CD_MOMENTS, SKIP}
    if own or ARGO_CD not in _annotations(document):
        return own == {SKIP}
    return HELM not in _annotations(document)  # at which it looks where it knows nothing of its own


def is_left_out(document: Mapping[str, Any]) -> bool:
    """Tell whether Argo CD does without an object, whatever it is there for."""
    return is_test(document) or is_never_applied(document)


def _annotations(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(dig(document, "metadata", "annotations"))


def _named(document: Mapping[str, Any], annotation: str) -> frozenset[str]:
    said = str(_annotations(document).get(annotation, ""))
    return frozenset(name for each in said.split(",") if (name := each.strip()))
