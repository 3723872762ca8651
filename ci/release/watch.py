"""The closed loop: a canary that was found bad goes back in git, too, with what was measured."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ci.base.errors import CIError, UsageError
from ci.base.progress import note
from ci.cluster.kubectl import Kubectl
from ci.release import aborted
from ci.release.aborted import Stopped
from ci.release.rollback import Rollback
from ci.tree import quarantine, tree
from ci.tree.git import Snapshot
from ci.tree.tree import Application
from ci.tree.writeback import Change

Tip = Callable[[], Awaitable[Snapshot]]
Write = Callable[[Change, str], Awaitable[None]]
"""Carries a change out; the second argument is the application's name."""
RESYNC_SECONDS = 240
"""How long until each Rollout is looked at again: a look that failed is made up for, though nothing happens by then."""
PREDICTOR = "-predictor"
"""What a Rollout's name has more than its application's."""


@dataclass(frozen=True)
class Watch:
    """A watch of an environment's Rollouts.

    What an event tells is only that it is time to look: every decision is made from the tree's tip and the cluster as
    they are then, so an event that comes twice, or late, or was missed while nobody watched, changes nothing, and an
    application is watched for as long as the tree has it.

    Attributes:
        kubectl: On the environment's cluster.
        environment: Which.
        only: One application; all of them where this is None.
        tip: Returns the tree as it is now.
        write: Carries a rollback out.
        told: Per application, the canary without a verdict that was told of, and whether it was aborted by then.
    """

    kubectl: Kubectl
    environment: str
    only: str | None
    tip: Tip
    write: Write
    told: dict[str, tuple[str, bool]] = field(default_factory=dict)

    async def begin(self) -> str:
        """Say what is watched, and what of it cannot be; return its namespace.

        Raises:
            UsageError: There is no such environment, or not the one application that is asked for.
        """
        snapshot = await self.tip()
        if self.only is not None:
            await tree.load(snapshot, self.environment, self.only)
        project = await tree.project(snapshot)
        namespace = project.environment(self.environment).namespace
        names = [self.only] if self.only is not None else await tree.names(snapshot, self.environment)
        for name in names:
            try:
                (await tree.load(snapshot, self.environment, name)).checked()
            except UsageError as error:  # the others are watched all the same, and this one as soon as it can be read
                file = f"{project.paths.tree}/{self.environment}/{name}.yaml"
                note(f"{file} is not watched until it is corrected: {error.message}")
            else:
                note(f"watching Rollout {namespace}/{name}{PREDICTOR}")
        return namespace

    async def saw(self, kind: str, rollout: Mapping[str, Any]) -> None:
        """Take in an event of a Rollout of the environment's namespace.

        Args:
            kind: Of the event, as Kubernetes calls it.
            rollout: The Rollout as it is now, or was last.
        """
        predictor: str = rollout["metadata"]["name"]
        name = predictor.removesuffix(PREDICTOR)
        if name == predictor or self.only not in (None, name):
            return
        if kind == "DELETED" or not aborted.is_stopped(rollout):
            self.told.pop(name, None)
            return
        try:
            await self._look(name)
        except CIError as error:  # the others are watched on, and the next look at this one is another try
            note(f"{self.environment}/{name}: {error.message}")

    async def _look(self, name: str) -> None:
        """Roll an application back where its canary was found bad: the tree wants that one, and nobody has yet."""
        snapshot = await self.tip()
        if name not in await tree.names(snapshot, self.environment):
            return
        application = await tree.load(snapshot, self.environment, name)
        stopped = await aborted.look(self.kubectl, application)
        if stopped is None or await quarantine.answered(snapshot, application, stopped.revision):
            return
        if not stopped.faults:
            this = stopped.revision, stopped.aborted
            if self.told.get(name) != this:
                note(unjudged(application, stopped))
            self.told[name] = this
            return
        change = Rollback(
            application.environment,
            application.name,
            f"Rollout {stopped.rollout} was aborted at revision {stopped.revision}: {stopped.reason}",
            "",
            [*stopped.measurements, *(line for line in stopped.faults if line not in stopped.measurements)],
            stopped.revision,
            only=application.release,
        )
        await self.write(change.edit, name)


async def follow(watch: Watch) -> None:
    """Watch an environment's Rollouts until cancelled; each that was found bad becomes a rollback."""
    from kubernetes.aio import client, config  # takes seconds to load, and raises where there is no home folder
    from kubernetes.aio import watch as watching

    namespace = await watch.begin()
    cluster = watch.kubectl.cluster
    api = await config.new_client_from_config(str(cluster.kubeconfig), context=cluster.context, persist_config=False)
    async with api:
        list_objects = client.CustomObjectsApi(api).list_namespaced_custom_object
        rollouts = ("argoproj.io", "v1alpha1", namespace, "rollouts")
        while True:
            stream = watching.Watch(return_type="object").stream(
                list_objects, *rollouts, timeout_seconds=RESYNC_SECONDS
            )
            async with stream as events:
                async for event in events:
                    await watch.saw(event["type"], event["raw_object"])


def unjudged(application: Application, stopped: Stopped) -> str:
    """Return the line that says of a canary without a verdict what a person can do."""
    namespace, _, rollout = stopped.rollout.partition("/")
    plugin, place = "kubectl argo rollouts", f"{rollout} -n {namespace}"
    how = "was aborted" if stopped.aborted else "waits for a person"
    back = f"python ci/main.py rollback --env {application.environment} --app {application.name} --no-quarantine"
    again = f"{plugin} retry rollout {place}" if stopped.aborted else f"{plugin} abort {place}"
    measured = f" ({'; '.join(stopped.measurements)})" if stopped.measurements else ""
    return (
        f"{application.argo_name}: the canary {stopped.revision} of {stopped.rollout} {how} without a verdict: "
        f"{stopped.reason}{measured}. Nothing is rolled back or quarantined. fix: {again}; or {back}"
    )
