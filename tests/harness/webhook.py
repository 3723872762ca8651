"""A webhook in a process of its own: `python webhook.py RECORD STATUS…` prints its port and records what it gets.

Each request gets the next status, and every later one the last; "hang" is no answer at all.
"""

import http.server
import json
import pathlib
import sys
import threading
import time

record, *statuses = sys.argv[1:]
lock = threading.Lock()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with lock:
            status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
            entry = {"path": self.path, "type": self.headers["Content-Type"], "body": body, "status": status}
            with pathlib.Path(record).open("a") as file:
                file.write(json.dumps(entry) + "\n")
        if status == "hang":
            time.sleep(600)
        self.send_response(int(status))
        if status.startswith("3"):
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
