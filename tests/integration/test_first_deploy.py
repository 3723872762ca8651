"""The first deploy of a model has nothing to be compared with: it is never counted as a canary."""

import pytest

pytestmark = pytest.mark.anyio


def test_while_it_comes_up_it_is_refused_as_a_canary(first_deploy):
    assert "with a single revision: its first deploy is no canary" in first_deploy.refused.message


async def test_it_took_no_step_and_nothing_judged_it(second):
    status = (await second.get("rollout"))["status"]
    assert status["stableRS"] == status["currentPodHash"]
    of_second = f"rollouts-pod-template-hash={status['stableRS']}"
    assert await second.kubectl.get_list("analysisruns", second.namespace, of_second) == []
