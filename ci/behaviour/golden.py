"""Golden inputs: a versioned file of inputs with the labels a good version gives them, and how far one may stray.

The format is explained in docs/behaviour.md.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from ci.base.errors import UsageError

ALL = "all"
"""The slice that every input is in; it is not declared."""
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


def _label(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{value!r} is no label: a whole number, or a text, in quotes where YAML reads something else")  # noqa: TRY004 - pydantic's own
    return value


def _finite(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} cannot be sent as JSON") from None
    return value


Label = Annotated[int | str, BeforeValidator(_label)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Gate(_Strict):
    """What a candidate is held to in one slice; what is not given is not held to.

    Attributes:
        agreement: Least share of the inputs that both versions answer the same.
        accuracy: Least share of the inputs that the candidate answers as expected.
        regressions: Most inputs whose answer may go from right to wrong.
    """

    agreement: float | None = Field(default=None, ge=0, le=1)
    accuracy: float | None = Field(default=None, ge=0, le=1)
    regressions: int | None = Field(default=None, ge=0)


class Input(_Strict):
    """One golden input.

    Attributes:
        id: Its name in reports.
        instance: What the model is asked, one of KServe's `instances`.
        expected: The right answer.
        slices: Which it belongs to, beside "all".
    """

    id: str = Field(pattern=NAME)
    instance: Annotated[JsonValue, BeforeValidator(_finite)]
    expected: Label
    slices: list[str] = []


class Golden(_Strict):
    """All of the file.

    Attributes:
        name: What the inputs are called.
        version: Raised with every change, so that results are only compared where they can be.
        source: Where inputs and labels come from.
        slices: What each slice holds, by name.
        gates: What a candidate is held to, by slice; "all" is every input.
        inputs: In the order they are sent.
    """

    name: str = Field(pattern=NAME)
    version: int = Field(ge=1)
    source: str = Field(min_length=10)
    slices: dict[Annotated[str, Field(pattern=NAME)], str] = {}
    gates: dict[str, Gate]
    inputs: list[Input] = Field(min_length=1)

    def inside(self, name: str) -> list[int]:
        """Return the positions of a slice's inputs."""
        return [number for number, item in enumerate(self.inputs) if name == ALL or name in item.slices]


def load(file: Path) -> Golden:
    """Read a file of golden inputs.

    Args:
        file: The file.

    Raises:
        UsageError: It is not there, or not what it should be; row and field are named.
    """
    try:
        content = yaml.safe_load(file.read_text())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}", fix="docs/behaviour.md explains how to make one") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: no YAML: {' '.join(str(error).split())}") from error
    try:
        golden = Golden.model_validate(content)
        wrong = list(_contradictions(golden))
    except ValidationError as error:
        wrong = [
            f"{_place(content, item['loc'])}{item['msg'].removeprefix('Value error, ')}" for item in error.errors()
        ]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise UsageError(
            f"{file}: {wrong[0]}{more}", fix="docs/behaviour.md explains the format", detail="\n".join(wrong)
        )
    return golden


def _place(content: Any, location: tuple[int | str, ...]) -> str:
    """Return where a value is, with the row and its id where it is in one."""
    match location:
        case ("inputs", int(number), *field):
            row = content["inputs"][number]
            named = f" ({row['id']})" if isinstance(row, dict) and "id" in row else ""
            return ": ".join([f"row {number + 1}{named}", *([".".join(map(str, field))] if field else [])]) + ": "
        case ():
            return ""
    return f"{'.'.join(map(str, location))}: "


def _contradictions(golden: Golden) -> Iterator[str]:
    """Yield what is wrong between fields that are each right."""
    if ALL in golden.slices:
        yield f"slices.{ALL}: the name is taken: every input is in it"
    if ALL not in golden.gates:
        yield f"gates.{ALL}: not declared: what is a candidate held to over all inputs?"
    for name, gate in golden.gates.items():
        if name != ALL and name not in golden.slices:
            yield f"gates.{name}: there is no such slice"
        if not gate.model_fields_set:
            yield f"gates.{name}: holds a candidate to nothing"
    rows: dict[str, int] = {}
    for number, item in enumerate(golden.inputs, 1):
        where = f"row {number} ({item.id})"
        if rows.setdefault(item.id, number) != number:
            yield f"{where}: id: row {rows[item.id]} has it already"
        for name in item.slices:
            if name not in golden.slices:
                yield f"{where}: slices: {name} is not declared"
        first = golden.inputs[0]
        if _shape(item.instance) != _shape(first.instance):
            yield f"{where}: instance: {_shape(item.instance)}, but {_shape(first.instance)} in row 1 ({first.id})"
    for name in golden.slices:
        if not golden.inside(name):
            yield f"slices.{name}: no input is in it"


def _shape(instance: JsonValue) -> str:
    return f"{len(instance)} values" if isinstance(instance, list) else type(instance).__name__
