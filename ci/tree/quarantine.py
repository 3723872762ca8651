"""Releases that failed: refused by name until somebody removes their file from git.

An entry is a file of its own, TREE/quarantine/APPLICATION/NAME.yaml, so two of them never conflict and lifting one is
a `git rm`. It holds the values that the failed change brought; a release is refused when it has all of that.
"""

import contextlib
import hashlib
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from ci.base import jsonfile
from ci.base.errors import CheckFailedError, UsageError
from ci.manifests import kubernetes_yaml
from ci.project import Project
from ci.tree import scalars, tree, worktree
from ci.tree.git import Snapshot
from ci.tree.listing import FOLDER
from ci.tree.scalars import KeyPath
from ci.tree.tree import KEYS, Application, Release, dotted

PARTS = (tree.CHART, tree.MODEL, tree.IMAGE)
DIGESTS = frozenset(tree.DIGESTS)


class QuarantinedError(CheckFailedError):
    """The release failed before and nobody has lifted its quarantine."""


@dataclass(frozen=True)
class Entry:
    """One quarantined change.

    Attributes:
        application: Whose.
        environment: Where it failed.
        values: What it brought, by dotted key.
        reason: Why, for people.
        since: When, as ISO 8601 in UTC.
        measurements: What the analysis measured, a line each.
        revision: Pod-template hash of the canary that was aborted, where that is why.
        back: The set that the environment went back to, by dotted key; empty in an entry of before this was written.
    """

    application: str
    environment: str
    values: Mapping[str, str]
    reason: str
    since: str
    measurements: Sequence[str] = ()
    revision: str = ""
    back: Mapping[str, str] = field(default_factory=dict)

    __pydantic_config__ = ConfigDict(extra="forbid")

    def file(self, project: Project) -> str:
        """Return the entry's path in a project: the same change has the same file."""
        digest = hashlib.sha256(repr(sorted(self.values.items())).encode()).hexdigest()[:12]
        return f"{folder_of(project, self.application)}/{digest}.yaml"

    def matches(self, release: Release) -> bool:
        """Tell whether a release has all that failed: chart, model and image, as far as this entry names them.

        A model or an image is the same by its digest, whatever it is called, where both have one; else by its name,
        which of a model is its storageUri, whatever its version is called, where what was gone back to had another.
        """
        return all(self._has(release, part) for part in PARTS if any(dotted(key) in self.values for key in part))

    def _has(self, release: Release, part: Sequence[KeyPath]) -> bool:
        named = [key for key in part if dotted(key) in self.values and not (key == tree.VERSION and self._is_by_uri)]
        return same({key: self.values[dotted(key)] for key in named}, release)

    @property
    def _is_by_uri(self) -> bool:
        uri = dotted(tree.STORAGE_URI)
        return uri in self.values and self.back.get(uri, self.values[uri]) != self.values[uri]

    def returned_to(self, model: Release) -> bool:
        """Tell whether it is what an environment went back by, from another model to this one."""
        keys = {dotted(key): value for key, value in model.items()}
        return bool(keys.keys() & self.values.keys()) and keys.items() <= self.back.items()

    def content(self, project: Project) -> bytes:
        """Return the file."""
        data = {
            "application": self.application,
            "environment": self.environment,
            "since": self.since,
            "reason": self.reason,
            "revision": self.revision,
            "values": dict(self.values),
            "back": dict(self.back),
            "measurements": list(self.measurements),
        }
        head = f"# Refused by bump and promote. To lift: git rm {self.file(project)}\n"
        dumped = yaml.dump(data, Dumper=scalars.Dumper, sort_keys=False, allow_unicode=True, width=120)
        return f"{head}{dumped}".encode()


def same(part: Release, release: Release) -> bool:
    """Tell whether a release has a model or an image: by the digest where both have one, else by its name.

    Args:
        part: What is known of it; a digest alone is enough.
        release: The release.
    """
    digest = next((key for key in part if key in DIGESTS), None)
    if digest is not None and (len(part) == 1 or (part[digest] and release[digest])):
        return release[digest] == part[digest]
    return all(_spelt(release[key]) == _spelt(value) for key, value in part.items() if key != digest)


def _spelt(value: str) -> str:
    """Return a URI as any other spelling of the same place has it; what is none as it is."""
    scheme, found, path = value.partition("://")
    return f"{scheme}://{posixpath.normpath(path)}" if found else value


def failed(bad: Release, good: Release) -> Mapping[str, str]:
    """Return what names the parts of a set that failed, by dotted key: those in which it differs from a good one.

    A part whose name is another one is named in full. A digest names it besides, or alone, where the good one has not
    the same: else the entry would refuse the good one, too. Where the good one has that name and no digest, it may be
    the very same: it failed only if nothing else did.

    Args:
        bad: The set that failed.
        good: The one that is gone back to.
    """
    values: dict[str, str] = {}
    pinned: dict[str, str] = {}
    for part in PARTS:
        name = [key for key in part if key not in DIGESTS]
        renamed = any(bad[key] != good[key] for key in name)
        digests = [key for key in part if key in DIGESTS and bad[key] != good[key] and (bad[key] or not renamed)]
        same = digests and not renamed and not any(good[key] for key in digests)
        (pinned if same else values).update({dotted(key): bad[key] for key in [*(name if renamed else []), *digests]})
    return values or pinned


