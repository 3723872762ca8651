"""pytest alone: what it runs is decided by its arguments and the tests' own files, by nothing else around it.

A program of its own, for it keeps away what would be loaded before any check of ours:
`python -E -P ci/stages/alone.py ROOT ARGUMENT...`. In the JUnit file each test says by name that it ran, and how each
call of it ended: the file's own names are not unique, and a report may say other than what happened.
"""

import json
import os
import shlex
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

NODE, CALL, EXPECTED_FAILURE = "node", "call", "expected-failure"
"""Properties of a test in the JUnit file: its node id; how each call of it ended; the reason of its xfail."""


class Named:
    """The plugin that writes these properties, and the names of all tests where it is asked to."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def pytest_addoption(self, parser: pytest.Parser) -> None:
        """Add the one option."""
        parser.addoption("--listed", type=Path, metavar="FILE", help="write the node ids of all tests, as JSON")

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Name a test before any other plugin or conftest.py can leave it out."""
        self._names.append(item.nodeid)
        item.user_properties.append((NODE, item.nodeid))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the names."""
        file: Path | None = session.config.option.listed
        if file is not None:
            file.write_text(json.dumps(self._names, indent=2))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Note how a call ended, whatever is made of that afterwards."""
        ended = "failed"
        try:
            result = yield
            ended = "passed"
        except pytest.skip.Exception:
            ended = "skipped"
            raise
        finally:
            item.user_properties.append((CALL, ended))
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note a failure that was expected: JUnit has no word for a test that passed although it was."""
        report = yield
        if hasattr(report, "wasxfail"):
            item.user_properties.append((EXPECTED_FAILURE, report.wasxfail))
        return report


def main(root: str, *arguments: str) -> int:
    """Run pytest.

    Args:
        root: Node ids are paths from there; the folder `tests` in it has the only conftest.py files that count.
        arguments: More of pytest's.
    """
    if sys.flags.optimize:
        sys.stderr.write("python -O leaves out what the tests assert\n")
        return pytest.ExitCode.USAGE_ERROR
    for name in [name for name in os.environ if name.startswith("PYTEST_")]:
        del os.environ[name]
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    fixed = [
        f"--config-file={os.devnull}",  # an ini file decides what a test is called
        f"--rootdir={root}",
        f"--confcutdir={Path(root, 'tests')}",
        f"--override-ini=pythonpath={shlex.quote(root)}",
        "-panyio.pytest_plugin",
        "-pno:cacheprovider",
        "-ra",
        "--strict-markers",
        "--color=no",
    ]
    return pytest.main([*fixed, *arguments], plugins=[Named()])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
