"""What people read of a model's behaviour: figures in terminal and Markdown, a plot in each, text that stays text."""

import dataclasses
import io
import xml.etree.ElementTree as ET

from rich.console import Console

from ci.report import behaviour, terminal
from ci.results import ChangedAnswer, LatencyDifference, Report, Slice
from tests.harness.behaviour import RESULT, share

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "x|y`<script>alert(1)</script> @everyone *b* [l](http://e.vil) \n# h"


def shown(result, width=100):
    out = io.StringIO()
    report = Report(command="test", started="now", behaviour=result)
    Console(file=out, width=width, highlight=False).print(terminal.render(report))
    return out.getvalue()


def line(text, start):
    return next(each for each in text.splitlines() if each.startswith(start))


def changed(**fields):
    return dataclasses.replace(RESULT, **fields)


def test_the_terminal_shows_every_figure():
    text = shown(RESULT)
    assert line(text, "✓ s3://models/sklearn-iris/v1 → s3://models/sklearn-iris/v2 on sklearn-iris 1:")
    assert "146 of 150 answers agree; accuracy 97.3% → 98.7%; 1 right → wrong, 3 wrong → right" in " ".join(
        text.split()
    )
    assert line(text, "boundary").split() == ["boundary", "27", "85.2%", "85.2%", "92.6%", "1", "3", "<", "0.001"]
    assert line(text, "p99").split()[:7] == ["p99", "20.0", "18.0", "-2.0", "(-6.0", "to", "+2.5)"]
    assert line(text, "virginica-20").split() == ["virginica-20", "2", "1"]


