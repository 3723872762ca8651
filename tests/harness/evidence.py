"""A key pair and a statement for the tests of evidence."""

import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ci.evidence import envelope
from ci.results import Behaviour, CanaryTimeline, Proof, Served, Suite
from ci.stages.order import ORDER, suite_of

SUITES = [Suite(stage.name, 7, 7, 0) for stage in ORDER if stage.tests]
"""The counts of the platform part, whose tests all passed."""
QUESTIONS = b"questions: with right answers\n"
"""The golden file, which nobody but the evidence looks at."""
REPLICAS = "replicas: 3 → 1 (throwaway.replicas)"
"""What the throw-away cluster changed."""


def suites(proofs, platform=True):
    """The counts of a run whose tests all passed, those of the applications among them."""
    own = [Suite(suite_of(each.environment, each.name), 7, 7, 0) for each in proofs]
    return [*(SUITES if platform else ()), *own]


def served(release, **values):
    """The set of an application, served by its own files and its own image."""
    image = release["image.digest"] or f"sha256:{'1' * 64}"  # one that is not pinned has a digest as well
    given = {"model": release["model.digest"], "image": image, "built": False}
    return Served(release, **given | values)


def proof(environment, name, release, **values):
    """All that a run can prove of an application, by its set as the statement has it."""
    before = served(release | {"model.version": "0.9"})
    given = {
        "champion": before,
        "golden": hashlib.sha256(QUESTIONS).hexdigest(),
        "behaviour": Behaviour("questions", 1, "0.9", release["model.version"], 100, 0, 0),
        "canary": CanaryTimeline("good", "Healthy", 60.0, "one", "two", 600, 0),
        "back": True,
        "overlay": [REPLICAS],
    }
    return Proof(environment, name, served(release), **given | values)


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
