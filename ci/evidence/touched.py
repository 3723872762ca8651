"""Which applications of protected environments a change touches, and by what: of two commits, nothing else.

What Argo CD makes an application of counts (ci/tree/change.py), but for comments, and what Argo CD is given for its
environment; what a run alone is given or asks does not. Whether an environment is protected is said by the commit that
the change came from, and by the one that it makes: a change takes no guard away for itself.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ci import project as projects
from ci.base.errors import UsageError
from ci.manifests import documents, kubernetes_yaml
from ci.project import Project
from ci.tree import application_set, change, git, tree
from ci.tree.change import ApplicationChange, Reason
from ci.tree.git import Snapshot
from ci.tree.tree import Application, Release

DEPLOYING = ("Application", "ApplicationSet")
"""Kinds by which Argo CD deploys."""


@dataclass(frozen=True)
class Sides:
    """Both ends of a change.

    Attributes:
        base: Where the change came from.
        head: What the change makes of it.
        before: The project as base has it; as head has it where base has none that can be read.
        after: The project as head has it.
        began: Whether base has a project that can be read.
    """

    base: Snapshot
    head: Snapshot
    before: Project
    after: Project
    began: bool = True

    @property
    def tree(self) -> Snapshot:
        """The tree that the change is merged into; head's where base has none."""
        return self.base if self.began else self.head

    def protects(self, environment: str) -> bool:
        """Tell whether an environment is protected, before or after."""
        return any(each.name == environment and each.protected for each in _environments(self))


@dataclass(frozen=True)
class Touched:
    """An application that a change touches, or a protected environment itself.

    Attributes:
        environment: The environment.
        name: The application; empty where the environment itself is touched.
        why: What differs of it.
        before: As base has it; None where it is new there, or cannot be read.
        after: As head has it; None where it is deleted, or cannot be read.
        wrong: What is wrong with it whatever is proven; empty where nothing is.
    """

    environment: str
    name: str
    why: Sequence[Reason]
    before: Application | None = None
    after: Application | None = None
    wrong: str = ""

    @property
    def place(self) -> str:
        """What people call it."""
        return f"{self.environment}/{self.name}" if self.name else self.environment

    @property
    def other(self) -> Sequence[Reason]:
        """What differs besides the application's own file."""
        own = self.after.file if self.after is not None else None
        return [reason for reason in self.why if reason.path != own]


async def sides(base: Snapshot, head: Snapshot) -> Sides:
    """Return both ends of a change, read.

    Raises:
        UsageError: Head has no project file, or one that is not what it should be.
    """
    after = await tree.project(head)
    try:
        return Sides(base, head, await tree.project(base), after)
    except UsageError:
        return Sides(base, head, after, after, began=False)


async def touched(found: Sides) -> list[Touched]:
    """Return what a change touches of protected environments, in the order of promotion."""
    differing = await change.between(found.base, found.head)
    told = [each async for each in _applications(found, differing.applications)]
    told += await _given(found, {(each.environment, each.name) for each in told})
    wrong = [
        Touched(path.parent.name, path.stem, [Reason(str(path))], wrong=said)
        for path, said in ((PurePosixPath(file), said) for file, said in differing.malformed.items())
        if found.protects(path.parent.name)
    ]
    names = [*found.after.names, *found.before.names]
    apart = [*_unguarded(found), *await _foreign(found), *told, *wrong]
    return sorted(apart, key=lambda each: (names.index(each.environment), each.name))


async def _applications(found: Sides, changes: Sequence[ApplicationChange]) -> AsyncIterator[Touched]:
    for each in changes:
        if not found.protects(each.environment):
            continue
        file = f"{found.after.paths.tree}/{each.environment}/{each.name}.yaml"
        before = await _read(found.base, found.before, each.environment, each.name)
        after = await _read(found.head, found.after, each.environment, each.name)
        why = [reason for reason in each.why if reason.deployed]
        if before is not None and after is not None and facets(before) == facets(after):
            why = [reason for reason in why if reason.path != file]
        if why:
            yield Touched(each.environment, each.name, why, before, after)


async def _given(found: Sides, told: set[tuple[str, str]]) -> list[Touched]:
    """Return the applications of which nothing differs but what Argo CD is given for their environment."""
    more = []
    for environment in found.after.names:
        if not found.protects(environment):
            continue
        files = [await _manifests(found, snapshot, environment) for snapshot in (found.base, found.head)]
        why = [Reason(path) for path in sorted({*files[0], *files[1]}) if files[0].get(path) != files[1].get(path)]
        for name in await tree.names(found.head, environment) if why else ():
            after = await _read(found.head, found.after, environment, name)
            if after is not None and (environment, name) not in told:
                before = await _read(found.base, found.before, environment, name)
                more.append(Touched(environment, name, why, before, after))
    return more


async def _foreign(found: Sides) -> list[Touched]:
    """Return the protected environments where Argo CD is given what deploys more than the tree, or nobody sees.

    No test serves it, so none proves it: an Application or ApplicationSet besides the project file's own, and a link.
    """
    there = [await _deploying(snapshot, project) for snapshot, project in _both(found)]
    paths = [path for path, has in sorted(there[1].items()) if there[0].get(path) != has]
    why = [Reason(path, there[1][path][0]) for path in paths]
    return [Touched(each.name, "", why) for each in found.after.environments if why and each.protected]


def _both(found: Sides) -> Sequence[tuple[Snapshot, Project]]:
    return (found.base, found.before), (found.head, found.after)


