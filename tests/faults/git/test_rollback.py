"""Back to what ran before, and no way to the failed version until somebody lifts its quarantine in git."""

import re
import sys
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
import yaml

from ci.checks import golden
from ci.tree import change, git, merge_base
from tests.harness import cli
from tests.harness.project import Made
from tests.harness.remote import FILE, MODEL, Clone, bump, ci, run

QUARANTINE = "gitops/quarantine/sklearn-iris"


def rollback(clone, *args, check=True):
    return ci(clone, "rollback", "--env=dev", *args, check=check)


def back(clone, *args, to="HEAD~1"):
    """Go back to what a commit had, by its short hash; the one before by default."""
    return rollback(clone, f"--to={clone.git('rev-parse', '--short=8', to)}", *args)


def test_it_returns_to_the_set_before_and_quarantines_the_failed_one(clone):
    first = clone.read()
    bump(clone, "2.0")

    back(clone, "--why=answers are wrong")

    assert clone.read() == first
    assert clone.git("log", "-1", "--format=%s") == "Roll sklearn-iris in dev back to model 1.0"
    (entry,) = (clone.folder / QUARANTINE).iterdir()
    data = yaml.safe_load(entry.read_text())
    assert data["values"] == {"model.version": "2.0", "model.storageUri": MODEL.format("2.0")}
    assert data["reason"] == "answers are wrong"


def test_it_goes_back_to_a_set_from_before_models_were_pinned(clone):
    content = clone.read()
    clone.commit(FILE, re.sub(rb"(model:\n(?:  .*\n)*?)  digest: .*\n", rb"\1", content).replace(b"1.0", b"1.1"))
    clone.commit(FILE, content.replace(b"1.0", b"1.2"))
    bump(clone, "2.0", f"--digest=sha256:{'a' * 64}")
    back(clone, to="HEAD~2")

    assert yaml.safe_load(clone.read())["model"] == {
        "version": "1.1",
        "storageUri": MODEL.format("1.1"),
        "digest": "",
    }


def test_what_others_changed_since_stays(clone):
    bump(clone, "2.0")
    clone.replace(b"values: {}", b"values: {slo: {latency: {p95Threshold: 0.4}}}")

    back(clone, to="HEAD~2")

    data = yaml.safe_load(clone.read())
    assert data["model"]["version"] == "1.0"
    assert data["values"] == {"slo": {"latency": {"p95Threshold": 0.4}}}


ANSWER = """values:
  exampleModel:
    knownAnswer:
      protocol: v1
      request: {instances: [[1, 2]]}
      at: $.predictions[0]
      expected: EXPECTED
"""


@pytest.mark.parametrize(
    ("changed", "kept"), [({b'"1.0"': b'"2.0"'}, False), ({b"v0.20.0": b"v0.20.1"}, True)], ids=["model", "image"]
)
def test_the_known_answer_goes_back_with_the_model_alone(clone, changed, kept):
    clone.commit(FILE, clone.read().replace(b"values: {}\n", ANSWER.replace("EXPECTED", "1").encode()))
    before = yaml.safe_load(clone.read())["values"]["exampleModel"]["knownAnswer"]
    content = clone.read().replace(b"expected: 1", b"expected: 2")
    for old, new in changed.items():
        content = content.replace(old, new)
    clone.commit(FILE, content)

    back(clone)

    data = yaml.safe_load(clone.read())
    assert (data["model"]["version"], data["image"]["tag"]) == ("1.0", "v0.20.0")
    assert data["values"]["exampleModel"]["knownAnswer"] == ({**before, "expected": 2} if kept else before)


def test_a_model_that_had_no_known_answer_is_not_asked_the_next_ones(clone):
    known = ANSWER.replace("EXPECTED", "2").encode()
    clone.commit(FILE, clone.read().replace(b"values: {}\n", known).replace(b'"1.0"', b'"2.0"'))

    back(clone)

    data = yaml.safe_load(clone.read())
    assert data["model"]["version"] == "1.0"
    assert data["values"] == {"exampleModel": {"knownAnswer": {}}}


