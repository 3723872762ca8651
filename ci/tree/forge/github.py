"""What is asked of GitHub's REST API: pull requests and comments on them, releases, and what a workflow's run left.

Source: https://docs.github.com/rest (version 2022-11-28): pulls, issues/comments, releases, actions.
"""

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread

from ci.base import files, settings
from ci.base.errors import CheckFailedError, MachineError, UsageError
from ci.base.progress import note
from ci.base.secret import Secret
from ci.tree.forge import rest
from ci.tree.forge.pull_request import PullRequest
from ci.tree.forge.rest import SECONDS as SECONDS
from ci.tree.forge.rest import Client

T = TypeVar("T")

HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
REMOTE = re.compile(
    rf"(?:(?P<scheme>[a-z+]+)://(?:[^/@]*@)?(?P<host>{HOST})(?P<port>:\d+)?/|(?:[^/@:]+@)?(?P<name>{HOST}):/?)"
    r"(?P<slug>[^/]+/[^/]+?)(?:\.git)?/?"
)
"""A remote's address, as a URL or as ssh writes it: HOST:OWNER/NAME."""
GITHUB, API = "github.com", "https://api.github.com"
OVER_HTTPS = "ssh.github.com"
"""GitHub's host for ssh on the port of https."""
RESIDENT = ".ghe.com"
"""How the hosts of a company end whose GitHub keeps its data in one region."""
OTHERS = frozenset({"azure", "bitbucket", "codeberg", "forgejo", "gitea", "gitlab", "visualstudio"})
"""In a host's name, these say that it is another forge."""
WRITERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
"""Those who may write to the repository anyway, as GitHub calls them."""
UNSIGNED = frozenset({"pull_request", "merge_group"})
"""What starts runs that have no signing key: they prove nothing to others."""


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

    async def require_not_closed(self, wanted: PullRequest) -> None:
        """Refuse a pull request that a person has closed without merging it, unless one is open.

        Raises:
            MachineError: GitHub does not answer.
            CheckFailedError: It refuses, or a person did.
        """
        pulls = await _in_thread(lambda: self._with(self._pulls, wanted))
        if any(_is_open(pull) for pull in pulls):
            return
        for pull in pulls:
            if not pull.get("merged_at") and wanted.is_same(pull["title"], pull.get("body") or ""):
                raise CheckFailedError(
                    f"pull request #{pull['number']} of this very change was closed and not merged: {pull['html_url']}",
                    fix="If it is wanted after all, reopen it (restore its branch first), or use --push.",
                )

    async def merged(self, wanted: PullRequest) -> set[str]:
        """Return the commits at which pull requests of a branch were merged.

        Raises:
            MachineError: GitHub does not answer.
            CheckFailedError: It refuses.
        """
        pulls = await _in_thread(lambda: self._with(self._pulls, wanted))
        return {str(pull["head"]["sha"]) for pull in pulls if pull.get("merged_at")}

    async def pull_request(self, wanted: PullRequest) -> str:
        """Open a pull request, or bring the open one of that branch up to date; return its address.

        Raises:
            MachineError: GitHub does not answer.
            CheckFailedError: It refuses.
        """
        return await _in_thread(lambda: self._with(self._pull_request, wanted))

    def _pull_request(self, client: Client, wanted: PullRequest) -> str:
        pulls = f"repos/{self.slug}/pulls"
        there = self._open(client, wanted)
        if there is None:
            data = {"title": wanted.title, "body": wanted.body, "head": wanted.head, "base": wanted.base}
            try:
                return str(client.ask("POST", pulls, json=data)["html_url"])
            except CheckFailedError:
                there = self._open(client, wanted)  # another run was faster
                if there is None:
                    raise
        updates = wanted.updates(there["title"], there.get("body") or "")
        if updates:
            client.ask("PATCH", f"{pulls}/{there['number']}", json=updates)
        left = [
            name
            for name, value in (("title", wanted.title), ("body", wanted.body))
            if {**there, **updates}.get(name) != value
        ]
        if left:
            note(f"left as a person has it: {' and '.join(left)} of {there['html_url']}")
        return str(there["html_url"])

    def _open(self, client: Client, wanted: PullRequest) -> dict[str, Any] | None:
        return next((pull for pull in self._pulls(client, wanted) if _is_open(pull)), None)

    def _pulls(self, client: Client, wanted: PullRequest) -> list[dict[str, Any]]:
        """Return all pull requests of the branch, open or closed."""
        owner = self.slug.partition("/")[0]
        query = {"state": "all", "head": f"{owner}:{wanted.head}", "base": wanted.base}
        return list(client.items(f"repos/{self.slug}/pulls", query))

    def _with(self, work: Callable[..., T], *arguments: Any) -> T:
        with rest.connected(self.api, self.token) as client:
            return work(client, *arguments)

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
        return await _in_thread(lambda: self._with(self._comment, number, topic, bodies))

    def _comment(self, client: Client, number: int, topic: str, bodies: Sequence[str]) -> list[str]:
        addresses = []
        issues = f"repos/{self.slug}/issues"
        known = self._comments(client, f"{issues}/{number}/comments", topic)
        for part, text in enumerate(bodies, 1):
            data = {"body": rest.fitting(f"<!-- ml-serving-ci {topic} {part} -->\n{text}")}
            place = f"comments/{known.pop(part)}" if part in known else None
            method, path = ("PATCH", place) if place else ("POST", f"{number}/comments")
            addresses.append(str(client.ask(method, f"{issues}/{path}", json=data)["html_url"]))
        for left in known.values():
            client.ask("DELETE", f"{issues}/comments/{left}")
        return addresses

    def _comments(self, client: Client, path: str, topic: str) -> dict[int, int]:
        """Return the comments of a topic: which part of it each is, and its id.

        Anybody can begin a comment with our marker, and we could overwrite it, but its author could change our text
        afterwards: only those count whose authors could have written ours as well.
        """
        marker = re.compile(rf"<!-- ml-serving-ci {re.escape(topic)} (\d+) -->")
        found: dict[int, int] = {}
        for comment in client.items(path, {}):
            part = marker.match(comment["body"] or "")
            is_bot = (comment["user"] or {}).get("type") == "Bot"
            if part and (is_bot or comment["author_association"] in WRITERS):
                found.setdefault(int(part[1]), comment["id"])
        return found

    async def released(self, tag: str, commit: str, archive: Path) -> str | None:
        """Return the address of a tag's release that has a file, or None where none is published.

        Its other files may be others: they are of the run that published it.

        Args:
            tag: Its tag.
            commit: What is to be released: where GitHub is too old to say a file's digest, one of this very commit is
                taken for the same.
            archive: The file.

        Raises:
            MachineError: GitHub does not answer.
            CheckFailedError: It refuses, or the release has another file of that name, or none.
        """
        return await _in_thread(lambda: self._with(self._released, tag, commit, archive))

    def _released(self, client: Client, tag: str, commit: str, archive: Path) -> str | None:
        found = self._found(client, tag)
        if found is None or found["draft"]:
            return None
        asset = next((each for each in found["assets"] if each["name"] == archive.name), None)
        if asset is None:
            raise _published(found, f"without {archive.name}")
        same_commit = "digest" not in asset and found["target_commitish"] == commit
        if not same_commit and self._digest(client, asset) != f"sha256:{files.sha256(archive)}":
            raise _published(found, f"with another {archive.name}")
        return str(found["html_url"])

    def _digest(self, client: Client, asset: dict[str, Any]) -> str:
        """Return the digest of a release's file, which older GitHubs do not say."""
        if said := asset.get("digest"):
            return str(said)
        url = f"{self.api}/repos/{self.slug}/releases/assets/{asset['id']}"
        content = client.send("GET", url, headers={"Accept": "application/octet-stream"}).content
        return f"sha256:{hashlib.sha256(content).hexdigest()}"

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
        return await _in_thread(lambda: self._with(self._release, tag, commit, notes, assets))

    def _release(self, client: Client, tag: str, commit: str, notes: str, assets: Sequence[Path]) -> str:
        releases = f"repos/{self.slug}/releases"
        body = rest.fitting(notes)
        data = {"tag_name": tag, "target_commitish": commit, "name": tag, "body": body, "draft": True}
        found = self._found(client, tag) or client.ask("POST", releases, json=data)
        for asset in found["assets"]:
            client.ask("DELETE", f"{releases}/assets/{asset['id']}")
        for file in assets:
            client.send(
                "POST",
                found["upload_url"].partition("{")[0],
                params={"name": file.name},
                data=file.read_bytes(),
                headers={"Content-Type": "application/octet-stream"},
            )
        released = client.ask("PATCH", f"{releases}/{found['id']}", json={**data, "draft": False})
        return str(released["html_url"])

    def _found(self, client: Client, tag: str) -> dict[str, Any] | None:
        """Return the release of a tag, a published one before a draft: drafts are in the list only."""
        listed = client.items(f"repos/{self.slug}/releases", {})
        return min((each for each in listed if each["tag_name"] == tag), key=lambda each: each["draft"], default=None)

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
        return await _in_thread(lambda: self._with(self._artifact, commit, workflow, name, files))

    def _artifact(
        self, client: Client, commit: str, workflow: str, name: str, wanted: Sequence[str]
    ) -> dict[str, bytes]:
        actions = f"repos/{self.slug}/actions"
        query = {"head_sha": commit, "status": "success"}
        listed = client.items(f"{actions}/workflows/{workflow}/runs", query, "workflow_runs")
        runs = [run for run in listed if run["event"] not in UNSIGNED]
        if not runs:
            raise CheckFailedError(
                f"{commit[:12]} has no green run of {workflow}",
                fix="Wait for it, or start that workflow on the branch by hand.",
            )
        run = max(runs, key=lambda each: int(each["id"]))
        left = client.items(f"{actions}/runs/{run['id']}/artifacts", {"name": name}, "artifacts")
        kept = [artifact for artifact in left if not artifact["expired"]]
        if not kept:
            raise CheckFailedError(
                f"run {run['id']} of {workflow} has no artifact {name} any more", fix="Run it again on that commit."
            )
        newest = max(kept, key=lambda each: int(each["id"]))
        answer = client.send("GET", newest["archive_download_url"])
        try:
            with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
                return {path: archive.read(path) for path in wanted if path in archive.namelist()}
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # the last one: of another method
            raise MachineError(
                f"the artifact {name} of run {run['id']} did not come as a whole archive: {error}",
                fix="Run it again; something between here and GitHub may have cut it short, or answered in its place.",
            ) from error


def _is_open(pull: dict[str, Any]) -> bool:
    return bool(pull.get("state", "open") == "open")


def _published(release: dict[str, Any], how: str) -> CheckFailedError:
    return CheckFailedError(
        f"{release['tag_name']} is published {how}: {release['html_url']}",
        fix="What is published never changes: raise version in the chart's Chart.yaml.",
    )


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
    host = (found["host"] or found["name"]).lower() if found else ""
    if found is None or OTHERS.intersection(host.split(".")):
        raise UsageError(
            f"{option}: the remote is no repository on GitHub{f': {host}' if host else ''}",
            fix="--push and --out are for other servers, too.",
        )
    port = found["port"] or "" if found["scheme"] == "https" else ""
    return GitHub(_api(host, port), found["slug"], token)


def _api(host: str, port: str) -> str:
    """Return the address of a host's API: what the environment says, unless it says github.com's for another host."""
    said = (settings.variable("GITHUB_API_URL") or "").rstrip("/")
    if said and (said != API or host in (GITHUB, OVER_HTTPS)):
        return said
    if host in (GITHUB, OVER_HTTPS):
        return API
    return f"https://api.{host}" if host.endswith(RESIDENT) else f"https://{host}{port}/api/v3"
