"""What of a project differs between two commits: what a proof of the change has to look at, and why.

Pure reading: nothing is written, and git is asked a few times however many applications there are.

An application is in where something differs that Argo CD makes it of, or that it is held to:

- its file, TREE/ENVIRONMENT/NAME.yaml;
- which values files the ApplicationSet names for it;
- where its `chart.revision` follows the branch, the chart's content but for other environments' `values/*.yaml`, the
  charts of the repository that this one depends on, and its values files in the tree. Any other revision is the same on
  both sides, so that only the file can move it;
- its golden file, where that is of its model (`earlier` says where not);
- its environment in the project file, but for the keys in `MOVING`.

The platform is in only where the project is the tool's own checkout, which is where `PINS` is: with any path that is
not of the tree, the golden files, Argo CD's manifests, the project file or documents (`docs/`, `*.md` at the top).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from ci import project as projects
from ci.base.errors import UsageError
from ci.project import Project
from ci.tree import application_set, attributes, dependencies, earlier, git, quarantine, tree, worktree
from ci.tree.application_set import HelmSource
from ci.tree.earlier import Earlier
from ci.tree.git import Snapshot
from ci.tree.tree import Application, Asked, Key

PINS = "ci/supply/pins.toml"
"""What the tool pins, which no other repository has."""
DOCUMENTS = "docs"
CHART, TREE = "chart", "tree"
"""Where values files are."""
OF_CHART = PurePosixPath("values")
"""The chart's folder of values that only those get for whom the ApplicationSet names them."""
MOVING = frozenset({"context", "protected", "evidence", "soak", "windows"})
"""Keys of an environment that say when and whether a set moves: no application is made of them."""
Kind = Literal["changed", "new", "renamed", "moved", "deleted", "unchanged"]


@dataclass(frozen=True)
class Reason:
    """One thing that differs.

    Attributes:
        path: The file, from the project's folder.
        said: What of it, in a few words; empty where the file says it all.
    """

    path: str
    said: str = ""

    @property
    def text(self) -> str:
        """In one line."""
        return f"{self.path}: {self.said}" if self.said else self.path


@dataclass(frozen=True)
class ApplicationChange:
    """An application that a proof has to look at.

    Attributes:
        environment: Where.
        name: Its name, at head; of a deleted one, at base.
        kind: "renamed" within its environment, "moved" to another, both with the very same file: with another one it is
            "new", and the old one "deleted". "unchanged" only where everything is asked for.
        why: What differs.
        was: Environment and name before, where it was renamed or moved.
    """

    environment: str
    name: str
    kind: Kind
    why: tuple[Reason, ...] = ()
    was: Key | None = None


