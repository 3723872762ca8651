"""Pull requests by GitHub's REST API: one a branch, opened or brought up to date.

Source: https://docs.github.com/rest/pulls/pulls (version 2022-11-28).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import anyio.to_thread
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from ci.command import redacted
from ci.errors import CheckFailedError, MachineError, UsageError
from ci.release.git import Repository
from ci.secret import Secret

SECONDS = 30
RETRY = Retry(total=4, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504), allowed_methods=("GET",))
"""Only what can be asked twice without harm."""

REMOTE = re.compile(r"(?:.+://)?(?:[^/@]+@)?(?P<host>[^/:]+)(?::\d+)?[/:](?P<slug>[^/]+/[^/]+?)(?:\.git)?/?")
OWN_TRAILER = "Tool: ml-serving-ci "


@dataclass(frozen=True)
class PullRequestBranch:
    """A branch of our own, made anew from the tip of the branch it is to be merged into.

    Attributes:
        repository: Whose remote it is.
        remote: Name or URL.
        branch: The branch that it is to be merged into.
        head: Its name.
    """

    repository: Repository
    remote: str
    branch: str
    head: str

    async def tip(self) -> str:
        """Fetch the branch that it is to be merged into, and return its tip."""
        return await self.repository.fetch(self.remote, self.branch)

    async def advance(self, old: str, new: str, files: Mapping[str, bytes]) -> None:
        """Push our branch; what it held before is replaced only if all of that was ours.

        Raises:
            CheckFailedError: The branch holds somebody else's commit.
            PushRefusedError: The remote did not take it.
        """
        there = await self.repository.remote_tip(self.remote, self.head)
        if there is not None:
            await self._require_own(await self.repository.fetch(self.remote, self.head), old)
        await self.repository.push(self.remote, new, self.head, replaces=there or "")

    async def _require_own(self, tip: str, base: str) -> None:
        listed = await self.repository.output("rev-list", tip, f"^{base}")
        for commit in listed.split():
            text = await self.repository.message(commit)
            if OWN_TRAILER not in text:
                who = await self.repository.who(commit)
                raise CheckFailedError(
                    f"branch {self.head} holds a commit that is not ours: {who}",
                    fix="Merge or close its pull request, delete the branch, and run this again.",
                )


@dataclass(frozen=True)
class GitHub:
    """One repository on GitHub.

    Attributes:
        api: Address of the API.
        slug: "owner/name".
        token: May write pull requests.
    """

    api: str
    slug: str
    token: Secret

    async def pull_request(self, head: str, base: str, title: str, body: str) -> str:
        """Open a pull request, or bring the open one of that branch up to date; return its address.

        Raises:
            MachineError: GitHub does not answer.
            CheckFailedError: It refuses.
        """
        return await anyio.to_thread.run_sync(self._pull_request, head, base, title, body)

    def _pull_request(self, head: str, base: str, title: str, body: str) -> str:
        with requests.Session() as session:
            session.mount("https://", HTTPAdapter(max_retries=RETRY))
            session.headers.update(
                {
                    "Accept": "application/vnd.github+json",
                    "Authorization": f"Bearer {self.token.value}",
                    "X-GitHub-Api-Version": "2022-11-28",
                }
            )
            owner = self.slug.partition("/")[0]
            query = {"state": "open", "head": f"{owner}:{head}", "base": base}
            found = self._ask(session, "GET", f"repos/{self.slug}/pulls", params=query)
            if found:
                path = f"repos/{self.slug}/pulls/{found[0]['number']}"
                return str(self._ask(session, "PATCH", path, json={"title": title, "body": body})["html_url"])
            data = {"title": title, "body": body, "head": head, "base": base}
            return str(self._ask(session, "POST", f"repos/{self.slug}/pulls", json=data)["html_url"])

    def _ask(self, session: requests.Session, method: str, path: str, **arguments: Any) -> Any:
        try:
            answer = session.request(method, f"{self.api}/{path}", timeout=SECONDS, **arguments)
        except requests.RequestException as error:
            raise MachineError(f"{self.api}: no answer: {redacted(str(error), self.token.forms)}") from error
        if not answer.ok:
            said = redacted(answer.text, self.token.forms)
            fix = None
            if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
                fix = "The token needs write access to pull requests of this repository."
            raise CheckFailedError(f"GitHub refused {method} {path}: {answer.status_code}", fix=fix, detail=said)
        return answer.json()


def of_remote(url: str, token: Secret | None) -> GitHub:
    """Return the GitHub repository that a remote is.

    Args:
        url: The remote's, https or ssh.
        token: May write pull requests.

    Raises:
        UsageError: There is no token, or the URL is no GitHub repository's.
    """
    if token is None:
        raise UsageError("--pr: no token", fix="Set GITHUB_TOKEN, or GITHUB_TOKEN_FILE to a file that holds it.")
    found = REMOTE.fullmatch(url)
    if found is None:
        raise UsageError("--pr: the remote is no repository on GitHub", fix="Use --push for other servers.")
    host = found["host"]
    default = "https://api.github.com" if host == "github.com" else f"https://{host}/api/v3"
    return GitHub(os.environ.get("GITHUB_API_URL", default).rstrip("/"), found["slug"], token)
