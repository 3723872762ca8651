"""The node image: a Debian system with kind's own files and the Kubernetes and containerd built here.

The steps are those of images/base/Dockerfile and pkg/build/nodeimage in the kind module. What differs from
kindest/node: no image is preloaded (the control plane's come from the mirror when they are first needed), pods are
connected by a bridge instead of kindnet, and volumes are made by the controller manager's own provisioner.
"""

import io
import json
import re
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import anyio

from ci.base import command
from ci.supply.pins import Root
from ci.supply.source import roots

FILES = Path(__file__).parent / "files" / "node"
DEBIAN = Root(
    suite="bookworm",
    variant="essential",
    packages=(
        "ca-certificates",
        "conntrack",
        "containernetworking-plugins",
        "ethtool",
        "iproute2",
        "iptables",
        "jq",
        "kmod",
        "libseccomp2",
        "mount",
        "nftables",
        "pigz",
        "procps",
        "runc",
        "systemd",
    ),
)
CNI_PLUGINS = frozenset(f"usr/lib/cni/{name}" for name in ("bridge", "host-local", "loopback", "portmap", "ptp"))
UNWANTED = re.compile(
    r"""
    (dev|proc|sys|run|tmp|var/cache|var/log|boot|media|mnt|srv)/.+
    | (usr/)?lib/systemd/system/(multi-user|local-fs|basic)\.target\.wants/.+
    | (usr/)?lib/systemd/system/sysinit\.target\.wants/systemd-tmpfiles-setup\.service
    | (usr/)?lib/systemd/system/sockets\.target\.wants/.*(udev|initctl).*
    | etc/systemd/system/[^/]+\.wants/.+
    | etc/(machine-id|hostname|resolv\.conf)
    | usr/lib/cni/.+
    | usr/bin/perl.*
    | (usr/)?lib/udev/hwdb.+
    | usr/lib/[^/]+-linux-gnu/(gconv|perl|perl-base)/.+
    | usr/lib/[^/]+-linux-gnu/libperl.+
    | usr/share/(bash-completion|bug|doc|doc-base|info|lintian|locale|man|perl|perl5|zoneinfo|zsh)/.+
    | var/lib/dpkg/info/.+
    """,
    re.VERBOSE,
)
"""What a node does without: units that make no sense in a container, and ballast."""

UNITS = ("containerd", "kubelet", "undo-mount-hacks")
LINKS = {
    **{f"etc/systemd/system/multi-user.target.wants/{unit}.service": f"../{unit}.service" for unit in UNITS},
    "etc/systemd/system/systemd-binfmt.service": "/dev/null",  # binfmt_misc is the whole kernel's
    "usr/sbin/init": "/usr/lib/systemd/systemd",
    "usr/bin/kubeadm": "kubernetes",
    "usr/bin/kubectl": "kubernetes",
    "usr/bin/kubelet": "kubernetes",
}


async def root(origins: Mapping[str, Path], out_tar: Path, log: Path) -> None:
    """Write the node's root folder as a tar.

    Args:
        origins: Path in the image to the file on this machine; for "/", kind's folder of files.
        out_tar: The tar.
        log: Gets the output of the programs used.
    """
    with tempfile.TemporaryDirectory(dir=out_tar.parent) as work:
        debian = Path(work, "debian.tar")
        await roots.debian(DEBIAN, debian, log)
        contents = kind_files(origins["/"])
        contents |= {path.lstrip("/"): (file, 0o755) for path, file in origins.items() if path != "/"}
        contents["etc/containerd/cri-base.json"] = (await _container_spec(origins["/usr/local/bin/ctr"]), 0o644)
        contents["etc/systemd/journald.conf.d/kind.conf"] = (b"[Journal]\nReadKMsg=no\n", 0o644)
        contents["etc/cni/net.d/10-bridge.conflist"] = (FILES / "10-bridge.conflist", 0o644)
        kubeadm = Path(work, "kubeadm")
        kubeadm.symlink_to(origins["/usr/bin/kubernetes"])
        version = (await command.run([kubeadm, "version", "--output=short"], timeout=60)).stdout
        contents["kind/version"] = (version.encode(), 0o644)
        for name in ("default-cni.yaml", "default-storage.yaml"):
            contents[f"kind/manifests/{name}"] = (FILES / name, 0o644)
        await anyio.to_thread.run_sync(write, out_tar, debian, contents)


def kind_files(folder: Path) -> dict[str, tuple[bytes | Path, int]]:
    """Return kind's own files by their path in the image, with modes as its Dockerfile sets them."""
    programs = ("usr/local/bin/", "kind/bin/")
    found = {str(file.relative_to(folder)): file for file in sorted(folder.rglob("*")) if file.is_file()}
    return {path: (file, 0o755 if path.startswith(programs) else 0o644) for path, file in found.items()}


async def _container_spec(ctr: Path) -> bytes:
    """Return the specification every container starts from: containerd's own, with kind's hook and no limits."""
    spec = json.loads((await command.run([ctr, "oci", "spec"], timeout=60)).stdout)
    # the hook hides the host's product id, so that nodes on one host differ
    hooks = spec.setdefault("hooks", {}).setdefault("createContainer", [])
    hooks.append({"path": "/kind/bin/mount-product-files.sh"})
    spec["process"].pop("rlimits", None)
    return json.dumps(spec, indent=2, sort_keys=True).encode()


def write(out: Path, debian: Path, contents: dict[str, tuple[bytes | Path, int]]) -> None:
    """Write the root folder's tar: what a node needs of Debian, then the contents, then the links.

    Args:
        out: The tar.
        debian: Tar of the Debian system.
        contents: Path in the image to content and mode.
    """
    with tarfile.open(debian) as source, tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as target:
        folders = {"."}
        for member in source:
            path = member.name = member.name.removeprefix("./")
            if member.islnk():
                member.linkname = member.linkname.removeprefix("./")
            if path in CNI_PLUGINS:
                member.name = f"opt/cni/bin/{Path(path).name}"
                _make_parents(target, member.name, folders)
            elif UNWANTED.fullmatch(path) or path in contents or path in LINKS:
                continue
            elif member.isdir():
                folders.add(path)
            target.addfile(member, source.extractfile(member) if member.isreg() else None)
        _make_parents(target, "etc/kubernetes/manifests/", folders)
        for path, (content, mode) in sorted(contents.items()):
            _make_parents(target, path, folders)
            info = tarfile.TarInfo(path)
            info.mode = mode
            with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
                info.size = len(content) if isinstance(content, bytes) else content.stat().st_size
                target.addfile(info, stream)
        for path, link in sorted(LINKS.items()):
            _make_parents(target, path, folders)
            info = tarfile.TarInfo(path)
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, link, 0o777
            target.addfile(info)


def _make_parents(target: tarfile.TarFile, path: str, folders: set[str]) -> None:
    for parent in reversed(Path(path if not path.endswith("/") else f"{path}_").parents):
        if str(parent) not in folders:
            folders.add(str(parent))
            info = tarfile.TarInfo(str(parent))
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            target.addfile(info)
