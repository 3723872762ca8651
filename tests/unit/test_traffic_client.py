"""The real client, as a process, against a real HTTP server."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import anyio
import pytest

from ci.base.errors import CheckFailedError, WaitTimeoutError
from ci.base.wait import NotYet, until
from ci.canary.observe import traffic
from ci.canary.observe.files import traffic_client
from ci.canary.observe.traffic import Question
from tests.harness.listening import Server

pytestmark = pytest.mark.anyio
SPECIES = {5.1: 0, 5.9: 1, 6.7: 2}
PATH = "/v1/models/sklearn-iris:predict"
QUESTIONS = [
    Question(PATH, json.dumps({"instances": [[length, 3.0, 4.0, 1.0]]}), ["predictions", 0], species)
    for length, species in SPECIES.items()
]
SECONDS = 60
"""Ends a test that hangs; nothing that is waited for takes as long, however busy the machine."""


class Model(BaseHTTPRequestHandler):
    """Names the three flowers right; what else it does, the server's attribute `manner` says."""

    protocol_version = "HTTP/1.1"

    def handle(self):
        self.server.open.add(self.client_address)
        try:
            super().handle()
        finally:
            self.server.open.discard(self.client_address)

    def do_POST(self):
        (row,) = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["instances"]
        self.server.connections.add(self.client_address)
        self.server.paths[self.path] += 1
        number = next(self.server.numbers)
        manner = self.server.manner(number)
        if manner == "slow":
            time.sleep(0.4)
        if manner == "held":
            self.server.released.wait(2 * SECONDS)
        if manner == "hang up":
            self.close_connection = True
            return
        body = json.dumps({"predictions": [SPECIES[row[0]] + (manner == "wrong")]})
        self.send_response(503 if manner == "503" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-served-by", "10.244.0.7:8080" if number % 2 else "[fd00::7]:8080")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *arguments):
        pass


@contextmanager
def serving(manner=lambda number: ""):
    with Server(("127.0.0.1", 0), Model) as server:
        server.manner, server.numbers, server.connections = manner, iter(range(1 << 30)), set()
        server.open, server.paths = set(), Counter()
        server.released = threading.Event()
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        server.host = f"http://127.0.0.1:{server.server_port}"
        server.url = server.host + PATH
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()


def load(url, rate, *options, questions=QUESTIONS):
    argv = [sys.executable, str(traffic.SCRIPT), "load", f"--url={url}", f"--rate={rate}", *options]
    return traffic.stream(argv, questions)


async def answers(number, found):
    """Wait until the client has had so many answers; `found` gives them."""

    async def probe():
        if len(found()) < number:
            raise NotYet(f"{len(found())}")

    await until(f"{number} answers", probe, timeout=SECONDS, interval=0.02)


async def test_requests_go_out_no_faster_than_the_rate_that_was_asked_for():
    with serving() as server:
        began = time.monotonic()
        async with load(server.host, 50) as seen:
            await answers(100, lambda: seen.requests)
        took = time.monotonic() - began
    assert seen.failed == [] and seen.wrong == []
    assert len(seen.requests) <= 50 * took + 1
    assert len(server.connections) <= 16, "connections are used again"
    assert {request.served_by for request in seen.requests} == {"10.244.0.7", "fd00::7"}


async def test_each_question_has_its_own_path_and_body_and_its_own_right_answer():
    mistaken = [*QUESTIONS[:2], replace(QUESTIONS[2], expected=1)]
    with serving() as server:
        async with load(server.host, 50, questions=mistaken) as seen:
            await answers(30, lambda: seen.requests)
    third = len(seen.requests) / 3
    assert third - 1 <= len(seen.wrong) <= third + 1
    assert seen.failed == []
    assert server.paths.keys() == {PATH}


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ({"expected": 0.4, "absolute": 0.5}, True),
        ({"expected": 0.6, "absolute": 0.5}, False),
        ({"expected": [0], "at": ["predictions"]}, True),
        ({"expected": {"predictions": [0.2]}, "at": [], "absolute": 0.5}, True),
        ({"expected": False}, False),
        ({"expected": "0"}, False),
        ({"at": ["outputs", 0]}, False),
        ({"at": ["predictions", 1]}, False),
        ({"at": ["predictions", "0"]}, False),
        ({"expected": 5, "judged": False}, True),
        ({"expected": 5, "judged": False, "at": ["outputs"]}, False),
    ],
)
async def test_an_answer_is_right_where_the_question_says_and_as_near_as_it_says(change, right):
    with serving() as server:
        async with load(server.host, 50, questions=[replace(QUESTIONS[0], **change)]) as seen:
            await answers(1, lambda: seen.requests)
    assert {request.right for request in seen.requests} == {right}
    assert {request.status for request in seen.requests} == {200}
    nothing = not right and "at" in change
    assert all(("Error" in request.reason) is nothing for request in seen.requests)


