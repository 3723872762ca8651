"""A suite is green when each test that its files have ran once and passed: real pytest on small suites.

Each suite is made for its test; what surrounds it is an environment, a folder above, or a conftest.py of its own.
"""

import json
import shlex
import textwrap

import anyio
import pytest

from ci.base.errors import CheckFailedError
from ci.results import Suite
from ci.stages import counting
from ci.stages.counting import Selection

STAGE = "small"
TWO = """
    def test_one():
        pass

    def test_two():
        pass
"""
ONE, OTHER = "tests/test_a.py::test_one", "tests/test_a.py::test_two"
DESELECTS = """
    def pytest_collection_modifyitems(config, items):
        config.hook.pytest_deselected(items=items[1:])
        del items[1:]
"""


class Small:
    """A project with a suite of its own.

    Attributes:
        env: Variables that reach pytest, as if nothing had kept them away from it before.
    """

    def __init__(self, folder):
        self.env = {}
        self.root = folder / "a project"
        self.report = folder / "report"
        self.report.mkdir()
        self.suites = []

    def write(self, name, text):
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def run(self, *names, skips=None, options=()):
        files = [self.root / name for name in names or ["tests/test_a.py"]]
        selection = Selection(STAGE, files, options, (), skips=skips or {}, root=self.root)
        anyio.run(counting.run, selection, self.report, self.env, self.suites)

    def refused(self, *names, **more):
        with pytest.raises(CheckFailedError) as raised:
            self.run(*names, **more)
        assert "\n" not in raised.value.message
        return raised.value

    @property
    def listed(self):
        return json.loads((self.report / f"pytest-{STAGE}.json").read_text())


@pytest.fixture
def small(tmp_path):
    return Small(tmp_path)


@pytest.fixture
def two(small):
    small.write("tests/test_a.py", TWO)
    return small


# --- green ------------------------------------------------------------------------------------------------------------


def test_tests_of_any_name_are_counted_and_none_is_taken_for_another(small):
    small.write(
        "tests/test_a.py",
        """
        import pytest

        @pytest.mark.parametrize("value", ["a[0]", "a/b.py::c", "ä €", "", "\\x1b[1m", "x" * 300, {"a": [1]}])
        def test_names(value):
            pass

        class TestB:
            def test_c(self):
                pass

        @pytest.mark.anyio
        async def test_later():
            pass

        @pytest.fixture
        def anyio_backend():
            return "asyncio"
        """,
    )
    # to JUnit, tests/test_a.py::TestB::test_c is the same as this one
    small.write("tests/test_a/TestB.py", "def test_c():\n    pass\n")

    small.run("tests/test_a.py", "tests/test_a/TestB.py")

    assert small.suites == [Suite(STAGE, 10, 10, 0, {})]
    assert {"tests/test_a.py::TestB::test_c", "tests/test_a/TestB.py::test_c"} <= set(small.listed)


def test_what_a_conftest_of_the_suite_selects_by_an_option_is_what_is_expected(two):
    two.write(
        "tests/conftest.py",
        """
        def pytest_addoption(parser):
            parser.addoption("--more", action="store_true")

        def pytest_generate_tests(metafunc):
            if "number" in metafunc.fixturenames:
                metafunc.parametrize("number", range(3 if metafunc.config.option.more else 1))
        """,
    )
    two.write("tests/test_a.py", "def test_one(number):\n    pass\n")

    two.run(options=["--more"])
    two.run()

    assert [suite.expected for suite in two.suites] == [3, 1]


# --- what surrounds a run ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a copy[1]", "a::b", "bär, 'quoted'", "-x"])
def test_a_checkout_may_have_any_name(small, tmp_path, name):
    small.root = tmp_path / name
    small.write("tests/test_a.py", TWO)
    small.run()
    assert small.listed == [ONE, OTHER]
    assert small.suites == [Suite(STAGE, 2, 2, 0, {})]


