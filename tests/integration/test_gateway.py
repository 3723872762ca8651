"""Callers outside the mesh come through an ingress gateway, and take the same route as those within."""

import functools
import json

import anyio.to_thread
import pytest
import requests

from ci.base.wait import NotYet, until
from ci.canary.observe.files import traffic_client
from ci.canary.observe.traffic import ADMIN, ROUTE
from ci.cluster.port_forward import port_forward
from ci.manifests import documents
from ci.supply.supply import Supply
from tests.integration.asking import ANSWER_SECONDS, FLOWERS, GATEWAY, HOST
from tests.integration.release import addresses

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sample")]

CHART = "manifests/charts/gateway"
ADMIN_PORT = int(ADMIN.rpartition(":")[2])
ROUTED_SECONDS = 60
"""The gateway's pod has to start, and istiod to tell it of the model."""
SMALL = {
    "service": {"type": "ClusterIP"},
    "autoscaling": {"enabled": False},
    "resources": {"requests": {"cpu": "10m", "memory": "40Mi"}},
}


@pytest.fixture(scope="module")
async def gateway(second):
    """The second release, an ingress gateway of Istio's own chart in a namespace of its own, and what it listens to."""
    namespace, _, name = GATEWAY.partition("/")
    release = second.release
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": [HOST]}
    listens = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"istio": namespace}, "servers": [server]},
    }
    await release.kubectl.apply([documents.namespace(namespace)])
    await release.helm.upgrade_install(namespace, Supply("source").module("istio") / CHART, namespace, values=SMALL)
    await release.kubectl.apply([listens])
    yield release
    await release.kubectl.run("delete", f"namespace/{namespace}", "--wait=false")


@pytest.fixture(scope="module")
async def ask(gateway):
    """Ask the gateway for a host, as anybody on the network may."""
    namespace = GATEWAY.partition("/")[0]

    def send(url, path, host, body):
        headers = {"Host": host, "Content-Type": "application/json"}
        return requests.post(url + path, data=body, headers=headers, timeout=ANSWER_SECONDS)

    await gateway.kubectl.run(
        "wait", f"deployment/{namespace}", f"--namespace={namespace}", "--for=condition=Available", "--timeout=60s"
    )
    async with port_forward(gateway.kubectl, f"svc/{namespace}", 80, namespace) as url:
        yield lambda *asked: anyio.to_thread.run_sync(functools.partial(send, url, *asked))


async def test_a_caller_outside_is_answered_by_a_pod_of_the_model(gateway, ask):
    flower, species = FLOWERS[0]

    async def answered():
        answer = await ask(gateway.predict_path, HOST, json.dumps({"instances": [flower]}))
        if answer.status_code != 200:
            raise NotYet(f"{answer.status_code} {answer.text[:200]}")
        return answer

    answer = await until("the gateway leads to the model", answered, timeout=ROUTED_SECONDS, interval=1)
    assert answer.json() == {"predictions": [species]}
    assert answer.headers["x-served-by"].rpartition(":")[0] in addresses(await gateway.pods())


async def test_the_gateway_has_the_weights_that_the_mesh_has(gateway):
    namespace = GATEWAY.partition("/")[0]
    async with port_forward(gateway.kubectl, f"deployment/{namespace}", ADMIN_PORT, namespace) as admin:

        async def taken_over():
            read = functools.partial(traffic_client.routes, admin, HOST, ANSWER_SECONDS)
            _, routes = await anyio.to_thread.run_sync(read)
            weights = {cluster.split("|")[-1].partition(".")[0]: share for cluster, share in routes[ROUTE].items()}
            stable, canary = await gateway.weights()
            wanted = {f"{gateway.predictor}-stable": stable, f"{gateway.predictor}-canary": canary}
            if {name: share for name, share in wanted.items() if share} != weights:
                raise NotYet(f"the gateway has {weights}, the VirtualService {wanted}")

        await until("the gateway has the VirtualService's weights", taken_over, timeout=ROUTED_SECONDS, interval=1)


async def test_a_caller_outside_gets_nothing_by_another_name(gateway, ask):
    answer = await ask(gateway.predict_path, f"{gateway.predictor}.{gateway.namespace}", "{}")
    assert answer.status_code == 404
