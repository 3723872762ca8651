"""A Dagger session with everything the pipeline's functions ask for, from the supply."""

import shlex
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dagger

from ci.errors import CheckFailedError
from ci.host import engine
from ci.pipeline import schema
from ci.pipeline.tools import PYTHON, Tools
from ci.supply import registry
from ci.supply.supply import Supply

ENGINE = "registry.dagger.io/engine"
EXECUTABLES = ("helm", "promtool", "prometheus", "kubectl-validate", "actionlint", "dagger")
WHEELS = "lint"
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
    await supply.fetch([*EXECUTABLES, ENGINE, PYTHON.partition(":")[0], "kubernetes", *schema.CRDS, WHEELS])
    if engine.given() is None:
        # with the network's name, for the engine's resolver forwards no name without a dot
        mirror = f"{registry.CONTAINER}.{registry.NETWORK}:{registry.PORT}"
        mirrors = {name: f"{mirror}/{name}" for name in MIRRORED}
        image = await supply.in_docker(ENGINE)
        await engine.ensure(image, registry.NETWORK, mirrors, supply.cache / "engine")
    if supply.way == "source":
        await engine.require_mirrors(supply.pins.ref(ENGINE))
    async with engine.session(supply.tool("dagger")) as client:
        try:
            yield client, tools(supply)
        except dagger.ExecError as error:
            raise CheckFailedError(
                f"a pipeline step broke: {shlex.join(error.command)}: exit code {error.exit_code}",
                detail=error.stdout + error.stderr,
            ) from error
        except dagger.DaggerError as error:
            raise CheckFailedError(f"a pipeline step broke: {str(error).splitlines()[0]}", detail=str(error)) from error


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
        kubernetes_version=supply.version("kubernetes"),
        crds={name: supply.module(name) for name in schema.CRDS},
    )