def test_options_in_the_environment_select_nothing(two):
    options = ("--collect-only", "-k one", f"--deselect={OTHER}", "-m nothing", "--ignore-glob=*", "--setup-only")
    two.env["PYTEST_ADDOPTS"] = " ".join(options)
    two.run()
    assert two.suites == [Suite(STAGE, 2, 2, 0, {})]


@pytest.mark.parametrize("named", [False, True], ids=["entry point", "PYTEST_PLUGINS"])
def test_a_plugin_in_the_environment_is_not_loaded(two, tmp_path, named):
    (tmp_path / "bad.py").write_text(textwrap.dedent(DESELECTS))
    installed = tmp_path / "bad-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("" if named else "[pytest11]\nbad = bad\nanyio = bad\n")
    two.env["PYTHONPATH"] = str(tmp_path)
    if named:
        two.env["PYTEST_PLUGINS"] = "bad"

    two.run()

    assert two.suites == [Suite(STAGE, 2, 2, 0, {})]


@pytest.mark.parametrize("optimize", ["1", "2"])
def test_assertions_are_kept(small, optimize):
    small.env["PYTHONOPTIMIZE"] = optimize
    small.write("tests/test_a.py", "def test_one():\n    assert 1 == 2\n")
    assert small.refused().message == f"1 of the 1 small tests failed: {ONE} - assert 1 == 2"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\naddopts = -k one\npython_functions = test_o*\n"),
        ("tests/pytest.toml", '[pytest]\naddopts = ["--collect-only"]\n'),
        ("tox.ini", "[pytest]\naddopts = --deselect=tests/test_a.py::test_two\n"),
        ("setup.cfg", "[tool:pytest]\npython_files = nothing.py\npython_functions = nothing\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "--collect-only"\npython_functions = "test_o*"\n'),
        ("conftest.py", DESELECTS),
        ("../conftest.py", DESELECTS),
        ("../pytest.ini", "[pytest]\naddopts = -k one\n"),
    ],
)
def test_a_file_above_the_suite_selects_nothing(two, name, text):
    two.write(name, text)
    two.run()
    assert two.suites == [Suite(STAGE, 2, 2, 0, {})]


# --- a run that did not run what it has -------------------------------------------------------------------------------

RERUN = """
    from _pytest.runner import runtestprotocol

    def pytest_runtest_protocol(item, nextitem):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for attempt in range(2):
            reports = runtestprotocol(item, nextitem=nextitem, log={log})
        for report in [] if {log} else reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True
"""
TWISTED = {
    "one is deselected": (DESELECTS, f"1 of the 2 small tests did not run: {OTHER}"),
    "one is taken away": (
        "def pytest_collection_modifyitems(items):\n    del items[0]\n",
        f"1 of the 2 small tests did not run: {ONE}",
    ),
    "none is left": (
        "def pytest_collection_modifyitems(items):\n    del items[:]\n",
        f"none of the 2 small tests is known to have run, the first of them {ONE} (exit code 5: no tests ran in ",
    ),
    "one is there twice": (
        "def pytest_collection_modifyitems(items):\n    items.append(items[0])\n",
        f"{ONE} ran 2 times, not once",
    ),
    "each is tried twice, and the last attempt reported": (RERUN.format(log=False), f"{ONE} ran 2 times, not once"),
    "each is tried twice, and both are reported": (RERUN.format(log=True), f"{ONE} ran 2 times, not once"),
    "a failure is reported as passed": (
        """
        import pytest

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_call(item):
            yield
            assert item.name != "test_two"

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(item, call):
            report = yield
            report.outcome = "passed"
            return report
        """,
        f"{OTHER} is reported as passed, but its call ended as failed",
    ),
    "all are reported without a call": (
        """
        from _pytest.reports import TestReport

        def pytest_runtest_protocol(item, nextitem):
            for when in ("setup", "call", "teardown"):
                report = TestReport(
                    item.nodeid, item.location, {}, "passed", None, when, user_properties=item.user_properties
                )
                item.ihook.pytest_runtest_logreport(report=report)
            return True
        """,
        f"{ONE} is reported as passed, but its call never began",
    ),
    "one that no file has": (
        """
        import pytest

        def pytest_collection_modifyitems(items):
            items.append(pytest.Function.from_parent(items[0].parent, name="more", callobj=lambda: None))
        """,
        "tests.test_a::more ran, which is none of the 2 small tests that were listed before",
    ),
    "one of another name": (
        "def pytest_collection_modifyitems(items):\n    items[0].user_properties[:] = []\n",
        f"1 of the 2 small tests did not run: {ONE}",
    ),
    "the session ends after the first": (
        "import pytest\n\ndef pytest_runtest_logfinish():\n    pytest.exit('enough', returncode=0)\n",
        f"1 of the 2 small tests did not run: {OTHER}",
    ),
    "every test passes, and the session does not": (
        "def pytest_sessionfinish(session):\n    session.exitstatus = 3 - 3 * session.config.option.collectonly\n",
        "every small test passed, but pytest did not (exit code 3: 2 passed in ",
    ),
}


