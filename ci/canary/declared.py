"""What the gates are held to: gates.yaml at the top of the project's tree."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ci.base import fields, nesting
from ci.base.errors import UsageError
from ci.manifests import places
from ci.manifests.chart import DEFAULTS

FILE = "gates.yaml"


class WrongFileError(UsageError):
    """The file is not there, or says what it cannot mean.

    Args:
        path: The file.
        line: Where in it; 0 for all of it.
        said: What is wrong.
        fix: As of every error.
        detail: As of every error.
    """

    def __init__(self, path: str, line: int, said: str, *, fix: str | None = None, detail: str | None = None) -> None:
        super().__init__(f"{path}{f':{line}' if line else ''}: {said}", fix=fix, detail=detail)
        self.line, self.said = line, said


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Healthy(_Strict):
    """A version that must go through.

    Attributes:
        errors: Share of requests that end in a 5xx.
        slow: Share of requests that take longer than slo.latency.p95Threshold.
        p95: Latency in seconds that 95 % of the requests stay within.
    """

    errors: float = Field(ge=0, lt=1)
    slow: float = Field(ge=0, lt=1)
    p95: float = Field(gt=0)


class Regression(_Strict):
    """The least regression that every step must be able to see.

    Attributes:
        errors: Share of requests that end in a 5xx.
        slow: Share of requests that take longer than slo.latency.p95Threshold.
    """

    errors: float = Field(gt=0, le=1)
    slow: float = Field(gt=0, le=1)


class Power(_Strict):
    """How surely.

    Attributes:
        catch: Least probability to stop a version with the regression.
        false_abort: Greatest probability to stop a healthy one, over all of its steps.
    """

    catch: float = Field(gt=0, lt=1)
    false_abort: float = Field(gt=0, lt=1, alias="falseAbort")


class Accepted(_Strict):
    """An escape, a false alarm or a weak step that is known and lived with.

    Attributes:
        what: The shape's name, or "power: METRIC at WEIGHT %".
        environments: Where: ENV for all of its applications, or ENV/APP; everywhere where nothing is said.
        reason: Why.
    """

    what: str
    environments: list[str] | None = None
    reason: str = Field(min_length=10)


class Declared(_Strict):
    """All of the file.

    Attributes:
        requests_per_second: Least traffic of a whole service during a release: of the chart's own values and of every
            environment that is not here by "defaults", else by ENV, or by ENV/APP, which counts where it is there.
        healthy: What must go through.
        regression: What must not.
        power: How surely.
        accepted: Exceptions.
    """

    requests_per_second: dict[str, float] = Field(alias="requestsPerSecond")
    healthy: Healthy
    regression: Regression
    power: Power
    accepted: list[Accepted] = []

    def requests(self, target: str) -> float:
        """Return the least traffic of a target, by its name.

        Raises:
            WrongFileError: It is not declared.
        """
        for place in (*_places(target), DEFAULTS):
            if place in self.requests_per_second:
                return self.requests_per_second[place]
        raise WrongFileError(
            FILE,
            0,
            f"requestsPerSecond: none of {', '.join(dict.fromkeys((*_places(target), DEFAULTS)))}",
            fix=f"Declare there how many requests a second {target} gets at least while a release is under way.",
        )

    def accepts(self, what: str, target: str) -> Accepted | None:
        """Return the exception for something in a target, by its name, or None."""
        places = set(_places(target))
        for item in self.accepted:
            if item.what == what and (item.environments is None or places & set(item.environments)):
                return item
        return None


def _places(target: str) -> Sequence[str]:
    """Return what a target may be declared as by its own names, what counts first."""
    environment, _, application = target.partition("/")
    return [target, environment] if application else [target]


def load(folder: Path, tree: str) -> Declared:
    """Read the file of a project.

    Args:
        folder: The project's.
        tree: Its tree, from there.

    Raises:
        WrongFileError: It is not there, or says what it cannot mean.
    """
    path = f"{tree}/{FILE}"
    try:
        text = (folder / path).read_text()
        data = nesting.read(lambda: yaml.safe_load(text), path)
    except FileNotFoundError:
        raise WrongFileError(
            path,
            0,
            "no such file",
            fix="Write requestsPerSecond, healthy, regression and power into it; docs/gates.md has one to begin with.",
        ) from None
    except yaml.YAMLError as error:
        raise WrongFileError(path, 0, f"no YAML: {' '.join(str(error).split())}") from error
    if isinstance(data, dict) and "answers" in data:
        line = places.values_line(text, ("answers",))
        raise WrongFileError(path, line, "answers: no longer needed, the values have the known answer: remove it")
    try:
        return Declared.model_validate(data)
    except ValidationError as error:
        wrong = [_wrong(text, path, *each) for each in fields.wrong(error, Declared)]
    first, detail = wrong[0], "\n".join(each.message for each in wrong)
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    raise WrongFileError(path, first.line, f"{first.said}{more}", fix="docs/gates.md explains every key", detail=detail)


def _wrong(text: str, path: str, way: tuple[str | int, ...], said: str) -> WrongFileError:
    return WrongFileError(path, places.nearest_line(text, way), f"{'.'.join(map(str, way)) or 'all of it'}: {said}")
