"""`helm test` is the release's own proof, for whoever installed it."""

import pytest

pytestmark = pytest.mark.anyio


async def test_helm_test_passes_and_says_what_it_did(release):
    result = await release.helm.test(release.name, release.namespace)
    assert "Phase:          Succeeded" in result.stdout
    assert "answer: 0\n" in result.stdout
