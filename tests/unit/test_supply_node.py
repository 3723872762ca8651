"""The node image's root folder: what is left of Debian, and what is laid over it."""

import io
import tarfile
from pathlib import Path

import pytest

from ci.supply.source import node

DEBIAN = {
    "usr/bin/bash": b"bash",
    "usr/bin/perl": b"perl",
    "usr/share/doc/bash/copyright": b"text",
    "usr/lib/cni/bridge": b"bridge",
    "usr/lib/cni/vlan": b"vlan",
    "etc/machine-id": b"one and the same",
    "etc/systemd/system/timers.target.wants/apt-daily.timer": b"",
    "var/lib/dpkg/alternatives/iptables": b"auto",
    "dev/kmsg": b"",
}


@pytest.fixture
def root(tmp_path: Path) -> tarfile.TarFile:
    """The root folder made of a small Debian and a small kind."""
    with tarfile.open(tmp_path / "debian.tar", "w") as tar:
        for name, content in DEBIAN.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    kind = tmp_path / "kind"
    for name in ("usr/local/bin/entrypoint", "kind/bin/hook.sh", "etc/systemd/system/kubelet.service"):
        (kind / name).parent.mkdir(parents=True)
        (kind / name).write_text(name)
    node.write(tmp_path / "root.tar", tmp_path / "debian.tar", node.kind_files(kind))
    return tarfile.open(tmp_path / "root.tar")


def test_what_a_node_needs_stays_and_ballast_goes(root: tarfile.TarFile) -> None:
    names = root.getnames()

    assert {"usr/bin/bash", "var/lib/dpkg/alternatives/iptables"} <= set(names)
    gone = ("usr/bin/perl", "usr/share/doc/bash/copyright", "dev/kmsg", "etc/machine-id", "usr/lib/cni/vlan")
    assert not set(gone) & set(names)
    assert len(names) == len(set(names))


def test_cni_plugins_are_where_containerd_looks(root: tarfile.TarFile) -> None:
    stream = root.extractfile("opt/cni/bin/bridge")
    assert stream is not None
    assert stream.read() == b"bridge"


def test_only_the_units_of_a_node_start(root: tarfile.TarFile) -> None:
    wanted = [name for name in root.getnames() if ".wants/" in name]

    assert sorted(Path(name).name for name in wanted) == [
        "containerd.service",
        "kubelet.service",
        "undo-mount-hacks.service",
    ]


def test_kinds_programs_are_executable_and_its_files_are_not(root: tarfile.TarFile) -> None:
    assert root.getmember("usr/local/bin/entrypoint").mode == 0o755
    assert root.getmember("kind/bin/hook.sh").mode == 0o755
    assert root.getmember("etc/systemd/system/kubelet.service").mode == 0o644


def test_every_file_has_its_folder_before_it(root: tarfile.TarFile) -> None:
    seen = {"."}
    for member in root:
        if member.name in DEBIAN:
            continue  # the small Debian above has none; the real one does
        assert str(Path(member.name).parent) in seen, member.name
        seen.add(member.name)


def test_each_component_is_the_one_binary_by_another_name(root: tarfile.TarFile) -> None:
    for name in ("kubeadm", "kubectl", "kubelet"):
        assert root.getmember(f"usr/bin/{name}").linkname == "kubernetes"
