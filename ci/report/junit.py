"""The report as JUnit XML, which every CI system can show."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from ci.base import files
from ci.base.text import cut, inert, legal, one_line
from ci.report import applications
from ci.report.words import headline
from ci.results import Finding, Report

LONGEST = 1000
"""Characters of a case's name or a failure's message; its text has them all."""


def build(report: Report, pytest_files: Sequence[Path] = ()) -> ET.Element:
    """Return the `testsuites` element: stages, applications, findings, then pytest's own suites.

    A run that did not pass has at least one failure in it, and each failure has a text.

    Args:
        report: The run.
        pytest_files: What `pytest --junitxml` wrote during it.

    Returns:
        The root element.
    """
    report = inert(report)
    suites = [_stages(report)]
    if report.applications:
        suites.append(_applications(report))
    if report.findings:
        suites.append(_findings(report.findings))
    for path in pytest_files:
        suites += _of_pytest(path)
    root = ET.Element("testsuites", name="ml-serving-ci", time=f"{report.seconds:.3f}")
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    root.extend(suites)
    return root


def write(path: Path, report: Report, pytest_files: Sequence[Path] = ()) -> None:
    """Write `build`'s element to a file.

    Args:
        path: The file; an older one is replaced at once.
        report: The run.
        pytest_files: What `pytest --junitxml` wrote during it.
    """
    root = build(report, pytest_files)
    ET.indent(root)
    files.write(path, ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")


def _stages(report: Report) -> ET.Element:
    suite = _suite("stages", sum(stage.seconds for stage in report.stages))
    for stage in report.stages:
        case = _case(suite, "stages", stage.name, time=f"{stage.seconds:.3f}")
        if stage.outcome == "failed":
            _fail(case, stage.message or "failed", _way_out(report, stage.name))
        elif stage.outcome == "skipped":
            ET.SubElement(case, "skipped", message=cut(one_line(stage.message), LONGEST))
    if report.outcome != "passed" and suite.find("testcase/failure") is None:
        # what ended it was none of the stages: what comes before the first of them, or the tear-down
        where, message = (report.failure.where, report.failure.message) if report.failure else ("run", headline(report))
        _fail(_case(suite, "stages", where, time=f"{report.seconds:.3f}"), message, _way_out(report, where))
    return _counted(suite)


def _way_out(report: Report, where: str) -> str:
    return report.failure.fix if report.failure is not None and report.failure.where == where else ""


def _applications(report: Report) -> ET.Element:
    suite = _suite("applications", 0.0)
    for proof, why in applications.ended(report):
        case = _case(suite, f"applications.{proof.environment}", proof.name)
        if why:
            _fail(case, why, _way_out(report, applications.STAGE))
        elif not proof.reached:
            ET.SubElement(case, "skipped", message=applications.NOT_REACHED)
        sets = applications.sets(proof, why)
        served = (f"{what.lower()}: {each.model or 'no model'}, {each.image or 'no image'}" for what, each in sets)
        lines = (applications.moved(proof), *served, *applications.told(proof, why), *proof.overlay)
        ET.SubElement(case, "system-out").text = "\n".join(lines)
    return _counted(suite)


def _findings(findings: Sequence[Finding]) -> ET.Element:
    suite = _suite("findings", 0.0)
    for finding in findings:
        place = {"file": finding.file, "line": str(finding.line)}
        case = _case(suite, f"findings.{finding.check}", f"{finding.place} {finding.message}", **place)
        text = f"{finding.place}: {finding.message}"
        if finding.severity == "error":
            _fail(case, finding.message, finding.remedy, text)
        else:  # JUnit knows no warning; a case that passes and says something is how it is told
            ET.SubElement(case, "system-out").text = f"{text}\n{finding.remedy}"
    return _counted(suite)


def _of_pytest(path: Path) -> list[ET.Element]:
    """Return the suites of one of pytest's files; one that was killed leaves an empty or a broken file."""
    try:
        suites = list(ET.parse(path).getroot().iter("testsuite"))  # noqa: S314 - written by this run's own pytest
        for suite in suites:
            for count in ("tests", "failures", "errors", "skipped"):
                int(suite.get(count, "0"))
    except (ET.ParseError, ValueError, LookupError, OSError) as error:  # LookupError: of an encoding
        suite = _suite(legal(path.stem), 0.0)
        said = f"{path.name} of pytest cannot be read, so it was killed or broke: {error}"
        _fail(_case(suite, "pytest", legal(path.name)), legal(said), "")
        return [_counted(suite)]
    return suites


def _case(suite: ET.Element, classname: str, name: str, **more: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", {"classname": classname, "name": cut(one_line(name), LONGEST), **more})


def _fail(case: ET.Element, message: str, fix: str, text: str = "") -> None:
    """Give a case its failure, whose text is never empty: some readers of these files break on one that is."""
    failure = ET.SubElement(case, "failure", message=cut(one_line(message), LONGEST))
    failure.text = "\n".join([text or message, fix]).strip() or "no reason is known"


def _suite(name: str, seconds: float) -> ET.Element:
    return ET.Element("testsuite", name=name, time=f"{seconds:.3f}")


def _counted(suite: ET.Element) -> ET.Element:
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", "0")
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    return suite
