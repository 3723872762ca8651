"""A remote of its own for each test, and the work trees of those who write to it."""

import pytest

from tests.harness import remote as remotes


@pytest.fixture
def remote(tmp_path):
    return remotes.made(tmp_path)


@pytest.fixture
def clone(remote):
    return remote.clone("ours")


@pytest.fixture
def other(remote):
    return remote.clone("theirs")
