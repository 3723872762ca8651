"""The Prometheus rules, taken out of the rendered chart, checked and tested with promtool."""

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagger
import yaml

from ci.base.errors import CheckFailedError, UsageError
from ci.checks import tools
from ci.manifests import manifests, places, series
from ci.manifests.chart import Rendering, Target, Values
from ci.results import Finding

TESTS = "tests/rules"
RULES_FILE = "rules.yaml"
"""What the test files name in `rule_files`, beside themselves."""
VALUES = "values.yaml"
"""In `TESTS`: what the tests there are written for, over the chart's own values."""
TEMPLATE = ".j2"
"""Behind the name of a test that is about any values."""

RULE = re.compile(r'group "(?P<group>[^"]+)", rule (?P<number>\d+), "[^"]*": (?P<what>.+)')
NAMED = re.compile(r"\s*- (?:alert|record): (?P<name>.+)")
TEMPLATED = re.compile(r"\{\{.*?\}\}")
TWICE = "is there twice with the same labels"
APART = "remove one, or label them apart"
DUPLICATE = re.compile(r"^Metric: (?P<name>\S+)$", re.MULTILINE)
JUNIT = "/tmp/results.xml"  # noqa: S108 - in the container
FAILED = re.compile(r"<(failure|error)\b")


async def check(
    client: dagger.Client, promtool: Path, renderings: Sequence[Rendering], folder: Path
) -> list[tuple[str, Finding]]:
    """Have promtool read the rules of each rendering.

    Args:
        client: The Dagger session.
        promtool: The executable on the host.
        renderings: Without findings.
        folder: An empty one of the host.

    Returns:
        What it refuses, each with its target's name.
    """
    # the Prometheus Operator makes a file of each, and only what stands in one file are duplicates by name and labels
    ruled = [(each.target.name, source) for each in renderings for source in sources(each.objects)]
    for number, (_, source) in enumerate(ruled):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / RULES_FILE).write_text(text([source]))
    found = [(each.target.name, finding) for each in renderings for finding in repeated(sources(each.objects))]
    if not ruled:
        return found
    commands = [
        tools.Command(str(number), ["check", "rules", "--lint=all", "--lint-fatal", RULES_FILE])
        for number in range(len(ruled))
    ]
    outputs = await tools.execute_all(tools.batch(client, promtool, folder), commands)
    return found + [
        (name, finding)
        for (name, source), output in zip(ruled, outputs, strict=True)
        if output.code
        for finding in refused(source, output.stderr)
    ]


def tests(root: Path) -> list[Path]:
    """Return the files with the chart's tests of its rules.

    Args:
        root: The project's folder.
    """
    return sorted((root / TESTS).glob("*_test.yaml"))


def fixed(root: Path, target: Target) -> Target:
    """Return what the chart's tests of its rules are about.

    Args:
        root: The project's folder.
        target: The chart's own values; over them come those of the tests, where they have any.
    """
    file = root / TESTS / VALUES
    if not file.is_file():
        return target
    return replace(target, values=[Values(f"{TESTS}/{VALUES}", file.read_text()), *target.values])


async def test(client: dagger.Client, promtool: Path, root: Path, rules: Sequence[manifests.Manifest]) -> list[Finding]:
    """Run the chart's tests of its rules.

    Args:
        client: The Dagger session.
        promtool: The executable on the host.
        root: The project's folder, with a test in `TESTS` at least.
        rules: The PrometheusRules of what is `fixed`.

    Returns:
        What the tests see go wrong.
    """
    texts = {path.name: path.read_text() for path in tests(root)}
    junit = await _run(client, promtool, {"fixed": {RULES_FILE: text(rules), **texts}})
    return [finding for _, finding in results(junit, root)]


async def test_own(
    client: dagger.Client, promtool: Path, root: Path, renderings: Sequence[Rendering]
) -> list[tuple[str, Finding]]:
    """Run what the chart's tests say of any values, on the rules of each rendering.

    Args:
        client: The Dagger session.
        promtool: The executable on the host.
        root: The project's folder.
        renderings: Made by the chart that the tests are of.

    Returns:
        What the tests see go wrong, each with its target's name.
    """
    files = sorted((root / TESTS).glob(f"*_test.yaml{TEMPLATE}"))
    found: list[tuple[str, Finding]] = []
    folders: dict[str, dict[str, str]] = {}
    for number, each in enumerate(renderings if files else ()):
        rules = sources(each.objects)
        try:
            texts = {file.name.removesuffix(TEMPLATE): written(file, each.target) for file in files} if rules else {}
        except UsageError as error:
            found.append((each.target.name, Finding("rules", TESTS, 0, error.message, error.fix or "")))
            continue
        if texts:
            folders[str(number)] = {RULES_FILE: text(rules), **texts}
    if folders:
        junit = await _run(client, promtool, folders)
        found += ((renderings[int(folder)].target.name, each) for folder, each in results(junit, root, TEMPLATE))
    return found


