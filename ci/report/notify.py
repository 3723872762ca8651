"""Messages about a run to a chat: a webhook that takes Slack's JSON, told in the background.

Nothing here fails a run or holds it up: a message is tried a few times, and where that is in vain, a line says so.
Source of the format: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

import html
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

import requests
import tenacity

from ci.base import settings
from ci.base.errors import UsageError
from ci.base.progress import note
from ci.base.secret import Secret
from ci.base.text import cut, legal
from ci.report.words import headline
from ci.results import Report

VARIABLE = settings.WEBHOOK
TIMEOUTS = (2.0, 3.0)
"""Seconds to connect, and to wait for an answer."""
TRIES = 4
AT_END_SECONDS = 2.0
"""That a run waits, when it is over, for messages still under way."""
LONGEST = 1500

Messages = queue.SimpleQueue[str | None]


class _RefusedError(Exception):
    """The webhook answered, and not with a 2xx."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")
        self.passing = status >= 500 or status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


@contextmanager
def telling() -> Iterator[Callable[[str], None]]:
    """Have a way to tell for as long as the block runs.

    Yields:
        A function that takes a message and returns at once. It tells nobody where $ML_SERVING_CI_WEBHOOK (or the file
        of $ML_SERVING_CI_WEBHOOK_FILE) names no webhook.
    """
    url = _webhook()
    if url is None:
        yield lambda _: None
        return
    messages: Messages = queue.SimpleQueue()
    # a daemon: a webhook that hangs must not keep the process from its end
    thread = threading.Thread(target=_deliver, args=(url, messages), name="notify", daemon=True)
    thread.start()
    try:
        yield messages.put
    finally:
        messages.put(None)
        thread.join(AT_END_SECONDS)
        if thread.is_alive():
            note("notification not delivered in time")


def started(report: Report) -> str:
    """Return what is told when a run starts."""
    return _message("▶ started", report.command)


def ended(report: Report) -> str:
    """Return what is told when a run has ended, or was interrupted."""
    lines = [f"{'✅' if report.outcome == 'passed' else '❌'} {headline(report)}", report.command]
    if report.failure is not None:
        lines += [report.failure.message, *([f"Fix: {report.failure.fix}"] if report.failure.fix else [])]
    return _message(*lines)


def _message(*lines: str) -> str:
    shown = [cut(legal(line), LONGEST) for line in lines]
    server, repository, run = (settings.variable(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    if server and repository and run:
        shown.append(f"{server}/{repository}/actions/runs/{run}")
    return "\n".join(["ml-serving-ci", *shown])


def _webhook() -> Secret | None:
    """Return the URL: whoever has it can write to the channel, so it is shown nowhere."""
    try:
        return settings.secret(VARIABLE)
    except (UsageError, UnicodeError) as error:
        note(f"no notifications: {error}")
        return None


def _deliver(url: Secret, messages: Messages) -> None:
    """Send what comes, until None does."""
    while (text := messages.get()) is not None:
        try:
            _send(url.value, text)
        except Exception as error:
            # the words of requests' own errors hold the URL's path, which is the secret
            note(f"notification not delivered: {error if isinstance(error, _RefusedError) else type(error).__name__}")


def _passing(error: BaseException) -> bool:
    """Tell whether another try may help."""
    if isinstance(error, _RefusedError):
        return error.passing
    return isinstance(error, requests.ConnectionError | requests.Timeout)


@tenacity.retry(
    stop=tenacity.stop_after_attempt(TRIES),
    wait=tenacity.wait_exponential(multiplier=0.2, max=2),
    retry=tenacity.retry_if_exception(_passing),
    reraise=True,
)
def _send(url: str, text: str) -> None:
    message = {"text": html.escape(text, quote=False)}  # "&", "<" and ">" are Slack's as well
    with requests.post(url, json=message, timeout=TIMEOUTS, allow_redirects=False, stream=True) as answer:
        if not HTTPStatus.OK <= answer.status_code < HTTPStatus.MULTIPLE_CHOICES:
            raise _RefusedError(answer.status_code)
