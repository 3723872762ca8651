"""GitHub's API for the comments of pull request 7, as a process of its own; prints its port.

`GET /state` returns the comments and the requests so far; `POST /state` replaces the comments, or has the next
requests answered with the statuses in "fail", or with the statuses, headers and texts (of bytes) in "say".
"""

import json
import subprocess
import sys
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import requests

TOKEN = "ghp_0123456789"
SLUG = "example/models"
LIMIT = 65_536
STATE = {"comments": [], "requests": [], "fail": [], "say": []}


class Server:
    def __init__(self, url):
        self.url = url

    def state(self, **changes):
        method = requests.post if changes else requests.get
        return method(f"{self.url}/state", json=changes or None, timeout=60).json()

    def bodies(self):
        return [each["body"] for each in self.state()["comments"]]

    def methods(self):
        return [method for method, _ in self.state()["requests"]]


@contextmanager
def running():
    """Run the server as a process of its own, and return what asks it."""
    with subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(f"http://127.0.0.1:{process.stdout.readline().strip()}")
        finally:
            process.terminate()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.serve()

    def do_POST(self):
        self.serve()

    def do_PATCH(self):
        self.serve()

    def do_DELETE(self):
        self.serve()

    def serve(self):
        length = int(self.headers.get("Content-Length", 0))
        data = json.loads(self.rfile.read(length) or "null")
        url = urlsplit(self.path)
        if url.path == "/state":
            STATE.update(data or {})
            return self.answer(HTTPStatus.OK, STATE)
        STATE["requests"].append([self.command, self.path])
        if STATE["fail"]:
            return self.answer(STATE["fail"].pop(0), {})
        if STATE["say"]:
            status, headers, text = STATE["say"].pop(0)
            return self.say(status, text.encode("latin-1"), headers)
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            said = f"Bad credentials: {self.headers['Authorization']}"
            return self.answer(HTTPStatus.UNAUTHORIZED, {"message": said})
        return self.comments(url, data)

    def comments(self, url, data):
        if data and len(data["body"]) > LIMIT:
            return self.answer(HTTPStatus.UNPROCESSABLE_ENTITY, {"message": "Body is too long"})
        if url.path == f"/repos/{SLUG}/issues/7/comments" and self.command == "GET":
            query = {key: int(values[0]) for key, values in parse_qs(url.query).items()}
            start = (query["page"] - 1) * query["per_page"]
            return self.answer(HTTPStatus.OK, STATE["comments"][start : start + query["per_page"]])
        if url.path == f"/repos/{SLUG}/issues/7/comments" and self.command == "POST":
            number = max([each["id"] for each in STATE["comments"]], default=0) + 1
            STATE["comments"].append(comment(number, data["body"]))
            return self.answer(HTTPStatus.CREATED, STATE["comments"][-1])
        for each in STATE["comments"]:
            if url.path == f"/repos/{SLUG}/issues/comments/{each['id']}":
                if self.command == "DELETE":
                    STATE["comments"].remove(each)
                    return self.answer(HTTPStatus.NO_CONTENT, None)
                each["body"] = data["body"]
                return self.answer(HTTPStatus.OK, each)
        return self.answer(HTTPStatus.NOT_FOUND, {"message": "Not Found"})

    def answer(self, status, data):
        self.say(status, b"" if data is None else json.dumps(data).encode(), {})

    def say(self, status, body, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Say nothing."""


def comment(number, body, kind="Bot", association="NONE"):
    return {
        "id": number,
        "body": body,
        "user": {"login": "someone", "type": kind},
        "author_association": association,
        "html_url": f"https://github.example.com/{SLUG}/pull/7#issuecomment-{number}",
    }


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
