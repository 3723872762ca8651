"""The page that people read: whole, in order, escaped, and nothing in it that loads anything."""

import base64
import hashlib
import re
from dataclasses import replace

import html5lib
import pytest

from ci.report import html
from tests.harness import reports


def page(report):
    """The page as a browser has it; a parse error, as of a tag that is not closed, is an error here."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html.render(report))


def words(element):
    return " ".join("".join(element.itertext()).split())


def section(root, name):
    return root.find(f".//*[@id='{name}']")


@pytest.mark.parametrize("name", reports.ALL)
def test_every_report_has_every_section_in_the_same_order(name):
    root = page(reports.ALL[name]())
    assert [item.get("id") for item in root.iter() if item.get("id")] == list(html.SECTIONS)
    assert [link.get("href") for link in root.findall(".//nav/a")] == [f"#{id_}" for id_ in html.SECTIONS]


@pytest.mark.parametrize("name", reports.ALL)
def test_nothing_in_it_runs_or_loads_anything(name):
    root = page(reports.ALL[name]())
    for element in root.iter():
        tag = str(element.tag).rpartition("}")[2]
        assert tag not in {
            "script",
            "img",
            "iframe",
            "object",
            "embed",
            "form",
            "base",
            "image",
            "use",
            "foreignObject",
        }
        assert not [
            key for key in dict(element.attrib) if str(key).startswith("on") or key in ("style", "src", "srcset")
        ]
        target = element.get("href", "")
        assert not re.match(r"(?i)\s*([a-z][a-z0-9+.-]*:|//)", target) or target == "data:,", target
    (style,) = root.findall(".//style")
    assert "url(" not in style.text
    assert "@import" not in style.text


def test_its_policy_allows_its_own_style_and_nothing_else():
    root = page(reports.passed())
    policy = root.find(".//meta[@http-equiv]").get("content")
    digest = base64.b64encode(hashlib.sha256(root.find(".//style").text.encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


@pytest.mark.parametrize("name", ["failed", "hostile", "12 canaries"])
def test_the_same_report_makes_the_same_page(name):
    assert html.render(reports.ALL[name]()) == html.render(reports.ALL[name]())


def test_text_from_outside_is_shown_as_it_is_and_never_taken_for_markup():
    root = page(reports.hostile())
    shown = words(root)
    assert "<script>alert(" not in html.render(reports.hostile())
    assert "{{ 7*7 }}" in shown
    for place in set(html.SECTIONS) - {"behaviour"}:
        assert '<script>alert("1")</script>' in words(section(root, place)), place


def test_a_failed_run_says_first_where_why_and_how_to_go_on():
    report = reports.failed()
    root = page(report)
    outcome = section(root, "outcome")
    assert outcome.get("class") == "failed"
    assert words(outcome.find("h1")) == "✗ Failed at canary after 2 min 52 s"
    assert words(outcome.find("p[@class='why']")) == report.failure.message
    assert report.failure.fix in words(outcome.find("p[@class='fix']"))
    assert report.culprits[0] in words(outcome)
    assert outcome.find(".//a[@href='#diagnostics']") is not None
    assert words(root.find(".//title")).startswith("✗ failed at canary")


def test_diagnostics_show_the_telling_lines_and_link_every_file():
    root = page(reports.failed())
    diagnostics = section(root, "diagnostics")
    assert next(words(pre) for pre in diagnostics.iter("pre")).startswith("E assert [Request(status=503)] == []")
    assert [details.get("open") is not None for details in diagnostics.findall("details")] == [
        True,
        False,
        False,
        False,
    ]
    links = {link.get("href") for link in diagnostics.iter("a")}
    assert {"pytest-canary.log", "diagnostics/events.txt", "diagnostics/nodes.txt"} <= links
    assert "rendered/dev.yaml" not in links


def test_a_passed_run_is_green_and_says_what_was_not_needed():
    root = page(reports.passed())
    assert section(root, "outcome").get("class") == "passed"
    assert words(section(root, "outcome").find("h1")) == "✓ Passed in 8 min 23 s"
    assert words(section(root, "diagnostics")) == "Diagnostics Nothing failed, so none were collected."


def test_a_comparison_of_versions_is_told_and_drawn():
    told = section(page(reports.passed()), "behaviour")
    assert "146 of 150 answers agree" in words(told)
    assert "virginica-20" in words(told)
    assert "Right → wrong" in words(told)
    assert any(item.tag.endswith("svg") for item in told.iter())


def proofs(report):
    return section(page(report), "applications").findall("details")


def test_an_application_has_its_sets_as_they_were_served():
    wine, _ = proofs(reports.passed())
    assert words(wine.find("summary")) == "dev/wine proven model 1.0, image v0.20.0 → model 2.0, image v0.20.0"
    before, proven = ([words(cell) for cell in row] for row in wine.find(".//tbody").iter("tr"))
    assert before == ["Before", "1.0", "1" * 12, "v0.20.0", "a" * 12, "main"]
    assert proven == [
        *("Proven", "2.0", "2" * 12, "v0.20.0"),
        f"{'a' * 12} built here, not the published image",
        "main",
    ]
    assert [code.get("title") for code in wine.find(".//table").iter("code")] == [
        f"sha256:{each * 64}" for each in "1a2a"
    ]


def test_an_application_says_what_was_asked_and_moved_and_what_was_changed_for_it():
    wine, _ = proofs(reports.passed())
    assert [words(item) for item in wine.find("ul").findall("li")] == [
        "golden inputs wine 1: 146 of 150 answers agree; accuracy 97.3% → 98.7%; 1 right → wrong, 3 wrong → right",
        "candidate: 3 of 1500 requests got no answer, the first:",
        "canary: Healthy after 52.9 s; 1340 requests, 0 failed, step by step",
        "tests: 20 of 20 passed",
        "back to model 1.0, image v0.20.0: it answered",
    ]
    answers, overlay = wine.findall("details")
    assert any(str(item.tag).endswith("svg") for item in answers.iter())
    assert words(overlay) == (
        "1 value of the environment changed for the cluster exampleModel.replicas: 3 → 1 (throwaway.replicas)"
    )


def test_a_first_deploy_has_one_set_its_rule_and_nothing_to_compare_it_with():
    _, first = proofs(reports.passed())
    assert words(first.find("summary")) == "live-eu/reviews proven image 7"
    assert [[words(cell) for cell in row] for row in first.find(".//tbody").iter("tr")] == [
        ["Proven", "", "none", "7", "b" * 12, ""]
    ]
    assert [words(item) for item in first.find("ul").findall("li")] == [
        "golden inputs reviews 1: 148 of 150 answers are right (98.7%)",
        "candidate: 3 of 1500 requests got no answer, the first:",
        "tests: not reached",
        "a first deploy has no champion, and no canary",
    ]
    assert first.findall("details") == []


def test_the_canary_of_an_application_is_drawn_once():
    report = reports.application_failed()
    assert report.canaries == [report.applications[0].canary]
    root = page(report)
    assert len(section(root, "canaries").findall("details")) == 1
    assert "Weight of the canary" not in words(section(root, "applications"))


def test_the_application_that_ended_a_run_is_the_last_one_and_says_why():
    good, wrong = proofs(reports.application_failed())
    assert words(good.find("summary")).startswith("dev/wine proven")
    assert good.find("p[@class='bad']") is None
    assert words(wrong.find("summary")).startswith("live-eu/wine failed")
    assert words(wrong.find("p[@class='bad']")) == reports.WRONG
    assert [words(row.find("th")) for row in good.find(".//tbody").iter("tr")] == ["Before", "Proven"]
    assert [words(row.find("th")) for row in wrong.find(".//tbody").iter("tr")] == ["Before", "Not proven"]
    assert "canary: none was watched" in words(wrong)
    assert "back to model 1.0, image v0.20.0: not reached" in words(wrong)
    assert words(wrong.find(".//li[@class='bad']")) == "accuracy in slice large is 17 of 26"


def test_a_dashboard_has_its_panels_with_their_series_and_units():
    rate, latency, budget, pods, errors, alerts = section(page(reports.passed()), "dashboards").iter("figure")
    assert words(rate.find("p[@class='legend']")) == "565f486b76 67fc49988f"
    assert len(rate.findall(".//{*}polyline")) == 2
    assert [words(tick) for tick in latency.findall(".//{*}text")[:3]] == ["50 ms", "25 ms", "0 ms"]
    assert [words(tick) for tick in budget.findall(".//{*}text")[:3]] == ["100 %", "25 %", "-50 %"]
    assert len(pods.findall(".//{*}polyline")) == 8
    assert "4 more" in words(pods)
    assert [words(tick) for tick in errors.findall(".//{*}text")[:3]] == ["100 %", "50 %", "0 %"]
    assert "no data" in words(alerts)


def test_what_was_not_run_says_so_in_one_line():
    root = page(reports.empty())
    none = {name: words(section(root, name).find("p[@class='none']")) for name in list(html.SECTIONS)[1:-1]}
    assert none == {
        "stages": "None was begun.",
        "applications": "None was proven in this run.",
        "diagnostics": "Nothing failed, so none were collected.",
        "findings": "None.",
        "effects": "Lint was given no base, or nothing differs from it.",
        "canaries": "No canary was watched to its end in this run.",
        "behaviour": "No two versions were compared in this run's stage behaviour.",
        "inference": "No request was sent in this run's stage inference.",
        "gates": "Not replayed in this run.",
        "gitops": "None in this run.",
        "dashboards": "None were drawn in this run.",
    }


def test_an_interrupted_run_names_the_stage():
    root = page(reports.interrupted())
    assert words(section(root, "outcome").find("h1")) == "✗ Interrupted at stack after 29.0 s"


def test_a_run_that_ended_before_its_first_stage_says_why():
    outcome = section(page(reports.without_docker()), "outcome")
    assert "no Docker daemon answers" in words(outcome)
    assert "Fix apt-get install docker.io" in words(outcome)


def test_stages_stand_where_they_were_in_the_course_of_the_run():
    root = page(reports.passed())
    rows = section(root, "stages").findall(".//tbody/tr")
    assert [words(row.findall("td")[1]) for row in rows] == [name for name, _, _ in reports.STAGES]
    bar = [element for element in rows[-1].iter() if str(element.tag).endswith("rect")][1]
    assert float(bar.get("x").rstrip("%")) == pytest.approx(100 * 307.8 / 502.7, abs=0.01)
    assert float(bar.get("width").rstrip("%")) == pytest.approx(100 * 190.4 / 502.7, abs=0.01)


def test_a_canary_has_its_four_charts_and_its_figures():
    root = page(reports.passed())
    first, *others = section(root, "canaries").findall("details")
    assert [words(caption).partition(":")[0] for caption in first.iter("figcaption")] == [
        "Weight of the canary",
        "Requests per second",
        "Latency",
        "Failed requests per second",
    ]
    assert "1340 requests, 0 failed" in words(first.find("summary"))
    assert first.get("open") is not None
    assert [details.get("open") for details in others] == [None] * 4


def test_a_canary_whose_answers_did_not_follow_its_weight_is_open_and_says_so():
    report = replace(reports.passed(), canaries=[*reports.passed().canaries[:1], *reports.failed().canaries])
    wrong = section(page(report), "canaries").findall("details")[1]
    assert wrong.get("open") is not None
    assert "answers did not follow the weight" in words(wrong.find("summary"))


def test_the_gates_are_a_row_for_each_end_of_a_shape_and_say_where_it_differs():
    gates = section(page(reports.passed()), "gates")
    header, *_ = gates.findall(".//thead/tr")
    assert [words(cell) for cell in header] == ["Canary", "Ends", "After", "By", "Where"]
    rows = {words(row.find("th")): row for row in gates.findall(".//tbody/tr")}
    assert told(rows["NaN"]) == ["✓ held for a person", "130 s", "latency-p95", "everywhere"]
    assert told(rows["p95 x2"]) == ["! goes through in 2 of 3", "40 s", "", "dev"]
    assert told(rows["wrong answers"]) == ["✗ goes through", "1200 s", "", "prod"]
    assert [rows[shape].get("class") for shape in ("NaN", "p95 x2", "wrong answers")] == ["", "warn", "bad"]
    assert "prod: 3 of 4 faults are stopped, 2 of 2 healthy versions go through" in words(gates)
    assert "dev, p95 x2: windows of 20 s hold too few requests; staging does" in words(gates)


def test_the_gates_of_sixty_targets_are_no_wider_and_hardly_longer_than_those_of_one():
    def of(*targets):
        own = [gate for gate in reports.GATES if gate.environment == "staging"]
        gates = [replace(gate, environment=name) for name in targets for gate in own]
        return section(page(replace(reports.passed(), gates=gates)), "gates")

    names = [f"{environment}/model-{number}" for environment in ("lab", "live") for number in range(30)]
    one, many = of("lab/model-0"), of(*names)

    assert [told(row) for row in many.iter("tr")] == [told(row) for row in one.iter("tr")]
    assert words(many.find("ul")) == "lab/*, live/*: 3 of 3 faults are stopped, 2 of 2 healthy versions go through"


def told(row):
    return [words(cell) for cell in row.findall("td")]


def test_two_hundred_findings_are_all_there_errors_first():
    findings = section(page(reports.findings(200)), "findings")
    items = list(findings.iter("li"))
    assert len(items) == 200
    assert [item.get("class") for item in items] == ["error"] * 100 + ["warning"] * 100
    assert words(findings.find("details/summary")) == "175 more"


def test_a_page_of_twelve_long_canaries_stays_small():
    assert len(html.render(reports.canaries(12)).encode()) < 1_500_000


def test_it_is_written_as_utf_8_in_place_of_an_older_one(tmp_path):
    (tmp_path / "report.html").write_text("x" * 10_000_000)
    html.write(tmp_path / "report.html", reports.hostile())
    assert (tmp_path / "report.html").read_bytes().decode() == html.render(reports.hostile())
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
