"""What all tests share."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend():
    """The one that the commands run on."""
    return "asyncio"
