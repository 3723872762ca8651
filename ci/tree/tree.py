"""The tree that Argo CD watches: a folder an environment, in it a file an application."""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from ci.base import duration, paths
from ci.base.errors import UsageError
from ci.tree import scalars as edit
from ci.tree.git import Snapshot
from ci.tree.scalars import KeyPath

FOLDER = "gitops"
CHART_FOLDER = paths.CHART.relative_to(paths.ROOT).as_posix()
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?")

CHART = (("chart", "revision"),)
MODEL_DIGEST = ("model", "digest")
"""The one key that a file may lack: its model is not pinned then."""
MODEL = (("model", "version"), ("model", "storageUri"), MODEL_DIGEST)
IMAGE = (("image", "repository"), ("image", "tag"), ("image", "digest"))
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
KEYS: tuple[KeyPath, ...] = (*CHART, *MODEL, *IMAGE)
"""The set that is verified, and moves, as one."""

Release = Mapping[KeyPath, str]
"""Value of each of `KEYS`."""


@dataclass(frozen=True)
class Application:
    """One application in one environment.

    Attributes:
        environment: "dev", "staging" or "prod".
        name: The model's InferenceService, and the release of the chart.
        content: The file, byte for byte.
    """

    environment: str
    name: str
    content: bytes

    @property
    def file(self) -> str:
        """The file's path in the tree."""
        return file_of(self.environment, self.name)

    @property
    def argo_name(self) -> str:
        """The name of its Argo CD Application, as the ApplicationSet makes it."""
        return f"{self.environment}-{self.name}"

    @functools.cached_property
    def release(self) -> Release:
        """What runs: chart revision, model and image."""
        release = edit.read(self.content, [key for key in KEYS if key != MODEL_DIGEST], self.file)
        if MODEL_DIGEST[1] not in self._loaded[MODEL_DIGEST[0]]:
            return {**release, MODEL_DIGEST: ""}
        return {**release, **edit.read(self.content, [MODEL_DIGEST], self.file)}

    def differing(self, release: Release) -> Release:
        """Return those of some values that differ from what runs."""
        return {key: value for key, value in release.items() if self.release[key] != value}

    def with_release(self, release: Release) -> "Application":
        """Return this application with these values set."""
        return replace(self, content=edit.set_scalars(self.content, self.differing(release), self.file))

    @property
    def namespace(self) -> str:
        """Where it runs."""
        return self._text("namespace")

    @property
    def soak(self) -> float:
        """Seconds it must be healthy here before it may move on."""
        return duration.seconds(self._text("promotion", "soak"))

    @functools.cached_property
    def values(self) -> Mapping[str, Any]:
        """The Helm values that the environment changes."""
        return self._loaded.get("values") or {}

    @functools.cached_property
    def _loaded(self) -> Mapping[str, Any]:
        return yaml.load(self.content, yaml.CSafeLoader) or {}

    def _text(self, *path: str) -> str:
        return edit.read(self.content, [path], self.file)[path]


def file_of(environment: str, name: str) -> str:
    """Return the path of an application's file.

    Raises:
        UsageError: The environment is unknown, or the name is none.
    """
    if environment not in paths.ENVIRONMENTS:
        raise UsageError(f"{environment}: not one of the environments {', '.join(paths.ENVIRONMENTS)}")
    if not NAME.fullmatch(name):
        raise UsageError(f"--app {name}: not the name of an application (lower-case letters, digits and dashes)")
    return f"{FOLDER}/{environment}/{name}.yaml"


async def load(snapshot: Snapshot, environment: str, name: str | None = None) -> Application:
    """Return an application of an environment; its name may be left out where there is one only.

    Raises:
        UsageError: There is none of that name, or more than one to choose from.
    """
    if name is None:
        known = await names(snapshot, environment)
        if len(known) != 1:
            said = f"{FOLDER}/{environment} has {len(known)} applications"
            raise UsageError(
                said, fix=f"--app, one of {', '.join(known[:10])}" if known else f"Add {FOLDER}/{environment}/NAME.yaml"
            )
        name = known[0]
    file = file_of(environment, name)
    content = await snapshot.read(file)
    if content is None:
        known = await names(snapshot, environment)
        raise UsageError(
            f"{file}: no such file at {snapshot.commit[:12]}",
            fix=f"{environment} has {', '.join(known[:10]) or 'none'}.",
        )
    return Application(environment, name, content)


async def names(snapshot: Snapshot, environment: str) -> Sequence[str]:
    """Return the names of an environment's applications."""
    folder = file_of(environment, "any").rpartition("/")[0]
    entries = await snapshot.entries(folder)
    return sorted(name.removesuffix(".yaml") for name in entries if name.endswith(".yaml"))


async def chart(snapshot: Snapshot, commit: str) -> str | None:
    """Return git's name for the chart's content at a commit: the same for the same files; None where there is none."""
    return await snapshot.repository.object_of(f"{commit}:{CHART_FOLDER}")


def image(release: Release) -> str:
    """Return the full reference of a release's image, by digest where it is pinned."""
    repository, tag, digest = (release[key] for key in IMAGE)
    return f"{repository}:{tag}" + (f"@{digest}" if digest else "")


def dotted(path: KeyPath) -> str:
    """Return a key path as people write it ("model.version")."""
    return ".".join(map(str, path))


def changes(old: Release, new: Release) -> list[str]:
    """Return a line for each value that differs."""
    return [f"{dotted(key)}: {old[key] or '(none)'} → {new[key] or '(none)'}" for key in KEYS if old[key] != new[key]]
