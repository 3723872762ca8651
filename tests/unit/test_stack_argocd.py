"""Upstream's core installation of Argo CD, made to fit."""

import copy
from base64 import b64decode

import yaml

from ci.manifests import documents
from ci.stack import argocd

CORE = """
kind: ClusterRole
metadata: {name: controller}
---
kind: ConfigMap
metadata: {name: argocd-cm}
data: {resource.exclusions: kept}
---
kind: ConfigMap
metadata: {name: argocd-cmd-params-cm}
---
kind: Secret
metadata: {name: argocd-secret}
---
kind: Deployment
metadata: {name: argocd-redis}
spec:
  template:
    spec:
      containers: [{name: redis, image: "redis:8"}]
      initContainers: [{name: secret-init, image: "argocd:latest"}]
---
kind: StatefulSet
metadata: {name: argocd-application-controller}
spec:
  template:
    spec:
      containers:
        - name: controller
          image: argocd:latest
          readinessProbe: {httpGet: {path: /healthz, port: 8082}, initialDelaySeconds: 5, periodSeconds: 10}
"""


def adapted(secret_key=None):
    objects = documents.parse(CORE)
    argocd.adapt(objects, "gitops-system", "argocd:pinned", "redis:pinned", secret_key)
    return objects


def test_every_image_is_the_pinned_one():
    text = yaml.safe_dump(adapted())
    assert text.count("argocd:pinned") == 2
    assert text.count("redis:pinned") == 1
    assert "latest" not in text


def test_the_key_that_the_cluster_has_stays_and_a_new_one_is_random():
    def key(objects):
        return documents.find(objects, "Secret", "argocd-secret")["data"]["server.secretkey"]

    assert key(adapted("a2VwdA==")) == "a2VwdA=="
    first, second = key(adapted()), key(adapted())
    assert first != second
    assert len(b64decode(first)) >= 32


def test_settings_are_added_to_upstreams():
    data = documents.find(adapted(), "ConfigMap", "argocd-cm")["data"]
    assert data["resource.exclusions"] == "kept"
    assert data["timeout.reconciliation"] == "5s"


def test_what_is_in_a_namespace_goes_to_argo_cds_and_the_rest_to_none():
    namespaces = {item["kind"]: item["metadata"].get("namespace") for item in adapted()}
    assert namespaces.pop("ClusterRole") is None
    assert set(namespaces.values()) == {"gitops-system"}


def test_the_probe_may_deploy_nothing():
    project, application_set = copy.deepcopy(argocd.probe("argocd"))
    assert project["spec"]["namespaceResourceWhitelist"] == []
    assert application_set["spec"]["template"]["spec"]["project"] == project["metadata"]["name"]
