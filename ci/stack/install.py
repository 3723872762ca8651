"""The stack: what it is made of, in which order, and how it comes onto a cluster."""

import json
from collections.abc import Sequence
from typing import Any, Literal

import anyio

from ci.base import progress, tasks
from ci.base.errors import CIError, MachineError
from ci.manifests.documents import is_owned
from ci.stack import argocd, istio, kserve, metrics_server, monitoring, prometheus_adapter, record, rollouts
from ci.stack.component import Component, StackContext

Outcome = Literal["installed", "found"]

STACK: list[Component] = [
    Component("istio", "networking.istio.io", (), istio.find, istio.install, istio.ready),
    Component("kserve", "serving.kserve.io", (), kserve.find, kserve.install, kserve.ready),
    Component("monitoring", "monitoring.coreos.com", (), monitoring.find, monitoring.install, monitoring.ready),
    Component(
        "metrics-server", "metrics.k8s.io", (), metrics_server.find, metrics_server.install, metrics_server.ready
    ),
    # Its controller looks for Istio's CRDs once, at its start, and again only ten minutes later.
    Component("argo-rollouts", "argoproj.io", ("istio",), rollouts.find, rollouts.install, rollouts.ready),
    Component(
        "prometheus-adapter",
        "custom.metrics.k8s.io",
        ("monitoring",),
        prometheus_adapter.find,
        prometheus_adapter.install,
        prometheus_adapter.ready,
    ),
]
"""What the chart needs."""

ARGOCD = Component("argocd", "argoproj.io", (), argocd.find, argocd.install, argocd.ready)
"""What GitOps needs besides."""


async def install(
    context: StackContext,
    components: Sequence[Component] | None = None,
    *,
    allowed: bool = True,
    lasting: bool = False,
) -> dict[str, Outcome]:
    """Bring components onto the cluster: each as soon as what it needs is there, all side by side.

    A component that somebody else installed is left as it is and only waited for; so is one of ours that is there from
    the same input.

    Args:
        context: The cluster and the supply.
        components: Which, with what they need; `STACK` if not said.
        allowed: Whether missing components may be installed.
        lasting: Whether the cluster is there for another run, which then finds on it what was applied.

    Returns:
        Name of each component to what was done about it.

    Raises:
        MachineError: Something is missing and may not be installed; nothing was touched.
        CIError: A component did not come up; the first failure, which stops the others.
    """
    components = STACK if components is None else components
    found = await _found(context, components)
    missing = [component.name for component in components if component.name not in found]
    if missing and not allowed:
        raise MachineError(
            f"not on this cluster: {', '.join(missing)}", fix="install them there, or allow it with --install-stack"
        )
    ours = {name: known_by for name, known_by in found.items() if is_owned(known_by)}
    key = record.key(context.supply.way, context.prometheus, context.argocd) if lasting or ours else ""
    same = {name: known_by for name, known_by in ours.items() if record.holds(known_by, key)}
    await record.remove(context, [known_by for name, known_by in ours.items() if name not in same])
    outcomes: dict[str, Outcome] = {
        name: "found" if name in same or (name in found and name not in ours) else "installed"
        for name in (component.name for component in components)
    }
    applied = {component.name: anyio.Event() for component in components}

    async def bring(component: Component) -> None:
        for need in component.needs:
            await applied[need].wait()
        install_it = outcomes[component.name] == "installed"
        with progress.step(f"{'install' if install_it else 'found'} {component.name}"):
            if install_it:
                await component.install(context)
            applied[component.name].set()
            await component.ready(context)

    try:
        async with tasks.group() as group:
            for component in components:
                group.start_soon(bring, component)
    except CIError:
        with tasks.clean_up("have what is there applied again by the next run"):
            await record.remove(context, same.values())
        raise
    if lasting and "installed" in outcomes.values():
        there = await _found(context, [each for each in components if outcomes[each.name] == "installed"])
        await record.write(context, there.values(), key)
    return outcomes


async def _found(context: StackContext, components: Sequence[Component]) -> dict[str, dict[str, Any]]:
    """Return those that are on the cluster already; an empty cluster costs one call."""
    groups = json.loads((await context.kubectl.run("get", "--raw=/apis")).stdout)["groups"]
    served = {group["name"] for group in groups}
    found: dict[str, dict[str, Any]] = {}

    async def look(component: Component) -> None:
        known_by = await component.find(context)
        if known_by is not None:
            found[component.name] = known_by

    async with tasks.group() as group:
        for component in components:
            if component.api in served:
                group.start_soon(look, component)
    return found
