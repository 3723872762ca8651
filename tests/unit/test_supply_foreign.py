"""Names of images, read as a node reads them; and which of a user's logins is tried."""

import json
from pathlib import Path

import pytest

from ci.base.errors import UsageError
from ci.supply import foreign, logins
from ci.supply.foreign import Name

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("tiny", Name("docker.io", "library/tiny", "", "")),
        ("tiny:1.2", Name("docker.io", "library/tiny", "1.2", "")),
        (f"acme/tiny@{DIGEST}", Name("docker.io", "acme/tiny", "", DIGEST)),
        ("docker.io/tiny", Name("docker.io", "library/tiny", "", "")),
        ("index.docker.io/acme/tiny", Name("docker.io", "acme/tiny", "", "")),
        (f"ghcr.io/acme/a/b__c-d.e:V1_x@{DIGEST}", Name("ghcr.io", "acme/a/b__c-d.e", "V1_x", DIGEST)),
        (f"registry.example.com:5000/x/y@{DIGEST}", Name("registry.example.com:5000", "x/y", "", DIGEST)),
        (f"localhost:5000/x@{DIGEST}", Name("localhost:5000", "x", "", DIGEST)),
        ("127.0.0.1:5000/x:1", Name("127.0.0.1:5000", "x", "1", "")),
    ],
)
def test_a_name_is_read_as_a_node_reads_it(text: str, name: Name):
    assert foreign.parse(text) == name


@pytest.mark.parametrize(
    "text",
    ["", "A/b", "acme/Tiny", "a b", "ghcr.io/", "/a", "a//b", "https://ghcr.io/a", "-a.b/c", "a_.b/c", "localhost/x",
     "[::1]:5000/x", "tiny@sha256:12", f"tiny@sha512:{'0' * 128}", f"tiny@{DIGEST.upper()}", "tiny:", "tiny:-1",
     f"tiny:{'1' * 129}", "tiny\n", "$(id)"],
)  # fmt: skip
def test_what_is_not_a_name_is_refused_in_one_line(text: str):
    with pytest.raises(UsageError, match="image"):
        foreign.parse(text)


def test_nodes_look_for_images_of_any_registry_in_the_local_one():
    assert foreign.parse("acme/tiny").path == "docker.io/acme/tiny"
    assert foreign.parse("ghcr.io/acme/tiny").path == "ghcr.io/acme/tiny"
    assert foreign.parse("registry.example.com:5000/x/y").path == "others/x/y"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(file: Path, **config: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(config))
    return file


def test_no_file_with_logins(home: Path):
    assert logins.tried("ghcr.io", "acme/tiny") == f"no login (there is no {home}/.docker/config.json)"


def test_the_file_that_is_read_is_the_one_that_crane_reads(home: Path, monkeypatch: pytest.MonkeyPatch):
    podman = write(home / ".config" / "containers" / "auth.json", auths={"ghcr.io": {"auth": "c2VjcmV0"}})
    assert logins.tried("ghcr.io", "acme/tiny") == f"the login for ghcr.io in {podman}"
    docker = write(home / ".docker" / "config.json", auths={"ghcr.io": {"auth": "c2VjcmV0"}})
    assert logins.tried("ghcr.io", "acme/tiny") == f"the login for ghcr.io in {docker}"
    chosen = write(home / "chosen" / "config.json", credsStore="keychain")
    monkeypatch.setenv("DOCKER_CONFIG", str(chosen.parent))
    assert logins.tried("ghcr.io", "acme/tiny") == f"docker-credential-keychain, which {chosen} names"
    chosen.write_text("[]")
    assert logins.tried("ghcr.io", "acme/tiny") == f"{chosen}, which cannot be read"


@pytest.mark.parametrize(
    ("host", "config", "tried"),
    [
        ("ghcr.io", {"auths": {}, "credHelpers": {"ecr.example.com": "ecr"}}, "no login ({file} has none for ghcr.io)"),
        ("ghcr.io", {"auths": {"https://ghcr.io/v2/": {}}}, "the login for ghcr.io in {file}"),
        ("ghcr.io", {"auths": {"ghcr.io/acme/tiny": {}}}, "the login for ghcr.io/acme/tiny in {file}"),
        ("ghcr.io", {"auths": {"ghcr.io": {}}, "credHelpers": {"ghcr.io": "gh"}},
         "docker-credential-gh, which {file} names"),
        ("docker.io", {"auths": {"docker.io": {}}}, "no login ({file} has none for https://index.docker.io/v1/)"),
        ("docker.io", {"auths": {"https://index.docker.io/v1/": {}}},
         "the login for https://index.docker.io/v1/ in {file}"),
    ],
)  # fmt: skip
def test_the_login_that_is_tried_is_named(home: Path, host: str, config: dict, tried: str):
    file = write(home / ".docker" / "config.json", **config)
    assert logins.tried(host, "acme/tiny") == tried.format(file=file)


def test_a_login_of_the_environment_comes_first(home: Path, monkeypatch: pytest.MonkeyPatch):
    write(home / ".docker" / "config.json", credsStore="keychain")
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {"ghcr.io": {"auth": "c2VjcmV0"}}}))

    assert logins.tried("ghcr.io", "acme/tiny") == "the login for ghcr.io in DOCKER_AUTH_CONFIG"
