"""Back to what ran before, and no way to the failed version until somebody lifts its quarantine in git."""

import re

import anyio
import pytest
import yaml

from ci.checks import golden
from ci.tree import change, git, merge_base
from tests.harness.project import Made
from tests.harness.remote import FILE, MODEL, Clone, bump, ci

QUARANTINE = "gitops/quarantine/sklearn-iris"


def rollback(clone, *args, check=True):
    return ci(clone, "rollback", "--env=dev", *args, check=check)


def test_it_returns_to_the_set_before_and_quarantines_the_failed_one(clone):
    first = clone.read()
    bump(clone, "2.0")

    rollback(clone, "--why=answers are wrong")

    assert clone.read() == first
    assert clone.git("log", "-1", "--format=%s") == "Roll sklearn-iris in dev back to model 1.0"
    (entry,) = (clone.folder / QUARANTINE).iterdir()
    data = yaml.safe_load(entry.read_text())
    assert data["values"] == {"model.version": "2.0", "model.storageUri": MODEL.format("2.0")}
    assert data["reason"] == "answers are wrong"


def test_it_goes_back_to_a_set_from_before_models_were_pinned(clone):
    content = clone.read()
    clone.commit(FILE, re.sub(rb"(model:\n(?:  .*\n)*?)  digest: .*\n", rb"\1", content).replace(b"1.0", b"1.1"))
    clone.commit(FILE, content)
    bump(clone, "2.0", f"--digest=sha256:{'a' * 64}")
    rollback(clone)
    rollback(clone)

    assert yaml.safe_load(clone.read())["model"] == {
        "version": "1.1",
        "storageUri": MODEL.format("1.1"),
        "digest": "",
    }


def test_what_others_changed_since_stays(clone):
    bump(clone, "2.0")
    clone.replace(b"values: {}", b"values: {slo: {latency: {p95Threshold: 0.4}}}")

    rollback(clone)

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

    rollback(clone)

    data = yaml.safe_load(clone.read())
    assert (data["model"]["version"], data["image"]["tag"]) == ("1.0", "v0.20.0")
    assert data["values"]["exampleModel"]["knownAnswer"] == ({**before, "expected": 2} if kept else before)


def test_a_model_that_had_no_known_answer_is_not_asked_the_next_ones(clone):
    known = ANSWER.replace("EXPECTED", "2").encode()
    clone.commit(FILE, clone.read().replace(b"values: {}\n", known).replace(b'"1.0"', b'"2.0"'))

    rollback(clone)

    data = yaml.safe_load(clone.read())
    assert data["model"]["version"] == "1.0"
    assert data["values"] == {"exampleModel": {"knownAnswer": {}}}


def test_a_quarantined_version_is_refused_until_it_is_lifted(clone):
    bump(clone, "2.0")
    rollback(clone, "--why=too slow")

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


def test_it_never_returns_to_a_quarantined_set(clone):
    bump(clone, "2.0")
    rollback(clone)
    bump(clone, "3.0")

    rollback(clone)
    bump(clone, "4.0")
    rollback(clone)

    assert yaml.safe_load(clone.read())["model"]["version"] == "1.0"
    assert len(list((clone.folder / QUARANTINE).iterdir())) == 3


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
    rollback(shallow)
    assert yaml.safe_load(shallow.read())["model"]["version"] == "1.0"


def test_a_rollback_is_pushed_like_everything_else(remote, clone):
    bump(clone, "2.0", "--push")
    remote.hook("update", 'echo x >> tries; test "$(wc -l < tries)" -gt 1')

    rollback(clone, "--push")

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

    rollback(clone, "--why=answers are wrong")

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
    rollback(clone)
    assert "golden/" not in clone.git("log", "-1", "--format=%B")

    staging = FILE.replace("dev", "staging")
    clone.commit(staging, clone.read(staging).replace(b"1.0", b"1.1"), "Another model")
    questions(clone, "3")
    ci(clone, "rollback", "--env=staging")
    assert "golden/" not in clone.git("log", "-1", "--format=%B")


def test_a_version_that_was_pinned_when_it_failed_is_refused_without_its_digest_too(clone):
    bump(clone, "2.0", f"--digest=sha256:{'a' * 64}")
    rollback(clone)

    refused = bump(clone, "2.0", check=False)
    assert (refused.returncode, "is quarantined since" in refused.stderr) == (1, True), refused.stderr
    bump(clone, "2.0", f"--digest=sha256:{'b' * 64}")  # other files by that name


def test_other_files_in_its_folder_hinder_nobody(clone):
    bump(clone, "2.0")
    rollback(clone)
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

    said = rollback(clone).stderr

    assert f"{broken} is left out: {FILE}:" in said, said
    assert clone.read() == good
