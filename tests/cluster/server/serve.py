"""A server for any values: on each port that they may name, at whatever path, and as slowly as it is asked to be.

{"instances": [SECONDS]} is answered with {"predictions": [SECONDS]} after that time, a byte of it each second. What is
got tells how many answers are under way.
"""

import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORTS = (8080, 80, 8033, 8085, 9000, 9090, 65535)
METRICS = {"/metrics", "/prometheus"}

asked = threading.Condition()
under_way = set()


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        text = "" if self.path in METRICS else json.dumps({"under_way": len(under_way)})
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4" if self.path in METRICS else "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_POST(self):
        with asked:
            under_way.add(self)
        try:
            (seconds,) = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for _ in range(seconds):
                self._chunk(" ")
                time.sleep(1)
            self._chunk(json.dumps({"predictions": [seconds]}))
            self._chunk("")
        finally:
            with asked:
                under_way.remove(self)
                asked.notify_all()

    def _chunk(self, text):
        self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())

    def log_message(self, *args):
        pass


def end():
    """End once every answer is whole."""
    with asked:
        asked.wait_for(lambda: not under_way)
    os._exit(0)


if __name__ == "__main__":
    # the first process of a container has no handler of its own for it
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=end).start())
    for port in PORTS:
        try:
            server = ThreadingHTTPServer(("", port), Server)
        except OSError as error:  # of another container of the pod
            print(f"{port}: {error}", flush=True)
        else:
            threading.Thread(target=server.serve_forever).start()
    while True:
        signal.pause()
