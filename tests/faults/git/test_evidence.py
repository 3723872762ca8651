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
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest
import yaml

from ci import prove as proving
from ci.applications import subjects
from ci.base import files, jsonfile
from ci.base.errors import UsageError
from ci.evidence import checkout, envelope, gather, statement, verify
from ci.evidence.envelope import EvidenceError
from ci.evidence.gather import Facts
from ci.project import FILE
from ci.results import ExistingCluster, Report, Stage
from ci.stages.order import APPLICATION, suite_of
from ci.stages.run import Options, Run
from ci.supply import registry
from ci.supply.supply import Supply
from ci.tree import chart_package, git
from tests.harness import scene as scenes
from tests.harness.evidence import REPLICAS, SUITES, Keys, leaves, parent, proof, suites
from tests.harness.remote import MODEL, PROJECT, ci, helm
from tests.harness.scene import (
    APP,
    CHART,
    DIGEST,
    GOLDEN,
    NOW,
    OTHER,
    PROD,
    SERVER,
    STAGING,
    promote,
    release,
    release_of,
)

NAMED = "staging-eu"
EXISTING = {
    "context": "admin@eu",
    "server": "https://eu.example.com:6443",
    "uid": "5f0f7a0e-1c58-4d0e-9d39-2b6f6d0b8c11",
}
"""The cluster whose runs count."""
PROMETHEUS = "networkPolicy.monitoringNamespace: monitoring → observability (cluster.prometheus)"
"""What that cluster changed."""
OWN_TESTS = suite_of("staging", APP)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """For tests that are refused: nobody writes to its tree."""
    return scenes.made(tmp_path_factory.mktemp("scene"))


@pytest.fixture
def own(tmp_path):
    return scenes.made(tmp_path)


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


def test_it_may_have_been_served_with_the_values_of_the_target_too(own, monkeypatch):
    before, said = own.clone.read(PROD), []
    release(own.clone, PROD, version="2.0", storageUri=MODEL.format("2.0"), digest=DIGEST)
    data = own.said(environments=["prod"])
    own.clone.commit(PROD, before, "Back by hand")

    promote(own, own.evidence(monkeypatch, data), said=said, over_revert="it was there for its evidence alone")

    assert yaml.safe_load(own.clone.read(PROD))["model"]["version"] == "2.0"
    assert any(line.endswith("served with the values of prod") for line in said), said
    assert f"manifests rendered again and compared: {PROD}" in said


def test_the_known_answer_that_comes_with_the_set_is_proven_with_it(own, monkeypatch):
    known = {"protocol": "v1", "request": {"instances": [[1, 2]]}, "at": "$.predictions[0]", "expected": 2}
    for path, expected in ((PROD, 1), (STAGING, 2)):
        data = yaml.safe_load(own.clone.read(path))
        data["values"] = {"exampleModel": {"knownAnswer": {**known, "expected": expected}}}
        own.clone.commit(path, yaml.safe_dump(data, sort_keys=False).encode(), "A question")
    file = own.evidence(monkeypatch, own.said())

    verified = ci(own.clone, "evidence", "verify", file, f"--public-key={own.keys.public}", "--env=prod", check=False)
    promote(own, file)

    assert verified.returncode == 0, verified.stderr
    moved = yaml.safe_load(own.clone.read(PROD))
    assert moved["values"]["exampleModel"]["knownAnswer"] == known
    assert moved["model"]["version"] == "2.0"


def test_the_sets_of_two_environments_may_be_promoted_to_one(own, monkeypatch):
    text = own.clone.read(FILE).decode()
    protected = "protected = true"
    own.clone.commit(FILE, text.replace(protected, f'{protected}\nevidence = ["dev", "staging"]').encode(), "From both")
    release(own.clone, f"gitops/dev/{APP}.yaml", digest=DIGEST)
    data = own.said(environments=["dev", "staging"])
    names = [item["name"] for item in data["subject"] if item["name"].startswith("onward/")]
    assert names == [f"onward/{way}/{APP}" for way in ("dev/staging", "dev/prod", "staging/prod")]

    promote(own, own.evidence(monkeypatch, data))

    assert yaml.safe_load(own.clone.read(PROD))["model"]["version"] == "2.0"