def test_a_quarantined_version_is_refused_until_it_is_lifted(clone):
    bump(clone, "2.0")
    back(clone, "--why=too slow")

    refused = bump(clone, "2.0", check=False)
    bump(clone, "3.0")

    assert refused.returncode == 1
    assert "model.version 2.0" in refused.stderr
    assert "too slow" in refused.stderr
    (entry,) = (clone.folder / QUARANTINE).iterdir()
    assert f"git rm {entry.relative_to(clone.folder)}" in " ".join(refused.stderr.split())

    clone.git("rm", "--quiet", str(entry))
    clone.git("commit", "--quiet", "--message=It was the network")
    bump(clone, "2.0")
    assert yaml.safe_load(clone.read())["model"]["version"] == "2.0"


def test_another_name_of_the_application_opens_no_quarantine(clone):
    digests = {version: f"sha256:{version[0] * 64}" for version in ("2.0", "3.0")}
    bump(clone, "2.0", f"--digest={digests['2.0']}")
    back(clone, "--why=too slow")
    for environment in ("dev", "staging", "prod"):
        clone.git("mv", f"gitops/{environment}/sklearn-iris.yaml", f"gitops/{environment}/iris.yaml")
    clone.git("commit", "--quiet", "--message=Call it iris")

    refused = bump(clone, "2.0", f"--digest={digests['2.0']}", check=False)

    assert (refused.returncode, "too slow" in refused.stderr) == (1, True), refused.stderr
    bump(clone, "3.0", f"--digest={digests['3.0']}")


def test_it_never_returns_to_a_quarantined_set(clone):
    bump(clone, "2.0")
    back(clone)
    bump(clone, "3.0")

    refused = rollback(clone, f"--to={clone.git('rev-parse', 'HEAD~2')}", check=False)
    assert (refused.returncode, yaml.safe_load(clone.read())["model"]["version"]) == (1, "3.0")
    (entry,) = (clone.folder / QUARANTINE).iterdir()
    assert f"fix: To lift it: git rm {entry.relative_to(clone.folder)}" in refused.stderr

    unnamed = rollback(clone, check=False)
    assert unnamed.returncode == 2
    assert clone.git("rev-parse", "--short=12", "HEAD~2") not in unnamed.stderr, "no candidate"


def test_without_an_earlier_set_it_says_so(clone):
    result = rollback(clone, check=False)

    assert result.returncode == 1
    assert f"{FILE} has no earlier set to go back to" in result.stderr
    assert clone.git("log", "--format=%s") == "First"


def test_what_a_shallow_clone_does_not_have_is_fetched(clone, tmp_path):
    """As CI systems check out: the set before is in the history all the same."""
    bump(clone, "2.0")
    folder = tmp_path / "shallow"
    clone.git("clone", "--quiet", "--depth=1", f"file://{clone.folder}", str(folder))
    shallow = Clone(folder)

    refused = rollback(shallow, check=False)

    assert refused.returncode == 2
    assert "this clone is shallow" in refused.stderr
    assert "fix: git fetch --unshallow" in refused.stderr
    shallow.git("fetch", "--quiet", "--unshallow")
    back(shallow)
    assert yaml.safe_load(shallow.read())["model"]["version"] == "1.0"


def test_a_rollback_is_pushed_like_everything_else(remote, clone):
    bump(clone, "2.0", "--push")
    remote.hook("update", 'echo x >> tries; test "$(wc -l < tries)" -gt 1')

    rollback(clone, "--push", f"--to={remote.git('rev-parse', 'main~1')}")

    assert remote.commits() == [
        "Roll sklearn-iris in dev back to model 1.0",
        "Bump sklearn-iris model in dev to 2.0",
        "First",
    ]


@pytest.mark.parametrize(("source", "target"), [("dev", "prod"), ("staging", "dev"), ("dev", "dev"), ("dev", "qa")])
def test_a_promotion_goes_one_step_forward(clone, source, target):
    result = ci(clone, "promote", f"--from={source}", f"--to={target}", check=False)

    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert target in result.stderr


QUESTIONS = """\
name: flowers
version: {version}
source: a handful of flowers, named by hand
known: one
gates: {{all: {{accuracy: 1}}}}
inputs:
  - {{id: one, instance: [1, 2], expected: {version}}}
"""


def linted(clone):
    """What lint has against the known answers, by severity."""
    made = Made(clone.folder)
    found = made.judged(lambda found: golden.findings(made.folder, made.project, found.judged, found.applications))
    return {(each.severity, name): each.message for name, each in found}


def questions(clone, version):
    clone.commit("golden/sklearn-iris.yaml", QUESTIONS.format(version=version).encode(), "Questions of a version")


