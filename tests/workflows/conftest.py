"""A GitHub on this machine: the project as it is checked out here in a remote, a registry, an Argo CD, and act."""

import shutil
from datetime import UTC, datetime

import anyio
import pytest
from cyclonedx.output.json import JsonV1Dot6

from ci.base import files, jsonfile
from ci.base.paths import ROOT
from ci.evidence import checkout, envelope, gather, sbom, statement, verify
from ci.results import Report
from ci.supply import pins
from ci.tree import chart_package, tree
from ci.tree.git import Snapshot
from tests.harness import remote as remotes
from tests.harness.evidence import Keys, proof, suites
from tests.harness.git_server import serving
from tests.unit.conftest import find_tool
from tests.workflows import cluster as clusters
from tests.workflows import registry as registries
from tests.workflows.act import Act
from tests.workflows.github import GitHub

APP = "sklearn-iris"
STAGING, PROD = f"gitops/staging/{APP}.yaml", f"gitops/prod/{APP}.yaml"
DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.fixture
def remote(tmp_path):
    """A bare repository with everything that git would have of this checkout."""
    seed = tmp_path / "seed"
    listed = remotes.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (seed / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, seed / name)
    return remotes.published(seed, tmp_path)


@pytest.fixture
def clone(remote):
    """A person's clone, after staging got a newer model than prod has."""
    clone = remote.clone("person")
    first = clone.git("rev-parse", "HEAD")
    for path, model in ((PROD, "v1"), (STAGING, "v1"), (STAGING, "v2")):
        lines = clone.read(STAGING).decode().splitlines(keepends=True)  # which is all that prod begins with
        for number, line in enumerate(lines):
            if line.startswith("  revision:"):
                lines[number] = f"  revision: {first}\n"
            elif line.startswith("  digest:"):
                lines[number] = f"  digest: {DIGEST}\n"
            elif line.startswith(("  version:", "  storageUri:")):
                lines[number] = line.replace("v1", model)
        clone.commit(path, "".join(lines).encode(), f"{path} at model {model}")
    return clone


@pytest.fixture
def hub(remote):
    hub = GitHub(remote)
    with serving(hub) as hub.address:
        yield hub


@pytest.fixture
def registry():
    with registries.running(find_tool("crane")) as address:
        yield address


@pytest.fixture
def cluster(remote):
    cluster = clusters.Cluster(remote)
    with serving(cluster) as cluster.address:
        yield cluster


@pytest.fixture
def act(clone, hub, tmp_path):
    folder = tmp_path / "runner"
    folder.mkdir()
    # act finds the repository by its clone's remote
    clone.git("remote", "set-url", "origin", f"http://{hub.address}/team/tree")
    return Act(clone.folder, folder, hub.address)


@pytest.fixture
def keys(tmp_path):
    return Keys(tmp_path)


@pytest.fixture
def report(clone, keys, tmp_path, monkeypatch):
    """The files of the report of a green run on the clone's commit, as `test` leaves them, with signed evidence."""
    monkeypatch.setenv(envelope.KEY, keys.pem)
    folder = tmp_path / "report"
    folder.mkdir()
    now = datetime.now(UTC)
    jsonfile.write(folder / statement.REPORT, Report("python ci/main.py test", now.isoformat(timespec="seconds")))
    bom = sbom.bom(pins.load(), "source", {}, {})
    (folder / statement.SBOM).write_text(JsonV1Dot6(bom).output_as_string())
    (folder / "report.html").write_text("<!doctype html><title>passed</title>")

    monkeypatch.setattr(checkout, "ROOT", clone.folder.resolve())  # as in the workflow, the tool tests itself

    async def write():
        tested = await checkout.look(clone.folder)
        helm = find_tool("helm")
        staging = await tree.load(Snapshot(tested.repository, tested.tree, ""), "staging", APP)
        golden = files.sha256(clone.folder / staging.project.paths.golden_file(APP))
        proven = [proof("staging", APP, statement.release(staging.release), golden=golden)]
        package = await chart_package.write(tested.repository, helm, tested.tree, staging.project.paths.chart, folder)
        names = (package, folder / statement.REPORT, folder / statement.SBOM)
        artefacts = [statement.artefact(file.name, files.sha256(file)) for file in names]
        facts = gather.Facts("staging", now, now, "source", verify.STAGES, suites(proven), proven)
        said = await gather.gather(tested, helm, facts, artefacts)
        (folder / statement.EVIDENCE).write_bytes(envelope.sealed(statement.written(said), envelope.signer()))

    anyio.run(write)
    monkeypatch.delenv(envelope.KEY)
    return {file.name: file.read_bytes() for file in folder.iterdir()}
