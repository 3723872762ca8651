"""The session that a run is started in: of any version of Dagger, or of none."""

import ast
import inspect
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import anyio
import dagger
import pytest
import requests

from ci.base.errors import MachineError
from ci.base.paths import ROOT
from ci.host import dagger_session, preflight

RECORDED = Path(__file__).parent / "fixtures" / "dagger-api"
IMAGE = "registry.dagger.io/engine:v0.21.8"
TOKEN = "5e55-10n"


class Handler(BaseHTTPRequestHandler):
    """Answers the one question as an engine does, whose API was recorded."""

    answer = b""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = self.headers["Authorization"] == requests.auth._basic_auth_str(TOKEN, "")
        asked = self.path == "/query" and request == {"query": dagger_session.QUESTION}
        body = self.answer if known and asked else b"Unauthorized"
        self.send_response(200 if known and asked else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def session(monkeypatch):
    """Have a session answer, as `dagger api with-session` and `dagger run` let their command know."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv(dagger_session.PORT, str(server.server_port))
        monkeypatch.setenv(dagger_session.TOKEN, TOKEN)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

        def answers(body):
            monkeypatch.setattr(Handler, "answer", body)
            return server.server_port

        yield answers
        server.shutdown()


def test_a_session_of_dagger_1_0_serves(session):
    session((RECORDED / "v1.0.0-beta.21.json").read_bytes())

    assert anyio.run(dagger_session.version) == "v1.0.0-beta.21"
    check = anyio.run(preflight.engine, IMAGE)
    assert (check.outcome, check.how) == ("ok", "v1.0.0-beta.21, session in DAGGER_SESSION_PORT")


def test_of_a_version_that_cannot_serve_it_is_said_which_and_what_it_lacks(session):
    session((RECORDED / "v0.12.7.json").read_bytes())

    with pytest.raises(MachineError) as caught:
        anyio.run(dagger_session.version)

    assert caught.value.message == (
        "this was started in a session of Dagger v0.12.7, whose API lacks Host.directory(gitignore), "
        "Container.exitCode, Container.withExec(expect)"
    )
    assert caught.value.fix == dagger_session.WITHOUT
    check = anyio.run(preflight.engine, IMAGE)
    assert (check.outcome, check.how) == ("missing", caught.value.message)


@pytest.mark.parametrize(
    "body",
    [
        b"not JSON",
        b"[]",
        b'{"data": null, "errors": [{"message": "Cannot query field version on type Query"}]}',
        b'{"data": {"version": "v0.1.0"}}',
    ],
)
def test_what_is_no_session_is_one_line_with_the_port(session, body):
    port = session(body)

    with pytest.raises(MachineError, match=rf"no session of Dagger answers at 127.0.0.1:{port}, as") as caught:
        anyio.run(dagger_session.version)

    assert caught.value.detail == body.decode()


def test_a_session_that_is_over_or_that_another_may_use(session, monkeypatch):
    session(b"{}")
    monkeypatch.setenv(dagger_session.TOKEN, "another")
    with pytest.raises(MachineError, match="no session") as caught:
        anyio.run(dagger_session.version)
    assert caught.value.detail == "Unauthorized"

    monkeypatch.setenv(dagger_session.PORT, "9")
    with pytest.raises(MachineError, match="no session"):
        anyio.run(dagger_session.version)

    monkeypatch.delenv(dagger_session.TOKEN)
    with pytest.raises(MachineError, match="DAGGER_SESSION_PORT is set, and DAGGER_SESSION_TOKEN is not"):
        anyio.run(dagger_session.version)

    monkeypatch.setenv(dagger_session.PORT, "")
    assert anyio.run(dagger_session.version) is None


def test_the_pipeline_asks_for_nothing_else():
    """By the names of its calls: those of Dagger's own classes, but for a few that are of others here."""
    others = {"digest", "entries", "exists", "glob", "search", "with_name"}
    methods = {
        name
        for kind in (dagger.Client, dagger.Container, dagger.Directory, dagger.File, dagger.Host)
        for name, _ in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and name not in others
    }
    listed = {
        field: {name for fields in dagger_session.API.values() for name in fields.get(field, ())}
        for field in {field for fields in dagger_session.API.values() for field in fields}
    }
    called = set()
    checks = {*(ROOT / "ci" / "checks").glob("*.py")} - {ROOT / "ci" / "checks" / "session.py"}  # which opens it
    for file in (*sorted(checks), ROOT / "ci" / "sample.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in methods:
                name = camel(node.func.attr)
                called.add(name)
                assert name in listed, f"{file}:{node.lineno}"
                assert {camel(keyword.arg) for keyword in node.keywords} <= listed[name], f"{file}:{node.lineno}"
    # what the library and this tool ask themselves
    assert set(listed) - called == {"id", "version"}


def camel(name):
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(map(str.capitalize, rest))
