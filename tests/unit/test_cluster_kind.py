import tomllib
from pathlib import Path

import pytest
import yaml

from ci.cluster import kind, runs
from ci.errors import UsageError


@pytest.fixture
def config(tmp_path: Path) -> dict:
    """What kind would read."""
    return yaml.safe_load(yaml.safe_dump(kind.config("docker.io/kindest/node:v1", tmp_path)))


def test_every_mirrored_registry_is_asked_for_under_its_own_name(tmp_path: Path) -> None:
    # When
    kind.write_hosts(tmp_path, "mirror:5000")

    # Then
    for registry in ("docker.io", "quay.io", "registry.k8s.io", "ghcr.io", "public.ecr.aws"):
        hosts = tomllib.loads((tmp_path / registry / "hosts.toml").read_text())
        assert hosts["host"] == {
            f"http://mirror:5000/v2/{registry}": {"capabilities": ["pull", "resolve"], "override_path": True}
        }
        assert hosts["server"].startswith("https://")


def test_containerd_reads_the_folder_that_the_node_gets(config: dict, tmp_path: Path) -> None:
    patch = tomllib.loads(config["containerdConfigPatches"][0])
    cri = patch["plugins"]["io.containerd.grpc.v1.cri"]

    (mount,) = config["nodes"][0]["extraMounts"]
    assert mount == {"hostPath": str(tmp_path), "containerPath": cri["registry"]["config_path"], "readOnly": True}


def test_the_node_is_the_given_image_and_the_api_port_is_free_to_choose(config: dict) -> None:
    assert [node["image"] for node in config["nodes"]] == ["docker.io/kindest/node:v1"]
    assert "apiServerPort" not in config["networking"]
    assert "apiServerAddress" not in config["networking"]


def test_the_kubelet_starts_on_cgroup_v1(config: dict) -> None:
    patches = {patch["kind"]: patch for patch in map(yaml.safe_load, config["kubeadmConfigPatches"])}

    assert patches["KubeletConfiguration"]["failCgroupV1"] is False


def test_extra_arguments_are_strings_as_kubeadm_wants_them(config: dict) -> None:
    patches = {patch["kind"]: patch for patch in map(yaml.safe_load, config["kubeadmConfigPatches"])}
    cluster = patches["ClusterConfiguration"]

    arguments = [cluster["etcd"]["local"], cluster["controllerManager"], cluster["scheduler"]]
    assert all(isinstance(value, str) for part in arguments for value in part["extraArgs"].values())


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a b", "../x", "a" * 31, 'x";echo${IFS}pwned;#'])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        runs.cluster_name(name)


def test_random_names_are_names() -> None:
    assert len({runs.cluster_name(runs.new_id()) for _ in range(100)}) == 100
