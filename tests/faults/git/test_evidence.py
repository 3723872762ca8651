"""Nothing reaches prod but what a run proved: evidence changed, stale, or of something or somebody else is refused.

Argo CD's word is given, as in test_promote.py; git, the chart, helm, the keys and the signatures are real.
"""

import base64
import copy
import json
import shutil
import subprocess
import threading
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import pytest
import yaml

from ci import prove as proving
from ci.base import files, jsonfile
from ci.base.errors import UsageError
from ci.base.paths import ROOT
from ci.evidence import checkout, envelope, gather, statement, verify
from ci.evidence.envelope import EvidenceError
from ci.evidence.gather import Facts
from ci.release.health import Health, wanted
from ci.release.promote import Promote
from ci.results import Report, Stage
from ci.stages.run import Options, Run
from ci.supply import registry
from ci.supply.supply import Supply
from ci.tree import chart_package, git, tree, writeback
from ci.tree.writeback import LocalBranch
from tests.harness import remote as remotes
from tests.harness.evidence import SUITES, Keys, leaves, parent
from tests.harness.remote import MODEL, arguments, helm, run

APP = "sklearn-iris"
STAGING, PROD = f"gitops/staging/{APP}.yaml", f"gitops/prod/{APP}.yaml"
DIGEST = "sha256:" + "0123456789abcdef" * 4
SERVER = "docker.io/kserve/sklearnserver:v0.20.0"
NOW = datetime.now(UTC)


def release(clone, path, **values):
    """Set values of a file of the tree, by the last part of their key, as a person would."""
    data = yaml.safe_load(clone.read(path))
    for section in data.values():
        if isinstance(section, dict):
            section.update({key: value for key, value in values.items() if key in section})
    clone.commit(path, yaml.safe_dump(data, sort_keys=False).encode(), "A release")


class Scene:
    """A tree whose staging runs what prod does not have yet, and the evidence of a run on it."""

    def __init__(self, folder):
        self.remote = remotes.made(folder)
        self.clone = self.remote.clone("ours")
        self.clone.commit(statement.PINS, (ROOT / statement.PINS).read_bytes(), "Pins")
        pinned = self.clone.git("rev-parse", "HEAD")
        release(self.clone, PROD, revision=pinned)
        uri = MODEL.format("2.0")
        release(self.clone, STAGING, revision=pinned, version="2.0", storageUri=uri, digest=DIGEST)
        self.keys = Keys(folder)
        self.report = folder / "report"
        self.report.mkdir()
        for name in (statement.REPORT, statement.SBOM):
            (self.report / name).write_text(f"the {name} of a run\n")
        self.statement = json.loads(statement.written(anyio.run(self._gathered)))

    async def _gathered(self):
        tested = await checkout.look(self.clone.folder)
        began, ended = NOW - timedelta(minutes=9), NOW - timedelta(minutes=3)
        facts = Facts("staging", began, ended, "upstream", verify.STAGES, SUITES)
        left = [self.report / name for name in (statement.REPORT, statement.SBOM)]
        left.append(await chart_package.write(tested.repository, helm(), tested.tree, self.report))
        artefacts = [statement.artefact(file.name, files.sha256(file)) for file in left]
        artefacts.append(statement.artefact(statement.image(SERVER), DIGEST.removeprefix("sha256:")))
        return await gather.gather(tested, helm(), facts, artefacts)

    def evidence(self, monkeypatch, data=None, keys=None):
        """Write evidence with a good signature, whatever it says, into the report's folder."""
        file = self.report / statement.EVIDENCE
        file.write_bytes((keys or self.keys).sealed(data or self.statement, monkeypatch))
        return file


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """For tests that are refused: nobody writes to its tree."""
    return Scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def own(tmp_path):
    return Scene(tmp_path)


def promote(scene, file, keys=None, source="staging", target="prod", said=None):
    """Promote where Argo CD says that the source runs its set well."""
    clone = scene.clone

    async def look(application):
        runs = wanted(application.release)
        chart = application.release[tree.CHART[0]]
        return Health("Argo CD", "now", "Synced", "Healthy", "", 90000.0, chart, runs, [runs])

    async def write():
        repository = await git.opened(clone.folder)
        say = said.append if said is not None else (lambda line: None)
        proof = verify.load(file, (keys or scene.keys).public) if file else None
        change = Promote(source, target, None, "", str(proof or ""), proof, Path(helm()), look, say)
        return await writeback.write(repository, LocalBranch(repository, "main"), change.edit)

    return anyio.run(write)


