"""What of a project differs between two commits: what a proof of the change has to look at, and why.

Pure reading: nothing is written, and git is asked a few times however many applications there are.

An application is in where something differs that Argo CD makes it of, or that it is held to:

- its file, TREE/ENVIRONMENT/NAME.yaml;
- which values files the ApplicationSet names for it;
- where its `chart.revision` follows the branch, the chart's content but for other environments' `values/*.yaml`, the
  charts of the repository that this one depends on, and its values files in the tree. Any other revision is the same on
  both sides, so that only the file can move it, and where in that revision chart and values files are looked for;
- whether a checkout has all that with the bytes that git has (ci/tree/attributes.py);
- its golden file, where that is of its model (`earlier` says where not), and whether it is;
- keys of the project file: those of its environment, but for the ones in `BESIDE`, and what `_Comparison.made_of` says.

The platform is in only where the project is the tool's own checkout, which is where `PINS` is: with any path that is
not of the tree, the golden files, Argo CD's manifests, the project file or documents (`docs/`, `*.md` at the top).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any, Literal

from ci import project as projects
from ci.base.errors import UsageError
from ci.project import Project
from ci.tree import application_set, attributes, dependencies, earlier, git, quarantine, tree, worktree
from ci.tree.application_set import HelmSource
from ci.tree.earlier import Earlier
from ci.tree.git import Snapshot
from ci.tree.listing import FILES
from ci.tree.tree import Application, Asked, Key

PINS = "ci/supply/pins.toml"
"""What the tool pins, which no other repository has."""
DOCUMENTS = "docs"
CHART, TREE = "chart", "tree"
"""Where values files are."""
OF_CHART = PurePosixPath("values")
"""The chart's folder of values that only those get for whom the ApplicationSet names them."""
BESIDE = frozenset({"context", "protected", "evidence", "soak", "windows", "istio_cni"})
"""Keys of an environment that no application is made of: when and whether a set moves, and what `lint` alone asks."""
OF_RUNS = frozenset({"models", "throwaway", "cluster"})
"""Tables of the project file that Argo CD knows nothing of: by them a run serves something else."""
Kind = Literal["changed", "new", "renamed", "moved", "deleted", "unchanged"]


