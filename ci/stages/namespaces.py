"""Namespaces on a cluster that others use too: a run deletes what its label is on, and shares what runs have in common.

On a kind cluster of its own nothing need be deleted: that goes as a whole.
"""

import json
import time
from typing import Any

from ci.base.errors import CommandError, MachineError
from ci.base.progress import step
from ci.base.wait import NotYet, until
from ci.cluster.runs import RUN_LABEL
from ci.manifests.documents import MANAGED_BY, OWNER, is_owned
from ci.stages.run import Run

USERS = "ml-serving-ci.users"
"""On a shared namespace, a label a run: `ml-serving-ci.users/RUN`, since when in seconds, or that it was kept."""
KEPT = "kept"
USED_SECONDS = 24 * 3600
"""A run that was killed leaves its label; older ones count no more: no run takes an hour."""
DELETE_SECONDS = 180


async def make(run: Run, name: str, labels: dict[str, str]) -> bool:
    """Make a namespace of this run, which goes when the run ends.

    Args:
        run: This run.
        name: Its name.
        labels: Besides those that say whose it is.

    Returns:
        Whether it was made; False where there is one of that name.
    """
    document = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels | {MANAGED_BY: OWNER, RUN_LABEL: run.id}},
    }
    try:
        await run.kubectl.run("create", "--validate=false", "--filename=-", stdin=json.dumps(document))
    except CommandError as error:
        if "AlreadyExists" in error.stderr:
            return False
        raise
    return True


def delete_at_end(run: Run, name: str) -> None:
    """Have a namespace go with the run if the run made it."""

    async def at_end() -> None:
        with step(f"delete namespace {name}"):
            await delete(run, name)

    if run.options.kubeconfig is not None and not run.options.keep:
        run.cleanup.push_async_callback(at_end)


async def delete(run: Run, name: str, *, wait: bool = True) -> None:
    """Delete a namespace that this run made; one of another's stays.

    Args:
        run: This run.
        name: Its name.
        wait: Until it is gone.
    """
    own = (f"--selector={RUN_LABEL}={run.id}", f"--field-selector=metadata.name={name}")
    await run.kubectl.run("delete", "namespace", *own, f"--wait={str(wait).lower()}", timeout=DELETE_SECONDS)


async def share(run: Run, name: str) -> None:
    """Have a namespace that runs use side by side; it goes with the last of them, unless no run had made it.

    Raises:
        MachineError: Somebody else has a namespace of this name.
        WaitTimeoutError: The last run's is not gone in time.
    """
    mine = f"{USERS}/{run.id}"
    since = KEPT if run.options.keep else str(int(time.time()))

    async def joined() -> bool:
        found = await run.kubectl.get("namespace", name)
        if found is None:
            await make(run, name, {mine: since})
            raise NotYet("it was not there")
        if not is_owned(found):
            raise MachineError(
                f"the cluster has a namespace {name} of somebody else's", fix=f"kubectl get namespace {name} -o yaml"
            )
        if RUN_LABEL not in found["metadata"]["labels"]:
            return False
        label = ("label", "namespace", name, f"{mine}={since}", "--overwrite", "--output=json")
        labelled = await run.kubectl.run(*label, check=False)
        if labelled.returncode != 0 or json.loads(labelled.stdout)["metadata"].get("deletionTimestamp"):
            raise NotYet("the last run's is being deleted")
        return True

    async def leave() -> None:
        with step(f"leave namespace {name}"):
            await run.kubectl.run("label", "namespace", name, f"{mine}-", check=False)
            await until(f"the namespace {name} is left", lambda: _left(run, name), timeout=DELETE_SECONDS)

    shared = await until(f"the namespace {name} is there", joined, timeout=DELETE_SECONDS)
    if shared and not run.options.keep:
        run.cleanup.push_async_callback(leave)


async def _left(run: Run, name: str) -> None:
    """Hold once others use the namespace, or it is gone; delete it if nobody has come to use it since this look."""
    found = await run.kubectl.get("namespace", name)
    if found is None or any(_in_use(key, value) for key, value in found["metadata"]["labels"].items()):
        return
    if not found["metadata"].get("deletionTimestamp"):
        options: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"resourceVersion": found["metadata"]["resourceVersion"]},
        }
        path = f"--raw=/api/v1/namespaces/{name}"
        await run.kubectl.run("delete", path, "--filename=-", stdin=json.dumps(options), check=False)
    raise NotYet("it is being deleted")


def _in_use(label: str, value: str) -> bool:
    if not label.startswith(f"{USERS}/"):
        return False
    return value == KEPT or not value.isdigit() or time.time() - int(value) < USED_SECONDS
