import io
from dataclasses import replace

from rich.console import Console

from ci import results as model
from ci.report import terminal
from tests.harness import reports

TIMELINE = model.CanaryTimeline(
    name="good: sklearn-iris v2",
    outcome="Healthy",
    seconds=61.3,
    stable_revision="5d5cb8c8d7",
    canary_revision="7f9b6c6b4d",
    requests=3600,
    failed=0,
    weights=[model.WeightChange(0.0, 100, 0), model.WeightChange(4.2, 80, 20), model.WeightChange(26.0, 50, 50)],
    shares=[model.Share(20, 1000, 203, 144, 260), model.Share(50, 1000, 900, 422, 578)],
    traffic=[
        model.RevisionTraffic("5d5cb8c8d7", 2900, 0, 2.1, 5.6, 9.9),
        model.RevisionTraffic("7f9b6c6b4d", 700, 0, 2.2, 5.8, 9.1),
    ],
    declared_pause_seconds=40.0,
)
REPORT = model.Report(
    command="test",
    started="2026-11-23T17:00:00Z",
    outcome="failed",
    seconds=81.25,
    stages=[
        model.Stage("lint", "passed", 3.51),
        model.Stage("canary", "failed", 70.0, "[red]aborted[/red] by the analysis"),
        model.Stage("uninstall", "skipped", 0.0),
    ],
    findings=[
        model.Finding("yaml", "values.yaml", 0, "too many blank lines", "remove one", "warning"),
        model.Finding("schema", "helm/charts/ml-serving/values.yaml", 33, "unknown key [x]", "remove it"),
    ],
    canaries=[TIMELINE],
)


def shown(renderable, width=100, **settings):
    out = io.StringIO()
    Console(file=out, width=width, **settings).print(renderable)
    return out.getvalue()


def row(text, start):
    return next(line.split() for line in text.splitlines() if start in line)


def test_every_stage_shows_how_it_ended_and_its_seconds():
    text = shown(terminal.stages(REPORT.stages))
    assert row(text, "lint") == ["✓", "lint", "3.5"]
    assert row(text, "canary")[:3] == ["✗", "canary", "70.0"]
    assert row(text, "uninstall") == ["-", "uninstall"]


def test_text_of_others_is_never_taken_for_markup():
    text = shown(terminal.render(REPORT))
    assert "[red]aborted[/red] by the analysis" in text
    assert "unknown key [x]" in text


def test_findings_show_errors_first_with_place_and_remedy():
    lines = shown(terminal.findings(REPORT.findings)).splitlines()
    assert lines == [
        "✗ helm/charts/ml-serving/values.yaml:33 unknown key [x] (schema)",
        "  → remove it",
        "! values.yaml too many blank lines (yaml)",
        "  → remove one",
        "1 error, 1 warning",
    ]


def test_a_canary_that_took_no_steps_or_not_all_is_not_said_to_have_paused():
    text = shown(terminal.timeline(replace(TIMELINE, seconds=18.8)))
    assert "Healthy after 18.8 s (not all 40 s of pauses); 3600 requests, 0 failed" in text


def test_the_time_line_shows_weights_shares_with_their_bound_and_latency():
    text = shown(terminal.timeline(TIMELINE))
    assert "Healthy after 61.3 s (40 s of them declared pauses); 3600 requests, 0 failed" in text
    assert row(text, "4.2 s")[:6] == ["4.2", "s", "80", "%", "20", "%"]
    assert row(text, "20.3%") == ["20", "%", "1000", "203", "20.3%", "144", "to", "260", "✓"]
    assert row(text, "90.0%") == ["50", "%", "1000", "900", "90.0%", "422", "to", "578", "✗"]
    assert row(text, "7f9b6c6b4d") == ["7f9b6c6b4d", "(canary)", "700", "0", "2.2", "5.8", "9.1"]


def test_an_application_shows_its_sets_as_served_and_what_came_of_them():
    text = shown(terminal.application(reports.WINE, ""))
    assert text.startswith("✓ dev/wine: model 1.0, image v0.20.0 → model 2.0, image v0.20.0\n")
    assert row(text, "Before") == ["Before", "1.0", "1" * 12, "v0.20.0", "a" * 12]
    assert row(text, "Proven") == ["Proven", "2.0", "2" * 12, "v0.20.0", "a" * 12]
    lines = [line.strip() for line in text.splitlines()]
    assert "canary: Healthy after 52.9 s; 1340 requests, 0 failed" in lines
    assert "tests: 20 of 20 passed" in lines
    assert "back to model 1.0, image v0.20.0: it answered" in lines
    assert "proven: image built here, not the published image" in lines
    assert "exampleModel.replicas: 3 → 1 (throwaway.replicas)" in lines
    assert "Answers by slice" in text
    assert "Weights on the VirtualService" not in text, "its canary is drawn with the others"


def test_a_first_deploy_shows_one_set_and_its_rule():
    text = shown(terminal.application(reports.FIRST, ""))
    assert "Before" not in text
    assert "  a first deploy has no champion, and no canary\n" in text
    assert "Answers by slice" not in text


def test_an_application_that_failed_says_why():
    text = shown(terminal.render(reports.application_failed()), width=200)
    assert row(text, "live-eu/wine:")[0] == "✗"
    assert f"  ✗ {reports.WRONG}\n" in text
    assert row(text, "dev/wine:")[0] == "✓"
    assert [line.split()[0] for line in text.splitlines() if "222222222222" in line] == ["Proven", "Not"]


def test_an_application_of_a_run_that_was_interrupted_is_not_called_proven():
    report = reports.application_failed()
    report.stages[-1] = replace(report.stages[-1], message="interrupted")
    text = shown(terminal.render(replace(report, outcome="interrupted", failure=None)), width=200)
    assert "  ✗ interrupted\n" in text
    assert "Not proven" in text


def test_a_narrow_terminal_cuts_no_name_and_no_number():
    text = shown(terminal.render(REPORT), width=60)
    assert max(len(line) for line in text.splitlines()) <= 60
    assert row(text, "70.0")[:3] == ["✗", "canary", "70.0"]
    assert row(text, "20.3%") == ["20", "%", "1000", "203", "20.3%", "144", "to", "260", "✓"]
    assert row(text, "7f9b6c6b4d") == ["7f9b6c6b4d", "(canary)", "700", "0", "2.2", "5.8", "9.1"]


def test_no_color_means_no_colour(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in shown(terminal.render(REPORT), force_terminal=True)


def test_a_file_gets_plain_text():
    assert "\x1b" not in shown(terminal.render(REPORT))


def test_a_run_that_did_nothing_yet_still_says_how_it_ended():
    text = shown(terminal.render(model.Report(command="test", started="now", outcome="interrupted", seconds=0.4)))
    assert text == "✗ interrupted in 0.4 s\n"


def test_what_a_run_took_of_the_machine_is_told_at_its_end():
    report = model.Report("test", "2026-11-28T18:00:00+00:00")
    report.usage = model.Usage(memory=3 << 30, disk=8_400_000_000, supply=5_550_000_000)
    said = "took at most 3.0 GiB of memory and 8.4 GB of disk, beside 5.5 GB of images and tools"
    assert said in shown(terminal.render(report))
    assert said not in shown(terminal.render(model.Report("test", "2026-11-28T18:00:00+00:00")))
