"""The answer that an application's known request must get, and one that it must not."""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError

from ci.base.errors import CheckFailedError
from ci.manifests.manifests import Manifest

ANNOTATION = "ml-serving/known-answer"
"""Of an AnalysisTemplate: what is expected of the known request, as JSON."""

Scalar = StrictBool | StrictInt | StrictFloat | StrictStr


class KnownAnswer(BaseModel):
    """What is expected, as the values say it.

    Attributes:
        expected: One value, or a flat list of them.
        absolute: How far a number may be off.
        relative: The same, as a share of the expected number; the greater of the two counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    expected: Scalar | list[Scalar]
    absolute: float = Field(0.0, ge=0)
    relative: float = Field(0.0, ge=0)

    @property
    def right(self) -> Any:
        """What a good version answers, as Argo Rollouts reads it: every number of a JSON answer is a float."""
        if isinstance(self.expected, list):
            return tuple(map(_as_read, self.expected))
        return _as_read(self.expected)

    @property
    def wrong(self) -> Any:
        """What a bad version answers: one value is another, and a number beyond its tolerance."""
        if isinstance(self.expected, list):
            return (*self.right[:-1], self._other(self.expected[-1]))
        return self._other(self.expected)

    def _other(self, value: Scalar) -> Any:
        if isinstance(value, bool):
            return not value
        if isinstance(value, str):
            return f"not {value}"
        tolerance = max(self.absolute, self.relative * abs(value))
        return value + 2 * tolerance + max(1.0, abs(value))


def read(templates: Sequence[Manifest]) -> KnownAnswer | None:
    """Return what the AnalysisTemplates of a canary expect, or None where the application has no known answer.

    Args:
        templates: They.

    Raises:
        CheckFailedError: An annotation is not what the chart writes.
    """
    for template in templates:
        text = (template.dig("metadata", "annotations") or {}).get(ANNOTATION)
        if text is not None:
            try:
                return KnownAnswer.model_validate_json(text)
            except ValidationError as error:
                said = error.errors()[0]["msg"]
                raise CheckFailedError(f"{template}: annotation {ANNOTATION}: {said}", detail=text) from error
    return None


def _as_read(value: Scalar) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
