import tomllib

import pytest
import yaml

from ci.base.errors import UsageError
from ci.cluster import kind, node, runs
from ci.host import client
from ci.host.client import Client
from ci.supply import registry


@pytest.fixture
def config() -> dict:
    """What kind would read, on the daemon's own host."""
    return seen_from(Client(None, client.LOOPBACK))


def seen_from(here: Client) -> dict:
    return yaml.safe_load(yaml.safe_dump(kind.config("docker.io/kindest/node:v1", here)))


def test_every_mirrored_registry_is_asked_for_under_its_own_name() -> None:
    files = node.hosts("mirror:5000")

    for name in ("docker.io", "quay.io", "registry.k8s.io", "ghcr.io", "public.ecr.aws"):
        hosts = tomllib.loads(files[f"{node.HOSTS_FOLDER}/{name}/hosts.toml"])
        assert hosts["host"] == {
            f"http://mirror:5000/v2/{name}": {"capabilities": ["pull", "resolve"], "override_path": True}
        }
        assert hosts["server"].startswith("https://")


def test_for_every_other_registry_the_local_one_is_asked_before_its_own_host() -> None:
    (hosts,) = [text for path, text in node.hosts("mirror:5000").items() if f"/{node.EVERY_OTHER}/" in path]

    parsed = tomllib.loads(hosts)
    assert parsed["host"] == {
        f"http://mirror:5000/v2/{registry.OTHERS}": {"capabilities": ["pull", "resolve"], "override_path": True}
    }
    assert "server" not in parsed, "what an image's name says"


def test_containerd_reads_the_folder_that_the_node_image_has(config: dict) -> None:
    patch = tomllib.loads(config["containerdConfigPatches"][0])
    cri = patch["plugins"]["io.containerd.grpc.v1.cri"]

    assert all(path.startswith(f"{cri['registry']['config_path']}/") for path in node.hosts("mirror:5000"))


def test_nothing_of_this_machine_is_mounted(config: dict) -> None:
    assert config["nodes"] == [{"role": "control-plane", "image": "docker.io/kindest/node:v1"}]


def test_the_api_server_is_published_on_the_loopback_at_a_port_that_docker_chooses(config: dict) -> None:
    assert config["networking"]["apiServerAddress"] == "127.0.0.1"
    assert "apiServerPort" not in config["networking"]


def test_from_another_machine_the_api_server_is_published_and_known_by_the_address_of_its_host() -> None:
    config = seen_from(Client(None, "10.1.2.3"))
    patches = {patch["kind"]: patch for patch in map(yaml.safe_load, config["kubeadmConfigPatches"])}

    assert config["networking"]["apiServerAddress"] == "0.0.0.0"
    assert "10.1.2.3" in patches["ClusterConfiguration"]["apiServer"]["certSANs"]
    assert "leader-elect" in patches["ClusterConfiguration"]["scheduler"]["extraArgs"]


def test_the_kubelet_starts_on_cgroup_v1(config: dict) -> None:
    patches = {patch["kind"]: patch for patch in map(yaml.safe_load, config["kubeadmConfigPatches"])}

    assert patches["KubeletConfiguration"]["failCgroupV1"] is False


def test_extra_arguments_are_strings_as_kubeadm_wants_them(config: dict) -> None:
    patches = {patch["kind"]: patch for patch in map(yaml.safe_load, config["kubeadmConfigPatches"])}
    cluster = patches["ClusterConfiguration"]

    arguments = [cluster["etcd"]["local"], cluster["controllerManager"], cluster["scheduler"]]
    assert all(isinstance(value, str) for part in arguments for value in part["extraArgs"].values())
    assert "apiVersion" not in cluster, "or kind does not turn them into the list that kubeadm's v1beta4 has"


def test_each_program_of_the_control_plane_is_told_how_often_to_collect_garbage(config: dict) -> None:
    patches = {patch["kind"]: patch for patch in map(yaml.safe_load, config["kubeadmConfigPatches"])}
    cluster = patches["ClusterConfiguration"]

    for part in (cluster["apiServer"], cluster["etcd"]["local"], cluster["controllerManager"], cluster["scheduler"]):
        assert {"name": "GOGC", "value": "400"} in part["extraEnvs"]
    assert "GOMEMLIMIT" in {variable["name"] for variable in cluster["apiServer"]["extraEnvs"]}, "its heap has an end"


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a b", "../x", "a" * 31, 'x";echo${IFS}pwned;#'])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        runs.cluster_name(name)


def test_random_names_are_names() -> None:
    assert len({runs.cluster_name(runs.new_id()) for _ in range(100)}) == 100
