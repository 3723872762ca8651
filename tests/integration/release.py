"""One release of the chart on a running cluster, with the commands a person would use on it."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.base import command, paths
from ci.base.command import Result
from ci.canary.observe import rollout as canary
from ci.cluster import model_store, readiness
from ci.cluster.helm import UNCHECKED, Helm
from ci.cluster.kubectl import Kubectl
from ci.manifests import documents

COMMAND_SECONDS = 60
INSTANCE = "app.kubernetes.io/instance"


def addresses(pods: Sequence[dict[str, Any]]) -> set[str]:
    """Where pods are reached; one that an autoscaler has just made is nowhere yet."""
    return {pod["status"]["podIP"] for pod in pods if "podIP" in pod["status"]}


@dataclass(frozen=True)
class Release:
    """A release with one model.

    Attributes:
        helm: On its cluster.
        kubectl: On its cluster.
        argo_rollouts: The executable kubectl-argo-rollouts.
        name: Name of the release.
        namespace: Its namespace.
        model: Name of its InferenceService.
    """

    helm: Helm
    kubectl: Kubectl
    argo_rollouts: Path
    name: str
    namespace: str
    model: str

    @property
    def predictor(self) -> str:
        return f"{self.model}-predictor"

    @property
    def predict_path(self) -> str:
        return f"/v1/models/{self.model}:predict"

    @property
    def url(self) -> str:
        """Of its host, as a pod of the namespace calls it."""
        return f"http://{self.predictor}"

    async def get(self, kind: str, name: str | None = None) -> dict[str, Any]:
        found = await self.kubectl.get(kind, name or self.predictor, self.namespace)
        assert found is not None, f"there is no {kind} {name or self.predictor} in {self.namespace}"
        return found

    async def pods(self) -> list[dict[str, Any]]:
        """The model's pods that are not being stopped."""
        found = await self.kubectl.get_list("pods", self.namespace, f"app=isvc.{self.predictor}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    async def stable_pods(self) -> list[dict[str, Any]]:
        """The pods of the stable revision; Argo Rollouts keeps those of the one before for half a minute."""
        stable = (await self.get("rollout"))["status"]["stableRS"]
        return [pod for pod in await self.pods() if pod["metadata"]["labels"]["rollouts-pod-template-hash"] == stable]

    async def raw(self, path: str) -> Any:
        """What the API server answers to a path, the aggregated APIs' included."""
        return json.loads((await self.kubectl.run("get", "--raw", path)).stdout)

    async def values(self) -> dict[str, Any]:
        found = await self.helm.run("get", "values", self.name, f"--namespace={self.namespace}", "--all", "-o", "json")
        return json.loads(found.stdout)

    async def manifest(self) -> set[tuple[str, str]]:
        """Kind and name of each object of the release."""
        found = await self.helm.run("get", "manifest", self.name, f"--namespace={self.namespace}")
        return {(item["kind"], item["metadata"]["name"]) for item in documents.parse(found.stdout)}

    async def dashboards(self) -> dict[str, Any]:
        """The dashboards that Grafana's sidecar would load from this release, by name."""
        labels = (await self.values())["monitoring"]["dashboards"]["labels"]
        selector = ",".join(f"{key}={value}" for key, value in {INSTANCE: self.name, **labels}.items())
        found = await self.kubectl.get_list("configmaps", self.namespace, selector)
        texts = [(key.split(".")[-2], text) for item in found for key, text in item["data"].items()]
        assert len(dict(texts)) == len(texts), f"a dashboard is there twice: {[name for name, _ in texts]}"
        return {name: json.loads(text) for name, text in texts}

    async def weights(self) -> tuple[int, int]:
        """Percent of the requests to the stable and to the canary Service."""
        return canary.weights_of(await self.get("virtualservice"))

    async def upgrade(self, *arguments: str) -> Result:
        """`helm upgrade` of the deployment guide, every other value as it is."""
        return await self.helm.run(
            "upgrade", self.name, paths.CHART, f"--namespace={self.namespace}", "--reuse-values", *arguments
        )

    async def upgrade_model(self, uri: str, digest: str | None = None) -> Result:
        """To another model, pinned by a digest: the store's own, where it has one.

        Without Helm's own validation, most of an upgrade's time: the API server has its own, and `upgrade` has both.
        """
        if digest is None:
            digest = await model_store.digest(self.kubectl, uri)
        model = f"exampleModel.storageUri={uri},exampleModel.digest={digest}"
        return await self.upgrade("--set", model, UNCHECKED)

    async def plugin(self, *arguments: str) -> Result:
        """`kubectl argo rollouts …`; kubectl finds the plugin by PATH."""
        path = os.pathsep.join([str(self.argo_rollouts.parent), os.environ["PATH"]])
        target = [f"--kubeconfig={self.kubectl.cluster.kubeconfig}", f"--context={self.kubectl.cluster.context}"]
        return await command.run(
            [self.kubectl.tool, "argo", "rollouts", *arguments, "-n", self.namespace, *target],
            env={"PATH": path},
            timeout=COMMAND_SECONDS,
        )

    async def storage_uri(self) -> str:
        """The version it runs, or is being taken to."""
        predictor = (await self.get("inferenceservice", self.model))["spec"]["predictor"]
        if "model" in predictor:
            return predictor["model"]["storageUri"]
        return next(item["value"] for item in predictor["containers"][0]["env"] if item["name"] == "STORAGE_URI")

    async def healthy(self) -> None:
        """Wait until InferenceService and Rollout both say so: neither alone means that requests are answered."""
        await readiness.inference_service(self.kubectl, self.namespace, self.model)
        if (await self.values())["features"]["canaryDeployment"]:
            await readiness.rollout(self.kubectl, self.namespace, self.predictor)