def refused(scene, file, named, **options):
    before = scene.clone.git("rev-parse", "main")
    with pytest.raises(EvidenceError) as raised:
        promote(scene, file, **options)
    assert raised.value.message.startswith(f"{file}: {named}"), raised.value.message
    assert scene.clone.git("rev-parse", "main") == before


# --- what is proven goes through -------------------------------------------------------------------------------------


def test_what_a_run_proved_is_promoted_and_the_commit_names_the_evidence(own, monkeypatch):
    said = []

    promote(own, own.evidence(monkeypatch), said=said)

    assert yaml.safe_load(own.clone.read(PROD))["model"]["version"] == "2.0"
    text = own.clone.git("log", "-1", "--format=%B")
    digest = files.sha256(own.report / statement.EVIDENCE)
    assert f"Evidence: evidence.dsse.json sha256:{digest}, signed by" in text
    assert any(line.startswith("tested as committed") for line in said)
    assert any(f"{statement.REPORT}, {statement.SBOM}, ml-serving-" in line for line in said), said


def test_commits_that_change_nothing_of_it_are_no_hindrance(own, monkeypatch):
    file = own.evidence(monkeypatch)
    own.clone.commit("README.md", b"More words\n")
    release(own.clone, f"gitops/dev/{APP}.yaml", version="3.0", storageUri=MODEL.format("3.0"))

    promote(own, file)

    assert yaml.safe_load(own.clone.read(PROD))["model"]["version"] == "2.0"


def test_the_runs_environment_may_be_the_target_too(own, monkeypatch):
    data = copy.deepcopy(own.statement)
    data["predicate"]["environment"] = "prod"

    promote(own, own.evidence(monkeypatch, data))

    assert yaml.safe_load(own.clone.read(PROD))["model"]["version"] == "2.0"


def test_the_chart_is_packaged_to_the_same_bytes_every_time(own, tmp_path):
    async def package():
        repository = await git.opened(own.clone.folder)
        return await chart_package.write(repository, helm(), "HEAD", tmp_path / "again")

    again = anyio.run(package)

    assert again.read_bytes() == (own.report / again.name).read_bytes()
    shown = subprocess.run([helm(), "show", "chart", again], capture_output=True, text=True, timeout=300, check=True)
    assert "name: ml-serving" in shown.stdout


# --- what a run writes -----------------------------------------------------------------------------------------------


