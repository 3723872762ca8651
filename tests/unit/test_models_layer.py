"""Layers of Python packages: what is left out of them, and that what they are made of is locked."""

import io
import re
import tarfile

import pytest
import zstandard

from ci.supply import pins
from ci.supply.source import python_images


def test_pruning_leaves_what_a_server_reads(tmp_path):
    kept = [
        "numpy/__init__.py",
        "numpy/testing/__init__.py",
        "numpy/core.cpython-313-x86_64-linux-gnu.so",
        "botocore/data/s3/2006-03-01/service-2.json.gz",
        "botocore/data/endpoints.json",
        "sklearn/datasets/data/iris.csv",
        "requests-2.33.1.dist-info/METADATA",
    ]
    dropped = [
        "numpy/tests/test_core.py",
        "numpy/core.pyi",
        "numpy/include/numpy/arrayobject.h",
        "scipy/linalg.pxd",
        "botocore/data/ec2/2016-11-15/service-2.json.gz",
        "bin/uvicorn",
    ]
    for name in kept + dropped:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)

    python_images._prune(tmp_path)

    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(kept)


def test_a_root_is_unpacked_without_its_devices(tmp_path):
    layer = tmp_path / "root.tar.zstd"
    with zstandard.open(layer, "wb") as sink, tarfile.open(fileobj=sink, mode="w|") as tar:
        file = tarfile.TarInfo("./usr/bin/python3.13")
        file.size, file.mode = 3, 0o755
        tar.addfile(file, io.BytesIO(b"elf"))
        link = tarfile.TarInfo("./lib64")
        link.type, link.linkname = tarfile.SYMTYPE, "usr/lib64"
        tar.addfile(link)
        device = tarfile.TarInfo("./dev/null")
        device.type = tarfile.CHRTYPE
        tar.addfile(device)

    python_images._unpack(layer, tmp_path / "root")

    assert (tmp_path / "root/usr/bin/python3.13").read_bytes() == b"elf"
    assert (tmp_path / "root/lib64").readlink().as_posix() == "usr/lib64"
    assert not (tmp_path / "root/dev/null").exists()


@pytest.mark.parametrize("name", ["python", "sklearnserver", "storage-initializer"])
def test_every_requirement_is_pinned_to_a_version_and_a_hash(name):
    text = pins.load().wheels[name].requirements_file.read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.match(r"[a-z0-9-]+==[\w.]+( ; platform_machine == \"\w+\")?( +--hash=sha256:[0-9a-f]{64})+$", line), (
            line
        )


def test_both_of_kserves_images_hold_the_kserve_that_the_cluster_runs():
    loaded = pins.load()
    version = loaded.modules["kserve"].version
    for image in ("sklearnserver", "storage-initializer"):
        assert loaded.images[f"docker.io/kserve/{image}"].tag == version
        assert f"kserve-storage=={version.removeprefix('v')}" in loaded.wheels[image].requirements_file.read_text()
