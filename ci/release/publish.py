"""The chart as an OCI artifact: packaged from a commit, pushed by Helm, one chart a version."""

import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ci.base import command, files, settings
from ci.base.errors import CheckFailedError, CommandError, UsageError
from ci.base.secret import Secret
from ci.evidence import statement
from ci.evidence.envelope import EvidenceError
from ci.evidence.statement import Statement
from ci.manifests import kubernetes_yaml
from ci.tree import chart_package, tree
from ci.tree.git import Repository, Snapshot

REGISTRY_SECONDS = 300
SCHEMES = {"oci": (), "http": ("--plain-http",)}
"""Of a registry's address, each with what Helm takes for it."""
HOST = r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
ADDRESS = re.compile(rf"(?P<scheme>{'|'.join(SCHEMES)})://(?P<host>{HOST})(?P<path>(?:/{PART})*)/?")
"""Source of the path: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests"""
DIGEST = re.compile(r"^Digest:\s*(sha256:[0-9a-f]{64})\s*$", re.MULTILINE)
MISSING = re.compile(r": not found\s*$", re.MULTILINE)
"""What Helm says of a version that a registry does not have; its exit code is that of every failure."""


@dataclass(frozen=True)
class Registry:
    """The folder of a registry that gets charts.

    Attributes:
        host: With its port.
        path: Begins with a slash, or is empty.
        options: What Helm takes for it.
    """

    host: str
    path: str
    options: Sequence[str]

    def __str__(self) -> str:
        return f"{self.host}{self.path}"


def registry(address: str) -> Registry:
    """Return the registry of an address: "oci://HOST/PATH", or "http://HOST/PATH" for one without TLS.

    Raises:
        UsageError: It is none, or has credentials.
    """
    found = ADDRESS.fullmatch(address.lower())  # as GitHub spells owners, which a reference does not take
    if found is None or int(found["port"] or 0) > settings.LAST_PORT:
        raise UsageError("--registry: no registry's address", fix="--registry oci://HOST/PATH, without credentials")
    return Registry(found["host"], found["path"], SCHEMES[found["scheme"]])


@dataclass(frozen=True)
class Package:
    """A packaged chart.

    Attributes:
        name: The chart's.
        version: The chart's.
        archive: The file.
    """

    name: str
    version: str
    archive: Path

    @property
    def tag(self) -> str:
        """The git tag of its release."""
        return f"v{self.version}"


async def package(repository: Repository, helm: Path, commit: str, out: Path) -> Package:
    """Package the chart as a commit has it, whatever the work tree holds: the bytes that its evidence names.

    Args:
        repository: Has the commit.
        helm: The executable.
        commit: The commit.
        out: Folder that gets the archive.

    Raises:
        CheckFailedError: The version was released with another chart.
    """
    snapshot = Snapshot(repository, commit, "")
    folder = (await tree.project(snapshot)).paths.chart
    archive = await chart_package.write(repository, helm, commit, folder, out)
    file = f"{folder}/Chart.yaml"
    _, text = kubernetes_yaml.decoded(await snapshot.read(file) or b"", file)
    (chart,) = kubernetes_yaml.documents(text, file)
    packaged = Package(chart["name"], chart["version"], archive)
    released = await repository.object_of(f"refs/tags/{packaged.tag}^{{commit}}")
    if released is not None and await tree.chart(snapshot, released) not in (None, await tree.chart(snapshot, commit)):
        raise CheckFailedError(
            f"{packaged.tag} is another chart than the one at {commit[:12]}, of the same version",
            fix=f"Raise version in {folder}/Chart.yaml.",
        )
    return packaged


def require_tested(packaged: Package, evidence: Statement) -> None:
    """Refuse a chart whose very bytes are not in the evidence.

    Raises:
        EvidenceError: They are not.
    """
    digest = files.sha256(packaged.archive)
    if statement.artefact(packaged.archive.name, digest) not in evidence.subject:
        raise EvidenceError(
            f"the evidence is of another chart than {packaged.archive.name} with SHA-256 {digest}",
            fix="Name the evidence of this very commit.",
        )


async def published(helm: Path, packaged: Package, registry: Registry, credentials: Secret | None) -> str | None:
    """Return the reference by digest of a packaged chart that a registry has, or None where it has no such version.

    Args:
        helm: The executable.
        packaged: The chart.
        registry: What may have it.
        credentials: Of the registry; by default those that `helm registry login` left.

    Raises:
        CheckFailedError: It has another chart as that version, or does not say.
    """
    with tempfile.TemporaryDirectory() as work:
        words = ("pull", f"oci://{registry}/{packaged.name}", f"--version={packaged.version}", f"--destination={work}")
        try:
            pulled = await _helm(helm, words, registry, credentials)
        except CommandError as error:
            if MISSING.search(error.stderr):
                return None
            raise _refused(packaged, registry, error) from error
        (archive,) = Path(work).glob("*.tgz")
        there, ours = (files.sha256(each) for each in (archive, packaged.archive))
    if there != ours:
        raise CheckFailedError(
            f"{registry} has another {packaged.archive.name}, with SHA-256 {there}; this one has {ours}",
            fix="What is published never changes: raise version in the chart's Chart.yaml.",
        )
    return _reference(packaged, registry, pulled)


async def push(helm: Path, packaged: Package, into: Registry, credentials: Secret | None) -> str:
    """Push a packaged chart, and return its reference by digest.

    Args:
        helm: The executable.
        packaged: The chart.
        into: What gets it.
        credentials: Of the registry; by default those that `helm registry login` left.

    Raises:
        CheckFailedError: The registry refuses.
    """
    try:
        pushed = await _helm(helm, ("push", packaged.archive, f"oci://{into}"), into, credentials)
    except CommandError as error:
        raise _refused(packaged, into, error) from error
    return _reference(packaged, into, pushed)


async def _helm(
    helm: Path, words: Sequence[str | Path], registry: Registry, credentials: Secret | None
) -> command.Result:
    with tempfile.TemporaryDirectory() as work:
        options = list(registry.options)
        if credentials is not None:
            config = Path(work, "config.json")
            config.touch(mode=0o600)
            config.write_text(json.dumps({"auths": {registry.host: {"auth": credentials.basic}}}))
            options.append(f"--registry-config={config}")
        secrets = credentials.forms if credentials is not None else ()
        return await command.run([helm, *words, *options], timeout=REGISTRY_SECONDS, secrets=secrets)


def _refused(packaged: Package, registry: Registry, error: CommandError) -> CheckFailedError:
    return CheckFailedError(
        f"{registry} did not take {packaged.archive.name}: {error.message}",
        fix="The credentials need write access to packages: ML_SERVING_CI_REGISTRY_USER and _PASSWORD.",
        detail=error.detail,
    )


def _reference(packaged: Package, registry: Registry, result: command.Result) -> str:
    digest = DIGEST.search(result.stdout + result.stderr)
    assert digest is not None, "helm push and helm pull name the digest"
    return f"oci://{registry}/{packaged.name}:{packaged.version}@{digest[1]}"