@dataclass(frozen=True)
class Change:
    """What differs.

    Attributes:
        base: The commit it differs from; None where everything is asked for.
        head: The commit that is looked at.
        everything: Whether no base was named, so that the platform and every application are in.
        platform: Why the platform is in; empty where it is not, or everything is asked for.
        applications: In the order of promotion, then by name.
        aside: What differs, too, and no part is made of.
        malformed: Files of head that stand where applications do and are none that can be read, each with a line that
            names it and says what is wrong; they are in no other list.
        untouched: More of them, which were malformed before and are as they were: `lint` has them, and no change is
            refused for them.
        alone: Whether of all that a project is made of only files of applications that are served differ, their own and
            their golden files: whatever is not made of those is as it was.
        earlier: Applications that run another model than the one that their golden file is of, each with why.
    """

    base: str | None
    head: str
    everything: bool = False
    platform: tuple[Reason, ...] = ()
    applications: tuple[ApplicationChange, ...] = ()
    aside: tuple[Reason, ...] = ()
    malformed: Mapping[str, str] = field(default_factory=dict)
    untouched: Mapping[str, str] = field(default_factory=dict)
    alone: bool = False
    earlier: Mapping[Key, Earlier] = field(default_factory=dict)

    @property
    def runs_platform(self) -> bool:
        """Whether the platform is in."""
        return self.everything or bool(self.platform)

    @property
    def served(self) -> tuple[ApplicationChange, ...]:
        """Those of the applications that head has: a deleted one can only be told of."""
        return tuple(each for each in self.applications if each.kind != "deleted")

    @property
    def deleted(self) -> tuple[ApplicationChange, ...]:
        """Those of the applications that head has no more."""
        return tuple(each for each in self.applications if each.kind == "deleted")

    @property
    def only_deletes(self) -> bool:
        """Whether applications are deleted, and that is all: nothing is left to serve."""
        return bool(self.deleted) and not (self.runs_platform or self.served or self.malformed)

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to prove, and nothing wrong."""
        return not (self.runs_platform or self.applications or self.malformed)

    def refused(self, asked: Asked | None) -> dict[str, str]:
        """Return the malformed files that keep a proof from being made.

        Args:
            asked: The only application that is proven: another one's file is no matter of it. All where None.
        """
        return {path: said for path, said in self.malformed.items() if asked is None or asked.has(*_key(path))}

    def left(self, asked: Asked | None) -> set[str]:
        """Return the other malformed files."""
        return {*self.malformed, *self.untouched} - {*self.refused(asked)}

    def narrowed(self, asked: Asked) -> "Change":
        """Return what of it is about one application.

        Args:
            asked: The application.

        Raises:
            UsageError: There is nothing to prove of it.
        """
        refused = self.refused(asked)
        found = tuple(each for each in self.served if asked.has(each.environment, each.name))
        if not found and not refused:
            known = dict.fromkeys(
                each.name if asked.environment is None else f"{each.environment}/{each.name}" for each in self.served
            )
            raise UsageError(
                f"--app {asked}: nothing to prove of it", fix=f"in the change: {', '.join(known) or 'none'}"
            )
        return Change(
            self.base, self.head, applications=found, malformed=refused, alone=self.alone, earlier=self.earlier
        )


async def everything(head: Snapshot) -> Change:
    """Return the platform and every application of a commit.

    Raises:
        UsageError: It has no project file, or one that is not what it should be.
    """
    side = await _read(head, await tree.project(head), await application_set.of(head))
    found, malformed = await _applications(side, side.keys)
    applications = tuple(ApplicationChange(*key, "unchanged") for key in found)
    return Change(
        None,
        head.commit,
        True,
        applications=applications,
        malformed={**side.strangers, **malformed},
        earlier=await _earlier(side, found),
    )


async def between(base: Snapshot, head: Snapshot) -> Change:
    """Return what differs between two commits of a project.

    Args:
        base: Where the change came from; where it has no project file that can be read, every application is new.
        head: What the change makes of it; both have the branch that Argo CD reads.

    Raises:
        UsageError: Head has no project file, or one that is not what it should be.
    """
    own = await tree.project(head)
    after = await _read(head, own, await application_set.of(head))
    unread = None
    try:
        before = await _read(base, await tree.project(base), (await application_set.left_behind(base))[0])
    except UsageError as error:
        before, unread = _Side(base, own, after.source, (), {}), Reason(projects.FILE, f"before, {error.message}")
    paths = await _paths(base, head, {*before.charts, *after.charts})
    applications, malformed = await _applications(after, after.keys)
    differing = {key: content for key, content in before.keys.items() if after.keys.get(key) != content}
    others = await _earlier(after, applications)
    comparison = _Comparison(before, after, paths, (await _applications(before, differing))[0], others, unread)
    changes = list(comparison.applications(applications))
    platform = comparison.platform() if await head.repository.object_of(_named(head, PINS)) is not None else ()
    wrong = {**after.strangers, **malformed}
    same = {key: content for key, content in before.keys.items() if before.file(key) in wrong}
    was = {*before.strangers, *(await _applications(before, same))[1]}
    untouched = {path: said for path, said in wrong.items() if path in was and path not in paths}
    return Change(
        base.commit,
        head.commit,
        platform=platform,
        applications=tuple(sorted(changes, key=lambda each: after.order((each.environment, each.name)))),
        aside=comparison.aside(changes, {*wrong, *(reason.path for reason in platform)}),
        malformed={path: said for path, said in wrong.items() if path not in untouched},
        untouched=untouched,
        alone=not platform and comparison.alone(changes),
        earlier=others,
    )


class _Side:
    """One commit.

    Attributes:
        snapshot: The commit.
        project: Its project file.
        source: What its ApplicationSet says of Helm.
        charts: The folders that the chart is made of, its own first.
        files: Git's mode and name of the content of each file in tree, golden files and these.
        keys: Its applications' contents, in the order of promotion.
        strangers: Files that stand where applications do and are none, each with a line that says why.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        project: Project,
        source: HelmSource,
        charts: Sequence[str],
        files: Mapping[str, tuple[str, str]],
    ) -> None:
        self.snapshot, self.project, self.source, self.charts, self.files = snapshot, project, source, charts, files
        self.strangers: dict[str, str] = {}
        keys = {}
        for path, (mode, content) in self.below(project.paths.tree).items():
            environment, _, file = path.partition("/")
            if "/" in file or not file.endswith(".yaml") or file == tree.VALUES or environment in projects.RESERVED:
                continue
            key = environment, file.removesuffix(".yaml")
            wrong = self._wrong(key, mode)
            if wrong is None:
                keys[key] = content
            else:
                self.strangers[self.file(key)] = f"{self.file(key)}: {wrong}"
        self.keys = dict(sorted(keys.items(), key=lambda item: self.order(item[0])))

    def _wrong(self, key: Key, mode: str) -> str | None:
        if key[0] not in self.project.names:
            return f"{key[0]} is not one of the environments {', '.join(self.project.names)}"
        if not tree.NAME.fullmatch(key[1]):
            return "not the name of an application (lower-case letters, digits and dashes)"
        return None if mode in git.FILES else f"not a file (git mode {mode})"

    def below(self, folder: str) -> dict[str, tuple[str, str]]:
        """Return the files in a folder, by their paths from there."""
        start = f"{folder}/"
        return {path.removeprefix(start): file for path, file in self.files.items() if path.startswith(start)}

    def order(self, key: Key) -> tuple[int, str, str]:
        """Return what applications are sorted by: promotion, then names; environments that are gone come last."""
        names = self.project.names
        return (names.index(key[0]) if key[0] in names else len(names), *key)

    def file(self, key: Key) -> str:
        """Return the path of an application's file."""
        return f"{self.project.paths.tree}/{key[0]}/{key[1]}.yaml"

    def values(self, application: Application) -> list[tuple[str, str]]:
        """Return the values files that the ApplicationSet names: in which folder, and their paths from there."""
        folders = ((CHART, PurePosixPath(self.project.paths.chart)), (TREE, PurePosixPath(self.project.paths.tree)))
        return [
            (place, str(PurePosixPath(file).relative_to(folder)))
            for file in self.source.files(application)
            for place, folder in folders
            if PurePosixPath(file).is_relative_to(folder)
        ]

    def golden(self, key: Key) -> str:
        """Return the path of its golden file."""
        return f"{self.project.paths.golden}/{key[1]}.yaml"


