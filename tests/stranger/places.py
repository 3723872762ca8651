"""Where the stranger's models and images are: an S3 store and a registry of images, which both ask who is there."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from requests_aws4auth import AWS4Auth

from ci.models import digests
from ci.supply.pins import architecture
from tests.faults.models import servers
from tests.harness import images

HERE = Path(__file__).parent
MODELS = {
    "1": (HERE / "models" / "first.bst").read_bytes(),
    "2": (HERE / "models" / "second.bst").read_bytes(),
    "snowless": (HERE / "models" / "snowless.bst").read_bytes(),
    "torn": (HERE / "models" / "second.bst").read_bytes()[:300],
}
"""The regression's versions: two good ones, one that is wrong on a slice, one that no server loads."""
FILE = "deliveries.bst"
REGION = "us-east-1"
SERVER = HERE / "server" / "server.py"
IMAGES: Mapping[str, tuple[str, ...]] = {
    "1": (),
    "2": ("WORDS=2",),
    "slow": ("WORDS=2", "AILS=slow"),
    "failing": ("WORDS=2", "AILS=failing"),
}
"""Tags of the other application's image: two good ones, two bad ones, by what is in their environment."""


@dataclass(frozen=True)
class Store:
    """An S3 store with one bucket.

    Attributes:
        address: Its endpoint.
        bucket: The bucket's name.
    """

    address: str
    bucket: str

    @property
    def settings(self) -> dict[str, str]:
        """What the clients of S3 read it with (docs/models.md)."""
        return {**servers.KEYS, "AWS_ENDPOINT_URL": self.address, "AWS_DEFAULT_REGION": REGION}

    def put(self, model: str, version: str, content: bytes) -> str:
        """Put a model there; return the digest of its files."""
        self._sent(f"{model}/{version}/{FILE}", content)
        return digest_of(content)

    def _sent(self, path: str, content: bytes = b"") -> None:
        auth = AWS4Auth(*servers.KEYS.values(), REGION, "s3")
        url = f"{self.address}/{self.bucket}{f'/{path}' if path else ''}"
        requests.put(url, data=content, auth=auth, timeout=60).raise_for_status()


def digest_of(content: bytes) -> str:
    """Return the digest of a model with this one file."""
    return digests.of_listing({FILE: hashlib.sha256(content).hexdigest()})


@contextmanager
def store(gateway: Path, folder: Path, bucket: str, model: str) -> Iterator[Store]:
    """Run a store that has every version of a model, as long as the block does."""
    with servers.s3(gateway, folder) as address:
        made = Store(address, bucket)
        made._sent("")
        for version, content in MODELS.items():
            made.put(model, version, content)
        yield made


@dataclass(frozen=True)
class Publisher:
    """A registry that gives nothing without a login.

    Attributes:
        host: Its address.
        crane: What publishes there.
        login: Folder of a Docker configuration that has the login.
        root: Repositories begin with it.
    """

    host: str
    crane: Path
    login: Path
    root: str

    @property
    def settings(self) -> dict[str, str]:
        """What Docker's own clients find the login with."""
        return {"DOCKER_CONFIG": str(self.login)}

    def repository(self, name: str) -> str:
        return f"{self.host}/{self.root}/{name}"

    def publish(self, name: str, tag: str, base: str | None) -> str:
        """Publish the server under a tag; return the image's digest.

        Args:
            name: The application's.
            tag: One of `IMAGES`.
            base: An image with Python; None for one that has only the server, and runs nowhere.
        """
        return images.publish(
            self.crane,
            f"{self.repository(name)}:{tag}",
            SERVER,
            work=self.login,
            base=["--oci-empty-base"] if base is None else [f"--base={base}"],
            mutate=[
                *(f"--env={variable}" for variable in IMAGES[tag]),
                *([f"--set-platform=linux/{architecture()}"] if base is None else []),
            ],
            env=self.settings,
        )


@contextmanager
def publisher(distribution: Path, crane: Path, folder: Path, root: str) -> Iterator[Publisher]:
    """Run such a registry as long as the block does."""
    folder.mkdir(parents=True)
    with servers.registry(distribution, folder / "registry") as host:
        login = folder / "docker"
        login.mkdir()
        auth = base64.b64encode(servers.LOGIN.encode()).decode()
        (login / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
        yield Publisher(host, crane, login, root)
