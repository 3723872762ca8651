"""Images of a user's own, out of a registry that asks for a login: copied by digest, or refused in one line.

Real: the registry's program twice, as the publisher's and as the local one, and crane.
"""

import base64
import json
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
import requests

from ci.base import command
from ci.base.errors import CheckFailedError, CIError, MachineError, UsageError
from ci.supply import blobs, foreign
from ci.supply.pins import architecture
from ci.supply.registry import CONFIG, OTHERS
from ci.supply.supply import Supply
from tests.faults.supply.registries import Local

USER, PASSWORD, WRONG = "reader", "right", "wr0ng-s3cret"
HTPASSWD = f"{USER}:$2y$04$abcdefghijklmnopqrstuuFmEfrkTQnczNzw475xE2VhDrK1uwJiC\n"
"""bcrypt's, of the right password."""
OTHER = {"amd64": "arm64", "arm64": "amd64"}[architecture()]
UNKNOWN = f"sha256:{'a' * 64}"


@dataclass(frozen=True)
class Publisher:
    """A registry that gives nothing without the right login, and what publishes to it."""

    local: Local
    crane: Path
    login: Path

    @property
    def host(self) -> str:
        return self.local.registry.host

    def run(self, *argv: str | Path) -> str:
        async def call() -> str:
            ended = await command.run([self.crane, *argv], env={"DOCKER_CONFIG": str(self.login)}, timeout=60)
            return ended.stdout.strip()

        return anyio.run(call)

    def publish(self, name: str, content: str, machine: str = architecture()) -> str:
        """Push an image of one file, and return its digest."""
        layer = self.login / f"{content}.tar"
        with tarfile.open(layer, "w") as tar:
            tar.addfile(tarfile.TarInfo(content))
        ref = f"{self.host}/{name}"
        self.run("append", "--oci-empty-base", f"--new_tag={ref}", f"--new_layer={layer}")
        self.run("mutate", f"--set-platform=linux/{machine}", f"--tag={ref}", ref)
        return self.run("digest", ref)

    def publish_index(self, name: str, *machines: str) -> str:
        """Push an index with an image for each machine, and return its digest."""
        for machine in machines:
            self.publish(f"{name}-{machine}", machine, machine)
        ref = f"{self.host}/{name}"
        manifests = [f"--manifest={self.host}/{name}-{machine}" for machine in machines]
        self.run("index", "append", f"--tag={ref}", *manifests)
        return self.run("digest", ref)


def log_in(folder: Path, host: str, password: str) -> None:
    """Write Docker's configuration as `docker login` does without a helper."""
    folder.mkdir(exist_ok=True)
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


@pytest.fixture
def publisher(machine, registry_program, tmp_path):
    folder = tmp_path / "publisher"
    folder.mkdir()
    (folder / "htpasswd").write_text(HTPASSWD)
    config = f"{CONFIG}auth: {{htpasswd: {{realm: publisher, path: {folder / 'htpasswd'}}}}}\n"
    local = Local(registry_program, folder, config)
    anyio.run(local.start)
    log_in(folder / "login", local.registry.host, PASSWORD)
    yield Publisher(local, machine.tool("crane"), folder / "login")
    if local.process is not None:
        local.stop()


@pytest.fixture
def supply(machine, registry_program, tmp_path):
    """A supply in a cache of its own, with a local registry that is empty."""
    (tmp_path / "local").mkdir()
    local = Local(registry_program, tmp_path / "local")
    crane = machine.tool("crane").resolve().parent
    shutil.copytree(crane, tmp_path / "cache" / "go" / crane.name)
    made = Supply("source", tmp_path / "cache")

    async def start(*, empty=False):
        await local.start(empty=empty)
        made._registry = local.registry

    made._start_registry = start
    yield made
    if local.process is not None:
        local.stop()


@pytest.fixture
def login(publisher, tmp_path, monkeypatch):
    """The user's own Docker configuration, with the right login."""
    folder = tmp_path / "docker"
    log_in(folder, publisher.host, PASSWORD)
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_AUTH_CONFIG", raising=False)
    return folder / "config.json"


