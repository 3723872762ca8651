"""What of an application is installed, and what is only asked beside it."""

from pathlib import Path

import pytest

from ci.applications.deployment import Deployment
from ci.applications.prepared import Prepared
from ci.results import Proof, Served


def deployment(version):
    served = Served({"model.version": version}, "", f"sha256:{'a' * 64}", built=False)
    return Deployment(None, Path(), (), {}, None, served, ())


OLD, NEW = deployment("1"), deployment("2")


def prepared(champion, *, starts_canary=True):
    proof = Proof("lab", "scores", NEW.served, champion and champion.served, starts_canary=starts_canary)
    return Prepared(None, NEW, champion, None, proof)


@pytest.mark.parametrize(
    ("found", "installed", "bare"),
    [
        (prepared(OLD), OLD, NEW),
        (prepared(OLD, starts_canary=False), NEW, OLD),
        (prepared(None), NEW, None),
        (prepared(OLD).alone("it does not serve"), NEW, None),
        (prepared(OLD, starts_canary=False).alone("it does not serve"), NEW, None),
    ],
    ids=["a canary", "no canary", "no champion", "a red champion", "a red champion, no canary"],
)
def test_a_champion_is_asked_whether_or_not_a_canary_starts_from_it(found, installed, bare):
    assert (found.installed, found.bare) == (installed, bare)
