"""The Prometheus rules, taken out of the rendered chart, checked and tested with promtool."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagger
import yaml

from ci.errors import CheckFailedError
from ci.pipeline import manifests, places, tools
from ci.report.model import Finding

TESTS = "tests/rules"
RULES_FILE = "rules.yaml"
"""What the test files name in `rule_files`, beside themselves."""

RULE = re.compile(r'group "(?P<group>[^"]+)", rule (?P<number>\d+), "[^"]*": (?P<what>.+)')
DUPLICATE = re.compile(r"^Metric: (?P<name>\S+)$", re.MULTILINE)
JUNIT = "/tmp/results.xml"  # noqa: S108 - in the container


async def check(
    client: dagger.Client, promtool: Path, root: Path, objects: Sequence[manifests.Manifest]
) -> list[Finding]:
    """Check and test the rules of one rendering.

    Args:
        client: The Dagger session.
        promtool: The executable on the host.
        root: The top of the checkout, with the tests in `TESTS`.
        objects: The rendered objects.

    Returns:
        What promtool refuses, and what the tests see go wrong.
    """
    sources = [manifest for manifest in objects if manifest.kind == "PrometheusRule"]
    if not sources:
        return []
    tests = client.host().directory(str(root / TESTS), include=["*_test.yaml"])
    container = tools.static(client, promtool).with_mounted_directory(
        "/src", tests.with_new_file(RULES_FILE, text(sources))
    )
    output = await tools.execute(container, ["check", "rules", "--lint=all", "--lint-fatal", RULES_FILE])
    if output.code:
        return list(refused(sources, output.stderr))
    files = sorted(path.name for path in (root / TESTS).glob("*_test.yaml"))
    if not files:
        return []
    ended = container.with_exec(
        ["test", f"--junit={JUNIT}", "rules", *files], use_entrypoint=True, expect=dagger.ReturnType.ANY
    )
    if await ended.exit_code() == 0:
        return []
    found = results(await ended.file(JUNIT).contents(), root)
    if not found:
        raise CheckFailedError("promtool test rules failed", detail=await ended.stderr())
    return found


def text(sources: Sequence[manifests.Manifest]) -> str:
    """Return the rules file that Prometheus would load.

    Args:
        sources: The PrometheusRules.
    """
    groups = [group for manifest in sources for _, group in manifests.entries(manifest.dig("spec", "groups"))]
    return yaml.safe_dump({"groups": groups}, sort_keys=False)


def refused(sources: Sequence[manifests.Manifest], said: str) -> Iterator[Finding]:
    """Read why `promtool check rules` refuses the rules.

    Args:
        sources: The PrometheusRules.
        said: What it printed to standard error.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip() and line.strip() != "FAILED:"]
    duplicates = DUPLICATE.findall(said)
    for name in duplicates:
        yield _finding(
            sources, (), f"rule {name} is there twice with the same labels", "remove one, or label them apart"
        )
    if duplicates:
        return
    for line in lines:
        match = RULE.search(line)
        if match is None:
            yield _finding(sources, (), line.removeprefix(f"{RULES_FILE}: "), "mend the rule")
            continue
        path = (match["group"], int(match["number"]) - 1)
        yield _finding(sources, path, match["what"], "mend the rule")


def _finding(
    sources: Sequence[manifests.Manifest], rule: tuple[str, int] | tuple[()], what: str, remedy: str
) -> Finding:
    """Make a finding at a rule, given by its group's name and its place in it, or at all of the rules."""
    if not rule:
        return Finding("rules", sources[0].file, 0, what, remedy)
    for manifest in sources:
        for index, group in manifests.entries(manifest.dig("spec", "groups")):
            if group.get("name") == rule[0]:
                path = ("spec", "groups", index, "rules", rule[1])
                content: Any = manifest.dig(*path)
                name = manifests.dig(content, "record") or manifests.dig(content, "alert")
                return Finding("rules", manifest.file, manifest.line(path), f"rule {name}: {what}", remedy)
    return Finding("rules", sources[0].file, 0, what, remedy)


def results(junit: str, root: Path) -> list[Finding]:
    """Read the JUnit file of `promtool test rules`.

    Args:
        junit: Its text.
        root: The top of the checkout, with the tests.

    Returns:
        One finding for each assertion that does not hold.
    """
    found = []
    for suite in ElementTree.fromstring(junit).iter("testsuite"):  # noqa: S314 - promtool's own output
        file = f"{TESTS}/{suite.get('name')}"
        text = (root / file).read_text()
        for case in suite.iter("testcase"):
            name = case.get("name", "")
            for failure in (*case.iter("failure"), *case.iter("error")):
                said = " ".join((failure.text or "").replace(f"name: {name},", "").split())
                remedy = "mend the rule in the chart, or the expectation if the rule was meant to change"
                found.append(Finding("rules", file, _test_line(text, name), f"{name}: {said}", remedy))
    return found


def _test_line(text: str, name: str) -> int:
    """Return the line of a test's name; 0 for one without."""
    try:
        tests = yaml.safe_load(text)
    except yaml.YAMLError:
        return 0
    for index, test in manifests.entries(manifests.dig(tests, "tests")):
        if test.get("name") == name:
            return places.values_line(text, ("tests", index, "name"))
    return 0