def folder_of(project: Project, application: str) -> str:
    """Return the folder of an application's entries."""
    return f"{project.paths.tree}/{worktree.QUARANTINE}/{application}"


async def entries(snapshot: Snapshot, application: str) -> list[Entry]:
    """Return what is quarantined of an application; what else people put into its folder is theirs.

    Raises:
        UsageError: A file is no entry: whatever it was to refuse, nothing else does.
    """
    return [*(await _by_file(snapshot, application)).values()]


async def _of_the_gone(snapshot: Snapshot, environment: str) -> dict[str, Entry]:
    """Return the entries of applications that an environment does not have, of what is told by a digest."""
    folder = PurePosixPath(folder_of(await tree.project(snapshot), "any")).parent
    if worktree.QUARANTINE not in await snapshot.entries(str(folder.parent)):
        return {}
    there, found = await tree.names(snapshot, environment), {}
    for name, mode in (await snapshot.entries(str(folder))).items():
        if mode == FOLDER and name not in there:
            with contextlib.suppress(UsageError):  # what is none of this application's holds it up by no mistake
                found.update(await _by_file(snapshot, name))
    return {file: entry for file, entry in found.items() if _is_by_digest(entry)}


def _is_by_digest(entry: Entry) -> bool:
    """Tell whether all that an entry names has a digest, which is nobody else's."""
    named = [part for part in PARTS if any(dotted(key) in entry.values for key in part)]
    return all(any(entry.values.get(dotted(key)) for key in DIGESTS.intersection(part)) for part in named)


async def _by_file(snapshot: Snapshot, application: str) -> dict[str, Entry]:
    """Return what is quarantined of an application, by the entries' files."""
    folder = PurePosixPath(folder_of(await tree.project(snapshot), application))
    for place in (folder.parent, folder):
        mode = (await snapshot.entries(str(place.parent))).get(place.name)
        if mode is None:
            return {}
        if mode != FOLDER:
            raise UsageError(f"{place}: not a folder (git mode {mode})", fix=f"git log -p -- {place}")
    files = [f"{folder}/{name}" for name in await snapshot.entries(str(folder)) if name.endswith(".yaml")]
    return {file: read(await snapshot.read(file) or b"", file) for file in files}


def read(content: bytes, file: str) -> Entry:
    """Return an entry by its file.

    Args:
        content: Of the file.
        file: What errors call it.

    Raises:
        UsageError: It is none.
    """
    found = kubernetes_yaml.read(content, file)
    try:
        entry = TypeAdapter(Entry).validate_python(found)
    except ValidationError as error:
        said = jsonfile.first_error(error)
    else:
        said = _wrong(entry, PurePosixPath(file).parent.name)
        if not said:
            return entry
    raise UsageError(f"{file}: no entry of the quarantine: {said}", fix=f"git log -p -- {file}")


def _wrong(entry: Entry, folder: str) -> str:
    """Return what is wrong with an entry, which is read for the application that its folder is called as."""
    if entry.application != folder:
        return f"application: {entry.application} is not {folder}, whose folder it is in"
    unknown = entry.values.keys() - {dotted(key) for key in KEYS}
    if entry.values and not unknown:
        return ""
    return f"values: {', '.join(sorted(unknown)) or 'nothing'} is no part of a set"


def readable(contents: Mapping[str, bytes]) -> list[Entry]:
    """Return the entries of files, by their paths, but for those that are none: whoever needs one names it."""
    found = []
    for file, content in contents.items():
        with contextlib.suppress(UsageError):
            found.append(read(content, file))
    return found


async def answered(snapshot: Snapshot, application: Application, revision: str) -> bool:
    """Tell whether an abort already had its rollback, though the Rollout may still show it.

    Model and image alone cannot tell where only the chart's revision failed: before and after are alike in the pods.

    Args:
        snapshot: The tree.
        application: As that tree has it.
        revision: Pod-template hash of the canary that was aborted.
    """
    return any(
        (entry.environment, entry.revision) == (application.environment, revision)
        and not entry.matches(application.release)
        for entry in await entries(snapshot, application.name)
    )


async def require_free(snapshot: Snapshot, environment: str, application: str, release: Release) -> None:
    """Refuse a release that is quarantined: of the application, or of one that is gone, which may be the same renamed.

    Args:
        snapshot: The tree.
        environment: Where it is to run.
        application: Its name there.
        release: What is to run.

    Raises:
        QuarantinedError: It is; the error names the entry and how it is lifted.
    """
    for file, entry in {**await _by_file(snapshot, application), **await _of_the_gone(snapshot, environment)}.items():
        if entry.matches(release):
            what = ", ".join(f"{key} {value}" for key, value in entry.values.items() if value)
            raise QuarantinedError(
                f"{what} is quarantined since {entry.since}: it failed in {entry.environment} ({entry.reason})",
                fix=f"Once it is safe: git rm {file}, commit and push, then run this again.",
                detail="\n".join(entry.measurements),
            )
