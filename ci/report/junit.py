"""The report as JUnit XML, which every CI system can show."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from ci.report import files
from ci.report.model import Finding, Report, Stage
from ci.report.text import legal


def build(report: Report, pytest_files: Sequence[Path] = ()) -> ET.Element:
    """Return the `testsuites` element: stages, findings, then pytest's own suites.

    Args:
        report: The run.
        pytest_files: What `pytest --junitxml` wrote during it.

    Returns:
        The root element.
    """
    suites = [_stages(report.stages)]
    if report.findings:
        suites.append(_findings(report.findings))
    for path in pytest_files:
        suites.extend(ET.parse(path).getroot().iter("testsuite"))  # noqa: S314
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


def _stages(stages: Sequence[Stage]) -> ET.Element:
    suite = _suite("stages", sum(stage.seconds for stage in stages))
    for stage in stages:
        case = ET.SubElement(suite, "testcase", classname="stages", name=stage.name, time=f"{stage.seconds:.3f}")
        if stage.outcome == "failed":
            ET.SubElement(case, "failure", message=legal(stage.message))
        elif stage.outcome == "skipped":
            ET.SubElement(case, "skipped", message=legal(stage.message))
    return _counted(suite)


def _findings(findings: Sequence[Finding]) -> ET.Element:
    suite = _suite("findings", 0.0)
    for finding in findings:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=f"findings.{finding.check}",
            name=legal(f"{finding.place} {finding.message}"),
            file=finding.file,
            line=str(finding.line),
        )
        text = legal(f"{finding.place}: {finding.message}\n{finding.remedy}")
        if finding.severity == "error":
            ET.SubElement(case, "failure", message=legal(finding.message)).text = text
        else:  # JUnit knows no warning; a case that passes and says something is how it is told
            ET.SubElement(case, "system-out").text = text
    return _counted(suite)


def _suite(name: str, seconds: float) -> ET.Element:
    return ET.Element("testsuite", name=name, time=f"{seconds:.3f}")


def _counted(suite: ET.Element) -> ET.Element:
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", "0")
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    return suite