@pytest.mark.parametrize("how", list(TWISTED))
def test_a_run_that_is_not_what_was_listed_is_red_and_names_a_test(two, how):
    conftest, line = TWISTED[how]
    two.write("tests/conftest.py", conftest)
    assert two.refused().message.startswith(line)


def test_a_test_that_is_there_only_when_it_runs_is_red(two):
    two.write(
        "tests/test_a.py",
        """
        import sys

        def test_one():
            pass

        if "--collect-only" not in sys.argv:
            def test_two():
                pass
        """,
    )
    assert two.refused().message == f"{OTHER} ran, which is none of the 1 small tests that were listed before"


WRITES = "import os; open(request.config.option.xmlpath, 'x').write({!r}); os._exit(0)"
DEATHS = {
    "exit code 0 in mid-run": ("import os; os._exit(0)", "there is no pytest-small.xml"),
    "exit code 5 in mid-run": ("import os; os._exit(5)", "there is no pytest-small.xml; exit code 5: "),
    "SIGKILL as the file was begun": (
        "import os; open(request.config.option.xmlpath, 'x').close(); os.kill(os.getpid(), 9)",
        "pytest-small.xml is empty; exit code -9: ",
    ),
    "half of the file": (WRITES.format("<testsuites><testsuite>"), "pytest-small.xml is no XML: no element found"),
    "a file of an unknown encoding": (
        WRITES.format('<?xml version="1.0" encoding="x"?><testsuites/>'),
        "pytest-small.xml is no XML: ",
    ),
    "a file without a test": (WRITES.format("<testsuites/>"), ""),
}


@pytest.mark.parametrize("how", list(DEATHS))
def test_a_run_that_died_is_red_and_names_the_first_test(two, how):
    body, why = DEATHS[how]
    two.write("tests/test_a.py", f"def test_one():\n    pass\n\ndef test_two(request):\n    {body}\n")
    message = two.refused().message
    assert message.startswith(f"none of the 2 small tests is known to have run, the first of them {ONE}"), message
    assert why in message
    assert two.suites == [Suite(STAGE, 2, 0, 0, {})]


def test_a_file_of_an_earlier_run_counts_for_nothing(two):
    two.run()
    two.write("tests/test_a.py", "import os\n\ndef test_one():\n    os._exit(0)\n")
    assert "there is no pytest-small.xml" in two.refused().message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "tests/test_b.py: no test of it is selected for the stage small"),
        (
            "import nobody_has_this\n",
            "the small tests cannot be listed: tests.test_b: ModuleNotFoundError: No module named",
        ),
        ("import os\nos._exit(0)\n", "the small tests cannot be listed: exit code 0: "),
        ("def test_one(:\n", "the small tests cannot be listed: tests.test_b: SyntaxError: invalid syntax"),
    ],
    ids=["without a test", "not to be imported", "that ends pytest", "no Python"],
)
def test_a_file_that_gives_no_test_is_named(two, text, line):
    two.write("tests/test_b.py", text)
    assert two.refused("tests/test_a.py", "tests/test_b.py").message.startswith(line)
    assert two.refused("tests/test_b.py").message.startswith(line)


