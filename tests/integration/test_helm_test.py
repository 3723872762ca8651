"""`helm test` is the release's own proof, for whoever installed it."""

import json
import re

import pytest

from tests.integration import asking

pytestmark = [pytest.mark.anyio, pytest.mark.needs("exampleModel.knownAnswer")]

TEST_SECONDS = 120
"""The chart's own test asks for a minute; its pod may have to get an image first."""


async def test_helm_test_passes_and_says_what_it_did(release, known):
    result = await release.helm.test(release.name, release.namespace, timeout=TEST_SECONDS)
    assert "Phase:          Succeeded" in result.stdout
    (answer,) = re.findall(r"^answer: (.+)$", result.stdout, re.MULTILINE)
    assert asking.wrong(known, json.loads(answer)) == []
