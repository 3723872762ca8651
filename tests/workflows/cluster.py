"""The Kubernetes API as far as kubectl asks it here: an Argo CD that runs what the branch has, and runs it well.

A real one, on a real cluster, is what the stage gitops of `test` has; a workflow's test has no cluster.
"""

import json
import re

import yaml

from ci.project import FILE, parse
from ci.release import health
from ci.tree.render import values
from ci.tree.tree import read

NAME = "sklearn-iris"
SINCE = "2026-01-01T00:00:00Z"
APPLICATIONS = "/apis/argoproj.io/v1alpha1"
VERSION = {"groupVersion": "argoproj.io/v1alpha1", "version": "v1alpha1"}
DISCOVERY = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [{"name": "argoproj.io", "versions": [VERSION], "preferredVersion": VERSION}],
    },
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [{"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["list"]}],
    },
    APPLICATIONS: {
        "kind": "APIResourceList",
        "groupVersion": "argoproj.io/v1alpha1",
        "resources": [
            {
                "name": "applications",
                "singularName": "application",
                "namespaced": True,
                "kind": "Application",
                "verbs": ["get"],
            }
        ],
    },
}


class Cluster:
    """A WSGI application over the remote's main.

    Attributes:
        remote: What Argo CD follows.
        health: Argo CD's word for every application.
    """

    def __init__(self, remote):
        self.remote = remote
        self.health = "Healthy"

    def __call__(self, environ, start_response):
        answer = self.answer(environ["PATH_INFO"])
        start_response("200 OK" if answer else "404 Not Found", [("Content-Type", "application/json")])
        return [json.dumps(answer or {"kind": "Status", "apiVersion": "v1", "code": 404}).encode()]

    def answer(self, path):
        if path in DISCOVERY:
            return DISCOVERY[path]
        if found := re.fullmatch(rf"{APPLICATIONS}/namespaces/argocd/applications/(\w+)-{NAME}", path):
            return self.argo_cd(self.application(found[1]))
        if found := re.fullmatch(r"/api/v1/namespaces/([\w-]+)/pods", path):
            running = [each for each in map(self.application, self.project.names) if each.namespace == found[1]]
            return {"kind": "PodList", "apiVersion": "v1", "items": list(map(pod, running))}
        return None

    @property
    def project(self):
        return parse(self.remote.git("show", f"main:{FILE}").encode())

    def application(self, environment):
        content = self.remote.git("show", f"main:gitops/{environment}/{NAME}.yaml")
        return read(self.project, environment, NAME, f"{content}\n".encode())

    def argo_cd(self, application):
        return {
            "kind": "Application",
            "apiVersion": "argoproj.io/v1alpha1",
            "metadata": {"name": application.argo_name, "namespace": "argocd"},
            "spec": {"source": {"helm": {"values": yaml.safe_dump(values(application))}}},
            "status": {
                "sync": {"status": "Synced", "revision": self.remote.git("rev-parse", self.revision(application))},
                "health": {"status": self.health, "lastTransitionTime": SINCE},
                "history": [{"deployedAt": SINCE}],
            },
        }

    @staticmethod
    def revision(application):
        return application.release[("chart", "revision")]


def pod(application):
    model = values(application)["exampleModel"]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": f"{NAME}-0", "annotations": {health.SOURCE_URI: model["storageUri"]}},
        "spec": {"containers": [{"name": health.CONTAINER, "image": model["image"], "command": [model["digest"]]}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


def kubeconfig(address):
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": f"http://{address}"}}],
            "users": [{"name": "test", "user": {}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
    )
