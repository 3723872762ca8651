"""The client in the mesh. Runs inside a pod, with Python's standard library alone.

traffic_client.py idle                            what the container runs between requests
traffic_client.py ask < REQUEST                   one request; the answer goes to standard output, as JSON
traffic_client.py replay < LIST                   requests one after the other, as a line on standard input lists them
traffic_client.py load --url URL --rate RATE ...  questions at a steady rate until a further line on standard input

`load` reads its questions from a first line on standard input, as ci.cluster.traffic writes them. It writes a JSON line
first (its clock), one for each request when it is over, and one last (how many there were). A request that fails is
written down with its reason and never sent again. With `--admin` it also writes a line for each change of what the
pod's own proxy does with requests to the host: only the proxy knows which weights are in force.
"""

import argparse
import http.client
import json
import math
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any
from urllib.parse import SplitResult, urlsplit

LOOK_SECONDS = 0.2
"""Between two looks at the proxy's routes."""
EXACT = 2**53
"""A float rounds whole numbers beyond."""


def find(content: Any, keys: Sequence[str | int]) -> Any:
    """Return what stands at a place in a JSON value.

    Args:
        content: The value.
        keys: Names and positions that lead there, as a singular JSONPath query has them (RFC 9535, 2.3.5.1): a
            negative position counts from the end.

    Raises:
        LookupError: There is nothing.
    """
    for key in keys:
        if not isinstance(content, list if isinstance(key, int) else dict):
            raise LookupError(key)  # noqa: TRY004 - as where there is no such key
        content = content[key]  # type: ignore[index]  # a list's positions, an object's names
    return content


def differences(
    expected: Any, answered: Any, absolute: float, relative: float, at: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Any, Any]]:
    """Yield where two JSON values differ: the way to each place, and what either has there.

    Numbers are compared as `math.isclose` does it, wherever they stand, but no whole number is rounded before; all else
    exactly: true is not 1, nor "1". Lists of different length, and objects with different names, differ as a whole.

    Args:
        expected: One value.
        answered: The other.
        absolute: How far two numbers may be apart.
        relative: The same, as a share of the greater one.
        at: The way to both.
    """
    if isinstance(expected, list) and isinstance(answered, list) and len(expected) == len(answered):
        for number, pair in enumerate(zip(expected, answered, strict=True)):
            yield from differences(*pair, absolute, relative, (*at, number))
    elif isinstance(expected, dict) and isinstance(answered, dict) and expected.keys() == answered.keys():
        for name, value in expected.items():
            yield from differences(value, answered[name], absolute, relative, (*at, name))
    elif _number(expected) and _number(answered):
        if not _close(expected, answered, absolute, relative):
            yield at, expected, answered
    elif type(expected) is not type(answered) or expected != answered:
        yield at, expected, answered


