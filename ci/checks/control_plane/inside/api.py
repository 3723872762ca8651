"""The API server, spoken to over HTTP: a kubectl per call would cost a quarter of a core's second each."""

import http
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Document = dict[str, Any]

SECONDS = 120.0
"""For one answer; it takes long where the machine is busy."""
MANAGER = "ml-serving-ci"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
PAUSES = (0.2, 0.4, 0.8)
"""Seconds before an answer is asked for again that is about the servers, such as a webhook's that is only just up."""


class Api:
    """One API server.

    Args:
        address: Its URL.
        token: Says who asks.
        authority: File with the certificate that it shows.
    """

    def __init__(self, address: str, token: str, authority: Path) -> None:
        self._address = address
        self._token = token
        self._context = ssl.create_default_context(cafile=str(authority))
        self._resources: dict[tuple[str, str], tuple[str, bool]] = {}  # plural, and whether it has a namespace

    def get(self, path: str, accept: str = "application/json") -> Document:
        """Return what a path has.

        Raises:
            OSError: It does not answer, or not with that.
        """
        code, found = self._ask("GET", path, headers={"Accept": accept})
        if code != http.HTTPStatus.OK:
            raise OSError(f"{path}: {code} {found.get('message', '')}")
        return found

    def items(self, path: str) -> list[Document]:
        """Return the objects of a collection, each with kind and version, which a list may leave out."""
        found = self.get(path)
        own = {"kind": found["kind"].removesuffix("List"), "apiVersion": found["apiVersion"]}
        return [{**own, **each} for each in found["items"]]

    def answers(self, address: str) -> bool:
        """Tell whether an address of this container, with the same certificate where it has one, answers 200.

        Raises:
            OSError: It does not answer, or not with that.
        """
        request = urllib.request.Request(address, headers=self._headers)  # noqa: S310 - http or https
        with urllib.request.urlopen(request, timeout=SECONDS, context=self._context) as answer:  # noqa: S310
            return bool(answer.status == http.HTTPStatus.OK)

    def discover(self) -> None:
        """Learn which kinds are served."""
        for path in ("/api", "/apis"):
            for group in self.get(path, DISCOVERY)["items"]:
                name = group["metadata"].get("name", "")
                for version in group["versions"]:
                    served = f"{name}/{version['version']}" if name else version["version"]
                    for each in version.get("resources", ()):
                        kind = each.get("responseKind", {}).get("kind")
                        if kind:
                            self._resources[served, kind] = each["resource"], each["scope"] == "Namespaced"

    def serves(self, document: Mapping[str, Any]) -> bool:
        """Tell whether an object's kind is served."""
        return _kind(document) in self._resources

    def is_namespaced(self, document: Mapping[str, Any]) -> bool:
        """Tell whether objects of a kind that is served have a namespace."""
        return self._resources[_kind(document)][1]

    def create(self, document: Document) -> tuple[int, Document]:
        """Create an object; as `apply`, and less work for the API server."""
        collection, _ = self._place(document)
        code, found = self._insist("POST", f"{collection}?fieldManager={MANAGER}", document, "application/json")
        # a busy server may have created it and said, too late, that it had no time
        return self.apply(document) if code == http.HTTPStatus.CONFLICT else (code, found)

    def apply(self, document: Document) -> tuple[int, Document]:
        """Apply an object as Argo CD does, on the server's side.

        Args:
            document: The object, of a kind that is served, with its namespace where it has one.

        Returns:
            The answer's code, and the object; or the Status that says why not.
        """
        return self._insist("PATCH", self._applied(document), document, APPLY)

    def try_out(self, document: Document) -> tuple[int, Document]:
        """Ask what `apply` would answer, and have nothing there; arguments and answer as for that."""
        return self._insist("PATCH", f"{self._applied(document)}&dryRun=All", document, APPLY)

    def replace(self, document: Document) -> tuple[int, Document]:
        """Put an object in the place of one that is there; arguments and answer as for `apply`."""
        path = self.path(document)
        code, there = self._ask("GET", path)
        if code != http.HTTPStatus.OK:
            return code, there
        metadata = {**document["metadata"], "resourceVersion": there["metadata"]["resourceVersion"]}
        new = {**document, "metadata": metadata}
        return self._insist("PUT", f"{path}?fieldManager={MANAGER}", new, "application/json")

    def merge(self, path: str, changes: Document) -> tuple[int, Document]:
        """Change fields of the object at a path; what it answers is as of `apply`."""
        return self._insist("PATCH", f"{path}?fieldManager={MANAGER}", changes, MERGE)

    def path(self, document: Document) -> str:
        """Return the path of an object, or of what a reference with its version, kind, namespace and name means."""
        return "/".join(self._place(document))

    def delete(self, document: Document, propagation: str) -> tuple[int, Document]:
        """Delete an object, which is gone once nothing holds it any more.

        Args:
            document: As for `apply`.
            propagation: What becomes of what was made of it: Foreground, Background or Orphan.
        """
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        return self._insist("DELETE", self.path(document), options, "application/json")

    def has(self, document: Document) -> bool:
        """Tell whether an object is there."""
        return self._ask("GET", self.path(document))[0] == http.HTTPStatus.OK

    def _applied(self, document: Document) -> str:
        return f"{self.path(document)}?fieldManager={MANAGER}&force=true"

    def _place(self, document: Document) -> tuple[str, str]:
        """Return the path of an object's collection, and its name there."""
        plural, namespaced = self._resources[_kind(document)]
        version, metadata = document["apiVersion"], document["metadata"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        where = f"/namespaces/{urllib.parse.quote(str(metadata['namespace']), safe='')}" if namespaced else ""
        return f"{root}{where}/{plural}", urllib.parse.quote(str(metadata["name"]), safe="")

    def _insist(self, method: str, path: str, document: Document, content: str) -> tuple[int, Document]:
        """Ask, and ask again where the answer is about the servers."""
        body, headers = json.dumps(document).encode(), {"Content-Type": content}
        code, found = self._ask(method, path, body, headers)
        for pause in PAUSES:
            if code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                break
            time.sleep(pause)
            code, found = self._ask(method, path, body, headers)
        return code, found

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def _ask(
        self, method: str, path: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Document]:
        request = urllib.request.Request(  # noqa: S310 - https
            f"{self._address}{path}", data, {**self._headers, **(headers or {})}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=SECONDS, context=self._context) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, _status(error.read())


def _kind(document: Mapping[str, Any]) -> tuple[str, str]:
    return str(document.get("apiVersion", "")), str(document.get("kind", ""))


def _status(body: bytes) -> Document:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"message": body.decode(errors="replace")}
