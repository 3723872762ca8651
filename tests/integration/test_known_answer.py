"""The application answers its known question right, in its own protocol, by every way that it is asked."""

import json

import pytest

from ci.canary.observe.files import traffic_client
from tests.integration import asking
from tests.integration.release import addresses

pytestmark = [pytest.mark.anyio, pytest.mark.needs("exampleModel.knownAnswer")]


@pytest.fixture(params=["mesh", "port-forward"])
def ask(request, through_the_mesh, through_a_port_forward):
    return through_the_mesh if request.param == "mesh" else through_a_port_forward


async def test_the_known_question_gets_its_right_answer(known, ask):
    reply = await ask(known.path, known.body)
    assert 200 <= reply.status < 300, reply
    assert asking.wrong(known, traffic_client.find(json.loads(reply.body), known.at)) == []


@pytest.mark.needs("features.canaryDeployment")
async def test_the_answer_through_the_mesh_names_a_pod_of_the_stable_version(release, known, through_the_mesh):
    reply = await through_the_mesh(known.path, known.body)
    assert reply.headers["x-served-by"].rpartition(":")[0] in addresses(await release.stable_pods())