def told(own, monkeypatch, data):
    said = []
    promote(own, own.evidence(monkeypatch, data), said=said)
    assert yaml.safe_load(own.clone.read(PROD))["model"]["version"] == "2.0"
    return said


def test_a_run_of_applications_alone_counts_and_is_told(own, monkeypatch):
    data = copy.deepcopy(own.statement)
    data["predicate"] |= {"platform": None, "stages": ["lint"], "suites": [suite(data, OWN_TESTS)]}

    said = told(own, monkeypatch, data)

    assert "platform: not part of this run; stages that passed: lint" in said
    assert f"tests that passed: 7 of {OWN_TESTS}" in said
    assert "tests of the set as it was installed: 7 passed" in said


def test_a_run_on_an_existing_cluster_counts_where_the_project_file_says_so_and_is_told(own, monkeypatch):
    data = own.said(overlay=[PROMETHEUS])
    ours = [suite(data, OWN_TESTS)]
    data["predicate"] |= {"platform": None, "stages": ["lint"], "suites": ours, "cluster": EXISTING}

    said = told(own, monkeypatch, data)

    server = "context admin@eu, https://eu.example.com:6443"
    assert f"cluster: {NAMED}, {EXISTING['uid']}, which was there ({server})" in said
    assert f"changed for the cluster, as {FILE} allows: {PROMETHEUS}" in said


def test_an_image_that_was_built_counts_where_all_are_built_and_is_told(own, monkeypatch):
    data = copy.deepcopy(own.statement)
    data["predicate"]["supply"] = "source"
    candidate(data).update(built=True, image=OTHER)
    next(each for each in data["subject"] if each["name"] == f"image/{SERVER}")["digest"]["sha256"] = OTHER[7:]

    said = told(own, monkeypatch, data)

    line = f"image: built here, not the published bytes: {OTHER} was served for {SERVER}@{DIGEST}"
    assert line in said


def without_canary(own, rule, **values):
    return own.said(champion=None, canary=None, back=False, rules=[rule], **values)


def test_a_set_whose_champion_is_gone_has_no_canary_and_that_is_told(own, monkeypatch):
    rule = f"{subjects.GONE}: s3://models/1: no such model"

    said = told(own, monkeypatch, without_canary(own, rule))

    assert f"canary: none, for there was no champion; {rule}" in said


def test_a_set_that_starts_no_canary_there_needs_none(own, monkeypatch):
    before = own.clone.read(PROD)
    values = {key: value for key, value in yaml.safe_load(own.clone.read(STAGING)).items() if key in ("model", "image")}
    own.clone.commit(PROD, yaml.safe_dump(yaml.safe_load(before) | values).encode(), "By hand")
    chart = own.clone.read(f"{CHART}/Chart.yaml")
    own.clone.commit(f"{CHART}/Chart.yaml", chart + b"# more\n", "A chart that makes the same pods")
    release(own.clone, STAGING, revision=own.clone.git("rev-parse", "HEAD"))

    said = told(own, monkeypatch, without_canary(own, "the change starts no canary"))

    assert "canary: none, for there was no champion; the change starts no canary" in said


def test_a_set_that_was_only_asked_beside_its_champion_needs_no_canary_where_it_starts_none(own, monkeypatch):
    own.clone.commit(f"{CHART}/values/prod.yaml", b"features: {canaryDeployment: false}\n", "No canary")
    release(own.clone, PROD, revision=(pinned := own.clone.git("rev-parse", "HEAD")))
    release(own.clone, STAGING, revision=pinned)
    rule = "the change replaces its pods without a canary: there is no Rollout with steps"

    said = told(own, monkeypatch, own.said(canary=None, back=False, rules=[rule]))

    assert f"canary: none; {rule}" in said


def test_an_application_without_golden_file_is_told_and_one_whose_file_was_left_out_refused(own, monkeypatch):
    left_out = own.said(golden="", behaviour=None)
    refused(
        own, own.evidence(monkeypatch, left_out), f"{RECORDED} golden.digest: the run had no questions, but {GOLDEN}"
    )

    own.clone.git("rm", "--quiet", GOLDEN)
    own.clone.git("commit", "--quiet", "--message=No questions")
    own.clone.git("push", "--quiet", "origin", "main")

    assert "golden file: the application has none" in told(own, monkeypatch, own.said(golden="", behaviour=None))


