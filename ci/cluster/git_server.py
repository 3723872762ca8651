"""A git server over HTTP on this machine, for a cluster whose pods can reach it."""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import cast
from wsgiref.simple_server import WSGIServer, make_server

import anyio.to_thread
from dulwich.repo import Repo
from dulwich.server import BackendRepo, DictBackend
from dulwich.web import WSGIRequestHandlerLogger, make_wsgi_chain


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@asynccontextmanager
async def served(repository: Path, address: str) -> AsyncIterator[str]:
    """Serve a bare repository, to read and to push, for as long as a block runs.

    Args:
        repository: Its folder.
        address: Address of this machine to listen at, on a free port.

    Yields:
        Its URL ("http://172.18.0.1:40123/NAME.git").
    """
    path = f"/{repository.name}"
    application = make_wsgi_chain(DictBackend({path: cast(BackendRepo, Repo(str(repository)))}))
    server = make_server(address, 0, application, _Server, WSGIRequestHandlerLogger)
    thread = threading.Thread(target=server.serve_forever, name="git server", daemon=True)
    thread.start()
    try:
        yield f"http://{address}:{server.server_port}{path}"
    finally:
        await anyio.to_thread.run_sync(server.shutdown)
        server.server_close()
        thread.join()
