"""The tree that Argo CD watches: a folder an environment, in it a file an application."""

import functools
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from ci import project as projects
from ci.base import fields
from ci.base.errors import UsageError
from ci.manifests import kubernetes_yaml, places
from ci.project import Environment, Project
from ci.tree import attributes, blocks, dependencies, git, scalars
from ci.tree.git import Snapshot
from ci.tree.scalars import KeyPath

VALUES = "values.yaml"
"""In an environment's folder: Helm values of all its applications, which are no application."""
RESERVED = {VALUES.removesuffix(".yaml"): f"TREE/ENVIRONMENT/{VALUES} has what all its applications share"}
"""What no application may be called, with what the name means."""
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")
NAMED = "lower-case letters, digits and dashes, 53 at most"

CHART = (("chart", "revision"),)
MODEL_DIGEST = ("model", "digest")
"""The one key that a file may lack: its model is not pinned then."""
VERSION = ("model", "version")
"""The one key that people and this tool alone read: Argo CD makes nothing of it, so 1.0 without quotes is 1.0."""
STORAGE_URI: KeyPath = ("model", "storageUri")
MODEL = (VERSION, STORAGE_URI, MODEL_DIGEST)
IMAGE = (("image", "repository"), ("image", "tag"), ("image", "digest"))
DIGESTS = (MODEL_DIGEST, IMAGE[2])
"""The keys that may have nothing, which is no digest."""
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
KEYS: tuple[KeyPath, ...] = (*CHART, *MODEL, *IMAGE)
"""The set that is verified, and moves, as one."""

EXAMPLE = ("values", "exampleModel")
KNOWN_ANSWER = (*EXAMPLE, "knownAnswer")
"""One request with its right answer, as the chart takes it: right of one model, so it goes where that model goes."""

ASIDE = "x-"
"""How a key begins that is for people, or for anchors, and read by nobody."""
OLD = ("namespace", "promotion")
"""Keys of a file that say what the project file says now."""

Release = Mapping[KeyPath, str]
"""Value of each of `KEYS`."""
Blocks = Mapping[tuple[str, ...], Mapping[str, Any]]
"""Key path in a file to the mapping that stands there."""
Key = tuple[str, str]
"""Environment and name of an application."""


@dataclass(frozen=True)
class Asked:
    """What a person asks for by `--app NAME` or `--app ENV/NAME`.

    Attributes:
        name: The application's name.
        environment: The environment; every one that has it by default.
    """

    name: str
    environment: str | None = None

    def __str__(self) -> str:
        return self.name if self.environment is None else f"{self.environment}/{self.name}"

    def has(self, environment: str, name: str) -> bool:
        """Tell whether an application is asked for."""
        return name == self.name and self.environment in (None, environment)


@dataclass(frozen=True)
class Unpinned:
    """A part of a set that may become another one under the same name: no protected environment takes such a set.

    Attributes:
        key: The digest that is missing.
        said: What can change, and how.
        component: What `bump` calls it.
        to: What `bump` takes to pin it.
        how: What prints the digest.
    """

    key: KeyPath
    said: str
    component: str
    to: str
    how: str

    def bump(self, environment: str, name: str) -> str:
        """Return the command that pins it."""
        return f"python ci/main.py bump {self.component} --env {environment} --app {name} --to {self.to}"


