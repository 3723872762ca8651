"""A key pair and a statement for the tests of evidence."""

import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ci.evidence import envelope
from ci.results import Suite
from ci.stages.order import ORDER

SUITES = [Suite(stage.name, 7, 7, 0) for stage in ORDER if stage.tests]
"""The counts of a run whose tests all passed."""


class Keys:
    """A key pair, as the environment and a file have it."""

    def __init__(self, folder: Path, name="signing", curve=None):
        private = ec.generate_private_key(curve or ec.SECP256R1())
        self.pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self.public = folder / f"{name}.pub"
        self.public.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def sealed(self, statement, monkeypatch):
        """Return an envelope that this key signed around any statement, a good one or not."""
        monkeypatch.setenv(envelope.KEY, self.pem)
        monkeypatch.delenv(envelope.PASSWORD, raising=False)
        return envelope.sealed(json.dumps(statement).encode(), envelope.signer())


def leaves(value, path=()):
    """Yield the path of every value that is no object and no list."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path
        return
    for key, inner in items:
        yield from leaves(inner, (*path, key))


def fields(value, path=()):
    """Yield the path of every key of every object."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(value, dict):
            yield (*path, key)
        yield from fields(inner, (*path, key))


def parent(value, path):
    """Return what holds the value at a path."""
    for key in path[:-1]:
        value = value[key]
    return value
