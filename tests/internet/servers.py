"""Everybody else's servers, in a network namespace: `unshare --net --mount python -m tests.internet.servers FOLDER`.

DNS, a token service and registries in front of a registry's own program, blobs and files under further names, all
behind TLS under their real names. It prints a line when they answer. In FOLDER, `faults.json` says who has a bad day
(see `Fault`), `asked.jsonl` gets a line for each request, `names.txt` one for each name that DNS was asked for.
"""

import asyncio
import json
import os
import re
import secrets
import ssl
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import aiohttp
import dnslib
from aiohttp import web

ADDRESS = "203.0.113.10"
NAMESERVER = "127.0.0.53"
REGISTRY = "127.0.0.1:5000"
"""The registry's own program, which holds what every registry here publishes: of HOST below HOST/."""

HUB = "index.docker.io"
TOKENS = {HUB: "https://auth.docker.io/token", "quay.io": "https://quay.io/v2/auth"}
"""Registries that give nothing without a token, and who gives one."""
BLOBS = {HUB: "production.cloudflare.docker.com", "quay.io": "cdn01.quay.io"}
"""Registries that send whoever wants a blob to another name."""
ELSEWHERE = {"registry.k8s.io": "europe-west1-docker.pkg.dev", "github.com": "release-assets.githubusercontent.com"}
"""Who sends everybody to another name."""
FILES = ("dl.k8s.io", "get.helm.sh", "dl.dagger.io", "release-assets.githubusercontent.com")
NAMES = (*TOKENS, "auth.docker.io", *BLOBS.values(), *ELSEWHERE, *ELSEWHERE.values(), *FILES)
REPOSITORIES = {HUB: "docker.io", "europe-west1-docker.pkg.dev": "registry.k8s.io"}
"""Under which host's name the registry's program holds what a server gives."""


@dataclass(frozen=True)
class Fault:
    """A bad day.

    Attributes:
        of: Regular expression of HOST/PATH that have it.
        status: What is answered.
        headers: Sent with it.
        body: Sent with it.
        after: How many bytes of the right answer come before the connection ends, or `stall`s.
        stall: Nothing more comes.
        rate: Bytes a second.
        flip: The last byte is another one.
        times: How often; -1 is always.
    """

    of: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    after: int = -1
    stall: bool = False
    rate: int = 0
    flip: bool = False
    times: int = -1