async def test_a_path_may_have_a_query():
    with serving() as server:
        async with load(server.host, 50, questions=[replace(QUESTIONS[0], path="/a?version=2")]) as seen:
            await answers(1, lambda: seen.requests)
    assert server.paths.keys() == {"/a?version=2"}


class Schedule:
    """A clock that only waiting moves on, in place of the client's; the server counts real requests by it."""

    def __init__(self, ends):
        self.now, self.ends = 1000.0, ends

    def monotonic(self):
        return self.now

    def time(self):
        return self.now

    def wait(self, seconds):
        self.now += seconds
        return self.now >= 1000 + self.ends


def test_requests_go_out_on_a_schedule_which_is_caught_up_with_after_a_slow_answer(monkeypatch, capsys):
    clock, sent = Schedule(ends=1), []

    def manner(number):
        sent.append(round(clock.now - 1000, 6))
        clock.now += 0.21 if number == 2 else 0  # the answer takes so long
        return ""

    monkeypatch.setattr(traffic_client, "time", clock)
    with serving(manner) as server:
        work = traffic_client.Load(server.host, [asdict(each) for each in QUESTIONS], 10, SECONDS)
        work.stopping = clock
        work.work()
    assert sent == [0, 0.1, 0.2, 0.41, 0.41, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert len(capsys.readouterr().out.splitlines()) == work.sent == len(sent)
    assert work.late == pytest.approx(0.11)


async def test_answers_that_do_not_come_delay_no_other_request_while_a_worker_is_free():
    with serving(lambda number: "held" if number < 15 else "") as server:
        async with load(server.host, 50, f"--timeout={SECONDS}") as seen:
            await answers(30, lambda: seen.requests)
            in_time = len(seen.requests)
            assert seen.failed == []
            server.released.set()
        reached = next(server.numbers)
    assert seen.failed == []
    assert len(seen.requests) == reached >= in_time + 15


async def test_every_request_under_way_when_the_traffic_stops_is_in_the_result():
    with serving(lambda number: "held" if number else "") as server:
        async with load(server.host, 30, f"--timeout={SECONDS}") as seen:
            await answers(5, lambda: server.connections)
            before = len(seen.requests)
            threading.Timer(0.5, server.released.set).start()
        reached = next(server.numbers)
    assert len(seen.requests) == reached > before


async def test_a_request_that_fails_is_counted_once_and_the_next_ones_go_on():
    with serving(lambda number: {5: "503", 10: "hang up", 15: "wrong"}.get(number, "")) as server:
        async with load(server.host, 50) as seen:
            await answers(40, lambda: seen.requests)
        reached = next(server.numbers)
    assert len(seen.requests) == reached
    assert sorted(request.status for request in seen.failed) == [0, 503]
    assert "RemoteDisconnected" in next(request.reason for request in seen.failed if request.status == 0)
    assert len(seen.wrong) == 1


async def test_a_server_that_goes_and_comes_back_leaves_failures_and_then_answers():
    with serving() as server:
        async with load(server.host, 40) as seen:
            await answers(5, lambda: seen.requests)
            server.manner = lambda number: "hang up"
            await answers(6, lambda: seen.failed)
            server.manner = lambda number: ""
            back = len(seen.requests) + 16
            await answers(20, lambda: seen.requests[back:])
    in_order = sorted(seen.requests, key=lambda request: request.started)
    assert in_order[0].status == in_order[-1].status == 200
    assert len(seen.failed) > 5


async def test_results_count_from_the_moment_that_is_given():
    with serving() as server:
        began = time.time()
        async with load(server.host, 20) as seen:
            await answers(5, lambda: seen.requests)
    first = min(answer.started for answer in seen.result(since=began))
    assert 0 <= first < SECONDS
    assert len(seen.result()) == len(seen.requests)


async def test_nobody_listening_is_failures_with_their_reason():
    with serving() as server:
        url = server.host
    async with load(url, 20) as seen:
        await answers(3, lambda: seen.requests)
    assert seen.failed == seen.requests != []
    assert "refused" in seen.failed[0].reason


async def test_a_client_that_ends_early_is_named_with_its_last_words():
    with pytest.raises(CheckFailedError, match="ended after 0 requests") as raised:
        async with traffic.stream([sys.executable, "-c", "raise SystemExit('no such pod')"], QUESTIONS):
            pass
    assert "no such pod" in raised.value.detail


LATE = "import subprocess; subprocess.Popen(['sh', '-c', 'sleep 0.3; echo no such pod >&2'], stdin=-3, stdout=-3)"
"""Its last words come after its end, as those of a slow machine do."""


async def test_last_words_that_come_late_are_waited_for():
    with pytest.raises(CheckFailedError, match="ended after 0 requests") as raised:
        async with traffic.stream([sys.executable, "-c", LATE], QUESTIONS):
            pass
    assert "no such pod" in raised.value.detail

    with pytest.raises(CheckFailedError, match="ended after 0 of 1 answers") as raised:
        await traffic.replayed([sys.executable, "-c", LATE], [("http://nobody.test", "{}")], 1)
    assert "no such pod" in raised.value.detail


LOSING = """
import json, sys
print(json.dumps({"clock": 0}))
sys.stdin.readline()
print(json.dumps({"started": 1, "seconds": 1, "status": 200, "served_by": "", "right": True, "reason": ""}), flush=True)
sys.stdin.readline()
print(json.dumps({"sent": 2, "late": 0}), flush=True)
sys.stdin.read()
"""


async def test_lost_results_are_noticed():
    with pytest.raises(CheckFailedError, match="2 requests were sent, of 1 came word"):
        async with traffic.stream([sys.executable, "-c", LOSING], QUESTIONS):
            pass


async def test_a_client_that_says_nothing_is_waited_for_no_longer_than_the_deadline(monkeypatch):
    monkeypatch.setattr(traffic, "FIRST_SECONDS", 0.3)
    with pytest.raises(WaitTimeoutError, match="first request"):
        async with traffic.stream([sys.executable, "-c", "import sys; sys.stdin.read()"], QUESTIONS):
            pass


async def test_an_error_in_the_block_ends_the_client_too():
    with serving() as server:
        with pytest.raises(ZeroDivisionError):
            async with load(server.host, 20):
                raise ZeroDivisionError
        assert server.connections

        async def alone():
            if server.open:
                raise NotYet(f"open: {server.open}")

        await until("no client is connected", alone, timeout=SECONDS, interval=0.02)


@pytest.mark.parametrize(("status", "manner"), [(200, ""), (503, "503")])
def test_one_request(status, manner):
    with serving(lambda number: manner) as server:
        request = {
            "method": "POST",
            "url": server.url,
            "headers": {"Content-Type": "application/json"},
            "body": '{"instances": [[5.1, 3.5, 1.4, 0.2]]}',
            "timeout": SECONDS,
        }
        done = subprocess.run(
            [sys.executable, traffic.SCRIPT, "ask"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=True,
        )
    answer = json.loads(done.stdout)
    assert (answer["status"], json.loads(answer["body"])) == (status, {"predictions": [0]})
    assert answer["headers"]["x-served-by"] == "[fd00::7]:8080"


def test_one_request_to_nobody_says_why():
    request = {"method": "GET", "url": "http://127.0.0.1:9/", "headers": {}, "body": None, "timeout": SECONDS}
    done = subprocess.run(
        [sys.executable, traffic.SCRIPT, "ask"], input=json.dumps(request), capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    assert answer["status"] == 0 and "refused" in answer["body"]


async def test_the_idle_client_ends_when_it_is_asked_to():
    process = await anyio.open_process([sys.executable, str(traffic.SCRIPT), "idle"])

    async def listening():
        status = dict(line.split(":", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
        if not int(status["SigCgt"], 16) >> (signal.SIGTERM - 1) & 1:
            raise NotYet(f"signals that it catches: {status['SigCgt']}")

    await until("the client catches SIGTERM", listening, timeout=SECONDS, interval=0.05)
    process.terminate()
    with anyio.fail_after(SECONDS):
        assert await process.wait() == 0


REPLAY = [sys.executable, str(traffic.SCRIPT), "replay"]
BODIES = [question.body for question in QUESTIONS]


async def test_a_list_of_requests_is_answered_in_its_order_on_one_connection_to_each_host():
    with serving() as one, serving(lambda number: "wrong") as two:
        requests = [(server.url, body) for body in BODIES * 5 for server in (one, two)]
        replies = await traffic.replayed(REPLAY, requests, SECONDS)
    assert [json.loads(reply.body)["predictions"] for reply in replies] == [[0], [1], [1], [2], [2], [3]] * 5
    assert {reply.status for reply in replies} == {200}
    assert all(reply.seconds > 0 for reply in replies)
    assert len(one.connections) == len(two.connections) == 1


async def test_a_request_of_a_list_that_fails_is_an_answer_too_and_the_next_ones_go_on():
    with serving(lambda number: {1: "503", 3: "hang up", 5: "slow"}.get(number, "")) as server:
        began = time.monotonic()
        replies = await traffic.replayed(REPLAY, [(server.url, BODIES[0])] * 7, SECONDS)
        took = time.monotonic() - began
        reached = next(server.numbers)
    assert [reply.status for reply in replies] == [200, 503, 200, 0, 200, 200, 200]
    assert "RemoteDisconnected" in replies[3].body
    assert replies[5].seconds >= 0.4
    assert sum(reply.seconds for reply in replies) <= took, "each has its own time, not that of all before"
    assert reached == 7, "none is sent again"


async def test_an_answer_of_a_list_that_takes_too_long_is_none():
    with serving(lambda number: "held" if number == 0 else "") as server:
        replies = await traffic.replayed(REPLAY, [(server.url, BODIES[0])] * 2, 5)
    assert [reply.status for reply in replies] == [0, 200]
    assert "timed out" in replies[0].body


async def test_a_list_longer_than_a_pipe_holds_arrives():
    with serving() as server:
        replies = await traffic.replayed(REPLAY, [(server.url, BODIES[0] + " " * 5000)] * 50, SECONDS)
    assert len(replies) == 50


@pytest.mark.parametrize(
    "code", ["raise SystemExit('no such pod')", 'print(\'{"status": 200, "body": "", "seconds": 1}\')']
)
async def test_a_client_that_ends_before_its_last_answer_is_named(code):
    with pytest.raises(CheckFailedError, match=r"ended after [01] of 2 answers") as raised:
        await traffic.replayed([sys.executable, "-c", code], [("http://127.0.0.1:9/", "{}")] * 2, 5)
    assert ("no such pod" in raised.value.detail) is ("no such pod" in code)


async def test_answers_are_waited_for_no_longer_than_the_deadline(monkeypatch):
    monkeypatch.setattr(traffic, "REPLAY_SECONDS", 0.5)
    with pytest.raises(WaitTimeoutError, match="answers to 1 requests"):
        await traffic.replayed([sys.executable, "-c", "import sys; sys.stdin.read()"], [("http://127.0.0.1:9/", "")], 5)
