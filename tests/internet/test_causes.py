"""A bad day of somebody else's: told by its cause, in one line with the way out, and soon."""

import json

import pytest

from tests.internet.conftest import KUBECTL, PINS, PROGRAM, PYTHON
from tests.internet.servers import BLOBS, HUB, Fault

HUBS = rf"{HUB}/v2/.+"
FILE = f"dl.k8s.io/{KUBECTL}"
FILE_ITSELF = f"{FILE}$"
ANSWERED_SECONDS = 10
"""At most, for what is answered."""


def refused(internet, *names):
    ended = internet.fetch(*names)
    assert ended.code == 3, ended.said
    assert ended.error.count("\n") <= 3, ended.said
    assert "fix: " in ended.error
    return ended


@pytest.mark.parametrize(
    ("status", "said", "fix"),
    [
        (401, "401 Unauthorized; asked with no login", "docker login"),
        (403, "403 Forbidden; asked with no login", "docker login"),
        (404, "404 Not Found", "raise its pin"),
        (407, "407 Proxy Authentication Required", "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"),
        (429, "429 Too Many Requests", "docker login"),
        (502, "502 Bad Gateway", "again later"),
        (503, "503 Service Unavailable", "again later"),
    ],
)
def test_what_a_registry_answers(internet, status, said, fix):
    internet.has_a_bad_day(Fault(of=HUBS, status=status, body="<html>\n<p>a page</p>\n</html>"))

    ended = refused(internet, PYTHON)

    assert f"error: {PYTHON}:3.13-slim: {HUB} answers {said}" in ended.said
    assert fix in ended.said
    assert ended.seconds < ANSWERED_SECONDS


@pytest.mark.parametrize(
    ("status", "said"), [(401, "Unauthorized"), (403, "Forbidden"), (404, "Not Found"), (429, "Too"), (503, "Service")]
)
def test_what_a_publisher_of_files_answers(internet, status, said):
    internet.has_a_bad_day(Fault(of=FILE_ITSELF, status=status))

    ended = refused(internet, "kubectl")

    assert f"error: https://{FILE}: dl.k8s.io answers {status} {said}" in ended.said
    assert ended.seconds < ANSWERED_SECONDS


@pytest.mark.parametrize(("name", "of"), [(PYTHON, HUBS), ("kubectl", FILE_ITSELF)])
def test_a_host_that_says_when_is_asked_again_then(internet, name, of):
    internet.has_a_bad_day(Fault(of=of, status=429, headers={"Retry-After": "2"}, times=3 if name == PYTHON else 1))

    ended = internet.fetched(name)

    assert "429 Too Many Requests, and asks to wait 2 s: another attempt in 2 s" in ended.said


@pytest.mark.parametrize(("name", "of"), [(PYTHON, HUBS), ("kubectl", FILE_ITSELF)])
def test_no_host_is_waited_for_as_long_as_it_likes(internet, name, of):
    internet.has_a_bad_day(Fault(of=of, status=429, headers={"Retry-After": "3600"}))

    ended = refused(internet, name)

    assert "429 Too Many Requests, and asks to wait 3600 s; at most 120 s are waited" in ended.said
    assert ended.seconds < ANSWERED_SECONDS


@pytest.mark.parametrize(
    ("name", "of", "host"), [(PYTHON, f"{BLOBS[HUB]}/", BLOBS[HUB]), ("kubectl", FILE_ITSELF, "dl.k8s.io")]
)
def test_a_stall_ends_when_it_is_one(internet, name, of, host):
    internet.variables["ML_SERVING_CI_STALL"] = "2s"
    internet.has_a_bad_day(Fault(of=of, after=1000, stall=True))

    ended = refused(internet, name)

    assert f"nothing came from {host} for 2 s" in ended.said
    assert "ML_SERVING_CI_STALL=SECONDS" in ended.said


def test_what_is_slow_and_comes_is_no_stall(internet):
    internet.variables["ML_SERVING_CI_STALL"] = "1s"
    internet.has_a_bad_day(Fault(of=FILE_ITSELF, rate=1 << 20))

    ended = internet.fetched("kubectl")

    assert ended.seconds > 3


