"""`supply pin`: what publishers publish, written into pins.toml; and what is pinned is all that is taken."""

import hashlib
import tomllib

import pytest

from ci.supply.pins import architecture
from tests.internet.conftest import KUBECTL, OTHER, PAUSE, PINS, PROGRAM, PYTHON, SKLEARN
from tests.internet.servers import HUB, Fault

SHA256 = hashlib.sha256(PROGRAM).hexdigest()


def pinned(internet):
    return tomllib.loads(internet.pins.read_text())


@pytest.fixture
def other_platform(internet):
    """The tool's file of the other platform, which nobody here runs."""
    internet.publish_file(KUBECTL.replace(architecture(), OTHER), b"for another machine", "kubectl.sha256")
    return hashlib.sha256(b"for another machine").hexdigest()


def test_digests_and_sums_of_every_platform_are_written_and_nothing_else_changes(internet, other_platform):
    before = pinned(internet)

    ended = internet.run("supply", "pin", PYTHON, "kubectl")

    assert ended.code == 0, ended.said
    after, digest = pinned(internet), internet.digests[PYTHON]["index"]
    assert after["images"][PYTHON].pop("digest") == digest
    assert set(after["tools"]["kubectl"]["upstream"].pop("sha256").values()) == {SHA256, other_platform}
    before["images"][PYTHON].pop("digest")
    assert after == before
    assert 'tag = "3.13-slim" # the one that works\n' in internet.pins.read_text()
    assert f"{PYTHON}: {digest}\n" in ended.stdout
    assert internet.run("supply", "pin", PYTHON, "kubectl").stdout == "", "the second time nothing is new"
    assert not internet.asked("/blobs/"), "nothing is fetched for that"


def test_one_that_cannot_be_looked_up_leaves_the_others_pinned(internet):
    internet.has_a_bad_day(Fault(of=f"{HUB}/v2/library/python/", status=403))

    ended = internet.run("supply", "pin", PYTHON, SKLEARN, PAUSE)

    assert ended.code == 3
    assert f"error: {PYTHON}:3.13-slim: {HUB} answers 403 Forbidden" in ended.said
    images = pinned(internet)["images"]
    assert images[PYTHON]["digest"] == ""
    assert [images[name]["digest"] for name in (SKLEARN, PAUSE)] == [
        internet.digests[name]["index"] for name in (SKLEARN, PAUSE)
    ]


def test_a_name_that_there_is_not(internet):
    ended = internet.run("supply", "pin", "kubectx")

    assert ended.code == 2
    assert "kubectx: no tool and no image of that name in pins.toml" in ended.said


def test_a_pinned_tool_is_held_to_its_pin_and_no_checksum_file_is_asked_for(internet, other_platform):
    internet.run("supply", "pin", "kubectl")
    internet.forget()

    ended = internet.fetched("kubectl")

    assert "no digest is pinned" not in ended.said
    assert not internet.asked("kubectl.sha256")


def test_a_publisher_that_changes_file_and_sums_is_refused(internet, other_platform):
    internet.run("supply", "pin", "kubectl")
    internet.publish_file(KUBECTL, PROGRAM + b"another day", "kubectl.sha256")
    try:
        ended = internet.fetch("kubectl")
    finally:
        internet.publish_file(KUBECTL, PROGRAM, "kubectl.sha256")

    assert ended.code == 3
    assert "is not the pinned one" in ended.error


def test_what_has_no_pin_is_told_at_every_use(internet):
    told = "no digest is pinned of docker.io/library/python: what the publisher has is taken; `supply pin` pins it"
    assert told in internet.fetched(PYTHON).said
    assert told in internet.fetched(PYTHON).said
    internet.pins.write_text(PINS.format(python=internet.digests[PYTHON]["index"]))

    assert "no digest is pinned" not in internet.fetched(PYTHON).said