def _close(expected: float, answered: float, absolute: float, relative: float) -> bool:
    if all(isinstance(each, float) or abs(each) <= EXACT for each in (expected, answered)):
        return math.isclose(expected, answered, rel_tol=relative, abs_tol=absolute)
    if any(isinstance(each, float) and not math.isfinite(each) for each in (expected, answered)):
        return False
    one, other = Fraction(expected), Fraction(answered)  # the same formula, exactly
    return abs(one - other) <= max(Fraction(str(relative)) * max(abs(one), abs(other)), Fraction(str(absolute)))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Load:
    """Requests on a fixed schedule: a slow answer delays no other request, as long as a worker is free.

    Args:
        url: Of the host that is asked.
        questions: What it is asked, in turn: ci.cluster.traffic.Question says what each has.
        rate: Requests a second.
        timeout: Seconds after which a request has failed.
    """

    def __init__(self, url: str, questions: Sequence[Mapping[str, Any]], rate: float, timeout: float) -> None:
        self.url = urlsplit(url)
        self.questions = [(urlsplit(url.rstrip("/") + each["path"]), each) for each in questions]
        self.rate = rate
        self.timeout = timeout
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.taken = 0
        self.sent = 0
        self.late = 0.0
        self.began = time.monotonic()

    def follow(self, admin: str) -> None:
        """Write down each change of the proxy's routes to the host, until stopped.

        Args:
            admin: Envoy's admin interface ("http://127.0.0.1:15000").
        """
        known: dict[str, dict[str, int]] = {}
        looked = 0.0
        while not self.stopping.is_set():
            looking = time.time()
            try:
                updated, found = routes(admin, self.url.hostname or "", self.timeout)
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                print(f"{admin}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            else:
                if found and found != known:
                    # until the look before this one, what was known before was surely in force
                    line = {"routes": found, "updated": updated, "before": looked or updated}
                    with self.lock:
                        print(json.dumps(line), flush=True)
                    known = found
                looked = looking
            self.stopping.wait(LOOK_SECONDS)

    def work(self) -> None:
        """Take the next request of the schedule, wait for its time, send it; until stopped."""
        connection: http.client.HTTPConnection | None = None
        while True:
            with self.lock:
                number = self.taken
                self.taken += 1
            due = self.began + number / self.rate
            if self.stopping.wait(max(0.0, due - time.monotonic())):
                break
            late = time.monotonic() - due
            connection, line = self.send(connection, *self.questions[number % len(self.questions)])
            with self.lock:
                self.sent += 1
                self.late = max(self.late, late)
                print(json.dumps(line), flush=True)
        if connection is not None:
            connection.close()

    def send(
        self, connection: http.client.HTTPConnection | None, url: SplitResult, question: Mapping[str, Any]
    ) -> tuple[http.client.HTTPConnection | None, dict[str, Any]]:
        """Ask one question; return the connection, if it can be used again, and what came."""
        connection, line, content = post(connection, url, question["body"], self.timeout)
        line["right"] = False
        if 200 <= line["status"] < 300 and not line["reason"]:
            try:
                found = find(json.loads(content), question["at"])
            except (ValueError, LookupError, RecursionError) as error:
                line["reason"] = f"{type(error).__name__}: {error}"
            else:
                wrong = differences(question["expected"], found, question["absolute"], question["relative"])
                line["right"] = not question["judged"] or not any(True for _ in wrong)
        return connection, line


def routes(admin: str, host: str, timeout: float) -> tuple[float, dict[str, dict[str, int]]]:
    """Return what Envoy does with requests to a host: since when, and each named route's clusters with their weights.

    Source of the format: envoy.admin.v3.RoutesConfigDump and envoy.config.route.v3.RouteConfiguration. Nothing is
    returned for a host that it has no route to, or while it has no routes at all, which it answers with 404.
    """
    try:
        with urllib.request.urlopen(f"{admin}/config_dump?resource=dynamic_route_configs", timeout=timeout) as answer:  # noqa: S310
            dump = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.NOT_FOUND:
            return 0.0, {}
        raise
    for config in dump["configs"]:
        for virtual_host in config["route_config"].get("virtual_hosts", []):
            if host in virtual_host["domains"]:
                found = {item["name"]: clusters(item["route"]) for item in virtual_host["routes"] if "name" in item}
                return datetime.fromisoformat(config["last_updated"]).timestamp(), found
    return 0.0, {}


def clusters(route: dict[str, Any]) -> dict[str, int]:
    """Return a route's clusters and their weights; Istio leaves out what gets nothing."""
    if "weighted_clusters" in route:
        return {item["name"]: item.get("weight", 0) for item in route["weighted_clusters"]["clusters"]}
    return {route["cluster"]: 100}


def post(
    connection: http.client.HTTPConnection | None, url: SplitResult, body: str, timeout: float
) -> tuple[http.client.HTTPConnection | None, dict[str, Any], bytes]:
    """Send one request; return the connection, if it can be used again, what came, and its content."""
    line: dict[str, Any] = {"started": time.time(), "status": 0, "served_by": "", "reason": ""}
    content = b""
    started = time.monotonic()
    try:
        if connection is None:
            connection = http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=timeout)
        target = f"{url.path}?{url.query}" if url.query else url.path
        connection.request("POST", target, body.encode(), {"Content-Type": "application/json"})
        response = connection.getresponse()
        line["status"] = response.status
        line["served_by"] = response.headers.get("x-served-by", "")
        content = response.read()
        if not 200 <= response.status < 300:
            line["reason"] = content.decode(errors="replace")[:200]
    except (OSError, http.client.HTTPException) as error:
        line["reason"] = f"{type(error).__name__}: {error}"
        if connection is not None:
            connection.close()
            connection = None
    line["seconds"] = round(time.monotonic() - started, 6)
    return connection, line, content


