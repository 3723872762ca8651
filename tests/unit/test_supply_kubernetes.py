"""The go.mod files of ours that build pinned modules, and the images of the control plane, agree with the pins."""

import re
import tomllib
from pathlib import Path

import pytest

from ci.base.errors import MachineError
from ci.supply import pins
from ci.supply.source import go, kubernetes
from ci.supply.supply import MAIN_MODULES

FOLDERS = {"kubernetes": kubernetes.FILES / "kubernetes"} | {
    name: MAIN_MODULES / module.main_module for name, module in pins.load().modules.items() if module.main_module
}


def unpacked(name: str, version: str) -> Path:
    """Where Go would unpack a module."""
    return Path("/modules", f"{pins.load().modules[name].path}@{version}")


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_built_is_what_is_pinned(name: str) -> None:
    version = pins.load().modules[name].version

    assert go.released(unpacked(name, version), FOLDERS[name]) == version


@pytest.mark.parametrize("name", FOLDERS)
def test_a_pin_that_go_mod_does_not_follow_is_refused(name: str) -> None:
    with pytest.raises(MachineError, match=r"go\.mod: does not require"):
        go.released(unpacked(name, "v0.0.1"), FOLDERS[name])


def test_staging_modules_are_of_the_same_release() -> None:
    version = pins.load().modules["kubernetes"].version
    lines = (FOLDERS["kubernetes"] / "go.mod").read_text().splitlines()

    replaced = {line.split()[-1] for line in lines if " => " in line}
    assert replaced == {version.replace("v1.", "v0.", 1)}


def test_each_component_gets_what_its_own_main_package_imports(module) -> None:
    """Imports for their effect alone: a CronJob's time zone, logs as JSON, metrics, ways to log in."""
    effects = re.compile(r'^\s*_ "(.+?)"', re.MULTILINE)
    ours = set(effects.findall((FOLDERS["kubernetes"] / "main.go").read_text()))
    names = (
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
        "kubelet",
        "kubeadm",
        "kubectl",
    )
    for name in names:
        mains = [file.read_text() for file in (module("kubernetes") / "cmd" / name).glob("*.go")]
        wanted = {found for text in mains if "\npackage main\n" in text for found in effects.findall(text)}
        assert wanted <= ours, name


def test_the_control_planes_images_are_of_the_pinned_release() -> None:
    pinned = pins.load()
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
    images = ["docker.io/kindest/node", *(f"registry.k8s.io/{name}" for name in names)]

    assert {pinned.images[name].tag for name in images} == {pinned.modules["kubernetes"].version}


def test_the_node_is_the_one_that_kind_publishes_for_its_release(module) -> None:
    named = re.search(r'"(kindest/node):(.+)@(.+)"', (module("kind") / "pkg/apis/config/defaults/image.go").read_text())
    node = pins.load().images["docker.io/kindest/node"]

    assert named is not None
    assert (node.tag, node.digest) == named.groups()[1:]


def test_etcd_and_coredns_are_those_that_kubeadm_names(module) -> None:
    constants = (module("kubernetes") / "cmd/kubeadm/app/constants/constants.go").read_text()
    named = dict(re.findall(r'\b(DefaultEtcdVersion|CoreDNSVersion) += "(.+)"', constants))
    pinned = pins.load()

    assert pinned.images["registry.k8s.io/etcd"].tag == named["DefaultEtcdVersion"]
    assert pinned.images["registry.k8s.io/coredns/coredns"].tag == named["CoreDNSVersion"]
    assert pinned.modules["etcd"].version == f"v{named['DefaultEtcdVersion'].split('-')[0]}"
    assert pinned.modules["coredns"].version == named["CoreDNSVersion"]


def test_the_control_planes_images_share_their_layers() -> None:
    images = pins.load().images
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
    sources = [images[f"registry.k8s.io/{name}"].source for name in names]

    parts = {(source.root, tuple(source.files.items()), tuple(source.links.items())) for source in sources}
    assert len(parts) == 1
    assert {source.entrypoint for source in sources} == {(f"/usr/local/bin/{name}",) for name in names}


def test_the_pods_namespaces_are_held_by_the_image_that_the_nodes_containerd_names(module) -> None:
    config = tomllib.loads((module("kind") / "images/base/files/etc/containerd/config.toml").read_text())
    tag = pins.load().images["registry.k8s.io/pause"].tag

    assert config["plugins"]["io.containerd.grpc.v1.cri"]["sandbox_image"] == f"registry.k8s.io/pause:{tag}"