def served(supply: Supply, reference: str) -> foreign.Served:
    return anyio.run(foreign.published, supply, reference)


def held(supply: Supply, ref: str) -> blobs.Contents | None:
    """What the local registry has of an image, every byte of it looked at."""

    async def look() -> blobs.Contents | None:
        return await blobs.contents(supply.registry.host, f"{OTHERS}/{ref}", verify=True)

    return anyio.run(look)


def refusal(supply: Supply, reference: str) -> CIError:
    """How an image is refused: in one line, without a secret, and without a trace in the local registry."""
    with pytest.raises(CIError) as raised:
        served(supply, reference)
    said = f"{raised.value.message} {raised.value.fix} {raised.value.detail}"
    assert "\n" not in raised.value.message
    assert WRONG not in said
    assert base64.b64encode(f"{USER}:{WRONG}".encode()).decode() not in said
    name = foreign.parse(reference)
    assert held(supply, f"{name.repository}@{name.digest}") is None
    return raised.value


def test_an_image_is_copied_by_its_digest_with_dockers_login_and_asked_for_once(supply, publisher, login):
    digest = publisher.publish("acme/tiny:1", "one")
    reference = f"{publisher.host}/acme/tiny@{digest}"

    assert served(supply, f"{publisher.host}/acme/tiny:1@{digest}") == foreign.Served(reference, digest, "registry")
    assert held(supply, f"acme/tiny@{digest}").digest == digest

    publisher.local.stop()
    assert served(supply, reference).digest == digest


def test_of_an_index_every_platform_is_copied(supply, publisher, login):
    digest = publisher.publish_index("acme/tiny:2", architecture(), OTHER)

    assert served(supply, f"{publisher.host}/acme/tiny@{digest}").digest == digest
    contents = held(supply, f"acme/tiny@{digest}")
    assert contents.digest == digest
    assert len(contents.manifests) == 3


HELPER = """#!/bin/sh
cat > /dev/null
printf '{{"ServerURL": "", "Username": "{user}", "Secret": "{password}"}}'
"""


@pytest.mark.parametrize("password", [PASSWORD, WRONG])
@pytest.mark.parametrize("config", ['{{"credHelpers": {{"{host}": "vault"}}}}', '{{"credsStore": "vault"}}'])
def test_a_credential_helper_is_asked_and_named(supply, publisher, login, tmp_path, monkeypatch, config, password):
    reference = f"{publisher.host}/acme/tiny@{publisher.publish('acme/tiny:1', 'one')}"
    helper = tmp_path / "bin" / "docker-credential-vault"
    helper.parent.mkdir()
    helper.write_text(HELPER.format(user=USER, password=password))
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(helper.parent), prepend=":")
    login.write_text(config.format(host=publisher.host))

    if password == PASSWORD:
        assert served(supply, reference).reference == reference
        return
    error = refusal(supply, reference)
    assert f"asked with docker-credential-vault, which {login} names" in error.message
    assert isinstance(error, MachineError)


@pytest.mark.parametrize(
    ("config", "tried"),
    [
        (None, "no login (there is no {file})"),
        ("{}", "no login ({file} has none for {host})"),
        ('{"auths": {"other.example.com": {}}}', "no login ({file} has none for {host})"),
        ("wrong", "the login for {host} in {file}"),
    ],
)
def test_who_is_refused_is_told_which_login_was_tried(supply, publisher, login, config, tried):
    reference = f"{publisher.host}/acme/tiny@{publisher.publish('acme/tiny:1', 'one')}"
    if config is None:
        login.unlink()
    elif config == "wrong":
        log_in(login.parent, publisher.host, WRONG)
    else:
        login.write_text(config)

    error = refusal(supply, reference)
    assert error.message == (
        f"{reference}: refused to this user, or not there; asked with {tried.format(file=login, host=publisher.host)}"
    )
    assert error.fix == f"docker login {publisher.host}"
    assert error.exit_code == MachineError.exit_code


