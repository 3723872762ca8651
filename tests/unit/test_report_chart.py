"""The geometry of a canary's charts, in percent from the upper left corner."""

from dataclasses import replace

import pytest

from ci.report import chart
from ci.results import Bucket, CanaryTimeline, WeightChange
from tests.harness import reports

SEEN = CanaryTimeline(
    name="x",
    outcome="Degraded",
    seconds=8.0,
    stable_revision="aaa",
    canary_revision="bbb",
    requests=55,
    failed=3,
    weights=[WeightChange(0.0, 100, 0), WeightChange(5.0, 80, 20)],
    buckets=[
        Bucket(0.0, "aaa", 10, 0, 1.0, 10.0),
        Bucket(5.0, "aaa", 8, 0, 1.0, 10.0),
        Bucket(5.0, "bbb", 2, 2, 100.0, 100.0),
        Bucket(5.0, "", 1, 1, 1.0, 1.0),
        Bucket(9.0, "aaa", 5, 0, 1.0, 10.0),
    ],
)


def panel(name, seen=SEEN):
    return next(item for item in chart.canary(seen).panels if item.title.startswith(name))


def lines(name, style, seen=SEEN):
    return [
        [tuple(map(float, point.split(","))) for point in line.points.split()]
        for line in panel(name, seen).lines
        if line.style == style
    ]


def test_the_weight_is_a_staircase_to_the_end_of_the_observation():
    assert lines("Weight", "canary") == [[(0, 100), (50, 100), (50, 80), (100, 80)]]
    assert chart.canary(SEEN).changes == [50.0]


def test_a_revision_that_answers_nothing_for_a_while_has_no_requests_then():
    (stable,), (canary,) = lines("Requests", "stable"), lines("Requests", "canary")
    assert stable == [(5, 0), (55, 20), (95, 50)]
    assert canary == [(5, 100), (55, 80), (95, 100)]


def test_latency_is_on_a_logarithmic_axis_and_ends_where_there_are_no_answers():
    assert [(tick.at, tick.label) for tick in panel("Latency").ticks] == [(0, "100 ms"), (50, "10 ms"), (100, "1 ms")]
    assert lines("Latency", "canary") == [[(55, 0), (55, 0)]], "a single bucket is a dot"
    assert lines("Latency", "stable") == [[(5, 50), (5, 50)], [(55, 50), (55, 50)], [(95, 50), (95, 50)]]
    near = replace(SEEN, buckets=[bucket for bucket in SEEN.buckets if bucket.at != 0.0])
    near.buckets[-1] = replace(near.buckets[-1], at=8.0)
    assert len(lines("Latency", "stable", near)) == 1, "a short gap is chance"


def test_failed_requests_of_all_stand_upon_each_other():
    failed = panel("Failed")
    assert failed.ticks[0].label == "5"
    canary, neither = failed.bars
    assert (canary.style, canary.y, canary.height) == ("canary", 40, 40)
    assert (neither.style, neither.y, neither.height) == ("neither", 80, 20)
    assert neither.y == canary.y + canary.height
    assert neither.y + neither.height == 100


def test_pointing_at_a_moment_says_its_figures():
    (words,) = [column.words for column in panel("Latency").columns if column.x == 50]
    assert words == (
        "5 s: stable p50 1.0 ms, p95 10.0 ms, canary p50 100.0 ms, p95 100.0 ms, neither p50 1.0 ms, p95 1.0 ms"
    )


def test_nothing_measured_is_said_and_not_drawn():
    nothing = replace(SEEN, buckets=[], weights=[])
    assert [item.note for item in chart.canary(nothing).panels] == [
        "no weight was seen",
        "not measured",
        "not measured",
        "not measured",
    ]
    assert not any(item.lines or item.bars for item in chart.canary(nothing).panels)


@pytest.mark.parametrize("seen", [*reports.passed().canaries, reports.canary("long", seconds=3000.0)])
def test_everything_is_within_its_panel(seen):
    drawn = chart.canary(seen)
    assert 2 <= len(drawn.ticks) <= 7
    for item in drawn.panels:
        for line in item.lines:
            for point in line.points.split():
                assert all(-0.01 <= float(value) <= 100.01 for value in point.split(","))
        for bar in item.bars:
            assert 0 <= bar.x <= bar.x + bar.width <= 100.02
            assert -0.01 <= bar.y <= bar.y + bar.height <= 100.02
        for column in item.columns:
            assert 0 <= column.x <= column.x + column.width <= 100.02
