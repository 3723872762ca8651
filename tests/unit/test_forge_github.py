"""GitHub as it answers: limits, refusals, pages, addresses; the answers are recorded, from a server of its own."""

import hashlib
import io
import json
import time
import zipfile

import anyio
import pytest

from ci.base.errors import CheckFailedError, MachineError, UsageError
from ci.base.secret import Secret
from ci.tree.forge import github, rest
from ci.tree.forge.github import GitHub
from ci.tree.forge.pull_request import PullRequest
from tests.harness import github_server
from tests.harness.github_server import SLUG, TOKEN

SECONDARY = json.dumps(
    {
        "message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
        "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api",
    }
)
PRIMARY = json.dumps({"message": "API rate limit exceeded for installation ID 1."})
FORBIDDEN = json.dumps({"message": "Resource not accessible by integration", "status": "403"})


@pytest.fixture
def server():
    with github_server.running() as server:
        yield server


def hub(server):
    return GitHub(server.url, SLUG, Secret(TOKEN))


def write(server, text):
    return anyio.run(hub(server).comment, 7, "diff", [text])


def said(status, data, **headers):
    return [status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(data)]


def in_seconds(seconds):
    return str(int(time.time()) + seconds)


# --- limits ---


@pytest.mark.parametrize(
    ("status", "headers", "text"),
    [
        (403, {"Retry-After": "1"}, SECONDARY),
        (429, {"Retry-After": "0"}, ""),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "RESET"}, PRIMARY),
        (429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "RESET"}, PRIMARY),
    ],
)
@pytest.mark.parametrize("first", [0, 1], ids=["reading", "writing"])
def test_a_short_limit_is_waited_for_and_said(server, capsys, status, headers, text, first):
    headers = {name: in_seconds(1) if value == "RESET" else value for name, value in headers.items()}
    server.state(say=[*([[200, {}, "[]"]] * first), [status, headers, text]])

    write(server, "one")

    assert server.bodies() == ["<!-- ml-serving-ci diff 1 -->\none"]
    assert "GitHub has had too many requests: waiting for" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "headers", "text", "told"),
    [
        (403, {"Retry-After": "3600"}, SECONDARY, "in 3600 s"),
        (429, {"Retry-After": "3600"}, "", "in 3600 s"),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "RESET"}, PRIMARY, "in 18"),
    ],
)
def test_a_long_limit_is_told_at_once_and_is_no_missing_permission(server, status, headers, text, told):
    headers = {name: in_seconds(1800) if value == "RESET" else value for name, value in headers.items()}
    server.state(say=[[status, headers, text]] * 9)

    with pytest.raises(CheckFailedError, match="too many requests") as refused:
        write(server, "one")

    assert told in refused.value.fix
    assert "lacks" not in refused.value.fix
    assert len(server.methods()) == 1


def test_a_limit_without_a_time_is_a_minute_and_never_waited_for_twice(server, monkeypatch):
    monkeypatch.setattr(rest, "LIMIT_SECONDS", 0.1)
    monkeypatch.setattr(rest, "PATIENCE_SECONDS", 0.25)
    server.state(say=[[403, {}, SECONDARY]] * 9)

    with pytest.raises(CheckFailedError, match="secondary rate limit"):
        write(server, "one")

    assert 2 <= len(server.methods()) <= 3


def test_a_missing_permission_is_no_limit(server):
    server.state(say=[[403, {"X-RateLimit-Remaining": "17"}, FORBIDDEN]])

    with pytest.raises(CheckFailedError, match="403: Resource not accessible by integration") as refused:
        write(server, "one")

    assert "permission" in refused.value.fix
    assert len(server.methods()) == 1


