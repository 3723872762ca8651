"""The chart as an OCI artifact: packaged from a commit, pushed by Helm, one chart a version."""

import json
import re
import tempfile
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

import yaml

from ci import command
from ci.errors import CheckFailedError, CommandError, UsageError
from ci.evidence import statement
from ci.evidence.envelope import EvidenceError
from ci.evidence.statement import Statement
from ci.release import chart_package, tree
from ci.release.git import Repository, Snapshot
from ci.report import files
from ci.secret import Secret

PUSH_SECONDS = 300
SCHEMES = {"oci": (), "http": ("--plain-http",)}
"""Of a registry's address, each with what Helm takes for it."""
DIGEST = re.compile(r"^Digest:\s*(sha256:[0-9a-f]{64})\s*$", re.MULTILINE)


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
    archive = await chart_package.write(repository, helm, commit, out)
    chart = yaml.safe_load(await Snapshot(repository, commit, "").read(f"{tree.CHART_FOLDER}/Chart.yaml") or b"")
    packaged = Package(chart["name"], chart["version"], archive)
    released = await repository.object_of(f"refs/tags/{packaged.tag}:{tree.CHART_FOLDER}")
    if released not in (None, await repository.object_of(f"{commit}:{tree.CHART_FOLDER}")):
        raise CheckFailedError(
            f"{packaged.tag} is another chart than the one at {commit[:12]}, of the same version",
            fix=f"Raise version in {tree.CHART_FOLDER}/Chart.yaml.",
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


async def push(helm: Path, packaged: Package, registry: str, credentials: Secret | None) -> str:
    """Push a packaged chart, and return its reference by digest.

    Args:
        helm: The executable.
        packaged: The chart.
        registry: The folder that gets it: "oci://HOST/PATH", or "http://HOST/PATH" for a registry without TLS.
        credentials: Of the registry; by default those that `helm registry login` left.

    Raises:
        UsageError: The address is none.
        CheckFailedError: The registry refuses.
    """
    url = urllib.parse.urlsplit(registry.lower())  # as GitHub spells owners, which a reference does not take
    if url.scheme not in SCHEMES or not url.hostname or url.username:
        raise UsageError("--registry: no registry's address", fix="--registry oci://HOST/PATH, without credentials")
    where = f"{url.netloc}{url.path.rstrip('/')}"
    with tempfile.TemporaryDirectory() as work:
        options = list(SCHEMES[url.scheme])
        if credentials is not None:
            config = Path(work, "config.json")
            config.touch(mode=0o600)
            config.write_text(json.dumps({"auths": {url.netloc: {"auth": credentials.basic}}}))
            options.append(f"--registry-config={config}")
        try:
            pushed = await command.run(
                [helm, "push", packaged.archive, f"oci://{where}", *options],
                timeout=PUSH_SECONDS,
                secrets=credentials.forms if credentials is not None else (),
            )
        except CommandError as error:
            raise CheckFailedError(
                f"{where} did not take {packaged.archive.name}: {error.message}",
                fix="The credentials need write access to packages: ML_SERVING_CI_REGISTRY_USER and _PASSWORD.",
                detail=error.detail,
            ) from error
    digest = DIGEST.search(pushed.stdout + pushed.stderr)
    assert digest is not None, "helm push names the digest"
    return f"oci://{where}/{packaged.name}:{packaged.version}@{digest[1]}"
