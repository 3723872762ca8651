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
from ci.base import nesting
from ci.base.errors import UsageError
from ci.base.text import cut, one_line
from ci.manifests import documents, kubernetes_yaml, manifests
from ci.project import Project
from ci.tree import application_set, argocd, change, tree
from ci.tree.change import ApplicationChange, Reason
from ci.tree.git import Snapshot
from ci.tree.listing import FILES, FOLDER
from ci.tree.tree import Application, Release

MOST = 3
"""Objects of a file that are named."""
SHOWN = 80
LINK = "a link, which kubectl follows"


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
    wrong += [each async for each in _no_folders(found)]
    apart = [*_unguarded(found), *await _opened(found), *await _foreign(found), *told, *wrong]
    return sorted(apart, key=lambda each: (names.index(each.environment), each.name))


async def _no_folders(found: Sides) -> AsyncIterator[Touched]:
    """Yield the protected environments whose folder becomes a link or a submodule, which Argo CD may follow."""
    for name in filter(found.protects, found.after.names):
        path = PurePosixPath(found.after.paths.tree, name)
        for each in [path, *path.parents][:-1]:
            was, mode = [
                (await side.entries(str(each.parent))).get(each.name, FOLDER) for side in (found.base, found.head)
            ]
            if mode not in (FOLDER, was):
                yield Touched(name, "", [Reason(str(each))], wrong=f"{each}: not a folder (git mode {mode})")


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
    """Return the applications of which nothing differs but what Argo CD is given for their environment.

    Where there is none that a run could serve, the environment itself is touched, but by what its project file makes:
    `_unguarded` judges that.
    """
    more = []
    for environment in found.after.names:
        if not found.protects(environment):
            continue
        was, now = [await _manifests(found, snapshot, environment) for snapshot in (found.base, found.head)]
        why = [Reason(path) for path in sorted({*was, *now}) if was.get(path) != now.get(path)]
        alone = bool(why)
        for name in await tree.names(found.head, environment) if why else ():
            after = await _read(found.head, found.after, environment, name)
            alone = alone and after is None
            if after is not None and (environment, name) not in told:
                before = await _read(found.base, found.before, environment, name)
                more.append(Touched(environment, name, why, before, after))
        if alone and (other := _unlike(found, why, now, environment)):
            more.append(Touched(environment, "", other))
    return more


def _unlike(found: Sides, why: Sequence[Reason], now: Mapping[str, Any], environment: str) -> list[Reason]:
    """Return the reasons whose file does not say of an environment what the project file makes."""
    files = _made(found.after, found.head.repository.prefix).items()
    made = {path: _of_environment(objects, found.after, environment) for path, objects in files}
    return [reason for reason in why if now.get(reason.path) != made.get(reason.path)]


def _made(project: Project, prefix: str) -> dict[str, Sequence[Any]]:
    """Return the objects that a project file makes, unpatched, by file."""
    return {path: _objects(content, path) for path, content in argocd.render(project, prefix).items()}


async def _foreign(found: Sides) -> list[Touched]:
    """Return the protected environments where a cluster is given more than the project file's own, or nobody sees what.

    `kubectl apply -f` of the folder takes it. No test serves it, so none proves it.
    """
    was, now = [await _besides(snapshot, project) for snapshot, project in _both(found)]
    folder = found.after.paths.argocd
    why = [
        Reason(f"{folder}/{name}".rstrip("/"), f"{said}, which no run proves")
        for name in sorted({*was, *now})
        if (said := _more(was.get(name, {}), now.get(name, {})))
    ]
    return [Touched(name, "", why) for name in found.after.names if why and found.protects(name)]


def _both(found: Sides) -> Sequence[tuple[Snapshot, Project]]:
    return (found.base, found.before), (found.head, found.after)