def written(template: Path, target: Target) -> str:
    """Return a test as promtool takes it, of a template for any values.

    Args:
        template: The file, in Jinja; it knows `namespace`, `release` and `values`.
        target: What was rendered.

    Raises:
        UsageError: The template is wrong, or asks for a value that there is not.
    """
    import jinja2.sandbox

    environment = jinja2.sandbox.SandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    known = {"namespace": target.namespace, "release": target.release, "values": target.value(())}
    try:
        return environment.from_string(template.read_text()).render(known)
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise UsageError(f"{TESTS}/{template.name}: {error}", fix="correct the template") from error


async def _run(client: dagger.Client, promtool: Path, folders: Mapping[str, Mapping[str, str]]) -> str:
    """Run the tests in each folder, all at once, and return the JUnit file; empty where nothing goes wrong."""
    laid = client.directory()
    for folder, texts in folders.items():
        for name, content in texts.items():
            laid = laid.with_new_file(f"{folder}/{name}", content)
    files = [f"{folder}/{name}" for folder, texts in folders.items() for name in texts if name != RULES_FILE]
    ended = (
        tools.static(client, promtool)
        .with_mounted_directory("/src", laid)
        .with_exec(["test", f"--junit={JUNIT}", "rules", *files], use_entrypoint=True, expect=dagger.ReturnType.ANY)
    )
    if await ended.exit_code() == 0:
        return ""
    junit = await ended.file(JUNIT).contents()
    if not FAILED.search(junit):
        raise CheckFailedError("promtool test rules failed", detail=await ended.stderr())
    return junit


def sources(objects: Sequence[manifests.Manifest]) -> list[manifests.Manifest]:
    """Return the PrometheusRules among objects."""
    return [manifest for manifest in objects if manifest.kind == "PrometheusRule"]


def text(sources: Sequence[manifests.Manifest]) -> str:
    """Return the rules file that Prometheus would load.

    Args:
        sources: The PrometheusRules.
    """
    groups = [group for manifest in sources for _, group in manifests.entries(manifest.dig("spec", "groups"))]
    return yaml.safe_dump({"groups": groups}, sort_keys=False)


def refused(source: manifests.Manifest, said: str) -> Iterator[Finding]:
    """Read why `promtool check rules` refuses the rules.

    Args:
        source: The PrometheusRule.
        said: What it printed to standard error.
    """
    lines = [line.strip() for line in said.splitlines() if line.strip() and line.strip() != "FAILED:"]
    duplicates = DUPLICATE.findall(said)
    for name in duplicates:
        yield _finding(source, (), f"rule {name} {TWICE}", APART)
    if duplicates:
        return
    groups = {group.get("name"): index for index, group in manifests.entries(source.dig("spec", "groups"))}
    for line in lines:
        match = RULE.search(line)
        if match is None or match["group"] not in groups:
            yield _finding(source, (), line.removeprefix(f"{RULES_FILE}: "), "correct the rule")
            continue
        path = ("spec", "groups", groups[match["group"]], "rules", int(match["number"]) - 1)
        yield _finding(source, path, f"rule {_name(source.dig(*path))}: {match['what']}", "correct the rule")


def repeated(sources: Sequence[manifests.Manifest]) -> Iterator[Finding]:
    """Yield each rule that another PrometheusRule has already: name, labels and expression, so the same series.

    Args:
        sources: The PrometheusRules of one rendering.
    """
    first: dict[str, manifests.Manifest] = {}
    for source, path, rule in _rules(sources):
        labels = {**manifests.mapping(source.dig(*path[:-2], "labels")), **manifests.mapping(rule.get("labels"))}
        same = json.dumps([_name(rule), labels, rule.get("expr")], sort_keys=True)
        if first.setdefault(same, source) is not source:
            yield _finding(source, path, f"rule {_name(rule)} {TWICE}, first in {first[same]}", APART)


def _finding(source: manifests.Manifest, path: places.Path, what: str, remedy: str) -> Finding:
    """Make a finding at a rule, or at all of a PrometheusRule."""
    return Finding("rules", source.file, _line(source, path) if path else 0, what, remedy)


def _line(manifest: manifests.Manifest, path: places.Path) -> int:
    """Return the line of a rule in the template, even in a loop, where its name alone tells which one it is."""
    name = _name(manifest.dig(*path))
    found = []
    for number, line in enumerate(manifest.template.splitlines(), start=1):
        match = NAMED.match(line)
        if match and re.fullmatch(".+".join(map(re.escape, TEMPLATED.split(match["name"]))), name):
            found.append(number)
    return found[0] if len(found) == 1 else manifest.line(path)


def expressions(tests: Sequence[str]) -> set[str]:
    """Return every expression that `untested` wants to have read.

    Args:
        tests: The text of each test file.
    """
    return {
        str(case.get("expr"))
        for test in _tests(tests)
        for _, case in manifests.entries(test.get("promql_expr_test"))
        if case.get("exp_samples")
    }


