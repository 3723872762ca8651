"""`bump`: one component of one application to another version."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ci.base import tasks
from ci.base.errors import UsageError
from ci.release import break_glass, taken_back
from ci.tree import quarantine, taken, tree
from ci.tree.git import Snapshot
from ci.tree.message import message
from ci.tree.scalars import KeyPath
from ci.tree.tree import Application, Blocks, Release
from ci.tree.writeback import Edit

IMAGE = re.compile(
    r"(?:(?P<repository>[a-z0-9][a-z0-9._:/-]*):)?(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})@(?P<digest>sha256:[0-9a-f]{64})"
)
"""[REPOSITORY:]TAG@DIGEST, by the grammar of distribution's references."""

URI = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\x00-\x1f]+")
PINNED = re.compile(r"@[a-z0-9]+:[0-9a-f]{32,}$")
"""The digest of an `oci://` model: its tag is a name beside it."""
HOW_TO_PIN = "python ci/main.py digest PATH|URI prints it."
SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Bump:
    """What is asked for.

    Attributes:
        component: "image" or "model".
        environment: Where.
        to: TAG@DIGEST for an image; a version, or a storageUri, for a model.
        digest: Of the model's files; empty leaves them unpinned.
        application: Which; may be left out where the environment has one only.
        why: The reason, for the commit.
        evidence: Where it can be checked.
        helm: The executable that renders the result.
        version: What the version of a storageUri is called; as the URI has it by default.
        over_revert: Why it is wanted again though a person took it back; None: then it is refused.
        break_glass: Why a protected environment gets it without evidence; None where no such reason is given.
    """

    component: str
    environment: str
    to: str
    digest: str
    application: str | None
    why: str
    evidence: str
    helm: Path
    version: str = ""
    over_revert: str | None = None
    break_glass: str | None = None

    async def edit(self, snapshot: Snapshot) -> Edit | None:
        """Return the edit, or None where the value is there already.

        Raises:
            UsageError: The value is no version, the tree has no such key, or the environment is protected.
            QuarantinedError: It failed before.
            TakenBackError: A person took it back.
            CheckFailedError: The chart does not take the result.
        """
        application = await tree.load(snapshot, self.environment, self.application)
        refused = _protected(application) if application.place.protected else None
        trailers = break_glass.require(application.place, self.break_glass, refused)
        values = application.differing(wanted(application, self.component, self.to, self.digest, self.version))
        if not values:
            return None
        release = {**application.release, **values}
        async with tasks.ahead(functools.partial(self._rendered, snapshot, application, values)) as rendered:
            await quarantine.require_free(snapshot, application.environment, application.name, release)
            again = await taken_back.require_wanted(snapshot, application, release, self.over_revert)
            known = await rendered()
        name = release[("model", "version")] if self.component == "model" else release[("image", "tag")]
        return Edit(
            application.file,
            values,
            message(
                f"Bump {application.name} {self.component} in {application.environment} to {name}",
                application,
                "bump",
                [*tree.changes(application.release, release), *again.lines],
                self.why,
                self.evidence,
                {**trailers, **again.trailers},
            ),
            blocks=known,
        )

    async def _rendered(self, snapshot: Snapshot, application: Application, values: Release) -> Blocks:
        """Return the known answer that comes with new values, once the chart is seen to take both."""
        another_model = bool(values.keys() & application.model.keys())  # which an image may bring along
        known = await _known_answer(snapshot, application) if another_model else {}
        bumped = application.with_release(values).with_blocks(known)
        await taken.require(snapshot, self.helm, bumped, await snapshot.resolve(bumped.release[tree.CHART[0]]))
        return known


def _protected(application: Application) -> UsageError:
    environment, name = application.environment, application.name
    sources = application.project.evidence_for(environment)
    promotes = [
        f"promote --from {each} --to {environment} --app {name} --evidence FILE --public-key FILE" for each in sources
    ]
    return UsageError(
        f"--env {environment}: it is protected, and takes only what is proven",
        fix="; or ".join([*promotes, '--break-glass "REASON", which the commit says']),
    )


def wanted(
    application: Application, component: str, to: str, digest: str = "", version: str = ""
) -> Mapping[KeyPath, str]:
    """Return the values that a component's keys get.

    Raises:
        UsageError: `to` is not a version of such a component, or `digest` or `version` are none of a model.
    """
    if component == "image":
        if digest:
            raise UsageError(f"--digest {digest}: an image's is in --to TAG@sha256:DIGEST")
        if version:
            raise UsageError(f"--version {version}: an image's is its tag, in --to TAG@sha256:DIGEST")
        return _image(application, to)
    if component == "model":
        moved = _model(application, to, version)
        return {**moved, tree.MODEL_DIGEST: _digest(application, moved, digest)}
    raise UsageError(f"bump {component}: not one of image, model")


