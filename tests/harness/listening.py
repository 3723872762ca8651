"""A server of a test's own."""

from http.server import ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """One for a client that opens many connections at once."""

    daemon_threads = True
    request_queue_size = 128
    """Python's own is five: of sixteen that connect while this process waits for its turn, some would be let down."""