def test_a_model_that_its_image_brings_along_needs_no_digest(own, monkeypatch):
    own.clone.commit(f"{CHART}/templates/validate.yaml", b"", "A chart for models without a URI")
    content = yaml.safe_load(own.clone.read(STAGING))
    content["model"] |= {"storageUri": "", "digest": ""}
    content["chart"]["revision"] = own.clone.git("rev-parse", "HEAD")
    own.clone.commit(STAGING, yaml.safe_dump(content).encode(), "A model in its image")

    lied = own.said()
    candidate(lied).update(model=DIGEST)
    refused(
        own, own.evidence(monkeypatch, lied), f"{RECORDED} served.candidate.model: the run served {DIGEST}, not none"
    )

    promote(own, own.evidence(monkeypatch, own.said()), said=(said := []))

    assert "model: in its image" in said
    assert f"set: model {content['model']['version']}, served with the values of staging" in said
    assert yaml.safe_load(own.clone.read(PROD))["model"]["storageUri"] == ""


def test_what_the_project_file_allows_may_be_changed_and_is_told(own, monkeypatch):
    cpu = "resources.requests.cpu: 4 → 1 (throwaway.values.*.resources.requests.cpu)"

    said = told(own, monkeypatch, own.said(overlay=[REPLICAS, cpu]))

    assert f"changed for the cluster, as {FILE} allows: {REPLICAS}; {cpu}" in said


def test_the_chart_is_packaged_to_the_same_bytes_every_time(own, tmp_path):
    async def package():
        repository = await git.opened(own.clone.folder)
        return await chart_package.write(repository, helm(), "HEAD", CHART, tmp_path / "again")

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
    report = Report("test --sample-env staging", began, "interrupted", 300.0, stages=stages)
    options = Options(own.clone.folder, "staging", False, None, None, False, own.report)
    began = anyio.run(checkout.look, own.clone.folder)
    report.applications = [proof("staging", APP, anyio.run(release_of, began, "staging"))]
    report.suites = suites(report.applications)
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


def test_a_green_run_of_applications_alone_says_nothing_of_the_platform(own, green, monkeypatch):
    run, _ = green
    run.platform = False
    run.report.stages = [Stage(name, "passed", 1.0) for name in APPLICATION]
    run.report.suites = suites(run.report.applications, platform=False)

    prove(green, own, monkeypatch)

    promote(own, own.report / statement.EVIDENCE)
    assert yaml.safe_load(own.clone.read(PROD))["model"]["version"] == "2.0"


def test_a_green_run_on_an_existing_cluster_says_which(own, green, monkeypatch):
    run, _ = green
    run.platform = False
    run.report.stages = [Stage(name, "passed", 1.0) for name in APPLICATION]
    run.report.suites = suites(run.report.applications, platform=False)
    run.report.applications[0].overlay[:] = []
    run.report.cluster = ExistingCluster(**EXISTING)

    prove(green, own, monkeypatch)

    promote(own, own.report / statement.EVIDENCE)
    assert jsonfile.read(own.report / statement.REPORT, Report).cluster == run.report.cluster


def test_a_cluster_that_the_project_file_names_no_more_is_refused(own, monkeypatch):
    data = own.said(overlay=[])
    data["predicate"]["cluster"] = EXISTING
    file = own.evidence(monkeypatch, data)
    text = own.clone.read(FILE).decode()
    own.clone.commit(FILE, text.partition("[cluster.evidence]")[0].encode(), "It counts no more")
    refused(own, file, f"predicate.cluster.uid: {EXISTING['uid']} (context admin@eu, ")


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
        another = value + 1 if isinstance(value, int) else f"{value or ''}0"
        parent(data, path)[path[-1]] = another
        file.write_text(json.dumps(sealed | {"payload": base64.b64encode(json.dumps(data).encode()).decode()}))
        with pytest.raises(EvidenceError, match="signatures: the signature of"):
            verify.load(file, [scene.keys.public])


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


def candidate(data):
    return application(data)["served"]["candidate"]


def suite(data, stage):
    return next(item for item in data["predicate"]["suites"] if item["stage"] == stage)