async def _deploying(snapshot: Snapshot, project: Project) -> dict[str, tuple[str, Any]]:
    """Return what deploys besides the project file's own, by file: what it is called, and what it has."""
    found: dict[str, tuple[str, Any]] = {}
    for name, mode in (await snapshot.entries(project.paths.argocd)).items():
        path = f"{project.paths.argocd}/{name}"
        if mode not in git.FILES and mode != git.FOLDER:
            found[path] = "is a link, which kubectl follows", mode
        elif mode in git.FILES and PurePosixPath(name).suffix in documents.SUFFIXES:
            objects = [each for each in _objects(await snapshot.read(path) or b"", path) if isinstance(each, dict)]
            foreign = [each for each in objects if each.get("kind") in DEPLOYING and not _is_own(each, path, project)]
            if foreign:
                found[path] = f"has an {foreign[0]['kind']} besides the project's own", foreign
    return found


def _is_own(document: Mapping[str, Any], path: str, project: Project) -> bool:
    return path == application_set.file_of(project) and document.get("kind") == application_set.KIND[1]


async def _manifests(found: Sides, snapshot: Snapshot, environment: str) -> dict[str, list[Any]]:
    """Return what Argo CD is given for an environment, by file: what is other environments' alone is left out."""
    project = found.before if snapshot is found.base else found.after
    given = {}
    for name, mode in (await snapshot.entries(project.paths.argocd)).items():
        if mode not in git.FILES or PurePosixPath(name).suffix not in documents.SUFFIXES:
            continue
        path = f"{project.paths.argocd}/{name}"
        content = await snapshot.read(path) or b""
        others = {each.name for each in project.environments} - {environment}
        given[path] = [_narrowed(each, project, others) for each in _objects(content, path)]
    return {path: [each for each in objects if each is not None] for path, objects in given.items()}


def _objects(content: bytes, path: str) -> Sequence[Any]:
    """Return the objects of a file; all that it has as it stands, where Kubernetes reads none of it."""
    try:
        _, text = kubernetes_yaml.decoded(content, path)
        return documents.parse(text, path)
    except UsageError:
        return [content]


def _narrowed(document: Any, project: Project, others: set[str]) -> Any:
    """Return a manifest without what is other environments' alone; None where all of it is."""
    if not isinstance(document, dict):
        return document
    if document.get("kind") == "AppProject":
        name = (document.get("metadata") or {}).get("name")
        return None if name in {project.argocd.project_of(each) for each in others} else document
    if document.get("kind") != "ApplicationSet":
        return document
    return json.loads(json.dumps(document), object_hook=lambda item: _own(item, others))


def _own(item: dict[str, Any], others: set[str]) -> dict[str, Any]:
    """Return a list generator without the elements of other environments; anything else as it is."""
    elements = item.get("elements")
    if not isinstance(elements, list):
        return item
    mine = [each for each in elements if not (isinstance(each, dict) and each.get("environment") in others)]
    return {**item, "elements": mine}


def _unguarded(found: Sides) -> list[Touched]:
    """Return the environments that are protected no more."""
    after = {each.name: each.protected for each in found.after.environments}
    lost = [
        Touched(each.name, "", [Reason(projects.FILE, f"{each.name} is {_lost(after.get(each.name))}")])
        for each in found.before.environments
        if each.protected and not after.get(each.name)
    ]
    weaker = [
        Touched(each.name, "", [Reason(projects.FILE, said) for said in reasons])
        for each in found.before.environments
        if each.protected and after.get(each.name) and (reasons := [*_weaker(found, each.name)])
    ]
    return [*lost, *weaker]


def _weaker(found: Sides, name: str) -> Iterator[str]:
    """Yield what a protected environment's own guards lose, which the next change would pass by."""
    before, after = (project.evidence_for(name) for project in (found.before, found.after))
    if before != after:
        then, now = (" and ".join(each) or "none" for each in (before, after))
        yield f"{name} takes evidence of {now}, and took that of {then}"
    for source in set(before) & set(after):
        was, is_now = (project.environment(source) for project in (found.before, found.after))
        if is_now.soak_seconds < was.soak_seconds:
            yield f"what goes to {name} soaks {is_now.soak} in {source}, and did {was.soak}"
    was, is_now = (project.environment(name) for project in (found.before, found.after))
    if (was.cluster, was.namespace) != (is_now.cluster, is_now.namespace):
        yield f"{name} is {_where(is_now)}, and was {_where(was)}"
    if was.windows and was.windows != is_now.windows:
        yield f"Argo CD may sync {name} at other times than it might"
    for key in ("branch", "repository"):
        there = getattr(found.before, key), getattr(found.after, key)
        if there[0] != there[1]:
            yield f"Argo CD watches {key} {there[1]} for {name}, and watched {there[0]}"


def _where(environment: projects.Environment) -> str:
    return f"namespace {environment.namespace} of cluster {environment.cluster or projects.IN_CLUSTER}"


def _lost(protected: bool | None) -> str:
    return "gone" if protected is None else "not protected any more"


def _environments(found: Sides) -> Sequence[projects.Environment]:
    return [*found.before.environments, *found.after.environments]


async def _read(snapshot: Snapshot, project: Project, environment: str, name: str) -> Application | None:
    """Return an application as a commit has it; None where there is none, or one that cannot be read."""
    if environment not in project.names:
        return None
    content = await snapshot.read(tree.file_of(project, environment, name))
    try:
        return tree.read(project, environment, name, content).checked() if content is not None else None
    except UsageError:
        return None


def facets(application: Application | None) -> Mapping[str, str]:
    """Return what an application's file says, by what moves on its own: each key of the set, and the values."""
    if application is None:
        return {}
    values = json.dumps(application.values, sort_keys=True, default=str)
    return {**{tree.dotted(key): value for key, value in application.release.items()}, "values": values}


def changed_set(found: Touched) -> Release:
    """Return the keys of the set that differ, as head has them; all of them where the application is new."""
    if found.after is None:
        return {}
    return found.after.release if found.before is None else found.before.differing(found.after.release)
