"""What the simulator's own series, kept by a real Prometheus, are judged as once they are read back."""

import copy
import json
import re
from dataclasses import replace

import anyio
import anyio.to_thread
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from ci.base import paths
from ci.base.errors import CheckFailedError, UsageError
from ci.canary import engine, judge, overlay, recorded, recording
from ci.canary.engine import BASE
from ci.canary.recording import Given
from tests.harness.gates import DECLARED, executables, rendered_plan

SHAPES = ("5xx 5 %", "5xx later", "p95 x2", "crash loop", "counter reset", "scrape gap", "noise", "restart")
BUCKETS = "inference_request_duration_milliseconds_bucket"
TOTAL = "inference_request_total"


@pytest.fixture(scope="module")
def canary(chart):
    return rendered_plan(chart)


async def asked(url, **parameters):
    answer = await anyio.to_thread.run_sync(lambda: requests.get(url, params=parameters, timeout=30))
    return answer.json()


@pytest.fixture(scope="module")
def kept(canary):
    """By shape: its case, the simulator's verdict, and what Prometheus answers to the command of docs/gates.md."""
    cases = [case for case in judge.catalogued([canary]) if case.shape.name in SHAPES]
    verdicts = anyio.run(judge.judge, *executables(), cases, DECLARED)
    query = re.search(r"'query=(?P<query>.+)'", (paths.ROOT / "docs" / "gates.md").read_text())["query"]
    end = BASE + canary.seconds

    async def answers():
        samples = (sample for case in cases for sample in case.samples(DECLARED))
        async with engine.running(*executables(), samples) as running:
            raw = await asked(f"{running.url}/api/v1/query", query=query, time=end)
            selector = query.rpartition("[")[0]
            return raw, await asked(
                f"{running.url}/api/v1/query_range", query=selector, start=BASE - 150, end=end, step=15
            )

    raw, at_steps = anyio.run(answers)

    def of(answer, case):
        own = [each for each in answer["data"]["result"] if each["metric"]["revision"] in case.revisions.values()]
        return {"status": "success", "data": {"resultType": "matrix", "result": own}}

    return {
        case.shape.name: (case, verdict.outcomes[0], of(raw, case), of(at_steps, case))
        for case, verdict in zip(cases, verdicts, strict=True)
    }


class Record:
    """A recording of one shape, to be changed and read."""

    def __init__(self, kept, canary, folder, read):
        self.case, self.simulated, answer, self.at_steps = kept
        self.answer = copy.deepcopy(answer)
        self.canary = canary
        self.asked = read({metric.query for metric in canary.metrics})
        self.file = folder / "canary.json"

    @property
    def series(self):
        return self.answer["data"]["result"]

    def revision(self, role):
        return self.case.revisions[role]

    def keep(self, wanted):
        """Drop what is not wanted; a sample is looked at by its series' labels and its second."""
        for each in self.series:
            each["values"] = [value for value in each["values"] if wanted(each["metric"], value[0] - BASE)]
        self.answer["data"]["result"] = [each for each in self.series if each["values"]]

    def relabel(self, **labels):
        for each in self.series:
            each["metric"].update(labels)

    def read(self):
        self.file.write_text(json.dumps(self.answer))
        return recording.read(self.file)

    def lay(self, **given):
        return overlay.lay(self.read(), self.canary.by_figures(), Given(**given), self.asked)

    def replayed(self, **given):
        return anyio.run(recorded.replayed, *executables(), self.canary, self.read(), Given(**given))


@pytest.fixture
def record(kept, canary, tmp_path, read):
    return lambda shape: Record(kept[shape], canary, tmp_path, read)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_recording_of_simulated_series_is_judged_as_they_were(record, shape):
    replay = record(shape)

    assert replay.replayed(start=BASE).outcome == replay.simulated


def test_a_query_that_is_no_promql_is_told_in_prometheus_words(record, canary):
    replay = record("noise")
    first, *others = canary.background
    replay.canary = replace(canary, background=[replace(first, query="sum(up"), *others])

    with pytest.raises(CheckFailedError, match=f"{first.name}: .* 1:7: parse error: unclosed left") as refused:
        replay.replayed(start=BASE)
    assert refused.value.detail == "sum(up"


def test_the_shapes_above_end_in_different_ways(kept):
    outcomes = [simulated for _, simulated, _, _ in kept.values()]

    assert {outcome.phase for outcome in outcomes} == {"Healthy", "Degraded"}
    assert {"success-rate", "latency-increase"} <= {outcome.metric for outcome in outcomes}
    assert {outcome.step for outcome in outcomes} == {1, 2}


