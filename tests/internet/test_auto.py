"""Which way `--supply auto` goes: what it asks, what it takes for an answer, and what it says."""

import signal

import pytest

from tests.internet.conftest import KUBECTL
from tests.internet.servers import HUB, Fault

CHOSEN = "--supply {} is chosen: {}"


@pytest.fixture
def unused(internet, tmp_path):
    """A machine that has nothing yet."""
    internet.cache = tmp_path / "unused"
    return internet


def chosen(internet):
    ended = internet.run("supply", "path")
    assert ended.code == 0, ended.said
    return ended.stdout.strip().split("/")[-2], ended.said


def test_a_registry_that_asks_for_a_login_has_answered(unused):
    assert chosen(unused) == (
        "upstream",
        f"    {CHOSEN.format('upstream', HUB)} answers as a registry does; later runs keep to it\n",
    )
    assert [each.host for each in unused.asked()] == [HUB]


@pytest.mark.parametrize("status", [403, 407, 429, 502])
def test_what_is_no_registrys_own_answer_is_none(unused, status):
    unused.has_a_bad_day(Fault(of=HUB, status=status))

    way, said = chosen(unused)

    assert way == "source"
    assert CHOSEN.format("source", f"{HUB} answers {status} ") in said


def test_a_login_page_is_none(unused):
    unused.has_a_bad_day(Fault(of=HUB, status=200, body="<html>Sign in</html>"))

    assert chosen(unused)[0] == "source"


def test_an_authority_of_ones_own_is_taken_where_it_is_said(unused):
    assert chosen(unused)[0] == "upstream"
    del unused.variables["SSL_CERT_FILE"]

    way, said = chosen(unused)

    assert way == "source"
    assert "its certificate is of an authority that this machine does not trust" in said


def test_without_a_network_it_is_the_way_that_filled_the_cache(internet):
    internet.fetched("kubectl")
    internet.forget()

    with internet.away():
        ended = internet.run("supply", "fetch", "kubectl")

    assert ended.code == 0, ended.said
    assert "is chosen" not in ended.said
    assert chosen(internet)[0] == "upstream"
    assert internet.asked() == []


def test_without_a_network_and_a_cache_it_is_source(unused):
    with unused.away():
        way, said = chosen(unused)

    assert way == "source"
    assert f"{HUB}: it cannot be reached" in said


@pytest.mark.parametrize(
    "fault", [Fault(of=KUBECTL, rate=40_000), Fault(of=KUBECTL, status=429, headers={"Retry-After": "100"})]
)
def test_an_interrupt_is_heard_at_once(internet, fault):
    internet.has_a_bad_day(fault)
    fetching = internet.begin("supply", "fetch", "--supply", "upstream", "kubectl")
    internet.until_asked(KUBECTL) if fault.status else internet.until_begun()
    fetching.send_signal(signal.SIGINT)

    stopped = internet.end(fetching)

    assert stopped.code == 130
    assert stopped.seconds < 1.5
