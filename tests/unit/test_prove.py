"""How a run ends: the first error is the one that is told, and what fails after it hides nothing."""

import functools
import json
import subprocess
import xml.etree.ElementTree as ET
from contextlib import nullcontext
from dataclasses import dataclass
from types import SimpleNamespace

import anyio
import pytest

from ci import prove
from ci.base.errors import CheckFailedError, MachineError, ToldError, UsageError
from ci.cluster.cluster import Cluster
from ci.commands import proving, runner
from ci.host import docker, preflight
from ci.project import FILE
from ci.stages import suite
from ci.stages.order import ORDER, Stage, chosen, left_out
from ci.stages.run import Options
from tests.harness import project as projects
from tests.harness import remote, reports

pytestmark = pytest.mark.anyio
CAUSE = CheckFailedError("the model answers 503", fix="look at its log")
CHECKOUT = prove._checkout
PROVE = prove.prove


@dataclass(frozen=True)
class Given(Stage):
    """A stage that is given as a function of the run."""

    does: object = None

    async def execute(self, run):
        await self.does(run)


def stage(name, does, **more):
    return Given(name, "", does=does, **more)


async def nothing(*_, **__):
    return []


async def no_checkout(_):
    return None


@pytest.fixture
def checkout(tmp_path):
    """The folder of a project."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / FILE).write_text(remote.PROJECT)
    return folder


@pytest.fixture
def ran(checkout, tmp_path, monkeypatch, capsys):
    """Run stages where host and supply have all they need, and return the error and what was printed."""
    monkeypatch.setattr(preflight, "room", nothing)
    monkeypatch.setattr(docker, "ensure", nothing)
    monkeypatch.setattr(prove, "_checkout", no_checkout)
    monkeypatch.setattr(prove, "_measured", lambda *_: nullcontext())
    monkeypatch.delenv("ML_SERVING_CI_WEBHOOK", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setattr(prove, "write_evidence", nothing)
    supply = SimpleNamespace(
        way="source", cache=tmp_path, state=tmp_path, fetch=nothing, pins=SimpleNamespace(modules={})
    )

    async def run(*stages, report=tmp_path / "report", control_plane=True, **more):
        options = Options(checkout, "dev", False, None, None, False, report, control_plane=control_plane)
        try:
            await prove.prove(options, stages, supply, None, install=False, **more)
            error = None
        except ToldError as told:
            error = told.cause
        except BaseException as raised:
            error = raised
        said = capsys.readouterr()
        return error, said.err.splitlines(), said.out

    run.report = tmp_path / "report"
    return run


def report(ran):
    return json.loads((ran.report / "report.json").read_text())


async def fails(run):
    raise CAUSE


def tear_down(error):
    async def breaks():
        raise error

    async def does(run):
        run.cleanup.push_async_callback(breaks)

    return does


async def test_a_tear_down_that_breaks_too_does_not_hide_the_cause(ran):
    error, lines, _ = await ran(stage("install", tear_down(MachineError("docker is gone"))), stage("canary", fails))
    assert error is CAUSE
    assert report(ran)["failure"] == {"where": "canary", "message": CAUSE.message, "fix": CAUSE.fix}
    told = [line for line in lines if "503" in line or "docker is gone" in line]
    assert told == [f"error: {CAUSE.message}", "    then, tear-down: docker is gone"]


async def test_the_error_and_its_fix_are_told_before_tables_and_notes(ran):
    _, lines, tables = await ran(stage("canary", fails))
    first = lines.index(f"error: {CAUSE.message}")
    assert lines[first + 1] == f"  fix: {CAUSE.fix}"
    assert not [line for line in lines[:first] if "report" in line]
    assert CAUSE.message in tables


@pytest.mark.parametrize("cause", [CAUSE, MachineError("docker is gone"), UsageError("no such model")])
async def test_an_error_is_told_once_and_in_the_end_the_stage_that_had_it(ran, monkeypatch, cause):
    async def breaks(run):
        raise cause

    shown = []

    async def keep(*args, **more):
        try:
            await PROVE(*args, **more)
        except ToldError as told:
            shown.append(runner.show(told))
            raise

    monkeypatch.setattr(prove, "prove", keep)
    error, lines, _ = await ran(stage("canary", breaks))

    assert error is cause
    assert [line for line in lines if line.startswith("error: ")] == [f"error: {cause.message}"]
    assert lines[-1] == "    canary failed: the error above says why"
    assert shown == [cause.exit_code]


async def test_of_two_stages_side_by_side_the_one_that_failed_first_is_the_cause(ran):
    async def later(run):
        try:
            await anyio.sleep(60)
        finally:
            raise MachineError("cancelled in the middle")

    async def sooner(run):
        await anyio.sleep(0.05)
        raise CAUSE

    error, lines, _ = await ran(stage("gitops", later, alongside=True), stage("canary", sooner))
    assert error is CAUSE
    assert "    then, gitops: cancelled in the middle" in lines
    assert report(ran)["failure"]["where"] == "canary"


async def test_a_tear_down_that_breaks_alone_fails_the_run_by_its_name(ran):
    error, _, _ = await ran(stage("install", tear_down(OSError(5, "Input/output error", "/dev/sda"))))
    assert isinstance(error, OSError)
    assert report(ran)["outcome"] == "failed"
    assert report(ran)["failure"]["where"] == "tear-down"
    assert report(ran)["failure"]["message"] == "/dev/sda: Input/output error"


async def test_an_interrupted_run_stays_interrupted_though_its_tear_down_breaks(ran):
    async def waits(run):
        await tear_down(MachineError("docker is gone"))(run)
        scope.cancel()
        await anyio.sleep(60)

    with anyio.CancelScope() as scope:
        _, lines, _ = await ran(stage("install", waits))
    assert report(ran)["outcome"] == "interrupted"
    assert report(ran)["failure"] is None
    assert "    then, tear-down: docker is gone" in lines


async def test_a_killed_pytest_takes_no_form_of_the_report_away(ran):
    async def killed(run):
        (run.options.report / "pytest-canary.xml").write_bytes(b"")
        raise CAUSE

    error, _, _ = await ran(stage("canary", killed))
    assert error is CAUSE
    root = ET.parse(ran.report / "junit.xml").getroot()
    assert next(failure.text for failure in root.iter("failure")) == f"{CAUSE.message}\n{CAUSE.fix}"
    assert (ran.report / "report.html").exists()


@pytest.mark.parametrize("form", ["report.json", "junit.xml", "report.html", "summary"])
async def test_a_form_that_cannot_be_written_is_a_note_and_stops_no_other(ran, monkeypatch, tmp_path, form):
    async def breaks(run):
        if form == "summary":
            monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/dev/null/summary")
        else:
            (run.options.report / form).unlink(missing_ok=True)
            (run.options.report / form).mkdir()
        raise CAUSE

    error, lines, tables = await ran(stage("canary", breaks))
    assert error is CAUSE
    notes = [line for line in lines if line.startswith("    no ")]
    assert len(notes) == 1
    assert form in notes[0]
    written = {name for name in ("report.json", "junit.xml", "report.html") if (ran.report / name).is_file()}
    assert written == {"report.json", "junit.xml", "report.html"} - {form}
    assert "canary" in tables


@pytest.mark.parametrize("make", [ValueError, lambda why: OSError(28, why), lambda why: UnicodeError(why)])
async def test_whatever_a_form_raises_is_a_note(ran, monkeypatch, make):
    def breaks(*_, **__):
        raise make("no such luck")

    for module, name in ((prove.html, "write"), (prove.junit, "write"), (prove.terminal, "render")):
        monkeypatch.setattr(module, name, breaks)
    error, lines, _ = await ran(stage("canary", fails))
    assert error is CAUSE
    assert len([line for line in lines if "no such luck" in line]) == 3
    assert report(ran)["failure"]["message"] == CAUSE.message


async def test_diagnostics_that_break_hide_no_error(ran, monkeypatch):
    async def with_cluster(run):
        run.made_cluster = object()
        raise CAUSE

    error, lines, _ = await ran(stage("canary", with_cluster))
    assert error is CAUSE
    assert any("no diagnostics: " in line for line in lines)


async def test_a_folder_that_takes_no_file_is_told_before_anything_is_done(ran, tmp_path):
    async def begun(run):
        raise AssertionError("a stage has begun")

    (tmp_path / "report" / "report.json").mkdir(parents=True)
    error, lines, _ = await ran(stage("lint", begun))
    assert isinstance(error, OSError)
    assert not [line for line in lines if "lint" in line]


@pytest.fixture
def broken_checkout(ran, checkout, monkeypatch):
    """A checkout that is a git repository of which git cannot read everything."""
    git = ["git", "-C", checkout, "-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "init", "--quiet", checkout], check=True)
    for words in (["add", FILE], ["commit", "--quiet", "--message=One"]):
        subprocess.run([*git, *words], check=True)
    tree = subprocess.check_output([*git, "rev-parse", "HEAD^{tree}"], text=True).strip()
    (checkout / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    monkeypatch.setattr(prove, "_checkout", CHECKOUT)


async def test_a_checkout_that_git_cannot_read_ends_the_run_with_every_form_of_the_report(ran, broken_checkout):
    error, said, _ = await ran(*ORDER)
    assert "git: exit code 128" in error.message
    assert said[0].startswith("error: git: exit code 128")
    assert (report(ran)["outcome"], report(ran)["failure"]["message"]) == ("failed", error.message)
    assert error.message in (ran.report / "junit.xml").read_text()


async def test_a_narrowed_run_asks_nothing_of_git(ran, broken_checkout):
    error, said, _ = await ran(stage("lint", nothing))
    assert error is None
    assert "evidence" not in "".join(said)


async def test_a_run_that_is_killed_has_left_a_report_that_says_interrupted(ran):
    async def killed(run):
        assert json.loads((run.options.report / "report.json").read_text())["outcome"] == "interrupted"

    error, _, _ = await ran(stage("lint", killed))
    assert error is None
    assert report(ran)["outcome"] == "passed"


@pytest.mark.parametrize("name", ["inference.json", "canary-good.json"])
async def test_what_the_tests_recorded_badly_hides_no_error_of_the_stage(ran, monkeypatch, tmp_path, name):
    async def fails_too(selection, folder, env, suites):
        (folder / name).write_bytes(b"")
        raise CAUSE

    monkeypatch.setattr(suite.counting, "run", fails_too)
    cluster = Cluster("x", tmp_path / "kubeconfig", "kind-x", None)

    async def inference(run):
        run.made_cluster = cluster
        await suite.inference(run)

    error, lines, _ = await ran(stage("inference", inference))
    assert error is CAUSE
    assert any(line.startswith("    then, read ") and name in line for line in lines)


@pytest.mark.parametrize("is_served", [False, True])
async def test_no_evidence_is_written_of_nothing(ran, monkeypatch, is_served):
    written = []

    async def write(run, *_):
        written.append(run)

    async def looked(_):
        return SimpleNamespace(repository=None, tree="")

    async def serve(run):
        if is_served:
            run.report.applications.append(reports.WINE)

    monkeypatch.setattr(prove, "_checkout", looked)
    monkeypatch.setattr(prove, "write_evidence", write)
    stages = chosen([], [], platform=False, served=is_served)
    given = [stage(each.name, serve) for each in stages]
    monkeypatch.setattr(prove, "left_out", lambda _, **more: left_out(stages, **more))

    error, _, _ = await ran(*given, scope=SimpleNamespace(), platform=False, served=is_served)

    assert error is None
    assert len(written) == is_served
    assert report(ran)["left_out"] == []


async def test_no_evidence_is_written_where_lint_asked_no_control_plane_and_the_report_says_so(ran, monkeypatch):
    written = []

    async def write(run, *_):
        written.append(run)

    async def looked(_):
        return SimpleNamespace(repository=None, tree="")

    monkeypatch.setattr(prove, "_checkout", looked)
    monkeypatch.setattr(prove, "write_evidence", write)
    monkeypatch.setattr(prove, "left_out", lambda *_, **__: [])

    error, _, tables = await ran(stage("lint", nothing), scope=SimpleNamespace(), control_plane=False)

    assert (error, written) == (None, [])
    assert "this run proves nothing for promote; left out: control-plane" in tables


async def test_a_change_that_only_deletes_an_application_makes_no_cluster(tmp_path, monkeypatch, capsys):
    made = projects.made(tmp_path / "models", environments=("lab", "live"), applications=("scores", "ranks"))
    base = made.commit()
    (made.folder / projects.TREE / "live" / "ranks.yaml").unlink()
    made.commit()
    begun = {}

    async def begin(options, stages, *_, **more):
        begun.update(more, stages=[each.name for each in stages])

    monkeypatch.setattr(prove, "prove", begin)
    monkeypatch.chdir(made.folder)
    asked = functools.partial(Options, keep=False, kubeconfig=None, context=None, allow_install=False)

    await proving.test(asked, None, tmp_path / "report", "source", [], [], False, (base, "origin"))

    assert begun["stages"] == ["lint", "template"]
    assert (begun["platform"], begun["served"]) == (False, False)
    assert "live/ranks is deleted: there is nothing to serve" in capsys.readouterr().err


async def test_a_cluster_that_is_there_begins_from_no_snapshot(tmp_path, monkeypatch):
    made = projects.made(tmp_path / "models")
    made.commit()
    monkeypatch.chdir(made.folder)
    there = tmp_path / "kubeconfig"
    asked = functools.partial(Options, keep=False, kubeconfig=there, context=None, allow_install=False, snapshot=True)

    with pytest.raises(UsageError, match=f"--snapshot: the cluster of {there} is there"):
        await proving.test(asked, None, tmp_path / "report", "source", [], [], False, (None, "origin"))
