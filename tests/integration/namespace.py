"""Everything a namespace holds, of every kind the cluster knows."""

from collections.abc import Callable

from ci.base.wait import NotYet, until
from ci.cluster.kubectl import Kubectl

PASSING = {"events", "events.events.k8s.io", "pods.metrics.k8s.io"}
"""Kinds that only tell of others, and go by themselves."""

GONE_SECONDS = 90
"""A model's pods get half a minute to finish their requests, and KServe's objects go when their owner is gone."""


async def objects(kubectl: Kubectl, namespace: str) -> set[str]:
    """Return kind/name of each object."""
    listed = await kubectl.run("api-resources", "--namespaced", "--verbs=list", "--output=name")
    kinds = ",".join(sorted(set(listed.stdout.split()) - PASSING))
    output = "custom-columns=KIND:.kind,NAME:.metadata.name"
    found = await kubectl.run(
        "get", kinds, f"--namespace={namespace}", "--no-headers", "--ignore-not-found", f"--output={output}"
    )
    return {"/".join(line.split()) for line in found.stdout.splitlines()}


async def gone(kubectl: Kubectl, namespace: str, stays: Callable[[str], bool]) -> None:
    """Wait until a namespace holds nothing but what stays."""

    async def probe() -> None:
        left = sorted(item for item in await objects(kubectl, namespace) if not stays(item))
        if left:
            raise NotYet(", ".join(left))

    await until(f"nothing else left in namespace {namespace}", probe, timeout=GONE_SECONDS, interval=1)