@pytest.mark.parametrize(("name", "of"), [(PYTHON, f"{BLOBS[HUB]}/"), ("kubectl", FILE_ITSELF)])
def test_other_bytes_are_refused(internet, name, of):
    internet.has_a_bad_day(Fault(of=of, flip=True))

    ended = refused(internet, name)

    assert "other bytes came than those of its digest" in ended.said or "is not what" in ended.said
    internet.has_a_bad_day()
    internet.fetched(name)


def test_a_digest_that_is_gone(internet):
    gone = f"sha256:{'a' * 64}"
    internet.pins.write_text(PINS.format(python=gone))

    ended = refused(internet, PYTHON)

    assert f"error: {PYTHON}@{gone}: {HUB} answers 404 Not Found" in ended.said


@pytest.mark.parametrize("name", [PYTHON, "kubectl"])
def test_an_authority_that_nobody_trusts(internet, name):
    del internet.variables["SSL_CERT_FILE"]

    ended = refused(internet, name)

    assert "its certificate is of an authority that this machine does not trust" in ended.said
    assert "SSL_CERT_FILE=FILE" in ended.said
    assert ended.seconds < ANSWERED_SECONDS


def test_a_credential_helper_that_is_not_there(internet, tmp_path):
    """As Docker Desktop's configuration in WSL 2."""
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "desktop.exe"}))
    internet.variables["DOCKER_CONFIG"] = str(tmp_path)

    ended = refused(internet, PYTHON)

    assert "names a credential helper that is not on PATH" in ended.said
    assert "DOCKER_CONFIG=$(mktemp -d)" in ended.said


@pytest.mark.parametrize(("name", "host"), [(PYTHON, HUB), ("kubectl", "dl.k8s.io")])
def test_no_way_to_a_host(internet, name, host):
    with internet.away():
        ended = refused(internet, name)

    assert f"{host}: it cannot be reached" in ended.said
    assert ended.seconds < ANSWERED_SECONDS


def test_a_network_that_goes_away_in_the_middle(internet):
    internet.variables["ML_SERVING_CI_STALL"] = "3s"
    internet.has_a_bad_day(Fault(of=FILE_ITSELF, rate=100_000))
    fetching = internet.begin("supply", "fetch", "--supply", "upstream", "kubectl")
    internet.until_begun()

    with internet.away():
        ended = internet.end(fetching)

    assert ended.code == 3
    assert "nothing came from dl.k8s.io for 3 s" in ended.error
    internet.has_a_bad_day()
    internet.forget()
    internet.fetched("kubectl")
    (asked,) = (each for each in internet.asked(FILE) if each.path.endswith("kubectl"))
    assert asked.bytes < len(PROGRAM), "it went on where it was"


def test_a_name_that_nobody_knows(internet):
    internet.pins.write_text(internet.pins.read_text().replace("dl.k8s.io", "dl.k8s.invalid"))

    ended = refused(internet, "kubectl")

    assert "dl.k8s.invalid: DNS does not know that name" in ended.said


def test_a_page_where_checksums_should_be(internet):
    internet.has_a_bad_day(Fault(of=f"{FILE}.sha256", status=200, body="<html><body>Sign in</body></html>"))

    ended = refused(internet, "kubectl")

    assert "kubectl.sha256 has no SHA-256 of kubectl; it begins with '<html>" in ended.said


@pytest.mark.parametrize("times", [1, 2])
def test_a_file_goes_on_where_its_connection_broke(internet, times):
    internet.has_a_bad_day(Fault(of=FILE_ITSELF, after=1 << 20, times=times))

    internet.fetched("kubectl")

    assert [each.range for each in internet.asked(FILE) if each.path.endswith("kubectl")] == [
        "",
        *(f"bytes={number << 20}-" for number in range(1, times + 1)),
    ]
    assert sum(each.bytes for each in internet.asked(FILE) if each.path.endswith("kubectl")) == len(PROGRAM)
