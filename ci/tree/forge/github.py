"""What is asked of GitHub's REST API: pull requests and comments on them, releases, and what a workflow's run left.

Source: https://docs.github.com/rest (version 2022-11-28): pulls, issues/comments, releases, actions.
"""

import io
import itertools
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from ci.base import settings
from ci.base.command import redacted
from ci.base.errors import CheckFailedError, MachineError, UsageError
from ci.base.secret import Secret
from ci.tree.git import Repository

T = TypeVar("T")

SECONDS = 30
RETRY = Retry(
    total=4,
    backoff_factor=0.5,
    status_forcelist=(429, 502, 503, 504),
    allowed_methods=("GET",),
    raise_on_status=False,
    respect_retry_after_header=False,
)
"""Only what can be asked twice without harm; how long GitHub would have one wait, which may be an hour, is told."""

REMOTE = re.compile(r"(?:.+://)?(?:[^/@]+@)?(?P<host>[^/:]+)(?::\d+)?[/:](?P<slug>[^/]+/[^/]+?)(?:\.git)?/?")
OWN_TRAILER = "Tool: ml-serving-ci "
PAGE = 100
"""Items of a list that are asked for at once: the most that GitHub gives."""
WRITERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
"""Those who may write to the repository anyway, as GitHub calls them."""
UNSIGNED = frozenset({"pull_request", "merge_group"})
"""What starts runs that have no signing key: they prove nothing to others."""


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
        token: May do what is asked for.
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
        return await _in_thread(lambda: self._pull_request(head, base, title, body))

    def _pull_request(self, head: str, base: str, title: str, body: str) -> str:
        with self._session() as session:
            owner = self.slug.partition("/")[0]
            query = {"state": "open", "head": f"{owner}:{head}", "base": base}
            found = self._ask(session, "GET", f"repos/{self.slug}/pulls", params=query)
            if found:
                path = f"repos/{self.slug}/pulls/{found[0]['number']}"
                return str(self._ask(session, "PATCH", path, json={"title": title, "body": body})["html_url"])
            data = {"title": title, "body": body, "head": head, "base": base}
            return str(self._ask(session, "POST", f"repos/{self.slug}/pulls", json=data)["html_url"])

    async def comment(self, number: int, topic: str, bodies: Sequence[str]) -> list[str]:
        """Put texts into comments on a pull request, or bring those of an earlier run up to date.

        Args:
            number: The pull request's.
            topic: What they are about, in letters: an earlier run's are found by it.
            bodies: A text for each comment; what an earlier run left beyond these is deleted.

        Returns:
            Their addresses.

        Raises:
            MachineError: GitHub does not answer.
            CheckFailedError: It refuses.
        """
        return await _in_thread(lambda: self._comment(number, topic, bodies))

    def _comment(self, number: int, topic: str, bodies: Sequence[str]) -> list[str]:
        addresses = []
        with self._session() as session:
            issues = f"repos/{self.slug}/issues"
            known = self._comments(session, f"{issues}/{number}/comments", topic)
            for part, text in enumerate(bodies, 1):
                data = {"body": f"<!-- ml-serving-ci {topic} {part} -->\n{text}"}
                place = f"comments/{known.pop(part)}" if part in known else None
                method, path = ("PATCH", place) if place else ("POST", f"{number}/comments")
                addresses.append(str(self._ask(session, method, f"{issues}/{path}", json=data)["html_url"]))
            for left in known.values():
                self._ask(session, "DELETE", f"{issues}/comments/{left}")
        return addresses

    def _comments(self, session: requests.Session, path: str, topic: str) -> dict[int, int]:
        """Return the comments of a topic: which part of it each is, and its id.

        Anybody can begin a comment with our marker, and we could overwrite it, but its author could change our text
        afterwards: only those count whose authors could have written ours as well.
        """
        marker = re.compile(rf"<!-- ml-serving-ci {re.escape(topic)} (\d+) -->")
        found: dict[int, int] = {}
        for page in itertools.count(1):
            comments = self._ask(session, "GET", path, params={"per_page": PAGE, "page": page})
            for comment in comments:
                part = marker.match(comment["body"] or "")
                is_bot = (comment["user"] or {}).get("type") == "Bot"
                if part and (is_bot or comment["author_association"] in WRITERS):
                    found.setdefault(int(part[1]), comment["id"])
            if len(comments) < PAGE:
                break
        return found

    async def released(self, tag: str) -> str | None:
        """Return the address of a tag's release, or None where none is published."""

        def look() -> str | None:
            with self._session() as session:
                found = self._found(session, tag)
                return None if found is None or found["draft"] else str(found["html_url"])

        return await _in_thread(look)

    async def release(self, tag: str, commit: str, notes: str, assets: Sequence[Path]) -> str:
        """Publish a tag's release, which is not published yet, with its files, and return its address.

        It stays a draft until it has every file, so that a run that is killed leaves nothing half published, and the
        next one completes it.

        Args:
            tag: Its tag, which GitHub makes where there is none.
            commit: What is released.
            notes: What it says, in Markdown.
            assets: Its files, each under its own name.

        Raises:
            MachineError: GitHub does not answer.
            CheckFailedError: It refuses.
        """
        return await _in_thread(lambda: self._release(tag, commit, notes, assets))

    def _release(self, tag: str, commit: str, notes: str, assets: Sequence[Path]) -> str:
        with self._session() as session:
            releases = f"repos/{self.slug}/releases"
            data = {"tag_name": tag, "target_commitish": commit, "name": tag, "body": notes, "draft": True}
            found = self._found(session, tag) or self._ask(session, "POST", releases, json=data)
            for asset in found["assets"]:
                self._ask(session, "DELETE", f"{releases}/assets/{asset['id']}")
            for file in assets:
                self._send(
                    session,
                    "POST",
                    found["upload_url"].partition("{")[0],
                    params={"name": file.name},
                    data=file.read_bytes(),
                    headers={"Content-Type": "application/octet-stream"},
                )
            released = self._ask(session, "PATCH", f"{releases}/{found['id']}", json={**data, "draft": False})
            return str(released["html_url"])

    def _found(self, session: requests.Session, tag: str) -> dict[str, Any] | None:
        """Return the release of a tag, drafts included: those are in the list only."""
        listed = self._ask(session, "GET", f"repos/{self.slug}/releases", params={"per_page": PAGE})
        return next((release for release in listed if release["tag_name"] == tag), None)

    async def artifact(self, commit: str, workflow: str, name: str, files: Sequence[str]) -> dict[str, bytes]:
        """Return files of the newest artifact that the newest green run of a workflow on a commit left.

        Runs of pull requests and of merge queues do not count: they have no signing key. Where jobs were run again, the
        run has an artifact of that name from each time.

        Args:
            commit: The commit.
            workflow: The workflow's file name.
            name: The artifact's.
            files: Paths in it; those that it has are returned.

        Raises:
            MachineError: GitHub does not answer.
            CheckFailedError: There is no such run, or it left no such artifact.
        """
        return await _in_thread(lambda: self._artifact(commit, workflow, name, files))

    def _artifact(self, commit: str, workflow: str, name: str, files: Sequence[str]) -> dict[str, bytes]:
        with self._session() as session:
            query = {"head_sha": commit, "status": "success", "per_page": PAGE}
            actions = f"repos/{self.slug}/actions"
            listed = self._ask(session, "GET", f"{actions}/workflows/{workflow}/runs", params=query)["workflow_runs"]
            runs = [run for run in listed if run["event"] not in UNSIGNED]
            if not runs:
                raise CheckFailedError(
                    f"{commit[:12]} has no green run of {workflow}",
                    fix="Wait for it, or start that workflow on the branch by hand.",
                )
            run = max(runs, key=lambda each: int(each["id"]))
            path = f"{actions}/runs/{run['id']}/artifacts"
            left = self._ask(session, "GET", path, params={"name": name, "per_page": PAGE})["artifacts"]
            kept = [artifact for artifact in left if not artifact["expired"]]
            if not kept:
                raise CheckFailedError(
                    f"run {run['id']} of {workflow} has no artifact {name} any more", fix="Run it again on that commit."
                )
            newest = max(kept, key=lambda each: int(each["id"]))
            answer = self._send(session, "GET", newest["archive_download_url"])
        try:
            with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
                return {path: archive.read(path) for path in files if path in archive.namelist()}
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # the last one: of another method
            raise MachineError(
                f"the artifact {name} of run {run['id']} did not come as a whole archive: {error}",
                fix="Run it again; something between here and GitHub may have cut it short, or answered in its place.",
            ) from error

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        with requests.Session() as session:
            session.mount(self.api, HTTPAdapter(max_retries=RETRY))
            session.headers.update(
                {
                    "Accept": "application/vnd.github+json",
                    "Authorization": f"Bearer {self.token.value}",
                    "X-GitHub-Api-Version": "2022-11-28",
                }
            )
            yield session

    def _ask(self, session: requests.Session, method: str, path: str, **arguments: Any) -> Any:
        answer = self._send(session, method, f"{self.api}/{path}", **arguments)
        try:
            return answer.json() if answer.content else None
        except requests.JSONDecodeError as error:
            raise MachineError(
                f"{self.api}: what answers there is not GitHub's API: {method} {path} gave no JSON",
                fix="Set GITHUB_API_URL to the API of your GitHub; or a proxy answers in its place.",
                detail=redacted(answer.text, self.token.forms),
            ) from error

    def _send(self, session: requests.Session, method: str, url: str, **arguments: Any) -> requests.Response:
        try:
            answer = session.request(method, url, timeout=SECONDS, **arguments)
        except requests.RequestException as error:
            raise MachineError(f"{self.api}: no answer: {redacted(str(error), self.token.forms)}") from error
        if not answer.ok:
            said = redacted(answer.text, self.token.forms)
            fix = None
            if answer.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
                fix = "The token lacks a permission on this repository; docs/ci.md and docs/release.md name each."
            if wait := answer.headers.get("Retry-After"):
                fix = f"GitHub has had too many requests: run it again in {wait} s."
            path = url.removeprefix(f"{self.api}/")
            raise CheckFailedError(f"GitHub refused {method} {path}: {answer.status_code}", fix=fix, detail=said)
        return answer


async def _in_thread(work: Callable[[], T]) -> T:
    """Do what waits for GitHub; a command that is interrupted does not wait for it."""
    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)


def of_remote(url: str, token: Secret | None, option: str = "--pr") -> GitHub:
    """Return the GitHub repository that a remote is.

    Args:
        url: The remote's, https or ssh.
        token: May do what is asked for.
        option: What asks for it, for errors.

    Raises:
        UsageError: There is no token, or none that a request can carry, or the URL is no GitHub repository's.
    """
    wanted = f"Set {' or '.join(settings.TOKENS)}, or {settings.TOKEN}_FILE to a file that holds it."
    if token is None:
        raise UsageError(f"{option}: no token", fix=wanted)
    if not (token.value.isascii() and token.value.isprintable()):
        raise UsageError(f"{option}: the token is not one line of ASCII", fix=wanted)
    found = REMOTE.fullmatch(url)
    if found is None:
        raise UsageError(
            f"{option}: the remote is no repository on GitHub", fix="--push and --out are for other servers, too."
        )
    host = found["host"]
    default = "https://api.github.com" if host == "github.com" else f"https://{host}/api/v3"
    return GitHub((settings.variable("GITHUB_API_URL") or default).rstrip("/"), found["slug"], token)
