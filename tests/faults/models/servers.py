"""Stores that are programs of the supply: versitygw, an S3 store, and distribution, a registry of images."""

import json
import os
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import anyio

from ci.base.wait import NotYet, until
from ci.supply.supply import Supply

KEYS = {"AWS_ACCESS_KEY_ID": "acme", "AWS_SECRET_ACCESS_KEY": "open-sesame/of+acme"}
LOGIN = "reader:open-sesame"
HTPASSWD = "reader:$2y$05$abcdefghijklmnopqrstuutXu9KzOt.1yBoZUeFWoT/914/JfszCO\n"
"""Of that login; the registry takes bcrypt alone."""


def program(name: str) -> Path:
    """Return "module/binary" of the supply, built."""
    return anyio.run(Supply("source")._binary, name)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


@contextmanager
def running(argv, env, port):
    """Run a server as long as the block does, which begins when it answers."""

    async def answers():
        try:
            await (await anyio.connect_tcp("127.0.0.1", port)).aclose()
        except OSError as error:
            raise NotYet(str(error)) from error

    with subprocess.Popen(argv, env={**os.environ, **env}, stderr=subprocess.DEVNULL) as process:
        try:
            anyio.run(lambda: until(f"{argv[0]} answers", answers, timeout=60, interval=0.1))
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


@contextmanager
def s3(gateway: Path, folder: Path):
    """Run an S3 store, whose buckets are folders."""
    buckets, attributes, port = folder / "buckets", folder / "attributes", free_port()
    for each in (buckets, attributes):
        each.mkdir(parents=True)
    env = {"ROOT_ACCESS_KEY": KEYS["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY": KEYS["AWS_SECRET_ACCESS_KEY"]}
    argv = [gateway, f"--port=127.0.0.1:{port}", "--quiet", "posix", f"--sidecar={attributes}", buckets]
    with running(argv, env, port) as address:
        yield f"http://{address}"


@contextmanager
def registry(distribution: Path, folder: Path):
    """Run a registry that wants a login."""
    folder.mkdir()
    logins, config, port = folder / "htpasswd", folder / "config.json", free_port()
    logins.write_text(HTPASSWD)
    facts = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "auth": {"htpasswd": {"realm": "acme", "path": str(logins)}},
    }
    config.write_text(json.dumps(facts))  # which is YAML as well
    with running([distribution, "serve", config], {}, port) as address:
        yield address
