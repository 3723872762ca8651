"""Whoever an analysis asks: a Prometheus with series that were made before, and a model with a known answer.

The series have other revisions and are of another time than the canary that is played: both are put into a question
before Prometheus gets it.
"""

import http
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from ci.checks.control_plane.inside import processes
from ci.checks.control_plane.inside.processes import Program

PORT = 18090
"""Prometheus' own; each application's analyses have one of theirs behind it."""
HOST = "127.0.0.1"
SAMPLES = Path("/samples.txt")
"""What Prometheus has, as OpenMetrics."""
DATA = Path("/tmp/prometheus")  # noqa: S108 - the container's own
QUERY = "/api/v1/query"
SECONDS = 30.0
PROMETHEUS = Program(
    "prometheus",
    (
        f"--config.file={DATA / 'prometheus.yml'}",
        f"--storage.tsdb.path={DATA / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address={HOST}:{PORT}",
    ),
    ready=f"http://{HOST}:{PORT}/-/ready",
)


@dataclass(frozen=True)
class Moment:
    """What is answered at one moment of a canary.

    Attributes:
        time: Of the series, in Unix time.
        names: What revisions are called in the series, by their pod-template hash.
        answer: The model's.
    """

    time: float
    names: Mapping[str, str]
    answer: Any


def load() -> None:
    """Make the data that Prometheus starts with."""
    DATA.mkdir()
    (DATA / "prometheus.yml").write_text("{}")
    words = ("promtool", "tsdb", "create-blocks-from", "openmetrics", "--quiet")
    processes.run(*words, str(SAMPLES), str(DATA / "data"))


@contextmanager
def served(port: int, moment: Callable[[], Moment]) -> Iterator[int]:
    """Answer the analyses of an application.

    Args:
        port: Where; 0 for any that is free.
        moment: Returns what is to be answered now.

    Yields:
        Where.
    """

    class Handler(_Handler):
        now = staticmethod(moment)

    server = ThreadingHTTPServer((HOST, port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    now: Callable[[], Moment]

    def do_GET(self) -> None:
        """Answer as the model."""
        self._answer(http.HTTPStatus.OK, json.dumps({"answer": self.now().answer}).encode())

    def do_POST(self) -> None:
        """Answer as Prometheus."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._answer(*_asked(form["query"][0], self.now()))

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: standard error is for what goes wrong."""


def _asked(query: str, moment: Moment) -> tuple[int, bytes]:
    """Ask Prometheus as of a moment, and return its answer as it is."""
    for pod_hash, name in moment.names.items():
        query = query.replace(pod_hash, name)
    form = urlencode({"query": query, "time": moment.time}).encode()
    try:
        with urllib.request.urlopen(f"http://{HOST}:{PORT}{QUERY}", form, timeout=SECONDS) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:  # no PromQL, for one
        return error.code, error.read()
