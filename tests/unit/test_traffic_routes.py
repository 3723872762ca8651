"""The real client behind a real Envoy: the weights in force are those that the proxy itself has."""

import http.client
import json
import math
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import anyio
import envoy
import pytest
import yaml

from ci.base.errors import WaitTimeoutError
from ci.base.wait import NotYet, until
from ci.canary.observe import timeline, traffic
from ci.canary.observe.traffic import Question
from tests.harness.listening import Server

pytestmark = pytest.mark.anyio

ENVOY = Path(envoy.__file__).parent / "_bin" / "envoy"
TYPES = "type.googleapis.com/envoy.extensions"
ROLES = {"stable": "127.0.0.2", "canary": "127.0.0.3"}
"""Each revision's server is known by its address, as pods are."""

QUESTIONS = [Question("/v1/models/iris:predict", "{}", ["predictions", 0], 0)]


class Revision(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"predictions": [0]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-served-by", f"{self.server.server_address[0]}:8080")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cluster(role):
    return f"outbound|80||iris-predictor-{role}.ml-serving.svc.cluster.local"


def address(host, port):
    return {"socket_address": {"address": host, "port_value": port}}


class Mesh:
    """One Envoy, its routes in a file that it watches, as istiod would push them."""

    def __init__(self, folder, servers):
        self.folder = folder
        self.port, self.admin_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.admin = f"http://127.0.0.1:{self.admin_port}"
        self.push({"stable": 100})
        manager = {
            "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "test",
            "rds": {"route_config_name": "80", "config_source": {"path_config_source": {"path": str(self.routes)}}},
            "http_filters": [
                {
                    "name": "router",
                    "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"},
                }
            ],
        }
        listener = {
            "address": address("127.0.0.1", self.port),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
        }
        clusters = [
            {
                "name": cluster(role),
                "type": "STATIC",
                "load_assignment": {
                    "cluster_name": cluster(role),
                    "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(*server.server_address)}}]}],
                },
            }
            for role, server in servers.items()
        ]
        bootstrap = {
            "node": {"id": "client", "cluster": "client"},
            "admin": {"address": address("127.0.0.1", self.admin_port)},
            "static_resources": {"listeners": [listener], "clusters": clusters},
        }
        self.config = folder / "envoy.yaml"
        self.config.write_text(yaml.safe_dump(bootstrap))

    @property
    def routes(self):
        return self.folder / "routes.json"

    def push(self, weights):
        """Write routes aside and rename them into place, which is what Envoy watches for."""
        if len(weights) == 1:
            action = {"cluster": cluster(*weights)}
        else:
            named = [{"name": cluster(role), "weight": weight} for role, weight in weights.items()]
            action = {"weighted_clusters": {"clusters": named}}
        host = {
            "name": "iris",
            "domains": ["iris-predictor", "127.0.0.1", f"127.0.0.1:{self.port}"],
            "routes": [{"name": "primary", "match": {"prefix": "/"}, "route": action}],
        }
        other = {"name": "other", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": action}]}
        configuration = {
            "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
            "name": "80",
            "virtual_hosts": [other, host],
        }
        aside = self.folder / "aside.json"
        aside.write_text(json.dumps({"version_info": json.dumps(weights), "resources": [configuration]}))
        aside.rename(self.routes)

    def load(self, rate=50):
        argv = [sys.executable, str(traffic.SCRIPT), "load", f"--url={self.url}", f"--rate={rate}"]
        return traffic.stream([*argv, f"--admin={self.admin}"], QUESTIONS)

    async def listening(self):
        async def probe():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                connection.request("POST", "/", "{}")
                answer = connection.getresponse().status
            except OSError as error:
                raise NotYet(str(error)) from error
            finally:
                connection.close()
            if answer != http.HTTPStatus.OK:
                raise NotYet(f"it answers {answer}")

        await until("Envoy routes", probe, timeout=60, interval=0.1)


@contextmanager
def serving(host):
    with Server((host, 0), Revision) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@pytest.fixture
async def mesh(tmp_path):
    with serving(ROLES["stable"]) as stable, serving(ROLES["canary"]) as canary:
        made = Mesh(tmp_path, {"stable": stable, "canary": canary})
        argv = [ENVOY, "--config-path", made.config, "--concurrency", "2", "--disable-hot-restart"]
        process = await anyio.open_process(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            await made.listening()
            yield made
        finally:
            process.terminate()
            await process.wait()


async def test_the_weights_in_force_are_those_that_the_proxy_took_over(mesh):
    async with mesh.load() as load:
        began = time.time()
        await load.takes_over(100, 0)
        await requests(load, 100, began)
        mesh.push({"stable": 60, "canary": 40})
        await requests(load, 100, (await load.takes_over(60, 40)).at)
        mesh.push({"stable": 100})
        await requests(load, 100, (await load.takes_over(100, 0)).at)
    assert [(item.stable, item.canary) for item in load.routed] == [(100, 0), (60, 40), (100, 0)]
    assert all(item.before <= item.at for item in load.routed)
    pods = {host: role for role, host in ROLES.items()}
    shares = timeline.shares(load.weights(began), load.result(began), pods, canary="canary", ended=math.inf)
    assert [share.canary_weight for share in shares] == [0, 40, 0]
    assert all(share.low <= share.canary_requests <= share.high for share in shares), shares


async def requests(load, wanted, moment):
    """Wait for requests that were sent when every thread of the proxy had its routes of a moment."""

    async def probe():
        late = [each for each in load.requests if each.started > moment + timeline.GUARD_SECONDS]
        if len(late) < wanted:
            raise NotYet(f"{len(late)}")

    await until(f"{wanted} requests", probe, timeout=60, interval=0.1)


async def test_a_proxy_that_is_not_told_is_waited_for_until_the_deadline_and_named(mesh, monkeypatch):
    mesh.push({"stable": 80, "canary": 20})
    async with mesh.load() as load:
        await load.takes_over(80, 20)
        monkeypatch.setattr(traffic, "ROUTED_SECONDS", 1)
        with pytest.raises(WaitTimeoutError, match=r"takes over the weights 100 and 0: .*last seen: it has 80 and 20"):
            await load.takes_over(100, 0)


async def test_without_a_proxy_there_are_no_weights_to_believe(mesh, monkeypatch):
    monkeypatch.setattr(traffic, "ROUTED_SECONDS", 1)
    argv = [sys.executable, str(traffic.SCRIPT), "load", f"--url={mesh.url}", "--rate=20", "--admin=http://127.0.0.1:9"]
    async with traffic.stream(argv, QUESTIONS) as load:
        with pytest.raises(WaitTimeoutError, match="it has no route to the model"):
            await load.takes_over(100, 0)
    assert load.failed == []
