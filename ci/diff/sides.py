"""The two commits that are compared, and what each of them puts on the clusters."""

import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio

from ci import project as projects
from ci.base import tasks
from ci.base.errors import CheckFailedError, UsageError
from ci.base.progress import note
from ci.diff import files
from ci.diff.files import Changed
from ci.manifests import documents, hooks
from ci.manifests.documents import Document
from ci.project import FILE, Project
from ci.supply import tools
from ci.tree import application_set, dependencies, merge_base, render, tree
from ci.tree.application_set import HelmSource
from ci.tree.dependencies import NotBuiltError
from ci.tree.git import Repository, Snapshot
from ci.tree.render import Charts
from ci.tree.tree import Application


@dataclass(frozen=True)
class Placed:
    """An object, and the file that has it.

    Attributes:
        document: The object.
        file: The file; empty where Helm made it.
    """

    document: Document
    file: str = ""


@dataclass
class Side:
    """One commit.

    Attributes:
        snapshot: The tree, and the branch that Argo CD will read it from.
        applications: By place, as ENV/NAME.
        places: Place to the objects of every place whose input is not the same on the other side.
        environments: Which are looked at, in order.
        unread: By place, why an application's file cannot be read; only of base, which a change may put right.
    """

    snapshot: Snapshot
    applications: Mapping[str, Application] = field(default_factory=dict)
    places: dict[str, Sequence[Placed]] = field(default_factory=dict)
    environments: Sequence[str] = ()
    unread: dict[str, str] = field(default_factory=dict)


async def both(
    repository: Repository, base: str | None, remote: str, environments: Sequence[str]
) -> tuple[Side, Side, list[Changed]]:
    """Return base and head, rendered, and the files that differ.

    An application with the same input on both is not rendered at all.

    Args:
        repository: Has both; head is what it has checked out.
        base: The branch that head is to be merged into, or any other revision; the remote's main by default.
        remote: Whose branches the applications follow.
        environments: Which are rendered; all of both by default.

    Raises:
        UsageError: There is no such revision, the two have no common commit, or a file of the tree is wrong.
        CheckFailedError: Helm refuses an application.
    """
    snapshots = await merge_base.sides(repository, base, remote)
    sides = Side(snapshots[0]), Side(snapshots[1])
    known = await _environments(sides)
    for environment in environments:
        if environment not in known:
            raise UsageError(f"--env {environment}: not one of {', '.join(known)}")
    for side in sides:
        side.environments = [each for each in known if each in environments or not environments]
    left, wrong = await application_set.left_behind(sides[0].snapshot)
    source = await application_set.of(sides[1].snapshot)
    base_inputs = await _inputs(sides[0], left, remote)
    head_inputs = await _inputs(sides[1], source, remote, sides[0])
    if wrong is not None:
        note(f"before, rendered as {projects.FILE} has it: {wrong.message}")
    helm = tools.installed("helm")
    limiter = anyio.CapacityLimiter(os.cpu_count() or 2)

    async def rendered(charts: Charts, side: Side, place: str, revision: str) -> None:
        application = side.applications[place]
        try:
            async with limiter:
                plain = side is sides[1]
                text = await render.render(side.snapshot, helm, application, revision, plain=plain, charts=charts)
        except (CheckFailedError, NotBuiltError) as error:
            if side is sides[0]:  # a change that puts it right is shown, with all that it deploys
                note(f"before, {place} cannot be rendered, so all of it counts as new: {error.message}")
                text = ""
            elif isinstance(error, NotBuiltError):
                raise
            else:
                said = f"{side.snapshot.commit[:12]}: {error.message}"
                raise CheckFailedError(said, detail=error.detail) from error
        objects = documents.parse(text, f"{side.snapshot.commit[:12]}: {application.file}, rendered")
        side.places[place] = [Placed(each) for each in objects if not hooks.is_test(each)]

    with tempfile.TemporaryDirectory() as work:
        charts = Charts(repository, helm, Path(work))
        async with tasks.group() as group:
            for side, own, other in ((sides[0], base_inputs, head_inputs), (sides[1], head_inputs, base_inputs)):
                for place, (revision, key) in own.items():
                    if place not in other or other[place][1] != key:
                        group.start_soon(rendered, charts, side, place, revision)
    later = source.later(sides[1].applications.values(), sides[1].snapshot.branch)
    found = [replace(each, later=later.get(each.path, "")) for each in await _files(*sides)]
    return *sides, found


async def _environments(sides: Sequence[Side]) -> list[str]:
    """Return the environments of head in their order, and those that are gone from it."""
    base, head = [(await tree.project(side.snapshot)).names for side in sides]
    return list(dict.fromkeys((*head, *base)))


