"""A version moves from dev to staging by commits alone, and a bad one goes back the same way."""

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from ci.base import tasks
from ci.base.command import Result
from ci.base.wait import NotYet, until
from ci.canary.observe import rollout, traffic
from ci.cluster import model_store, readiness
from ci.cluster.git_server import served
from ci.cluster.helm import Helm
from ci.release import health
from ci.stages.install import namespace
from ci.supply import pins
from tests.integration import gitops
from tests.integration.gitops import APPLICATION, NAMESPACES, SECRET, Loop
from tests.integration.release import Release

pytestmark = pytest.mark.anyio

MISLABELLED = "mislabelled"
"""The version of sample/train.py that names every flower wrong."""
REVERT_SECONDS = 120
PROVEN_SECONDS = 120
"""What the old pods' end has left of the soak time, and a look at dev."""
RATE = 20
"""Requests a second: other stages need the machine, too."""


@pytest.fixture(scope="module")
async def loop(request, kubectl, tmp_path_factory, to_report):
    """Argo CD watching a copy of this repository, dev and staging at v1."""
    folder = tmp_path_factory.mktemp("gitops")
    repository = gitops.copy(folder)
    async with served(repository, request.config.option.gitops_address) as url:
        clone = folder / "clone"
        await anyio.to_thread.run_sync(gitops._git, folder, "clone", "--quiet", url, clone)
        loop = Loop(kubectl, url, repository, clone)
        for name in NAMESPACES.values():
            await kubectl.apply([namespace(name)])
            await model_store.credentials(kubectl, name, SECRET)
        await loop.apply()
        loop.note("kubectl apply of k8s/argocd/")
        async with loop.watched():
            async with tasks.group() as group:
                for environment, name in NAMESPACES.items():
                    group.start_soon(loop.synced, environment, "v1")
                    group.start_soon(traffic.install, kubectl, name)
            yield loop
        to_report("gitops.json", loop.events)
        if not request.session.testsfailed:  # otherwise somebody wants to look
            await loop.end()


@pytest.fixture(scope="module")
def in_environment(kubectl, tool):
    """The application as a release in an environment."""

    def find(environment) -> Release:
        helm = Helm(tool("helm"), kubectl.cluster)
        plugin = tool("kubectl-argo-rollouts")
        return Release(helm, kubectl, plugin, APPLICATION, NAMESPACES[environment], APPLICATION)

    return find


@pytest.fixture(scope="module")
async def scraped(loop, in_environment, prometheus):
    """dev and staging with figures."""
    await prometheus.scrapes(*map(in_environment, NAMESPACES))
    loop.note("Prometheus scrapes both")


@pytest.fixture(scope="module")
async def bumped(loop, scraped, in_environment, watched):
    """dev taken from v1 to v2 by one commit."""
    release = in_environment("dev")
    async with watched(release, "dev to v2", RATE) as under_way:
        under_way.seen.upgrading()
        await loop.bump_model("v2", "--why=a better model")
        await under_way.seen.canary()
        loop.note("dev: canary of v2 starts")
        outcome = await under_way.seen.finished()
        loop.note(f"dev: Rollout {outcome} at v2")
        await under_way.seen.held(100, 0)
        await loop.synced("dev", "v2")
    return under_way


async def test_a_bump_is_synced_and_canaries_through(loop, bumped, in_environment):
    assert bumped.timeline.outcome == "Healthy"
    assert [change.canary for change in bumped.timeline.weights] == [0, 20, 50, 100, 0]
    assert bumped.timeline.failed == 0
    assert await in_environment("dev").storage_uri() == model_store.uri(APPLICATION, "v2")
    digest = (await loop.data("dev"))["model"]["digest"]
    assert {health.runs(pod).digest for pod in await in_environment("dev").stable_pods()} == {digest}


@pytest.mark.parametrize(
    ("program", "says"),
    [
        (["helm", "version", "--template={{.Version}}"], {pins.load().modules["helm"].version}),
        (["env", "TZ=Europe/Berlin", "date", "+%Z"], {"CET", "CEST"}),  # a sync window may name a time zone
    ],
    ids=["Helm", "time zones"],
)
async def test_argo_cd_has_what_its_publisher_gives_it(loop, program, says):
    """The same in both ways of the supply: its own Helm is what renders in production."""
    server = ["--namespace", loop.argocd, "deployment/argocd-repo-server", "--container=argocd-repo-server"]
    result = await loop.kubectl.run("exec", *server, "--", *program)
    assert result.stdout.strip() in says