@dataclass(frozen=True)
class _Comparison:
    """Two sides of a change.

    Attributes:
        before: The one.
        after: The other.
        paths: Every path that differs, in order.
        old: The applications of `before` whose files differ and can be read.
        earlier: The applications of `after` whose golden file is of another model.
        unread: Why `before` has no project, where it has none.
    """

    before: _Side
    after: _Side
    paths: Sequence[str]
    old: Mapping[Key, Application]
    earlier: Mapping[Key, Earlier]
    unread: Reason | None

    def applications(self, found: Mapping[Key, Application]) -> Iterator[ApplicationChange]:
        """Yield the applications that differ.

        Args:
            found: Those of head that can be read.
        """
        charts, settings = self._charts(), self._settings()
        gone = [key for key in self.before.keys if self.after.file(key) not in self.after.files]
        by_content = {self.before.keys[key]: key for key in gone}
        for key, application in found.items():
            if key in self.before.keys:
                why = (
                    *self._text(key, application),
                    *self._sources(application),
                    *(self._followed(application, charts) if self._follows(application) else ()),
                    *(self._file(self.before.golden(key), self.after.golden(key)) if key not in self.earlier else ()),
                    *(reason for path, reason in settings.items() if _made_of(path, key[0])),
                )
                if why:
                    yield ApplicationChange(*key, "changed", why)
                continue
            was = by_content.pop(self.after.keys[key], None)
            if was is None:
                yield ApplicationChange(*key, "new", (self.unread or Reason(application.file, "new"),))
            else:
                gone.remove(was)
                kind: Kind = "renamed" if was[0] == key[0] else "moved"
                yield ApplicationChange(*key, kind, (Reason(application.file, f"was {self.before.file(was)}"),), was)
        for key in gone:
            yield ApplicationChange(*key, "deleted", (Reason(self.before.file(key), "gone"),))

    def platform(self) -> tuple[Reason, ...]:
        """Return what differs of the tool, in its own checkout."""
        apart = {
            folder
            for side in (self.before, self.after)
            for folder in (side.project.paths.tree, side.project.paths.golden, side.project.paths.argocd)
        }
        return tuple(
            Reason(path)
            for path in self.paths
            if not _inside(path, {*apart, DOCUMENTS})
            and path != projects.FILE
            and not ("/" not in path and path.endswith(".md"))
        )

    def alone(self, changes: Sequence[ApplicationChange]) -> bool:
        """Return whether only files of applications that are in differ, of all that a project is made of."""
        where = self.after.project.paths
        charts = {*self.before.charts, *self.after.charts}
        folders = {where.tree, where.golden, *charts, where.argocd, projects.FILE}
        served = [(each.environment, each.name) for each in changes if each.kind != "deleted"]
        own = {place(key) for key in served for place in (self.after.file, self.after.golden)}
        return bool(served) and all(path in own for path in self.paths if _inside(path, folders))

    def aside(self, changes: Sequence[ApplicationChange], told: set[str]) -> tuple[Reason, ...]:
        """Return what differs and is no reason.

        Args:
            changes: The applications that are in.
            told: Other paths that are told of.
        """
        reasons = {reason for each in changes for reason in each.why}
        explained = (
            told | {reason.path for reason in reasons} | {self.before.file(each.was) for each in changes if each.was}
        )
        settings = [reason for reason in self._settings().values() if reason not in reasons]
        if projects.FILE in self.paths and projects.FILE not in explained and not settings:
            settings = [Reason(projects.FILE, "its text alone")]
        explained.add(projects.FILE)
        return (*settings, *(Reason(path) for path in self.paths if not _inside(path, explained)))

    def _text(self, key: Key, application: Application) -> Iterator[Reason]:
        """Yield how an application's file differs."""
        if self.before.keys[key] == self.after.keys[key]:
            return
        old = self.old.get(key)
        if old is None:
            said = ["could not be read before"]
        else:
            said = tree.changes(old.release, application.release)
            said += ["values"] if old.values != application.values else []
        yield Reason(application.file, ", ".join(said) or "its text alone")

    def _follows(self, application: Application) -> bool:
        return self.after.snapshot.follows(application.release[tree.CHART[0]])

    def _sources(self, application: Application) -> Iterator[Reason]:
        """Yield how the ApplicationSet has other values files for an application."""
        old, new = self.before.values(application), self.after.values(application)
        if old != new or self.before.source.ignore_missing != self.after.source.ignore_missing:
            yield Reason(application_set.file_of(self.after.project), "values files")

    def _followed(self, application: Application, charts: Mapping[str, Sequence[str]]) -> Iterator[Reason]:
        """Yield what differs of chart and values files, which an application gets from the branch."""
        own = self.after.project.paths.chart
        named = {path for place, path in self.after.values(application) if place == CHART}
        for folder, paths in charts.items():
            mine = [each for each in paths if folder != own or PurePosixPath(each).parent != OF_CHART or each in named]
            if len(mine) == 1:
                yield Reason(f"{folder}/{mine[0]}")
            elif mine:
                yield Reason(folder, f"{len(mine)} files")
        for place, path in self.after.values(application):
            if place == TREE:
                yield from self._file(*(f"{side.project.paths.tree}/{path}" for side in (self.before, self.after)))

    def _charts(self) -> dict[str, list[str]]:
        """Return the files that differ of each folder that the chart is made of, by their paths in it."""
        found = {}
        for folder in dict.fromkeys((self.after.project.paths.chart, *self.after.charts[1:], *self.before.charts[1:])):
            own = folder == self.after.project.paths.chart
            old = self.before.below(self.before.project.paths.chart if own else folder)
            new = self.after.below(folder)
            found[folder] = [path for path in sorted({*old, *new}) if old.get(path) != new.get(path)]
        return found

    def _file(self, old: str, new: str) -> Iterator[Reason]:
        """Yield how one file differs, whatever its path was."""
        was, now = self.before.files.get(old), self.after.files.get(new)
        if was != now:
            yield Reason(new, "new" if was is None else "gone" if now is None else "")

    def _settings(self) -> dict[tuple[str, ...], Reason]:
        """Return the keys of the project file that differ."""
        if self.unread is not None:
            return {}
        old, new = _flat(self.before.project), _flat(self.after.project)
        both = {*self.before.project.names} & {*self.after.project.names}
        return {
            path: Reason(projects.FILE, ".".join(path))
            for path in sorted({*old, *new})
            if old.get(path) != new.get(path) and (path[0] != "environments" or not path[1:] or path[1] in both)
        }