RECORDED = f"predicate.applications staging/{APP}"
LIES = {
    "of another environment": (
        lambda data: application(data).update(environment="dev"),
        f"{RECORDED}: missing: it was not served in this run",
    ),
    "of another application": (
        lambda data: application(data).update(name="another"),
        f"{RECORDED}: missing: it was not served in this run",
    ),
    "of no application": (predicate(applications=[]), "predicate.applications: no application was proven in this run"),
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
    "without the tests of the application": (
        lambda data: data["predicate"]["suites"].remove(suite(data, OWN_TESTS)),
        f"predicate.suites {OWN_TESTS}: missing, so nobody knows whether a test ran",
    ),
    "without any test of applications alone": (
        lambda data: data["predicate"].update(platform=None, stages=[], suites=[]),
        f"predicate.suites {OWN_TESTS}: missing, so nobody knows whether a test ran",
    ),
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
    "of a failed test beside applications alone": (
        lambda data: (
            data["predicate"].update(platform=None, stages=[]),
            suite(data, "canary").update(passed=6, failed=1),
        ),
        "predicate.suites canary failed: 1 of 7 tests failed",
    ),
    "of a cluster that the project file does not name": (
        lambda data: data["predicate"].update(cluster=EXISTING | {"uid": "0" * 8 + EXISTING["uid"][8:]}),
        "predicate.cluster.uid: 00000000-",
    ),
    "of a cluster that goes by a name that counts": (
        lambda data: data["predicate"].update(cluster=EXISTING | {"context": NAMED, "uid": NAMED}),
        f"predicate.cluster.uid: {NAMED} (context {NAMED}, ",
    ),
    "of what a throw-away cluster may change, on another": (
        lambda data: data["predicate"].update(cluster=EXISTING),
        f"{RECORDED} overlay {REPLICAS}: {FILE} does not allow it",
    ),
    "of what another cluster may change, on a throw-away one": (
        lambda data: application(data).update(overlay=[PROMETHEUS]),
        f"{RECORDED} overlay {PROMETHEUS}: {FILE} does not allow it",
    ),
    "of an unknown commit": (
        lambda data: data["predicate"]["project"]["digest"].update(gitCommit="0" * 40),
        "predicate.project.digest.gitCommit: 0000",
    ),
    "of another project file": (
        lambda data: data["predicate"]["project"]["file"]["digest"].update(sha256="0" * 64),
        f"predicate.project.file: tested {FILE} sha256:0000",
    ),
    "of another project of the repository": (
        lambda data: data["predicate"]["project"]["file"].update(name=f"other/{FILE}"),
        f"predicate.project.file: tested other/{FILE} ",
    ),
    "of another folder": (
        lambda data: data["predicate"]["project"]["folders"][0]["digest"].update(gitTree="0" * 40),
        "predicate.project.folders gitops: tested 0000",
    ),
    "of one more folder": (
        lambda data: data["predicate"]["project"]["folders"].append({"name": "ci", "digest": {"gitTree": "0" * 40}}),
        "predicate.project.folders ci: tested 0000",
    ),
    "without a folder": (
        lambda data: data["predicate"]["project"]["folders"].pop(),
        f"predicate.project.folders {CHART}: tested nothing",
    ),
    "of the application's other chart": (
        lambda data: application(data)["chart"].update(gitTree="0" * 40),
        f"{RECORDED} chart.gitTree: 0000",
    ),
    "of another image": (
        lambda data: candidate(data)["release"].update({"image.digest": OTHER}),
        f"{RECORDED} served.candidate.release image.digest: the run had sha256:0000",
    ),
    "of another model's files": (
        lambda data: candidate(data)["release"].update({"model.digest": OTHER}),
        f"{RECORDED} served.candidate.release model.digest: the run had sha256:0000",
    ),
    "of another model": (
        lambda data: candidate(data)["release"].update({"model.storageUri": "gs://elsewhere/2.0"}),
        f"{RECORDED} served.candidate.release model.storageUri: the run had gs://elsewhere/2.0",
    ),
    "of another version": (
        lambda data: candidate(data)["release"].update({"model.version": "9"}),
        f"{RECORDED} served.candidate.release model.version: the run had 9; 2.0 is about to be promoted",
    ),
    "without the model": (
        lambda data: candidate(data)["release"].pop("model.storageUri"),
        f"{RECORDED} served.candidate.release model.storageUri: the run had none",
    ),
    "that served another model": (
        lambda data: candidate(data).update(model=OTHER),
        f"{RECORDED} served.candidate.model: the run served {OTHER}, not {DIGEST}",
    ),
    "that served no model": (
        lambda data: candidate(data).update(model=None),
        f"{RECORDED} served.candidate.model: the run served no files, not {DIGEST}",
    ),
    "that served another image": (
        lambda data: candidate(data).update(image=OTHER),
        f"{RECORDED} served.candidate.image: {OTHER}, but {SERVER}@{DIGEST}",
    ),
    "that served another image, with others built": (
        lambda data: (data["predicate"].update(supply="source"), candidate(data).update(image=OTHER)),
        f"{RECORDED} served.candidate.image: {OTHER}, but {SERVER}@{DIGEST}",
    ),
    "that served an image that was built under the published name": (
        lambda data: candidate(data).update(built=True),
        f"{RECORDED} served.candidate.built: {DIGEST} was built for the run, so {SERVER}@{DIGEST} was never served",
    ),
    "that served an image that a person built, with others built by the supply": (
        lambda data: (data["predicate"].update(supply="source"), candidate(data).update(built=True, image=OTHER)),
        f"{RECORDED} served.candidate.built: {OTHER} was built for the run, so {SERVER}@{DIGEST} was never served",
    ),
    "of wrong answers": (
        lambda data: application(data)["golden"].update(passed=False),
        f"{RECORDED} golden.passed: the answers are not what the golden file asks for",
    ),
    "of questions that are in no commit": (
        lambda data: application(data)["golden"]["digest"].update(sha256="c" * 64),
        f"{RECORDED} golden.digest: the run had {'c' * 64}, but {GOLDEN} of ",
    ),
    "of a base without the application, as if it were deployed for the first time": (
        lambda data: (
            application(data).update(canary=None, back=False, rules=[subjects.FIRST]),
            application(data)["served"].update(champion=None),
        ),
        f"{RECORDED} canary: none was taken; {subjects.FIRST}, and this would start one in prod",
    ),
    "of a champion without a canary": (
        lambda data: application(data).update(canary=None),
        f"{RECORDED} canary: missing, although there was a champion",
    ),
    "of a champion that was only asked, as if the change started no canary": (
        lambda data: application(data).update(canary=None, back=False, rules=[subjects.RED]),
        f"{RECORDED} canary: none was taken; {subjects.RED}, and this would start one in prod",
    ),
    "of a canary that was stopped": (
        lambda data: application(data).update(canary="Degraded"),
        f"{RECORDED} canary: it ended Degraded",
    ),
    "of a stopped canary without a champion": (
        lambda data: (
            application(data)["served"].update(champion=None),
            application(data).update(canary="Degraded"),
        ),
        f"{RECORDED} canary: it ended Degraded",
    ),
    "of no way back": (
        lambda data: application(data).update(back=False),
        f"{RECORDED} back: the champion's set was not put back",
    ),
    **{
        f"with the overlay {line}": (
            lambda data, line=line: application(data)["overlay"].append(line),
            f"{RECORDED} overlay {line}: {FILE} does not allow it",
        )
        for line in (
            "pause: 5m → 20s (throwaway.longest_pause)",
            "gpu: 1 → 0 (throwaway.values.another.gpu)",
            "image: a → b (throwaway.values.*.image)",
            "image: a → b (environments.values)",
            "image: a → b",
            "(throwaway.replicas)",
        )
    },
    "of other manifests": (swap(f"manifests/staging/{APP}"), f"subject manifests/staging/{APP}: 0000"),
    "of another promotion": (swap(f"onward/staging/prod/{APP}"), f"subject onward/staging/prod/{APP}: 0000"),
    "without manifests": (drop(f"manifests/staging/{APP}"), f"subject manifests/staging/{APP}: missing"),
    "without the promotion": (
        drop(f"onward/staging/prod/{APP}"),
        f"subject onward/staging/prod/{APP}: missing",
    ),
    "without pins": (drop(statement.PINS), f"subject {statement.PINS}: missing"),
    "without a report": (drop(statement.REPORT), f"subject {statement.REPORT}: missing"),
    "without an SBOM": (drop(statement.SBOM), f"subject {statement.SBOM}: missing"),
    "of an unknown type": (
        lambda data: data.update(predicateType="https://slsa.dev/provenance/v1"),
        "predicateType: Input should be 'https://github.com/example/ml-serving-ci/attestation/test-run/v4', not 'https",
    ),
    **{
        f"of version {version}": (
            lambda data, version=version: (
                data.update(predicateType=f"https://github.com/example/ml-serving-ci/attestation/test-run/{version}"),
                data["predicate"].pop("tool"),
            ),
            f"predicateType: evidence of version {version}, which says other things than v4",
        )
        for version in ("v1", "v2", "v3")
    },
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
    refused(own, file, f"{RECORDED} served.candidate.release model.storageUri: the run had {MODEL.format('2.0')}")


def test_another_chart_than_the_proven_one_is_refused(own, monkeypatch):
    file = own.evidence(monkeypatch)
    chart = own.clone.folder / "helm/charts/ml-serving/values.yaml"
    own.clone.commit("helm/charts/ml-serving/values.yaml", chart.read_bytes() + b"# a word\n", "A newer chart")
    release(own.clone, STAGING, revision=own.clone.git("rev-parse", "HEAD"))
    refused(own, file, f"{RECORDED} chart.gitTree: ")


def test_values_of_prod_that_changed_since_are_refused(own, monkeypatch):
    file = own.evidence(monkeypatch)
    data = yaml.safe_load(own.clone.read(PROD)) | {"values": {"autoscaling": {"maxReplicas": 40}}}
    own.clone.commit(PROD, yaml.safe_dump(data, sort_keys=False).encode(), "More pods")
    refused(own, file, f"subject onward/staging/prod/{APP}: ")


def test_questions_that_became_others_since_are_refused(own, monkeypatch):
    file = own.evidence(monkeypatch)
    own.clone.commit(GOLDEN, own.clone.read(GOLDEN) + b"# and one more\n", "Stricter")
    refused(own, file, f"{RECORDED} golden.digest: the run had ")


def test_questions_of_a_newer_model_are_not_asked_of_what_was_proven(own, monkeypatch):
    release(own.clone, STAGING.replace("staging", "dev"), version="2.0", storageUri=MODEL.format("2.0"), digest=DIGEST)
    file = own.evidence(monkeypatch, own.said())
    release(own.clone, STAGING.replace("staging", "dev"), version="3.0", storageUri=MODEL.format("3.0"))
    own.clone.commit(GOLDEN, own.clone.read(GOLDEN) + b"# of 3.0\n", "Of 3.0")
    assert promote(own, file)


@pytest.mark.parametrize(
    "model",
    [
        {"runtime": "kserve-xgbserver", "modelFormat": "xgboost"},
        {"protocolVersion": "v2", "knownAnswer": {}},
        {"command": ["python", "-m", "mine"]},
    ],
)
def test_another_server_than_the_one_that_was_proven_is_refused(own, monkeypatch, model):
    data = yaml.safe_load(own.clone.read(PROD)) | {"values": {"exampleModel": model}}
    own.clone.commit(PROD, yaml.safe_dump(data, sort_keys=False).encode(), "Served otherwise")
    refused(own, own.evidence(monkeypatch, own.said()), f"{RECORDED} served: the model server was ")


GIVEN = [
    ({"env": [{"name": "BAD", "value": "1"}]}, "env BAD of sklearn-iris"),
    ({"args": ["--threshold=0"]}, "args of sklearn-iris"),
    ({"env": [{"name": "BAD", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}]}, "env BAD of sklearn-iris"),
    ({"predictor": {"initContainers": [{"name": "a", "image": "b"}]}}, "initContainers of sklearn-iris (a)"),
    (
        {"model": {"lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", "cp /a/* /mnt/models"]}}}}},
        "lifecycle.postStart of sklearn-iris",
    ),
    (
        {"podAnnotations": {"sidecar.istio.io/proxyImage": "b"}},
        "annotation sidecar.istio.io/proxyImage of sklearn-iris",
    ),
]