def untested(sources: Sequence[manifests.Manifest], tests: Sequence[str], read: series.Read) -> list[Finding]:
    """Find the rules that no test covers.

    A recording rule needs a test with a sample expected of it; an alert one in which it fires with the labels that its
    rule sets, and one in which no alert of its name does.

    Args:
        sources: The PrometheusRules.
        tests: The text of each test file.
        read: What Prometheus made of their `expressions`; what is no PromQL is promtool's own finding.

    Returns:
        One finding for each test that is missing.
    """
    covered = _covered(tests, read)
    found = [
        Finding("rules", manifest.file, _line(manifest, path), f"rule {_name(rule)} has no test {what}", remedy)
        for manifest, path, rule in _rules(sources)
        for what, remedy in _missing(rule, covered)
    ]
    # alerts of one name that stand in one loop lack the same quiet test
    return list(dict.fromkeys(found))


@dataclass
class _Covered:
    recorded: set[str] = field(default_factory=set)
    fired: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)  # name and labels
    quiet: set[str] = field(default_factory=set)


def _covered(tests: Sequence[str], read: series.Read) -> _Covered:
    covered = _Covered(recorded={name for text in expressions(tests) for name in read[text].names})
    for test in _tests(tests):
        for _, case in manifests.entries(test.get("alert_rule_test")):
            name = str(case.get("alertname"))
            if not case.get("exp_alerts"):
                covered.quiet.add(name)
            for _, alert in manifests.entries(case.get("exp_alerts")):
                covered.fired.append((name, manifests.mapping(alert.get("exp_labels"))))
    return covered


def _tests(texts: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield each test of these files."""
    for text in texts:
        for _, test in manifests.entries(manifests.dig(_parsed(text), "tests")):
            yield test


def _missing(rule: Mapping[str, Any], covered: _Covered) -> Iterator[tuple[str, str]]:
    """Yield what each test that a rule lacks would be about, and how to add it."""
    name = _name(rule)
    if "record" in rule:
        if name not in covered.recorded:
            yield "of its value", f"add a promql_expr_test with exp_samples of {name} to {TESTS}"
        return
    set_here = manifests.mapping(rule.get("labels")).items()
    own = [(key, value) for key, value in set_here if not TEMPLATED.search(str(value))]
    if not any(fired == name and all(item in labels.items() for item in own) for fired, labels in covered.fired):
        text = ", ".join(f"{key}: {value}" for key, value in own)
        yield (
            f"in which it fires with labels {{{text}}}",
            f"add an alert_rule_test of {name} with these among its exp_labels to {TESTS}",
        )
    if name not in covered.quiet:
        yield "in which it stays quiet", f"add an alert_rule_test of {name} with exp_alerts: [] to {TESTS}"


def _name(rule: Any) -> str:
    return str(manifests.dig(rule, "record") or manifests.dig(rule, "alert"))


def _rules(
    sources: Sequence[manifests.Manifest],
) -> Iterator[tuple[manifests.Manifest, places.Path, Mapping[str, Any]]]:
    for manifest in sources:
        for group, content in manifests.entries(manifest.dig("spec", "groups")):
            for index, rule in manifests.entries(content.get("rules")):
                yield manifest, ("spec", "groups", group, "rules", index), rule


def results(junit: str, root: Path, suffix: str = "") -> Iterator[tuple[str, Finding]]:
    """Read the JUnit file of `promtool test rules`.

    Args:
        junit: Its text, of tests that lie in a folder each; empty for one without a failure.
        root: The project's folder, with the tests.
        suffix: What the files there have behind the names that promtool knows.

    Yields:
        A finding for each assertion that does not hold, with the test's folder.
    """
    for suite in ElementTree.fromstring(junit).iter("testsuite") if junit else ():  # noqa: S314 - promtool's own output
        folder, _, name = suite.get("name", "").rpartition("/")
        file = f"{TESTS}/{name}{suffix}"
        text = (root / file).read_text()
        for case in suite.iter("testcase"):
            test = case.get("name", "")
            for failure in (*case.iter("failure"), *case.iter("error")):
                said = " ".join((failure.text or "").replace(f"name: {test},", "").split())
                remedy = "correct the rule in the chart, or the expectation if the rule was meant to change"
                yield folder, Finding("rules", file, _test_line(text, test), f"{test}: {said}", remedy)


def _test_line(text: str, name: str) -> int:
    """Return the line of a test's name; 0 for one without."""
    found = [number for number, line in enumerate(text.splitlines(), start=1) if line.strip() == f"- name: {name}"]
    return found[0] if name and found else 0


def _parsed(text: str) -> Any:
    """Return the content of a test file; None for one that is no YAML, which is the YAML check's finding."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None