def test_eighty_columns_cut_nothing():
    text = shown(RESULT, width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert line(text, "p99").rstrip().endswith("─")
    assert line(text, "boundary").split() == ["boundary", "27", "85.2%", "85.2%", "92.6%", "1", "3", "<", "0.001"]


def test_what_the_gates_have_against_it_is_shown_in_both():
    failed = changed(failures=["accuracy in slice boundary is 1 of 27 (3.7%), at least 80.0% asked"])
    assert line(shown(failed), "✗ s3://models")
    assert line(shown(failed), "  ✗ accuracy in slice boundary is 1 of 27")
    text = behaviour.markdown(failed)
    assert text.startswith("### ✗ Model behaviour")
    assert "- ✗ <code>accuracy in slice boundary is 1 of 27 (3.7%), at least 80.0% asked</code>" in text


def test_markdown_has_a_row_for_each_slice_percentile_and_regression():
    text = behaviour.markdown(RESULT)
    assert "| <code>boundary</code> | 23 of 27 (66.3 to 95.8 %) | 23 of 27 (90.0 to 100.0 %) |" in text
    assert "| p50 | 4.1 | 4.9 | +0.8 (+0.7 to +0.9) |" in text
    assert "| <code>virginica-20</code> | <code>virginica</code>, <code>boundary</code> | <code>2</code> |" in text
    assert "1500 requests to each; failed: 0 → 3." in text
    tables = [each for each in text.splitlines() if each.startswith("|")]
    for heading in (each for each in tables if "---" in each):
        columns = heading.count("|")
        assert sum(each.count("|") == columns for each in tables) >= 2


def test_the_plot_puts_champion_candidate_and_interval_where_they_are():
    ends = Slice("x", share(1, 2), share(0, 2), share(2, 2, 0.5, 1.0), 0, 2, 0.5)
    assert behaviour.accuracy_bar(ends, 0) == "○" + " " * 14 + "─" * 15 + "●"
    slower = LatencyDifference(50, 4, 6, 2.0, 1.0, 4.0)
    assert behaviour.latency_bar(slower, 4.0) == " " * 15 + "│" + " " * 3 + "───●" + "─" * 8


def test_the_axis_leaves_no_value_out():
    for low in (0.0, 0.05, 0.3, 0.7, 0.95):
        one = changed(slices=[Slice("all", share(1, 1), share(9, 10), share(19, 20, low, 1.0), 0, 0, 1.0)])
        start = behaviour.accuracy_axis(one)
        assert start <= low
        assert len(behaviour.accuracy_bar(one.slices[0], start)) == behaviour.CELLS


def test_an_estimate_outside_of_its_interval_stays_in_the_plot():
    odd = LatencyDifference(99, 4, 20, 16.0, 1.0, 2.0)
    assert behaviour.latency_bar(odd, behaviour.latency_axis(changed(latency=[odd])))[-1] == "●"


def test_equal_times_make_a_plot_too():
    same = LatencyDifference(50, 4, 4, 0.0, 0.0, 0.0)
    assert "●" in behaviour.latency_bar(same, behaviour.latency_axis(changed(latency=[same])))
    assert ET.fromstring(behaviour.svg(changed(latency=[same]))).tag == f"{SVG}svg"


def test_a_share_is_never_rounded_to_all_or_none():
    assert [behaviour.percent(share(count, 9999)) for count in (0, 1, 9998, 9999)] == [
        "0.0%",
        "0.1%",
        "99.9%",
        "100.0%",
    ]


def test_only_the_first_regressions_are_listed_and_the_rest_counted():
    many = changed(regressions=[ChangedAnswer(f"flower-{number}", [], "0", "") for number in range(25)])
    text = behaviour.markdown(many)
    assert text.count("<code>flower-") == behaviour.SHOWN
    assert "… and 15 more in report.json." in text
    assert "no steady answer" in text
    assert "(15 more in report.json)" in " ".join(shown(many).split())
    assert "flower-9" in shown(many) and "flower-10" not in shown(many)


def test_a_long_answer_is_cut():
    long = changed(regressions=[ChangedAnswer("a", [], "0", "x" * 500)])
    assert "x" * 79 + "…" in behaviour.markdown(long).replace("&#8230;", "…")


def test_text_of_others_is_no_markup():
    hostile = changed(candidate=HOSTILE, regressions=[ChangedAnswer("a", [], "0", HOSTILE)], failures=[HOSTILE])
    text = behaviour.markdown(hostile)
    for markup in ("<script", "x|y", "`<", "@everyone", "*b*", "](", "\n# h"):
        assert markup not in text
    assert "[l](http://e.vil)" in shown(hostile, width=200)


def test_the_image_is_one_element_with_title_and_description():
    root = ET.fromstring(behaviour.svg(RESULT))
    assert (root.tag, root.get("role")) == (f"{SVG}svg", "img")
    assert root.find(f"{SVG}title").text.startswith("Model behaviour")
    assert "146 of 150 answers agree" in root.find(f"{SVG}desc").text


def test_the_image_has_the_colour_of_its_page():
    root = ET.fromstring(behaviour.svg(RESULT))
    colours = {each.get(name) for each in root.iter() for name in ("fill", "stroke")} - {None}
    assert colours == {"currentColor", "none"}


def test_the_image_shows_every_slice_and_percentile_inside_its_frame():
    root = ET.fromstring(behaviour.svg(RESULT))
    texts = [each.text for each in root.iter(f"{SVG}text")]
    assert {"all", "boundary", "setosa", "p50", "p95", "p99"} <= set(texts)
    assert len(list(root.iter(f"{SVG}circle"))) == 2 * len(RESULT.slices) + len(RESULT.latency)
    _, _, width, height = map(float, root.get("viewBox").split())
    for circle in root.iter(f"{SVG}circle"):
        assert 0 < float(circle.get("cx")) < width
        assert 0 < float(circle.get("cy")) < height


def test_text_in_the_image_is_escaped():
    text = behaviour.svg(changed(slices=[dataclasses.replace(RESULT.slices[0], name="<script>&")]))
    assert "<script" not in text
    assert "&lt;script&gt;&amp;" in text


def test_a_comparison_without_latency_is_shown_all_the_same():
    silent = changed(latency=[])
    assert "| Latency" not in behaviour.markdown(silent)
    assert "p50" not in behaviour.svg(silent)
    assert "p50" not in shown(silent)
