"""A suite's tests, listed by name as it runs, and held against those that ran: green is what ran whole."""

import json
import shlex
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from ci.base import command, paths, tasks
from ci.base.errors import CheckFailedError, CommandError, last_words
from ci.base.progress import note
from ci.results import Suite
from ci.stages import alone

ALONE = Path(alone.__file__)
LISTING_SECONDS = 300
SUITE_SECONDS = 1500


@dataclass(frozen=True)
class Selection:
    """The tests of a stage.

    Attributes:
        stage: Its name.
        files: Their files; each has some, but for those that may be empty.
        options: Of pytest and of the suite's conftest.py that say what is selected.
        cluster: Those that say where; a person who runs a test again has others.
        may_be_empty: Files that need not have a test: what they are about is not in every release.
        skips: The tests that are skipped, by node id, each with the very reason that it gives.
        root: Node ids are paths from there.
    """

    stage: str
    files: Sequence[Path]
    options: Sequence[str] = ()
    cluster: Sequence[str] = ()
    may_be_empty: Collection[Path] = ()
    skips: Mapping[str, str] = field(default_factory=dict)
    root: Path = paths.ROOT


@dataclass(frozen=True)
class Case:
    """One test case of a JUnit file.

    Attributes:
        test: Node id, where the case says it.
        outcome: By the file's elements.
        reason: What a failure or a skip says.
        calls: How each call of the test function ended.
        expected_failure: xfail's reason, where the test bears that mark.
    """

    test: str
    outcome: Literal["passed", "failed", "skipped"]
    reason: str
    calls: tuple[str, ...]
    expected_failure: str | None


@dataclass(frozen=True)
class Complaint:
    """What is wrong with a run of a suite, in one line that names the first test it is true of."""

    test: str
    line: str


async def run(selection: Selection, folder: Path, env: Mapping[str, str], suites: list[Suite]) -> None:
    """Run the tests of a stage, each once, and add the counts to those of the run.

    Args:
        selection: The tests.
        folder: Gets pytest's log, its JUnit file, and the list of the tests' names.
        env: Variables that the tests read.
        suites: The counts of the run's suites.

    Raises:
        CheckFailedError: A test failed, or did not run, or the run was not what was listed; the first is named.
    """
    log, junit = (folder / f"pytest-{selection.stage}.{ending}" for ending in ("log", "xml"))
    junit.unlink(missing_ok=True)
    expected: list[str] = []
    unlisted: list[CheckFailedError] = []

    async def list_them() -> None:
        try:
            expected.extend(await listed(selection, folder / f"pytest-{selection.stage}.json", env))
        except CheckFailedError as error:  # told once the tests have put away what they made
            unlisted.append(error)

    async with tasks.group() as group:
        group.start_soon(list_them)
        code = await _pytest(selection, f"--junitxml={junit}", env=env, log=log, timeout=SUITE_SECONDS)
    for error in unlisted:
        raise error
    ended = _ended(code, log) if code != pytest.ExitCode.OK else ""
    found, unread = _read(junit)
    suite = counted(selection.stage, expected, found)
    suites.append(suite)
    complaint = complaint_of(selection, expected, found)
    if complaint is None and ended:
        complaint = Complaint(expected[0], f"every {selection.stage} test passed, but pytest did not")
    if complaint is not None:
        why = "; ".join(filter(None, (unread, ended))) if not _failed(found) else ""
        again = shlex.join(["pytest", complaint.test, "--kubeconfig", "FILE", *selection.options])
        raise CheckFailedError(
            f"{complaint.line} ({why})" if why else complaint.line,
            fix=f"See {log}; on a kept cluster: {again}",
            detail=log.read_text(errors="replace"),
        )
    skipped = f", {len(suite.skipped)} are skipped as declared" if suite.skipped else ""
    note(f"{selection.stage}: {suite.passed} of {suite.expected} tests passed{skipped}")


async def listed(selection: Selection, into: Path, env: Mapping[str, str]) -> list[str]:
    """Return the node ids of a stage's tests, as a process of its own finds them in the same files.

    Args:
        selection: The tests.
        into: File that gets them as well; beside it is pytest's log.
        env: Variables that the tests read.

    Raises:
        CheckFailedError: A file cannot be read or has no test, or two tests have one name.
    """
    log, junit = into.with_suffix(".listing.log"), into.with_suffix(".listing")
    into.unlink(missing_ok=True)
    listing = (f"--listed={into}", f"--junitxml={junit}", "--collect-only", "--quiet")
    code = await _pytest(selection, *listing, env=env, log=log, timeout=LISTING_SECONDS)
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) or not into.exists():
        unreadable = _failed(_read(junit)[0])
        why = ": ".join(next(iter(unreadable.items()))) if unreadable else _ended(code, log)
        raise CheckFailedError(
            f"the {selection.stage} tests cannot be listed: {why}",
            fix=f"See {log}",
            detail=log.read_text(errors="replace"),
        )
    junit.unlink(missing_ok=True)
    names: list[str] = json.loads(into.read_bytes())
    for file in (file for file in selection.files if file not in selection.may_be_empty):
        name = file.relative_to(selection.root).as_posix()
        if not any(test.startswith(f"{name}::") for test in names):
            raise CheckFailedError(
                f"{name}: no test of it is selected for the stage {selection.stage}", fix=f"See {log}"
            )
    for test, times in Counter(names).items():
        if times > 1:
            raise CheckFailedError(f"{test}: {times} tests have this name", fix="Give each a name of its own.")
    return names


def counted(stage: str, expected: Sequence[str], found: Sequence[Case]) -> Suite:
    """Return how many tests there are, and what came of them."""
    passed = {case.test for case in found if case.outcome == "passed"} - set(_failed(found))
    skipped = {case.test: case.reason for case in found if case.outcome == "skipped"}
    return Suite(stage, len(expected), len(passed), len(_failed(found)), skipped)


