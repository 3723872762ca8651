"""The model answers by both of its protocols, and says what KServe's own server says to a request it cannot use.

The server is upstream's code however the images were got: the table of `BAD` holds in both ways of the supply.
"""

import json
import re

import pytest

from tests.integration import asking
from tests.integration.asking import Ask
from tests.integration.release import addresses

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sample")]

FLOWERS = [[5.1, 3.5, 1.4, 0.2], [6.0, 2.9, 4.5, 1.5], [6.9, 3.1, 5.4, 2.1]]
SPECIES = [0, 1, 2]


def tensor(data, shape):
    return json.dumps({"inputs": [{"name": "input-0", "shape": shape, "datatype": "FP64", "data": data}]})


@pytest.fixture(scope="module")
def examples(to_report):
    """Every request of these tests and its answer, for the report."""
    kept = []
    yield kept
    to_report("inference.json", kept)


@pytest.fixture
def name(request):
    """What a test shows, in words."""
    return request.node.name.removeprefix("test_").replace("_", " ").replace("[", " (").replace("]", ")")


@pytest.fixture
def through_the_mesh(through_the_mesh, name, examples):
    return asking.recorded(through_the_mesh, "mesh", name, examples)


@pytest.fixture
def through_a_port_forward(through_a_port_forward, name, examples):
    return asking.recorded(through_a_port_forward, "port-forward", name, examples)


@pytest.fixture(params=["mesh", "port-forward"])
def ask(request, through_the_mesh, through_a_port_forward) -> Ask:
    return through_the_mesh if request.param == "mesh" else through_a_port_forward


async def test_the_guides_request_gets_the_guides_answer(release, ask):
    answer = await ask(f"/v1/models/{release.model}:predict", '{"instances": [[5.1, 3.5, 1.4, 0.2]]}')
    assert (answer.status, json.loads(answer.body)) == (200, {"predictions": [0]})


async def test_protocol_v1_answers_each_instance(release, ask):
    answer = await ask(f"/v1/models/{release.model}:predict", json.dumps({"instances": FLOWERS}))
    assert (answer.status, json.loads(answer.body)) == (200, {"predictions": SPECIES})


@pytest.mark.parametrize("data", [FLOWERS, [value for row in FLOWERS for value in row]], ids=["nested", "flat"])
async def test_protocol_v2_answers_each_row_of_the_tensor(release, ask, data):
    answer = await ask(f"/v2/models/{release.model}/infer", tensor(data, [3, 4]))
    assert answer.status == 200, answer
    body = json.loads(answer.body)
    assert body["model_name"] == release.model
    (output,) = body["outputs"]
    assert (output["shape"], output["data"]) == ([3], SPECIES)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/v1/models/{model}", {"name": "{model}", "ready": True}),
        ("/v2/models/{model}/ready", {"name": "{model}", "ready": True}),
        ("/v2/health/live", {"live": True}),
    ],
)
async def test_the_model_says_that_it_is_there(release, ask, path, says):
    answer = await ask(path.format(model=release.model))
    expected = {key: value.format(model=release.model) if key == "name" else value for key, value in says.items()}
    assert (answer.status, json.loads(answer.body)) == (200, expected)


BAD = {
    "no JSON": ("v1", "flowers", 400, "Unrecognized request format"),
    "an empty body": ("v1", "", 400, "Unrecognized request format"),
    "instances that are no list": ("v1", '{"instances": 7}', 400, 'Expected "instances" to be a list'),
    "a list for an object": ("v1", "[1, 2]", 500, "Expected 2D array, got scalar array"),
    "no instances": ("v1", '{"flowers": 1}', 500, "'instances'"),
    "no rows": ("v1", '{"instances": []}', 500, "Expected 2D array, got 1D array"),
    "a row outside a list": ("v1", '{"instances": [1, 2, 3, 4]}', 500, "Expected 2D array, got 1D array"),
    "a row too short": ("v1", '{"instances": [[5.1, 3.5]]}', 500, "X has 2 features"),
    "a row too long": ("v1", '{"instances": [[1, 2, 3, 4, 5]]}', 500, "X has 5 features"),
    "words for numbers": ("v1", '{"instances": [["a", "b", "c", "d"]]}', 500, "bytes/strings|string to float"),
    "rows of different lengths": ("v1", '{"instances": [[1, 2, 3, 4], [1]]}', 500, "inhomogeneous shape"),
    "a v2 body for v1": ("v1", tensor(FLOWERS, [3, 4]), 500, "All arrays must be of the same length"),
    "a tensor without data": ("v2", '{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64"}]}', 422, "missing"),
    "no tensor": ("v2", "{}", 422, "missing"),
    "a v1 body for v2": ("v2", json.dumps({"instances": FLOWERS}), 422, "missing"),
    "no JSON for v2": ("v2", "flowers", 422, "JSON decode error"),
    "no tensors": ("v2", '{"inputs": []}', 500, "list index out of range"),
    "a tensor of another shape": ("v2", tensor([[5.1, 3.5]], [1, 2]), 500, "X has 2 features"),
    "a shape that the data has not": ("v2", tensor([[5.1, 3.5, 1.4, 0.2]], [2, 4]), 500, "cannot reshape array"),
}
"""Case to protocol, body, and what KServe v0.20.0's sklearnserver answers: the status, and a pattern of the body that
holds for every version of the model.

A client's mistake is a 500 more often than a 4xx: docs/client-errors.md says what follows for a release.
"""


@pytest.mark.parametrize("bad", BAD)
async def test_a_bad_request_gets_the_servers_own_answer(release, through_a_port_forward, bad):
    version, body, status, says = BAD[bad]
    path = {"v1": f"/v1/models/{release.model}:predict", "v2": f"/v2/models/{release.model}/infer"}[version]
    answer = await through_a_port_forward(path, body)
    assert answer.status == status, answer
    told = json.loads(answer.body)["detail" if status == 422 else "error"]
    assert re.search(says, told if isinstance(told, str) else json.dumps(told)), answer


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/models/nobody:predict", json.dumps({"instances": FLOWERS})),
        ("/v2/models/nobody/infer", tensor(FLOWERS, [3, 4])),
        ("/v1/models/nobody", None),
        ("/no/such/path", None),
    ],
)
async def test_what_is_not_there_gets_a_404(through_a_port_forward, path, body):
    answer = await through_a_port_forward(path, body)
    assert answer.status == 404, answer


async def test_after_bad_requests_the_model_answers_as_before(release, through_the_mesh):
    refused = await through_the_mesh(f"/v1/models/{release.model}:predict", "flowers")
    answered = await through_the_mesh(f"/v1/models/{release.model}:predict", json.dumps({"instances": FLOWERS}))
    assert refused.status == 400
    assert (answered.status, json.loads(answered.body)) == (200, {"predictions": SPECIES})


async def test_every_answer_through_the_mesh_names_its_pod(release, through_the_mesh):
    answer = await through_the_mesh(f"/v1/models/{release.model}")
    assert answer.headers["x-served-by"].rpartition(":")[0] in addresses(await release.stable_pods())