@dataclass(frozen=True)
class Application:
    """One application in one environment.

    Attributes:
        project: The project, as the same commit has it.
        environment: Its name.
        name: The model's InferenceService, and the release of the chart.
        content: The file, byte for byte.
    """

    project: Project
    environment: str
    name: str
    content: bytes

    @property
    def file(self) -> str:
        """The file's path in the tree."""
        return file_of(self.project, self.environment, self.name)

    @property
    def argo_name(self) -> str:
        """The name of its Argo CD Application, as the ApplicationSet makes it."""
        return _argo_name(self.environment, self.name)

    @functools.cached_property
    def release(self) -> Release:
        """What runs: chart revision, model and image.

        Raises:
            UsageError: The file lacks one, or has something else than text there, which Argo CD would write in its way.
        """
        try:
            release = scalars.read(self.content, KEYS, self.file)
        except UsageError as error:
            self._require_spelled(error)
            release = scalars.read(self.content, [key for key in KEYS if key != MODEL_DIGEST], self.file)
            if MODEL_DIGEST[1] in self._loaded[MODEL_DIGEST[0]]:
                raise
            release[MODEL_DIGEST] = ""
        for path, text in release.items():
            if path == VERSION:
                continue
            section, key = map(str, path)
            value = self._loaded[section].get(key)
            # Argo CD asks whether there is a digest; it writes what else is missing as "%!s(<nil>)" or "<no value>"
            if not isinstance(value, str) and not (value is None and path in DIGESTS):
                said = f"{dotted(path)}: {text or 'nothing'} is no text to Argo CD, but {json.dumps(value)}"
                raise UsageError(f"{self._at(path)}: {said}", fix=f'Quote it: {key}: "{text}"')
        if not release[CHART[0]]:
            said = f"{dotted(CHART[0])}: is empty, which is the repository's own branch to Argo CD, whatever that is"
            raise UsageError(f"{self._at(CHART[0])}: {said}", fix=f"A commit, or {self.project.branch}.")
        return release

    def _require_spelled(self, error: UsageError) -> None:
        """Refuse a file that lacks a key of the set: by the key that is written in its place, or as what it is.

        Args:
            error: What is wrong; left alone where it is something else.
        """
        try:
            found = self._loaded
        except UsageError:
            return
        for *way, key in ((*path[:depth], path[depth]) for path in KEYS for depth in range(len(path))):
            section: Any = found
            for part in way:
                section = section.get(part) if isinstance(section, Mapping) else None
            if not isinstance(section, Mapping) or key in section:
                continue
            own = {path[len(way)] for path in KEYS if list(path[: len(way)]) == way}
            for each in section.keys() - own:
                if fields.nearest(each, [str(key)]):
                    said = f"{dotted((*way, each))}: {fields.unknown(each, [str(key)])}"
                    raise UsageError(f"{self._at((*way, each))}: {said}", fix=f"Call it {key}.") from error

    def checked(self) -> "Application":
        """Return this application, once its file is seen to be one's.

        Raises:
            UsageError: It is not YAML, lacks a key, or its values, or those of its model, are no mapping.
        """
        assert self.release
        for path in (("values",), EXAMPLE):
            value = self.values if path == EXAMPLE[:1] else self.values.get(EXAMPLE[1])
            if not isinstance(value, Mapping | None):
                raise UsageError(f"{self._at(path)}: {dotted(path)}: is no mapping", fix="Write keys below it.")
        return self

    def _at(self, path: KeyPath) -> str:
        """Return the place in the file that a key has."""
        return f"{self.file}:{places.values_line(self.content.decode('utf-8-sig'), path)}"

    def differing(self, release: Release) -> Release:
        """Return those of some values that differ from what runs."""
        return {key: value for key, value in release.items() if self.release[key] != value}

    def with_release(self, release: Release) -> "Application":
        """Return this application with these values set."""
        return replace(self, content=scalars.set_scalars(self.content, self.differing(release), self.file))

    def with_blocks(self, written: Blocks) -> "Application":
        """Return this application with these mappings in its file."""
        content = self.content
        for path, value in written.items():
            content = blocks.set_block(content, path, value, self.file)
        return replace(self, content=content)

    def carried(self, source: "Application") -> Blocks:
        """Return the known answer that comes with another's set; none where that has none of its own, or the same."""
        known = source.known_answer
        return {KNOWN_ANSWER: known} if known and known != self.known_answer else {}

    def promoted(self, source: "Application", release: Release) -> "Application":
        """Return this application as a promotion makes it: with a set, and the known answer that the source has of it.

        Args:
            source: The application where the set runs.
            release: The set, with the chart's revision as this application gets it.
        """
        return self.with_release(release).with_blocks(self.carried(source))

    @property
    def known_answer(self) -> Mapping[str, Any]:
        """The known answer that its own file has; empty where it has none."""
        found: Any = self._loaded
        for key in KNOWN_ANSWER:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    @property
    def model(self) -> Release:
        """What tells its model from others: the model's keys; the image's where that brings the model along."""
        own = MODEL if self.release[STORAGE_URI] else IMAGE
        return {key: self.release[key] for key in own}

    @property
    def place(self) -> Environment:
        """Its environment."""
        return self.project.environment(self.environment)

    @property
    def namespace(self) -> str:
        """Where it runs."""
        return self.place.namespace

    @property
    def soak(self) -> float:
        """Seconds it must be healthy here before it may move on."""
        return self.place.soak_seconds

    @functools.cached_property
    def values(self) -> Mapping[str, Any]:
        """The Helm values that the environment changes.

        Raises:
            UsageError: It has none, but a key that is written almost so: Argo CD would deploy it without them.
        """
        (key,) = EXAMPLE[:1]
        for each in self._loaded if key not in self._loaded else ():
            if fields.nearest(each, [key]):
                said = f"{each}: {fields.unknown(each, [key])}"
                raise UsageError(f"{self._at((each,))}: {said}", fix=f"Call it {key}.")
        return self._loaded.get(key) or {}

    @property
    def unread(self) -> Iterator[tuple[KeyPath, Sequence[str]]]:
        """Yield the way to each key of its file that nothing reads, with those that are read beside it.

        An ApplicationSet reads no other key, patched or not: `application_set` refuses what would.
        """
        sections = {str(section): [str(key) for of, key in KEYS if of == section] for section, _ in KEYS}
        known = [*sections, *EXAMPLE[:1]]
        yield from (((each,), known) for each in self._loaded if each not in known and not each.startswith(ASIDE))
        for section, keys in sections.items():
            yield from (((section, each), keys) for each in self._loaded[section] if each not in keys)

    @functools.cached_property
    def _loaded(self) -> Mapping[str, Any]:
        found = kubernetes_yaml.read(self.content, self.file)
        if not isinstance(found, Mapping | None):
            raise UsageError(f"{self.file}: not a mapping", fix="docs/gitops.md shows what a file has")
        return found or {}


