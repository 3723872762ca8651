"""A small internet on this machine: hosts by their own names, behind a proxy, with certificates of an own authority.

The clients reach it as those of a company reach theirs: HTTPS_PROXY, SSL_CERT_FILE, REQUESTS_CA_BUNDLE.
"""

import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Request:
    """What a client asks for; names of headers are in lower case, the path is as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Certificates:
    """An authority of its own, and its file."""

    def __init__(self, folder):
        self.folder, self.file = folder, folder / "authority.pem"
        self.key, self.name = ec.generate_private_key(ec.SECP256R1()), self._name("Tests")
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = self._signed(self.name, self.key.public_key(), constraints)
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def context(self, host):
        """Return what a server of this name presents."""
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self._signed(self._name(host), key.public_key(), x509.SubjectAlternativeName([x509.DNSName(host)]))
        file = self.folder / f"{host}.pem"
        form = serialization.PrivateFormat.PKCS8
        secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        file.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(file)
        return made

    @staticmethod
    def _name(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def _signed(self, name, key, extension):
        now = datetime.now(UTC)
        made = x509.CertificateBuilder(self.name, name, key, x509.random_serial_number(), now - DAY, now + DAY)
        return made.add_extension(extension, critical=False).sign(self.key, hashes.SHA256())


class Internet:
    """Hosts that can be reached through the proxy, and no others.

    Attributes:
        proxy: The proxy's address.
        authority: File with the certificate that signed the hosts' own.
        asked: Hosts that somebody asked the proxy for.
    """

    def __init__(self, folder, stack):
        self._certificates, self._stack = Certificates(folder), stack
        self._ports, self.asked = {}, []
        self.authority = self._certificates.file
        listening = socket.create_server(("127.0.0.1", 0))
        stack.callback(listening.close)
        threading.Thread(target=self._accept, args=[listening], daemon=True).start()
        self.proxy = f"http://127.0.0.1:{listening.getsockname()[1]}"

    def add(self, host: str, answer: Callable[[Request], Answer]) -> None:
        """Have a host that answers."""
        self._ports[host] = self._stack.enter_context(served(answer, self._certificates.context(host)))

    def settings(self) -> dict[str, str]:
        """Return what a company's machine has in its environment."""
        return {
            "HTTPS_PROXY": self.proxy,
            "SSL_CERT_FILE": str(self.authority),
            "REQUESTS_CA_BUNDLE": str(self.authority),
        }

    def _accept(self, listening):
        while True:
            try:
                client, _ = listening.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._connect, args=[client], daemon=True).start()

    def _connect(self, client):
        """Answer CONNECT HOST:443, then hand on what comes from either side."""
        head = b""
        while b"\r\n\r\n" not in head and (chunk := client.recv(4096)):
            head += chunk
        host = head.split(b" ")[1].decode().partition(":")[0] if head.startswith(b"CONNECT ") else ""
        self.asked.append(host)
        if host not in self._ports:
            client.sendall(b"HTTP/1.1 502 no such host\r\nContent-Length: 0\r\n\r\n")
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", self._ports[host]))
        client.sendall(b"HTTP/1.1 200 connected\r\n\r\n")
        threading.Thread(target=_hand_on, args=[server, client], daemon=True).start()
        _hand_on(client, server)


def _hand_on(source, target):
    try:
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:  # either side is gone
        return


@contextmanager
def served(answer, context=None):
    """Serve on a free port of this machine, which is returned."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            made = answer(Request(self.command, parts.path, query, headers, body))
            self.send_response(made.status)
            for name, value in {"Content-Length": str(len(made.body)), **made.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(made.body)

        def do_POST(self):
            self.do_GET()

        def do_HEAD(self):
            self.do_GET()

        def log_message(self, *args):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request, client_address):  # a client that went away
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def internet(folder):
    """Have a small internet, whose files are in a folder."""
    with ExitStack() as stack:
        yield Internet(folder, stack)
