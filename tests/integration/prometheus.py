"""Prometheus, asked as the deployment guide has it: through a port-forward."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio.to_thread
import requests

from ci.base.wait import NotYet, until
from ci.cluster.kubectl import Kubectl
from ci.cluster.port_forward import port_forward
from tests.integration.release import Release

ANSWER_SECONDS = 10
SCRAPED_SECONDS = 240
"""The config reloader may miss a new ServiceMonitor for three minutes."""
SERIES_SECONDS = 60
"""For a scrape, a rule evaluation, and the second sample that a rate needs."""

Result = list[dict[str, Any]]


@dataclass(frozen=True)
class Prometheus:
    """One Prometheus.

    Attributes:
        url: Its base URL.
    """

    url: str

    async def query(self, promql: str) -> Result:
        """The result of an instant query."""
        return (await self._get("query", query=promql))["result"]

    async def query_range(self, promql: str, start: float, end: float, step: int) -> list[dict[str, Any]]:
        """The result of a query at each step, in seconds, between two Unix times."""
        return (await self._get("query_range", query=promql, start=str(start), end=str(end), step=str(step)))["result"]

    async def until(self, promql: str, enough: Callable[[Result], object]) -> Result:
        """The result of an instant query, once it has what it takes."""

        async def probe() -> Result:
            result = await self.query(promql)
            if not enough(result):
                raise NotYet(f"{promql}: {result}")
            return result

        return await until(f"series {promql}", probe, timeout=SERIES_SECONDS, interval=1)

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

    async def rules(self, release: Release) -> list[dict[str, Any]]:
        """Every rule about a release's model, recording and alerting, once each was evaluated."""
        matchers = (f'namespace="{release.namespace}"', f'model="{release.model}"')

        async def probe() -> list[dict[str, Any]]:
            every = [rule for group in (await self._get("rules"))["groups"] for rule in group["rules"]]
            rules = [rule for rule in every if all(text in rule["query"] for text in matchers)]
            if not rules or any(rule["health"] == "unknown" for rule in rules):
                raise NotYet(str([(rule["name"], rule["health"]) for rule in rules]))
            return rules

        return await until("every rule evaluated once", probe, timeout=SCRAPED_SECONDS, interval=1)

    async def fires(self, release: Release, alert: str, timeout: float) -> None:
        """Wait until an alert about a release's model fires, and no other of its name is pending."""
        alerts = f'ALERTS{{alertname="{alert}", namespace="{release.namespace}", model="{release.model}"}}'

        async def probe() -> None:
            states = [item["metric"]["alertstate"] for item in await self.query(alerts)]
            if states != ["firing"]:
                raise NotYet(f"{alerts}: {states}")

        await until(f"{alert} fires", probe, timeout=timeout, interval=1)

    async def _get(self, what: str, **parameters: str) -> Any:
        url = f"{self.url}/api/v1/{what}"
        answer = await anyio.to_thread.run_sync(lambda: requests.get(url, params=parameters, timeout=ANSWER_SECONDS))
        assert answer.ok, f"{answer.status_code}: {answer.text}"
        return answer.json()["data"]


@asynccontextmanager
async def reached(kubectl: Kubectl, address: str) -> AsyncIterator[Prometheus]:
    """Have the Prometheus that pods call by an address: a Service of the cluster, else one that is reached as is."""
    url = urlsplit(address)
    name, _, rest = (url.hostname or "").partition(".")
    namespace = rest.split(".")[0]
    if namespace and await kubectl.get("service", name, namespace) is not None:
        async with port_forward(kubectl, f"svc/{name}", url.port or 80, namespace) as local:
            yield Prometheus(f"{local}{url.path.rstrip('/')}")
    else:
        yield Prometheus(address.rstrip("/"))
