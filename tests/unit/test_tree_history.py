"""What a branch had of an application, and what a person took back of it: by content, not by words."""

import subprocess

import anyio
import pytest

from ci.tree import git, history, tree
from ci.tree.git import Snapshot
from tests.harness import project as projects

NAME, ENVIRONMENT = "fraud-score", "lab"
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


class Branch:
    """A project in git, one application of which is edited commit by commit."""

    def __init__(self, folder):
        self.made = projects.made(folder)
        self.folder = folder
        (folder / projects.TREE / ENVIRONMENT / f"{NAME}.yaml").unlink()
        self.git("init", "--quiet", "--initial-branch=trunk")
        self.git("add", "--all")
        self.commit("begin")

    def git(self, *args):
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        return subprocess.run(["git", "-C", self.folder, *identity, *args], check=True, capture_output=True, text=True)

    def commit(self, message):
        self.git("commit", "--quiet", "--all", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD").stdout.strip()

    def have(self, message, tool="", **values):
        """Commit the application with a model, an image or a chart."""
        model, digest = values.get("model", "1"), values.get("digest", "")
        self.made.write(
            f"{projects.TREE}/{ENVIRONMENT}/{NAME}.yaml",
            f'chart: {{revision: "{values.get("chart", "trunk")}"}}\n'
            f'model: {{version: "{model}", storageUri: "s3://acme/{model}", digest: "{digest}"}}\n'
            f'image: {{repository: registry.example.com/x, tag: "{values.get("image", "v1")}", digest: ""}}\n'
            f"values: {{note: {values.get('note', 'x')}}}\n",
        )
        self.git("add", "--all")
        return self.commit(message + (f"\n\nApplication: x\nTool: ml-serving-ci {tool}\n" if tool else ""))

    def steps(self):
        async def read():
            repository = await git.opened(self.folder)
            snapshot = Snapshot(repository, await repository.commit_of("HEAD"), "trunk")
            return await history.steps(snapshot, await tree.load(snapshot, ENVIRONMENT, NAME))

        return anyio.run(read)

    def taken_back(self, **values):
        steps = self.steps()
        release = steps[0].application.release | {tuple(key.split("_")): value for key, value in values.items()}
        return next((back for back in history.in_force(steps) if back.matches(release)), None)


@pytest.fixture
def branch(tmp_path):
    return Branch(tmp_path)


MODEL_2 = {"model_version": "2", "model_storageUri": "s3://acme/2"}


def test_a_step_has_who_when_and_what_the_tool_says(branch):
    first = branch.have("Begin with 1")
    second = branch.have("Bump fraud-score", "bump", model="2")
    newest, oldest = branch.steps()
    assert (newest.commit, newest.action, newest.who, newest.subject) == (second, "bump", "Ada", "Bump fraud-score")
    assert (oldest.commit, oldest.action) == (first, "")
    assert newest.application.release["model", "version"] == "2"
    assert newest.at >= oldest.at


def test_what_cannot_be_read_is_a_step_that_says_why(branch):
    branch.have("Begin with 1")
    branch.made.write(f"{projects.TREE}/{ENVIRONMENT}/{NAME}.yaml", "<<<<<<< HEAD\n")
    branch.commit("Conflict")
    branch.have("Mend it")
    _, conflict, _ = branch.steps()
    assert conflict.application is None
    assert f"{ENVIRONMENT}/{NAME}.yaml" in conflict.unread


def test_a_merge_brings_its_changes_when_it_is_merged(branch):
    branch.have("Begin with 1")
    branch.git("switch", "--quiet", "--create", "topic")
    branch.have("Bump", "bump", model="2")
    branch.have("And again", "bump", model="3")
    branch.git("switch", "--quiet", "trunk")
    branch.git("merge", "--quiet", "--no-ff", "-m", "Merge topic", "topic")
    assert [step.subject for step in branch.steps()] == ["Merge topic", "Begin with 1"]


def merge(branch, *updates):
    """Bump to 2 on a branch of its own, and merge it as a forge does."""
    branch.have("Begin with 1")
    branch.git("switch", "--quiet", "--create", "topic")
    branch.have("Bump to 2\n\nWhy: better", "bump", model="2")
    for update in updates:
        update()
    branch.git("switch", "--quiet", "trunk")
    branch.git("merge", "--quiet", "--no-ff", "-m", "Merge pull request #7 from acme/topic", "topic")


def updated(branch):
    """What "Update branch" does."""
    branch.git("switch", "--quiet", "trunk")
    branch.commit("Something else")
    branch.git("switch", "--quiet", "topic")
    branch.git("merge", "--quiet", "--no-ff", "-m", "Merge branch 'trunk' into topic", "trunk")


@pytest.mark.parametrize("updates", [0, 1, 2])
def test_a_merge_of_what_the_tool_committed_is_the_tool_s(branch, updates):
    merge(branch, *[lambda: updated(branch)] * updates)
    newest = branch.steps()[0]
    assert (newest.subject, newest.action, newest.said("Why")) == (
        "Merge pull request #7 from acme/topic",
        "bump",
        "better",
    )


def test_a_merge_of_what_a_person_made_of_it_is_the_person_s(branch):
    merge(branch, lambda: branch.have("And 3", model="3"))
    assert branch.steps()[0].action == ""


def test_a_set_that_a_person_changes_in_the_merge_is_that_person_s(branch):
    merge(branch)
    branch.have("x", model="3")
    branch.git("reset", "--quiet", "--soft", "HEAD~1")
    branch.git("commit", "--quiet", "--amend", "-m", "Merge pull request #7, with 3")
    assert branch.steps()[0].action == ""


def test_a_rollback_by_pull_request_is_no_person_s_word(branch):
    begun(branch)
    branch.git("switch", "--quiet", "--create", "topic")
    branch.have("Back to 1", "rollback")
    branch.git("switch", "--quiet", "trunk")
    branch.git("merge", "--quiet", "--no-ff", "-m", "Merge pull request #8 from acme/topic", "topic")
    assert branch.taken_back(**MODEL_2) is None


def test_each_part_that_was_taken_back_is_told_apart(branch):
    begun(branch)
    branch.have("Back")
    branch.have("Image v2", "bump", image="v2")
    branch.have("Image back", image="v1")
    assert branch.taken_back(**MODEL_2, image_tag="v2") is not None
    branch.have("Image v2 again", image="v2")
    assert branch.taken_back(image_tag="v2") is None
    assert branch.taken_back(**MODEL_2, image_tag="v2") is not None  # the model is still taken back


def begun(branch):
    branch.have("Begin with 1")
    return branch.have("Bump to 2", "bump", model="2")


def test_a_person_takes_a_model_back_by_hand_and_edits_on(branch):
    begun(branch)
    back = branch.have("Better so")
    branch.have("More", note="y")
    branch.have("Another image", "bump", image="v2", note="y")
    found = branch.taken_back(**MODEL_2)
    assert found.step.commit == back
    assert branch.taken_back(**MODEL_2, image_tag="v9") is not None  # with another partner
    assert branch.taken_back(model_version="3", model_storageUri="s3://acme/3") is None


@pytest.mark.parametrize("message", ['Revert "Bump to 2" (#12)\n\nReverts team/tree#11', "Revert\n\n* one\n* two"])
def test_a_forge_s_revert_is_a_person_s(branch, message):
    begun(branch)
    branch.have(message)
    assert branch.taken_back(**MODEL_2) is not None


def test_git_revert_takes_back_and_its_own_revert_lifts_it(branch):
    begun(branch)
    branch.git("revert", "--no-edit", "HEAD")
    assert branch.taken_back(**MODEL_2) is not None
    branch.git("revert", "--no-edit", "HEAD")
    branch.have("Bump to 3", "bump", model="3")
    assert branch.taken_back(**MODEL_2) is None


def test_the_files_are_the_same_under_another_name(branch):
    branch.have("Begin with 1", digest=A)
    branch.have("Bump to 2", "bump", model="2", digest=B)
    branch.have("Back", digest=A)
    assert branch.taken_back(model_version="2-again", model_storageUri="s3://acme/again", model_digest=B) is not None
    assert branch.taken_back(**MODEL_2, model_digest=C) is None  # other files under that name


def test_what_went_back_as_one_is_refused_as_one(branch):
    branch.have("Begin with 1")
    branch.have("Promote", "promote", model="2", image="v2")
    branch.have("Not this set")
    assert branch.taken_back(**MODEL_2, image_tag="v2") is not None
    assert branch.taken_back(**MODEL_2) is None  # whoever took back both did not say which
    assert branch.taken_back(image_tag="v2") is None


def test_a_part_that_went_on_in_the_same_commit_is_not_taken_back(branch):
    branch.have("Begin with 1")
    branch.have("Promote", "promote", model="2", image="v2")
    branch.have("The old image, and model 3", model="3")
    found = branch.taken_back(image_tag="v2")
    assert found is not None
    assert branch.taken_back(**MODEL_2) is None


@pytest.mark.parametrize("tool", ["rollback", "promote", "bump"])
def test_what_the_tool_does_is_no_person_s_word(branch, tool):
    begun(branch)
    branch.have("Back to 1", tool)
    assert branch.taken_back(**MODEL_2) is None


def test_going_on_by_hand_takes_nothing_back(branch):
    begun(branch)
    branch.have("By hand to 3", model="3")
    assert branch.taken_back(**MODEL_2) is None


def test_who_takes_back_a_rollback_takes_nothing_good_back(branch):
    begun(branch)
    branch.have("Back to 1", "rollback")
    branch.have("No, 2 is fine", model="2")
    assert branch.taken_back(model_version="1", model_storageUri="s3://acme/1") is None


def test_a_merge_that_takes_back_is_a_person_s(branch):
    begun(branch)
    branch.git("switch", "--quiet", "--create", "topic")
    branch.have("Better so")
    branch.git("switch", "--quiet", "trunk")
    branch.git("merge", "--quiet", "--no-ff", "-m", "Merge topic", "topic")
    assert branch.taken_back(**MODEL_2).step.subject == "Merge topic"


def test_a_rollback_is_the_tool_s_though_it_was_squashed(branch):
    """Its trailers are gone by then; its entry is not."""
    begun(branch)
    branch.git("switch", "--quiet", "--create", "topic")
    branch.made.write(f"{projects.TREE}/quarantine/{NAME}/0123456789ab.yaml", "x: y\n")
    branch.have("Roll back", "rollback")
    branch.git("switch", "--quiet", "trunk")
    branch.git("merge", "--quiet", "--squash", "topic")
    branch.commit("Roll back (#12)")
    assert branch.steps()[0].action == ""
    assert branch.taken_back(**MODEL_2) is None


def test_another_application_s_entry_says_nothing_of_this_one(branch):
    begun(branch)
    branch.made.write(f"{projects.TREE}/quarantine/other/0123456789ab.yaml", "x: y\n")
    branch.have("Better so")
    assert branch.taken_back(**MODEL_2) is not None


def test_lifting_an_entry_by_hand_is_no_rollback(branch):
    entry = f"{projects.TREE}/quarantine/{NAME}/0123456789ab.yaml"
    begun(branch)
    branch.made.write(entry, "x: y\n")
    branch.have("And an entry", model="2")
    (branch.folder / entry).unlink()
    branch.have("Better so")
    assert branch.taken_back(**MODEL_2) is not None
