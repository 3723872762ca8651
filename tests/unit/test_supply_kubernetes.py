"""The go.mod files of ours that build pinned modules, and the images of the control plane, agree with the pins."""

from pathlib import Path

import pytest

from ci.errors import MachineError
from ci.supply import pins
from ci.supply.source import go, kubernetes
from ci.supply.supply import MAIN_MODULES

FOLDERS = {"kubernetes": kubernetes.FILES / "kubernetes"} | {
    name: MAIN_MODULES / module.main_module for name, module in pins.load().modules.items() if module.main_module
}


def module(name: str, version: str) -> Path:
    """Where Go would unpack a module."""
    return Path("/modules", f"{pins.load().modules[name].path}@{version}")


@pytest.mark.parametrize("name", FOLDERS)
def test_what_is_built_is_what_is_pinned(name: str) -> None:
    version = pins.load().modules[name].version

    assert go.released(module(name, version), FOLDERS[name]) == version


@pytest.mark.parametrize("name", FOLDERS)
def test_a_pin_that_go_mod_does_not_follow_is_refused(name: str) -> None:
    with pytest.raises(MachineError, match=r"go\.mod: does not require"):
        go.released(module(name, "v0.0.1"), FOLDERS[name])


def test_staging_modules_are_of_the_same_release() -> None:
    version = pins.load().modules["kubernetes"].version
    lines = (FOLDERS["kubernetes"] / "go.mod").read_text().splitlines()

    replaced = {line.split()[-1] for line in lines if " => " in line}
    assert replaced == {version.replace("v1.", "v0.", 1)}


def test_the_control_planes_images_are_of_the_pinned_release() -> None:
    pinned = pins.load()
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
    images = ["docker.io/kindest/node", *(f"registry.k8s.io/{name}" for name in names)]

    assert {pinned.images[name].tag for name in images} == {pinned.modules["kubernetes"].version}


def test_the_control_planes_images_share_their_layers() -> None:
    images = pins.load().images
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
    sources = [images[f"registry.k8s.io/{name}"].source for name in names]

    parts = {(source.root, tuple(source.files.items()), tuple(source.links.items())) for source in sources}
    assert len(parts) == 1
    assert {source.entrypoint for source in sources} == {(f"/usr/local/bin/{name}",) for name in names}
