"""A small internet: real servers under the real names in a network namespace, and the tool's own command in it.

It needs root and namespaces, which the workflows' machines and .ci/run's have.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass

import anyio
import pytest
import trustme
from rich.text import Text

from ci.base.paths import ROOT
from ci.base.wait import NotYet, until
from ci.supply.pins import architecture
from ci.supply.registry import CONFIG
from ci.supply.supply import Supply
from tests.internet import servers

OTHER = {"amd64": "arm64", "arm64": "amd64"}[architecture()]
UNAME = {"amd64": "x86_64", "arm64": "arm64"}[architecture()]
LOCAL = "127.0.0.1:5001"
SECONDS = 120
PINS = """\
[go]
minimum = "1.27.0"
requirements = ""

[tools.crane]
version = "v0.22.1"
source = "crane/crane"
upstream = {{ url = "https://github.com/google/go-containerregistry/releases/download/v{{version}}/\
go-containerregistry_Linux_{{uname}}.tar.gz", sums = "https://github.com/google/go-containerregistry/releases/\
download/v{{version}}/checksums.txt", member = "crane" }}

[tools.kubectl]
version = "v1.37.0"
source = "kubernetes/kubernetes"
upstream = {{ url = "https://dl.k8s.io/release/v{{version}}/bin/linux/{{arch}}/kubectl", sums = "https://dl.k8s.io/\
release/v{{version}}/bin/linux/{{arch}}/kubectl.sha256" }}

[images."docker.io/library/python"]
tag = "3.13-slim" # the one that works
digest = "{python}"
source = {{}}
differs = [{{ what = "all", why = "a test" }}]

[images."docker.io/kserve/sklearnserver"]
tag = "v0.20.0"
source = {{}}
differs = [{{ what = "all", why = "a test" }}]