def load(url: str, rate: float, workers: int, timeout: float, admin: str | None) -> None:
    """Ask the questions of the first line on standard input until a second one comes, then wait for those under way.

    Standard input stays open until the last line was read at the other end: of what a program writes just before it
    ends, `kubectl exec` may lose some.
    """
    questions = json.loads(sys.stdin.readline())
    print(json.dumps({"clock": time.time()}), flush=True)
    work = Load(url, questions, rate, timeout)
    threads = [threading.Thread(target=work.work) for _ in range(workers)]
    if admin is not None:
        threads.append(threading.Thread(target=work.follow, args=(admin,)))
    for thread in threads:
        thread.start()
    sys.stdin.readline()
    work.stopping.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"sent": work.sent, "late": round(work.late, 6)}), flush=True)
    sys.stdin.read()


def replay() -> None:
    """Send the requests of a list, each when the one before is over, on one kept connection to each host.

    The answers, a line of JSON each, are written when all are there: nothing else is done while requests are timed.
    Standard input stays open until the last line was read at the other end, as for `load`.
    """
    wanted = json.loads(sys.stdin.readline())
    connections: dict[str, http.client.HTTPConnection | None] = {}
    answers = []
    for url, body in wanted["requests"]:
        address = urlsplit(url)
        connection, line, content = post(connections.get(address.netloc), address, body, wanted["timeout"])
        connections[address.netloc] = connection
        text = content.decode(errors="replace") or line["reason"]
        answers.append({"status": line["status"], "body": text, "seconds": line["seconds"]})
    for answer in answers:
        print(json.dumps(answer))
    sys.stdout.flush()
    sys.stdin.read()


def ask() -> None:
    """Send the request described on standard input."""
    wanted = json.load(sys.stdin)
    body = wanted["body"].encode() if wanted["body"] is not None else None
    request = urllib.request.Request(wanted["url"], body, wanted["headers"], method=wanted["method"])  # noqa: S310
    started = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=wanted["timeout"]) as response:  # noqa: S310
            answer = {"status": response.status, "headers": dict(response.headers), "body": response.read().decode()}
    except urllib.error.HTTPError as error:
        answer = {"status": error.code, "headers": dict(error.headers), "body": error.read().decode(errors="replace")}
    except OSError as error:
        answer = {"status": 0, "headers": {}, "body": f"{type(error).__name__}: {error}"}
    answer["seconds"] = round(time.monotonic() - started, 6)
    json.dump(answer, sys.stdout)


def idle() -> None:
    """Wait until the pod is stopped: the first process of a container must ask for SIGTERM to get it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        signal.pause()


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("idle")
    commands.add_parser("ask")
    commands.add_parser("replay")
    loading = commands.add_parser("load")
    loading.add_argument("--url", required=True)
    loading.add_argument("--rate", type=float, required=True)
    loading.add_argument("--workers", type=int, default=16)
    loading.add_argument("--timeout", type=float, default=10.0)
    loading.add_argument("--admin", metavar="URL", help="admin interface of the pod's proxy, whose routes are followed")
    given = parser.parse_args()
    if given.command == "load":
        load(given.url, given.rate, given.workers, given.timeout, given.admin)
    else:
        {"ask": ask, "idle": idle, "replay": replay}[given.command]()


if __name__ == "__main__":
    main()
