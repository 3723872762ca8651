"""Comments on a pull request, against a server in a process of its own."""

import subprocess
import sys
from pathlib import Path

import anyio
import pytest
import requests

from ci import paths
from ci.errors import CheckFailedError, MachineError
from ci.release.github import GitHub
from ci.secret import Secret
from tests.faults.git import remote as remotes
from tests.unit import diff, github_server
from tests.unit.github_server import SLUG, TOKEN, comment


class Server:
    def __init__(self, url):
        self.url = url

    def state(self, **changes):
        method = requests.post if changes else requests.get
        return method(f"{self.url}/state", json=changes or None, timeout=60).json()

    def bodies(self):
        return [each["body"] for each in self.state()["comments"]]

    def methods(self):
        return [method for method, _ in self.state()["requests"]]


@pytest.fixture
def server():
    with subprocess.Popen([sys.executable, Path(github_server.__file__)], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(f"http://127.0.0.1:{process.stdout.readline().strip()}")
        finally:
            process.terminate()


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


def test_no_server_is_told():
    with pytest.raises(MachineError, match="no answer"):
        anyio.run(GitHub("http://127.0.0.1:9", SLUG, Secret(TOKEN)).comment, 7, "diff", ["one"])


def test_diff_writes_its_comment_and_shows_no_token(server, tmp_path):
    change = diff.made(tmp_path)
    change.edit("gitops/dev/sklearn-iris.yaml", "models/sklearn/1.0/model", "models/sklearn/2.0/model")
    change.commit()
    change.clone.git("remote", "add", "hub", f"https://github.com/{SLUG}.git")
    program = [sys.executable, paths.ROOT / "ci" / "main.py", "diff", f"--repo={change.clone.folder}"]
    words = ["--env=dev", "--comment=7", "--remote=hub", "--base=origin/main"]
    environment = {"GITHUB_API_URL": server.url, "ML_SERVING_CI_TOKEN": TOKEN}

    results = [remotes.run([*program, *words], env=environment) for _ in range(2)]

    (body,) = server.bodies()
    assert body == f"<!-- ml-serving-ci diff 1 -->\n{results[0].stdout}"
    assert "**starts a canary**" in body
    for result in results:
        assert "issuecomment-1" in result.stderr
        assert TOKEN not in result.stdout + result.stderr
