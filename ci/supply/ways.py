"""Which way the supply goes where nobody says it."""

import typing
from http import HTTPStatus

import httpx

from ci.base import paths
from ci.base.errors import UsageError
from ci.base.progress import note
from ci.supply import causes, hosts
from ci.supply.tools import Way

HUB = "index.docker.io"
"""Docker Hub, as crane asks it."""
PROBE_SECONDS = 4.0
API = "Docker-Distribution-Api-Version"
"""A header of every answer of a registry to /v2/, and of no proxy's or login page's."""


def choose(way: str) -> Way:
    """Turn `--supply` into a way: "auto" is the one that filled the cache, else upstream where Docker Hub answers.

    Raises:
        UsageError: It is none of the three.
    """
    ways: tuple[Way, ...] = typing.get_args(Way)
    for each in ways:
        if way == each:
            return each
    if way != "auto":
        raise UsageError(f"--supply {way}: not one of auto, {', '.join(ways)}")
    if filled := _filled(ways):
        return filled
    refused = _refused()
    chosen: Way = "source" if refused else "upstream"
    note(f"--supply {chosen} is chosen: {refused or f'{HUB} answers as a registry does'}; later runs keep to it")
    return chosen


def _filled(ways: tuple[Way, ...]) -> Way | None:
    """Return the way that most of what is in the cache came by; None where that says nothing."""
    cache = paths.cache()
    held = {way: sum(1 for kind in ("bin/*", "images/*.json") for _ in (cache / way).glob(kind)) for way in ways}
    most = max(held.values())
    (first, *others) = [way for way in ways if held[way] == most]
    return first if most and not others else None


def _refused() -> str:
    """Return why Docker Hub is no way; nothing where its registry answers."""
    url = f"https://{HUB}/v2/"
    try:
        with hosts.failing(url, PROBE_SECONDS):
            answer = httpx.get(url, verify=hosts.trusted(), timeout=PROBE_SECONDS)
    except causes.Failed as failed:
        return failed.means
    if answer.status_code in (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED):
        return "" if API in answer.headers else f"{HUB} answers, and not as a registry does"
    return causes.Failed(HUB, status=answer.status_code).means
