"""A Helm that is killed in the middle leaves a pending release; the next run puts it right (helm#10599).

Real: Docker, kind, Helm.
"""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
import yaml

from ci.cluster import clean, kind, runs
from ci.cluster.cluster import Cluster
from ci.cluster.helm import Helm
from ci.supply.supply import Supply
from ci.supply.ways import choose

NEVER_ENDS = """\
{{- if .Values.stuck }}
apiVersion: v1
kind: Pod
metadata:
  name: never-ends
  annotations: {"helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-delete-policy": before-hook-creation}
spec:
  restartPolicy: Never
  containers: [{name: never-ends, image: "registry.k8s.io/pause:3.10"}]
{{- end }}
"""
VALUE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: value}
data: {value: {{ .Values.value | quote }}}
"""


@pytest.fixture(scope="module")
def cluster(tools: tuple[str, str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    report = tmp_path_factory.mktemp("report")
    made = anyio.run(
        lambda: kind.create(Path(tools[0]), Path(tools[1]), tools[2], report, run=runs.new_id(), keep=False)
    )
    yield made
    anyio.run(clean.delete, made.name)


@pytest.fixture(scope="module")
def helm(cluster: Cluster) -> Helm:
    supply = Supply(choose("auto"))
    anyio.run(supply.fetch, ["helm"])
    return Helm(supply.tool("helm"), cluster)


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump({"apiVersion": "v2", "name": "chart", "version": "1.0.0"}))
    (tmp_path / "templates" / "hook.yaml").write_text(NEVER_ENDS)
    (tmp_path / "templates" / "value.yaml").write_text(VALUE)
    return tmp_path


def test_killed_in_the_first_install(helm: Helm, chart: Path) -> None:
    # Given
    kill_in_the_middle(helm, chart, "first")
    assert state(helm, "first") == "pending-install"

    # When
    install(helm, chart, "first", "new")

    # Then
    assert state(helm, "first") == "deployed"


def test_killed_in_an_upgrade(helm: Helm, chart: Path) -> None:
    # Given
    install(helm, chart, "second", "old")
    kill_in_the_middle(helm, chart, "second")
    assert state(helm, "second") == "pending-upgrade"

    # When
    install(helm, chart, "second", "new")

    # Then
    assert state(helm, "second") == "deployed"
    manifest = anyio.run(lambda: helm.run("get", "manifest", "second", "--namespace=second")).stdout
    assert 'value: "new"' in manifest


def install(helm: Helm, chart: Path, release: str, value: str) -> None:
    anyio.run(
        lambda: helm.upgrade_install(release, chart, release, values={"stuck": False, "value": value}, timeout=120)
    )


def state(helm: Helm, release: str) -> str | None:
    return anyio.run(helm.status, release, release)


def kill_in_the_middle(helm: Helm, chart: Path, release: str) -> None:
    """Start an upgrade that cannot end, and kill it once Helm has written that it is under way."""
    target = [f"--kubeconfig={helm.cluster.kubeconfig}", f"--kube-context={helm.cluster.context}"]
    words = ["upgrade", "--install", release, str(chart), f"--namespace={release}", "--create-namespace"]
    process = subprocess.Popen([helm.tool, *target, *words, "--set=stuck=true,value=never"])
    deadline = time.monotonic() + 120
    while not (state(helm, release) or "").startswith("pending-"):
        assert process.poll() is None, "Helm ended by itself"
        assert time.monotonic() < deadline, "never pending"
        time.sleep(0.2)
    process.kill()
    process.wait()