@pytest.mark.parametrize(("given", "named"), GIVEN)
def test_what_prods_servers_are_given_by_values_that_nobody_served_is_refused(own, monkeypatch, given, named):
    own.clone.commit("gitops/prod/values.yaml", yaml.safe_dump({"exampleModel": given}).encode(), "For all of prod")
    release(own.clone, STAGING, revision=own.clone.git("rev-parse", "HEAD"))
    said = f"would have {named} otherwise than what was served, and prod does not run so"
    refused(own, own.evidence(monkeypatch, own.said()), f"{RECORDED} served: {PROD} {said}")


@pytest.mark.parametrize(("given", "_"), GIVEN)
@pytest.mark.parametrize("paths", [[PROD], [PROD, STAGING]], ids=["that prod has already", "that both have"])
def test_what_prods_servers_are_given_may_be_its_own(own, monkeypatch, given, paths, _):
    for path in paths:
        data = yaml.safe_load(own.clone.read(path)) | {"values": {"exampleModel": given}}
        own.clone.commit(path, yaml.safe_dump(data, sort_keys=False).encode(), "As ever")
    assert promote(own, own.evidence(monkeypatch, own.said()))


def test_an_image_beside_the_server_that_may_be_another_one_tomorrow_is_refused(own, monkeypatch):
    beside = {"exampleModel": {"predictor": {"initContainers": [{"name": "a", "image": "b:1"}]}}}
    for environment in ("staging", "prod"):
        own.clone.commit(f"gitops/{environment}/values.yaml", yaml.safe_dump(beside).encode(), "For all of it")
    release(own.clone, STAGING, revision=own.clone.git("rev-parse", "HEAD"))
    said = "would have b:1 among initContainers of sklearn-iris (a): a tag can be moved"
    refused(own, own.evidence(monkeypatch, own.said()), f"{RECORDED} served: {PROD} {said}")


