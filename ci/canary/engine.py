"""A throw-away Prometheus: it reads expressions, and over samples of the past answers them."""

import http.client
import json
import re
import subprocess
import tempfile
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import anyio
import anyio.to_thread
import requests

from ci.base import command
from ci.base.errors import CheckFailedError
from ci.base.wait import NotYet, until
from ci.canary.series import Sample
from ci.manifests import series

BASE = 1_700_006_400 + 1200
"""Second 0, in Unix time: within one of Prometheus' blocks of two hours."""
START_SECONDS = 30
IMPORT_SECONDS = 120
QUERY_SECONDS = 30
QUERIES = 4
"""At once."""
PREFIX = "ml-serving-ci-gates-"
DATA = "data"
LISTENING = re.compile(r'Listening on.* address="?127\.0\.0\.1:(\d+)')

Answers = Mapping[int, Any]
"""What a query gives at each second: a vector's values, none where it is empty; of a scalar the number alone."""


@dataclass(frozen=True)
class Engine:
    """A Prometheus that runs.

    Attributes:
        url: Where.
        limiter: How many queries there are at once.
    """

    url: str
    limiter: anyio.CapacityLimiter

    async def read(self, texts: Collection[str]) -> series.Read:
        """Return what Prometheus makes of expressions, by their text.

        Args:
            texts: PromQL, or what should be.
        """
        return await anyio.to_thread.run_sync(self._read, texts, limiter=self.limiter)

    def _read(self, texts: Collection[str]) -> series.Read:
        # through one connection, where it takes a tenth of the time that `requests` does
        with closing(http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=QUERY_SECONDS)) as connection:
            return {text: self._parsed(connection, text) for text in texts}

    @staticmethod
    def _parsed(connection: http.client.HTTPConnection, text: str) -> series.Expression:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        # JSON can have half a character, which no UTF-8 can
        connection.request("POST", "/api/v1/parse_query", urlencode({"query": text}, errors="replace"), form)
        return series.parsed(json.load(connection.getresponse()))

    async def answers(self, query: str, seconds: int, step: int = 1) -> Answers:
        """Return what a query would have given at each second, or at every so many.

        Args:
            query: PromQL.
            seconds: The last one.
            step: Seconds between two.

        Raises:
            CheckFailedError: Prometheus does not take the query.
        """
        return await anyio.to_thread.run_sync(self._answers, query, seconds, step, limiter=self.limiter)

    def _answers(self, query: str, seconds: int, step: int) -> Answers:
        ranged = self._asked("query_range", query, start=BASE, end=BASE + seconds, step=step)
        found: dict[int, list[float]] = {}
        for each in ranged["result"]:
            for second, value in each["values"]:
                found.setdefault(int(second) - BASE, []).append(float(value))
        # a range has no scalars, but Argo Rollouts asks about one moment, where a scalar is no list
        if self._asked("query", query, time=BASE)["resultType"] == "scalar":
            return {second: value for second, (value,) in found.items()}
        return found

    def _asked(self, what: str, query: str, **times: int) -> Any:
        response = requests.post(f"{self.url}/api/v1/{what}", data={"query": query, **times}, timeout=QUERY_SECONDS)
        body = response.json()
        if body["status"] != "success":
            raise CheckFailedError(f"Prometheus does not take a query: {body['error']}", detail=query)
        return body["data"]


@asynccontextmanager
async def running(prometheus: Path, promtool: Path, samples: Iterable[Sample]) -> AsyncIterator[Engine]:
    """Have a Prometheus with these samples and no others.

    Args:
        prometheus: The executable.
        promtool: The executable that makes its blocks.
        samples: What it knows.
    """
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        folder = Path(name)
        (folder / "samples").write_text(open_metrics(samples))
        words = ("tsdb", "create-blocks-from", "openmetrics", "--quiet")
        await command.run([promtool, *words, folder / "samples", folder / DATA], timeout=IMPORT_SECONDS)
        async with _serving(prometheus, folder) as engine:
            yield engine


@asynccontextmanager
async def empty(prometheus: Path) -> AsyncIterator[Engine]:
    """Have a Prometheus without samples, to read expressions.

    Args:
        prometheus: The executable.
    """
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        async with _serving(prometheus, Path(name)) as engine:
            yield engine


@asynccontextmanager
async def _serving(prometheus: Path, folder: Path) -> AsyncIterator[Engine]:
    """Have a Prometheus over what a folder has in `DATA`.

    It has no `--enable-feature`, like the one that `ci.stack.monitoring` installs and like promtool for rules: they
    would refuse what needs a feature.
    """
    (folder / "prometheus.yml").write_text("{}")
    argv = [
        str(prometheus),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / DATA}",
        "--storage.tsdb.retention.time=100y",
        "--web.listen-address=127.0.0.1:0",
    ]
    log = folder / "log"
    with log.open("wb") as sink:
        process = await command.start(argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
    try:

        async def listening() -> int:
            text = log.read_text()
            if process.returncode is not None:
                raise CheckFailedError("Prometheus does not start", detail=text)
            found = LISTENING.search(text)
            if found is None:
                raise NotYet((text.splitlines() or ["no log yet"])[-1])
            return int(found[1])

        port = await until("Prometheus listens", listening, timeout=START_SECONDS, interval=0.05)
        url = f"http://127.0.0.1:{port}"

        async def ready() -> None:
            response = await anyio.to_thread.run_sync(lambda: requests.get(f"{url}/-/ready", timeout=5))
            if response.status_code != 200:
                raise NotYet(response.text.strip())

        await until("Prometheus is ready", ready, timeout=START_SECONDS, interval=0.05)
        yield Engine(url, anyio.CapacityLimiter(QUERIES))
    finally:
        await command.stop(process)


def open_metrics(samples: Iterable[Sample]) -> str:
    """Return samples as an OpenMetrics text (https://prometheus.io/docs/specs/om/open_metrics_spec/)."""
    lines = []
    by_name = sorted(samples, key=attrgetter("name"))
    for name, group in groupby(by_name, key=attrgetter("name")):
        lines.append(f"# TYPE {name} unknown")
        lines += [f"{name}{{{each.labels}}} {each.value} {BASE + each.second:.3f}" for each in group]
    return "\n".join([*lines, "# EOF\n"])
