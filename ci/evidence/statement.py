"""The statement (in-toto Statement v1) that a run makes, field by field as docs/evidence.md has it.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

import hashlib
import json
from typing import Annotated, Literal, get_args

import pydantic
from pydantic import AwareDatetime, Field

from ci.base import jsonfile
from ci.evidence.envelope import EvidenceError, Strict
from ci.manifests import kubernetes_yaml
from ci.tree import tree
from ci.tree.tree import Release

StatementType = Literal["https://in-toto.io/Statement/v1"]
PredicateType = Literal["https://github.com/example/ml-serving-ci/attestation/test-run/v4"]
"""A change of what a field means, or of which there are, is another version."""
UNVERSIONED, _, VERSION = get_args(PredicateType)[0].rpartition("/")

Name = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]
SHA256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Pinned = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
"""A digest as a set has it, and a reference to an image."""
GitObject = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]

PINS = "pins.toml"
"""The tool's own: every tool and image of a run by version and digest."""
EVIDENCE, REPORT, SBOM = "evidence.dsse.json", "report.json", "sbom.cdx.json"
"""Files of the report's folder."""


class Digest(Strict):
    """The digest of bytes."""

    sha256: SHA256


class Artefact(Strict):
    """Something that has a digest; each is named once in a statement.

    Attributes:
        name: A file of the report's folder, PINS, the project file, or one of `manifests`, `onward`, `image` and
            `model` below.
        digest: Of its bytes; of an image's manifest; of rendered manifests, see `manifests_digest`.
    """

    name: Name
    digest: Digest


class GitTree(Strict):
    """Git's own name for the content of a folder."""

    git_tree: GitObject = Field(alias="gitTree")


class GitCommit(Strict):
    """Git's own name for a commit."""

    git_commit: GitObject = Field(alias="gitCommit")


class Tool(Strict):
    """What tested.

    Attributes:
        name: The package's.
        version: The package's.
        commit: The commit that is checked out where the tool is, where that is a git checkout.
        digest: Of the listing of its files and of the tests that it runs, see `ci.evidence.tool`.
    """

    name: Name
    version: Name
    commit: GitCommit | None
    digest: Digest


class Folder(Strict):
    """A folder of the repository, as it was on disk while it was tested; its name is its path there."""

    name: Name
    digest: GitTree


class Project(Strict):
    """What was tested.

    Attributes:
        digest: The commit that was checked out.
        file: The project file; its name is its path in the repository.
        folders: What the run read of the repository: changes that were not committed show here.
    """

    digest: GitCommit
    file: Artefact
    folders: tuple[Folder, ...]


class Cluster(Strict):
    """A cluster that was there before the run.

    Attributes:
        context: What the kubeconfig called it.
        server: Address of its API server.
        uid: Of its namespace kube-system, which no two clusters share.
    """

    context: Name
    server: Name
    uid: Name


class Platform(Strict):
    """The part of a run that takes the sample through every stage.

    Attributes:
        environment: Whose values it deployed.
        chart: The chart that it installed.
    """

    environment: Name
    chart: GitTree


class Served(Strict):
    """A set as it was served.

    Attributes:
        release: The set that moves as one, by the keys of the application's file ("model.version").
        model: Digest of the files that were served; None where the image brings its model along.
        image: Digest of the image that was served.
        built: Whether that image was built for the run, and is not the published one.
    """

    release: dict[str, str]
    model: Pinned | None
    image: Pinned
    built: bool


class Sets(Strict):
    """What was served of an application.

    Attributes:
        champion: What the candidate was held against; None where there was none.
        candidate: The set that is proven.
    """

    champion: Served | None
    candidate: Served


class Golden(Strict):
    """The golden file, and whether the candidate's answers are as it asks for."""

    digest: Digest
    passed: bool


class Application(Strict):
    """What was proven of one application in one environment.

    Attributes:
        environment: Whose values it had.
        name: Its name.
        chart: The chart at chart.revision; a branch there stands for the checkout under test.
        served: The sets.
        golden: The golden file; None where the application has none.
        canary: Last phase of the Rollout from champion to candidate; None where there was none.
        back: Whether the champion's set was put back, and answered.
        overlay: What the cluster under test changed, a line each: KEY: OLD → NEW (throwaway.KEY, or cluster.KEY).
        rules: What was not done as for any change, a sentence each.
    """

    environment: Name
    name: Name
    chart: GitTree
    served: Sets
    golden: Golden | None
    canary: Name | None
    back: bool
    overlay: tuple[Name, ...]
    rules: tuple[Name, ...]


