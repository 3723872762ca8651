"""Secrets never reach a difference; that one has changed does."""

import base64

import pytest

from ci.base import jsonfile, masking
from ci.diff import html, markdown, mask
from tests.harness.diff import config, of_objects, service

OLD, NEW = "hunter2-old", "hunter2-new"


def secret(value, key="data"):
    encoded = base64.b64encode(value.encode()).decode() if key == "data" else value
    metadata = {"name": "models", "namespace": "models"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, key: {"s3": encoded}}


def shown(before, after, tmp_path):
    """Everything that any view has of a difference."""
    difference = of_objects([before] if before else [], [after] if after else [])
    jsonfile.write(tmp_path / "diff.json", difference)
    views = [*markdown.render(difference), html.render(difference), (tmp_path / "diff.json").read_text()]
    return difference, "\n".join(views)


@pytest.mark.parametrize("key", ["data", "stringData"])
def test_of_a_secret_only_that_it_changed_is_shown(key, tmp_path):
    difference, text = shown(secret(OLD, key), secret(NEW, key), tmp_path)
    (each,) = difference.objects
    assert each.fields == (f"{key}.s3",)
    assert "*** (changed)" in text
    for value in (OLD, NEW):
        assert value not in text
        assert base64.b64encode(value.encode()).decode() not in text


def test_a_secret_that_is_the_same_is_no_change(tmp_path):
    assert of_objects([secret(OLD)], [secret(OLD)]).objects == ()


@pytest.mark.parametrize("sides", [(None, NEW), (OLD, None)])
def test_a_secret_that_comes_or_goes_is_hidden(sides, tmp_path):
    before, after = (secret(value, "stringData") if value else None for value in sides)
    _, text = shown(before, after, tmp_path)
    assert "hunter2" not in text
    assert "***" in text


@pytest.mark.parametrize(
    "name", ["PASSWORD", "DB_PASSWORD", "API_TOKEN", "aws_secret_access_key", "SIGNING_KEY", "Secret"]
)
def test_a_variable_with_such_a_name_is_hidden(name, tmp_path):
    before, after = (service(model={"env": [{"name": name, "value": value}]}) for value in (OLD, NEW))
    difference, text = shown(before, after, tmp_path)
    assert difference.objects[0].fields == (f"spec.predictor.model.env[{name}].value",)
    assert "hunter2" not in text


def test_where_a_variable_comes_from_is_no_secret():
    source = {"secretKeyRef": {"name": "models", "key": "s3-password"}}
    one, _ = mask.pair(service(model={"env": [{"name": "PASSWORD", "valueFrom": source}]}), None)
    assert one["spec"]["predictor"]["model"]["env"] == [{"name": "PASSWORD", "valueFrom": source}]


TEXTS = [
    "password={}",
    "db.password: {}",
    'api_key = "{}"',
    '{{"token": "{}", "user": "jane"}}',
    "secret: '{}'",
    "Authorization: Bearer {}",
    'headers: {{"authorization": "Basic {}"}}',
    "postgres://jane:{}@db/models",
    "password: |\n  {}\n",
    "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----",
    "--client-secret={} --verbose",
    'password: "a\\"{}"',
    "password: a,{};b",
    "password: a{{{}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_secret_within_a_text_is_hidden_and_its_change_is_not(text, tmp_path):
    before, after = (config(data={"settings": f"mode: fast\n{text.format(value)}\n"}) for value in (OLD, NEW))
    difference, shown_text = shown(before, after, tmp_path)
    assert [each.fields for each in difference.objects] == [("data.settings",)]
    assert "hunter2" not in shown_text
    assert "mode: fast" in shown_text


@pytest.mark.parametrize("text", TEXTS)
def test_a_secret_within_a_text_that_is_the_same_is_no_change(text):
    data = {"settings": text.format(OLD)}
    assert of_objects([config(data=data)], [config(data=data)]).objects == ()


FORMS = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "glpat-aBcD3fGh1jKlMn0pQrSt",
    "hf_aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH",
    "xoxb-123456789012-abcdefghijkl",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27uhbUJU1p1r",
    "hvs.CAESIJ7kx2Pq0aYd9dLqGmC1bV",
    "9mXf3Qz7Lr2Vb8Ky5Tn1Wd4Hs6Jc0PgA",  # of no known form, under no telling name
]


