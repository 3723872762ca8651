"""What the gates are held to: gates.yaml beside the chart's values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ci.base.errors import UsageError
from ci.manifests.chart import Chart

FILE = "gates.yaml"


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


class Answers(_Strict):
    """What the known request is answered with.

    Attributes:
        right: By a good version.
        wrong: By a bad one.
    """

    right: list[Any]
    wrong: list[Any]


class Accepted(_Strict):
    """An escape, a false alarm or a weak step that is known and lived with.

    Attributes:
        what: The shape's name, or "power: METRIC at WEIGHT %".
        environments: Where.
        reason: Why.
    """

    what: str
    environments: list[str]
    reason: str = Field(min_length=10)


class Declared(_Strict):
    """All of the file.

    Attributes:
        requests_per_second: Least traffic of the whole service during a release, by environment.
        healthy: What must go through.
        regression: What must not.
        power: How surely.
        answers: To the known request.
        accepted: Exceptions.
    """

    requests_per_second: dict[str, float] = Field(alias="requestsPerSecond")
    healthy: Healthy
    regression: Regression
    power: Power
    answers: Answers
    accepted: list[Accepted] = []

    def require_traffic(self, chart: Chart, environments: Sequence[str]) -> None:
        """Refuse environments whose traffic is not declared.

        Raises:
            UsageError: One is not.
        """
        for name in environments:
            if name not in self.requests_per_second:
                raise UsageError(f"{chart.path}/{FILE}: requestsPerSecond.{name}: not declared")

    def accepts(self, what: str, environment: str) -> Accepted | None:
        """Return the exception for something in an environment, or None."""
        return next((item for item in self.accepted if item.what == what and environment in item.environments), None)


def load(chart: Chart) -> Declared:
    """Read the file of a chart.

    Raises:
        UsageError: It is not there, or says what it cannot mean.
    """
    path = f"{chart.path}/{FILE}"
    file: Path = chart.root / path
    if not file.is_file():
        raise UsageError(f"{path}: there is no such file", fix="docs/gates.md explains what it declares")
    try:
        return Declared.model_validate(yaml.safe_load(file.read_text()))
    except yaml.YAMLError as error:
        raise UsageError(f"{path}: no YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise UsageError(f"{path}: {said}") from error
