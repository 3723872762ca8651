"""A Dagger session with everything the pipeline's functions ask for, from the supply."""

import shlex
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import dagger

from ci.base import programs, settings, tasks
from ci.base.errors import CheckFailedError, MachineError
from ci.checks import schema
from ci.checks.tools import PYTHON, Tools
from ci.host import dagger_session, engine
from ci.supply import registry
from ci.supply.supply import Supply

ENGINE = "registry.dagger.io/engine"
EXECUTABLES = ("helm", "promtool", "prometheus", "kubectl-validate", "actionlint", "dagger")
WHEELS = "lint"
COMMAND = "_EXPERIMENTAL_DAGGER_CLI_BIN"
CLOSE_SECONDS = 30.0
MIRRORED = ("docker.io", "ghcr.io", "quay.io", "registry.k8s.io")


@asynccontextmanager
async def opened(supply: Supply) -> AsyncIterator[tuple[dagger.Client, Tools]]:
    """Get what the pipeline needs, have the engine running, and open a session on it.

    Args:
        supply: Where tools and images come from.

    Yields:
        The client and the tools.

    Raises:
        MachineError: Something of it cannot be had here.
        CheckFailedError: A step broke in a way that is no finding.
    """
    given = await dagger_session.version()
    await supply.fetch([*EXECUTABLES, ENGINE, PYTHON.partition(":")[0], "kubernetes", *schema.CRDS, WHEELS])
    if engine.given() is None:
        # with the network's name, for the engine's resolver forwards no name without a dot
        mirror = f"{registry.CONTAINER}.{registry.NETWORK}:{registry.PORT}"
        mirrors = {name: f"{mirror}/{name}" for name in MIRRORED}
        image = await supply.in_docker(ENGINE)
        await engine.ensure(image, registry.NETWORK, mirrors, supply.state / "engine")
    if supply.way == "source":
        pinned = supply.pins.ref(ENGINE)
        image = f"{ENGINE}:{given}" if given else pinned
        await engine.require_mirrors(image, pinned=image == pinned)
    async with _connected(supply.tool("dagger")) as client:
        try:
            yield client, tools(supply)
        except dagger.ExecError as error:
            raise CheckFailedError(
                f"a pipeline step broke: {shlex.join(error.command)}: exit code {error.exit_code}",
                detail=error.stdout + error.stderr,
            ) from error
        except dagger.DaggerError as error:
            raise CheckFailedError(f"a pipeline step broke: {str(error).splitlines()[0]}", detail=str(error)) from error


@asynccontextmanager
async def _connected(dagger_cli: Path) -> AsyncIterator[dagger.Client]:
    """Open a Dagger session: the one that this was started in where there is one, else one of our own.

    Args:
        dagger_cli: The `dagger` command that opens it.

    Yields:
        The client.

    Raises:
        MachineError: No session can be had.
    """
    # a file, which the command writes to itself: of a pipe the SDK may not have read its last words yet
    with tempfile.TemporaryFile("w+", errors="replace") as shown:
        connection = dagger.Connection(dagger.Config(log_output=shown))
        try:
            if settings.variable(dagger_session.PORT):
                client = await connection.__aenter__()
            else:
                await engine.require_reachable()
                # the SDK takes the command from nowhere else, and gives it the environment of this process
                with programs.lent("dagger", {COMMAND: settings.variable(COMMAND) or str(dagger_cli)}):
                    client = await connection.__aenter__()
        except (dagger.ProvisionError, dagger.ClientConnectionError) as error:
            chosen = settings.variable(COMMAND)
            shown.seek(0)
            raise MachineError(
                f"no session on the Dagger engine{f' by {COMMAND}={chosen}' if chosen else ''}",
                fix=f"unset {COMMAND}" if chosen else "python ci/main.py doctor",
                detail=f"{error}\n{shown.read()}",
            ) from error
        try:
            yield client
        finally:
            # or a cancelled run leaves the session's process
            with tasks.clean_up("close the session"), anyio.move_on_after(CLOSE_SECONDS, shield=True):
                await connection.__aexit__(None, None, None)


def tools(supply: Supply) -> Tools:
    """Return what the pipeline runs with.

    Args:
        supply: Has all of it.
    """
    return Tools(
        helm=supply.tool("helm"),
        promtool=supply.tool("promtool"),
        prometheus=supply.tool("prometheus"),
        kubectl_validate=supply.tool("kubectl-validate"),
        actionlint=supply.tool("actionlint"),
        wheels=supply.wheels(WHEELS),
        kubernetes=supply.module("kubernetes"),
        crds={name: supply.module(name) for name in schema.CRDS},
    )
