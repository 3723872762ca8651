"""Tokens are used, and never shown: fault 23 of the project's list, against a real server that asks for them."""

import base64
import urllib.parse

import pytest

from ci.base.command import redacted
from ci.base.secret import Secret
from tests.harness.git_server import TOKEN, GitHub, serving
from tests.harness.remote import FILE, bump


@pytest.fixture
def server(remote):
    server = GitHub(remote)
    with serving(server) as server.address:
        yield server


def shows(text, token=TOKEN):
    """Every form of the token that a text has."""
    return [form for form in Secret(token, "x-access-token").forms if form in text]


@pytest.mark.parametrize("by", ["variable", "file"])
def test_23_a_token_from_the_environment_opens_the_remote(remote, clone, server, tmp_path, by):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    env = {"ML_SERVING_CI_TOKEN": TOKEN} if by == "variable" else {"ML_SERVING_CI_TOKEN_FILE": str(tmp_path / "token")}

    result = bump(clone, "2.0", "--push", f"--remote=http://{server.address}/team/tree.git", "--branch=main", env=env)

    assert remote.commits()[0] == "Bump sklearn-iris model in dev to 2.0"
    assert shows(result.stdout + result.stderr) == []


@pytest.mark.parametrize("token", [TOKEN, "wrong\nin two lines of text"], ids=["another one", "several lines"])
@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
def test_23_a_token_that_is_refused_is_not_shown(clone, server, token, debug):
    wrong = token[::-1]
    env = {"ML_SERVING_CI_TOKEN": wrong, **({"ML_SERVING_CI_DEBUG": "1"} if debug else {})}

    remote = f"--remote=http://{server.address}/team/tree.git"
    result = bump(clone, "2.0", "--push", remote, "--branch=main", env=env, check=False)

    assert result.returncode == 3
    assert server.address in result.stderr
    assert shows(result.stdout + result.stderr, wrong) == []


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
@pytest.mark.parametrize("where", ["in the configuration", "on the command line"])
def test_23_a_token_in_a_url_is_not_shown(clone, server, debug, where):
    quoted = urllib.parse.quote(f"{TOKEN}x", safe="")
    url = f"http://user:{quoted}@{server.address}/team/tree.git"
    clone.git("remote", "set-url", "origin", url)
    env = {"ML_SERVING_CI_DEBUG": "1"} if debug else {}

    remote = "--remote=origin" if where == "in the configuration" else f"--remote={url}"
    result = bump(clone, "2.0", "--push", "--branch=main", remote, env=env, check=False)

    assert result.returncode == 3
    assert server.address in result.stderr
    assert quoted not in result.stdout + result.stderr
    assert shows(result.stdout + result.stderr, f"{TOKEN}x") == []


def test_23_a_pull_request_that_is_refused_shows_no_token(clone, server):
    server.echo = True
    env = {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": f"http://{server.address}/api/v3", "ML_SERVING_CI_DEBUG": "1"}

    remote = f"--remote=http://{server.address}/team/tree.git"
    result = bump(clone, "2.0", "--pr", remote, "--branch=main", env=env, check=False)

    assert result.returncode == 1
    assert "403" in result.stderr
    assert shows(result.stdout + result.stderr) == []


def test_23_redaction_knows_a_secret_in_every_form():
    secret = Secret("first line of it\nsecond line of it", "me")
    text = "\n".join(
        [
            secret.value,
            "the second line of it alone",
            secret.basic,
            base64.b64encode(secret.value.encode()).decode(),
            urllib.parse.quote(secret.value, safe=""),
        ]
    )

    assert [form for form in secret.forms if form in redacted(text, secret.forms)] == []
    assert "line of it" not in redacted(text, secret.forms)
    assert secret.value not in repr(secret)


def test_a_pull_request_is_opened_once_and_then_brought_up_to_date(remote, clone, server):
    env = {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": f"http://{server.address}/api/v3"}
    where = ["--pr", f"--remote=http://{server.address}/team/tree.git", "--branch=main"]

    bump(clone, "2.0", *where, env=env)
    result = bump(clone, "3.0", *where, env=env)

    assert [pull["title"] for pull in server.pulls] == ["Bump sklearn-iris model in dev to 3.0"]
    assert server.pulls[0]["base"] == "main"
    assert "https://hub/pull/1" in result.stdout
    head = server.pulls[0]["head"]
    assert remote.git("log", "--format=%s", f"main..{head}").splitlines() == ["Bump sklearn-iris model in dev to 3.0"]
    assert remote.commits() == ["First"], "the branch that Argo CD watches waits for the merge"


def test_a_pull_request_without_a_token_is_refused_before_anything_is_pushed(remote, clone, server):
    env = {"GITHUB_TOKEN": "", "GITHUB_TOKEN_FILE": "", "ML_SERVING_CI_TOKEN": "", "ML_SERVING_CI_TOKEN_FILE": ""}
    result = bump(clone, "2.0", "--pr", "--branch=main", env=env, check=False)

    assert result.returncode == 2
    assert "GITHUB_TOKEN" in result.stderr
    assert remote.git("branch", "--list").split() == ["*", "main"]


def test_a_branch_with_somebody_elses_commit_is_not_rewritten(remote, clone, server):
    env = {"GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": f"http://{server.address}/api/v3"}
    where = ["--pr", f"--remote=http://{server.address}/team/tree.git", "--branch=main"]
    bump(clone, "2.0", *where, env=env)
    other = remote.clone("theirs")
    head = server.pulls[0]["head"]
    other.git("checkout", "--quiet", head)
    (other.folder / FILE).write_bytes(other.read() + b"# looked at\n")
    other.git("commit", "--quiet", "--all", "--message=A word of mine")
    other.git("push", "--quiet", "origin", head)
    before = remote.git("rev-parse", head)

    result = bump(clone, "3.0", *where, env=env, check=False)

    assert result.returncode == 1
    assert "holds a commit that is not ours" in result.stderr
    assert "A word of mine" in result.stderr
    assert remote.git("rev-parse", head) == before
