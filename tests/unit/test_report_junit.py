import os
import subprocess
import sys
import xml.dom.minidom

from ci import results as model
from ci.report import junit
from tests.harness import reports

REPORT = model.Report(
    command="test",
    started="2026-11-23T17:00:00Z",
    outcome="failed",
    seconds=81.25,
    stages=[
        model.Stage("lint", "passed", 3.5),
        model.Stage("canary", "failed", 70.0, 'aborted: <5xx> & "more" \x1b[31mred\x1b[0m'),
        model.Stage("uninstall", "skipped", 0.0, "canary failed"),
    ],
    findings=[
        model.Finding("schema", "helm/x.yaml", 3, "unknown key", "remove it"),
        model.Finding("yaml", "values.yaml", 0, "too many blank lines", "remove one", "warning"),
    ],
)


def parsed(path):
    return xml.dom.minidom.parse(str(path)).documentElement


def suite(root, name):
    return next(item for item in root.getElementsByTagName("testsuite") if item.getAttribute("name") == name)


def counts(element):
    return tuple(int(element.getAttribute(name)) for name in ("tests", "failures", "errors", "skipped"))


def test_stages_are_cases_with_their_outcome_and_seconds(tmp_path):
    junit.write(tmp_path / "junit.xml", REPORT)
    stages = suite(parsed(tmp_path / "junit.xml"), "stages")
    cases = stages.getElementsByTagName("testcase")
    assert [(case.getAttribute("name"), float(case.getAttribute("time"))) for case in cases] == [
        ("lint", 3.5),
        ("canary", 70.0),
        ("uninstall", 0.0),
    ]
    assert counts(stages) == (3, 1, 0, 1)
    failure = cases[1].getElementsByTagName("failure")[0]
    assert failure.getAttribute("message") == 'aborted: <5xx> & "more" red'


def test_an_error_fails_its_case_and_a_warning_only_speaks(tmp_path):
    junit.write(tmp_path / "junit.xml", REPORT)
    findings = suite(parsed(tmp_path / "junit.xml"), "findings")
    error, warning = findings.getElementsByTagName("testcase")
    assert counts(findings) == (2, 1, 0, 0)
    assert (error.getAttribute("file"), error.getAttribute("line")) == ("helm/x.yaml", "3")
    text = error.getElementsByTagName("failure")[0].firstChild.data
    assert text == "helm/x.yaml:3: unknown key\nremove it"
    assert not warning.getElementsByTagName("failure")
    assert "too many blank lines" in warning.getElementsByTagName("system-out")[0].firstChild.data


def test_an_application_is_a_case_and_says_what_was_served_asked_and_moved(tmp_path):
    junit.write(tmp_path / "junit.xml", reports.passed())
    applications = suite(parsed(tmp_path / "junit.xml"), "applications")
    wine, reviews = applications.getElementsByTagName("testcase")
    assert counts(applications) == (2, 0, 0, 0)
    assert (wine.getAttribute("classname"), wine.getAttribute("name")) == ("applications.dev", "wine")
    assert (reviews.getAttribute("classname"), reviews.getAttribute("name")) == ("applications.live-eu", "reviews")
    told = wine.getElementsByTagName("system-out")[0].firstChild.data.splitlines()
    assert told[:3] == [
        "model 1.0, image v0.20.0 → model 2.0, image v0.20.0",
        f"before: sha256:{'1' * 64}, sha256:{'a' * 64}",
        f"proven: sha256:{'2' * 64}, sha256:{'a' * 64}",
    ]
    assert "tests: 20 of 20 passed" in told
    assert "back to model 1.0, image v0.20.0: it answered" in told
    assert told[-1] == "exampleModel.replicas: 3 → 1 (throwaway.replicas)"


def test_the_application_that_ended_a_run_fails_its_case():
    root = junit.build(reports.application_failed())
    good, wrong = (case for case in root.iter("testcase") if case.get("classname").startswith("applications."))
    assert good.find("failure") is None
    assert wrong.find("failure").text == reports.WRONG
    assert "\nproven: sha256:" in good.find("system-out").text
    assert "\nnot proven: sha256:" in wrong.find("system-out").text


def test_a_run_without_findings_has_no_such_suite():
    clean = model.Report(command="test", started="now", stages=[model.Stage("lint", "passed", 1.0)])
    assert [item.get("name") for item in junit.build(clean)] == ["stages"]


def test_pytests_own_results_are_merged_and_counted(tmp_path):
    (tmp_path / "test_three.py").write_text(
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert False, 'no & <never>'\n"
        "@pytest.mark.skip\ndef test_skipped(): pass\n"
    )
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", "three.xml", "test_three.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.DEVNULL,
    )
    junit.write(tmp_path / "junit.xml", REPORT, [tmp_path / "three.xml"])
    root = parsed(tmp_path / "junit.xml")
    assert root.tagName == "testsuites"
    assert counts(suite(root, "pytest")) == (3, 1, 0, 1)
    assert counts(root) == (3 + 2 + 3, 1 + 1 + 1, 0, 1 + 1)
    names = [case.getAttribute("name") for case in suite(root, "pytest").getElementsByTagName("testcase")]
    assert names == ["test_good", "test_bad", "test_skipped"]