def test_a_golden_file_of_the_version_that_is_taken_back_leaves_no_red_branch(clone):
    """At night nobody writes golden files: the first environment goes back, and everything that was green stays so."""
    for version in ("1", "2"):
        questions(clone, version)
        bump(clone, f"{version}.1")
        assert linted(clone) == {}
    base = clone.git("rev-parse", "HEAD")

    back(clone, "--why=answers are wrong", to="HEAD~2")

    assert yaml.safe_load(clone.read())["values"]["exampleModel"]["knownAnswer"]["expected"] == 1
    text = clone.git("log", "-1", "--format=%B")
    assert "golden/sklearn-iris.yaml stays, which has changed since: this model is not held to its answers" in text
    ((told, said),) = linted(clone).items()
    assert told == ("warning", "dev/sklearn-iris")
    assert said.endswith("golden/sklearn-iris.yaml is of the model that was taken back in dev")

    async def differs():
        repository = await git.opened(clone.folder)
        return await change.between(*await merge_base.sides(repository, base, "origin"))

    found = anyio.run(differs)
    assert [(each.environment, each.kind) for each in found.applications] == [("dev", "changed")]
    assert {key[0]: why.taken_back for key, why in found.earlier.items()} == dict.fromkeys(
        ("dev", "staging", "prod"), True
    )

    questions(clone, "3")
    bump(clone, "3.1")
    assert linted(clone) == {}
    questions(clone, "4")
    assert [severity for severity, _ in linted(clone)] == ["error"], "held again"


def test_a_golden_file_that_is_the_same_and_one_of_a_later_environment_need_no_word(clone):
    questions(clone, "1")
    bump(clone, "1.1")
    bump(clone, "2.1")
    back(clone)
    assert "golden/" not in clone.git("log", "-1", "--format=%B")

    staging = FILE.replace("dev", "staging")
    clone.commit(staging, clone.read(staging).replace(b"1.0", b"1.1"), "Another model")
    questions(clone, "3")
    first = clone.git("rev-list", "--max-parents=0", "HEAD")
    ci(clone, "rollback", "--env=staging", f"--to={first}")
    assert "golden/" not in clone.git("log", "-1", "--format=%B")


def test_a_version_that_was_pinned_when_it_failed_is_refused_without_its_digest_too(clone):
    bump(clone, "2.0", f"--digest=sha256:{'a' * 64}")
    back(clone)

    refused = bump(clone, "2.0", check=False)
    assert (refused.returncode, "is quarantined since" in refused.stderr) == (1, True), refused.stderr
    bump(clone, "2.0", f"--digest=sha256:{'b' * 64}")  # other files by that name


def test_other_files_in_its_folder_hinder_nobody(clone):
    bump(clone, "2.0")
    back(clone)
    clone.commit(f"{QUARANTINE}/README.md", b"Why we keep these\n")
    clone.commit("gitops/quarantine/notes.txt", b"\n")

    bump(clone, "3.0")
    assert bump(clone, "2.0", check=False).returncode == 1


