"""A cluster that begins from what was kept of one with the stack: as good as new, and the stack is there already."""

import pytest

from ci.base import command
from ci.cluster.helm import Helm
from ci.cluster.kind import kind_cluster
from ci.cluster.kubectl import Kubectl
from ci.host import client
from ci.stack import install, kept
from ci.stack.component import StackContext

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def snapshot(supply, tmp_path_factory):
    node = await supply.in_docker("docker.io/kindest/node")
    return await kept.with_stack(supply, node, tmp_path_factory.mktemp("making"))


@pytest.fixture(scope="module")
async def begun(supply, snapshot, tmp_path_factory):
    """Two clusters that began from the same snapshot, one after the other; the first has gone."""
    outcomes = []
    for _ in range(2):
        tools = (supply.tool("kind"), supply.tool("kubectl"))
        async with kind_cluster(*tools, snapshot, tmp_path_factory.mktemp("report")) as cluster:
            kubectl = Kubectl(supply.tool("kubectl"), cluster)
            context = StackContext(kubectl, Helm(supply.tool("helm"), cluster), supply)
            outcomes.append(await install.install(context))
            pods = await kubectl.get_list("pods", all_namespaces=True)
            slices = await kubectl.get_list("endpointslices", "default")
            node = await client.inspect("container", cluster.node)
    return outcomes, pods, slices, node, cluster


async def test_its_stack_is_there_and_answers_each_time(begun):
    outcomes, *_ = begun
    assert len(outcomes) == 2
    for outcome in outcomes:
        assert set(outcome) == {each.name for each in install.STACK}
        assert set(outcome.values()) == {"found"}


async def test_no_pod_had_to_start_twice(begun):
    """Each finds its Services at once; the control plane's own were there before there was one."""
    _, pods, *_ = begun
    of_the_stack = [pod for pod in pods if pod["metadata"]["namespace"] != "kube-system"]
    assert len(of_the_stack) >= len(install.STACK) - 1
    restarts = {
        f"{pod['metadata']['name']}/{each['name']}": each["restartCount"]
        for pod in of_the_stack
        for each in pod["status"]["containerStatuses"]
        if each["restartCount"]
    }
    assert restarts == {}


async def test_the_one_address_of_its_api_server_is_its_own(begun):
    _, _, slices, node, cluster = begun
    (api,) = [each for each in slices if each["metadata"]["name"] == "kubernetes"]
    own = node["NetworkSettings"]["Networks"][cluster.network]["IPAddress"]
    assert [each["addresses"] for each in api["endpoints"]] == [[own]]


async def test_its_disk_goes_with_it(begun, snapshot):
    _, _, _, node, _ = begun
    (var,) = [mount["Name"] for mount in node["Mounts"] if mount["Destination"] == "/var"]
    assert await client.inspect("volume", var) is None
    assert await snapshot.is_there()


async def test_a_snapshot_that_lost_a_part_is_none(snapshot):
    await command.run(["docker", "volume", "rm", snapshot.volume], timeout=30)
    assert not await snapshot.is_there()