def complaint_of(selection: Selection, expected: Sequence[str], found: Sequence[Case]) -> Complaint | None:
    """Return the first thing that is wrong, or None where every test ran once and passed, or is skipped as declared.

    Args:
        selection: The tests.
        expected: Their node ids.
        found: The JUnit file's cases.
    """
    return next(_complaints(selection, expected, found), None)


def _complaints(selection: Selection, expected: Sequence[str], found: Sequence[Case]) -> Iterator[Complaint]:
    whole = f"of the {len(expected)} {selection.stage} tests"
    ran = Counter(case.test for case in found)
    if failed := _failed(found):
        test, reason = next(iter(failed.items()))
        yield Complaint(test, f"{len(failed)} {whole} failed: {test}{f' - {reason}' if reason else ''}")
    if not found:
        yield Complaint(expected[0], f"none {whole} is known to have run, the first of them {expected[0]}")
    if missing := [test for test in expected if test not in ran]:
        yield Complaint(missing[0], f"{len(missing)} {whole} did not run: {missing[0]}")
    for test in ran:
        if test not in expected:
            yield Complaint(test, f"{test} ran, which is none {whole} that were listed before")
    for case in found:
        times = max(ran[case.test], len(case.calls))
        if times > 1:
            yield Complaint(case.test, f"{case.test} ran {times} times, not once")
        if case.expected_failure is not None:
            yield Complaint(case.test, f"{case.test} is marked to fail (xfail), which is not declared")
        if case.outcome == "passed" and case.calls != ("passed",):
            said = f"ended as {case.calls[0]}" if case.calls else "never began"
            yield Complaint(case.test, f"{case.test} is reported as passed, but its call {said}")
        if case.outcome == "skipped" and selection.skips.get(case.test) != case.reason:
            yield Complaint(case.test, f"{case.test} was skipped, which is not declared: {case.reason}")
    skipped = {case.test for case in found if case.outcome == "skipped"}
    for test in selection.skips:
        if test not in skipped:
            said = "was not skipped" if test in expected else "is no such test"
            yield Complaint(test, f"{test} is declared as skipped, but {said}")


def cases(junit: Path) -> list[Case]:
    """Return the test cases of a JUnit file that pytest wrote through `alone`.

    Raises:
        OSError: There is no such file.
        ParseError, ValueError, LookupError: It is no XML, or of an unknown encoding.
    """
    elements = list(ET.parse(junit).getroot().iter("testcase"))  # noqa: S314 - pytest wrote it a moment ago
    # Of a test that fails and cannot be torn down either, there are two, and one of them has the properties.
    names = {_address(element): name for element in elements for name in _properties(element, alone.NODE)}
    return [_case(element, names) for element in elements]


def _case(element: ET.Element, names: Mapping[tuple[str, str], str]) -> Case:
    address = _address(element)
    test = next(iter(_properties(element, alone.NODE)), names.get(address, "::".join(filter(None, address))))
    outcome: Literal["passed", "failed", "skipped"] = "passed"
    reason = ""
    for tag, means in (("skipped", "skipped"), ("failure", "failed"), ("error", "failed")):
        if (said := element.find(tag)) is not None:
            outcome = "skipped" if means == "skipped" else "failed"
            reason = _reason(said)
    marked = _properties(element, alone.EXPECTED_FAILURE)
    return Case(test, outcome, reason, tuple(_properties(element, alone.CALL)), marked[0] if marked else None)


def _reason(said: ET.Element) -> str:
    """Return one line; of a file that cannot be collected, the last of its traceback."""
    message = said.get("message") or ""
    if message == "collection failure":
        return (said.text or "").rstrip().rpartition("\n")[2].removeprefix("E").strip()
    return message.strip().partition("\n")[0]


def _address(element: ET.Element) -> tuple[str, str]:
    return element.get("classname", ""), element.get("name", "")


def _properties(element: ET.Element, name: str) -> list[str]:
    return [each.get("value", "") for each in element.iterfind("properties/property") if each.get("name") == name]


def _read(junit: Path) -> tuple[list[Case], str]:
    """Return the cases, or why there are none."""
    try:
        return cases(junit), ""
    except FileNotFoundError:
        return [], f"there is no {junit.name}"
    except (ET.ParseError, ValueError, LookupError) as error:  # the last two: of its encoding
        return [], f"{junit.name} is {'empty' if not junit.stat().st_size else f'no XML: {error}'}"


def _failed(found: Sequence[Case]) -> dict[str, str]:
    failed: dict[str, str] = {}
    for case in found:
        if case.outcome == "failed":
            failed.setdefault(case.test, case.reason)
    return failed


async def _pytest(selection: Selection, *more: str, env: Mapping[str, str], log: Path, timeout: float) -> int | None:
    """Return the exit code, or None where it was stopped at its deadline."""
    # -u: what is killed leaves its last words in the log
    alone_with = [sys.executable, "-E", "-P", "-u", str(ALONE), str(selection.root)]
    # relative, for in the name of a folder above pytest would take [ and :: for what comes after a file's
    files = [str(file.relative_to(selection.root)) for file in selection.files]
    selected = [*files, *selection.options, *selection.cluster]
    argv = [*alone_with, *selected, *more]
    try:
        ended = await command.run(argv, cwd=selection.root, env=env, check=False, log=log, timeout=timeout)
    except CommandError as error:
        return error.returncode
    return ended.returncode


def _ended(code: int | None, log: Path) -> str:
    ended = "not over at its deadline" if code is None else f"exit code {code}"
    return f"{ended}: {last_words(command.tail(log)).strip('=!_ ')}"
