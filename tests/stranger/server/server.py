"""The stranger's own model server: texts in, moods out, by the Open Inference Protocol and with nothing but Python.

It brings its model along. In the environment:

- WORDS: "1" or "2", how many words it knows: either is a good version.
- AILS: "slow" answers every fifth request late, "failing" answers it with 500; nothing by default.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

import itertools
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 8080
EVERY = 5
"""Which requests it ails at."""
LATE_SECONDS = 1.5
MOODS = {"1": {"glad": "up", "fine": "up", "sad": "down", "awful": "down"}}
MOODS["2"] = {**MOODS["1"], "superb": "up", "dreadful": "down"}
KNOWN = MOODS[os.environ.get("WORDS", "1")]
AILS = os.environ.get("AILS", "")

asked = itertools.count(1)


def mood(text):
    """The mood of the first word that it knows; none of it, turned round."""
    words = text.lower().split()
    found = next((KNOWN[word] for word in words if word in KNOWN), "flat")
    return {"up": "down", "down": "up", "flat": "flat"}[found] if "not" in words else found


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.split("/")[1:]
        healthy = path[:2] == ["v2", "health"] or (path[:2] == ["v2", "models"] and path[-1] == "ready")
        self._answer(*((200, {"ready": True}) if healthy else (404, {"error": f"no {self.path}"})))

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.split("/")[1:]
        if path[:2] != ["v2", "models"] or path[-1] != "infer":
            self._answer(404, {"error": f"no {self.path}"})
            return
        try:
            (given,) = json.loads(body)["inputs"]
            moods = [mood(text) for text in given["data"]]
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            self._answer(400, {"error": f"{type(error).__name__}: {error}"})
            return
        if AILS and next(asked) % EVERY == 0:
            if AILS == "failing":
                self._answer(500, {"error": "it is one of those requests"})
                return
            time.sleep(LATE_SECONDS)
        output = {"name": "mood", "shape": [len(moods)], "datatype": "BYTES", "data": moods}
        self._answer(200, {"model_name": path[2], "outputs": [output]})

    def _answer(self, status, content):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("", PORT), Server)
    # the first process of a container has no handler of its own for it
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
