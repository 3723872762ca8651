"""Argo CD's own code, built once for all tests that ask it what it deploys."""

from pathlib import Path

import pytest

from tests.harness import upstream
from tests.unit.conftest import find_tool


@pytest.fixture(scope="session")
def helm():
    return find_tool("helm")


@pytest.fixture(scope="session")
def deploys(helm):
    """Ask Argo CD's own code what it deploys (deployed.go)."""
    return upstream.built(Path(__file__).with_name("deployed.go"), "argo-cd", beside=[helm.parent])
