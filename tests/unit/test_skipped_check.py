"""lint tells what Argo CD never applies, by gitops-engine's own rules."""

from pathlib import Path

import pytest

from ci.checks import skipped
from ci.manifests.chart import Chart, Rendering, Target, Values


def found(annotations):
    text = f"# Source: c/templates/rule.yaml\nkind: PrometheusRule\nmetadata: {{name: x, annotations: {annotations}}}\n"
    chart = Chart(Path("/nowhere"), "chart")
    target = Target("lab", "fraud", "fraud", "ml-lab", chart, [Values("tree/fraud.yaml", "")], "1.37.0")
    return [(name, each.file, each.message) for name, each in skipped.rendered([Rendering(target, text)])]


@pytest.mark.parametrize(
    "annotations",
    [
        "{argocd.argoproj.io/hook: Skip}",
        "{argocd.argoproj.io/hook: ' Skip '}",
        "{argocd.argoproj.io/hook: 'Skip,Later'}",
        "{argocd.argoproj.io/hook: never}",
        "{argocd.argoproj.io/hook: Skip, helm.sh/hook: pre-install}",
    ],
)
def test_what_argo_cd_never_applies_is_named(annotations):
    ((name, file, said),) = found(annotations)
    assert (name, file) == ("lab/fraud", "chart/templates/rule.yaml")
    assert said.startswith("PrometheusRule x: Argo CD never applies it (argocd.argoproj.io/hook: ")


@pytest.mark.parametrize(
    "annotations",
    [
        "{}",
        "{argocd.argoproj.io/hook: PreSync}",
        "{argocd.argoproj.io/hook: 'PostSync, Skip'}",
        "{argocd.argoproj.io/hook: SyncFail}",
        "{argocd.argoproj.io/hook: never, helm.sh/hook: pre-install}",
        "{argocd.argoproj.io/sync-options: Prune=false}",
    ],
)
def test_what_argo_cd_applies_at_some_moment_is_not(annotations):
    assert found(annotations) == []
