"""Editing upstream's manifests changes what it is meant to change and nothing else."""

import copy
import json

import pytest
import yaml

from ci.base.errors import CheckFailedError, UsageError
from ci.manifests import documents
from ci.project import Prometheus
from ci.stack import certificates, kserve, monitoring, prometheus_adapter

WEBHOOKS = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata:
  name: inferenceservice.serving.kserve.io
  annotations: {cert-manager.io/inject-ca-from: kserve/serving-cert, other: kept}
webhooks:
- name: one
  clientConfig: {service: {name: webhook, namespace: kserve, path: /one}}
- name: two
  clientConfig: {caBundle: Cg==, service: {name: webhook, namespace: kserve}}
---
# an empty document, as charts like to leave them
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: kserve}
data: {deploy: '{"defaultDeploymentMode": "Standard"}'}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: serving-cert, namespace: kserve}
"""

ADAPTER = """
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io, labels: {app.kubernetes.io/name: prometheus-adapter}}
spec: {group: metrics.k8s.io, version: v1beta1, service: {name: prometheus-adapter, namespace: monitoring}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: resource-metrics-server-resources}
rules: [{apiGroups: [metrics.k8s.io], resources: ['*'], verbs: ['*']}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: adapter-config, namespace: monitoring}
data: {config.yaml: "resourceRules: {}"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: prometheus-adapter, namespace: monitoring}
spec:
  replicas: 2
  template:
    spec:
      serviceAccountName: prometheus-adapter
      containers:
      - name: prometheus-adapter
        image: registry.k8s.io/prometheus-adapter/prometheus-adapter:v0.11.0
        args:
        - --cert-dir=/var/run/serving-cert
        - --metrics-relist-interval=1m
        - --prometheus-url=https://prometheus/
        - --tls-cipher-suites=A,B
        readinessProbe: {httpGet: {path: /readyz, port: https}, initialDelaySeconds: 30, periodSeconds: 5}
        resources: {requests: {cpu: 102m}}
