"""What a real Prometheus recorded around a canary: an answer of its HTTP API, as `curl` saves it.

`GET /api/v1/query` with a range selector (`…[40m]`) gives every sample as it was scraped, with the time of its scrape
(https://prometheus.io/docs/prometheus/latest/querying/api/#range-vectors). `query_range` has the same form, but gives
values at times of its own choosing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from ci.base import jsonfile
from ci.base.errors import UsageError

HOW = "docs/gates.md has the command that records a canary"
NAME = "__name__"
TARGET = ("namespace", "service", "model")
"""Labels that all series of one release share; a plan has an attribute for each."""

Time = Annotated[float, Field(ge=0, lt=1e11)]
"""Unix time in seconds, as distinct from milliseconds."""
Count = Annotated[float, BeforeValidator(lambda value: float(str(value))), Field(ge=0, allow_inf_nan=False)]
"""What a counter had counted; in JSON a string."""


@dataclass(frozen=True)
class Given:
    """What the user says about a recording.

    Attributes:
        start: Unix time at which the canary got its first weight; None: its first sample's.
        labels: What the recording has for some of `TARGET` where the chart has something else.
        stable: The stable version's `revision`; None: the one that is there first.
        canary: The canary's; None: the one that comes later.
    """

    start: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    stable: str | None = None
    canary: str | None = None


class Series(BaseModel):
    """One series.

    Attributes:
        labels: Its labels, its name among them.
        values: Unix time and value of each sample, in order.
    """

    model_config = ConfigDict(frozen=True)
    labels: dict[str, str] = Field(alias="metric")
    values: list[tuple[Time, Count]] = Field(min_length=1)

    @field_validator("values")
    @classmethod
    def _in_order(cls, values: list[tuple[float, float]]) -> list[tuple[float, float]]:
        if any(after <= before for (before, _), (after, _) in pairwise(values)):
            raise ValueError("the samples are not in the order of their times")
        return values

    @property
    def name(self) -> str:
        """Its name."""
        return self.labels.get(NAME, "")


class _Data(BaseModel):
    kind: Literal["matrix"] = Field(alias="resultType")
    result: list[Series]


class _Answer(BaseModel):
    status: Literal["success"]
    data: _Data


@dataclass(frozen=True)
class Recording:
    """A file of recorded series.

    Attributes:
        file: Where it is.
        series: What it has, each once.
    """

    file: Path
    series: list[Series]


def read(file: Path) -> Recording:
    """Read a recording.

    Args:
        file: What Prometheus answered.

    Raises:
        UsageError: It is not there, no such answer, or holds what a counter cannot have counted.
    """
    try:
        series = jsonfile.read(file, _Answer).data.result
    except UsageError as error:
        raise UsageError(error.message, fix=HOW) from error
    seen = set()
    for each in series:
        key = frozenset(each.labels.items())
        if key in seen:
            raise UsageError(f"{file}: {each.labels}: there twice", fix=HOW)
        seen.add(key)
    return Recording(file, series)