def test_without_a_start_the_canarys_first_sample_is_taken(record):
    replay = record("5xx 5 %")
    own = [each for each in replay.series if each["metric"]["revision"] == replay.revision("Latest")]
    first = min(each["values"][0][0] for each in own)

    found, given_so = replay.replayed(), replay.replayed(start=first)

    assert found.outcome == given_so.outcome
    assert found.outcome.metric == replay.simulated.metric
    assert "its first sample; the weight was set up to 15 s before" in found.notes[0]
    assert "given" in given_so.notes[0]


def test_a_recording_from_elsewhere_is_read_once_its_names_are_given(record):
    replay = record("p95 x2")
    replay.relabel(namespace="shop", model="iris")

    with pytest.raises(UsageError, match='namespace="ml-serving"') as refused:
        replay.replayed(start=BASE)
    assert "--label namespace=shop" in refused.value.fix
    assert "--label model=iris" in refused.value.fix
    read = replay.replayed(start=BASE, labels={"namespace": "shop", "model": "iris"})
    assert read.outcome == replay.simulated
    assert "namespace shop stands for ml-serving" in read.notes


def test_other_releases_in_the_recording_are_left_out(record):
    replay = record("5xx 5 %")
    other = copy.deepcopy(replay.series)
    for each in other:
        each["metric"].update(namespace="shop")
    replay.series.extend(other)

    assert replay.replayed(start=BASE).outcome == replay.simulated


def test_labels_keep_whatever_is_in_them(record):
    replay = record("5xx 5 %")
    replay.relabel(path='C:\\iris "v2",\nα}')

    assert replay.replayed(start=BASE).outcome == replay.simulated


@pytest.mark.parametrize("name", [BUCKETS, TOTAL])
def test_a_series_that_a_query_needs_and_is_not_there_is_named(record, name):
    replay = record("noise")
    replay.keep(lambda labels, _: labels["__name__"] != name)

    with pytest.raises(UsageError, match=f"canary.json: no {name}"):
        replay.lay(start=BASE)


@pytest.mark.parametrize("role", ["Stable", "Latest"])
def test_a_series_that_is_not_there_for_one_revision_is_named_with_it(record, role):
    replay = record("noise")
    revision = replay.revision(role)
    replay.keep(lambda labels, _: labels["__name__"] != BUCKETS or labels["revision"] != revision)

    with pytest.raises(UsageError, match=f'no {BUCKETS}{{revision="{revision}"}}'):
        replay.lay(start=BASE)


def test_a_recording_that_ends_early_decides_nothing_after_its_end(record):
    replay = record("noise")
    replay.keep(lambda _, second: second < 70)

    outcome = replay.replayed(start=BASE).outcome

    assert (outcome.phase, outcome.step, outcome.metric) == ("Unknown", 2, "")
    assert 70 < outcome.second <= 90


def test_a_canary_that_was_taken_away_is_not_judged_by_what_came_after(record):
    """Its real Rollout aborted it: the stable version's figures go on, and there are no requests to the canary."""
    replay = record("noise")
    canary = replay.revision("Latest")
    replay.keep(lambda labels, second: labels["revision"] != canary or second < 40)

    assert replay.replayed(start=BASE).outcome.phase == "Unknown"


def test_what_was_decided_before_the_recordings_end_stays_decided(record):
    replay = record("5xx 5 %")
    replay.keep(lambda _, second: second < replay.simulated.second + 5)

    assert replay.replayed(start=BASE).outcome == replay.simulated


@pytest.mark.parametrize("start", [{}, {"start": BASE}], ids=["found", "given"])
def test_a_recording_that_begins_with_the_canary_under_way_is_refused(record, start):
    replay = record("noise")
    replay.keep(lambda _, second: second > 20)

    with pytest.raises(UsageError, match="what was before is not known"):
        replay.lay(**start)


def test_a_start_after_the_canarys_last_sample_is_refused(record):
    with pytest.raises(UsageError, match="is before --start"):
        record("noise").lay(start=BASE + 9999)


def test_more_than_two_revisions_are_told_apart_by_name(record):
    replay = record("5xx 5 %")
    older = [copy.deepcopy(each) for each in replay.series if each["metric"]["revision"] == replay.revision("Stable")]
    for each in older:
        each["metric"]["revision"] = "older"
    replay.series.extend(older)

    with pytest.raises(UsageError, match=r"cannot be told: it has .*older from 2023-11-15T"):
        replay.lay(start=BASE)
    with pytest.raises(UsageError, match="--canary newest: not in"):
        replay.lay(start=BASE, canary="newest")
    named = replay.replayed(start=BASE, stable=replay.revision("Stable"), canary=replay.revision("Latest"))
    assert named.outcome == replay.simulated


