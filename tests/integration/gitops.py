"""A copy of this repository behind a git server that the cluster reaches, and the commands that write to it."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import anyio
import tomlkit
import yaml
from kubernetes.aio import client, config

from ci import project, sample
from ci.base import command, paths, tasks
from ci.base.command import Result
from ci.base.wait import NotYet, until
from ci.canary.observe import rollout
from ci.cluster import model_store
from ci.cluster.kubectl import Kubectl
from ci.results import Event
from ci.supply import pins
from ci.tree import argocd
from tests.harness import canary

APPLICATION = "sklearn-iris"
NAMESPACES = {"dev": "ml-serving-dev", "staging": "ml-serving-staging"}
SECRET = "model-store"
COMMAND_SECONDS = 180
SYNC_SECONDS = 240
SOAK = "5s"
REFRESH = "argocd.argoproj.io/application-set-refresh=true"
"""Argo CD's own annotation for a look at git without its cache; the controller takes it off again."""
TESTED = ("gitops", "helm", "k8s")


def short() -> dict:
    """Return what a cluster of one node changes: where models come from, how many pods, how long each step is seen."""
    return {
        "canary": {
            # As long as the analysis in the background needs to stop a bad version, by the chart's own count.
            "steps": [{"weight": 20, "pause": "15s"}, {"weight": 50, "pause": "6s"}],
            "analysis": {**canary.ANALYSIS, "initialDelay": "5s", "noDataLimit": 3},
            "scaleDownDelaySeconds": 15,
        },
        "exampleModel": {
            "storageSecret": SECRET,
            "resources": {"requests": {"cpu": "20m", "memory": "192Mi"}},
            "knownAnswer": sample.facts().known_answer.model_dump(),
        },
        "autoscaling": {"minReplicas": 1},
        "monitoring": canary.MONITORING,
    }


def copy(folder: Path) -> Path:
    """Return a bare repository with this checkout as it is, committed or not, its tree set to what the cluster has."""
    work = folder / "work"
    _git(folder, "clone", "--quiet", "--no-local", paths.ROOT, work)
    for name in TESTED:
        shutil.rmtree(work / name)
        shutil.copytree(paths.ROOT / name, work / name)
    (work / "gitops" / "prod" / f"{APPLICATION}.yaml").unlink(missing_ok=True)  # it wants three nodes
    pinned = pins.load()
    for environment in NAMESPACES:
        file = work / "gitops" / environment / f"{APPLICATION}.yaml"
        data = yaml.safe_load(file.read_text())
        data["chart"]["revision"] = "main"
        data["model"] = {"version": "v1", "storageUri": model_store.uri(APPLICATION, "v1"), "digest": ""}
        data["image"] |= {"tag": pinned.ref(data["image"]["repository"]).rpartition(":")[2], "digest": ""}
        data["values"] = short()
        file.write_text(yaml.safe_dump(data, sort_keys=False))
    document = tomlkit.parse((paths.ROOT / project.FILE).read_text())
    for environment in document["environments"]:
        environment["soak"] = SOAK
    (work / project.FILE).write_text(tomlkit.dumps(document))
    _git(work, "add", "--all")
    _git(work, "commit", "--quiet", "--message=The tree under test")
    _git(folder, "clone", "--quiet", "--bare", work, folder / "ml-serving-ci.git")
    _git(folder / "ml-serving-ci.git", "update-ref", "refs/heads/main", "HEAD")
    _git(folder / "ml-serving-ci.git", "symbolic-ref", "HEAD", "refs/heads/main")
    return folder / "ml-serving-ci.git"


def manifests(folder: Path, url: str) -> list[str]:
    """Return what `argocd render` makes of a project file, with another repository's address: the one thing changed.

    Args:
        folder: The project's.
        url: The address.
    """
    said = project.load(folder).model_copy(update={"repository": url})
    return [content.decode() for content in argocd.render(said).values()]


def _git(folder: Path, *args: str | Path) -> str:
    identity = ["-c", "user.name=Jane", "-c", "user.email=jane@example.com"]
    done = subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


