"""How GitHub's REST API is asked: with one token, page by page, and no more often than GitHub allows.

Source: https://docs.github.com/rest/using-the-rest-api: best practices, rate limits, pagination, troubleshooting.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests
import tenacity
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from ci.base.command import redacted
from ci.base.errors import CheckFailedError, MachineError
from ci.base.progress import note
from ci.base.secret import Secret
from ci.base.text import cut, one_line

SECONDS = 30
RETRY = Retry(
    total=4,
    backoff_factor=0.5,
    status_forcelist=(502, 503, 504),
    allowed_methods=("GET",),
    raise_on_status=False,
    respect_retry_after_header=False,
)
"""Only what can be asked twice without harm."""
PATIENCE_SECONDS = 90.0
"""How long to wait, all in all, until GitHub takes a request again; what would take longer is told at once."""
LIMIT_SECONDS = 60.0
"""How long to wait, by GitHub's documentation, where it does not say when it takes the next request."""
LIMITING = (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
NOT_ALLOWED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
UNKNOWN = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE)
"""What servers of another kind say to a path of GitHub's."""
PAGE = 100
"""Items of a list that are asked for at once: the most that GitHub gives."""
MOST = 65_536
"""Characters that GitHub takes of the text of a pull request, a comment or a release."""
CUT = "\n\n… cut here: GitHub takes no more.\n"
LONGEST = 300
"""Characters of GitHub's own words in the one line of an error."""


class LimitedError(CheckFailedError):
    """GitHub takes no more of this token's requests for now: this one was not carried out.

    Attributes:
        seconds: How long it wants to be left alone.
    """

    def __init__(self, request: str, status: int, said: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"GitHub refused {request}: {status}, too many requests{said}",
            fix=f"It is no matter of permissions: run it again in {seconds:.0f} s.",
        )


@dataclass(frozen=True)
class Client:
    """A connection to GitHub.

    Attributes:
        api: Address of the API.
        token: May do what is asked for.
        session: Carries the requests.
    """

    api: str
    token: Secret
    session: requests.Session

    def ask(self, method: str, path: str, **arguments: Any) -> Any:
        """Return GitHub's answer to a request, read as JSON.

        Args:
            method: HTTP's.
            path: Below the API's address.
            arguments: What `requests` takes.

        Raises:
            MachineError: What answers is not GitHub's API, or nothing does.
            CheckFailedError: It refuses.
        """
        return self._read(self.send(method, f"{self.api}/{path}", **arguments), f"{method} {path}")

    def items(self, path: str, params: Mapping[str, Any], name: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the items of a list, from all of its pages.

        Args:
            path: Below the API's address.
            params: Of the query.
            name: Of the list in each page; by default a page is the list itself.

        Raises:
            MachineError: What answers is not GitHub's API, or nothing does.
            CheckFailedError: It refuses.
        """
        number = 1
        while True:
            query = {**params, "per_page": PAGE, "page": number}
            answer = self.send("GET", f"{self.api}/{path}", params=query)
            page = self._read(answer, f"GET {path}")
            found = page[name] if name else page
            yield from found
            # without a Link header there is one page, or something between here and GitHub has left it out
            if "next" not in answer.links and (answer.links or len(found) != PAGE):
                return
            number += 1

    def send(self, method: str, url: str, **arguments: Any) -> requests.Response:
        """Send a request, again where GitHub is in reach but wants a short pause first, and return the answer.

        Raises:
            MachineError: Nothing answers, or it is not GitHub's API.
            CheckFailedError: GitHub refuses.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(LimitedError),
            wait=_pause,
            stop=tenacity.stop_before_delay(PATIENCE_SECONDS),
            before_sleep=lambda state: note(f"GitHub has had too many requests: waiting for {_pause(state):.0f} s"),
            reraise=True,
        )
        return retrying(self._sent, method, url, **arguments)

    def _sent(self, method: str, url: str, **arguments: Any) -> requests.Response:
        try:
            answer = self.session.request(method, url, timeout=SECONDS, **arguments)
        except requests.RequestException as error:
            raise MachineError(f"{self.api}: no answer: {self._shown(str(error))}") from error
        if not answer.ok:
            raise self._refusal(f"{method} {url.removeprefix(f'{self.api}/')}", answer)
        return answer

    def _refusal(self, request: str, answer: requests.Response) -> CheckFailedError | MachineError:
        status = answer.status_code
        said = cut(one_line(self._shown(_words(answer))), LONGEST)
        said = f": {said}" if said else ""
        if (seconds := _limit(answer)) is not None:
            return LimitedError(request, status, said, seconds)
        if status in UNKNOWN and "message" not in _data(answer):
            return self._stranger(f"{request} gave {status}{said}", answer)
        fix = None
        if status in NOT_ALLOWED:
            fix = (
                "The token lacks a permission on this repository, or is no longer valid; docs/ci.md and "
                "docs/release.md name each permission."
            )
        return CheckFailedError(f"GitHub refused {request}: {status}{said}", fix=fix, detail=self._shown(answer.text))

    def _read(self, answer: requests.Response, request: str) -> Any:
        try:
            return answer.json() if answer.content else None
        except requests.JSONDecodeError as error:
            raise self._stranger(f"{request} gave no JSON", answer) from error

    def _stranger(self, said: str, answer: requests.Response) -> MachineError:
        return MachineError(
            f"{self.api}: what answers there is not GitHub's API: {said}",
            fix="Set GITHUB_API_URL to the API of your GitHub; or a proxy answers in its place. "
            "--push and --out are for other servers, too.",
            detail=self._shown(answer.text),
        )

    def _shown(self, text: str) -> str:
        return redacted(text, self.token.forms)


@contextmanager
def connected(api: str, token: Secret) -> Iterator[Client]:
    """Connect to GitHub.

    Args:
        api: Address of its API.
        token: May do what will be asked for.
    """

    def authorized(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {token.value}"
        return request

    with requests.Session() as session:
        session.mount(api, HTTPAdapter(max_retries=RETRY))
        session.auth = authorized  # a header alone would give way to what a person's .netrc has for the host
        session.headers.update({"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"})
        yield Client(api, token, session)


def fitting(text: str, most: int = MOST) -> str:
    """Return as much of a text as GitHub takes; that it was longer can be seen."""
    return text if len(text) <= most else f"{text[: most - len(CUT)]}{CUT}"


def _pause(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    return error.seconds if isinstance(error, LimitedError) else 0.0


def _limit(answer: requests.Response) -> float | None:
    """Return for how long GitHub takes no more requests; None where that is not why it refuses."""
    if answer.status_code not in LIMITING:
        return None
    headers = answer.headers
    if after := headers.get("Retry-After"):
        try:
            return RETRY.parse_retry_after(after)
        except urllib3.exceptions.InvalidHeader:
            return LIMIT_SECONDS
    if headers.get("X-RateLimit-Remaining") == "0" and (reset := headers.get("X-RateLimit-Reset", "")).isdecimal():
        return max(int(reset) - time.time(), 0.0) + 1
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or "rate limit" in answer.text.lower():
        return LIMIT_SECONDS
    return None


def _data(answer: requests.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except requests.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _words(answer: requests.Response) -> str:
    """Return what GitHub says in a refusal: its message, and what each of its errors adds to that."""
    data = _data(answer)
    errors = data.get("errors")
    told = [data.get("message"), *(map(_word, errors) if isinstance(errors, list) else [])]
    return "; ".join(str(each) for each in told if each)


def _word(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)
    return str(
        error.get("message") or " ".join(str(error[key]) for key in ("resource", "field", "code") if key in error)
    )
