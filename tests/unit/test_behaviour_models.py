"""Golden files of four kinds of model, recorded from and asked of real HTTP servers, as a client in the mesh asks."""

import dataclasses
import json
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.base.errors import CheckFailedError, UsageError
from ci.base.paths import ROOT
from ci.base.wait import NotYet, until
from ci.behaviour import compare, golden, known_answer, protocols, record, serve
from ci.behaviour.record import Asking
from ci.canary.observe import traffic
from ci.canary.observe.files import traffic_client
from tests.harness import cli, guide
from tests.harness.listening import Server

pytestmark = pytest.mark.anyio
SECONDS = 60
"""Ends a test that hangs."""


def prices(request, error=0.0):
    """A regression, as KServe's LightGBM server answers it: floats, by V1."""
    return {"predictions": [123_456.78 + 310.5 * area + 1_000 * rooms + error for area, rooms in request["instances"]]}


def vectors(request, error=0.0):
    """Probabilities of three classes, as LightGBM gives them of a multiclass objective."""
    return {"predictions": [[0.7 + error, 0.2 - error, 0.1] for _ in request["instances"]]}


def sentiment(request, wrong=()):
    """A text classification by Open Inference V2."""
    texts = request["inputs"][0]["data"]
    labels = ["negative" if ("awful" in text) is not (text in wrong) else "positive" for text in texts]
    return {
        "model_name": "reviews",
        "outputs": [{"name": "label", "shape": [len(labels)], "datatype": "BYTES", "data": labels}],
    }


def entities(request, key="found"):
    """JSON as somebody's own server answers it."""
    return {"result": {key: [{"text": word, "score": 0.9} for word in request["text"].split() if word.istitle()]}}


class Model(BaseHTTPRequestHandler):
    """Answers each path by its model, others with 404; a model that raises is a 500."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        model = self.server.models.get(self.path)
        try:
            status, answer = (404, {"error": f"no {self.path}"}) if model is None else (200, model(asked))
        except (KeyError, ValueError, TypeError) as error:
            status, answer = 500, {"error": repr(error)}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@contextmanager
def serving(models):
    with Server(("127.0.0.1", 0), Model) as server:
        server.models = models
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


REGRESSION = """
name: house-prices
version: 1
source: made for a test
tolerance: {absolute: 1.0, relative: 1e-4}
known: flat
slices: {large: more than 200 square metres}
gates:
  all: {accuracy: 0.9, agreement: 0.9}
  large: {accuracy: 1}
inputs:
  - {id: flat, instance: [50, 2], expected: 140981.8}
  - {id: house, instance: [120.5, 5], expected: 165872}
  - {id: castle, instance: [900, 30], expected: 432906.78, slices: [large]}
"""
PROBABILITIES = """
name: animals
version: 1
source: made for a test
tolerance: {absolute: 0.05}
known: cat
schema: {type: array, items: {type: number, minimum: 0, maximum: 1}, minItems: 3, maxItems: 3}
gates: {all: {regressions: 0}}
inputs:
  - {id: cat, instance: [1, 2], expected: [0.7, 0.2, 0.1]}
  - {id: any, instance: [3, 4]}
"""
TEXTS = """
name: reviews
version: 1
source: made for a test
protocol: v2
answer: $.outputs[0].data[0]
known: good
gates: {all: {accuracy: 1}}
inputs:
  - id: good
    request: {inputs: [{name: text, shape: [1], datatype: BYTES, data: [a fine film]}]}
    expected: positive
  - id: bad
    request: {inputs: [{name: text, shape: [1], datatype: BYTES, data: [an awful film]}]}
    expected: negative
"""
OWN = """
name: entities
version: 1
source: made for a test
protocol: json
path: /extract?model={model}
answer: $.result.found
tolerance: {absolute: 0.1}
gates: {all: {accuracy: 1}}
inputs:
  - {id: two, request: {text: Ada met Charles}, expected: [{text: Ada, score: 0.85}, {text: Charles, score: 0.95}]}
  - {id: none, request: {text: nobody}, expected: []}