"""


@pytest.mark.parametrize("text", ["=", "oN", "12:30", "2026-01-01", "_1", "v1.0", "1e", "0x"])
def test_plain_words_stay_words(text):
    assert documents.parse(f"value: {text}") == [{"value": text}]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("0644", 420),
        ("0", 0),
        ("-3", -3),
        ("1.5", 1.5),
        ("1e3", 1000),
        ("on", True),
        ("n", False),
        ("1_000", 1000),
        ("", None),
    ],
)
def test_typed_scalars_are_read_as_kubernetes_reads_them(text, value):
    read = documents.parse(f"value: {text}")[0]["value"]
    assert read == value
    assert type(read) is type(value)


def test_a_plain_word_survives_being_written_again():
    document = documents.parse("operator: =")[0]
    assert documents.parse(yaml.safe_dump(document))[0] == document


def test_every_webhook_trusts_our_authority_and_cert_manager_has_nothing_to_do():
    before = documents.parse(WEBHOOKS)
    certificate = certificates.issue("webhook", "kserve")

    edited = kserve.without_cert_manager(copy.deepcopy(before), certificate)

    assert [document["kind"] for document in edited] == ["ValidatingWebhookConfiguration", "ConfigMap"]
    bundles = {webhook["clientConfig"].pop("caBundle") for webhook in edited[0]["webhooks"]}
    assert bundles == {kserve.secret(certificate)["data"]["ca.crt"]}
    assert edited[0]["metadata"]["annotations"] == {"other": "kept"}
    before[0]["metadata"]["annotations"].pop("cert-manager.io/inject-ca-from")
    before[0]["webhooks"][1]["clientConfig"].pop("caBundle")
    assert edited == before[:2]


def test_the_adapter_serves_custom_metrics_and_leaves_resource_metrics_alone():
    before = documents.parse(ADAPTER)
    edited = prometheus_adapter.custom_metrics(copy.deepcopy(before), "adapter:pinned", Prometheus())

    service, reader, rules, deployment = edited
    assert service["metadata"] == {**before[0]["metadata"], "name": "v1beta1.custom.metrics.k8s.io"}
    assert service["spec"] == {**before[0]["spec"], "group": "custom.metrics.k8s.io"}
    assert reader["rules"] == [
        {"apiGroups": ["custom.metrics.k8s.io"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
    ]
    (rule,) = yaml.safe_load(rules["data"]["config.yaml"])["rules"]
    assert rule["name"] == {"as": "inference_requests_per_second"}
    adapter = documents.container(deployment, "prometheus-adapter")
    assert adapter["image"] == "adapter:pinned"
    assert adapter["args"] == [
        "--cert-dir=/var/run/serving-cert",
        "--metrics-relist-interval=10s",
        "--prometheus-url=http://prometheus-operated.monitoring:9090/",
        "--tls-cipher-suites=A,B",
    ]
    assert adapter["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "https"}
    assert adapter["readinessProbe"]["initialDelaySeconds"] == 1
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == "prometheus-adapter"


def test_the_adapter_goes_where_prometheus_is_and_asks_it():
    place = Prometheus(namespace="observability", service="k8s", port=80)

    text = yaml.safe_dump_all(prometheus_adapter.custom_metrics(documents.parse(ADAPTER), "adapter:pinned", place))

    assert "--prometheus-url=http://k8s.observability:80/" in text
    assert text.count("namespace: observability") == 3
    assert "monitoring" not in text


def test_a_manifest_that_moved_is_an_error_that_names_what_is_missing():
    with pytest.raises(CheckFailedError, match=r"APIService/v1beta1\.metrics\.k8s\.io"):
        prometheus_adapter.custom_metrics(documents.parse(WEBHOOKS), "image", Prometheus())


def test_into_namespace_moves_objects_and_subjects_of_that_namespace_only():
    moved = documents.parse(
        "{kind: ServiceAccount, metadata: {name: a, namespace: default}}\n---\n"
        "{kind: ClusterRoleBinding, metadata: {name: b}, subjects: "
        "[{name: a, namespace: default}, {name: c, namespace: other}]}"
    )
    documents.into_namespace(moved, "default", "monitoring")
    assert moved[0]["metadata"]["namespace"] == "monitoring"
    assert "namespace" not in moved[1]["metadata"]
    assert [subject["namespace"] for subject in moved[1]["subjects"]] == ["monitoring", "other"]


def test_owned_keeps_other_labels():
    (document,) = documents.owned([{"metadata": {"name": "a", "labels": {"app": "b"}}}])
    assert document["metadata"]["labels"] == {"app": "b", "app.kubernetes.io/managed-by": "ml-serving-ci"}
    assert documents.is_owned(document)
    assert not documents.is_owned({"metadata": {"name": "a"}})


def test_crds_come_first_in_their_own_order():
    crd, other = {"kind": "CustomResourceDefinition"}, {"kind": "Secret"}
    assert documents.split([other, crd, other]) == ([crd], [other, other])


def test_prometheus_selects_by_the_release_label_in_every_namespace():
    spec = monitoring.prometheus("quay.io/prometheus/prometheus:v3.16.0", Prometheus())["spec"]
    assert spec["version"] == "v3.16.0"
    for kind in ("serviceMonitor", "podMonitor", "rule"):
        assert spec[f"{kind}Selector"] == {"matchLabels": {"release": "prometheus"}}
        assert spec[f"{kind}NamespaceSelector"] == {}


def test_prometheus_may_only_read():
    (role,) = (document for document in monitoring.access("monitoring") if document["kind"] == "ClusterRole")
    verbs = {verb for rule in role["rules"] for verb in rule["verbs"]}
    resources = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert verbs == {"get", "list", "watch"}
    assert resources == {"endpoints", "pods", "services"}


ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader"}}


@pytest.mark.parametrize(
    "lists",
    [
        {"kind": "List", "apiVersion": "v1", "items": [ROLE]},
        {"kind": "List", "apiVersion": "v1", "items": [{"kind": "List", "apiVersion": "v1", "items": [ROLE]}]},
        {"kind": "RoleList", "apiVersion": ROLE["apiVersion"], "items": [{"metadata": ROLE["metadata"]}]},
    ],
)
def test_the_objects_of_a_list_are_there_by_themselves(lists):
    assert documents.parse(json.dumps(lists)) == [ROLE]


@pytest.mark.parametrize("items", [{"a": 1}, ["text"]])
def test_what_only_looks_like_a_list_stays_one_object(items):
    assert documents.parse(json.dumps({**ROLE, "items": items})) == [{**ROLE, "items": items}]


@pytest.mark.parametrize("items", ["[]", "null"])
def test_an_empty_list_has_no_objects(items):
    assert documents.parse(f'{{"apiVersion": "v1", "kind": "List", "items": {items}}}') == []


def test_a_document_that_is_not_an_object_is_refused():
    with pytest.raises(UsageError, match=r"x\.yaml: a document in it is not a mapping"):
        documents.parse("a: 1\n---\n- b\n", "x.yaml")