def test_an_entry_that_cannot_be_read_stops_in_one_line_with_its_name(clone):
    path = f"{QUARANTINE}/by-hand.yaml"
    clone.commit(
        path, b"application: sklearn-iris\nenvironment: dev\nreason: bad\nsince: now\nvalues: {model.version: 2.0}\n"
    )

    refused = bump(clone, "2.0", check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {path}: no entry of the quarantine: values.model.version: ")


def test_conflict_markers_of_the_past_are_left_out_and_said(clone):
    good = clone.read()
    clone.commit(FILE, good.replace(b'"1.0"', b'\n<<<<<<< HEAD\n    "1.0"\n=======\n    "1.1"\n>>>>>>> theirs'))
    broken = clone.git("rev-parse", "--short=12", "HEAD")
    clone.commit(FILE, good.replace(b'"1.0"', b'"1.1"'))

    refused = rollback(clone, check=False)

    assert f"{broken} is left out: {FILE}:" in refused.stderr, refused.stderr
    assert refused.returncode == 2
    back(clone, to="HEAD~2")
    assert clone.read() == good
    assert rollback(clone, f"--to={broken}", check=False).returncode == 2


# --- which set -----------------------------------------------------------------------------------------------------


def promoted(clone, environment="staging", source="dev"):
    """Commit what `promote` does, which asks a cluster: the set of an environment in the next."""
    path = FILE.replace("dev", environment)
    content = clone.read(FILE.replace("dev", source)).replace(b"# sklearn-iris in dev", b"# sklearn-iris in staging")
    trailers = f"Application: sklearn-iris\nEnvironment: {environment}\nTool: ml-serving-ci promote"
    clone.commit(path, content, f"Promote sklearn-iris\n\nProven: Synced and Healthy for 700 s\n\n{trailers}")
    return clone.git("rev-parse", "--short=12", "HEAD")


def model(clone):
    return yaml.safe_load(clone.read())["model"]["version"]


def test_by_default_it_is_the_last_set_that_a_promotion_has_proven(clone):
    """Between that one and the one that runs is another that nobody knows to be good."""
    bump(clone, "1.1")
    proof = promoted(clone)
    bump(clone, "1.2")
    bump(clone, "1.3")

    said = rollback(clone).stderr

    assert model(clone) == "1.1"
    assert f"(promoted to staging in {proof})" in " ".join(said.split())
    assert "model.version: 1.3 → 1.1" in said
    assert f"Healthy: promoted to staging in {proof}" in clone.git("log", "-1", "--format=%B")


def test_what_came_by_a_promotion_was_proven_where_it_came_from(clone):
    """The last environment promotes nothing onward, and goes back at night, too."""
    for version in ("1.1", "1.2"):
        bump(clone, version)
        promoted(clone)
    ci(clone, "rollback", "--env=staging")
    assert yaml.safe_load(clone.read(FILE.replace("dev", "staging")))["model"]["version"] == "1.1"


def test_a_promotion_of_another_set_proves_nothing(clone):
    promoted(clone, "prod", "staging")  # the set of staging, which dev has as well; dev does not promote there
    bump(clone, "1.1")
    assert rollback(clone, check=False).returncode == 2


def test_where_nothing_says_which_was_healthy_it_must_be_named(clone):
    bump(clone, "1.2")
    bump(clone, "v0.20.1@sha256:" + "b" * 64, component="image")
    head = clone.git("rev-parse", "HEAD")

    refused = rollback(clone, check=False)

    assert refused.returncode == 2
    commands = re.findall(r"rollback --env dev --to ([0-9a-f]{12})   # model (\S+), image", refused.stderr)
    assert [version for _, version in commands] == ["1.2", "1.0"], "the newest first"
    assert clone.git("rev-parse", "HEAD") == head

    rollback(clone, f"--to={commands[1][0]}")
    data = yaml.safe_load(clone.read())
    assert (data["model"]["version"], data["image"]["tag"]) == ("1.0", "v0.20.0")


@pytest.mark.parametrize(("keep", "left"), [("image", ("1.0", "v0.20.1")), ("model", ("1.2", "v0.20.0"))])
def test_what_stays_is_not_to_blame(clone, keep, left):
    digest = "@sha256:" + "b" * 64
    bump(clone, "1.2")
    bump(clone, f"v0.20.1{digest}", component="image")

    back(clone, f"--keep={keep}", to="HEAD~2")

    data = yaml.safe_load(clone.read())
    assert (data["model"]["version"], data["image"]["tag"]) == left
    (entry,) = (clone.folder / QUARANTINE).iterdir()
    barred = {key.partition(".")[0] for key in yaml.safe_load(entry.read_text())["values"]}
    assert barred == {"image", "model"} - {keep}


def test_a_model_and_an_image_that_failed_together_are_barred_together(clone):
    bump(clone, "1.2")
    bump(clone, "v0.20.1@sha256:" + "b" * 64, component="image")
    back(clone, to="HEAD~2")

    assert len(list((clone.folder / QUARANTINE).iterdir())) == 1
    bump(clone, "1.2")
    assert bump(clone, "v0.20.1@sha256:" + "b" * 64, component="image", check=False).returncode == 1


def test_without_a_quarantine_it_may_come_again(clone):
    bump(clone, "2.0")
    back(clone, "--no-quarantine")
    assert not (clone.folder / QUARANTINE).exists()
    assert rollback(clone).stdout == "nothing to change on main\n"
    bump(clone, "2.0")
    assert model(clone) == "2.0"


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("HEAD~1", "--to HEAD~1: not the hash of a commit"),
        ("main", "--to main: not the hash of a commit"),
        ("--all", "--to --all: not the hash of a commit"),
        ("0000000", "--to 0000000: not a commit of main"),
    ],
)
def test_what_is_no_commit_of_the_branch_is_refused_by_name(clone, to, said):
    bump(clone, "2.0")
    refused = rollback(clone, f"--to={to}", check=False)
    assert (refused.returncode, model(clone)) == (2, "2.0")
    assert refused.stderr.startswith(f"error: {said}")
    assert "python ci/main.py history --env dev" in refused.stderr


