"""A real OCI registry, crane's, that takes nothing without its password."""

import base64
import socket
import subprocess
import time
from contextlib import contextmanager

import requests

from tests.harness.git_server import body_of, serving

USER, PASSWORD = "me", "a registry's/password"
HEADER = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
FORWARDED = ("Content-Type", "Content-Length", "Docker-Content-Digest", "Location", "Range", "Docker-Upload-UUID")


@contextmanager
def running(crane):
    """Run the registry, and return the address at which it asks for the password."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen([crane, "registry", "serve", f"--address=127.0.0.1:{port}"]) as process:
        try:
            behind = f"http://127.0.0.1:{port}"
            until = time.monotonic() + 30
            while not answers(behind):
                assert time.monotonic() < until
                time.sleep(0.05)
            with serving(guard(behind)) as address:
                yield address
        finally:
            process.terminate()


def answers(address):
    try:
        return requests.get(f"{address}/v2/", timeout=5).ok
    except requests.ConnectionError:
        return False


def guard(behind):
    """Return a WSGI application that passes on what comes with the password."""

    def answer(environ, start_response):
        if environ.get("HTTP_AUTHORIZATION") != HEADER:
            start_response("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="registry"')])
            return [b""]
        headers = {"Content-Type": environ.get("CONTENT_TYPE", ""), "Accept": environ.get("HTTP_ACCEPT", "")}
        url = f"{behind}{environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        given = requests.request(
            environ["REQUEST_METHOD"], url, headers=headers, data=body_of(environ), allow_redirects=False, timeout=30
        )
        kept = [(name, given.headers[name]) for name in FORWARDED if name in given.headers]
        start_response(f"{given.status_code} {given.reason}", kept)
        return [given.content]

    return answer


def tags(address, name):
    """Return the tags that the registry has of a repository."""
    answer = requests.get(f"http://{address}/v2/{name}/tags/list", headers={"Authorization": HEADER}, timeout=30)
    return answer.json()["tags"] if answer.ok else []
