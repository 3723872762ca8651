"""The application answers its golden inputs as their file asks."""

import pytest

from ci.behaviour import compare, serve

pytestmark = pytest.mark.anyio


async def test_the_golden_inputs_are_answered_as_their_gates_ask(release, client, golden):
    url = f"{release.url}{golden.url_path(release.model)}"
    answers = await serve.ask(release.kubectl, release.namespace, golden, [url, url], rounds=1)
    compare.require(compare.compare(golden, [release.name, release.name], *answers))