@dataclass
class Promoted:
    """The promotion: what staging had before, what both had by its commit, and what the command said."""

    before: dict
    dev: dict
    staging: dict
    result: Result


@dataclass
class Failed:
    """A bad version's way in and out."""

    load: object
    timeline: object
    subject: str
    message: str


@pytest.fixture(scope="module")
async def moved(loop, bumped, in_environment, watched):
    """staging at what dev has proven and, as soon as that is committed, dev at a bad version while `watch` looks on."""
    committed, found = anyio.Event(), {}

    async def promote() -> None:
        found["promoted"] = await promoted(loop, in_environment, watched, committed)

    async def fail() -> None:
        async with watching(loop):
            found["failed"] = await failed(loop, in_environment("dev"), watched, committed)

    async with tasks.group() as group:
        group.start_soon(promote)
        group.start_soon(fail)
    return found


@pytest.fixture(scope="module")
def promotion(moved):
    return moved["promoted"]


@pytest.fixture(scope="module")
def failure(moved):
    return moved["failed"]


@asynccontextmanager
async def watching(loop) -> AsyncIterator[BufferedByteReceiveStream]:
    """Have `watch --env dev` running, as an operator would; what it says can be read."""
    argv = loop.argv("watch", "--env=dev", *loop.on_cluster())
    process = await anyio.open_process(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        yield BufferedByteReceiveStream(process.stdout)
        assert process.returncode is None, (await process.stdout.receive()).decode()
    finally:
        process.terminate()
        await process.wait()


async def promoted(loop, in_environment, watched, committed) -> Promoted:
    """Promote dev's set to staging, its canary under traffic: without any there would be nothing to judge it by."""
    dev, staging = in_environment("dev"), in_environment("staging")
    before = await loop.data("staging")

    async def proven() -> Result:
        result = await loop.run("promote", "--from=dev", "--to=staging", *loop.on_cluster(), check=False)
        if "is healthy for" in result.stderr or "still answers" in result.stderr:
            raise NotYet(result.stderr)
        assert result.returncode == 0, result.stderr
        return result

    async with watched(staging, "staging to v2", RATE) as under_way:
        await readiness.one_revision(loop.kubectl, dev.namespace, dev.model)
        under_way.seen.upgrading()
        result = await until("dev is healthy for its soak time", proven, timeout=PROVEN_SECONDS, interval=1)
        after = {environment: await loop.data(environment) for environment in NAMESPACES}
        committed.set()
        await under_way.seen.canary()
        loop.note("staging: canary of v2 starts")
        outcome = await under_way.seen.finished()
        loop.note(f"staging: Rollout {outcome} at v2")
        await loop.synced("staging", "v2")
    return Promoted(before, after["dev"], after["staging"], result)


async def failed(loop, release, watched, committed) -> Failed:
    """Bump dev to a version that names flowers wrong, as soon as the promotion has what it had."""
    async with watched(release, "dev to mislabelled", RATE) as under_way:
        await committed.wait()
        under_way.seen.upgrading()
        await loop.bump_model(MISLABELLED)
        await under_way.seen.canary()
        loop.note(f"dev: canary of {MISLABELLED} starts")
        outcome = await under_way.seen.finished()
        loop.note(f"dev: Rollout {outcome} at {MISLABELLED}")
        assert outcome == "Degraded", "a model that names every flower wrong went through"

        async def reverted() -> str:
            subject = (await loop.subjects())[0]
            if not subject.startswith("Roll "):
                raise NotYet(subject)
            return subject

        subject = await until("the rollback's commit", reverted, timeout=REVERT_SECONDS, interval=0.5)
        loop.note(f"watch: {subject}")
        await loop.refresh()
        await loop.synced("dev", "v2")
    message = await loop.git("log", "-1", "--format=%B", "main")
    return Failed(under_way.load, under_way.timeline, subject, message)


async def test_a_promotion_moves_the_whole_set(loop, promotion, in_environment):
    dev, staging = promotion.dev, promotion.staging
    assert promotion.before["model"]["version"] == "v1"
    assert staging["model"] == dev["model"]
    assert staging["image"] == dev["image"]
    commits = (await loop.git("rev-list", "main")).split()
    assert staging["chart"]["revision"] in commits, "a commit, not a branch that goes on moving"
    assert "Synced and Healthy for" in promotion.result.stderr, "why it was allowed"
    assert await in_environment("staging").storage_uri() == model_store.uri(APPLICATION, "v2")


async def test_promoting_again_is_no_commit(loop, promotion):
    before = await loop.git("rev-parse", "main")
    result = await loop.run("promote", "--from=dev", "--to=staging", *loop.on_cluster())
    assert "nothing to change" in result.stdout
    assert await loop.git("rev-parse", "main") == before


async def test_a_bad_version_is_aborted_and_reverted_in_git(loop, failure):
    assert failure.timeline.outcome == "Degraded"
    assert failure.subject == f"Roll {APPLICATION} in dev back to model v2"
    assert (await loop.data("dev"))["model"]["version"] == "v2"
    assert f"model.version: {MISLABELLED} → v2" in failure.message
    assert "known-answer: Failed" in failure.message, "what the analysis measured is in the commit"


async def test_every_request_was_answered_all_along(failure):
    assert failure.timeline.failed == 0
    by_revision = {item.revision: item.requests for item in failure.timeline.traffic}
    wrong = len(failure.load.wrong)
    assert wrong <= by_revision.get(failure.timeline.canary_revision, 0), "the stable one never named a flower wrong"


async def test_the_bad_version_is_quarantined_until_someone_lifts_it(loop, failure):
    before = await loop.git("rev-parse", "main")
    refused = await loop.bump_model(MISLABELLED, check=False)
    assert refused.returncode == 1
    assert "is quarantined since" in refused.stderr
    assert "git rm gitops/quarantine/" in refused.stderr, "the way out"
    assert await loop.git("rev-parse", "main") == before


async def test_what_dev_runs_again_is_still_what_staging_runs(loop, failure, in_environment):
    assert await in_environment("staging").storage_uri() == model_store.uri(APPLICATION, "v2")
    assert await in_environment("dev").storage_uri() == model_store.uri(APPLICATION, "v2")


async def test_history_knows_what_was_good_and_what_was_not(loop, failure):
    rows = await loop.history("dev")
    now, bad, good = rows[:3]
    assert [row["set"]["model.version"] for row in (now, bad, good)] == ["v2", MISLABELLED, "v2"]
    assert (now["runs"], now["state"], bad["state"], good["state"]) == (True, "healthy", "barred", "healthy")
    again = await loop.run("rollback", "--env=dev")
    assert again.stdout.startswith("nothing to change"), "watch has gone back already"


@pytest.fixture(scope="module")
async def last(loop, failure, in_environment, watched):
    """staging back at a set of before, and dev at a good version that nobody asks anything."""
    first = next(row for row in await loop.history("staging") if row["set"]["model.version"] == "v1")
    found = {}

    async def back() -> None:
        async with watched(in_environment("staging"), "staging back to v1", RATE) as under_way:
            under_way.seen.upgrading()
            await loop.run("rollback", "--env=staging", f"--to={first['commit']}", "--no-quarantine")
            await under_way.seen.canary()
            loop.note("staging: canary of v1 starts")
            found["staging"] = await under_way.seen.finished()
            loop.note(f"staging: Rollout {found['staging']} at v1")
            await loop.synced("staging", "v1")

    async def unasked() -> None:
        release = in_environment("dev")
        dev = loop.kubectl.cluster, release.namespace, APPLICATION
        async with watching(loop) as said, rollout.observe(*dev) as seen:
            seen.upgrading()
            await loop.bump_model("v1")
            found["commit"] = await loop.git("rev-parse", "main:gitops/dev")
            await seen.canary()
            loop.note("dev: canary of v1 starts, without a request")
            found["dev"] = await seen.finished()
            loop.note(f"dev: Rollout {found['dev']} at v1")
            with anyio.fail_after(REVERT_SECONDS):
                found["said"] = " ".join((await said.receive_until(b"--no-quarantine", 1 << 16)).decode().split())

    async with tasks.group() as group:
        group.start_soon(back)
        group.start_soon(unasked)
    return found


async def test_an_environment_goes_back_to_a_set_that_history_lists(last):
    assert last["staging"] == "Healthy"


async def test_a_canary_without_a_verdict_is_left_to_people(loop, last):
    assert last["dev"] == "Degraded"
    assert "was aborted without a verdict" in last["said"]
    assert "Nothing is rolled back or quarantined" in last["said"]
    assert await loop.git("rev-parse", "main:gitops/dev") == last["commit"], "it was not rolled back"
    assert "v1" not in await loop.git("ls-tree", "-r", "--name-only", "main:gitops/quarantine"), "nor quarantined"
    now, *_ = await loop.history("dev")
    assert (now["set"]["model.version"], now["state"]) == ("v1", "unknown")
    lifted = await loop.run("rollback", "--env=dev", "--no-quarantine")
    assert "model v2" in lifted.stdout
