"""The closed loop: a Rollout that is aborted goes back in git, too, with what was measured."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ci.base import tasks
from ci.base.errors import CIError
from ci.base.progress import note
from ci.cluster.kubectl import Kubectl
from ci.release import aborted
from ci.release.rollback import Rollback
from ci.tree import quarantine, tree
from ci.tree.git import Snapshot
from ci.tree.tree import Application
from ci.tree.writeback import Change

Tip = Callable[[], Awaitable[Snapshot]]
Write = Callable[[Change, str], Awaitable[None]]
"""Carries a change out; the second argument is the application's name."""


async def follow(kubectl: Kubectl, environment: str, name: str | None, tip: Tip, write: Write) -> None:
    """Watch an environment's Rollouts until cancelled; each abort of what the tree wants becomes a rollback.

    What the watch tells is only that it is time to look: every decision is made from the tree's tip and the cluster as
    they are then, so an event that comes twice, or late, or was missed while nobody watched, changes nothing.

    Args:
        kubectl: On the environment's cluster.
        environment: Which.
        name: One application; all of them by default.
        tip: Returns the tree as it is now.
        write: Carries the rollback out.
    """
    from kubernetes.aio import client, config, watch  # takes seconds to load, and raises where there is no home folder

    snapshot = await tip()
    names = [name] if name else await tree.names(snapshot, environment)
    applications = [await tree.load(snapshot, environment, each) for each in names]
    cluster = kubectl.cluster
    api = await config.new_client_from_config(str(cluster.kubeconfig), context=cluster.context, persist_config=False)
    async with api, tasks.group() as group:
        list_objects = client.CustomObjectsApi(api).list_namespaced_custom_object

        async def one(application: Application) -> None:
            rollouts = ("argoproj.io", "v1alpha1", application.namespace, "rollouts")
            this = {"field_selector": f"metadata.name={application.name}-predictor"}
            note(f"watching Rollout {application.namespace}/{application.name}-predictor")
            async with watch.Watch(return_type="object").stream(list_objects, *rollouts, **this) as events:
                async for event in events:
                    if is_aborted(event["raw_object"]):
                        try:
                            await go_back(kubectl, application, tip, write)
                        except CIError as error:  # the others are watched on, and this one's next event is another try
                            note(f"{application.argo_name}: {error.message}")

        for application in applications:
            group.start_soon(one, application)


def is_aborted(rollout: Mapping[str, Any]) -> bool:
    """Tell whether a Rollout was aborted and has come to rest."""
    status = rollout.get("status", {})
    return bool(status.get("abort")) and status.get("phase") == "Degraded"


async def go_back(kubectl: Kubectl, application: Application, tip: Tip, write: Write) -> None:
    """Roll an application back where its abort asks for it: the tree wants what was aborted, and nobody has yet.

    Args:
        kubectl: On the application's cluster.
        application: Which.
        tip: Returns the tree as it is now.
        write: Carries the rollback out.
    """
    snapshot = await tip()
    current = await tree.load(snapshot, application.environment, application.name)
    abort = await aborted.look(kubectl, current)
    if abort is None or await quarantine.answered(snapshot, current, abort.revision):
        return
    change = Rollback(
        application.environment,
        application.name,
        f"Rollout {abort.rollout} was aborted at revision {abort.revision}: {abort.reason}",
        "",
        abort.measurements,
        abort.revision,
        only=current.release,
    )
    await write(change.edit, application.name)
