"""Signatures by the DSSE specification: ours are verified by openssl, and nothing but the right key's is taken."""

import base64
import hashlib
import json
import os
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ci.base.errors import UsageError
from ci.base.paths import ROOT
from ci.base.secret import Secret
from ci.evidence import envelope
from ci.evidence.envelope import EvidenceError
from tests.harness import cli
from tests.harness.evidence import Keys

PAYLOAD = b'{"what": "\xc3\xa4 statement"}'
PASSWORD = "a pass&word=of%20ours"


def openssl(*args, **options):
    return subprocess.run(["openssl", *args], capture_output=True, check=True, timeout=300, **options).stdout


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path)


@pytest.fixture
def sealed(keys, monkeypatch):
    monkeypatch.setenv(envelope.KEY, keys.pem)
    return json.loads(envelope.sealed(PAYLOAD, envelope.signer()))


def opened(data, *keys):
    payload, signer = envelope.opened(json.dumps(data).encode(), [envelope.public_key(each.public) for each in keys])
    assert signer in [envelope.public_key(each.public).keyid for each in keys]
    return payload


def test_what_was_sealed_is_opened(sealed, keys):
    assert opened(sealed, keys) == PAYLOAD


def test_openssl_verifies_the_signature_by_the_specification_alone(sealed, keys, tmp_path):
    payload = base64.b64decode(sealed["payload"])
    kind = sealed["payloadType"]
    assert kind == "application/vnd.in-toto+json"
    (tmp_path / "pae").write_bytes(b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload))
    (tmp_path / "sig").write_bytes(base64.b64decode(sealed["signatures"][0]["sig"]))

    openssl("dgst", "-sha256", "-verify", keys.public, "-signature", tmp_path / "sig", tmp_path / "pae")


def test_the_key_id_is_what_openssl_says_of_the_public_key(sealed, keys):
    der = openssl("pkey", "-pubin", "-in", keys.public, "-outform", "DER")
    assert sealed["signatures"][0]["keyid"] == hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize("encrypted", [False, True], ids=["", "encrypted"])
def test_a_key_that_openssl_made_signs_from_a_file(tmp_path, monkeypatch, encrypted):
    private, public = tmp_path / "signing.key", tmp_path / "signing.pub"
    words = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", private]
    openssl(*words, *(["-aes256", "-pass", f"pass:{PASSWORD}"] if encrypted else []))
    openssl("pkey", "-in", private, "-pubout", "-out", public, "-passin", f"pass:{PASSWORD}")
    monkeypatch.setenv(f"{envelope.KEY}_FILE", str(private))
    if encrypted:
        monkeypatch.setenv(envelope.PASSWORD, PASSWORD)

    data = envelope.sealed(PAYLOAD, envelope.signer())

    assert envelope.opened(data, [envelope.public_key(public)])[0] == PAYLOAD


def test_without_a_key_nothing_is_signed_and_nothing_is_proven(monkeypatch, keys):
    for name in (envelope.KEY, f"{envelope.KEY}_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert envelope.signer() is None

    data = envelope.sealed(PAYLOAD, None)

    with pytest.raises(EvidenceError, match="signatures: it is not signed"):
        envelope.opened(data, [envelope.public_key(keys.public)])


def flipped(text):
    data = bytearray(base64.b64decode(text))
    data[-1] ^= 1
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda e: e.update(payload=flipped(e["payload"])), "signatures: the signature of"),
        (lambda e: e.update(payload="no base64!"), "payload"),
        (lambda e: e.update(payloadType="text/plain"), "payloadType"),
        (lambda e: e.update(signatures=[]), "signatures: it is not signed"),
        (lambda e: e["signatures"][0].update(sig=flipped(e["signatures"][0]["sig"])), "signatures: the signature of"),
        (lambda e: e["signatures"][0].update(sig=base64.b64encode(b"x" * 64).decode()), "the signature of"),
        (lambda e: e["signatures"][0].update(keyid=7), "signatures.0.keyid"),
        (lambda e: e["signatures"][0].pop("sig"), "signatures.0.sig"),
        (lambda e: e.pop("payload"), "payload"),
        (lambda e: e.pop("payloadType"), "payloadType"),
        (lambda e: e.pop("signatures"), "signatures"),
    ],
)
def test_a_changed_envelope_is_refused_and_the_field_named(sealed, keys, change, named):
    change(sealed)
    with pytest.raises(EvidenceError) as raised:
        opened(sealed, keys)
    assert raised.value.message.startswith("evidence: ")
    assert named in raised.value.message


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e["signatures"][0].pop("keyid"),
        lambda e: e["signatures"][0].update(keyid=""),  # as cosign leaves it
        lambda e: e["signatures"][0].update(keyid=None),
        lambda e: e["signatures"][0].update(keyid="0" * 64),  # a hint, which is no proof
        lambda e: e["signatures"][0].update(cert="", bundle={}),
        lambda e: e["signatures"].append(e["signatures"][0]),
        lambda e: e["signatures"].insert(0, {"keyid": "theirs", "sig": base64.b64encode(b"x" * 64).decode()}),
        lambda e: e.update(more="x"),
    ],
)
def test_a_signature_is_whose_key_verifies_it_whatever_else_is_said(sealed, keys, change):
    change(sealed)
    assert opened(sealed, keys) == PAYLOAD