# --- its own words ---


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            {
                "message": "Validation Failed",
                "errors": [{"resource": "PullRequest", "field": "head", "code": "invalid"}],
            },
            "422: Validation Failed; PullRequest head invalid",
        ),
        (
            {"message": "Validation Failed", "errors": [{"message": "No commits between main and a"}]},
            "422: Validation Failed; No commits between main and a",
        ),
        (
            {"message": "Validation Failed", "errors": ["Body is\ntoo \x1b[31mlong"]},
            "422: Validation Failed; Body is too",
        ),
        ({"message": "x" * 9000}, "422: x"),
        ({"message": None, "errors": 3}, "422"),
    ],
)
def test_a_refusal_has_githubs_own_words_on_one_line(server, data, words):
    server.state(say=[said(422, data)])

    with pytest.raises(CheckFailedError) as refused:
        write(server, "one")

    assert words in refused.value.message
    assert "\n" not in refused.value.message
    assert "\x1b" not in refused.value.message
    assert len(refused.value.message) < 500


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (410, '{"error":"API V3 is no longer supported. Use API V4 instead."}'),
        (404, '{"error":"404 Not Found"}'),
        (404, "<html>Not Found</html>"),
        (405, ""),
    ],
)
def test_another_forge_is_told_as_one(server, status, text):
    server.state(say=[[status, {}, text]])

    with pytest.raises(MachineError, match="not GitHub's API") as refused:
        write(server, "one")

    assert "--push" in refused.value.fix


# --- pages and limits of size ---


@pytest.fixture
def two_pages(server):
    """Answers of a list in two pages, the first one short, as GitHub may give them."""

    def pages(first, second):
        link = f'<{server.url}/next?page=2>; rel="next"'
        return [said(200, first, Link=link), said(200, second)]

    return pages


def test_a_release_on_the_second_page_is_found(server, two_pages, tmp_path):
    other = {"tag_name": "v0.0.1", "draft": False, "html_url": "https://hub/1"}
    chart = tmp_path / "chart.tgz"
    chart.write_bytes(b"x")
    assets = [{"name": "chart.tgz", "digest": f"sha256:{hashlib.sha256(b'x').hexdigest()}"}]
    ours = {"tag_name": "v0.1.0", "draft": False, "html_url": "https://hub/2", "assets": assets}
    server.state(say=two_pages([other], [ours]))

    assert anyio.run(hub(server).released, "v0.1.0", "0" * 40, chart) == "https://hub/2"


def test_an_open_pull_request_behind_closed_ones_is_brought_up_to_date(server, two_pages):
    wanted = PullRequest("ml-serving-ci/a", "main", "Bump it", "to 2.0", "abc")
    closed = {"number": 1, "state": "closed", "title": "Bump it", "body": wanted.body, "html_url": "https://hub/1"}
    opened = {**closed, "number": 2, "state": "open", "html_url": "https://hub/2"}
    server.state(say=two_pages([closed], [opened]))
    assert anyio.run(hub(server).pull_request, wanted) == "https://hub/2"
    assert server.methods() == ["GET", "GET"]

    server.state(say=two_pages([closed], [opened]))
    anyio.run(hub(server).require_not_closed, wanted)


def test_a_pull_request_that_another_run_opened_meanwhile_is_taken(server):
    wanted = PullRequest("ml-serving-ci/a", "main", "Bump it", "to 2.0", "abc")
    there = {"number": 7, "title": wanted.title, "body": wanted.body, "html_url": "https://hub/7"}
    exists = {"message": "Validation Failed", "errors": [{"message": "A pull request already exists for a:b."}]}
    server.state(say=[said(200, []), said(422, exists), said(200, [there])])

    assert anyio.run(hub(server).pull_request, wanted) == "https://hub/7"