@pytest.mark.parametrize(
    ("config", "said"),
    [('{"credsStore": "is-not-here"}', "docker-credential-is-not-here"), ('{"auths', "which cannot be read")],
)
def test_a_login_that_cannot_be_read_is_named(supply, publisher, login, config, said):
    reference = f"{publisher.host}/acme/tiny@{publisher.publish('acme/tiny:1', 'one')}"
    login.write_text(config)

    error = refusal(supply, reference)
    assert said in error.message
    assert str(login) in error.message
    assert isinstance(error, MachineError)


def test_an_image_that_is_not_there_is_told_from_one_whose_tag_moved(supply, publisher, login):
    now = publisher.publish("acme/tiny:1", "one")

    for reference, said in {
        f"{publisher.host}/acme/none@{UNKNOWN}": "not there",
        f"{publisher.host}/acme/tiny@{UNKNOWN}": "not there",
        f"{publisher.host}/acme/tiny:2@{UNKNOWN}": "not there, nor is its tag 2",
        f"{publisher.host}/acme/tiny:1@{UNKNOWN}": f"not there, its tag 1 is {now} now",
    }.items():
        error = refusal(supply, reference)
        name = foreign.parse(reference)
        assert error.message == f"{publisher.host}/{name.repository}@{UNKNOWN}: {said}"
        assert isinstance(error, CheckFailedError)


def test_an_image_for_other_machines_is_refused(supply, publisher, login):
    one = publisher.publish("acme/other:1", "one", OTHER)
    several = publisher.publish_index("acme/other:2", OTHER, "s390x")

    error = refusal(supply, f"{publisher.host}/acme/other@{one}")
    assert error.message.endswith(f": for linux/{OTHER}, and this machine is linux/{architecture()}")
    assert isinstance(error, CheckFailedError)
    error = refusal(supply, f"{publisher.host}/acme/other@{several}")
    assert error.message.endswith(f": none for linux/{architecture()}")
    assert isinstance(error, CheckFailedError)


def test_what_is_in_a_registry_and_not_a_containers_image_is_refused(supply, publisher, login):
    """As a chart, or a model in an OCI artefact."""
    session = requests.Session()
    session.auth = (USER, PASSWORD)
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "size": 2}
    empty["digest"] = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    begun = session.post(f"http://{publisher.host}/v2/acme/chart/blobs/uploads/")
    session.put(begun.headers["Location"], params={"digest": empty["digest"]}, data=b"{}").raise_for_status()
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": empty}
    pushed = session.put(
        f"http://{publisher.host}/v2/acme/chart/manifests/1",
        headers={"Content-Type": str(manifest["mediaType"])},
        data=json.dumps(manifest | {"layers": [empty]}),
    )

    error = refusal(supply, f"{publisher.host}/acme/chart@{pushed.headers['Docker-Content-Digest']}")
    assert error.message.endswith(": not an image of a container")
    assert isinstance(error, CheckFailedError)


def test_a_registry_that_does_not_answer_is_named(supply, publisher, login):
    digest = publisher.publish("acme/tiny:1", "one")
    publisher.local.stop()

    error = refusal(supply, f"{publisher.host}/acme/tiny@{digest}")
    assert "connection refused" in error.message
    assert publisher.host in error.message
    assert isinstance(error, MachineError)


def test_other_bytes_than_the_digests_are_not_kept(supply, publisher, login):
    digest = publisher.publish("acme/tiny:1", "one")
    layer = json.loads(publisher.run("manifest", f"{publisher.host}/acme/tiny:1"))["layers"][0]["digest"]
    file = publisher.local.file(layer)
    file.write_bytes(bytes(len(file.read_bytes())))

    assert isinstance(refusal(supply, f"{publisher.host}/acme/tiny@{digest}"), MachineError)


def test_an_image_without_a_digest_is_refused(supply, publisher, login):
    with pytest.raises(UsageError, match="without a digest"):
        served(supply, f"{publisher.host}/acme/tiny:1")
