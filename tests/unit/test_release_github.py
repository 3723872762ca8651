"""Comments on a pull request, against a server in a process of its own."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import zipfile

import anyio
import pytest

from ci.base import paths
from ci.base.errors import CheckFailedError, MachineError, UsageError
from ci.base.secret import Secret
from ci.tree.forge import github
from ci.tree.forge.github import GitHub
from tests.harness import diff, github_server
from tests.harness import remote as remotes
from tests.harness.github_server import SLUG, TOKEN, comment


@pytest.fixture
def server():
    with github_server.running() as server:
        yield server


def write(server, *bodies, token=TOKEN, number=7):
    return anyio.run(GitHub(server.url, SLUG, Secret(token)).comment, number, "diff", bodies)


def test_a_comment_is_made_once_and_then_brought_up_to_date(server):
    first = write(server, "one")
    second = write(server, "two")
    assert first == second == [f"https://github.example.com/{SLUG}/pull/7#issuecomment-1"]
    assert server.bodies() == ["<!-- ml-serving-ci diff 1 -->\ntwo"]


def test_a_text_in_parts_gets_a_comment_each_and_those_left_over_go(server):
    write(server, "one", "two", "three")
    write(server, "uno", "dos")
    assert server.bodies() == ["<!-- ml-serving-ci diff 1 -->\nuno", "<!-- ml-serving-ci diff 2 -->\ndos"]


def test_our_comment_is_found_behind_hundreds_of_others(server):
    others = [comment(number, "I think so, too", "User") for number in range(1, 251)]
    server.state(comments=[*others, comment(900, "<!-- ml-serving-ci diff 1 -->\nold")])
    write(server, "new")
    assert server.bodies()[-1] == "<!-- ml-serving-ci diff 1 -->\nnew"
    assert len(server.bodies()) == 251
    assert server.methods() == ["GET", "GET", "GET", "PATCH"]


@pytest.mark.parametrize(
    ("kind", "association", "ours"),
    [("User", "NONE", False), ("User", "CONTRIBUTOR", False), ("User", "MEMBER", True), ("Bot", "NONE", True)],
)
def test_a_strangers_comment_with_our_marker_stays_theirs(server, kind, association, ours):
    forged = comment(1, "<!-- ml-serving-ci diff 1 -->\nforged", kind, association)
    server.state(comments=[forged])
    write(server, "true")
    assert server.bodies()[0].endswith("true" if ours else "forged")
    assert len(server.bodies()) == (1 if ours else 2)


def test_comments_about_something_else_stay(server):
    bodies = ["See <!-- ml-serving-ci diff 1 -->", "<!-- ml-serving-ci behaviour 1 -->\nx", None]
    server.state(comments=[comment(number, body) for number, body in enumerate(bodies, 1)])
    write(server, "true")
    assert server.bodies()[:3] == bodies
    assert len(server.bodies()) == 4


def test_a_moment_without_an_answer_is_got_over_and_nothing_is_written_twice(server):
    server.state(fail=[503, 502])
    write(server, "one")
    assert len(server.bodies()) == 1
    assert server.methods() == ["GET", "GET", "GET", "POST"]


def test_a_refusal_is_told_without_the_token(server):
    with pytest.raises(CheckFailedError, match="401") as failure:
        write(server, "one", token="ghp_wrong-token")
    assert "ghp_wrong-token" not in repr([failure.value.message, failure.value.detail])
    assert "permission" in failure.value.fix
    with pytest.raises(CheckFailedError, match="404"):
        write(server, "one", number=8)


def test_a_pause_that_github_asks_for_is_told_and_not_slept(server):
    server.state(say=[[429, {"Retry-After": "3600"}, ""]] * 9)
    with pytest.raises(CheckFailedError, match="429") as failure:
        write(server, "one")
    assert "in 3600 s" in failure.value.fix


@pytest.mark.parametrize("text", ["<html>Sign in</html>", "{", "\x00\xff"])
def test_what_is_not_githubs_api_is_told(server, text):
    server.state(say=[[200, {}, text]])
    with pytest.raises(MachineError, match=f"{server.url}: what answers there is not GitHub's API") as failure:
        write(server, "one")
    assert "GITHUB_API_URL" in failure.value.fix


def archive(method):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as written:
        written.writestr("report.json", "report " * 100)
    return data.getvalue().decode("latin-1")


STORED, DEFLATED = archive(zipfile.ZIP_STORED), archive(zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "<html>Sign in</html>",
        STORED[:-30],
        STORED.replace("port re", "PORT re", 1),
        f"{DEFLATED[:45]}\xff{DEFLATED[46:]}",
    ],
    ids=["nothing", "a page", "cut short", "a byte changed", "a compressed byte changed"],
)
def test_an_artifact_that_did_not_come_whole_is_told(server, data):
    left = {"id": 2, "expired": False, "archive_download_url": f"{server.url}/zip"}
    told = ({"workflow_runs": [{"id": 1, "event": "push"}]}, {"artifacts": [left]})
    server.state(say=[*([200, {}, json.dumps(each)] for each in told), [200, {}, data]])
    with pytest.raises(MachineError, match="the artifact report of run 1 did not come as a whole archive"):
        anyio.run(GitHub(server.url, SLUG, Secret(TOKEN)).artifact, "0" * 40, "test.yaml", "report", ["report.json"])


@pytest.mark.parametrize("token", ["tok€n", "two\nlines", "a\x1b[31mb"])
def test_a_token_that_no_request_can_carry_is_refused_and_not_shown(token):
    with pytest.raises(UsageError, match="--pr: the token is not one line of ASCII") as refused:
        github.of_remote(f"https://github.com/{SLUG}", Secret(token))
    assert token not in refused.value.message


def test_a_command_that_is_interrupted_does_not_wait_for_a_silent_server(tmp_path):
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message=One"], check=True)
    words = [f"--project={tmp_path}", "evidence", "fetch", "--commit=HEAD", f"--out={tmp_path / 'out'}"]
    argv = [sys.executable, paths.ROOT / "ci" / "main.py", *words, f"--remote=https://github.com/{SLUG}"]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        env = {**os.environ, "GITHUB_API_URL": url, "GITHUB_TOKEN": TOKEN}
        with subprocess.Popen(argv, env=env, stderr=subprocess.PIPE, text=True) as process:
            connection, _ = listening.accept()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=github.SECONDS)  # after which it would ask once more
            connection.close()
    assert process.returncode == 130
    assert "stopping" in said


def test_no_server_is_told():
    with pytest.raises(MachineError, match="no answer"):
        anyio.run(GitHub("http://127.0.0.1:9", SLUG, Secret(TOKEN)).comment, 7, "diff", ["one"])


def test_diff_writes_its_comment_and_shows_no_token(server, tmp_path):
    change = diff.made(tmp_path)
    change.edit("gitops/dev/sklearn-iris.yaml", "models/sklearn/1.0/model", "models/sklearn/2.0/model")
    change.commit()
    change.clone.git("remote", "add", "hub", f"https://github.com/{SLUG}.git")
    words = ["--env=dev", "--comment=7", "--remote=hub", "--base=origin/main"]
    environment = {"GITHUB_API_URL": server.url, "ML_SERVING_CI_TOKEN": TOKEN}

    results = [remotes.ci(change.clone, "diff", *words, env=environment) for _ in range(2)]

    (body,) = server.bodies()
    assert body == f"<!-- ml-serving-ci diff 1 -->\n{results[0].stdout}"
    assert "**starts a canary**" in body
    for result in results:
        assert "issuecomment-1" in result.stderr
        assert TOKEN not in result.stdout + result.stderr