class Internet:
    """All servers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokens: set[str] = set()
        self.session: aiohttp.ClientSession
        self.asked = (folder / "asked.jsonl").open("a")
        self.met: dict[str, int] = {}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        host = request.host.partition(":")[0]
        fault = self._fault(f"{host}{request.path}")
        if fault is not None and fault.status:
            answer: web.StreamResponse = web.Response(status=fault.status, headers=fault.headers, text=fault.body)
        else:
            answer = await self._right(host, request)
        sent = len(answer.body or b"") if isinstance(answer, web.Response) else self._asked_of(request)
        if fault is not None and not fault.status and answer.status == web.HTTPOk.status_code:
            return await self._spoiled(request, answer, fault)
        self._log(request, answer.status, sent)
        return answer

    def _log(self, request: web.Request, status: int, sent: int) -> None:
        line = {"host": request.host, "method": request.method, "path": request.path, "status": status, "bytes": sent,
                "range": request.headers.get("Range", "")}  # fmt: skip
        print(json.dumps(line), file=self.asked, flush=True)

    def _file(self, request: web.Request) -> Path:
        return self.folder / "files" / request.path.lstrip("/")

    def _asked_of(self, request: web.Request) -> int:
        """Return how many bytes of a file are asked for."""
        return self._file(request).stat().st_size - (request.http_range.start or 0)

    def _fault(self, what: str) -> Fault | None:
        file = self.folder / "faults.json"
        for each in json.loads(file.read_text()) if file.exists() else []:
            fault, key = Fault(**each), f"{file.stat().st_mtime_ns} {each}"
            if re.search(fault.of, what) and self.met.get(key, 0) != fault.times:
                self.met[key] = self.met.get(key, 0) + 1
                return fault
        return None

    async def _right(self, host: str, request: web.Request) -> web.StreamResponse:
        if f"https://{host}{request.path}" in TOKENS.values():
            self.tokens.add(token := secrets.token_hex(8))
            return web.json_response({"token": token, "expires_in": 300})
        if host in TOKENS and request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            challenge = f'Bearer realm="{TOKENS[host]}",service="{host}"'
            headers = {"WWW-Authenticate": challenge, "Docker-Distribution-Api-Version": "registry/2.0"}
            errors = {"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}
            return web.json_response(errors, status=401, headers=headers)
        if host in ELSEWHERE:
            return web.Response(status=302, headers={"Location": f"https://{ELSEWHERE[host]}{request.path_qs}"})
        if host in BLOBS and "/blobs/" in request.path:
            return web.Response(status=307, headers={"Location": f"https://{BLOBS[host]}{request.path}?verify=signed"})
        if host in FILES:
            file = self._file(request)
            return web.FileResponse(file) if file.is_file() else web.Response(status=404)
        return await self._registry(next((name for name, blobs in BLOBS.items() if blobs == host), host), request)

    async def _registry(self, host: str, request: web.Request) -> web.Response:
        path = request.path
        if path != "/v2/":
            path = path.replace("/v2/", f"/v2/{REPOSITORIES.get(host, host)}/", 1)
        headers = {"Accept": request.headers.get("Accept", "*/*")}
        async with self.session.request(request.method, f"http://{REGISTRY}{path}", headers=headers) as got:
            kept = ("Content-Type", "Docker-Content-Digest", "Docker-Distribution-Api-Version")
            given = {name: got.headers[name] for name in kept if name in got.headers}
            body = await got.read()
            if request.method == "HEAD":
                given["Content-Length"] = got.headers.get("Content-Length", "0")
            return web.Response(status=got.status, headers=given, body=body)

    async def _spoiled(self, request: web.Request, right: web.StreamResponse, fault: Fault) -> web.StreamResponse:
        """Send an answer as the fault has it."""
        if isinstance(right, web.FileResponse):
            data = self._file(request).read_bytes()[request.http_range.start or 0 :]
        else:
            data = bytes(right.body)
        if fault.flip:
            data = data[:-1] + bytes([data[-1] ^ 1])
        status = web.HTTPPartialContent.status_code if "Range" in request.headers else web.HTTPOk.status_code
        answer = web.StreamResponse(status=status, headers={"Content-Length": str(len(data))})
        await answer.prepare(request)
        end = len(data) if fault.after < 0 else fault.after
        piece = fault.rate // 10 or max(end, 1)
        for begin in range(0, end, piece):
            await answer.write(data[begin : min(begin + piece, end)])
            if fault.rate:
                await asyncio.sleep(0.1)
        self._log(request, status, end)
        if fault.stall:
            await asyncio.Event().wait()
        if end < len(data) and request.transport is not None:
            request.transport.close()
        return answer


class Names(asyncio.DatagramProtocol):
    """DNS: every name that there is, and no other."""

    def __init__(self, folder: Path) -> None:
        self.log = (folder / "names.txt").open("a")
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        query = dnslib.DNSRecord.parse(data)
        reply = query.reply()
        name = str(query.q.qname).rstrip(".")
        print(name, file=self.log, flush=True)
        if name not in NAMES:
            reply.header.rcode = dnslib.RCODE.NXDOMAIN
        elif query.q.qtype == dnslib.QTYPE.A:
            reply.add_answer(dnslib.RR(query.q.qname, rdata=dnslib.A(ADDRESS)))
        self.transport.sendto(reply.pack(), address)


def set_up(folder: Path) -> None:
    """Make the namespace's network, and who tells names in it."""
    resolver = folder / "resolv.conf"
    resolver.write_text(f"nameserver {NAMESERVER}\n")
    for command in (
        "ip link set lo up",
        f"ip address add {ADDRESS}/32 dev lo",
        f"mount --bind {resolver} /etc/resolv.conf",
    ):
        subprocess.run(command.split(), check=True)


async def serve(folder: Path) -> None:
    internet = Internet(folder)
    internet.session = aiohttp.ClientSession(auto_decompress=False)
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: Names(folder), local_addr=(NAMESERVER, 53))
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", internet.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem")
    await web.TCPSite(runner, ADDRESS, 443, ssl_context=context).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


def written(*faults: Fault) -> str:
    return json.dumps([asdict(each) for each in faults])


if __name__ == "__main__":
    os.environ["PATH"] += f"{os.pathsep}/usr/sbin{os.pathsep}/sbin"
    set_up(Path(sys.argv[1]))
    asyncio.run(serve(Path(sys.argv[1])))