@pytest.mark.parametrize("value", FORMS)
@pytest.mark.parametrize("text", ["{}", "run with {} please", "mode={}"])
def test_a_secret_is_known_by_its_form_wherever_it_stands(value, text, tmp_path):
    env = [{"name": "MODE", "value": text.format(value)}]
    _, said = shown(service(model={"env": []}), service(model={"env": env}), tmp_path)
    assert value not in said
    assert "***" in said


PLAIN = [
    f"sha256:{'9f86d081884c7d65' * 4}",
    f"registry.example.com/Team/fraud-score:v2.1.0-rc1@sha256:{'9f86d081884c7d65' * 4}",
    "1590ff4e5d0b2c3a4f5e6d7c8b9a0f1e2d3c4b5a",
    "3f29c1d4-7b1e-4c55-9d0e-2f6b8a1c0d3e",
    "s3://acme-models/FraudScore/2026-11-30T10-15-00Z/Quantized-Int8/model.bst",
    "hf://MetaAcme/Llama-Guard-3-8B-Instruct:8f1d2e3c4b5a69788796a5b4c3d2e1f00f1e2d3c",
    "gs://kfserving-examples/models/sklearn/1.0/model",
    "https://acme.blob.core.windows.net/Models/FraudScoring2026/Version12?v=3",
    "AutoscalingListenerKubernetesVersion2",
    "fraud-score-predictor-7d9c6b5f4-x2x7z",
    'sum(rate(istio_requests_total{destination_workload="Fraud-Score-2026-Predictor"}[1m]))',
    "urn:acme:Models:FraudScoringInProductionSince2026",
]


def test_a_report_has_every_digest_commit_and_address_of_a_project(tmp_path):
    env = [{"name": f"X{number}", "value": text} for number, text in enumerate(PLAIN)]
    settings = "\n".join(f"address{number}: {text}" for number, text in enumerate(PLAIN))
    before = [service(model={"env": []}), config(data={})]
    after = [service(model={"env": env}), config(data={"settings": settings})]
    difference = of_objects(before, after)
    assert "***" not in "\n".join([*markdown.render(difference), html.render(difference)])


@pytest.mark.parametrize("text", ["password", "://", "aB3", "-----BEGIN PRIVATE KEY-----", "eyJ", "token:\n ", "x-"])
def test_a_text_of_a_million_characters_is_looked_through(text):
    """A search whose time grows with the square of the text would be at it for hours."""
    assert len(masking.spans(text * (1_000_000 // len(text)))) <= 1_000_000


def test_a_key_of_a_configmap_with_such_a_name_is_hidden(tmp_path):
    _, text = shown(config(data={"token": OLD}), config(data={"token": NEW}), tmp_path)
    assert "hunter2" not in text
    assert "token: '*** (changed)'" in text


def test_arguments_are_hidden(tmp_path):
    before, after = (service(model={"args": ["--api-key", value, "--workers", "2"]}) for value in (OLD, NEW))
    _, text = shown(before, after, tmp_path)
    assert "hunter2" not in text
    assert "--workers" in text


def test_a_field_of_such_a_name_is_hidden(tmp_path):
    endpoints = [{"basicAuth": {"username": "jane", "password": value}} for value in (OLD, NEW)]
    _, text = shown(*(config(endpoints=[each]) for each in endpoints), tmp_path)
    assert "hunter2" not in text
    assert "jane" in text


def test_what_kubectl_applied_last_is_hidden(tmp_path):
    annotation = {"kubectl.kubernetes.io/last-applied-configuration": f'{{"data":{{"x":"{OLD}"}}}}'}
    before = service(annotations=annotation)
    _, text = shown(before, service(model={"image": "server:2"}), tmp_path)
    assert "hunter2" not in text


@pytest.mark.parametrize("other", [{"a": 1}, ["x"], None, True, 3])
@pytest.mark.parametrize("value", [{}, [], {"a": {"b": 1}}, ["x", "y"], "text"])
def test_what_is_no_secret_stays_as_it_is(value, other):
    one, two = mask.pair(config(field=value), config(field=other))
    assert (one, two) == (config(field=value), config(field=other))


def test_literal_stars_hide_no_change():
    before, after = config(data={"x": "password=***"}), config(data={"x": "password=real"})
    assert [each.fields for each in of_objects([before], [after]).objects] == [("data.x",)]