# --- failures and skips -----------------------------------------------------------------------------------------------


def test_what_pytest_said_at_last_is_told(two):
    said = two.refused("tests/test_none.py").message
    assert "exit code 4: ERROR: file or directory not found: tests/test_none.py" in said


def test_the_first_failure_is_named_and_the_fix_runs_it_again(small):
    small.write(
        "tests/test_a.py",
        """
        import pytest

        @pytest.mark.parametrize("value", [1, 2, 3], ids=["a", "b/c d", "e"])
        def test_one(value):
            assert value == 1, "not it\\nat all"
        """,
    )
    error = small.refused(options=["--durations=1"])
    test = "tests/test_a.py::test_one[b/c d]"
    assert error.message == f"2 of the 3 small tests failed: {test} - AssertionError: not it"
    pasted = error.fix.partition("on a kept cluster: ")[2]
    assert shlex.split(pasted) == ["pytest", test, "--kubeconfig", "FILE", "--durations=1"]
    assert small.suites == [Suite(STAGE, 3, 1, 2, {})]


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("assert 1 == 2", "1 of the 1 small tests failed: {test} - assert 1 == 2"),
        ("pass", "1 of the 1 small tests failed: {test} - failed on teardown with"),
    ],
    ids=["call and teardown", "teardown"],
)
def test_a_failing_tear_down_is_a_failure_of_its_test(small, body, line):
    small.write(
        "tests/test_a.py",
        f"import pytest\n\n@pytest.fixture\ndef it():\n    yield\n    assert 3 == 4\n\ndef test_one(it):\n    {body}\n",
    )
    assert small.refused().message.startswith(line.format(test=ONE))
    assert small.suites == [Suite(STAGE, 1, 0, 1, {})]


SKIPS = """
    import pytest

    @pytest.mark.skip(reason="not today")
    def test_one():
        pass

    def test_two():
        pytest.skip("no moon")
"""
DECLARED = {ONE: "not today", OTHER: "no moon"}


def test_declared_skips_are_counted_by_name(small):
    small.write("tests/test_a.py", SKIPS + "\n    def test_three():\n        pass\n")
    small.run(skips=DECLARED)
    assert small.suites == [Suite(STAGE, 3, 1, 0, DECLARED)]


@pytest.mark.parametrize(
    ("skips", "line"),
    [
        ({}, f"{ONE} was skipped, which is not declared: not today"),
        ({ONE: "not today"}, f"{OTHER} was skipped, which is not declared: no moon"),
        (DECLARED | {OTHER: "no sun"}, f"{OTHER} was skipped, which is not declared: no moon"),
        (
            DECLARED | {"tests/test_a.py::test_x": "gone"},
            "tests/test_a.py::test_x is declared as skipped, but is no such test",
        ),
    ],
    ids=["none declared", "one not declared", "for another reason", "no such test"],
)
def test_a_skip_that_is_not_as_declared_is_red(small, skips, line):
    small.write("tests/test_a.py", SKIPS)
    assert small.refused(skips=skips).message == line


def test_a_declared_skip_that_runs_is_red(two):
    assert two.refused(skips={ONE: "not today"}).message == f"{ONE} is declared as skipped, but was not skipped"


@pytest.mark.parametrize(
    ("mark", "body"),
    [("xfail", "assert False"), ("xfail", "pass"), ("xfail(run=False)", "pass")],
    ids=["fails", "passes", "is not run"],
)
def test_an_expected_failure_is_red(small, mark, body):
    small.write("tests/test_a.py", f"import pytest\n\n@pytest.mark.{mark}\ndef test_one():\n    {body}\n")
    assert small.refused().message == f"{ONE} is marked to fail (xfail), which is not declared"