def _image(application: Application, to: str) -> Mapping[KeyPath, str]:
    found = IMAGE.fullmatch(to)
    repository = application.release[("image", "repository")]
    if not found:
        raise UsageError(
            f"--to {to}: not TAG@sha256:DIGEST",
            fix=f"A tag can be moved, a digest cannot: crane digest {repository}:TAG prints it.",
        )
    if found["repository"] not in (None, repository):
        raise UsageError(
            f"--to {to}: {application.file} runs {repository}",
            fix=f"Change image.repository in {application.file} first.",
        )
    return {("image", "tag"): found["tag"], ("image", "digest"): found["digest"]}


def _model(application: Application, to: str, name: str) -> Mapping[KeyPath, str]:
    """Put a version into the URI where the present one stands, or take the version out of a URI at that place.

    Args:
        application: The application.
        to: A version, or a whole URI.
        name: What the version of a URI is called; as the URI has it by default.
    """
    version, uri = (application.release["model", key] for key in ("version", "storageUri"))
    if name and not SEGMENT.fullmatch(name):
        raise UsageError(f"--version {name}: not a version: letters, digits, dots, dashes and underscores")
    if to in (version, uri) and name in ("", version):  # the model that is there: its digest alone may be another
        return {tree.VERSION: version, ("model", "storageUri"): uri}
    places = _places(uri, version) if uri else []
    if URI.fullmatch(to):
        said = name or (places[0].version(to) if len(places) == 1 else "")
        if not said:
            as_now = f" as {uri} says {version}" if uri else ""
            raise UsageError(f"--to {to}: does not say its version{as_now}", fix="--version NAME says it.")
        return {tree.VERSION: said, ("model", "storageUri"): to}
    if not SEGMENT.fullmatch(to):
        raise UsageError(f"--to {to}: neither a version nor a URI", fix="A URI begins with its scheme, such as s3://")
    if not uri:
        raise UsageError(
            f"{application.file}: model.storageUri is empty: the image brings the model along",
            fix=f"bump image --env {application.environment} --app {application.name} --to TAG@sha256:DIGEST; "
            "or for a model beside the image --to URI --version NAME",
        )
    if name:
        raise UsageError(f"--version {name}: --to {to} is a version already", fix="Leave --version out.")
    if len(places) != 1:
        raise UsageError(
            f"{application.file}: model.version {version} stands {len(places)} times in model.storageUri {uri}",
            fix="--to URI --version NAME, with the whole URI",
        )
    if PINNED.search(uri):
        raise UsageError(
            f"{application.file}: model.storageUri {uri} has a digest, which says what is served",
            fix=f"--to URI --version {to}, with the whole URI",
        )
    return {tree.VERSION: to, ("model", "storageUri"): places[0].uri(to)}


@dataclass(frozen=True)
class _Place:
    """Where a URI says a version: in one of its segments, or as one."""

    segments: tuple[str, ...]
    index: int
    before: str
    after: str

    def uri(self, version: str) -> str:
        """Return the URI of another version."""
        segments = [*self.segments]
        segments[self.index] = f"{self.before}{version}{self.after}"
        return "/".join(segments)

    def version(self, uri: str) -> str:
        """Return the version that another URI says there; empty where it says none."""
        segments = uri.split("/")
        segment = segments[self.index] if len(segments) == len(self.segments) else ""
        found = segment.removeprefix(self.before).removesuffix(self.after)
        whole = f"{self.before}{found}{self.after}" == segment
        return found if whole and SEGMENT.fullmatch(found) else ""


def _places(uri: str, version: str) -> list[_Place]:
    """Return where a URI says a version: as a segment ("/1.0/") and within those behind it, or within any ("m:1.0")."""
    segments = tuple(uri.split("/"))
    # 1.0 is no part of 11.0, of 1.0.1 or of v1.0rc
    alone = re.compile(rf"(?<![A-Za-z0-9.]){re.escape(version)}(?![A-Za-z0-9]|\.[0-9])")
    found = [
        _Place(segments, index, segment[: place.start()], segment[place.end() :])
        for index, segment in enumerate(segments)
        for place in alone.finditer(segment)
        if version
    ]
    first = next((each.index for each in found if each.segments[each.index] == version), 0)
    return [each for each in found if each.index >= first]


def _digest(application: Application, moved: Mapping[KeyPath, str], digest: str) -> str:
    """Return the digest that goes with a model: a pinned one is never lost by leaving out an option."""
    pinned = application.release[tree.MODEL_DIGEST]
    if digest and not tree.DIGEST.fullmatch(digest):
        raise UsageError(f"--digest {digest}: not sha256: and 64 hexadecimal digits", fix=HOW_TO_PIN)
    if digest or not pinned:
        return digest
    if application.differing(moved):
        raise UsageError(
            f"{application.file} pins its model's files, and --to is another model: --digest is missing", fix=HOW_TO_PIN
        )
    return pinned


async def _known_answer(snapshot: Snapshot, application: Application) -> Blocks:
    """Return the chart's known answer as the application's golden file has it; nothing where that names none."""
    file = application.project.paths.golden_file(application.name)
    content = await snapshot.read(file)
    if content is None:
        return {}
    from ci.behaviour import golden, known_answer  # many applications have no golden file

    found = known_answer.known_answer(golden.of_bytes(content, file), application.name)
    return {} if found is None else {tree.KNOWN_ANSWER: found}
