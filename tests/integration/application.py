"""The application that `--app` names, and which tests make sense for it.

A test that is the sample's alone asks for the fixture `sample`, itself or through another fixture; one that stands on a
part of the chart names the value that turns it on, as in `@pytest.mark.needs("features.autoscaling")`. What an
application lacks is decided by its release's own values, and a test of that is left out before it counts as one.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ci import project
from ci.behaviour import golden
from ci.behaviour.golden import Golden
from ci.manifests.manifests import dig
from tests.integration.release import Release

PLUGIN = "application"
NEEDS = "needs(value, …): the release's values have it, and it is neither false nor 0 nor empty"
KNOWN_ANSWER = "exampleModel.knownAnswer"


@dataclass(frozen=True)
class Application:
    """An application as it is installed; as a plugin, it leaves out of the collection what needs what it lacks.

    Attributes:
        name: Its name, as its file and its golden file have it.
        release: Its release.
        values: Its release's, the chart's own among them.
        golden: Its golden inputs; None where there are none.
        left_out: How many tests were left out, by what they need.
    """

    name: str
    release: Release
    values: Mapping[str, Any]
    golden: Golden | None
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def lacks(self) -> set[str]:
        """The fixtures that there is nothing to make of."""
        lacks = {"sample"}
        if self.golden is None:
            lacks.add("golden")
            if not self._has(KNOWN_ANSWER):
                lacks.add("question")
        return lacks

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(self) -> Iterator[Any]:
        """Leave tests out as they are made: a stage has every test run that was collected."""
        made = yield
        return [item for item in made if self._takes(item)] if isinstance(made, list) else made

    def pytest_report_collectionfinish(self) -> list[str]:
        return [f"{self.name}: {count} left out, which need {what}" for what, count in sorted(self.left_out.items())]

    def _takes(self, item: pytest.Function) -> bool:
        missing = self._missing(item)
        self.left_out.update([missing] if missing else [])
        return missing is None

    def _missing(self, item: pytest.Function) -> str | None:
        values = [value for mark in item.iter_markers("needs") for value in mark.args]
        wanted = [name for name in item.fixturenames if name in self.lacks]
        wanted += [value for value in values if not self._has(value)]
        return wanted[0] if wanted else None

    def _has(self, value: str) -> bool:
        return bool(dig(self.values, *value.split(".")))


def golden_inputs(folder: Path, name: str) -> Golden | None:
    """Return an application's golden inputs, or None where the project has none for it.

    Raises:
        UsageError: The project file or the golden file is not what it should be.
    """
    file = folder / project.load(folder).paths.golden / f"{name}.yaml"
    return golden.load(file) if file.is_file() else None
