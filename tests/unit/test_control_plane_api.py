"""How lint's control plane is spoken to, where its API server is busy."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ci.checks.control_plane import certificate
from ci.checks.control_plane.inside.api import Api

GROUP = {
    "metadata": {},
    "versions": [
        {
            "version": "v1",
            "resources": [
                {"resource": "namespaces", "scope": "Cluster", "responseKind": {"kind": "Namespace"}},
            ],
        }
    ],
}
SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kserve"}}


class Busy(BaseHTTPRequestHandler):
    """Creates what it is given, and says that it had no time to."""

    def do_GET(self):
        self._answer(200, {"items": [GROUP] if self.path == "/api" else []})

    def do_POST(self):
        there, self.server.there = self.server.there, True
        self._answer(409 if there else 504, {"message": "already exists" if there else "request did not complete"})

    def do_PATCH(self):
        self._answer(200, SPACE)

    def _answer(self, code, content):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def api(tmp_path):
    authority = tmp_path / "ca.crt"
    authority.write_bytes(certificate.fixed().certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        server.there = False
        threading.Thread(target=server.serve_forever).start()
        found = Api(f"http://127.0.0.1:{server.server_port}", "token", authority)
        found.discover()
        yield found
        server.shutdown()


def test_what_was_created_though_the_answer_came_too_late_is_there(api):
    assert api.create(SPACE) == (200, SPACE)