async def project(snapshot: Snapshot) -> Project:
    """Return the project as a commit has it.

    Raises:
        UsageError: The commit has no project file, or one that is not what it should be.
    """
    content = await snapshot.read(projects.FILE)
    if content is None:
        repository = snapshot.repository
        file = repository.at(projects.FILE)
        if (repository.folder / file).is_file() and await repository.object_of(f"HEAD:{file}") is None:
            raise UsageError(f"{projects.FILE} is not committed", fix=f"git add {projects.FILE}, then git commit")
        raise UsageError(f"{projects.FILE}: no such file at {snapshot.commit[:12]}", fix="python ci/main.py migrate")
    return projects.parse(content)


def file_of(project: Project, environment: str, name: str) -> str:
    """Return the path of an application's file.

    Raises:
        UsageError: The environment is unknown, or the name is none.
    """
    project.environment(environment)
    require_name(name)
    return f"{project.paths.tree}/{environment}/{name}.yaml"


def asked(text: str) -> Asked:
    """Return what NAME or ENV/NAME asks for.

    Raises:
        UsageError: No application can have that name.
    """
    environment, slash, name = text.rpartition("/")
    require_name(name)
    return Asked(name, environment if slash else None)


def require_name(name: str) -> None:
    """Refuse a name that no application can have.

    Raises:
        UsageError: It has other characters, or stands for something else.
    """
    if name in RESERVED:
        raise UsageError(f"--app {name}: not the name of an application: {RESERVED[name]}")
    if not NAME.fullmatch(name):
        raise UsageError(f"--app {name}: not the name of an application ({NAMED})")


def clashes(applications: Iterable[Key]) -> dict[Key, Key]:
    """Return the applications whose Argo CD Application is called as another's, each with the first such other.

    An ApplicationSet that makes one name twice makes nothing at all. `x` in `live-us` and `us-x` in `live` do.

    Args:
        applications: Environment and name of each.
    """
    by_name: dict[str, list[Key]] = {}
    for key in applications:
        by_name.setdefault(_argo_name(*key), []).append(key)
    return {
        key: next(other for other in same if other != key) for same in by_name.values() if len(same) > 1 for key in same
    }


def clash(key: Key, other: str) -> str:
    """Return what is wrong with one of two applications of one name.

    Args:
        key: Its environment and name.
        other: The file of the other one.
    """
    return f"Argo CD would call it {_argo_name(*key)}, and {other} as well"


def _argo_name(environment: str, name: str) -> str:
    return f"{environment}-{name}"


async def load(snapshot: Snapshot, environment: str, name: str | None = None) -> Application:
    """Return an application of an environment; its name may be left out where there is one only.

    Raises:
        UsageError: There is none of that name, or more than one to choose from; or Argo CD reads another file.
    """
    own = await project(snapshot)
    if name is None:
        known = await names(snapshot, environment)
        if len(known) != 1:
            folder = f"{own.paths.tree}/{environment}"
            raise UsageError(
                f"{folder} has {len(known)} applications",
                fix=f"--app, one of {', '.join(known[:10])}" if known else f"Add {folder}/NAME.yaml",
            )
        name = known[0]
    file = file_of(own, environment, name)
    content = await snapshot.read(file)
    if content is None:
        known = await names(snapshot, environment)
        raise UsageError(
            f"{file}: no such file at {snapshot.commit[:12]}",
            fix=f"{environment} has {', '.join(known[:10]) or 'none'}.",
        )
    await attributes.require_none(snapshot.repository, snapshot.commit, [file])
    return read(own, environment, name, content)