def test_while_one_key_replaces_another_either_may_have_signed(sealed, keys, tmp_path):
    other = Keys(tmp_path, "other")
    assert opened(sealed, other, keys) == opened(sealed, keys, other) == PAYLOAD
    with pytest.raises(EvidenceError, match=r"signed by [0-9a-f]{64}, not by [0-9a-f]{64} or [0-9a-f]{64}"):
        opened(sealed, other, Keys(tmp_path, "third"))


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff"])
def test_what_is_no_envelope_is_refused(keys, data):
    with pytest.raises(EvidenceError, match="evidence: "):
        envelope.opened(data, [envelope.public_key(keys.public)])


def test_another_key_is_not_the_signer(sealed, tmp_path):
    with pytest.raises(EvidenceError, match=r"signed by [0-9a-f]{64}, not by [0-9a-f]{64}"):
        opened(sealed, Keys(tmp_path, "other"))


def test_another_key_under_the_signers_name_is_not_the_signer(sealed, keys, tmp_path, monkeypatch):
    monkeypatch.setenv(envelope.KEY, Keys(tmp_path, "other").pem)
    forged = json.loads(envelope.sealed(PAYLOAD, envelope.signer()))
    forged["signatures"][0]["keyid"] = sealed["signatures"][0]["keyid"]

    with pytest.raises(EvidenceError, match="signed by somebody else"):
        opened(forged, keys)


def test_a_key_on_another_curve_is_refused(tmp_path, monkeypatch):
    other = Keys(tmp_path, "other", ec.SECP384R1())
    monkeypatch.setenv(envelope.KEY, other.pem)
    with pytest.raises(UsageError, match="secp384r1, not on P-256"):
        envelope.signer()
    with pytest.raises(UsageError, match="secp384r1, not on P-256"):
        envelope.public_key(other.public)


def test_a_public_key_that_is_none_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"gone\.pub: No such file"):
        envelope.public_key(tmp_path / "gone.pub")
    (tmp_path / "private.pub").write_text(Keys(tmp_path).pem)
    with pytest.raises(UsageError, match=r"private\.pub: no public key"):
        envelope.public_key(tmp_path / "private.pub")


def unsigned():
    """This process's environment without a signing key."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ML_SERVING_CI_SIGNING")}


def broken(keys):
    return keys.pem.replace("A", "B")


def encrypted(keys):
    return openssl("pkcs8", "-topk8", "-v2", "aes256", "-passout", f"pass:{PASSWORD}", input=keys.pem.encode()).decode()


@pytest.mark.parametrize(
    ("key", "password", "named"),
    [
        (broken, None, "no private key in PEM"),
        (lambda keys: keys.pem, PASSWORD, "is not encrypted, but ML_SERVING_CI_SIGNING_PASSWORD is set"),
        (encrypted, None, "is encrypted, and ML_SERVING_CI_SIGNING_PASSWORD is not set"),
        (encrypted, PASSWORD[::-1], "ML_SERVING_CI_SIGNING_PASSWORD does not open it"),
        (lambda keys: "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nc2VjcmV0\n", None, "cosign's own encrypted"),
    ],
    ids=["broken", "password for nothing", "no password", "wrong password", "cosign's format"],
)
@pytest.mark.parametrize("by", ["variable", "file"])
@pytest.mark.usefixtures("project")
def test_23_a_key_that_is_refused_is_refused_before_the_run_and_not_shown(tmp_path, keys, key, password, named, by):
    value = key(keys)
    (tmp_path / "signing.key").write_text(value)
    environment = {envelope.KEY: value} if by == "variable" else {f"{envelope.KEY}_FILE": str(tmp_path / "signing.key")}
    if password is not None:
        environment[envelope.PASSWORD] = password

    words = ["--debug", "test", "--supply=source", f"--report={tmp_path / 'report'}"]
    ended = cli.run(*words, cwd=ROOT, env={**unsigned(), **environment})

    shown = ended.stdout + ended.stderr
    assert ended.returncode == 2, shown
    assert named in " ".join(shown.split())
    assert not (tmp_path / "report").exists()
    for secret in (Secret(value), Secret(password or value)):
        inner = [form for form in secret.forms if not form.startswith("-----")]
        assert [form for form in inner if form in shown] == []


def test_23_a_key_in_bytes_is_refused_and_not_shown(tmp_path, monkeypatch):
    (tmp_path / "signing.key").write_bytes(b"\x30\x82secret\xff")
    monkeypatch.setenv(f"{envelope.KEY}_FILE", str(tmp_path / "signing.key"))
    with pytest.raises(UsageError, match="not text in UTF-8") as raised:
        envelope.signer()
    assert "secret" not in str(raised.value)