def test_a_set_of_another_branch_never_ran(clone):
    clone.git("switch", "--quiet", "--create", "topic")
    clone.replace(b'"1.0"', b'"9.9"')
    other = clone.git("rev-parse", "HEAD")
    clone.git("switch", "--quiet", "main")
    bump(clone, "2.0")
    refused = rollback(clone, f"--to={other}", check=False)
    assert (refused.returncode, model(clone)) == (2, "2.0")


def test_a_commit_from_before_the_application_has_no_set(clone):
    path = "gitops/dev/fraud.yaml"
    first = clone.git("rev-parse", "--short=8", "HEAD")
    clone.commit(path, clone.read(), "Another application")
    clone.commit(path, clone.read().replace(b"1.0", b"1.1"))
    refused = rollback(clone, "--app=fraud", f"--to={first}", check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: --to {first}: that commit has no {path}")


def test_a_commit_that_changed_another_file_has_the_set_of_its_time(clone):
    clone.commit("README.md", b"\n")
    bump(clone, "2.0")
    back(clone)
    assert model(clone) == "1.0"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--keep=chart"], "--keep chart: not one of image, model"),
        (["--keep=image", "--keep=model"], "nothing is left that could go back"),
    ],
)
def test_what_can_stay_is_a_model_or_an_image(clone, arguments, said):
    bump(clone, "2.0")
    refused = rollback(clone, *arguments, check=False)
    assert (refused.returncode, model(clone)) == (2, "2.0")
    assert said in refused.stderr


def test_a_protected_environment_goes_back_to_what_ran_there_as_one_set(clone):
    path = FILE.replace("dev", "prod")
    began = clone.read(path)
    clone.commit(path, began.replace(b"1.0", b"1.1").replace(b"v0.20.0", b"v0.20.1"))
    first = clone.git("rev-list", "--max-parents=0", "HEAD")

    refused = ci(clone, "rollback", "--env=prod", f"--to={first}", "--keep=image", check=False)
    assert refused.returncode == 2
    assert "never ran there as one set" in refused.stderr

    ci(clone, "rollback", "--env=prod", f"--to={first}")
    assert clone.read(path) == began


# --- once ----------------------------------------------------------------------------------------------------------


def test_a_second_rollback_finds_it_done(clone):
    """Not one step further, and the good set is not quarantined."""
    bump(clone, "1.1")
    promoted(clone)
    bump(clone, "2.0")
    rollback(clone)
    head = clone.git("rev-parse", "HEAD")

    again = rollback(clone)

    assert again.stdout == "nothing to change on main\n"
    assert f"rolled back already, in {head[:12]} by Jane: Roll sklearn-iris in dev back to model 1.1" in again.stderr
    assert clone.git("rev-parse", "HEAD") == head
    assert rollback(clone, f"--to={clone.git('rev-parse', 'HEAD')}").stdout == "nothing to change on main\n"
    rollback(clone, f"--to={clone.git('rev-list', '--max-parents=0', 'HEAD')}")
    assert model(clone) == "1.0", "further back, when it is named"


def test_after_the_next_bump_it_goes_back_again(clone):
    bump(clone, "1.1")
    promoted(clone)
    for version in ("2.0", "3.0"):
        bump(clone, version)
        rollback(clone)
        assert model(clone) == "1.1"
    assert len(list((clone.folder / QUARANTINE).iterdir())) == 2


def test_a_push_whose_answer_is_lost_is_one_rollback(remote, clone):
    bump(clone, "1.1", "--push")
    clone.pull()
    promoted(clone)
    bump(clone, "2.0", "--push")
    remote.hook("post-receive", "kill -9 $PPID")  # the branch has moved, and nobody is told

    first = rollback(clone, "--push", check=False)
    (remote.folder / "hooks" / "post-receive").unlink()
    second = rollback(clone, "--push")

    assert first.returncode == 0, first.stderr
    assert second.stdout == "nothing to change on main\n"
    assert remote.commits()[:2] == [
        "Roll sklearn-iris in dev back to model 1.1",
        "Bump sklearn-iris model in dev to 2.0",
    ]
    assert len(remote.git("ls-tree", "--name-only", "main", f"{QUARANTINE}/").splitlines()) == 1


