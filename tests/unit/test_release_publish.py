"""The chart reaches a registry as it was committed, and a version stays what it was; Helm, git, registry are real."""

import subprocess
import tarfile

import pytest
import requests

from ci.base.errors import UsageError
from ci.release import publish as publishing
from tests.harness import remote as remotes
from tests.harness.git_server import TOKEN, serving
from tests.unit.conftest import find_tool
from tests.workflows import registry as registries
from tests.workflows.github import GitHub

CHART = "charts/ml-serving"
VALUES = "helm/charts/ml-serving/values.yaml"


@pytest.fixture
def clone(tmp_path):
    return remotes.made(tmp_path).clone("ours")


@pytest.fixture(scope="module")
def registry():
    with registries.running(find_tool("crane")) as address:
        yield address


@pytest.fixture
def hub(tmp_path, clone):
    hub = GitHub(remotes.Remote(tmp_path / "remote.git", tmp_path))
    with serving(hub) as hub.address:
        clone.git("remote", "set-url", "origin", f"http://{hub.address}/team/tree")
        yield hub


def publish(clone, registry, *args, password=registries.PASSWORD, token=TOKEN, hub=None):
    env = {
        "ML_SERVING_CI_REGISTRY_USER": registries.USER,
        "ML_SERVING_CI_REGISTRY_PASSWORD": password,
        "GITHUB_TOKEN": token,
        **({"GITHUB_API_URL": f"http://{hub.address}/api/v3"} if hub else {}),
    }
    return remotes.ci(clone, "publish", f"--registry=http://{registry}/Charts", *args, check=False, env=env)


def ask(registry, path):
    url = f"http://{registry}/v2/{CHART}/{path}"
    return requests.get(url, headers={"Authorization": registries.HEADER}, timeout=30)


def digest(registry):
    return ask(registry, "manifests/0.1.0").headers["Docker-Content-Digest"]


def test_the_committed_chart_is_pushed_whatever_the_work_tree_has(clone, registry, tmp_path):
    (clone.folder / VALUES).write_text("not: committed\n")

    result = publish(clone, registry)

    assert result.returncode == 0, result.stderr
    reference = result.stdout.strip()
    assert reference.startswith(f"oci://{registry}/{CHART}:0.1.0@sha256:")
    assert digest(registry) == reference.partition("@")[2]
    layer = ask(registry, "manifests/0.1.0").json()["layers"][0]["digest"]
    (tmp_path / "chart.tgz").write_bytes(ask(registry, f"blobs/{layer}").content)
    with tarfile.open(tmp_path / "chart.tgz") as archive:
        values = archive.extractfile("ml-serving/values.yaml").read()
    assert values == subprocess.check_output(["git", "show", f"HEAD:{VALUES}"], cwd=clone.folder)


@pytest.mark.parametrize("debug", ["", "1"])
def test_23_a_password_that_is_refused_is_not_shown(clone, registry, monkeypatch, debug):
    monkeypatch.setenv("ML_SERVING_CI_DEBUG", debug)
    wrong = "not the/password of it"

    result = publish(clone, registry, password=wrong)

    assert result.returncode == 1
    assert "did not take ml-serving-0.1.0.tgz" in result.stderr
    assert wrong not in result.stdout + result.stderr


@pytest.mark.parametrize("more", [[], ["--dry-run"]], ids=["", "dry-run"])
@pytest.mark.parametrize(
    "address", ["ftp://host/charts", "host/charts", "oci://me:password@host/charts", "oci:///charts"]
)
def test_an_address_that_is_none_is_refused(clone, address, more):
    result = remotes.ci(clone, "publish", f"--registry={address}", *more, check=False)

    assert result.returncode == 2
    assert "oci://HOST/PATH" in result.stderr
    assert "password" not in result.stderr


@pytest.mark.parametrize(
    "address",
    [
        *("", "oci://", "oci://h/a b", "oci://h/a\nb", "oci://h/\x1b[31m", "oci://h/ä", "oci://h//a", "oci://h/a..b"),
        *(
            "oci://h:70000/a",
            "oci://h:x/a",
            "oci://h:٣/a",
            "http://[::1",
            "oci://h/a?b",
            "oci://h/a#b",
            "oci://h/a:b@c",
        ),
    ],
)
def test_what_no_reference_can_be_made_of_is_no_address(address):
    with pytest.raises(UsageError, match="--registry: no registry's address"):
        publishing.registry(address)


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("oci://ghcr.io/Owner/charts/", "ghcr.io/owner/charts"),
        ("oci://registry.gitlab.com/a/b__c.d/e-f", "registry.gitlab.com/a/b__c.d/e-f"),
        ("http://127.0.0.1:5001", "127.0.0.1:5001"),
        ("http://[::1]:5001/a", "[::1]:5001/a"),
    ],
)
def test_an_address_is_a_host_and_a_path(address, where):
    assert str(publishing.registry(address)) == where


def test_another_chart_under_a_released_version_is_refused(clone, registry):
    clone.git("tag", "v0.1.0")
    assert publish(clone, registry).returncode == 0, "the very same chart is no other"
    values = clone.folder / VALUES
    values.write_bytes(values.read_bytes() + b"# a word\n")
    clone.git("commit", "--quiet", "--all", "--message=A word")

    result = publish(clone, registry, "--dry-run")

    assert result.returncode == 1
    assert "v0.1.0 is another chart" in result.stderr
    assert "Raise version" in result.stderr