def _more(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return what differs of a file besides the project file's own; empty where nothing does."""
    names = [name for name in now if was.get(name) != now[name]]
    gone = [name for name in was if name not in now]
    if LINK in names:
        return f"is {LINK}"
    both = f"has {_listed(names)}" if names else f"has lost {_listed(gone)}" if gone else ""
    return both and f"{both} besides the project's own"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(names[:MOST]) + more


async def _besides(snapshot: Snapshot, project: Project) -> dict[str, dict[str, Any]]:
    """Return what kubectl applies besides the project file's own: by file, and by what it is called, what it has."""
    found: dict[str, dict[str, Any]] = {}
    itself, there = await _followed(snapshot, project.paths.argocd)
    if itself != there:
        found[""] = {LINK: there}
    for name, mode in (await snapshot.entries(project.paths.argocd)).items():
        path = f"{project.paths.argocd}/{name}"
        if mode not in FILES and mode != FOLDER:
            found[name] = {LINK: await _followed(snapshot, path)}
        elif mode in FILES and documents.is_applied(name):
            foreign: dict[str, list[str]] = {}
            for each in _apart(await snapshot.read(path) or b"", path, project)[1]:
                has = json.dumps(each, sort_keys=True, default=repr)  # 1 is not true, as it is to Python
                foreign.setdefault(_called(each), []).append(has)
            found[name] = foreign
    return found


async def _followed(snapshot: Snapshot, path: str) -> Sequence[str]:
    """Return what a link is, and what it leads to as git sees it: a file of the commit, or a path outside of it."""
    place = f"{snapshot.commit}:{snapshot.repository.at(path)}\n"
    words = ("cat-file", "--batch-check")
    return [(await snapshot.repository.run(*words, *more, stdin=place)).stdout for more in ((), ("--follow-symlinks",))]


def _called(foreign: Any) -> str:
    """Return what people call an object."""
    if not isinstance(foreign, Mapping):
        return "what nobody reads here, and kubectl may,"
    _, kind, _, name = documents.identity(foreign)
    return cut(one_line(f"the {kind or 'object'} {name}".rstrip()), SHOWN)


def _apart(content: bytes, path: str, project: Project) -> tuple[list[Any], list[Any]]:
    """Return the objects of a file that are the project file's own, and all others; a name's first is its own."""
    own: dict[documents.Identity, Any] = {}
    foreign = []
    for each in _objects(content, path):
        group, kind, namespace, name = documents.identity(each) if isinstance(each, Mapping) else ("",) * 4
        key = (group, kind, project.argocd.namespace, name)
        if key in _own(project, path) and namespace in ("", key[2]) and key not in own:
            own[key] = each
        else:
            foreign.append(each)
    return [*own.values()], foreign


def _own(project: Project, path: str) -> Sequence[documents.Identity]:
    """Return what a file has that the project file makes."""
    group, namespace = application_set.KIND[0], project.argocd.namespace
    if path == application_set.file_of(project):
        return [(*application_set.KIND, namespace, project.argocd.project)]
    if path == _projects_of(project):
        return [(group, "AppProject", namespace, project.argocd.project_of(each)) for each in project.names]
    return ()


def _projects_of(project: Project) -> str:
    """Return the path of the AppProjects."""
    return f"{project.paths.argocd}/{argocd.FILES['AppProject']}"


async def _manifests(found: Sides, snapshot: Snapshot, environment: str) -> dict[str, list[Any]]:
    """Return the project file's own of what Argo CD is given for an environment, by file."""
    project = found.before if snapshot is found.base else found.after
    there = await snapshot.entries(project.paths.argocd)
    given = {}
    for path in (_projects_of(project), application_set.file_of(project)):
        if there.get(PurePosixPath(path).name) in FILES:
            own, _ = _apart(await snapshot.read(path) or b"", path, project)
            given[path] = _of_environment(own, project, environment)
    return given


def _of_environment(objects: Sequence[Any], project: Project, environment: str) -> list[Any]:
    """Return objects without what is other environments' alone."""
    others = {each.name for each in project.environments} - {environment}
    return [found for each in objects if (found := _narrowed(each, project, others)) is not None]


def _objects(content: bytes, path: str) -> Sequence[Any]:
    """Return the objects of a file; all that it has as it stands, where Kubernetes reads none of it.

    None of a patch, which is a list: kubectl takes an object alone.
    """
    try:
        _, text = kubernetes_yaml.decoded(content, path)
        if _is_patch(text, path):
            return []
        return documents.parse(text, path)
    except UsageError:
        return [content]


def _is_patch(text: str, path: str) -> bool:
    try:
        return isinstance(nesting.read(lambda: json.loads(text), path), list)
    except ValueError:
        return False


def _narrowed(document: Any, project: Project, others: set[str]) -> Any:
    """Return a manifest without what is other environments' alone; None where all of it is."""
    if not isinstance(document, dict):
        return document
    if document.get("kind") == "AppProject":
        name = (document.get("metadata") or {}).get("name")
        return None if name in {project.argocd.project_of(each) for each in others} else document
    if document.get("kind") != "ApplicationSet":
        return document
    return json.loads(json.dumps(document), object_hook=lambda item: _without(item, others))


def _without(item: dict[str, Any], others: set[str]) -> dict[str, Any]:
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


async def _opened(found: Sides) -> list[Touched]:
    """Return the environments whose AppProject guards them less than it did, other than by keys of the project file."""
    path = _projects_of(found.after)
    files = [_made(project, side.repository.prefix) for side, project in _both(found)]
    opened = []
    for name in found.before.names:
        if not (found.before.environment(name).protected and name in found.after.names):
            continue
        was, now = [_rules(await _manifests(found, side, name), project, name) for side, project in _both(found)]
        then, made = [_rules(each, project, name) for each, (_, project) in zip(files, _both(found), strict=True)]
        windows = [each.get("syncWindows") for each in (was, now, then, made)]
        why = []
        if windows[0] and windows[0] != windows[1] and windows[:2] != windows[2:]:
            why.append(Reason(path, f"Argo CD may sync {name} at other times than it might"))
        if now.get("destinations") not in (was.get("destinations"), made.get("destinations")):
            why.append(Reason(path, f"what is of {name} may be deployed elsewhere than it might"))
        if why:
            opened.append(Touched(name, "", why))
    return opened


def _rules(files: Mapping[str, Sequence[Any]], project: Project, environment: str) -> Mapping[str, Any]:
    """Return what an environment's AppProject says; nothing where there is none."""
    name = project.argocd.project_of(environment)
    objects = [each for each in files.get(_projects_of(project), ()) if isinstance(each, Mapping)]
    return next((manifests.mapping(each.get("spec")) for each in objects if documents.identity(each)[-1] == name), {})


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
