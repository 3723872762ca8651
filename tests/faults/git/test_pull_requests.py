"""A pull request's branch is ours until a person writes to it, and a person's word on the pull request stands."""

import pytest

from tests.harness import remote as remotes
from tests.harness.git_server import TOKEN, GitHub, serving
from tests.harness.remote import FILE, bump

HEAD = "ml-serving-ci/dev.sklearn-iris.model"


class Team(GitHub):
    """The repository, and what people do to it.

    Attributes:
        remote: Its git.
        clone: From where the tool is run.
        other: A person's clone.
    """

    def __init__(self, remote):
        super().__init__(remote)
        self.remote = remote
        self.clone = remote.clone("ours")
        self.other = remote.clone("theirs")

    def run(self, *args, clone=None, check=True):
        env = {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": f"http://{self.address}/api/v3"}
        where = ["--pr", f"--remote=http://{self.address}/team/tree.git", "--branch=main"]
        return remotes.ci(clone or self.clone, *args, *where, check=check, env=env)

    def bump(self, to, *args, clone=None, check=True):
        return self.run("bump", "model", "--env=dev", f"--to={to}", *args, clone=clone, check=check)

    def tip(self, head=HEAD):
        return self.remote.git("rev-parse", f"refs/heads/{head}")

    def subjects(self, head=HEAD):
        return self.remote.git("log", "--format=%s", f"main..refs/heads/{head}").splitlines()

    def checkout(self, head=HEAD):
        self.other.git("fetch", "--quiet", "origin")
        self.other.git("checkout", "--quiet", "-B", head, f"origin/{head}")

    def push(self, *args, head=HEAD):
        self.other.git("push", "--quiet", *args, "origin", f"HEAD:refs/heads/{head}")

    def write(self, path, text):
        (self.other.folder / path).write_text(text)
        self.other.git("add", "--", path)

    def move_main(self, path="notes.txt", text="theirs\n"):
        """Have somebody else's commit on the branch that pull requests are merged into."""
        self.other.git("fetch", "--quiet", "origin")
        self.other.git("checkout", "--quiet", "-B", "main", "origin/main")
        self.write(path, text)
        self.other.git("commit", "--quiet", "--message=Theirs")
        self.other.git("push", "--quiet", "origin", "main")


@pytest.fixture
def team(remote):
    team = Team(remote)
    with serving(team) as team.address:
        yield team


def same_again(team, *args):
    """Run what was run before, and return what it says; nothing is pushed."""
    before = team.tip()
    result = team.bump("2.0", *args)
    assert team.tip() == before
    return result


def test_the_same_again_is_one_commit_and_one_push(team):
    first = team.bump("2.0", "--why=better")

    result = same_again(team, "--why=better")

    assert result.stdout == first.stdout
    assert "nothing was pushed" in result.stderr
    assert team.subjects() == ["Bump sklearn-iris model in dev to 2.0"]
    assert team.changes == []
    assert len(team.pulls) == 1


def test_whether_the_application_is_named_is_no_other_branch(team):
    team.bump("2.0")

    same_again(team, "--app=sklearn-iris")

    assert [pull["head"] for pull in team.pulls] == [HEAD]


def test_what_else_happens_on_the_branch_below_is_no_push(team):
    team.bump("2.0")
    team.move_main()

    same_again(team)


def test_a_change_of_the_same_file_is_taken_over(team):
    team.bump("2.0")
    team.move_main(FILE, team.other.read().decode() + "# theirs\n")

    team.bump("2.0")

    assert team.subjects() == ["Bump sklearn-iris model in dev to 2.0"]
    assert team.remote.git("show", f"{HEAD}:{FILE}").endswith("# theirs")


def test_another_reason_is_told_on_the_branch_and_in_the_pull_request(team):
    team.bump("2.0", "--why=better")

    team.bump("2.0", "--why=fixes #1, thanks @octocat [skip ci]")

    said = "Why: fixes # 1, thanks @ octocat [ skip ci]"
    assert said in team.remote.git("log", "-1", "--format=%B", HEAD)
    assert said in team.pulls[0]["body"]
    assert len(team.subjects()) == 1


@pytest.mark.parametrize(
    ("what", "to"),
    [
        ("a commit", "3.0"),
        ("an amended file", "2.0"),
        ("an amended message", "2.0"),
        ("an amended message", "3.0"),
        ("a merge that changes more", "3.0"),
    ],
)
def test_a_persons_work_stays(team, what, to):
    team.bump("2.0", "--why=better")
    if what.startswith("a merge"):
        team.move_main()
    team.checkout()
    text = team.other.read().decode()
    match what:
        case "a commit":
            team.write(FILE, text + "# looked at\n")
            team.other.git("commit", "--quiet", "--message=A word of mine")
        case "an amended file":
            team.write(FILE, text + "# looked at\n")
            team.other.git("commit", "--quiet", "--amend", "--no-edit")
        case "an amended message":
            team.other.git("commit", "--quiet", "--amend", "--message=Mine\n\nTool: ml-serving-ci bump")
        case _:
            team.other.git("merge", "--quiet", "--no-commit", "--no-ff", "origin/main")
            team.write(FILE, text + "# looked at\n")
            team.other.git("commit", "--quiet", "--message=Merge main")
    team.push("--force")
    before = team.tip()

    result = team.bump(to, "--why=better", check=False)

    assert team.tip() == before
    assert "holds a commit that is not ours" in result.stderr
    assert f"{team.remote.git('log', '-1', '--format=%h', HEAD)} by Jane" in result.stderr
    says_it_all = (what, to) == ("an amended message", "2.0")
    assert result.returncode == (0 if says_it_all else 1)
    assert says_it_all or "--delete" in result.stderr, "the way out"


def test_a_persons_commit_beside_ours_needs_no_push(team):
    team.bump("2.0")
    team.checkout()
    team.write("notes.txt", "looked at\n")
    team.other.git("commit", "--quiet", "--message=A word of mine")
    team.push()

    result = same_again(team)

    assert "A word of mine" in result.stderr


@pytest.mark.parametrize("how", ["merge", "rebase"])
def test_update_branch_leaves_it_ours(team, how):
    team.bump("2.0")
    team.move_main()
    team.checkout()
    team.other.git(how, "--quiet", "origin/main")
    team.push("--force")

    same_again(team)
    team.bump("3.0")

    assert team.subjects() == ["Bump sklearn-iris model in dev to 3.0"]


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_after_the_merge_the_next_change_begins_at_the_new_tip(team, how):
    team.bump("2.0")
    team.move_main()
    if how == "rebase":
        team.other.git("cherry-pick", f"origin/{HEAD}")
    else:
        team.other.git("merge", "--quiet", *(["--squash"] if how == "squash" else ["--no-edit"]), f"origin/{HEAD}")
    if how == "squash":
        team.other.git("commit", "--quiet", "--message=Bump it (#1)")
    team.other.git("push", "--quiet", "origin", "main")
    team.pulls[0].update(state="closed", merged_at="2026-01-01T00:00:00Z")

    assert "nothing to change" in same_again(team).stdout
    team.bump("3.0")

    assert team.subjects() == ["Bump sklearn-iris model in dev to 3.0"]
    assert team.remote.git("rev-parse", f"{HEAD}^") == team.remote.git("rev-parse", "main")
    assert [pull["state"] for pull in team.pulls] == ["closed", "open"]


def test_a_merged_branch_is_ours_again_whoever_wrote_to_it(team):
    team.bump("2.0")
    team.checkout()
    team.write("notes.txt", "looked at\n")
    team.other.git("commit", "--quiet", "--message=A word of mine")
    team.push()
    team.other.git("checkout", "--quiet", "main")
    team.other.git("merge", "--quiet", "--squash", f"origin/{HEAD}")
    team.other.git("commit", "--quiet", "--message=Bump it (#1)")
    team.other.git("push", "--quiet", "origin", "main")
    team.pulls[0].update(state="closed", merged_at="2026-01-01T00:00:00Z", sha=team.tip())

    team.bump("3.0")

    assert team.subjects() == ["Bump sklearn-iris model in dev to 3.0"]


@pytest.mark.parametrize("branch", ["stays", "is deleted"])
@pytest.mark.parametrize("body", ["ours", "a person's"])
def test_what_a_person_closed_is_not_opened_again(team, branch, body):
    team.bump("2.0")
    team.pulls[0]["state"] = "closed"
    if body != "ours":
        team.pulls[0]["body"] = "Not now."
    if branch != "stays":
        team.remote.git("update-ref", "-d", f"refs/heads/{HEAD}")
    before = team.remote.git("for-each-ref")

    result = team.bump("2.0", check=False)

    assert result.returncode == 1
    assert "#1 of this very change was closed and not merged: https://hub/pull/1" in result.stderr
    assert "reopen it" in result.stderr
    assert team.remote.git("for-each-ref") == before
    assert len(team.pulls) == 1


def test_another_change_than_the_closed_one_is_opened(team):
    team.bump("2.0")
    team.pulls[0]["state"] = "closed"

    team.bump("3.0")

    assert [(pull["title"], pull["state"]) for pull in team.pulls] == [
        ("Bump sklearn-iris model in dev to 2.0", "closed"),
        ("Bump sklearn-iris model in dev to 3.0", "open"),
    ]


def test_what_was_opened_again_is_brought_up_to_date(team):
    team.bump("2.0")
    team.pulls[0]["state"] = "closed"
    team.bump("2.0", check=False)
    team.pulls[0]["state"] = "open"

    same_again(team)
    team.bump("3.0")

    (pull,) = team.pulls
    assert pull["title"] == "Bump sklearn-iris model in dev to 3.0"


def test_a_title_and_a_text_that_a_person_edited_stay(team):
    team.bump("2.0")
    (pull,) = team.pulls
    pull.update(title="Do not merge before Monday", labels=["hold"])

    result = team.bump("3.0")

    assert pull["title"] == "Do not merge before Monday"
    assert "model.version: 1.0 → 3.0" in pull["body"], "the text was ours"
    assert "left as a person has it: title" in result.stderr

    pull["body"] = pull["body"].replace("model.version", "Please look at\r\nmodel.version")
    team.bump("4.0")

    assert "Please look at\r\nmodel.version: 1.0 → 3.0" in pull["body"]
    assert pull["labels"] == ["hold"]

    pull["body"] = "All of it mine"
    team.bump("5.0")
    assert (pull["title"], pull["body"]) == ("Do not merge before Monday", "All of it mine")


def test_a_text_that_a_browser_gave_other_line_ends_is_still_ours(team):
    team.bump("2.0")
    (pull,) = team.pulls
    pull["body"] = pull["body"].replace("\n", "\r\n")

    team.bump("3.0")

    assert "model.version: 1.0 → 3.0" in pull["body"]


def test_a_run_that_died_after_its_push_is_completed(team):
    team.bump("2.0")
    title, body = team.pulls[0]["title"], team.pulls[0]["body"]
    team.bump("3.0")
    team.pulls[0].update(title=title, body=body)
    team.bump("3.0")
    assert team.pulls[0]["title"] == "Bump sklearn-iris model in dev to 3.0"

    team.pulls.clear()
    team.bump("3.0")
    assert [pull["title"] for pull in team.pulls] == ["Bump sklearn-iris model in dev to 3.0"]


def test_names_of_branches_do_not_nest(team):
    team.move_main("gitops/dev/model.yaml", team.other.read().decode())
    digest = f"sha256:{'0' * 64}"

    team.bump("2.0", "--app=model")
    team.run("bump", "image", "--env=dev", "--app=sklearn-iris", f"--to=v9@{digest}")
    team.run("bump", "image", "--env=dev", "--app=model", f"--to=v9@{digest}")

    names = team.remote.git("for-each-ref", "--format=%(refname:lstrip=3)", "refs/heads/ml-serving-ci").splitlines()
    assert names == ["dev.model.image", "dev.model.model", "dev.sklearn-iris.image"]


def test_another_forges_server_gets_no_branch(team):
    team.resources["pulls"] = lambda *_: b"<html>Sign in</html>"
    before = team.remote.git("for-each-ref")

    result = team.bump("2.0", check=False)

    assert result.returncode == 3
    assert "is not GitHub's API" in result.stderr
    assert team.remote.git("for-each-ref") == before


@pytest.mark.parametrize("name", ["ml-serving-ci", f"{HEAD}/x"])
def test_a_branch_that_is_in_the_way_is_named(team, name):
    team.remote.git("branch", name, "main")

    result = team.bump("2.0", check=False)

    assert result.returncode == 2
    assert f"branch {name} is in the way of {HEAD}" in result.stderr
    assert team.pulls == []


def test_branches_of_an_earlier_form_are_in_nobodys_way(team):
    team.remote.git("branch", "ml-serving-ci/dev/model", "main")
    team.bump("2.0")
    assert [pull["head"] for pull in team.pulls] == [HEAD]


def test_a_shallow_clone_knows_our_branch_again(team):
    team.bump("2.0")
    team.move_main()
    remotes.run(["git", "clone", "--quiet", "--depth=1", f"file://{team.remote.folder}", str(team.remote.root / "ci")])
    shallow = remotes.Clone(team.remote.root / "ci")

    before = team.tip()
    team.bump("2.0", clone=shallow)
    assert team.tip() == before

    team.bump("3.0", clone=shallow)
    assert team.subjects() == ["Bump sklearn-iris model in dev to 3.0"]


def test_a_rollback_again_pushes_nothing_for_its_date(team):
    bump(team.clone, "2.0", f"--remote={team.remote.folder}", "--branch=main", "--push")
    words = ("rollback", "--env=dev", f"--to={team.clone.git('rev-parse', 'HEAD')}", "--why=too slow")
    team.run(*words)
    before = team.tip("ml-serving-ci/dev.sklearn-iris.rollback")
    assert "gitops/quarantine/" in team.remote.git("show", "--name-only", before)

    team.run(*words)

    assert team.tip("ml-serving-ci/dev.sklearn-iris.rollback") == before


def test_a_persons_settings_make_no_amendment(team):
    team.clone.git("config", "core.quotePath", "false")
    team.clone.git("config", "diff.algorithm", "patience")
    team.bump("2.0")
    for name, value in (("core.quotePath", "true"), ("diff.noprefix", "true"), ("diff.context", "9")):
        team.clone.git("config", name, value)

    same_again(team)
    team.bump("3.0")
    assert team.subjects() == ["Bump sklearn-iris model in dev to 3.0"]