def test_a_tag_that_is_another_version_is_refused_before_anything_is_published(clone, registry, hub):
    result = publish(clone, registry, "--tag=v9.9.9", "--release", hub=hub)

    assert result.returncode == 2
    assert "v0.1.0" in result.stderr
    assert hub.releases == []


def test_a_release_has_its_files_and_is_published_once(clone, registry, hub, tmp_path):
    (tmp_path / "sbom.cdx.json").write_text("{}")
    arguments = ("--release", f"--asset={tmp_path / 'sbom.cdx.json'}")

    first = publish(clone, registry, *arguments, hub=hub)
    pushed = digest(registry)
    again = publish(clone, registry, *arguments, hub=hub)

    assert (first.returncode, again.returncode) == (0, 0), first.stderr + again.stderr
    assert again.stdout == "https://hub/releases/0\n"
    assert digest(registry) == pushed
    (release,) = hub.releases
    assert (release["tag_name"], release["draft"]) == ("v0.1.0", False)
    assert release["target_commitish"] == clone.git("rev-parse", "HEAD")
    assert "oci://" in release["body"]
    assert sorted(asset["name"] for asset in release["assets"]) == ["ml-serving-0.1.0.tgz", "sbom.cdx.json"]
    assert hub.files[0, "sbom.cdx.json"] == b"{}"


def commit(clone, path, added):
    """Commit a file with more in it."""
    file = clone.folder / path
    file.write_bytes(file.read_bytes() + added)
    clone.git("commit", "--quiet", "--all", "--message=Add a word")


def other_chart(clone):
    """Commit another chart of the same version."""
    commit(clone, VALUES, b"# a word\n")


def test_the_same_chart_again_is_done_already(clone, registry):
    first = publish(clone, registry)
    again = publish(clone, registry)

    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert "already" in again.stderr


def test_another_chart_under_a_version_that_the_registry_has_is_refused(clone, registry, hub):
    assert publish(clone, registry, hub=hub).returncode == 0
    pushed = digest(registry)
    other_chart(clone)

    result = publish(clone, registry, "--release", hub=hub)

    assert result.returncode == 1
    assert f"{registry}/charts has another ml-serving-0.1.0.tgz" in result.stderr
    assert "raise version" in result.stderr
    assert digest(registry) == pushed
    assert hub.releases == []


@pytest.mark.parametrize("says_digests", [True, False])
def test_a_release_with_another_chart_is_refused_before_the_registry_gets_it(clone, registry, hub, says_digests):
    hub.says_digests = says_digests
    assert publish(clone, registry, "--release", hub=hub).returncode == 0
    other_chart(clone)
    released = [*hub.releases], dict(hub.files)

    result = publish(clone, f"{registry}/elsewhere-{says_digests}".lower(), "--release", hub=hub)

    assert result.returncode == 1
    assert "v0.1.0 is published with another ml-serving-0.1.0.tgz: https://hub/releases/0" in result.stderr
    assert (hub.releases, hub.files) == released
    assert registries.tags(registry, f"elsewhere-{says_digests}/charts/ml-serving".lower()) == []
    assert bool(hub.downloads) is not says_digests


def test_a_release_without_the_chart_is_refused(clone, registry, hub):
    hub.releases.append({"tag_name": "v0.1.0", "draft": False, "html_url": "https://hub/by-hand", "assets": []})

    result = publish(clone, f"{registry}/nowhere", "--release", hub=hub)

    assert result.returncode == 1
    assert "v0.1.0 is published without ml-serving-0.1.0.tgz: https://hub/by-hand" in result.stderr
    assert registries.tags(registry, "nowhere/charts/ml-serving") == []


def test_another_run_of_the_same_chart_finds_it_released_with_the_first_ones_files(clone, registry, hub, tmp_path):
    sbom = tmp_path / "sbom.cdx.json"
    sbom.write_text("{}")
    publish(clone, registry, "--release", f"--asset={sbom}", hub=hub)
    commit(clone, remotes.FILE, b"# another commit\n")
    sbom.write_text("[]")

    result = publish(clone, registry, "--release", f"--asset={sbom}", hub=hub)

    assert result.returncode == 0, result.stderr
    assert hub.files[0, "sbom.cdx.json"] == b"{}"


def test_a_release_behind_a_hundred_newer_ones_is_not_made_again(clone, registry, hub):
    publish(clone, registry, "--release", hub=hub)
    newer = [{"id": number, "tag_name": f"v1.0.{number}", "draft": False} for number in range(1, 131)]
    hub.releases[:0] = newer

    result = publish(clone, registry, "--release", hub=hub)

    assert (result.returncode, result.stdout) == (0, "https://hub/releases/0\n"), result.stderr
    assert len(hub.releases) == 131


def test_a_draft_that_a_killed_run_left_is_completed(clone, registry, hub):
    url = f"http://{hub.address}/api/v3/repos/team/tree/releases/0/assets{{?name,label}}"
    half = {"id": 5, "name": "ml-serving-0.1.0.tgz"}
    draft = {
        "id": 0,
        "tag_name": "v0.1.0",
        "draft": True,
        "html_url": "https://hub/0",
        "upload_url": url,
        "assets": [half],
    }
    hub.releases.append(draft)

    result = publish(clone, registry, "--release", hub=hub)

    assert result.returncode == 0, result.stderr
    assert hub.releases[0]["draft"] is False
    assert [asset["name"] for asset in hub.releases[0]["assets"]] == ["ml-serving-0.1.0.tgz"]
    assert hub.files[0, "ml-serving-0.1.0.tgz"]
