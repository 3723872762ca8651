"""How an application is in an environment: its set, since when, and what its cluster says of it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from ci.base.errors import CIError, UsageError
from ci.cluster.kubectl import Kubectl
from ci.release import health, ran, serving
from ci.release.health import Health
from ci.release.serving import Serving
from ci.tree import history, quarantine, tree
from ci.tree.git import Snapshot
from ci.tree.history import Step
from ci.tree.message import BREAK_GLASS
from ci.tree.tree import Application, Release


@dataclass(frozen=True)
class Seen:
    """What a cluster says of an application.

    Attributes:
        health: Argo CD's word.
        serving: What the Rollout serves; None where there is none.
    """

    health: Health
    serving: Serving | None


Look = Callable[[Application], Awaitable[Seen | None]]
"""Asks an application's cluster; None where none is asked."""


@dataclass(frozen=True)
class Status:
    """One application in one environment.

    Attributes:
        environment: Where.
        name: The application.
        wrong: Why its file cannot be read; empty where it can.
        release: The set; None where it cannot be read.
        since: The commit that brought it; None where the clone is too shallow to tell.
        seen: What the cluster says; None where it was not asked, or did not say.
        unseen: Why it did not say.
        soak: Seconds that it must run well before it may move on; None where it moves nowhere.
        barred: What is not to come back, a line each.
    """

    environment: str
    name: str
    wrong: str = ""
    release: Release | None = None
    since: Step | None = None
    seen: Seen | None = None
    unseen: str = ""
    soak: float | None = None
    barred: Sequence[str] = field(default_factory=list)

    @property
    def soak_left(self) -> float | None:
        """Seconds until it may move on; None where nobody knows, or it moves nowhere."""
        runs = self.release is not None and self.seen is not None and self.seen.health
        if self.soak is None or not runs or not runs.good or runs.deployed != health.wanted(self.release or {}):
            return None
        return max(0.0, self.soak - runs.seconds)

    @property
    def break_glass(self) -> str:
        """The reason for which the set came without evidence; empty where it did not."""
        trailers = self.since.trailers if self.since is not None else ()
        return next((value for name, value in trailers if name == BREAK_GLASS), "")


async def read(snapshot: Snapshot, environment: str, name: str, look: Look) -> Status:
    """Return how an application is; what cannot be read or asked is said in its place.

    Args:
        snapshot: The tree.
        environment: Where.
        name: The application.
        look: Asks its cluster.
    """
    try:
        application = (await tree.load(snapshot, environment, name)).checked()
        steps = await history.steps(snapshot, application)
    except UsageError as error:
        return Status(environment, name, wrong=error.message)
    try:
        entries, unread = await quarantine.entries(snapshot, name), []
    except UsageError as error:
        entries, unread = [], [f"not known: {error.message}"]
    seen, unseen = None, ""
    try:
        seen = await look(application)
    except CIError as error:  # the others are told all the same
        unseen = error.message
    _, oldest = next(ran.spans(steps))
    since = None if snapshot.repository.shallow and oldest is steps[-1] else oldest
    return Status(
        environment,
        name,
        release=application.release,
        since=since,
        seen=seen,
        unseen=unseen,
        soak=application.soak if application.project.targets(environment) else None,
        barred=[
            *unread,
            *(
                f"{', '.join(f'{key} {value}' for key, value in entry.values.items() if value)}: failed in "
                f"{entry.environment} ({entry.reason}), {entry.file(application.project)}"
                for entry in entries
            ),
            *(
                f"{', '.join(back.values[key] for part in back.parts for key in part if back.values[key])}: taken back "
                f"in {environment}, {back.step}"
                for back in history.in_force(steps)
            ),
        ],
    )


async def ask(kubectl: Kubectl, application: Application) -> Seen:
    """Ask an application's cluster.

    Args:
        kubectl: On it.
        application: Which.

    Raises:
        CIError: It does not answer, or Argo CD there has no such Application.
    """
    return Seen(await health.from_argo_cd(kubectl, application), await serving.look(kubectl, application))
