"""A publisher's web server, in a process of its own: `python server.py FOLDER`.

It prints its address, and to standard error a line for each file that somebody asks for. Beside a file, FILE.cut has it
send one half and end the connection, FILE.slow one half and then nothing.
"""

import sys
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, and says so."""

    def copyfile(self, source, outputfile):
        print(self.path, file=sys.stderr, flush=True)
        file = Path(self.translate_path(self.path))
        cut, slow = (file.with_name(file.name + fault).exists() for fault in (".cut", ".slow"))
        data = source.read()
        outputfile.write(data[: len(data) // 2] if cut or slow else data)
        outputfile.flush()
        if slow:
            time.sleep(60)

    def log_message(self, *args):
        pass


with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=sys.argv[1])) as server:
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
