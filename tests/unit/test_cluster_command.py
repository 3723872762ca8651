"""Which cluster `cluster down` and `cluster kubeconfig` mean."""

from datetime import UTC, datetime

import pytest

from ci.base.errors import UsageError
from ci.cluster.clean import Found
from ci.commands.cluster import chosen

DONE = ("kept", "left over")


def found(name: str, owner: str, *, keep: bool = False) -> Found:
    return Found(f"ml-serving-ci-{name}", "", owner, keep, datetime.now(UTC))


KEPT, LIVE, UNSEEN = found("kept", "dead", keep=True), found("live", "alive"), found("unseen", "unknown")


def test_a_name_means_its_cluster_whatever_its_state() -> None:
    assert chosen([KEPT, LIVE], "live", DONE) is LIVE
    assert chosen([KEPT, UNSEEN], "unseen", DONE) is UNSEEN


def test_without_a_name_the_only_one_is_meant() -> None:
    assert chosen([LIVE], None) is LIVE
    assert chosen([KEPT], None, DONE) is KEPT


def test_without_a_name_none_goes_that_a_run_may_use() -> None:
    assert chosen([LIVE, KEPT, UNSEEN], None, DONE) is KEPT
    for only in (LIVE, UNSEEN):
        with pytest.raises(UsageError, match=f"a run may still use the cluster {only.run}"):
            chosen([only], None, DONE)


def test_what_cannot_be_told_is_asked_for() -> None:
    with pytest.raises(UsageError, match="more than one") as refused:
        chosen([KEPT, LIVE], None)
    assert refused.value.fix == "--name, one of kept, live"
    with pytest.raises(UsageError, match="there is no cluster"):
        chosen([], None)


@pytest.mark.parametrize("there", [[], [KEPT]])
def test_a_cluster_of_somebody_elses_is_no_such_cluster(there: list[Found]) -> None:
    with pytest.raises(UsageError, match="--name demo: this tool made no such cluster"):
        chosen(there, "demo", DONE)
