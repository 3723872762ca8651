"""A tree whose staging runs what prod does not have yet, with the evidence of a run on it.

Git, the chart, helm, the keys and the signatures are real; Argo CD's word is given.
"""

import atexit
import copy
import json
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import anyio
import yaml

from ci.base import files
from ci.evidence import checkout, gather, statement, verify
from ci.evidence.gather import Facts
from ci.project import FILE
from ci.release.health import Health, wanted
from ci.release.promote import Promote
from ci.tree import chart_package, git, tree, writeback
from ci.tree.git import Snapshot
from ci.tree.writeback import LocalBranch
from tests.harness import remote as remotes
from tests.harness.evidence import QUESTIONS, Keys, proof, suites
from tests.harness.remote import MODEL, PROJECT, helm

APP = "sklearn-iris"
GOLDEN = f"golden/{APP}.yaml"
STAGING, PROD = f"gitops/staging/{APP}.yaml", f"gitops/prod/{APP}.yaml"
DIGEST = "sha256:" + "0123456789abcdef" * 4
OTHER = "sha256:" + "0" * 64
SERVER = "docker.io/kserve/sklearnserver:v0.20.0"
CHART = "helm/charts/ml-serving"
THROWAWAY = """
[throwaway]
replicas = 1

[throwaway.values."*"]
resources.requests.cpu = "1"

[throwaway.values.another]
gpu = 0

[cluster.prometheus]
namespace = "observability"

[cluster.evidence]
staging-eu = "5f0f7a0e-1c58-4d0e-9d39-2b6f6d0b8c11"
"""
NOW = datetime.now(UTC)


def release(clone, path, **values):
    """Set values of a file of the tree, by the last part of their key, as a person would."""
    data = yaml.safe_load(clone.read(path))
    for section in data.values():
        if isinstance(section, dict):
            section.update({key: value for key, value in values.items() if key in section})
    clone.commit(path, yaml.safe_dump(data, sort_keys=False).encode(), "A release")


async def release_of(tested, environment):
    """Return an application's set as a checkout has it, by the keys of a statement."""
    application = await tree.load(Snapshot(tested.repository, tested.tree, ""), environment, APP)
    return statement.release(application.release)


class Scene:
    """A tree whose staging runs what prod does not have yet, and the evidence of a run on it."""

    def __init__(self, folder):
        self.remote = remotes.made(folder)
        self.clone = self.remote.clone("ours")
        self.clone.commit(FILE, (PROJECT + THROWAWAY).encode(), "What a throw-away cluster changes")
        self.clone.commit(GOLDEN, QUESTIONS, "Questions")
        pinned = self.clone.git("rev-parse", "HEAD")
        release(self.clone, PROD, revision=pinned)
        uri = MODEL.format("2.0")
        release(self.clone, STAGING, revision=pinned, version="2.0", storageUri=uri, digest=DIGEST)
        self.keys = Keys(folder)
        self.report = folder / "report"
        self.report.mkdir()
        for name in (statement.REPORT, statement.SBOM):
            (self.report / name).write_text(f"the {name} of a run\n")
        self.statement = self.said()

    def copied(self, folder):
        """Return the same in another folder."""
        there = shutil.copytree(self.remote.root, folder / "scene")
        other = copy.copy(self)
        other.remote = remotes.Remote(there / "remote.git", there)
        other.clone = remotes.Clone(there / "ours")
        other.clone.git("remote", "set-url", "origin", str(other.remote.folder))
        other.report = there / "report"
        other.keys = copy.copy(self.keys)
        other.keys.public = there / self.keys.public.name
        return other

    def said(self, **values):
        """Return the statement of a run on what the clone has now, by what it proved of the application."""
        return json.loads(statement.written(anyio.run(lambda: self._gathered(**values))))

    async def _gathered(self, environments=("staging",), **values):
        tested = await checkout.look(self.clone.folder)
        began, ended = NOW - timedelta(minutes=9), NOW - timedelta(minutes=3)
        proofs = [proof(each, APP, await release_of(tested, each), **values) for each in environments]
        facts = Facts("staging", began, ended, "upstream", verify.STAGES, suites(proofs), proofs)
        left = [self.report / name for name in (statement.REPORT, statement.SBOM)]
        left.append(await chart_package.write(tested.repository, helm(), tested.tree, CHART, self.report))
        artefacts = [statement.artefact(file.name, files.sha256(file)) for file in left]
        artefacts.append(statement.artefact(statement.image(SERVER), DIGEST.removeprefix("sha256:")))
        return await gather.gather(tested, helm(), facts, artefacts)

    def evidence(self, monkeypatch, data=None, keys=None):
        """Write evidence with a good signature, whatever it says, into the report's folder."""
        file = self.report / statement.EVIDENCE
        file.write_bytes((keys or self.keys).sealed(data or self.statement, monkeypatch))
        return file


def made(folder):
    """Return a scene of a test's own: a copy, which takes a twentieth of another scene's time."""
    return _first().copied(folder)


@cache
def _first():
    """The scene that every other begins as, made once; nobody writes to it."""
    root = Path(tempfile.mkdtemp(prefix="ml-serving-ci-tests-"))
    atexit.register(shutil.rmtree, root)
    return Scene(root)


def promote(scene, file, keys=None, source="staging", target="prod", said=None, **reasons):
    """Promote where Argo CD says that the source runs its set well."""
    clone = scene.clone

    async def look(application):
        runs = wanted(application.release)
        chart = application.release[tree.CHART[0]]
        return Health("Argo CD", "now", "Synced", "Healthy", "", 90000.0, chart, runs, [runs])

    async def write():
        repository = await git.opened(clone.folder)
        say = said.append if said is not None else (lambda line: None)
        proof = verify.load(file, [(keys or scene.keys).public]) if file else None
        change = Promote(source, target, None, "", str(proof or ""), proof, Path(helm()), look, say, **reasons)
        return await writeback.write(repository, LocalBranch(repository, "main"), change.edit)

    return anyio.run(write)
