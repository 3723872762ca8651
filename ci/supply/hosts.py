"""Publishers' hosts, asked by this process: whom it trusts, how long it waits, and what an answer or none means."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import certifi
import httpx

from ci.base import settings
from ci.supply import causes

CONNECT_SECONDS = 10.0
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables with certificates beside the system's own, or those of SSL_CERT_FILE and SSL_CERT_DIR in their place."""


def client() -> httpx.AsyncClient:
    """Return what asks hosts, through the caller's proxies, and follows where they send it."""
    timeout = httpx.Timeout(settings.stall(), connect=CONNECT_SECONDS)
    return httpx.AsyncClient(verify=trusted(), timeout=timeout, follow_redirects=True)


def trusted() -> ssl.SSLContext:
    """Return whose certificates are taken: those of authorities of the system, of the caller, and of the web."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    for name in BUNDLES:
        if file := settings.variable(name):
            context.load_verify_locations(settings.absolute(name, file))
    return context


@contextmanager
def failing(url: str, stall: float) -> Iterator[None]:
    """Have a request that gets no answer, or not all of it, be a failure with its cause.

    Args:
        url: What is asked for.
        stall: Seconds that an answer may take to go on.
    """
    try:
        yield
    except httpx.HTTPError as error:
        try:
            asked = error.request.url.host
        except RuntimeError:
            asked = httpx.URL(url).host
        stalled = stall if isinstance(error, httpx.ReadTimeout) else None
        raise causes.Failed(asked, f"{type(error).__name__}: {error}", stalled=stalled) from error


def require(answer: httpx.Response) -> None:
    """Raise a failure where an answer says that there is none."""
    if not answer.is_success:
        wait = causes.seconds(answer.headers.get("Retry-After"))
        raise causes.Failed(answer.url.host, status=answer.status_code, retry_after=wait)