@dataclass
class Loop:
    """What moves versions here: git, Argo CD, and the project's own commands.

    Attributes:
        kubectl: On the cluster.
        url: The repository, as the cluster and this machine reach it.
        repository: The same, as a folder: looking there is in no command's way.
        clone: A clone of it, for the commands.
        began: When the loop began, on the monotonic clock.
        events: What happened, and when.
        seen: Namespace and name to the Application or the InferenceService, as it was seen last.
    """

    kubectl: Kubectl
    url: str
    repository: Path
    clone: Path
    began: float = field(default_factory=time.monotonic)
    events: list[Event] = field(default_factory=list)
    seen: dict[tuple[str, str], Any] = field(default_factory=dict)

    @cached_property
    def argocd(self) -> str:
        """Namespace of Argo CD."""
        return project.load(self.clone).argocd.namespace

    def note(self, what: str) -> None:
        self.events.append(Event(round(time.monotonic() - self.began, 1), what))

    def argv(self, *args: str) -> list[str]:
        """A command of the project's, writing to the repository."""
        program = [sys.executable, str(paths.ROOT / "ci" / "main.py"), f"--project={self.clone}"]
        return [*program, *args, "--branch", "main", "--push"]

    def on_cluster(self) -> list[str]:
        cluster = self.kubectl.cluster
        return ["--kubeconfig", str(cluster.kubeconfig), "--context", cluster.context]

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Keep what is seen up to date for as long as the block runs: a kubectl a second takes a part of a CPU."""
        cluster = self.kubectl.cluster
        api = await config.new_client_from_config(
            str(cluster.kubeconfig), context=cluster.context, persist_config=False
        )
        places = [("argoproj.io", "v1alpha1", self.argocd, "applications")]
        places += [("serving.kserve.io", "v1beta1", name, "inferenceservices") for name in NAMESPACES.values()]
        async with api, tasks.group() as group:
            list_objects = client.CustomObjectsApi(api).list_namespaced_custom_object
            for place in places:
                group.start_soon(rollout.follow, self._saw, list_objects, place, {})
            yield
            group.cancel_scope.cancel()

    def _saw(self, found: Mapping[str, Any]) -> None:
        self.seen[found["metadata"]["namespace"], found["metadata"]["name"]] = found

    async def run(self, *args: str, check: bool = True) -> Result:
        result = await command.run(self.argv(*args), check=check, timeout=COMMAND_SECONDS)
        if result.returncode == 0:
            self.note(f"{args[0]}: {result.stdout.splitlines()[0]}")
            await self.refresh()
        return result

    async def history(self, environment: str) -> list[dict]:
        """The sets that ran in an environment, the newest first, with what its cluster says."""
        program = [sys.executable, str(paths.ROOT / "ci" / "main.py"), f"--project={self.clone}"]
        look = ["history", f"--env={environment}", "--output=json", "--remote=origin", "--branch=main"]
        result = await command.run([*program, *look, *self.on_cluster()], timeout=COMMAND_SECONDS)
        return json.loads(result.stdout)

    async def refresh(self) -> None:
        """Have Argo CD look at git now, as a forge's webhook would."""
        own = project.load(self.clone).argocd
        named = f"applicationset/{own.project}"
        await self.kubectl.run("annotate", named, REFRESH, "--overwrite", f"--namespace={own.namespace}")

    async def bump_model(self, version: str, *args: str, check: bool = True) -> Result:
        """Bump dev's model, pinned by its digest."""
        digest = await model_store.digest(self.kubectl, model_store.uri(APPLICATION, version))
        return await self.run("bump", "model", "--env=dev", f"--to={version}", f"--digest={digest}", *args, check=check)

    async def apply(self) -> None:
        """What an existing Argo CD needs, as k8s/argocd/README.md has it.

        A file at a time: the ApplicationSet controller that does not know the project yet tries again in three minutes.
        """
        for manifest in manifests(paths.ROOT, self.url):
            await self.kubectl.apply(manifest, server_side=False)

    async def end(self) -> None:
        """Stop Argo CD and delete what it deployed: the stages that follow have the memory and the CPUs for theirs."""
        await self.kubectl.run("scale", "--namespace", self.argocd, "deployments,statefulsets", "--all", "--replicas=0")
        await self.kubectl.run("delete", "namespaces", *NAMESPACES.values(), "--wait=false")

    async def git(self, *args: str) -> str:
        return await anyio.to_thread.run_sync(_git, self.repository, *args)

    async def data(self, environment: str) -> dict:
        return yaml.safe_load(await self.git("show", f"main:gitops/{environment}/{APPLICATION}.yaml"))

    async def subjects(self) -> Sequence[str]:
        return (await self.git("log", "--format=%s", "main")).splitlines()

    async def synced(self, environment: str, version: str) -> None:
        """Wait until Argo CD runs a version, Synced and Healthy."""
        wanted = model_store.uri(APPLICATION, version)

        async def probe() -> None:
            found = self.seen.get((self.argocd, f"{environment}-{APPLICATION}"))
            if found is None:
                raise NotYet("there is no Application")
            status = found.get("status", {})
            values = yaml.safe_load(found["spec"]["source"]["helm"]["values"])["exampleModel"]
            service = self.seen.get((NAMESPACES[environment], APPLICATION), {})
            running = service.get("spec", {}).get("predictor", {}).get("model", {}).get("storageUri")
            sync, health = status.get("sync", {}).get("status"), status.get("health", {}).get("status")
            conditions = [condition["message"] for condition in status.get("conditions", [])]
            operation = status.get("operationState", {})
            state = (
                f"{sync}, {health}, wants {values['storageUri']}, runs {running}; {conditions}; "
                f"{operation.get('phase')}: {operation.get('message')}"
            )
            if (sync, health, values["storageUri"], running) != ("Synced", "Healthy", wanted, wanted):
                raise NotYet(state)

        name = f"{environment}-{APPLICATION} Synced and Healthy at {version}"
        await until(name, probe, timeout=SYNC_SECONDS, interval=1, successes=3)
        self.note(f"Argo CD: {name}")
