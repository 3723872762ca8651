"""Images, each from its publisher's registry: what of them is fetched, how often, and what the local registry has."""

import json
import signal

import pytest

from ci.supply.pins import architecture
from tests.internet.conftest import LOCAL, PAUSE, PINS, PYTHON, SKLEARN
from tests.internet.servers import BLOBS, HUB, NAMES, Fault

UNPINNED = "    no digest is pinned of kubectl and 1 more: what the publisher has is taken; `supply pin` pins it\n"
HERE = f"linux/{architecture()}"


def manifests(internet):
    return [asked for asked in internet.asked("/manifests/") if asked.status == 200]


def blobs(internet):
    """The digests of the blobs that were sent, from wherever that was."""
    return [each.path.rpartition("/")[2] for each in internet.asked("/blobs/") if each.status == 200]


def test_of_an_image_the_platform_that_runs_here_is_fetched_and_nothing_twice(internet):
    internet.fetched(PYTHON, SKLEARN)

    wanted = internet.blobs(PYTHON) | internet.blobs(SKLEARN)
    assert sorted(blobs(internet)) == sorted(wanted), "the layer that both have comes once"
    assert sum(each.bytes for each in internet.asked("/blobs/") if each.status == 200) == sum(wanted.values())
    asked = {each.path.partition("/manifests/")[2] for each in manifests(internet)}
    assert asked == {"3.13-slim", "v0.20.0", *(internet.digests[name][HERE] for name in (PYTHON, SKLEARN))}
    assert len(manifests(internet)) == 4, "two an image: the index, and what of it runs here"


@pytest.mark.parametrize(("name", "tag"), [(PYTHON, "3.13-slim"), (PAUSE, "3.10")])
def test_the_local_registry_has_the_publishers_bytes_and_digest_under_the_upstream_name(internet, tmp_path, name, tag):
    internet.fetched(name)

    local = f"{LOCAL}/{name}"
    assert internet.run_crane("digest", f"{local}:{tag}") == internet.digests[name]["index"]
    assert internet.run_crane("digest", f"--platform={HERE}", f"{local}:{tag}") == internet.digests[name][HERE]
    internet.run_crane(
        "pull", f"--platform={HERE}", f"{local}@{internet.digests[name]['index']}", tmp_path / "image.tar"
    )
    assert not (internet.cache / "upstream" / "arriving").exists(), "nothing is kept twice"


@pytest.mark.parametrize("part", ["index", HERE, "a layer"])
def test_what_the_local_registry_has_lost_is_seen(internet, part):
    internet.fetched(PYTHON)
    digest = max(internet.blobs(PYTHON)) if part == "a layer" else internet.digests[PYTHON][part]
    internet.local.file(digest).unlink()
    internet.forgets()

    ended = internet.fetch(PYTHON)

    assert f"{PYTHON}:3.13-slim in the local registry is not what was put there" in ended.said


def test_a_second_fetch_asks_nobody_for_anything(internet):
    internet.fetched(PYTHON, "kubectl")
    internet.forget()

    assert internet.fetched(PYTHON, "kubectl").said == UNPINNED
    assert internet.fetched("--verify", PYTHON, "kubectl").said == UNPINNED
    with internet.away():
        internet.fetched(PYTHON, "kubectl")

    assert internet.asked() == []
    assert (internet.folder / "names.txt").read_text() == ""


def test_no_name_is_asked_for_but_those_of_publishers(internet, tmp_path):
    internet.cache = tmp_path / "empty"
    internet.fetched(PYTHON, PAUSE, "kubectl")

    asked = set((internet.folder / "names.txt").read_text().split())
    assert asked <= set(NAMES)
    assert {HUB, "auth.docker.io", BLOBS[HUB], "registry.k8s.io", "dl.k8s.io", "github.com"} <= asked


def test_the_first_digest_is_recorded_and_a_moved_tag_changes_nothing(internet):
    internet.fetched(PYTHON)
    recorded = internet.cache / "upstream" / "digests" / "docker.io_library_python:3.13-slim.json"
    assert json.loads(recorded.read_bytes()) == {"digest": internet.digests[PYTHON]["index"]}
    (record,) = internet.cache.glob("upstream/images/*.json")
    record.unlink()
    internet.forget()

    internet.fetched(PYTHON)

    asked = [each.path.partition("/manifests/")[2] for each in manifests(internet)]
    assert asked == [internet.digests[PYTHON][name] for name in ("index", HERE)], "no tag"
    assert len(blobs(internet)) == 1, "its configuration: the layers are in the local registry"


def test_a_pinned_digest_is_asked_for_and_no_tag(internet):
    internet.pins.write_text(PINS.format(python=internet.digests[PYTHON]["index"]))

    internet.fetched(PYTHON)

    asked = [each.path.partition("/manifests/")[2] for each in manifests(internet)]
    assert asked == [internet.digests[PYTHON][name] for name in ("index", HERE)]


def test_a_fetch_that_was_interrupted_goes_on_where_it_was(internet):
    """At a layer: those that are here are not asked for again, nor are the manifests of a digest."""
    slow = max(internet.blobs(PYTHON), key=internet.blobs(PYTHON).__getitem__)
    internet.has_a_bad_day(Fault(of=f"{BLOBS[HUB]}.*{slow}", after=1000, stall=True))
    fetching = internet.begin("supply", "fetch", "--supply", "upstream", PYTHON)
    internet.until_here(set(internet.blobs(PYTHON)) - {slow})
    fetching.send_signal(signal.SIGINT)
    stopped = internet.end(fetching)
    assert stopped.code == 130, stopped.said
    assert stopped.seconds < 1.5, "the program's own end with it"
    internet.has_a_bad_day()
    internet.forget()

    internet.fetched(PYTHON)

    assert blobs(internet) == [slow]


def test_a_connection_that_breaks_is_tried_again(internet):
    layer = max(internet.blobs(PYTHON), key=internet.blobs(PYTHON).__getitem__)
    internet.has_a_bad_day(Fault(of=f"{BLOBS[HUB]}.*{layer}", after=1000, times=1))

    ended = internet.fetched(PYTHON)

    assert "the connection ended before all of it was here: another attempt in 1 s" in ended.said


def test_what_comes_is_counted_as_it_comes(internet):
    internet.has_a_bad_day(Fault(of=f"{BLOBS[HUB]}.*", rate=80_000))

    ended = internet.fetched(PYTHON)

    assert "0 of 1 items are here, " in ended.said
    assert " of 2.1 MB, " in ended.said
