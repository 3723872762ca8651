"""GitHub as far as the workflows use it: what `tests/harness/git_server.py` has, and releases, runs and artifacts."""

import hashlib
import io
import json
import zipfile

from tests.harness import git_server as server
from tests.harness.github_server import comment

LAST_ATTEMPT = 100
"""Id of the artifact that the last attempt of a run left."""


class GitHub(server.GitHub):
    """The repository team/tree.

    Attributes:
        reports: Commit to the files of the report that its green run left.
        event: What started those runs.
        attempts: Artifacts that other attempts of a run left: their id, whether they are expired, and their files.
        releases: What was released, or is a draft.
        files: Release's id and file's name to its content.
        assets: A file's id to both.
        says_digests: Whether it says the digests of files, as since 2025.
        downloads: How many of them were asked for.
        comments: A pull request's number to its comments.
    """

    def __init__(self, remote):
        super().__init__(remote)
        self.reports = {}
        self.event = "push"
        self.attempts = []
        self.left = {}
        self.releases = []
        self.files = {}
        self.assets = {}
        self.says_digests = True
        self.downloads = 0
        self.comments = {7: []}
        answers = {"actions": self.answer_actions, "issues": self.answer_issues, "releases": self.answer_releases}
        self.resources |= answers

    def answer_actions(self, method, rest, query, body):
        assert method == "GET"
        commits = list(self.reports)
        match rest.split("/"):
            case ["workflows", "pull-request.yaml", "runs"]:
                found = [commit for commit in commits if commit == query["head_sha"]]
                return {"workflow_runs": [{"id": commits.index(commit), "event": self.event} for commit in found]}
            case ["runs", number, "artifacts"]:
                own = (LAST_ATTEMPT, False, self.reports[commits[int(number)]])
                self.left = {str(each): (expired, files) for each, expired, files in [*self.attempts, own]}
                return {"artifacts": [self.artifact(number) for number in self.left]}
            case ["artifacts", number, "zip"]:
                expired, files = self.left[number]
                assert not expired, "GitHub answers 410"
                data = io.BytesIO()
                with zipfile.ZipFile(data, "w") as archive:
                    for name, content in files.items():
                        archive.writestr(name, content)
                return data.getvalue()

    def artifact(self, number):
        url = f"http://{self.address}/api/v3/repos/team/tree/actions/artifacts/{number}/zip"
        expired, _ = self.left[number]
        return {"id": int(number), "name": "report", "expired": expired, "archive_download_url": url}

    def answer_issues(self, method, rest, query, body):
        match method, rest.split("/"):
            case "GET", [number, "comments"]:
                return self.comments[int(number)] if query["page"] == "1" else []
            case "POST", [number, "comments"]:
                found = self.comments[int(number)]
                found.append(comment(len(found) + 1, json.loads(body)["body"]))
                return found[-1]
            case "PATCH", ["comments", number]:
                (found,) = [each for several in self.comments.values() for each in several if each["id"] == int(number)]
                found.update(json.loads(body))
                return found

    def answer_releases(self, method, rest, query, body):
        match method, rest.split("/"):
            case "GET", [""]:
                first, number = (int(query["page"]) - 1) * int(query["per_page"]), int(query["per_page"])
                return self.releases[first : first + number]
            case "GET", ["assets", number]:
                self.downloads += 1
                return self.files[self.assets[int(number)]]
            case "POST", [""]:
                number = len(self.releases)
                url = f"http://{self.address}/api/v3/repos/team/tree/releases/{number}/assets{{?name,label}}"
                made = {"id": number, "html_url": f"https://hub/releases/{number}", "upload_url": url, "assets": []}
                self.releases.append({**made, **json.loads(body)})
                return self.releases[-1]
            case "POST", [number, "assets"]:
                release = self.releases[int(number)]
                assert query["name"] not in [asset["name"] for asset in release["assets"]], "GitHub refuses it"
                asset = {"id": len(self.files), "name": query["name"]}
                if self.says_digests:
                    asset["digest"] = f"sha256:{hashlib.sha256(body).hexdigest()}"
                release["assets"].append(asset)
                self.assets[asset["id"]] = int(number), query["name"]
                self.files[int(number), query["name"]] = body
                return asset
            case "DELETE", ["assets", number]:
                for release in self.releases:
                    release["assets"] = [asset for asset in release["assets"] if asset["id"] != int(number)]
                return None
            case "PATCH", [number]:
                self.releases[int(number)].update(json.loads(body))
                return self.releases[int(number)]