@dataclass(frozen=True)
class Reason:
    """One thing that differs.

    Attributes:
        path: The file, from the project's folder.
        said: What of it, in a few words; empty where the file says it all.
        deployed: Whether Argo CD may deploy something else by it; else a run alone serves or asks something else.
    """

    path: str
    said: str = ""
    deployed: bool = True

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
    refused = side.refused(found)
    applications = tuple(ApplicationChange(*key, "unchanged") for key in found if key not in refused)
    return Change(
        None,
        head.commit,
        True,
        applications=applications,
        malformed={**side.strangers, **malformed, **{side.file(key): said for key, said in refused.items()}},
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
        before = await _read(base, await tree.project(base), *await application_set.left_behind(base))
    except UsageError as error:
        before, unread = _Side(base, own, after.source, (), {}), Reason(projects.FILE, f"before, {error.message}")
    paths = await _paths(base, head, {*before.charts, *after.charts})
    applications, malformed = await _applications(after, after.keys)
    differing = {
        key: content
        for key, content in before.keys.items()
        if after.keys.get(key) != content or key not in applications
    }
    old, _ = await _applications(before, differing)
    as_before = {key: each for key, each in applications.items() if key in before.keys and key not in differing}
    was_earlier, others = await _earlier(before, {**as_before, **old}), await _earlier(after, applications)
    for key, each in tuple(others.items()):
        new = key not in was_earlier and before.first(key[1]) != each.first
        if (new or after.golden(key) in paths) and await earlier.confirmed(each, head, applications[key]) is None:
            del others[key]
    comparison = _Comparison(before, after, paths, old, was_earlier, others, unread)
    found = list(comparison.applications(applications))
    refused = {after.file(key): said for key, said in after.refused(applications).items()}
    touched = {after.file((each.environment, each.name)) for each in found}
    changes = [each for each in found if after.file((each.environment, each.name)) not in refused]
    platform = comparison.platform() if await head.repository.object_of(_named(head, PINS)) is not None else ()
    wrong = {**after.strangers, **malformed}
    same = {key: content for key, content in before.keys.items() if before.file(key) in wrong}
    was = {*before.strangers, *(await _applications(before, same))[1]}
    untouched = {path: said for path, said in wrong.items() if path in was and path not in paths}
    untouched |= {path: said for path, said in refused.items() if path not in touched}
    wrong |= refused
    return Change(
        base.commit,
        head.commit,
        platform=platform,
        applications=tuple(sorted(changes, key=lambda each: after.order((each.environment, each.name)))),
        aside=comparison.aside(applications, found, {*wrong, *(reason.path for reason in platform)}),
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
        converted: Those of them that a checkout changes, each with what does it.
        unlike: What is wrong with its ApplicationSet, where `source` is not what that one says.
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
        converted: Mapping[str, str] | None = None,
        unlike: UsageError | None = None,
    ) -> None:
        self.snapshot, self.project, self.source, self.charts, self.files = snapshot, project, source, charts, files
        self.converted, self.unlike = converted or {}, unlike
        self._of_chart = [path for path in self.converted if _inside(path, {*charts})]
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
            return f"not the name of an application ({tree.NAMED})"
        return None if mode in FILES else f"not a file (git mode {mode})"

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
        return self.project.paths.golden_file(key[1])

    def first(self, name: str) -> str | None:
        """Return the first environment that has an application of a name."""
        return next((each for each in self.project.names if (each, name) in self.keys), None)

    def altered(self, key: Key, application: Application) -> dict[str, str]:
        """Return the files that Argo CD reads for an application as no commit has them, each with what changes it.

        Args:
            key: Where it is.
            application: It says whether chart and values files are this commit's.
        """
        if not self.converted:
            return {}
        read = [self.file(key)]
        if git.follows(application.release[tree.CHART[0]], self.snapshot.branch):
            read += [*self._of_chart, *self.source.files(application)]
        return {path: self.converted[path] for path in read if path in self.converted}

    def refused(self, found: Mapping[Key, Application]) -> dict[Key, str]:
        """Return those of some applications that Argo CD reads as no commit has them, each with a line that says why.

        Args:
            found: The applications.
        """
        altered = ((key, self.altered(key, application)) for key, application in found.items())
        return {key: attributes.refusal(*next(iter(each.items()))).message for key, each in altered if each}


@dataclass(frozen=True)
class _Comparison:
    """Two sides of a change.

    Attributes:
        before: The one.
        after: The other.
        paths: Every path that differs, in order.
        old: The applications of `before` whose files differ and can be read.
        was_earlier: The applications of `before` whose golden file is of another model.
        earlier: Those of `after`.
        unread: Why `before` has no project, where it has none.
    """

    before: _Side
    after: _Side
    paths: Sequence[str]
    old: Mapping[Key, Application]
    was_earlier: Mapping[Key, Earlier]
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
                    *self._checked_out(key, application),
                    *self._asked(key),
                    *(reason for path, reason in settings.items() if self.made_of(path, application)),
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

    def made_of(self, path: tuple[str, ...], application: Application) -> bool:
        """Return whether another value of a key of the project file has an application deployed or proven otherwise.

        Not by the other keys: a commit is the same in every `repository`; what Argo CD is called and is given
        (`argocd`, `paths.argocd`) says of an application's objects what the ApplicationSet does, which is compared;
        golden files are compared wherever they are (`paths.golden`); `cluster.evidence` says which runs count.
        """
        match path:
            case ("environments", name, key, *_):
                return name == application.environment and key not in BESIDE
            case ("paths", "chart"):
                return not self._follows(application)
            case ("paths", "tree"):
                named = self.after.values(application)
                return not self._follows(application) and any(place == TREE for place, _ in named)
            case ("branch",):
                revision = application.release[tree.CHART[0]]
                return len({git.follows(revision, side.project.branch) for side in (self.before, self.after)}) > 1
            case ("models", "mirrors", prefix):
                return application.release["model", "storageUri"].startswith(prefix)
            case ("throwaway" | "cluster", "values", name, *_):
                return name in ("*", application.name)
            case ("cluster", "prometheus", "series"):  # which `lint` alone asks
                return False
            case ("throwaway", _) | ("cluster", "prometheus", *_):
                return True
        return False

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
        folders = {*where.named.values(), *charts, projects.FILE}
        served = [(each.environment, each.name) for each in changes if each.kind != "deleted"]
        own = {place(key) for key in served for place in (self.after.file, self.after.golden)}
        shared = (path for path in self.paths if _inside(path, folders) or _is_attributes(path))
        return bool(served) and all(path in own for path in shared)

    def aside(
        self, found: Mapping[Key, Application], changes: Sequence[ApplicationChange], told: set[str]
    ) -> tuple[Reason, ...]:
        """Return what differs and is no reason.

        Args:
            found: The applications of head that can be read.
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
        later = self.after.source.later(found.values(), self.after.snapshot.branch)
        return (*settings, *(Reason(path, later.get(path, "")) for path in self.paths if not _inside(path, explained)))

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
        file = application_set.file_of(self.after.project)
        if self.before.unlike is not None:
            yield Reason(file, f"before, {self.before.unlike.message}")
        elif old != new or self.before.source.ignore_missing != self.after.source.ignore_missing:
            yield Reason(file, "values files")

    def _checked_out(self, key: Key, application: Application) -> Iterator[Reason]:
        """Yield where a checkout has other bytes of an application's files, which may be the same in git."""
        was, now = (side.altered(key, application) for side in (self.before, self.after))
        if was != now:
            first, *more = sorted(path for path in {*was, *now} if was.get(path) != now.get(path))
            said = f"how {first}{f' and {len(more)} more' if more else ''} is checked out"
            for path in [each for each in self.paths if _is_attributes(each)] or [attributes.FILE]:
                yield Reason(path, said)

    def _asked(self, key: Key) -> Iterator[Reason]:
        """Yield what a run asks of an application that it did not ask before.

        One whose golden file becomes another model's because the first environment gets that model is asked nothing
        that it was not asked: it waits for its promotion.
        """
        was, now = self.was_earlier.get(key), self.earlier.get(key)
        old, new = self.before.golden(key), self.after.golden(key)
        if now is not None:
            if was is None and now.first != self.before.first(key[1]) and new in self.after.files:
                yield Reason(new, now.said, deployed=False)
        elif was is not None and new in self.after.files:
            yield Reason(new, "is of the model that it runs, from now on", deployed=False)
        else:
            yield from (replace(reason, deployed=False) for reason in self._file(old, new))

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
            path: Reason(projects.FILE, ".".join(path), deployed=path[0] not in OF_RUNS)
            for path in sorted({*old, *new})
            if old.get(path) != new.get(path) and (path[0] != "environments" or not path[1:] or path[1] in both)
        }