async def _inputs(
    side: Side, source: HelmSource, remote: str, base: Side | None = None
) -> dict[str, tuple[str, tuple[object, ...]]]:
    """Find a side's applications; return place to the chart's commit, and all that Helm would be given.

    A file that cannot be read is told of where it is left behind, and refused where it is to be merged, on the side
    that has a `base`; but not where it could not be read before and is as it was: it is nothing of this change then.
    """
    plain = base is not None
    snapshot = side.snapshot
    found: dict[str, tuple[str, tuple[object, ...]]] = {}
    applications: dict[str, Application] = {}
    own = (await tree.project(snapshot)).names
    for environment in [each for each in side.environments if each in own]:
        await tree.read_ahead(snapshot, environment)
        for name in await tree.names(snapshot, environment):
            place = f"{environment}/{name}"
            try:
                application = await _loaded(snapshot, environment, name)
            except UsageError as error:
                if base is None:
                    side.unread[place] = error.message
                elif place in base.unread and await _is_as_it_was(base, side, environment, name):
                    del base.unread[place]
                    note(f"not of this change: {error.message}")
                else:
                    raise
                continue
            commit = await tree.chart_commit(snapshot, application, remote)
            applications[place] = application
            chart, *given = await render.given(snapshot.repository, application, commit, source, plain=plain)
            if chart is None:
                raise UsageError(f"{application.file}: there is no {application.project.paths.chart} at {commit[:12]}")
            found[place] = commit, (chart, *given, application.content)
    side.applications = applications
    return found


async def _loaded(snapshot: Snapshot, environment: str, name: str) -> Application:
    """Return an application, once its file is seen to be one's; what is wrong names the file."""
    if not tree.NAME.fullmatch(name):
        file = f"{(await tree.project(snapshot)).paths.tree}/{environment}/{name}.yaml"
        raise UsageError(f"{file}: not the name of an application ({tree.NAMED})")
    return (await tree.load(snapshot, environment, name)).checked()


async def _is_as_it_was(base: Side, head: Side, environment: str, name: str) -> bool:
    """Tell whether both sides have the very same file of an application."""
    contents = []
    for snapshot in (base.snapshot, head.snapshot):
        folder = (await tree.project(snapshot)).paths.tree
        path = snapshot.repository.at(f"{folder}/{environment}/{name}.yaml")
        contents.append(await snapshot.repository.object_of(f"{snapshot.commit}:{path}"))
    return contents[0] == contents[1]


async def _files(base: Side, head: Side) -> list[Changed]:
    """Read the plain manifests of both sides; return the files that differ, with what those have that are none."""
    projects = [await tree.project(side.snapshot) for side in (base, head)]
    argocd = [project.paths.argocd for project in projects]
    have = [await files.read(side.snapshot, folder) for side, folder in zip((base, head), argocd, strict=True)]
    found = files.manifests(*have)
    for side, folder, objects in zip((base, head), argocd, found, strict=True):
        side.places[folder] = [Placed(each, file) for file, several in objects.items() for each in several]
    charts = {path for side, each in zip((base, head), projects, strict=True) for path in await _charts(side, each)}
    folders = {path for each in projects for path in (each.paths.argocd, each.paths.tree)} | charts
    changed = await files.changed(base.snapshot, head.snapshot, [*sorted(folders), FILE])
    shown = [each for each in changed if not _elsewhere(each.path, projects, head.environments)]
    return [await _with_contents(head.snapshot.repository, each, projects, charts, found) for each in shown]


async def _charts(side: Side, project: Project) -> Sequence[str]:
    """Return the folders that the chart of the branch is made of."""
    return await dependencies.folders(side.snapshot.repository, side.snapshot.commit, project.paths.chart)


def _elsewhere(path: str, projects: Sequence[Project], environments: Sequence[str]) -> bool:
    """Tell whether a file is an environment's that is not looked at."""
    return any(
        path.startswith(f"{project.paths.tree}/{name}/")
        for project in projects
        for name in project.names
        if name not in environments
    )


async def _with_contents(
    repository: Repository,
    changed: Changed,
    projects: Sequence[Project],
    charts: Collection[str],
    objects: Sequence[Mapping[str, object]],
) -> Changed:
    """Return a file with what it has on both sides, unless it is rendered or compared as objects."""
    if any(changed.path.startswith(f"{folder}/") for folder in charts):
        return replace(changed, rendered="")
    rendered = next((each for project in projects if (each := _rendered(changed.path, project)) is not None), None)
    parts = (changed.before, changed.after)
    compared = all(each is None or each.path in side for each, side in zip(parts, objects, strict=True))
    if rendered is not None or compared:
        return replace(changed, rendered=rendered)
    content = [None if each is None else (await files.contents(repository, [each]))[each.path] for each in parts]
    return replace(changed, contents=(content[0], content[1]))


def _rendered(path: str, project: Project) -> str | None:
    """Return the application that Helm makes of a file of the tree, ENV/NAME, or how several begin; None where none."""
    paths = project.paths
    environment, _, name = path.removeprefix(f"{paths.tree}/").partition("/")
    if not path.startswith(f"{paths.tree}/") or environment not in project.names or not name.endswith(".yaml"):
        return None
    return f"{environment}/" if name == tree.VALUES else f"{environment}/{name.removesuffix('.yaml')}"
