"""The first deploy of a model has nothing to be compared with: it is never counted as a canary."""

import pytest

pytestmark = pytest.mark.anyio


def test_while_it_comes_up_it_is_refused_as_a_canary(second):
    assert "with a single revision: its first deploy is no canary" in second.refused.message