"""
KINDS = {
    "regression": (REGRESSION, "/v1/models/house-prices:predict", prices, {"error": 500.0}),
    "vector": (PROBABILITIES, "/v1/models/animals:predict", vectors, {"error": 0.1}),
    "text": (TEXTS, "/v2/models/reviews/infer", sentiment, {"wrong": ("an awful film",)}),
    "own": (OWN, "/extract?model=entities", entities, {"key": "entities"}),
}
"""Golden file, path, the model, and what makes a bad version of it."""


@pytest.fixture(params=KINDS)
def kind(request):
    text, path, model, fault = KINDS[request.param]
    inputs = golden.parse(text, f"{request.param}.yaml")
    assert inputs.url_path(inputs.name) == path
    with serving({path: model}) as good, serving({path: lambda asked: model(asked, **fault)}) as bad:
        yield inputs, good, bad


async def compared(inputs, champion, candidate):
    """As `serve.ask` does it, but for the pod."""
    urls = [host + inputs.url_path(inputs.name) for host in (champion, candidate)]
    bodies = [json.dumps(inputs.body(item)) for item in inputs.inputs]
    order = serve.schedule(len(bodies), serve.WARM_UP_ROUNDS + 2)
    requests = [(urls[version], bodies[item]) for version, item in order]
    replies = await traffic.replayed([sys.executable, str(traffic.SCRIPT), "replay"], requests, SECONDS)
    return compare.compare(inputs, ["good", "other"], *serve.sorted_out(inputs, order, replies))


async def test_a_good_version_of_any_kind_passes(kind):
    inputs, good, _ = kind
    result = await compared(inputs, good, good)

    compare.require(result)
    assert result.slices[0].candidate.share == 1
    assert (result.candidate_failed, result.regressions) == (0, [])


async def test_a_bad_version_of_any_kind_is_stopped_and_what_it_answered_is_shown(kind):
    inputs, good, bad = kind
    result = await compared(inputs, good, bad)

    with pytest.raises(CheckFailedError, match=f"does not behave as {inputs.name} 1 asks"):
        compare.require(result)
    assert result.regressions
    assert all(item.reason for item in result.regressions)


async def test_an_answer_that_is_not_where_it_should_be_is_a_failed_one_with_its_reason():
    inputs = golden.parse(OWN, "own.yaml")
    path = inputs.url_path("entities")
    with serving({path: entities}) as good, serving({path: lambda asked: entities(asked, key="entities")}) as bad:
        result = await compared(inputs, good, bad)
    assert (result.champion_failed, result.candidate_failed) == (0, 4)
    assert result.candidate_failure.startswith('nothing at $.result.found: {"result": {"entities"')
    assert {item.reason for item in result.regressions} >= {result.candidate_failure}


async def test_steady_traffic_asks_the_golden_questions_of_any_kind(kind):
    inputs, good, bad = kind
    questions = serve.questions(inputs, inputs.name)

    async def asked(host):
        argv = [sys.executable, str(traffic.SCRIPT), "load", f"--url={host}", "--rate=50"]
        async with traffic.stream(argv, questions) as seen:

            async def all_asked():
                if len(seen.requests) < 2 * len(questions):
                    raise NotYet(f"{len(seen.requests)} answers")

            await until("each question is answered twice", all_asked, timeout=SECONDS, interval=0.02)
        assert seen.failed == []
        return seen.wrong

    assert await asked(good) == []
    assert await asked(bad) != []


def test_the_known_answer_is_the_very_request_and_where_its_answer_is():
    found = known_answer.known_answer(golden.parse(REGRESSION, "a.yaml"), "prices-blue")
    assert found == {
        "protocol": "v1",
        "path": "/v1/models/prices-blue:predict",
        "request": {"instances": [[50, 2]]},
        "at": "$.predictions[0]",
        "expected": 140981.8,
        "absolute": 1.0,
        "relative": 1e-4,
    }
    vector = known_answer.known_answer(golden.parse(PROBABILITIES, "a.yaml"), "animals")
    assert (vector["expected"], vector["absolute"], vector["relative"]) == ([0.7, 0.2, 0.1], 0.05, 0.0)
    text = known_answer.known_answer(golden.parse(TEXTS, "a.yaml"), "reviews")
    assert (text["protocol"], text["path"], text["at"]) == ("v2", "/v2/models/reviews/infer", "$.outputs[0].data[0]")
    assert text["request"]["inputs"][0]["data"] == ["a fine film"]
    assert known_answer.known_answer(golden.parse(OWN, "a.yaml"), "entities") is None


@pytest.mark.parametrize("text", [REGRESSION, PROBABILITIES, TEXTS])
def test_the_known_answer_is_asked_as_the_golden_input_is(text):
    inputs = golden.parse(text, "a.yaml")
    known = known_answer.known_answer(inputs, "prices")
    asked = serve.questions(inputs, "prices")[[item.id for item in inputs.inputs].index(inputs.known)]
    assert known_answer.question(known, "prices") == asked
    unnamed = {key: value for key, value in known.items() if key not in ("path", "absolute", "relative")}
    exact = dataclasses.replace(asked, absolute=0.0, relative=0.0)
    assert known_answer.question(unnamed, "prices") == exact


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"expected": 140981.9}, "expected: 140981.9, but golden inputs house-prices 1 ask flat with 140981.8"),
        ({"path": "/v1/models/iris:predict"}, "path: '/v1/models/iris:predict', but golden inputs"),
        ({"request": {"instances": [[50, 3]]}}, "request: {'instances': [[50, 3]]}, but golden inputs"),
        ({"agreement": 1.0}, "agreement: unknown, but golden inputs house-prices 1 ask flat by protocol, path"),
    ],
)
def test_values_that_are_not_the_golden_files_are_told(change, said):
    inputs = golden.parse(REGRESSION, "a.yaml")
    known = known_answer.known_answer(inputs, "prices")
    assert known_answer.differs(inputs, {**known, "absolute": 1, "relative": 0.0001}, "prices") is None
    found = known_answer.differs(inputs, {**known, **change}, "prices")
    assert found.startswith(f"exampleModel.knownAnswer.{said}") and "\n" not in found


def test_values_without_what_the_golden_file_asks_are_told():
    inputs = golden.parse(REGRESSION, "a.yaml")
    known = known_answer.known_answer(inputs, "prices")
    assert known_answer.differs(inputs, None, "prices").startswith("exampleModel.knownAnswer: not there, but golden")
    del known["at"]
    assert known_answer.differs(inputs, known, "prices").startswith("exampleModel.knownAnswer.at: not there, but")
    assert known_answer.differs(golden.parse(OWN, "a.yaml"), None, "entities") is None


def questions_of(inputs):
    return [getattr(item, inputs.asked.asks) for item in inputs.inputs]


@pytest.mark.parametrize("form", ["jsonl", "yaml"])
async def test_a_file_recorded_from_a_version_passes_that_version_and_not_another(kind, tmp_path, form):
    inputs, good, bad = kind
    file, out = tmp_path / f"questions.{form}", tmp_path / "golden" / "recorded.yaml"
    questions = questions_of(inputs)
    file.write_text("\n".join(map(json.dumps, questions)) if form == "jsonl" else json.dumps(questions))

    written = record.record(Asking(good, inputs.name, inputs.protocol, inputs.path, inputs.answer), file, out)

    assert golden.load(out) == written
    assert (questions_of(written), written.keys) == (questions, inputs.keys)
    assert [path.name for path in out.parent.iterdir()] == ["recorded.yaml"]
    compare.require(await compared(written, good, good))
    with pytest.raises(CheckFailedError):
        compare.require(await compared(written, good, bad))


def test_questions_are_read_as_python_writes_json(tmp_path):
    (tmp_path / "q.json").write_text(json.dumps([{"text": "Ada 😀 met"}]))
    with serving({"/extract": entities}) as host:
        asking = Asking(host, "entities", "json", "/extract", "$.result.found[0].text")
        (item,) = record.record(asking, tmp_path / "q.json", tmp_path / "a.yaml").inputs
    assert (item.request, item.expected) == ({"text": "Ada 😀 met"}, "Ada")


def test_a_recorded_file_names_no_password(tmp_path):
    (tmp_path / "q.jsonl").write_text("[50, 2]\n")
    with serving({"/v1/models/a:predict": prices}) as host:
        record.record(Asking(host.replace("//", "//me:hush@"), "a", "v1"), tmp_path / "q.jsonl", tmp_path / "a.yaml")
    assert "hush" not in (tmp_path / "a.yaml").read_text()


def test_an_answer_that_no_file_can_hold_is_told_and_nothing_is_written(tmp_path):
    (tmp_path / "q.jsonl").write_text("[50, 2]\n")
    half = {"predictions": ["half of a character: \ud83d"]}
    with (
        serving({"/v1/models/a:predict": lambda asked: half}) as host,
        pytest.raises(UsageError, match=r"a\.yaml: row 1 \(input-1\): expected: .* cannot be sent as JSON"),
    ):
        record.record(Asking(host, "a", "v1"), tmp_path / "q.jsonl", tmp_path / "a.yaml")
    assert not (tmp_path / "a.yaml").exists()


@pytest.mark.parametrize(
    ("asking", "questions", "error", "said"),
    [
        ({}, "[50, 2]\n[50]\n", UsageError, "q.jsonl: row 2 (input-2): instance: 1 values, but 2 values in row 1"),
        ({}, "[50, 2]\n{\n", UsageError, "q.jsonl:2: no JSON: "),
        ({}, "\n", UsageError, "q.jsonl: no list of questions"),
        ({"name": "a b"}, "[50, 2]\n", UsageError, "q.jsonl: name: String should match"),
        ({"protocol": "json"}, "{}\n", UsageError, "q.jsonl: protocol: json has no path of its own: say `path`"),
        ({"protocol": "v2"}, "{}\n", UsageError, "q.jsonl: row 1 (input-1): request: protocol v2 asks by a list"),
        ({"answer": "predictions"}, "[50, 2]\n", UsageError, "q.jsonl: answer: predictions is no JSONPath"),
        ({"name": "other"}, "[50, 2]\n", CheckFailedError, "/v1/models/other:predict: input-1: 404 {"),
        ({"answer": "$.outputs"}, "[50, 2]\n", CheckFailedError, "input-1: nothing at $.outputs: {"),
        ({}, '["x", "y"]\n', CheckFailedError, "/v1/models/prices:predict: input-1: 500 "),
        ({"url": "http://127.0.0.1:9"}, "[50, 2]\n", CheckFailedError, "/v1/models/prices:predict: input-1: "),
        ({"url": "127.0.0.1:8080"}, "[50, 2]\n", UsageError, "--url 127.0.0.1:8080: begins with neither http:// nor"),
        ({"url": "localhost:8080"}, "[50, 2]\n", UsageError, "--url localhost:8080: begins with neither http:// nor"),
        ({"name": "other"}, "[50, 2]\n", CheckFailedError, "/v1/models/other:predict: input-1: 404 "),
    ],
)
def test_what_cannot_be_recorded_is_told_in_one_line_and_nothing_is_written(tmp_path, asking, questions, error, said):
    (tmp_path / "q.jsonl").write_text(questions)
    with serving({"/v1/models/prices:predict": prices}) as host:
        given = Asking(**{"url": host, "name": "prices", "protocol": "v1"} | asking)
        with pytest.raises(error) as raised:
            record.record(given, tmp_path / "q.jsonl", tmp_path / "out.yaml")
    assert said in raised.value.message and "\n" not in raised.value.message
    assert raised.value.fix
    assert [path.name for path in tmp_path.iterdir()] == ["q.jsonl"]


def test_the_command_writes_once_and_says_what_is_left_to_do(tmp_path):
    (tmp_path / "q.jsonl").write_text("[50, 2]\n[120.5, 5]\n")
    with serving({"/v1/models/prices:predict": prices}) as host:
        words = ["golden", "record", f"--url={host}", f"--requests={tmp_path}/q.jsonl"]
        words += ["--name=prices", "--protocol=v1", f"--out={tmp_path}/prices.yaml"]
        first, again, other = (
            cli.run(*words, *more, cwd=ROOT) for more in ([], [], ["--protocol=v3", f"--out={tmp_path}/other.yaml"])
        )
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith(f"{tmp_path}/prices.yaml: 2 inputs of prices, protocol v1\n")
    assert "what THIS version gives" in first.stdout
    assert [item.expected for item in golden.load(tmp_path / "prices.yaml").inputs] == [140981.78, 165872.03]
    assert again.returncode == 2 and "is there already, and is not overwritten" in " ".join(again.stderr.split())
    assert other.returncode == 2 and "--protocol v3: not one of v1, v2, json" in " ".join(other.stderr.split())


FLOAT = st.floats(allow_nan=False, allow_infinity=False)
SCALAR = st.one_of(st.none(), st.booleans(), st.integers(-(1 << 60), 1 << 60), FLOAT, st.text())
VALUE = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4))


@given(VALUE, VALUE)
def test_whatever_json_is_asked_and_answered_is_read_back_as_it_was(question, answer):
    content = record._content(Asking("http://a", "a", "json", "/", "$"), [question], [answer])
    (item,) = golden.parse(record._text(content), "a.yaml").inputs
    assert json.dumps([item.request, item.expected]) == json.dumps([question, answer])


@given(VALUE, VALUE)
def test_values_differ_where_their_json_does(one, other):
    same = not list(traffic_client.differences(one, other, 0, 0))
    assert same is (not list(traffic_client.differences(other, one, 0, 0)))
    if json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True):
        assert same
    assert not list(traffic_client.differences(one, one, 0, 0))


HUGE = 10**400
"""Beyond every float, and JSON all the same."""


@pytest.mark.parametrize(
    ("expected", "answered", "absolute", "relative", "same"),
    [
        (1.5, HUGE, 0.1, 0.1, False),
        (HUGE, 1, 0, 0, False),
        (HUGE, float("inf"), 0, 0.5, False),
        (HUGE, float("nan"), 0, 0.5, False),
        (HUGE, HUGE, 0, 0, True),
        (HUGE, HUGE + 1, 0, 0, False),
        (HUGE, HUGE + 1, 1, 0, True),
        (HUGE, HUGE + HUGE // 100, 0, 0.1, True),
    ],
)
def test_a_number_beyond_every_float_is_compared_as_others_are(expected, answered, absolute, relative, same):
    assert same is not any(True for _ in traffic_client.differences(expected, answered, absolute, relative))


# --- docs/behaviour.md ---


@pytest.mark.parametrize("text", guide.fenced("behaviour", "yaml"), ids=["v1", "v2", "json"])
def test_each_of_the_guides_golden_files_asks_and_is_answered(text):
    inputs = golden.parse(text, "golden/any.yaml")
    answered = {"v1": {"predictions": [1]}, "v2": {"outputs": [{"data": ["a"]}]}, "json": {"result": {"found": []}}}

    assert [inputs.body(item) for item in inputs.inputs]
    assert inputs.url_path(inputs.name).count(inputs.name) == 1
    assert protocols.read(inputs.asked, inputs.keys, json.dumps(answered[inputs.protocol])) in (1, "a", [])
