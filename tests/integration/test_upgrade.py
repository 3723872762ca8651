"""`helm upgrade` never conflicts with what Argo Rollouts changed; in mid-canary: see test_rollout_control.py."""

import pytest

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("sample")]


async def revision(release):
    return (await release.get("rollout"))["status"]["currentPodHash"]


async def test_twice_in_a_row_changes_nothing(release):
    before = await revision(release)
    await release.upgrade()
    await release.upgrade()
    assert await revision(release) == before
    assert await release.weights() == (100, 0)


async def test_a_change_beside_the_model_starts_no_canary(release):
    before = await revision(release)
    for limit in ("1.5", "1"):
        await release.upgrade("--set-json", f"slo.latency.p99Threshold={limit}")
        rule = await release.get("prometheusrule", f"{release.name}-slo-alerts")
        assert f"> {limit}" in str(rule["spec"])
    await release.healthy()
    assert await revision(release) == before