def test_without_questions_nobody_saw_a_canary_and_the_way_out_is_said(own, monkeypatch):
    own.clone.git("rm", "--quiet", GOLDEN)
    own.clone.git("commit", "--quiet", "--message=No questions")
    own.clone.git("push", "--quiet", "origin", "main")
    file = own.evidence(monkeypatch, own.said(golden="", behaviour=None, canary=None))
    refused(own, file, f"{RECORDED} canary: nobody asked the model anything while it moved: ")


def test_an_overlay_that_the_project_file_allows_no_more_is_refused(own, monkeypatch):
    file = own.evidence(monkeypatch)
    own.clone.commit(FILE, PROJECT.encode(), "All as in the environment")
    refused(own, file, f"{RECORDED} overlay {REPLICAS}: {FILE} does not allow it")


def test_a_project_file_that_was_not_committed_proves_nothing(own, monkeypatch):
    file = own.clone.folder / FILE
    committed = file.read_bytes()
    file.write_bytes(committed.replace(b"replicas = 1", b"replicas = 2"))
    data = own.said()
    file.write_bytes(committed)
    refused(own, own.evidence(monkeypatch, data), f"predicate.project.file: tested {FILE} sha256:")


def test_a_run_that_served_another_set_than_the_tree_has_makes_no_statement(own):
    async def another():
        tested = await checkout.look(own.clone.folder)
        had = await release_of(tested, "staging") | {"model.version": "9"}
        facts = Facts(None, NOW, NOW, "upstream", (), (), [proof("staging", APP, had)])
        await gather.gather(tested, helm(), facts, [])

    with pytest.raises(EvidenceError, match=f"{STAGING}: model.version is 2.0, but the run served 9"):
        anyio.run(another)


