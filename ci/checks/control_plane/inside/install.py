"""`python -m ci.checks.control_plane.inside.install FILE`: put what is in a file on an empty control plane.

The file has a list of objects, as JSON. What is left is the data of etcd, from which the control plane starts in a
fraction of the time: nearly all of it is the API server's work on CRDs.
"""

import http
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ci.checks.control_plane.inside import processes
from ci.checks.control_plane.inside.api import Api, Document

AT_ONCE = 8
SERVED_SECONDS = 120.0
DEFINITION = "CustomResourceDefinition"


def main() -> None:
    """Install them, in an order in which each finds what it needs: webhooks last, whose servers do not run here."""
    documents = json.loads(Path(sys.argv[1]).read_text())
    first = [each for each in documents if each["kind"] in (DEFINITION, "Namespace")]
    last = [each for each in documents if each["kind"].endswith("WebhookConfiguration")]
    with processes.running() as plane:
        put(plane.api, first)
        discover(plane.api, [each for each in first if each["kind"] == DEFINITION])
        put(plane.api, [each for each in documents if each not in first and each not in last])
        put(plane.api, last)


def put(api: Api, documents: list[Document]) -> None:
    """Create objects side by side.

    Raises:
        SystemExit: One of them is refused.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(api.create, documents))
    for document, (code, answer) in zip(documents, answers, strict=True):
        if code >= http.HTTPStatus.BAD_REQUEST:
            raise SystemExit(f"{document['kind']} {document['metadata']['name']}: {answer.get('message')}")


def discover(api: Api, definitions: Sequence[Document]) -> None:
    """Wait until the API server serves what CRDs define.

    Raises:
        SystemExit: It does not come to that.
    """
    wanted = [
        {"apiVersion": f"{each['spec']['group']}/{version['name']}", "kind": each["spec"]["names"]["kind"]}
        for each in definitions
        for version in each["spec"]["versions"]
        if version["served"]
    ]
    until = time.monotonic() + SERVED_SECONDS
    api.discover()
    while waiting := [each for each in wanted if not api.serves(each)]:
        if time.monotonic() > until:
            raise SystemExit(f"not served: {waiting}")
        time.sleep(0.2)
        api.discover()


if __name__ == "__main__":
    main()
