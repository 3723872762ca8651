"""What the checks run with, and the containers they run in."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagger

PYTHON = "docker.io/library/python:3.13-slim"
INSTALL = [
    *("python", "-m", "pip", "install", "--no-index", "--find-links=/wheels", "--require-hashes"),
    *("--break-system-packages", "--requirement=/requirements.txt"),  # the container's own Python, whoever packed it
]

EACH = Path(__file__).parent / "each.py"
"""Runs many commands in one container, for starting a container takes longer than most of them."""


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
        crds: Folder of the Go module of each project whose CRDs the chart uses, by name.
    """

    helm: Path
    promtool: Path
    prometheus: Path
    kubectl_validate: Path
    actionlint: Path
    wheels: Path
    kubernetes: Path
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


def batch(client: dagger.Client, executable: Path, folder: Path) -> dagger.Container:
    """Return a container in which `execute_all` runs a static executable, with a folder of the host at `/src`.

    Args:
        client: The Dagger session.
        executable: The file on the host.
        folder: What the commands read.

    Returns:
        The container.
    """
    return (
        client.container()
        .from_(PYTHON)
        .with_file("/bin/program", client.host().file(str(executable.resolve())), permissions=0o755)
        .with_file("/bin/each.py", client.host().file(str(EACH)))
        .with_mounted_directory("/src", client.host().directory(str(folder)))
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


@dataclass(frozen=True)
class Command:
    """One of many commands.

    Attributes:
        folder: Where it runs, below the folder that `batch` was given.
        arguments: Behind the executable.
    """

    folder: str
    arguments: Sequence[str]


async def execute_all(container: dagger.Container, commands: Sequence[Command]) -> list[Output]:
    """Run commands side by side in one container, each to its end, whatever its exit code.

    Args:
        container: What `batch` returned.
        commands: What to run.

    Returns:
        What each left, in their order.
    """
    wanted = json.dumps([{"folder": f"/src/{each.folder}", "arguments": list(each.arguments)} for each in commands])
    ended = container.with_exec(["python", "/bin/each.py", "/bin/program"], stdin=wanted)
    return [Output(**each) for each in json.loads(await ended.stdout())]


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