def test_a_commit_that_is_not_on_the_branch_proves_nothing(own, monkeypatch):
    own.clone.git("checkout", "--quiet", "-b", "easier")
    (own.clone.folder / "golden" / f"{APP}.yaml").write_text("easier: questions\n")
    own.clone.git("add", "--all")
    own.clone.git("commit", "--quiet", "--message=Easier questions")
    data = own.said()
    assert "golden" in [folder["name"] for folder in data["predicate"]["project"]["folders"]]
    own.clone.git("checkout", "--quiet", "main")
    refused(own, own.evidence(monkeypatch, data), "predicate.project.digest.gitCommit: ")


def test_what_was_not_committed_proves_nothing(own, monkeypatch):
    values = own.clone.folder / "helm/charts/ml-serving/values.yaml"
    committed = values.read_bytes()
    values.write_bytes(committed + b"# tried\n")
    data = own.said()
    values.write_bytes(committed)
    refused(own, own.evidence(monkeypatch, data), f"predicate.project.folders {CHART}: tested ")


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
    data = own.said()
    refused(
        own,
        own.evidence(monkeypatch, data),
        f"{RECORDED} served.candidate.release {section}.digest: {what} is not pinned",
    )


# --- the command line ------------------------------------------------------------------------------------------------


def test_nothing_goes_to_prod_without_evidence(scene):
    before = scene.clone.git("rev-parse", "main")
    for more in ([], ["--evidence=https://ci.example/runs/1"]):
        ended = ci(scene.clone, "promote", "--from=staging", "--to=prod", *more, check=False)
        assert ended.returncode == 2, ended.stderr
        assert "--to prod: nothing is promoted there without evidence" in ended.stderr
    with pytest.raises(UsageError, match="without evidence"):
        promote(scene, None)
    assert scene.clone.git("rev-parse", "main") == before


