"""Why something did not come from its publisher: by what was answered or said, with the way out of that.

crane and this tool's own downloads fail in their own words; what they mean stands here once.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import anyio
from urllib3.exceptions import InvalidHeader
from urllib3.util.retry import Retry

from ci.base.errors import MachineError
from ci.base.progress import note

PAUSES = (1.0, 3.0)
"""Seconds before another attempt, where nothing says how long to wait: as crane has them."""
LONGEST_WAIT = 120.0
"""Seconds that a host may ask to wait, together, for one item."""
SOURCE = "--supply source builds it without that host"
T = TypeVar("T")


@dataclass(frozen=True)
class Cause:
    """What words of a program or a library mean.

    Attributes:
        words: Regular expression of them.
        means: For people.
        fix: The way out; {host} is who was asked.
        passing: Whether another attempt may go otherwise.
    """

    words: str
    means: str
    fix: str
    passing: bool = False


CAUSES = (
    Cause(
        r"docker-credential-\S+.*executable file not found",
        "Docker's configuration names a credential helper that is not on PATH",
        "put it on PATH, or fetch without a login: DOCKER_CONFIG=$(mktemp -d) before the same command",
    ),
    Cause(
        r"(?i)x509:|certificate.verify.failed|unknown authority",
        "its certificate is of an authority that this machine does not trust",
        "SSL_CERT_FILE=FILE, with that authority's certificate beside the system's own, before the same command",
    ),
    Cause(
        r"(?i)proxy authentication required|\b407\b",
        "the proxy asks for a login",
        "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
    ),
    Cause(
        r"(?i)no such host|name or service not known|name resolution|nodename nor servname|server misbehaving",
        "DNS does not know that name, or no name server answers",
        f"look at /etc/resolv.conf, or set HTTPS_PROXY where a proxy is the only way out; {SOURCE}",
    ),
    Cause(
        r"(?i)network is unreachable|no route to host|connection refused|connection attempts failed"
        r"|i/o timeout|connect ?timeout|TLS handshake timeout",
        "it cannot be reached",
        f"look at the network and at HTTPS_PROXY; {SOURCE}",
    ),
    Cause(
        r"(?i)unexpected EOF|peer closed connection|connection reset|incomplete|server disconnected|broken pipe"
        r"|^ReadError",
        "the connection ended before all of it was here",
        "the same command again, which goes on where it was",
        passing=True,
    ),
    Cause(
        r"error verifying sha256 checksum|manifest digest: .* does not match",
        "other bytes came than those of its digest",
        "a proxy or a mirror in between changes what it hands on, or is broken: ask {host} without it",
    ),
)
REFUSED = f"a firewall or a proxy may be in between: ask for {{host}} to be allowed; {SOURCE}"
STATUSES = {
    401: REFUSED,
    403: REFUSED,
    404: "see whether its publisher still has that version; raise its pin if not",
    407: "HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT",
    429: "wait, and give the same command again: what is here stays; a login (docker login) raises a registry's limit",
}
"""The way out of what a host answers."""
LATER = "it is {host}'s own trouble: the same command again later; what is here stays"
STALLED = "the same command again; ML_SERVING_CI_STALL=SECONDS waits longer"


class Failed(Exception):  # noqa: N818 - what becomes of it, another attempt may still decide
    """An attempt to get something did not end well.

    Args:
        host: Who was asked last.
        said: The words for it.
        status: What was answered, where that was an answer.
        retry_after: How many seconds the host asks to wait.
        stalled: After how many seconds without a byte it was given up.
    """

    def __init__(
        self,
        host: str,
        said: str = "",
        *,
        status: int | None = None,
        retry_after: float | None = None,
        stalled: float | None = None,
    ) -> None:
        super().__init__(said)
        self.host, self.said, self.status = host, said, status
        self.retry_after, self.stalled = retry_after, stalled

    @property
    def passing(self) -> bool:
        """Whether another attempt may go otherwise, though nothing says when."""
        return (
            self.status is None
            and self.stalled is None
            and any(cause.passing and re.search(cause.words, self.said) for cause in CAUSES)
        )

    @property
    def means(self) -> str:
        """What it was, for people, in one line."""
        return self._meaning("")[0]

    def told(self, what: str, login: str = "") -> MachineError:
        """Return the error for people.

        Args:
            what: Was wanted.
            login: What a registry was asked with, where it may refuse that.
        """
        means, fix = self._meaning(login)
        if self.retry_after is not None:
            means += f"; at most {LONGEST_WAIT:.0f} s are waited"
        return MachineError(f"{what}: {means}", fix=fix.format(host=self.host), detail=self.said or None)

    def _meaning(self, login: str) -> tuple[str, str]:
        if self.stalled is not None:
            return f"nothing came from {self.host} for {self.stalled:.0f} s", STALLED
        if self.status is not None:
            answered = f"{self.host} answers {described(self.status)}"
            if self.retry_after is not None:
                answered += f", and asks to wait {self.retry_after:.0f} s"
            if login and self.status in (401, 403):
                return f"{answered}; asked with {login}", f"docker login, where it takes one; {SOURCE}"
            return answered, STATUSES.get(self.status, LATER)
        for cause in CAUSES:
            if re.search(cause.words, self.said):
                return f"{self.host}: {cause.means}", cause.fix
        return f"{self.host}: {self.said}", f"--debug shows all that was said; {SOURCE}"


def described(status: int) -> str:
    """Return an HTTP status with its words."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def seconds(retry_after: str | None) -> float | None:
    """Return what a Retry-After header asks for, a number or a date; None where it is neither.

    Args:
        retry_after: Its value, where there is one.
    """
    try:
        return Retry().parse_retry_after(retry_after) if retry_after else None
    except InvalidHeader:
        return None


async def patiently(what: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """Try again as often as a host says when, within reason; and a few times where a connection broke.

    Args:
        what: Is wanted.
        attempt: Gets it.

    Raises:
        Failed: The last attempt did.
    """
    waited, pauses = 0.0, iter(PAUSES)
    while True:
        try:
            return await attempt()
        except Failed as failed:
            pause = failed.retry_after
            if pause is None and failed.passing:
                pause = next(pauses, None)
            if pause is None or waited + pause > LONGEST_WAIT:
                raise
            note(f"{what}: {failed.means}: another attempt in {pause:.0f} s")
            waited += pause
            await anyio.sleep(pause)
