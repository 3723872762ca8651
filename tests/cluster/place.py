"""A cluster with the stack, and what tests have on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.cluster import model_store
from ci.cluster.helm import Helm
from ci.cluster.kubectl import Kubectl
from tests.integration.release import Release

STORE = "store"
"""Secret with which models are read."""


@dataclass(frozen=True)
class Place:
    """The cluster.

    Attributes:
        kubectl: On it.
        helm: On it.
        argo_rollouts: The executable kubectl-argo-rollouts.
        image: Of the tests' own server.
        model: The storageUri of a model.
    """

    kubectl: Kubectl
    helm: Helm
    argo_rollouts: Path
    image: str
    model: str

    async def namespace(self, name: str, *secrets: str) -> None:
        """Have a namespace in the mesh, with Secrets that the store's models are read with: STORE, and these."""
        metadata = {"name": name, "labels": {"istio-injection": "enabled"}}
        await self.kubectl.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}])
        for secret in (STORE, *secrets):
            await model_store.credentials(self.kubectl, name, secret)

    async def remove(self, namespace: str) -> None:
        """Have a namespace go, some time."""
        await self.kubectl.run("delete", "namespace", namespace, "--wait=false", "--ignore-not-found")

    def server(self, name: str) -> dict[str, Any]:
        """`exampleModel` of the tests' own server, which needs no model."""
        small = {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"cpu": "500m", "memory": "128Mi"}}
        probes = {"startupSeconds": 120}
        return {
            "name": name,
            "runtime": "",
            "image": self.image,
            "storageUri": "",
            "metricsPath": "",
            "resources": small,
            "probes": probes,
        }

    def release(self, name: str, namespace: str, model: str | None = None) -> Release:
        """A release of the chart; its model is called as itself unless it is told."""
        return Release(self.helm, self.kubectl, self.argo_rollouts, name, namespace, model or name)

    async def installed(self, release: Release, chart: Path, values: Mapping[str, Any]) -> None:
        """Install or change a release."""
        await self.helm.upgrade_install(release.name, chart, release.namespace, values=values, create_namespace=False)