def test_a_canary_alone_is_no_recording_of_a_canary(record):
    replay = record("noise")
    replay.keep(lambda labels, _: labels["revision"] == replay.revision("Latest"))

    with pytest.raises(UsageError, match="the stable revision and the canary cannot be told"):
        replay.lay(start=BASE)


def test_the_answer_of_query_range_is_read_and_marked(record):
    replay = record("noise")
    assert not any("query_range" in note for note in replay.lay(start=BASE).notes)

    replay.answer = replay.at_steps

    assert any("query_range" in note for note in replay.lay(start=BASE).notes)


def test_other_times_between_scrapes_are_marked(record):
    replay = record("noise")
    replay.keep(lambda _, second: round(second / 15) % 2 == 0)

    assert any("scraped every 30 s, the chart every 15 s" in note for note in replay.lay(start=BASE).notes)


def test_requests_of_each_step_are_those_of_the_weights(record):
    read = record("noise").replayed(start=BASE)

    assert [(share.step, share.weight, share.start, share.end) for share in read.shares] == [
        (1, 20, 0, 60),
        (2, 50, 60, 120),
    ]
    for share in read.shares:
        assert share.canary / share.requests == pytest.approx(share.weight / 100, abs=0.06)
        assert share.requests == pytest.approx(20 * 60, rel=0.2)


def test_what_prometheus_is_not_asked_is_not_judged_and_said(record):
    notes = record("noise").replayed(start=BASE).notes

    assert [note for note in notes if "known-answer is not judged" in note] == [notes[-1]]


SMALL = {
    "status": "success",
    "data": {
        "resultType": "matrix",
        "result": [
            {"metric": {"__name__": TOTAL, "revision": "a"}, "values": [[1700000000.5, "1"], [1700000015.5, "2"]]}
        ],
    },
}


def changed(change):
    answer = copy.deepcopy(SMALL)
    change(answer)
    return json.dumps(answer)


def first(answer):
    return answer["data"]["result"][0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "JSON"),
        ("# TYPE inference_request_total counter\n", "JSON"),
        ('{"status":"error","errorType":"bad_data","error":"parse error"}', "status"),
        (changed(lambda answer: answer["data"].update(resultType="vector")), "resultType: Input should be 'matrix'"),
        (changed(lambda answer: first(answer).pop("values")), r"result\.0\.values"),
        (changed(lambda answer: first(answer).update(values=[])), r"result\.0\.values"),
        (changed(lambda answer: first(answer).update(values=[[1700000000.5, "many"]])), "many"),
        (changed(lambda answer: first(answer).update(values=[[1700000000.5, "NaN"]])), r"values\.0\.1"),
        (changed(lambda answer: first(answer).update(values=[[1700000000.5, "-1"]])), "greater than or equal to 0"),
        (changed(lambda answer: first(answer).update(values=[[1700000000500, "1"]])), "less than"),
        (changed(lambda answer: first(answer)["values"].reverse()), "not in the order of their times"),
        (
            changed(lambda answer: first(answer)["values"].append([1700000015.5, "2"])),
            "not in the order of their times",
        ),
        (changed(lambda answer: answer["data"]["result"].append(first(answer))), "there twice"),
        (changed(lambda answer: first(answer).update(values=[[1700000000.5, None]])), "could not convert"),
    ],
    ids=[
        "empty",
        "OpenMetrics",
        "an error",
        "without a range",
        "no values",
        "empty values",
        "words",
        "NaN",
        "negative",
        "milliseconds",
        "backwards",
        "one time twice",
        "one series twice",
        "null",
    ],
)
def test_a_malformed_recording_is_refused_by_what_is_wrong(tmp_path, text, said):
    file = tmp_path / "canary.json"
    file.write_text(text)

    with pytest.raises(UsageError, match=said) as refused:
        recording.read(file)
    assert refused.value.message.startswith(str(file))


@given(st.integers(min_value=0, max_value=len(json.dumps(SMALL)) - 1))
def test_a_truncated_recording_is_refused(tmp_path_factory, length):
    file = tmp_path_factory.getbasetemp() / "truncated.json"
    file.write_text(json.dumps(SMALL)[:length])

    with pytest.raises(UsageError, match=r"truncated\.json"):
        recording.read(file)


def test_a_recording_of_something_else_says_how_to_make_one(canary, tmp_path, read):
    file = tmp_path / "canary.json"
    file.write_text(json.dumps(SMALL).replace(TOTAL, "up"))
    asked = read({metric.query for metric in canary.metrics})

    with pytest.raises(UsageError, match=f"no {TOTAL}") as refused:
        overlay.lay(recording.read(file), canary.by_figures(), Given(), asked)
    assert "docs/gates.md" in refused.value.fix