async def _read(snapshot: Snapshot, project: Project, source: HelmSource) -> _Side:
    repository, where = snapshot.repository, project.paths
    charts = await dependencies.folders(repository, snapshot.commit, where.chart)
    folders = map(repository.at, (where.tree, where.golden, *charts))
    listed = await repository.run("ls-tree", "-r", "-z", "--full-tree", snapshot.commit, "--", *folders)
    files = {}
    for line in listed.stdout.split("\0")[:-1]:
        words, _, path = line.partition("\t")
        mode, _, content = words.split()
        files[repository.own(path)] = mode, content
    return _Side(snapshot, project, source, charts, files)


async def _paths(base: Snapshot, head: Snapshot, charts: Iterable[str]) -> list[str]:
    """Return every path of the project that differs, in order, and of charts outside of it."""
    repository = head.repository
    words = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", base.commit, head.commit)
    below = ["--", repository.prefix, *map(repository.at, charts)] if repository.prefix else []
    listed = await repository.run(*words, *below)
    return [repository.own(path) for path in listed.stdout.split("\0")[:-1]]


def _named(snapshot: Snapshot, path: str) -> str:
    return f"{snapshot.commit}:{snapshot.repository.at(path)}"


async def _applications(side: _Side, keys: Mapping[Key, str]) -> tuple[dict[Key, Application], dict[str, str]]:
    """Return applications of a side, in order, and what is wrong with the others."""
    found, malformed = {}, {}
    clashes = tree.clashes(side.keys)
    converted = await attributes.converted(side.snapshot.repository, side.snapshot.commit)
    for key, content in zip(keys, await side.snapshot.repository.contents_of(*keys.values()), strict=True):
        file = side.file(key)
        if key in clashes:
            malformed[file] = f"{file}: {tree.clash(key, side.file(clashes[key]))}"
            continue
        if (why := converted.get(side.snapshot.repository.at(file))) is not None:
            malformed[file] = attributes.refusal(file, why).message
            continue
        try:
            found[key] = tree.read(side.project, *key, content).checked()
        except UsageError as error:
            malformed[file] = error.message
    return found, malformed