class Registry(BaseHTTPRequestHandler):
    """The local registry, as far as it tells digests."""

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Docker-Content-Digest", DIGEST)
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def green(own, tmp_path):
    """A run on the scene's tree whose stages have all passed, and the checkout from when it began."""
    supply = Supply("upstream", tmp_path / "cache")
    supply.bin.mkdir(parents=True)
    for name in supply.pins.tools:
        executable = supply._executable(name)
        executable.parent.mkdir(exist_ok=True)
        shutil.copy(helm() if name == "helm" else shutil.which("true"), executable)
        (supply.bin / name).symlink_to(executable)
    stages = [Stage(name, "passed", 1.0) for name in verify.STAGES]
    began = (NOW - timedelta(minutes=5)).isoformat()
    report = Report("test --env staging", began, "interrupted", 300.0, stages=stages, suites=SUITES)
    options = Options("staging", False, None, None, False, own.report)
    began = anyio.run(checkout.look, own.clone.folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        supply._registry = registry.Registry(f"127.0.0.1:{server.server_port}", server.server_port)
        yield Run(options, supply, report, AsyncExitStack(), models={"iris/v1/model.joblib": "a" * 64}), began
        server.shutdown()


def prove(green, own=None, monkeypatch=None):
    run, began = green
    if own is not None:
        monkeypatch.setenv(envelope.KEY, own.keys.pem)
    anyio.run(proving.write_evidence, run, began, envelope.signer() if own is not None else None)


def test_a_green_run_writes_what_a_promotion_takes(own, green, monkeypatch):
    prove(green, own, monkeypatch)

    promote(own, own.report / statement.EVIDENCE)

    assert yaml.safe_load(own.clone.read(PROD))["model"]["version"] == "2.0"
    assert jsonfile.read(own.report / statement.REPORT, Report).outcome == "passed"
    listed = json.loads((own.report / statement.SBOM).read_text())["components"]
    assert {"helm", SERVER.partition(":")[0]} <= {item["name"] for item in listed}


def test_an_unsigned_run_says_so_and_promotes_nothing(own, green, capsys):
    prove(green)

    assert "the evidence is NOT SIGNED" in capsys.readouterr().err
    refused(own, own.report / statement.EVIDENCE, "signatures: it is not signed")


def test_a_run_whose_evidence_cannot_be_written_has_failed(own, green):
    own.clone.folder.joinpath(PROD).write_bytes(own.clone.read(PROD) + b"# a word\n")
    with pytest.raises(EvidenceError, match=f"{PROD}: changed while it was tested"):
        prove(green)
    last = green[0].report.stages[-1]
    assert (last.name, last.outcome) == ("evidence", "failed")
    assert PROD in last.message
    assert not (own.report / statement.EVIDENCE).exists()


def test_a_run_of_what_is_not_committed_says_so(own, green, capsys):
    run, _ = green
    own.clone.folder.joinpath(PROD).write_bytes(own.clone.read(PROD) + b"# a word\n")
    anyio.run(proving.write_evidence, run, anyio.run(checkout.look, own.clone.folder), None)
    assert f"the evidence is of no commit, and promotes nothing to prod: changed: {PROD}" in capsys.readouterr().err


# --- without the signer's key ----------------------------------------------------------------------------------------


def test_a_change_of_any_field_breaks_the_signature(scene, monkeypatch):
    sealed = json.loads(scene.evidence(monkeypatch).read_bytes())
    file = scene.report / "changed.dsse.json"
    paths = list(leaves(scene.statement))
    assert len(paths) > 50
    for path in paths:
        data = copy.deepcopy(scene.statement)
        value = parent(data, path)[path[-1]]
        another = value + 1 if isinstance(value, int) else value[:-1] + ("0" if value[-1:] != "0" else "1")
        parent(data, path)[path[-1]] = another
        file.write_text(json.dumps(sealed | {"payload": base64.b64encode(json.dumps(data).encode()).decode()}))
        with pytest.raises(EvidenceError, match="signatures: the signature of"):
            verify.load(file, scene.keys.public)


def test_another_persons_evidence_is_refused(scene, monkeypatch, tmp_path):
    others = Keys(tmp_path, "other")
    refused(scene, scene.evidence(monkeypatch, keys=others), "signatures: signed by")


def test_a_stripped_signature_is_refused(scene, monkeypatch):
    file = scene.evidence(monkeypatch)
    file.write_text(json.dumps(json.loads(file.read_bytes()) | {"signatures": []}))
    refused(scene, file, "signatures: it is not signed")


@pytest.mark.parametrize("name", [statement.REPORT, statement.SBOM, "ml-serving-0.1.0.tgz"])
def test_a_file_beside_the_evidence_that_is_another_is_refused(own, monkeypatch, name):
    file = own.evidence(monkeypatch)
    (own.report / name).write_text("a better one")
    refused(own, file, f"subject {name}: the file beside it has sha256:")


# --- with the signer's key, but of something else --------------------------------------------------------------------


def subject(data, name):
    return next(item for item in data["subject"] if item["name"] == name)


def swap(name):
    return lambda data: subject(data, name)["digest"].update(sha256="0" * 64)


def drop(name):
    return lambda data: data["subject"].remove(subject(data, name))


def predicate(**values):
    return lambda data: data["predicate"].update(values)


def application(data):
    return next(item for item in data["predicate"]["applications"] if item["environment"] == "staging")


def suite(data, stage):
    return next(item for item in data["predicate"]["suites"] if item["stage"] == stage)


RECORDED = f"predicate.applications staging/{APP}"
LIES = {
    "of another environment": (
        predicate(environment="dev"),
        "predicate.environment: the run deployed the values of dev",
    ),
    "expired": (
        predicate(started=str(NOW - timedelta(days=9)), finished=str(NOW - timedelta(days=8))),
        "predicate.finished: ",
    ),
    "from the future": (predicate(finished=str(NOW + timedelta(days=1))), "predicate.finished: "),
    "ended before it began": (predicate(started=str(NOW + timedelta(days=1))), "predicate.started: "),
    "without a stage": (
        predicate(stages=[name for name in verify.STAGES if name != "canary"]),
        "predicate.stages: canary did not run",
    ),
    **{
        f"without {stage}": (
            predicate(stages=[name for name in verify.STAGES if name != stage]),
            f"predicate.stages: {stage} did not run, or did not pass",
        )
        for stage in ("cluster", "stack", "behaviour", "uninstall", "bad-releases")
    },
    "without any stage": (predicate(stages=[]), "predicate.stages: lint, template, "),
    "without any test": (predicate(suites=[]), "predicate.suites gitops: missing"),
    **{
        f"without the tests of {each.stage}": (
            lambda data, stage=each.stage: data["predicate"]["suites"].remove(suite(data, stage)),
            f"predicate.suites {each.stage}: missing, so nobody knows whether a test ran",
        )
        for each in SUITES
    },
    "with a stage's tests twice": (
        lambda data: data["predicate"]["suites"].append(suite(data, "canary")),
        "predicate.suites canary: there twice",
    ),
    "of no test": (
        lambda data: suite(data, "canary").update(expected=0, passed=0),
        "predicate.suites canary passed: 0 of 0 tests",
    ),
    "of fewer tests": (
        lambda data: suite(data, "canary").update(passed=6),
        "predicate.suites canary passed: 6 of 7 tests",
    ),
    "of a failed test": (
        lambda data: suite(data, "canary").update(passed=6, failed=1),
        "predicate.suites canary failed: 1 of 7 tests failed",
    ),
    "with a skip that is not declared": (
        lambda data: suite(data, "canary").update(passed=6, skipped={"tests/x.py::test_x": "not today"}),
        "predicate.suites canary skipped tests/x.py::test_x: a skip that is not declared: not today",
    ),
    "of an unknown stage's failed test": (
        lambda data: data["predicate"]["suites"].append(suite(data, "canary") | {"stage": "more", "failed": 1}),
        "predicate.suites more failed: 1 of 7 tests failed",
    ),
    "of an unknown commit": (
        lambda data: data["predicate"]["source"]["digest"].update(gitCommit="0" * 40),
        "predicate.source.digest.gitCommit: 0000",
    ),
    "of another folder": (
        lambda data: data["predicate"]["source"]["folders"][0]["digest"].update(gitTree="0" * 40),
        "predicate.source.folders ci: tested 0000",
    ),
    "without a folder": (
        lambda data: data["predicate"]["source"]["folders"].pop(),
        "predicate.source.folders helm: tested nothing",
    ),
    "of another chart": (predicate(chart={"gitTree": "0" * 40}), "predicate.chart.gitTree: 0000"),
    "of the application's other chart": (
        lambda data: application(data)["chart"].update(gitTree="0" * 40),
        f"{RECORDED} chart.gitTree: 0000",
    ),
    "without the application": (
        lambda data: data["predicate"]["applications"].remove(application(data)),
        f"{RECORDED}: missing",
    ),
    "of another image": (
        lambda data: application(data)["release"].update({"image.digest": "sha256:" + "0" * 64}),
        f"{RECORDED} release image.digest: the run had sha256:0000",
    ),
    "of another model's files": (
        lambda data: application(data)["release"].update({"model.digest": "sha256:" + "0" * 64}),
        f"{RECORDED} release model.digest: the run had sha256:0000",
    ),
    "of another model": (
        lambda data: application(data)["release"].update({"model.storageUri": "gs://elsewhere/2.0"}),
        f"{RECORDED} release model.storageUri: the run had gs://elsewhere/2.0",
    ),
    "of another version": (
        lambda data: application(data)["release"].update({"model.version": "9"}),
        f"{RECORDED} release model.version: the run had 9; 2.0 is about to be promoted",
    ),
    "without the model": (
        lambda data: application(data)["release"].pop("model.storageUri"),
        f"{RECORDED} release model.storageUri: the run had none",
    ),
    "of an image moved since": (swap(statement.image(SERVER)), f"subject image/{SERVER}: sha256:0000"),
    "of other manifests": (swap(f"manifests/staging/{APP}"), f"subject manifests/staging/{APP}: 0000"),
    "of another promotion": (swap(f"onward/prod/{APP}"), f"subject onward/prod/{APP}: 0000"),
    "of other pins": (swap(statement.PINS), f"subject {statement.PINS}: 0000"),
    "without manifests": (drop(f"manifests/staging/{APP}"), f"subject manifests/staging/{APP}: missing"),
    "without the promotion": (drop(f"onward/prod/{APP}"), f"subject onward/prod/{APP}: missing"),
    "without pins": (drop(statement.PINS), f"subject {statement.PINS}: missing"),
    "without a report": (drop(statement.REPORT), f"subject {statement.REPORT}: missing"),
    "without an SBOM": (drop(statement.SBOM), f"subject {statement.SBOM}: missing"),
    "of an unknown type": (
        lambda data: data.update(predicateType="https://slsa.dev/provenance/v1"),
        "predicateType: Input should be 'https://github.com/example/ml-serving-ci/attestation/test-run/v2', not 'https",
    ),
    "of the version before": (
        lambda data: (
            data.update(predicateType="https://github.com/example/ml-serving-ci/attestation/test-run/v1"),
            data["predicate"].pop("suites"),
        ),
        "predicateType: evidence of version v1, which says other things than v2",
    ),
    "of no statement": (lambda data: data.update(_type="https://in-toto.io/Statement/v0.1"), "_type: "),
}


@pytest.mark.parametrize("lie", list(LIES))
def test_evidence_that_says_something_else_is_refused_by_name(scene, monkeypatch, lie):
    change, named = LIES[lie]
    data = copy.deepcopy(scene.statement)
    change(data)
    refused(scene, scene.evidence(monkeypatch, data), named)


# --- good evidence, and a tree that went on --------------------------------------------------------------------------


def test_another_set_than_the_proven_one_is_refused(own, monkeypatch):
    file = own.evidence(monkeypatch)
    release(own.clone, STAGING, version="3.0", storageUri=MODEL.format("3.0"))
    refused(own, file, f"{RECORDED} release model.storageUri: the run had {MODEL.format('2.0')}")


def test_another_chart_than_the_proven_one_is_refused(own, monkeypatch):
    file = own.evidence(monkeypatch)
    chart = own.clone.folder / "helm/charts/ml-serving/values.yaml"
    own.clone.commit("helm/charts/ml-serving/values.yaml", chart.read_bytes() + b"# a word\n", "A newer chart")
    release(own.clone, STAGING, revision=own.clone.git("rev-parse", "HEAD"))
    refused(own, file, "predicate.chart.gitTree: ")


def test_values_of_prod_that_changed_since_are_refused(own, monkeypatch):
    file = own.evidence(monkeypatch)
    data = yaml.safe_load(own.clone.read(PROD)) | {"values": {"autoscaling": {"maxReplicas": 40}}}
    own.clone.commit(PROD, yaml.safe_dump(data, sort_keys=False).encode(), "More pods")
    refused(own, file, f"subject onward/prod/{APP}: ")


def test_a_commit_that_is_not_on_the_branch_proves_nothing(own, monkeypatch):
    own.clone.git("checkout", "--quiet", "-b", "weaker")
    (own.clone.folder / "tests").mkdir()
    (own.clone.folder / "tests" / "test_all.py").write_text("def test_all():\n    pass\n")
    own.clone.git("add", "--all")
    own.clone.git("commit", "--quiet", "--message=Weaker tests")
    data = json.loads(statement.written(anyio.run(own._gathered)))
    own.clone.git("checkout", "--quiet", "main")
    refused(own, own.evidence(monkeypatch, data), "predicate.source.digest.gitCommit: ")


def test_what_was_not_committed_proves_nothing(own, monkeypatch):
    values = own.clone.folder / "helm/charts/ml-serving/values.yaml"
    committed = values.read_bytes()
    values.write_bytes(committed + b"# tried\n")
    data = json.loads(statement.written(anyio.run(own._gathered)))
    values.write_bytes(committed)
    refused(own, own.evidence(monkeypatch, data), "predicate.source.folders helm: tested ")


def test_files_that_change_during_the_run_are_named(own):
    async def changed():
        before = await checkout.look(own.clone.folder)
        (own.clone.folder / PROD).write_bytes(own.clone.read(PROD) + b"# a word\n")
        (own.clone.folder / "notes.txt").write_text("nothing that is tested\n")
        assert await checkout.changes(before) == []
        assert await checkout.changes(await checkout.look(own.clone.folder)) == [PROD]
        await checkout.require_unchanged(before)

    with pytest.raises(EvidenceError, match=f"{PROD}: changed while it was tested"):
        anyio.run(changed)
    assert own.clone.git("status", "--porcelain") == f"M {PROD}\n?? notes.txt", "the index is as it was"


@pytest.mark.parametrize(("section", "what"), [("image", SERVER), ("model", MODEL.format("2.0"))])
def test_what_is_not_pinned_is_refused(own, monkeypatch, section, what):
    tree = yaml.safe_load(own.clone.read(STAGING))
    tree[section]["digest"] = ""
    own.clone.commit(STAGING, yaml.safe_dump(tree).encode(), "A release")
    data = json.loads(statement.written(anyio.run(own._gathered)))
    refused(own, own.evidence(monkeypatch, data), f"{RECORDED} release {section}.digest: {what} is not pinned")


# --- the command line ------------------------------------------------------------------------------------------------


def test_nothing_goes_to_prod_without_evidence(scene):
    before = scene.clone.git("rev-parse", "main")
    for more in ([], ["--evidence=https://ci.example/runs/1"]):
        ended = run(arguments(scene.clone, "promote", "--from=staging", "--to=prod", *more), check=False)
        assert ended.returncode == 2, ended.stderr
        assert "--to prod: nothing is promoted there without evidence" in ended.stderr
    with pytest.raises(UsageError, match="without evidence"):
        promote(scene, None)
    assert scene.clone.git("rev-parse", "main") == before


def test_a_key_without_evidence_is_wrong_use(scene):
    ended = run(
        arguments(scene.clone, "promote", "--from=staging", "--to=prod", f"--public-key={scene.keys.public}"),
        check=False,
    )
    assert ended.returncode == 2
    assert "for --evidence FILE, which is not given" in " ".join(ended.stderr.split())


def verified(scene, file, environment="prod"):
    words = ("evidence", "verify", str(file), f"--public-key={scene.keys.public}", f"--env={environment}")
    return run(arguments(scene.clone, *words), check=False)


def test_evidence_is_verified_without_a_promotion(scene, monkeypatch):
    ended = verified(scene, scene.evidence(monkeypatch))

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("evidence.dsse.json sha256:")
    assert ended.stdout.rstrip().endswith(f"proves {APP} of staging for prod")
    assert "manifests rendered again and compared" in ended.stderr


def test_a_refusal_is_exit_code_1_and_names_the_field(scene, monkeypatch):
    data = copy.deepcopy(scene.statement)
    swap(f"onward/prod/{APP}")(data)

    ended = verified(scene, scene.evidence(monkeypatch, data))

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert f"subject onward/prod/{APP}" in " ".join(ended.stderr.split())


def test_the_same_evidence_for_another_environment_is_refused(scene, monkeypatch):
    data = copy.deepcopy(scene.statement)
    data["predicate"]["environment"] = "prod"
    ended = verified(scene, scene.evidence(monkeypatch, data), "staging")
    assert ended.returncode == 1
    assert "predicate.environment: the run deployed the values of prod" in " ".join(ended.stderr.split())


@pytest.mark.parametrize("environment", ["qa", "dev"])
def test_an_environment_that_nothing_is_promoted_to_is_wrong_use(scene, monkeypatch, environment):
    ended = verified(scene, scene.evidence(monkeypatch), environment)
    assert ended.returncode == 2
    assert f"--env {environment}: not one of staging, prod" in ended.stderr


def test_23_neither_key_nor_password_is_in_what_is_written(scene, monkeypatch):
    file = scene.evidence(monkeypatch)
    inner = [line for line in scene.keys.pem.splitlines() if not line.startswith("-----")]
    for path in scene.report.iterdir():
        assert [line for line in inner if line.encode() in path.read_bytes()] == []
    shown = verified(scene, file)
    assert [line for line in inner if line in shown.stdout + shown.stderr] == []