[images."registry.k8s.io/pause"]
tag = "3.10"
source = {{}}
differs = [{{ what = "all", why = "a test" }}]
"""
PYTHON, SKLEARN, PAUSE = "docker.io/library/python", "docker.io/kserve/sklearnserver", "registry.k8s.io/pause"
KUBECTL = f"release/v1.37.0/bin/linux/{architecture()}/kubectl"
PROGRAM = b"#!/bin/sh\necho it runs\n" + random.Random(0).randbytes(3 << 20)
CRANE = "google/go-containerregistry/releases/download/v0.22.1"


@dataclass(frozen=True)
class Ended:
    """A command that ended.

    Attributes:
        code: Its exit code.
        stdout: What it printed.
        said: What it said beside that.
        seconds: How long it took.
    """

    code: int
    stdout: str
    said: str
    seconds: float

    @property
    def error(self):
        """What it said of the error, and of the way out."""
        assert "error: " in self.said, self.said
        return self.said[self.said.index("error: ") :]


@dataclass(frozen=True)
class Asked:
    """A request that a server answered."""

    host: str
    method: str
    path: str
    status: int
    bytes: int
    range: str


class Registry:
    """A registry's own program in the namespace.

    Attributes:
        running: Gets its process, for whoever ends all.
    """

    def __init__(self, enter, program, folder, host, running):
        folder.mkdir(exist_ok=True)
        self.running = running
        self.host, self.held = host, folder / "held"
        config = folder / "config.yml"
        config.write_text(CONFIG.replace("/var/lib/registry", str(self.held)).replace("':5000'", f"'{host}'"))
        self.argv = [*enter, program, "serve", config]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.argv, stderr=subprocess.DEVNULL)
        self.running.append(self.process)

    def stop(self):
        self.process.kill()
        self.process.wait()

    def file(self, digest):
        """The file of a blob, or of a manifest."""
        value = digest.removeprefix("sha256:")
        return self.held / "docker" / "registry" / "v2" / "blobs" / "sha256" / value[:2] / value / "data"


class Internet:
    """Everybody else, and this machine among them.

    Attributes:
        cache: The tool's.
        variables: The environment of commands, beside what they need to run at all.
        digests: Of the images that are published, by name: the whole, and each platform's.
    """

    def __init__(self, folder, crane, program):
        self.folder, self.crane, self.program = folder, crane, program
        self.pins = folder / "pins.toml"
        self.digests = {}
        self.running = []

    def start(self):
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.folder / "ca.pem")
        authority.issue_cert(*servers.NAMES).private_key_and_cert_chain_pem.write_to_path(self.folder / "server.pem")
        argv = ["unshare", "--net", "--mount", sys.executable, "-m", "tests.internet.servers", self.folder]
        self.servers = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.running.append(self.servers)
        assert self.servers.stdout.readline() == "ready\n"
        self.enter = ["nsenter", f"--target={self.servers.pid}", "--net", "--mount", f"--wd={ROOT}", "--"]
        self.publishers = Registry(self.enter, self.program, self.folder / "publishers", servers.REGISTRY, self.running)
        self._until_it_answers(self.publishers)
        self.publish(PYTHON, "3.13-slim", "base", "python")
        self.publish(SKLEARN, "v0.20.0", "base", "sklearn")
        self.publish(PAUSE, "3.10", "pause")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
            tar.add(self.crane, "crane")
        self.publish_file(f"{CRANE}/go-containerregistry_Linux_{UNAME}.tar.gz", packed.getvalue(), "checksums.txt")
        self.publish_file(KUBECTL, PROGRAM, "kubectl.sha256")

    def stop(self):
        for process in reversed(self.running):
            process.kill()
            process.wait()

    def fresh(self, cache):
        """Begin a test: all is well, nobody was asked for anything, and this machine has crane and nothing else."""
        self.cache, self.variables = cache, {"SSL_CERT_FILE": str(self.folder / "ca.pem")}
        if (first := self.folder / "first").exists():
            shutil.copytree(first, cache, symlinks=True)
        self.pins.write_text(PINS.format(python=""))
        self.has_a_bad_day()
        self.forget()
        if hasattr(self, "local"):
            self.local.stop()
        shutil.rmtree(self.folder / "local", ignore_errors=True)
        self.local = Registry(self.enter, self.program, self.folder / "local", LOCAL, self.running)
        self._until_it_answers(self.local)

    def has_a_bad_day(self, *faults):
        """Have servers behave otherwise from now on."""
        (self.folder / "faults.json").write_text(servers.written(*faults))

    def forgets(self):
        """Have the local registry start anew, with nothing in its memory."""
        self.local.stop()
        self.local.start()
        self._until_it_answers(self.local)

    @contextlib.contextmanager
    def away(self):
        """Have this machine off the network as long as the block runs; names are told all the same."""
        address = f"{servers.ADDRESS}/32"
        subprocess.run([*self.enter, "ip", "address", "delete", address, "dev", "lo"], check=True)
        try:
            yield
        finally:
            subprocess.run([*self.enter, "ip", "address", "add", address, "dev", "lo"], check=True)

    # --- what is published -----------------------------------------------------------------------------------------

    def publish_file(self, path, data, sums):
        file = self.folder / "files" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        file.with_name(sums).write_text(f"{hashlib.sha256(data).hexdigest()}  {file.name}\n")

    def publish(self, name, tag, *layers):
        """Publish an image as publishers do: an index of two platforms, with an attestation of each."""
        manifests, digests = [], {}
        for number, platform in enumerate((f"linux/{OTHER}", f"linux/{architecture()}", "unknown/unknown")):
            ref = f"{servers.REGISTRY}/{name}:{number}"
            files = [self._layer(f"{each}-{platform.replace('/', '-')}") for each in layers]
            self.run_crane("append", "--oci-empty-base", f"--new_tag={ref}", *(f"--new_layer={file}" for file in files))
            self.run_crane("mutate", f"--set-platform={platform}", f"--tag={ref}", ref)
            digests[platform] = self.run_crane("digest", ref)
            manifests.append(f"--manifest={ref}")
        self.run_crane("index", "append", f"--tag={servers.REGISTRY}/{name}:{tag}", *manifests)
        self.digests[name] = {"index": self.run_crane("digest", f"{servers.REGISTRY}/{name}:{tag}"), **digests}

    def _layer(self, name):
        file = self.folder / f"{name}.tar"
        if not file.exists():
            data = os.urandom(1 << 20)
            with tarfile.open(file, "w") as tar:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return file

    def manifest(self, host, name, digest=""):
        """A manifest that a registry has, parsed."""
        return json.loads(self.run_crane("manifest", f"{host}/{name}{digest}"))

    def blobs(self, name):
        """Of this machine's platform of an image: each blob's digest to its size."""
        here = self.digests[name][f"linux/{architecture()}"]
        manifest = self.manifest(servers.REGISTRY, name, f"@{here}")
        return {part["digest"]: part["size"] for part in (*manifest["layers"], manifest["config"])}

    def run_crane(self, *arguments):
        argv = [*self.enter, self.crane, *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=SECONDS).stdout.strip()

    def _until_it_answers(self, registry):
        async def answers():
            try:
                await anyio.run_process([*self.enter, self.crane, "catalog", registry.host], stderr=subprocess.PIPE)
            except subprocess.CalledProcessError as error:
                raise NotYet(error.stderr.decode()) from error

        anyio.run(lambda: until("a registry answers", answers, timeout=SECONDS, interval=0.05))

    # --- the tool --------------------------------------------------------------------------------------------------

    def begin(self, *arguments):
        """Begin one of the tool's own commands."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        given = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "ML_SERVING_CI_CACHE": str(self.cache),
            **self.variables,
        }
        argv = [*self.enter, sys.executable, "-m", "tests.internet.tool", self.pins, LOCAL, *arguments]
        return subprocess.Popen(
            argv, cwd=ROOT, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def end(self, process):
        """Wait for a command's end."""
        started = time.monotonic()
        try:
            stdout, said = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
        return Ended(process.returncode, stdout, Text.from_ansi(said).plain, time.monotonic() - started)

    def run(self, *arguments):
        """Run one of the tool's own commands."""
        return self.end(self.begin(*arguments))

    def fetch(self, *names):
        return self.run("supply", "fetch", "--supply", "upstream", *names)

    def fetched(self, *names):
        """Fetch, and see that it worked."""
        ended = self.fetch(*names)
        assert ended.code == 0, ended.said
        return ended

    # --- what they were asked for ----------------------------------------------------------------------------------

    def forget(self):
        for name in ("asked.jsonl", "names.txt"):
            os.truncate(self.folder / name, 0)

    def asked(self, text=""):
        """Every request that has a text in HOST/PATH."""
        lines = (self.folder / "asked.jsonl").read_text().splitlines()
        return [each for each in (Asked(**json.loads(line)) for line in lines) if text in f"{each.host}{each.path}"]

    def until_here(self, digests):
        """Wait until blobs are on this machine, on their way to the local registry."""
        folder = self.cache / "upstream" / "arriving" / "blobs" / "sha256"

        async def here():
            if gone := [each for each in digests if not (folder / each.removeprefix("sha256:")).exists()]:
                raise NotYet(f"{gone}")

        anyio.run(lambda: until("blobs are here", here, timeout=SECONDS, interval=0.02))

    def until_begun(self):
        """Wait until some of a file is on this machine."""

        async def begun():
            if not any(path.stat().st_size for path in (self.cache / "upstream" / "downloads").glob("*")):
                raise NotYet("nothing")

        anyio.run(lambda: until("some of a file is here", begun, timeout=SECONDS, interval=0.02))

    def until_asked(self, text):
        """Wait until a request with a text in HOST/PATH was answered."""

        async def seen():
            if not self.asked(text):
                raise NotYet(f"{self.asked()}")

        anyio.run(lambda: until(f"somebody asks for {text}", seen, timeout=SECONDS, interval=0.02))


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    machine = Supply("source")
    anyio.run(machine.fetch, ["crane"])
    program = anyio.run(machine._binary, "distribution/registry")
    made = Internet(tmp_path_factory.mktemp("internet"), machine.tool("crane").resolve(), program)
    try:
        made.start()
        made.fresh(made.folder / "first")
        made.fetched("crane")
        yield made
    finally:
        made.stop()


@pytest.fixture
def internet(world, tmp_path):
    world.fresh(tmp_path / "cache")
    return world