async def _read(snapshot: Snapshot, project: Project, source: HelmSource, unlike: UsageError | None = None) -> _Side:
    repository, where = snapshot.repository, project.paths
    charts = await dependencies.folders(repository, snapshot.commit, where.chart)
    folders = map(repository.at, (where.tree, where.golden, *charts))
    listed = await repository.listing(snapshot.commit)
    files = {repository.own(path): entry for folder in folders for path, entry in listed.below(folder)}
    changed = await attributes.converted(repository, snapshot.commit)
    converted = {path: why for path in files if (why := changed.get(repository.at(path)))} if changed else {}
    return _Side(snapshot, project, source, charts, files, converted, unlike)


async def _paths(base: Snapshot, head: Snapshot, charts: Iterable[str]) -> list[str]:
    """Return every path of the project that differs, in order, and of charts and `.gitattributes` outside of it."""
    repository = head.repository
    words = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", base.commit, head.commit)
    above = [str(folder / attributes.FILE) for folder in PurePosixPath(repository.prefix).parents]
    below = ["--", repository.prefix, *map(repository.at, charts), *above] if repository.prefix else []
    listed = await repository.run(*words, *below)
    return [repository.own(path) for path in listed.stdout.split("\0")[:-1]]


def _named(snapshot: Snapshot, path: str) -> str:
    return f"{snapshot.commit}:{snapshot.repository.at(path)}"


async def _applications(side: _Side, keys: Mapping[Key, str]) -> tuple[dict[Key, Application], dict[str, str]]:
    """Return applications of a side, in order, and what is wrong with the others."""
    found, malformed = {}, {}
    clashes = tree.clashes(side.keys)
    for key, content in zip(keys, await side.snapshot.repository.contents_of(*keys.values()), strict=True):
        file = side.file(key)
        if key in clashes:
            malformed[file] = f"{file}: {tree.clash(key, side.file(clashes[key]))}"
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


def _is_attributes(path: str) -> bool:
    return PurePosixPath(path).name == attributes.FILE


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