async def _earlier(side: _Side, found: Mapping[Key, Application]) -> dict[Key, Earlier]:
    """Return the applications of a side whose golden file is of another model.

    Args:
        side: The side.
        found: Those of its applications that can be read.
    """
    entries = side.below(f"{side.project.paths.tree}/{worktree.QUARANTINE}")
    objects = [content for _, content in entries.values()]
    contents = await side.snapshot.repository.contents_of(*objects) if objects else []
    quarantined = quarantine.readable(dict(zip(entries, contents, strict=True)))
    return earlier.models(side.project, {key: found.get(key) for key in side.keys}, quarantined)


def _key(path: str) -> Key:
    """Return environment and name of a file that stands where applications do."""
    file = PurePosixPath(path)
    return file.parent.name, file.stem


def _inside(path: str, folders: set[str]) -> bool:
    """Return whether a path is one of some, or below one."""
    return path in folders or any(str(each) in folders for each in PurePosixPath(path).parents)


def _made_of(path: tuple[str, ...], environment: str) -> bool:
    """Return whether the applications of an environment are made of a key of the project file."""
    return path[:2] == ("environments", environment) and path[2] not in MOVING


def _flat(project: Project) -> dict[tuple[str, ...], Any]:
    """Return a project file's values by the way to each; environments by name, their order by itself."""
    data = project.model_dump(mode="json")
    environments = {each["name"]: each for each in data.pop("environments")}
    return {("environments",): list(environments), **dict(_leaves({**data, "environments": environments}))}


def _leaves(value: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _leaves(item, (*path, key))
        else:
            yield (*path, key), item
