"""Image layers: tar files with nothing in them that changes from one build to the next."""

import contextlib
import gzip
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Literal, cast

import zstandard

Compression = Literal["zstd", "gzip"]


def from_files(
    files: Mapping[str, Path],
    links: Mapping[str, str],
    folders: Sequence[str],
    out: Path,
    compression: Compression | None,
) -> None:
    """Write a layer of single files.

    Args:
        files: Path in the image to the file or folder on this machine; a file of its own goes before one in a folder.
        links: Path in the image to the target of its symbolic link.
        folders: Empty folders, world-writable where they are called tmp.
        out: The layer.
        compression: zstd unpacks several times faster; Docker 20.10 knows only gzip; None leaves a plain tar.
    """
    with _compressed(out, compression) as sink, tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        made: set[str] = set()
        for path, source in sorted(files.items()):
            _parents(tar, path, made)
            if source.is_dir():
                for inner in sorted(source.rglob("*")):
                    name = f"{path.rstrip('/')}/{inner.relative_to(source)}"
                    if inner.is_file() and name not in files:
                        _parents(tar, name, made)
                        _file(tar, name, inner)
            else:
                _file(tar, path, source)
        for path, target in sorted(links.items()):
            _parents(tar, path, made)
            info = tarfile.TarInfo(path.lstrip("/"))
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(info)
        for path in folders:
            _parents(tar, f"{path}/", made)


def compress(tar: Path, out: Path, compression: Compression) -> None:
    """Write a finished tar as a compressed layer."""
    with tar.open("rb") as source, _compressed(out, compression) as sink:
        shutil.copyfileobj(source, sink, 1 << 20)


@contextlib.contextmanager
def _compressed(out: Path, compression: Compression | None) -> Iterator[IO[bytes]]:
    with out.open("wb") as plain:
        if compression is None:
            yield plain
        elif compression == "gzip":
            with gzip.GzipFile("", "wb", compresslevel=1, fileobj=plain, mtime=0) as packed:
                yield cast(IO[bytes], packed)
        else:
            with zstandard.open(plain, "wb", cctx=zstandard.ZstdCompressor(level=3, threads=-1)) as packed:
                yield cast(IO[bytes], packed)


def _parents(tar: tarfile.TarFile, path: str, made: set[str]) -> None:
    parts = path.lstrip("/").split("/")[:-1]
    for count in range(1, len(parts) + 1):
        folder = "/".join(parts[:count])
        if folder not in made:
            made.add(folder)
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if parts[count - 1] == "tmp" else 0o755
            tar.addfile(info)


def _file(tar: tarfile.TarFile, path: str, source: Path) -> None:
    info = tarfile.TarInfo(path.lstrip("/"))
    info.size = source.stat().st_size
    # a published Go module keeps no modes, and what lies in a folder of programs is one
    program = Path(path).parent.name in ("bin", "sbin") or os.access(source, os.X_OK)
    info.mode = 0o755 if program else 0o644
    with source.open("rb") as stream:
        tar.addfile(info, stream)
