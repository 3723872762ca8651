"""The container of the control plane: its programs, and etcd with what is installed, beside Python and nothing else.

Programs come out of the images that clusters get, so they are those of either way of the supply; and it runs wherever
the Dagger engine does.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagger

from ci.base import paths
from ci.base.errors import CheckFailedError
from ci.checks import tools
from ci.checks.control_plane import certificate, installed
from ci.checks.control_plane.inside import answers, apply, processes
from ci.manifests.documents import Document
from ci.stack import istio, rollouts
from ci.supply.supply import Supply

PROGRAMS = {
    "etcd": ("registry.k8s.io/etcd", "/usr/local/bin/etcd"),
    "kube-apiserver": ("registry.k8s.io/kube-apiserver", "/usr/local/bin/kube-apiserver"),
    "kube-controller-manager": ("registry.k8s.io/kube-controller-manager", "/usr/local/bin/kube-controller-manager"),
    "kserve-controller": ("docker.io/kserve/kserve-controller", "/manager"),
    "rollouts-controller": (rollouts.IMAGE, "/bin/rollouts-controller"),
    "prometheus-operator": ("quay.io/prometheus-operator/prometheus-operator", "/bin/operator"),
    "pilot-discovery": (istio.PILOT, "/usr/local/bin/pilot-discovery"),
}
"""Image of each program, and where it is in it."""
INSIDE = "ci/checks/control_plane/inside"
PACKAGES = [f"{folder}/__init__.py" for folder in ("ci", "ci/checks", "ci/checks/control_plane", INSIDE)]
INSTALLING = [*PACKAGES, *(f"{INSIDE}/{name}.py" for name in ("api", "install", "processes"))]
"""What the data of etcd is made by: a change of the rest leaves it as it is."""
CODE = "/code"
BROKEN = "run it again; --no-control-plane leaves it out, and evidence with it"
STACK, APPLICATIONS = "/stack.json", "/applications.json"
"""What is installed, and what is applied."""


@dataclass(frozen=True)
class Plane:
    """What the control plane is made of.

    Attributes:
        images: Reference of the image of each program.
        documents: What is installed.
        with_cni: What of it is otherwise where Istio has its CNI plugin.
    """

    images: Mapping[str, str]
    documents: Sequence[Document]
    with_cni: Sequence[Document]


async def plane(supply: Supply) -> Plane:
    """Return what it is made of, once all of that is here.

    Args:
        supply: Has the modules already; images are fetched.

    Raises:
        MachineError: Something of it cannot be had here.
    """
    await supply.fetch(dict.fromkeys(image for image, _ in PROGRAMS.values()))
    images = {name: supply.image(image) for name, (image, _) in PROGRAMS.items()}
    return Plane(images, await installed.objects(supply), await installed.with_cni(supply))


def ready(client: dagger.Client, plane: Plane, folder: Path) -> dagger.Container:
    """Return the container in which the stack is installed.

    Args:
        client: The Dagger session.
        plane: What it is made of.
        folder: One of the host that is made for it.
    """
    container = client.container().from_(tools.PYTHON).with_env_variable("PYTHONPATH", CODE)
    for name, (_, path) in PROGRAMS.items():
        program = client.container().from_(plane.images[name]).file(path)
        container = container.with_file(f"/usr/local/bin/{name}", program, permissions=0o755)
    folder.mkdir(parents=True)
    pair = certificate.fixed()
    for file, content in (
        (processes.CERTIFICATE, pair.certificate),
        (processes.KEY, pair.key),
        (processes.ACCOUNTS_KEY, pair.accounts_key),
    ):
        (folder / file.name).write_bytes(content)
        container = container.with_file(str(file), client.host().file(str(folder / file.name)), permissions=0o600)
    return _run(client, container, "install", STACK, plane.documents, folder, INSTALLING)


def answering(
    client: dagger.Client, container: dagger.Container, programs: Sequence[Path], samples: str, folder: Path
) -> dagger.Container:
    """Return a container in which analyses are answered as well.

    Args:
        client: The Dagger session.
        container: What `ready` returned.
        programs: Static executables: Prometheus, and promtool, which makes its data.
        samples: What Prometheus has, as OpenMetrics.
        folder: One of the host to write to.
    """
    for each in programs:
        file = client.host().file(str(each.resolve()))
        container = container.with_file(f"/usr/local/bin/{each.name}", file, permissions=0o755)
    written = folder / answers.SAMPLES.name
    written.write_text(samples)
    return container.with_mounted_file(str(answers.SAMPLES), client.host().file(str(written)))


async def told(
    client: dagger.Client, container: dagger.Container, given: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """Return what is wrong with applications and what came of their canaries, as `inside.apply` tells it.

    Args:
        client: The Dagger session.
        container: What `ready` returned, or `answering`.
        given: What `inside.apply` reads.
        folder: One of the host to write to, where nothing else is applied from.

    Raises:
        CheckFailedError: The control plane did not come up, or not to an end.
    """
    return await _decided(client, container, "apply", given, folder)


async def change(
    client: dagger.Client, container: dagger.Container, given: Mapping[str, Any], folder: Path
) -> dict[str, list[dict[str, Any]]]:
    """Return what becomes of applications by a change, as `inside.change` tells it; as for `told`."""
    return await _decided(client, container, "change", given, folder)


async def _decided(
    client: dagger.Client, container: dagger.Container, what: str, given: Mapping[str, Any], folder: Path
) -> dict[str, list[dict[str, Any]]]:
    """Return what a module of `inside` tells; asked once more where nobody came to a decision."""
    found = await _told(client, container, what, given, folder)
    undecided = any(each["reason"] == apply.UNDECIDED for each in found["complaints"])
    if undecided or any(each["wrong"] and each["wrong"]["late"] for each in found.get("courses", ())):
        # Dagger keeps the answer, which time alone may change
        again = container.with_env_variable("ASKED", secrets.token_hex())
        found = await _told(client, again, what, given, folder)
    return found


async def _told(
    client: dagger.Client, container: dagger.Container, what: str, given: Mapping[str, Any], folder: Path
) -> dict[str, list[dict[str, Any]]]:
    ended = _run(client, container, what, APPLICATIONS, given, folder, [*PACKAGES, f"{INSIDE}/*.py"])
    try:
        found: dict[str, list[dict[str, Any]]] = json.loads(await ended.stdout())
    except dagger.ExecError as error:
        last = error.stderr.strip().rpartition("\n")[2]
        raise CheckFailedError(f"lint's control plane: {last}", fix=BROKEN, detail=error.stderr) from error
    return found


def _run(
    client: dagger.Client,
    container: dagger.Container,
    what: str,
    file: str,
    content: object,
    folder: Path,
    code: Sequence[str],
) -> dagger.Container:
    """Run a module of `inside` on a file."""
    given = folder / file.removeprefix("/")
    given.write_text(json.dumps(content))
    return (
        container.with_mounted_directory(CODE, client.host().directory(str(paths.ROOT), include=list(code)))
        .with_mounted_file(file, client.host().file(str(given)))
        .with_exec(["python", "-m", f"ci.checks.control_plane.inside.{what}", file])
    )