class Suite(Strict):
    """The tests of one stage.

    Attributes:
        stage: The stage.
        expected: How many there are, listed by name before they ran.
        passed: How many passed, each at its one attempt.
        failed: How many failed.
        skipped: Those that were skipped, by node id, each with its reason.
    """

    stage: Name
    expected: Count
    passed: Count
    failed: Count
    skipped: dict[str, str]


class Predicate(Strict):
    """What a run did.

    Attributes:
        started: When the run began.
        finished: When it was over.
        supply: How tools and images were got.
        stages: The stages that passed. None failed, or there would be no statement.
        suites: The tests of each stage that runs tests.
        tool: What tested.
        project: What was tested.
        cluster: Where it ran; None on a throw-away cluster, which the run made.
        platform: The platform part; None where only applications were tested.
        applications: Every application that was served.
    """

    started: AwareDatetime
    finished: AwareDatetime
    supply: Literal["upstream", "source"]
    stages: tuple[Name, ...]
    suites: tuple[Suite, ...]
    tool: Tool
    project: Project
    cluster: Cluster | None
    platform: Platform | None
    applications: tuple[Application, ...]


class Statement(Strict):
    """The in-toto statement of a green run."""

    type_: StatementType = Field(alias="_type")
    predicate_type: PredicateType = Field(alias="predicateType")
    subject: Annotated[tuple[Artefact, ...], Field(min_length=1)]
    predicate: Predicate


def made(subject: tuple[Artefact, ...], predicate: Predicate) -> Statement:
    """Return the statement of these artefacts."""
    return Statement(
        _type=get_args(StatementType)[0],
        predicateType=get_args(PredicateType)[0],
        subject=subject,
        predicate=predicate,
    )


def written(statement: Statement) -> bytes:
    """Return a statement as JSON."""
    return statement.model_dump_json(by_alias=True).encode()


def read(payload: bytes, name: str = "evidence") -> Statement:
    """Return the statement of a payload.

    Args:
        payload: JSON.
        name: What errors call the file.

    Raises:
        EvidenceError: A field is missing, unknown or of another form, or the predicate is of another type or version.
    """
    try:
        statement = Statement.model_validate_json(payload)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        unversioned, _, version = str(first["input"]).rpartition("/")
        if first["loc"] == ("predicateType",) and unversioned == UNVERSIONED:
            raise EvidenceError(
                f"{name}: predicateType: evidence of version {version}, which says other things than {VERSION}, "
                "the one that is asked for",
                fix="Run `test` again with this version of the tool.",
            ) from error
        raise EvidenceError(f"{name}: {jsonfile.first_error(error)}", detail=str(error)) from error
    names = [artefact.name for artefact in statement.subject]
    if twice := {name for name in names if names.count(name) > 1}:
        raise EvidenceError(f"{name}: subject {sorted(twice)[0]}: there twice")
    return statement


def artefact(name: str, sha256: str) -> Artefact:
    """Return an artefact by its name and digest."""
    return Artefact(name=name, digest=Digest(sha256=sha256))


def manifests(environment: str, name: str) -> str:
    """Name an application's manifests, rendered from git as Argo CD would."""
    return f"manifests/{environment}/{name}"


def onward(source: str, environment: str, name: str) -> str:
    """Name the manifests that an environment's application would have with the set of another one."""
    return f"onward/{source}/{environment}/{name}"


def image(reference: str) -> str:
    """Name an image that the run had."""
    return f"image/{reference}"


def model(path: str) -> str:
    """Name a file of a model that the platform part served."""
    return f"model/{path}"


def release(values: Release) -> dict[str, str]:
    """Return the set of an application by the keys that people know."""
    return {tree.dotted(key): value for key, value in values.items()}


def manifests_digest(rendered: str) -> str:
    """Return the SHA-256 of what rendered manifests say, whatever their order, layout and comments.

    Releases of Helm differ in those. Each object is JSON with sorted keys on a line of its own; the lines are sorted.
    """
    objects = kubernetes_yaml.documents(rendered, "manifests")
    lines = sorted(json.dumps(item, sort_keys=True, separators=(",", ":")) for item in objects)
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()