def test_two_at_once_are_one(remote, clone, other):
    bump(clone, "1.1", "--push")
    clone.pull()
    promoted(clone)
    bump(clone, "2.0", "--push")
    with ThreadPoolExecutor(2) as both:
        ended = list(both.map(lambda each: rolled_back_apart(each), (clone, other)))

    assert [each.returncode for each in ended] == [0, 0], [each.stderr for each in ended]
    assert remote.commits()[:2] == [
        "Roll sklearn-iris in dev back to model 1.1",
        "Bump sklearn-iris model in dev to 2.0",
    ]


def rolled_back_apart(clone):
    """Roll back in a process that is started, as two people do."""
    argv = [sys.executable, cli.MAIN, f"--project={clone.folder}", "rollback", "--env=dev", "--push"]
    return run(argv, check=False)


# --- a person's word -----------------------------------------------------------------------------------------------


def test_it_never_goes_forward_to_what_a_person_took_back(clone):
    bump(clone, "2.0")
    taken = clone.git("rev-parse", "--short=12", "HEAD")
    clone.git("revert", "--no-edit", "HEAD")
    head = clone.git("rev-parse", "HEAD")

    done = rollback(clone)
    named = rollback(clone, f"--to={taken}", check=False)

    assert clone.git("rev-parse", "HEAD") == head
    assert done.stdout == "nothing to change on main\n"
    assert f"rolled back already, in {head[:12]} by Jane: Revert" in done.stderr
    assert named.returncode == 1
    assert f"taken back in {head[:12]} by Jane" in named.stderr
    assert f"git revert {head[:12]}" in named.stderr
    assert not (clone.folder / QUARANTINE).exists()


def test_what_a_person_took_back_is_passed_over(clone):
    bump(clone, "1.1")
    promoted(clone)
    clone.git("revert", "--no-edit", "HEAD~1")  # out of dev, though it is in staging
    bump(clone, "3.0")

    refused = rollback(clone, check=False)
    assert refused.returncode == 2
    assert "model 1.1" not in refused.stderr
    assert "model 1.0" in refused.stderr


# --- the chart -----------------------------------------------------------------------------------------------------


def test_a_chart_whose_commit_is_gone_is_not_written(clone):
    gone = b"c" * 40
    clone.git("branch", "newer")
    clone.replace(b"revision: main", b'revision: "' + gone + b'"')
    clone.replace(gone, b"newer")
    content = clone.read()

    refused = rollback(clone, f"--to={clone.git('rev-parse', 'HEAD~1')}", check=False)

    assert (refused.returncode, clone.read()) == (2, content)
    assert f"chart.revision {gone.decode()} is not in" in " ".join(refused.stderr.split())


def test_what_the_chart_does_not_take_is_not_written(clone):
    clone.replace(b"v0.20.0", b"v0.20.1")
    clone.replace(b"values: {}", b"values: {noSuchKey: 1}")
    refused = rollback(clone, f"--to={clone.git('rev-parse', 'HEAD~2')}", check=False)
    assert refused.returncode == 1
    assert "does not take it" in refused.stderr
    assert "v0.20.1" in clone.read().decode()


def test_without_helm_it_says_that_nothing_was_rendered(clone, tmp_path):
    bump(clone, "2.0")
    bare = {"PATH": "/usr/bin:/bin", "ML_SERVING_CI_CACHE": str(tmp_path / "cache")}
    first = clone.git("rev-parse", "HEAD~1")

    dry = ci(clone, "rollback", "--env=dev", f"--to={first}", "--dry-run", env=bare)
    assert "not rendered" in dry.stderr
    assert "the chart takes" not in dry.stderr.partition("checked:")[2]
    ci(clone, "rollback", "--env=dev", f"--to={first}", env=bare)
    assert model(clone) == "1.0"


def test_with_helm_a_dry_run_says_that_the_chart_takes_it(clone):
    bump(clone, "2.0")
    dry = back(clone, "--dry-run")
    assert "the chart takes the result" in dry.stderr
    assert model(clone) == "2.0"
