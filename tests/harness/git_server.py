"""GitHub as far as we use it: git over HTTP and the REST API of one repository, both behind a token."""

import base64
import json
import threading
import urllib.parse
from contextlib import contextmanager
from http import HTTPStatus
from wsgiref.simple_server import WSGIRequestHandler, make_server

from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import make_wsgi_chain

TOKEN = "ghp_tHiS+is/a=secret&of%20ours"
HEADER = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()


class Quiet(WSGIRequestHandler):
    def log_message(self, *args):
        pass


@contextmanager
def serving(application):
    """Serve a WSGI application on a free port of this machine, and return its address."""
    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def body_of(environ):
    return environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))


class GitHub:
    """The repository team/tree.

    Attributes:
        pulls: Its pull requests.
        changes: What was changed of them.
        echo: Whether every request is refused, with what came as its token.
        address: Where it is served, once it is.
        resources: What its API has: name to a function of method, rest of the path, query and body.
    """

    def __init__(self, remote):
        repo = Repo(str(remote.folder))
        self.git = make_wsgi_chain(DictBackend({"/team/tree.git": repo, "/team/tree": repo}))
        self.pulls = []
        self.changes = []
        self.echo = False
        self.address = ""
        self.resources = {"pulls": self.answer_pulls}

    def __call__(self, environ, start_response):
        given = environ.get("HTTP_AUTHORIZATION", "")
        if environ["PATH_INFO"].startswith("/api/v3/"):
            return self.api(environ, start_response, given)
        if given != HEADER:
            start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="git"')])
            return [f"no, {given} is not it".encode()]
        return self.git(environ, start_response)

    def api(self, environ, start_response, given):
        if self.echo or given != f"Bearer {TOKEN}":
            start_response("403 Forbidden", [])
            return [json.dumps({"message": f"{given} may not"}).encode()]
        resource, _, rest = environ["PATH_INFO"].removeprefix("/api/v3/repos/team/tree/").partition("/")
        query = {name: values[0] for name, values in urllib.parse.parse_qs(environ["QUERY_STRING"]).items()}
        answer = self.resources[resource](environ["REQUEST_METHOD"], rest, query, body_of(environ))
        if answer is None:
            start_response(f"{HTTPStatus.NO_CONTENT.value} No Content", [])
            return []
        start_response("200 OK", [("Content-Type", "application/json")])
        return [answer if isinstance(answer, bytes) else json.dumps(answer).encode()]

    def answer_pulls(self, method, rest, query, body):
        if method == "GET":
            wanted = query["head"].partition(":")[2]
            states = ("open", "closed") if query["state"] == "all" else (query["state"],)
            found = [pull for pull in self.pulls if pull["head"] == wanted and pull["state"] in states]
            return [{**pull, "head": {"ref": wanted, "sha": pull.get("sha", "")}} for pull in found]
        if method == "POST":
            number = len(self.pulls) + 1
            made = {"number": number, "html_url": f"https://hub/pull/{number}", "state": "open", "merged_at": None}
            self.pulls.append({**made, **json.loads(body)})
            return self.pulls[-1]
        self.changes.append(json.loads(body))
        self.pulls[int(rest) - 1].update(self.changes[-1])
        return self.pulls[int(rest) - 1]