async def destination(snapshot: Snapshot, environment: str, source: Application) -> Application:
    """Return the application that a promotion writes to: as it is there, or a new one with the set and its values.

    Which server a model needs stands in those: without them another one would be deployed than was proven.

    Args:
        snapshot: The tree.
        environment: Where it is promoted to.
        source: The application where the set runs.

    Raises:
        UsageError: The environment is unknown, or Argo CD would call the new one as it calls another.
    """
    own = await project(snapshot)
    content = await snapshot.read(file_of(own, environment, source.name))
    if content is not None:
        return read(own, environment, source.name, content)
    key = environment, source.name
    known = [(each, name) for each in own.names for name in await names(snapshot, each)]
    if other := clashes([*known, key]).get(key):
        raise UsageError(f"{file_of(own, *key)}: {clash(key, file_of(own, *other))}")
    data = {
        section: {name: source.release[path] for path in paths for name in map(str, path[1:])}
        for section, paths in (("chart", CHART), ("model", MODEL), ("image", IMAGE))
    }
    text = yaml.dump({**data, "values": dict(source.values)}, Dumper=scalars.Dumper, sort_keys=False, width=sys.maxsize)
    head = f"# {source.name} in {environment}, begun by a promotion from {source.environment}.\n"
    return read(own, environment, source.name, (head + text).encode())


def read(project: Project, environment: str, name: str, content: bytes) -> Application:
    """Return an application by its file.

    Raises:
        UsageError: It says what stands in the project file now.
    """
    application = Application(project, environment, name, content)
    for key in OLD:
        if key.encode() in content and (line := places.values_line(content.decode(errors="replace"), (key,))):
            raise UsageError(
                f"{application.file}:{line}: {key}: stands in {projects.FILE} now, once for the environment",
                fix="python ci/main.py migrate",
            )
    return application


async def names(snapshot: Snapshot, environment: str) -> Sequence[str]:
    """Return the names of an environment's applications."""
    folder = file_of(await project(snapshot), environment, "any").rpartition("/")[0]
    entries = await snapshot.entries(folder)
    return sorted(name.removesuffix(".yaml") for name in entries if name.endswith(".yaml") and name != VALUES)


async def read_ahead(snapshot: Snapshot, environment: str) -> None:
    """Have all applications of an environment read in one go, for who loads them all."""
    await snapshot.read_ahead(file_of(await project(snapshot), environment, "any").rpartition("/")[0])


async def chart(snapshot: Snapshot, commit: str) -> str | None:
    """Return git's name for the chart at a commit, as `dependencies.identity` has it; None where there is none."""
    return await dependencies.identity(snapshot.repository, commit, (await project(snapshot)).paths.chart)


async def chart_commit(snapshot: Snapshot, application: Application, remote: str = git.REMOTE) -> str:
    """Return the commit whose chart an application gets: what follows the branch is where it will be after the merge.

    Args:
        snapshot: The tree that has the application.
        application: The application.
        remote: Whose branches the other revisions are.

    Raises:
        UsageError: There is no such commit, or Argo CD does not read the revision.
    """
    revision = application.release[CHART[0]]
    try:
        if revision == git.HEAD:
            await snapshot.repository.require_head(snapshot.branch, remote)
        if snapshot.follows(revision):
            return snapshot.commit
        commit = await snapshot.repository.followed(revision, remote)
    except UsageError as error:
        raise UsageError(f"{application.file}: {error.message}", fix=error.fix) from error
    if commit is None:
        raise UsageError(
            f"{application.file}: chart.revision {revision} is not in {snapshot.repository.folder}",
            fix=f"git fetch {remote} {revision}",
        )
    return commit


def called(release: Release) -> str:
    """Return what a set is called: by its model's version, or by its image, where that brings the model along."""
    version, tag = release[VERSION], release["image", "tag"]
    return f"model {version}" if version else f"image {tag}"


def image(release: Release) -> str:
    """Return the full reference of a release's image, by digest where it is pinned."""
    repository, tag, digest = (release[key] for key in IMAGE)
    return f"{repository}:{tag}" + (f"@{digest}" if digest else "")


def unpinned(release: Release) -> Iterator[Unpinned]:
    """Yield what of a set is not pinned by its digest; a model that the image brings along is pinned with that."""
    if (uri := release[STORAGE_URI]) and not release[MODEL_DIGEST]:
        said = f"{uri} is not pinned, and what lies there can be replaced"
        to = f"{release['model', 'version']} --digest sha256:HEX"
        yield Unpinned(MODEL_DIGEST, said, "model", to, f"python ci/main.py digest {uri}")
    *_, tag, digest = (release[key] for key in IMAGE)
    if not digest:
        reference = image(release)
        said = f"{reference} is not pinned, and a tag can be moved"
        yield Unpinned(IMAGE[2], said, "image", f"{tag}@sha256:DIGEST", f"crane digest {reference}")


def dotted(path: KeyPath) -> str:
    """Return a key path as people write it ("model.version")."""
    return ".".join(map(str, path))


def changes(old: Release, new: Release) -> list[str]:
    """Return a line for each value that differs."""
    return [f"{dotted(key)}: {old[key] or '(none)'} → {new[key] or '(none)'}" for key in KEYS if old[key] != new[key]]