def test_a_key_without_evidence_is_wrong_use(scene):
    ended = ci(scene.clone, "promote", "--from=staging", "--to=prod", f"--public-key={scene.keys.public}", check=False)
    assert ended.returncode == 2
    assert "for --evidence FILE, which is not given" in " ".join(ended.stderr.split())


def verified(scene, file, environment="prod"):
    words = ("evidence", "verify", str(file), f"--public-key={scene.keys.public}", f"--env={environment}")
    return ci(scene.clone, *words, check=False)


def test_evidence_is_verified_without_a_promotion(scene, monkeypatch):
    ended = verified(scene, scene.evidence(monkeypatch))

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("evidence.dsse.json sha256:")
    assert ended.stdout.rstrip().endswith(f"proves {APP} of staging for prod")
    assert "manifests rendered again and compared" in ended.stderr


def test_what_the_environment_before_has_not_yet_is_told_with_the_promotion_that_comes_first(own, monkeypatch):
    file = own.evidence(monkeypatch)
    own.clone.git("rm", "--quiet", STAGING)
    own.clone.git("commit", "--quiet", "--message=Not yet")

    ended = verified(own, file)

    assert ended.returncode == 2
    assert "error: staging has no application at " in ended.stderr and "could be promoted to prod" in ended.stderr
    assert f"promote --from dev --to staging --app {APP} comes first" in " ".join(ended.stderr.split())


def test_a_refusal_is_exit_code_1_and_names_the_field(scene, monkeypatch):
    data = copy.deepcopy(scene.statement)
    swap(f"onward/staging/prod/{APP}")(data)

    ended = verified(scene, scene.evidence(monkeypatch, data))

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert f"subject onward/staging/prod/{APP}" in " ".join(ended.stderr.split())


@pytest.mark.parametrize("order", [["dev", "staging"], ["staging", "dev"]])
def test_evidence_from_any_environment_that_lets_a_set_in_is_verified(own, monkeypatch, order):
    text = own.clone.read(FILE).decode()
    protected = "protected = true"
    own.clone.commit(
        FILE, text.replace(protected, f"{protected}\nevidence = {json.dumps(order)}").encode(), "From both"
    )

    ended = verified(own, own.evidence(monkeypatch, own.said()))

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.rstrip().endswith(f"proves {APP} of staging for prod")
    data = own.said()
    swap(f"onward/staging/prod/{APP}")(data)
    ended = verified(own, own.evidence(monkeypatch, data))
    assert ended.returncode == 1
    assert f"subject onward/staging/prod/{APP}" in " ".join(ended.stderr.split()), "the one that was served is told of"


def test_the_same_evidence_for_another_environment_is_refused(scene, monkeypatch):
    ended = verified(scene, scene.evidence(monkeypatch), "staging")
    assert ended.returncode == 1
    assert f"{RECORDED} served.candidate.release image.digest: the run had {DIGEST}; none is about to be" in " ".join(
        ended.stderr.split()
    )


@pytest.mark.parametrize(
    ("environment", "named"),
    [("qa", "qa: not one of the environments dev, staging, prod"), ("dev", "--env dev: no set is promoted there")],
)
def test_an_environment_that_nothing_is_promoted_to_is_wrong_use(scene, monkeypatch, environment, named):
    ended = verified(scene, scene.evidence(monkeypatch), environment)
    assert ended.returncode == 2
    assert named in ended.stderr


def test_23_neither_key_nor_password_is_in_what_is_written(scene, monkeypatch):
    file = scene.evidence(monkeypatch)
    inner = [line for line in scene.keys.pem.splitlines() if not line.startswith("-----")]
    for path in scene.report.iterdir():
        assert [line for line in inner if line.encode() in path.read_bytes()] == []
    shown = verified(scene, file)
    assert [line for line in inner if line in shown.stdout + shown.stderr] == []
