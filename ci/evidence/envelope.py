"""The envelope (DSSE v1) around a statement, and the keys that sign it and verify it.

https://github.com/secure-systems-lab/dsse/blob/master/envelope.md, as in-toto and cosign have it.
"""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pydantic
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import CryptoSigner, SSlibKey

from ci.base import jsonfile, settings
from ci.base.errors import CheckFailedError, UsageError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
KEY, PASSWORD = settings.SIGNING_KEY, settings.SIGNING_PASSWORD
"""Variables with the private key (PEM, ECDSA on P-256) and its password; NAME_FILE names a file instead."""
GENERATE = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out signing.key"
COSIGN_OWN = ("ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY")


class EvidenceError(CheckFailedError):
    """The evidence does not prove what is asked of it; the message names the field."""


class Strict(pydantic.BaseModel):
    """JSON with exactly these fields, each of exactly this type."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True, frozen=True)


class _Known(pydantic.BaseModel):
    """JSON with these fields, each of exactly this type; what others add is theirs, as the specification has it."""

    model_config = pydantic.ConfigDict(strict=True, frozen=True)


class _Signature(_Known):
    sig: str
    keyid: str | None = None


class _Envelope(_Known):
    payload: str
    payloadType: Literal["application/vnd.in-toto+json"]  # noqa: N815
    signatures: tuple[_Signature, ...]


def signer() -> CryptoSigner | None:
    """Return the signer whose key the environment has, or None where it has none.

    Raises:
        UsageError: What it has is no such key, or the password does not open it. No error shows a part of either.
    """
    secret = settings.secret(KEY)
    if secret is None:
        return None
    if any(f"BEGIN {label}" in secret.value for label in COSIGN_OWN):
        raise UsageError(f"{KEY}: in cosign's own encrypted format, not in PKCS #8", fix=GENERATE)
    password = settings.secret(PASSWORD)
    try:
        key = load_pem_private_key(secret.value.encode(), password.value.encode() if password else None)
    except TypeError:
        said = f"is not encrypted, but {PASSWORD} is set" if password else f"is encrypted, and {PASSWORD} is not set"
        raise UsageError(f"{KEY}: the key {said}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{KEY}: no private key in PEM, or {PASSWORD} does not open it", fix=GENERATE) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageError(f"{KEY}: not an ECDSA key", fix=GENERATE)
    return CryptoSigner(key, _identified(key.public_key(), KEY))


def public_key(file: Path) -> SSlibKey:
    """Read the key that signatures are verified with.

    Its id is the SHA-256 of its DER SubjectPublicKeyInfo: `openssl pkey -pubin -in FILE -outform DER | sha256sum`.

    Raises:
        UsageError: The file holds no such key.
    """
    wanted = f"--public-key {file}"
    try:
        key = load_pem_public_key(file.read_bytes())
    except OSError as error:
        raise UsageError(f"{wanted}: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(
            f"{wanted}: no public key in PEM", fix="openssl pkey -in signing.key -pubout -out signing.pub"
        ) from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise UsageError(f"{wanted}: not an ECDSA key", fix=GENERATE)
    return _identified(key, wanted)


def _identified(key: ec.EllipticCurvePublicKey, what: str) -> SSlibKey:
    if not isinstance(key.curve, ec.SECP256R1):
        raise UsageError(f"{what}: on the curve {key.curve.name}, not on P-256", fix=GENERATE)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return SSlibKey.from_crypto(key, keyid=hashlib.sha256(der).hexdigest())


def sealed(payload: bytes, signer: CryptoSigner | None) -> bytes:
    """Return the envelope of a payload as JSON, with no signature where there is no signer."""
    envelope = Envelope(payload, PAYLOAD_TYPE, {})
    if signer is not None:
        envelope.sign(signer)
    return json.dumps(envelope.to_dict()).encode() + b"\n"


def unverified(data: bytes, name: str) -> bytes:
    """Return an envelope's payload, whoever signed it, if anybody did: for who has it from a place that is trusted.

    Raises:
        EvidenceError: It is no envelope.
    """
    form = _read(data, name)
    try:
        return Envelope.from_dict({**form.model_dump(), "signatures": []}).payload
    except ValueError as error:
        raise EvidenceError(f"{name}: payload: {error}") from error


def opened(data: bytes, keys: Sequence[SSlibKey], name: str = "evidence") -> tuple[bytes, str]:
    """Return an envelope's payload, once a signature of one of some keys is verified, and the id of that key.

    A signature is whose key verifies it: ids are optional by the specification, and cosign leaves them out.

    Args:
        data: The envelope.
        keys: One of them must have signed it; more than one while a key is being replaced.
        name: What errors call the file.

    Raises:
        EvidenceError: It is no envelope, is not signed, or by none of these keys, or was changed since.
    """
    form = _read(data, name)
    try:
        attempts = [(key, _one(form, each, key)) for each in form.signatures for key in keys]
    except ValueError as error:
        raise EvidenceError(f"{name}: payload, signatures: {error}") from error
    if not attempts:
        raise EvidenceError(
            f"{name}: signatures: it is not signed", fix=f"Run `test` again with {KEY}_FILE set to the private key."
        )
    for key, envelope in attempts:
        with contextlib.suppress(UnverifiedSignatureError):
            key.verify_signature(envelope.signatures[key.keyid], envelope.pae())
            return envelope.payload, key.keyid
    known = [key.keyid for key in keys]
    for signature in form.signatures:
        if signature.keyid in known:
            raise EvidenceError(
                f"{name}: signatures: the signature of {signature.keyid} is not of this payload: it was changed after "
                "it was signed, or signed by somebody else"
            )
    signers = ", ".join(signature.keyid or "a key without an id" for signature in form.signatures)
    raise EvidenceError(f"{name}: signatures: signed by {signers}, not by {' or '.join(known)}")


def _read(data: bytes, name: str) -> _Envelope:
    try:
        return _Envelope.model_validate_json(data)
    except pydantic.ValidationError as error:
        raise EvidenceError(
            f"{name}: no signed statement: {jsonfile.first_error(error)}",
            fix="It is evidence.dsse.json in the report of a run, or what `evidence fetch` got.",
            detail=str(error),
        ) from error


def _one(form: _Envelope, signature: _Signature, key: SSlibKey) -> Envelope:
    """Return the envelope with one of its signatures as if it were a key's, whoever it says it is of."""
    read = {"payload": form.payload, "payloadType": form.payloadType}
    return Envelope.from_dict({**read, "signatures": [{"keyid": key.keyid, "sig": signature.sig}]})
