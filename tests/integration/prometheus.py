"""Prometheus, asked as the deployment guide has it: through a port-forward."""

from dataclasses import dataclass
from typing import Any

import anyio.to_thread
import requests

from ci.base.wait import NotYet, until
from tests.integration.release import Release

ANSWER_SECONDS = 10
SCRAPED_SECONDS = 240
"""The config reloader may miss a new ServiceMonitor for three minutes."""


@dataclass(frozen=True)
class Prometheus:
    """One Prometheus.

    Attributes:
        url: Its base URL.
    """

    url: str

    async def query(self, promql: str) -> list[dict[str, Any]]:
        """The result of an instant query."""
        return (await self._get("query", query=promql))["result"]

    async def query_range(self, promql: str, start: float, end: float, step: int) -> list[dict[str, Any]]:
        """The result of a query at each step, in seconds, between two Unix times."""
        return (await self._get("query_range", query=promql, start=str(start), end=str(end), step=str(step)))["result"]

    async def targets(self, release: Release) -> list[dict[str, Any]]:
        """Every target of a release's model that is scraped."""
        wanted = {"namespace": release.namespace, "model": release.model}
        found = (await self._get("targets", state="active"))["activeTargets"]
        return [target for target in found if wanted.items() <= target["labels"].items()]

    async def scrapes(self, *releases: Release) -> None:
        """Wait until the pods of these releases are scraped."""

        async def probe() -> None:
            for release in releases:
                targets = await self.targets(release)
                if not targets or any(item["health"] != "up" for item in targets):
                    seen = [(item["health"], item["lastError"]) for item in targets]
                    raise NotYet(f"{release.model} in {release.namespace}: {seen}")

        names = ", ".join(f"{release.model} in {release.namespace}" for release in releases)
        await until(f"Prometheus scrapes {names}", probe, timeout=SCRAPED_SECONDS, interval=1)

    async def rules(self) -> list[dict[str, Any]]:
        """Every rule, recording and alerting."""
        return [rule for group in (await self._get("rules"))["groups"] for rule in group["rules"]]

    async def _get(self, what: str, **parameters: str) -> Any:
        url = f"{self.url}/api/v1/{what}"
        answer = await anyio.to_thread.run_sync(lambda: requests.get(url, params=parameters, timeout=ANSWER_SECONDS))
        assert answer.ok, f"{answer.status_code}: {answer.text}"
        return answer.json()["data"]