def test_the_newest_artifact_of_the_newest_run_is_taken_from_whatever_page(server):
    def pages(name, first, second):
        link = f'<{server.url}/next?page=2>; rel="next"'
        return [said(200, {name: first}, Link=link), said(200, {name: second})]

    runs = pages("workflow_runs", [{"id": 1, "event": "push"}], [{"id": 2, "event": "push"}])
    places = [{"id": number, "expired": False, "archive_download_url": f"{server.url}/{number}"} for number in (7, 8)]
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("report.json", "{}")
    artifacts = pages("artifacts", places[:1], places[1:])
    server.state(say=[*runs, *artifacts, [200, {}, data.getvalue().decode("latin-1")]])

    found = anyio.run(hub(server).artifact, "0" * 40, "test.yaml", "report", ["report.json"])

    assert found == {"report.json": b"{}"}
    paths = [path for _, path in server.state()["requests"]]
    assert "/actions/runs/2/artifacts" in paths[2]
    assert paths[-1] == "/8"


def test_a_text_is_cut_to_what_github_takes_with_a_mark():
    wanted = PullRequest("a", "main", "Bump it", "x" * 70_000, "abc")

    assert len(wanted.body) <= rest.MOST
    assert "cut here" in wanted.body
    assert wanted.updates(wanted.title, wanted.body) == {}, "what was cut is not edited"


def test_a_long_comment_is_cut(server):
    write(server, "x" * 70_000)
    (body,) = server.bodies()
    assert len(body) == rest.MOST
    assert "cut here" in body


# --- remotes ---


@pytest.mark.parametrize(
    ("url", "api", "slug"),
    [
        ("https://github.com/acme/models.git", "https://api.github.com", "acme/models"),
        ("https://me:token@github.com/acme/models", "https://api.github.com", "acme/models"),
        ("git@github.com:acme/models.git", "https://api.github.com", "acme/models"),
        ("ssh://git@github.com/acme/models", "https://api.github.com", "acme/models"),
        ("ssh://git@ssh.github.com:443/acme/models.git", "https://api.github.com", "acme/models"),
        ("https://git.acme.com/acme/models", "https://git.acme.com/api/v3", "acme/models"),
        ("https://git.acme.com:8443/acme/models", "https://git.acme.com:8443/api/v3", "acme/models"),
        ("ssh://git@git.acme.com:2222/acme/models.git", "https://git.acme.com/api/v3", "acme/models"),
        ("git@git.acme.com:acme/models.git", "https://git.acme.com/api/v3", "acme/models"),
        ("https://acme.ghe.com/acme/models", "https://api.acme.ghe.com", "acme/models"),
    ],
)
@pytest.mark.parametrize("said", [None, "https://api.github.com"], ids=["", "on a runner"])
def test_a_remote_has_its_own_hosts_api(monkeypatch, url, api, slug, said):
    monkeypatch.delenv("GITHUB_API_URL", raising=False)
    if said:
        monkeypatch.setenv("GITHUB_API_URL", said)
    found = github.of_remote(url, Secret(TOKEN))
    assert (found.api, found.slug) == (api, slug)


@pytest.mark.parametrize("url", ["https://git.acme.com/acme/models", "git@work:acme/models"])
def test_an_api_that_the_environment_names_is_asked(monkeypatch, url):
    monkeypatch.setenv("GITHUB_API_URL", "https://git.acme.com/api/v3/")
    assert github.of_remote(url, Secret(TOKEN)).api == "https://git.acme.com/api/v3"


@pytest.mark.parametrize(
    "url",
    [
        *("https://gitlab.com/team/tree", "git@gitlab.com:team/tree.git", "https://gitlab.acme.com/team/tree"),
        *("https://gitlab.com/group/sub/tree", "ssh://git@altssh.gitlab.com:443/team/tree.git"),
        *("git@bitbucket.org:team/tree.git", "https://codeberg.org/team/tree", "https://gitea.acme.com/team/tree"),
        *("https://dev.azure.com/team/tree", "/srv/git/tree.git", "../team/tree", "file:///srv/git/tree.git"),
    ],
)
def test_what_is_no_github_is_refused_before_anything_is_asked(url):
    with pytest.raises(UsageError, match="the remote is no repository on GitHub") as refused:
        github.of_remote(url, Secret(TOKEN))
    assert "--push" in refused.value.fix
