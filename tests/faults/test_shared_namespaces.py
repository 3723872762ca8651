"""On a cluster that others use, a run deletes its own namespaces, and the shared one goes with the last run.

Real: a kind cluster in the place of the existing one. A minute: `pytest tests/faults/test_shared_namespaces.py`.
"""

import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest

from ci.base.errors import MachineError
from ci.cluster import clean, kind, runs
from ci.cluster.cluster import Cluster
from ci.results import Report
from ci.stages import namespaces
from ci.stages.run import Options, Run
from ci.supply.supply import Supply
from ci.supply.ways import choose

SHARED = "shared"


@pytest.fixture(scope="module")
def cluster(tools: tuple[str, str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    report = tmp_path_factory.mktemp("report")
    run = runs.new_id()
    made = anyio.run(lambda: kind.create(Path(tools[0]), Path(tools[1]), tools[2], report, run=run, keep=False))
    yield made
    anyio.run(clean.delete, made.name)


class Runs:
    """Runs on the cluster, each with what it undoes at its end."""

    def __init__(self, cluster: Cluster, report: Path) -> None:
        self._cluster = cluster
        self._report = report
        self._supply = Supply(choose("auto"))

    def new(self, *, keep: bool = False) -> Run:
        options = Options(Path.cwd(), "dev", keep, self._cluster.kubeconfig, None, False, self._report)
        report = Report(command="test", started="", outcome="interrupted")
        return Run(options, self._supply, report, AsyncExitStack(), made_cluster=self._cluster)


@pytest.fixture
def some(cluster: Cluster, tmp_path: Path) -> Iterator[Runs]:
    found = Runs(cluster, tmp_path)
    yield found
    anyio.run(lambda: found.new().kubectl.run("delete", "namespace", SHARED, "mine", "--ignore-not-found"))


async def there(run: Run, name: str = SHARED) -> bool:
    return await run.kubectl.get("namespace", name) is not None


def test_a_run_deletes_its_own_namespace_and_nobody_elses(some: Runs) -> None:
    async def story() -> None:
        first, second = some.new(), some.new()
        for run in (first, second):
            namespaces.delete_at_end(run, "mine")
        assert await namespaces.make(first, "mine", {"a": "b"})
        assert not await namespaces.make(second, "mine", {})
        await second.cleanup.aclose()
        assert await there(first, "mine")
        await first.cleanup.aclose()
        assert not await there(first, "mine")

    anyio.run(story)


def test_a_shared_namespace_goes_with_the_last_run(some: Runs) -> None:
    async def story() -> None:
        first, second, third = some.new(), some.new(), some.new()
        await namespaces.share(first, SHARED)
        await namespaces.share(second, SHARED)
        await first.cleanup.aclose()
        assert await there(second)
        await namespaces.share(third, SHARED)
        async with anyio.create_task_group() as group:
            group.start_soon(second.cleanup.aclose)
            group.start_soon(third.cleanup.aclose)
        assert not await there(first)

    anyio.run(story)


def test_a_run_that_comes_while_the_last_one_goes_gets_one_that_stays(some: Runs) -> None:
    async def story() -> None:
        for _ in range(3):
            first, second = some.new(), some.new()
            await namespaces.share(first, SHARED)
            async with anyio.create_task_group() as group:
                group.start_soon(first.cleanup.aclose)
                group.start_soon(namespaces.share, second, SHARED)
            found = await second.kubectl.get("namespace", SHARED)
            assert found is not None
            assert "deletionTimestamp" not in found["metadata"]
            await second.cleanup.aclose()
            assert not await there(second)

    anyio.run(story)


def test_a_kept_run_keeps_it_and_a_killed_one_does_not_for_ever(some: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        killed, kept = some.new(), some.new(keep=True)
        await namespaces.share(killed, SHARED)
        today = some.new()
        await namespaces.share(today, SHARED)
        await today.cleanup.aclose()
        assert await there(today)

        long_after = time.time() + 2 * namespaces.USED_SECONDS
        monkeypatch.setattr(namespaces.time, "time", lambda: long_after)
        last = some.new()
        await namespaces.share(last, SHARED)
        await last.cleanup.aclose()
        assert not await there(last)

        await namespaces.share(kept, SHARED)
        await kept.cleanup.aclose()
        after = some.new()
        await namespaces.share(after, SHARED)
        await after.cleanup.aclose()
        assert await there(after)

    anyio.run(story)


def test_one_that_no_run_made_stays_and_a_strangers_is_refused(some: Runs) -> None:
    async def story() -> None:
        run = some.new()
        await run.kubectl.run("create", "namespace", SHARED)
        with pytest.raises(MachineError, match="of somebody else's"):
            await namespaces.share(run, SHARED)
        await run.kubectl.run("label", "namespace", SHARED, f"{namespaces.MANAGED_BY}={namespaces.OWNER}")
        await namespaces.share(run, SHARED)
        await run.cleanup.aclose()
        assert await there(run)

    anyio.run(story)
