"""What the checks run with, and the containers they run in."""

from dataclasses import dataclass
from pathlib import Path

import dagger

PYTHON = "docker.io/library/python:3.13-slim"
INSTALL = [
    *("python", "-m", "pip", "install", "--no-index", "--find-links=/wheels", "--require-hashes"),
    *("--break-system-packages", "--requirement=/requirements.txt"),  # the container's own Python, whoever packed it
]


@dataclass(frozen=True)
class Tools:
    """Files of the host that the checks need; all of them pinned by the supply.

    Attributes:
        helm: Static executable.
        promtool: Static executable.
        prometheus: Static executable.
        kubectl_validate: Static executable.
        actionlint: Static executable.
        wheels: Folder with the wheels of requirements-lint.txt.
        kubernetes: Folder of the Go module, for its OpenAPI.
        kubernetes_version: Its version ("v1.37.0").
        crds: Folder of the Go module of each project whose CRDs the chart uses, by name.
    """

    helm: Path
    promtool: Path
    prometheus: Path
    kubectl_validate: Path
    actionlint: Path
    wheels: Path
    kubernetes: Path
    kubernetes_version: str
    crds: dict[str, Path]


@dataclass(frozen=True)
class Output:
    """What a program in a container left.

    Attributes:
        code: Its exit code.
        stdout: What it printed.
        stderr: What it printed to standard error.
    """

    code: int
    stdout: str
    stderr: str


def static(client: dagger.Client, executable: Path) -> dagger.Container:
    """Return a container with nothing in it but one static executable, which is its entrypoint.

    Args:
        client: The Dagger session.
        executable: The file on the host.

    Returns:
        The container, its working folder `/src`.
    """
    path = f"/bin/{executable.name}"
    return (
        client.container()
        .with_rootfs(client.directory().with_new_directory("tmp", permissions=0o1777))
        .with_file(path, client.host().file(str(executable.resolve())), permissions=0o755)
        .with_entrypoint([path])
        .with_env_variable("HOME", "/tmp")  # noqa: S108 - the container's own
        .with_workdir("/src")
    )


def python(client: dagger.Client, wheels: Path, requirements: Path) -> dagger.Container:
    """Return a Python container with the linters that come as wheels.

    Args:
        client: The Dagger session.
        wheels: Folder with their wheels on the host.
        requirements: Their names, versions and hashes.

    Returns:
        The container, its working folder `/src`.
    """
    return (
        client.container()
        .from_(PYTHON)
        .with_mounted_directory("/wheels", client.host().directory(str(wheels.resolve()), include=["*.whl"]))
        .with_mounted_file("/requirements.txt", client.host().file(str(requirements)))
        .with_exec(INSTALL)
        .with_workdir("/src")
    )


async def execute(container: dagger.Container, arguments: list[str], *, entrypoint: bool = True) -> Output:
    """Run a program to its end, whatever its exit code; Dagger remembers the answer to the same question.

    Args:
        container: Where it runs.
        arguments: Its arguments, behind the container's entrypoint.
        entrypoint: Whether there is one.

    Returns:
        What it left.
    """
    ended = container.with_exec(arguments, use_entrypoint=entrypoint, expect=dagger.ReturnType.ANY)
    return Output(await ended.exit_code(), await ended.stdout(), await ended.stderr())
