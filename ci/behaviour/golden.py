"""Golden inputs: a versioned file of questions to a model with their right answers, and how far one may stray.

The format is explained in docs/behaviour.md.
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from jsonschema import FormatChecker
from jsonschema.exceptions import SchemaError
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, validator_for
from jsonschema_specifications import REGISTRY
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError
from referencing import Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node

from ci.base import fields, nesting
from ci.base.errors import UsageError
from ci.base.text import one_line
from ci.behaviour import protocols
from ci.behaviour.protocols import Keys, Protocol
from ci.canary.observe.files import traffic_client
from ci.manifests import places

ALL = "all"
"""The slice that every input is in; it is not declared."""
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
PATH = r"^/[!\"$-~]*$"
"""A URL's path, with its query: printable ASCII, without what begins a fragment."""
MODEL = "{model}"
"""In a path: the model's name."""
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
"""Keywords of JSON schema, of all its drafts, that lead to another one."""
FORMATS = ("date", "email", "idn-email", "ipv4", "ipv6", "regex", "uuid")
"""Of strings, by JSON schema: those that jsonschema checks without more packages."""
CHECKER = FormatChecker(FORMATS)
COMPARED = ("agreement", "regressions")
"""The kinds of gates that hold a candidate against its champion: which models the file is of matters less to them."""
WHOLE, FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
NUMBER = re.compile(
    r"[-+]?(?:[0-9]+|(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|\.(?:nan|NaN|NAN)"
)
"""As YAML 1.2.2 has it (10.3.2, the core schema); ruamel.yaml takes 1_000 and 0b1 for numbers too."""
PLACEHOLDER = re.compile(r"\{[^}]*\}?|\}")


def _finite(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} cannot be sent as JSON") from None
    return value


def _given(value: Any) -> Any:
    if value is None:
        raise ValueError("is left blank, and so says nothing: give it a value, or leave it out")
    return value


def _answer(value: Any) -> Any:
    if isinstance(value, str):
        protocols.keys(value)
    return value


def _path(value: Any) -> Any:
    if isinstance(value, str) and (unknown := set(PLACEHOLDER.findall(value)) - {MODEL}):
        raise ValueError(f"{min(unknown)} stands for nothing: {MODEL} is the model's name")
    return value


def _schema(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    draft = value.get("$schema", Draft202012Validator.META_SCHEMA["$id"])
    validator = validator_for({"$schema": draft}, None) if isinstance(draft, str) else None  # type: ignore[arg-type]
    if validator is None:
        raise ValueError(f"no JSON schema: there is no $schema {draft}")
    try:
        validator.check_schema(value)
    except SchemaError as error:
        raise ValueError(f"no JSON schema: {error.message}") from None
    except (ArithmeticError, RecursionError) as error:  # of a pattern that Python's own re does not take
        raise ValueError(f"no JSON schema: {error}") from None
    resource = Resource.from_contents(value, default_specification=DRAFT202012)
    misled = _misled(resource, REGISTRY.resolver_with_root(resource), validator, set())
    if wrong := next(itertools.chain(misled, _unsaid(resource, _keywords(validator))), None):
        raise ValueError(wrong)
    try:
        next(validator(value, registry=REGISTRY).iter_errors(None), None)
    except RecursionError:
        raise ValueError("a $ref leads back to itself before it says anything") from None
    return value


def _misled(resource: Resource[Any], resolver: Any, validator: type[Validator], seen: set[int]) -> Iterator[str]:
    """Yield the references of a schema that lead to no schema, those of what they lead to among them.

    Args:
        resource: The schema, or one within it.
        resolver: What referencing resolves its references by.
        validator: Of the schema's draft.
        seen: By identity, what references led to already.
    """
    for keyword in REFERENCES if isinstance(resource.contents, dict) else ():
        if not isinstance(reference := resource.contents.get(keyword), str):
            continue
        try:
            found = resolver.lookup(reference)
        except Unresolvable:
            yield f"{keyword} {reference}: leads nowhere within the schema, and nothing is fetched"
            continue
        if id(found.contents) in seen:
            continue
        seen.add(id(found.contents))
        try:
            validator.check_schema(found.contents)
        except SchemaError as error:
            yield f"{keyword} {reference}: no JSON schema: {error.message}"
        else:
            draft = specification_with(validator.META_SCHEMA.get("$id", ""), DRAFT202012)
            target = Resource.from_contents(found.contents, default_specification=draft)
            yield from _misled(target, found.resolver, validator, seen)
    for each in resource.subresources():
        yield from _misled(each, resolver.in_subresource(each), validator, seen)


def _keywords(validator: type[Validator]) -> set[str]:
    """Return the keywords of a draft: those of its metaschema, or of the vocabularies that it is made of."""
    meta = validator.META_SCHEMA
    resolver = REGISTRY.resolver(meta.get("$id") or meta["id"])
    made_of = [resolver.lookup(each["$ref"]).contents for each in meta.get("allOf", [])]
    return {"$ref", "definitions"}.union(*(each["properties"] for each in made_of or [meta]))


def _unsaid(resource: Resource[Any], keywords: set[str]) -> Iterator[str]:
    """Yield what a schema, or one within it, says to nobody: no keyword of the draft, a format that is not checked."""
    if isinstance(resource.contents, dict):
        for unknown in sorted(resource.contents.keys() - keywords):
            meant = fields.nearest(unknown, keywords)
            yield f"{unknown}: no keyword of its draft of JSON schema" + (f": is it {meant}?" if meant else "")
        named = resource.contents.get("format")
        if named is not None and named not in FORMATS:
            yield f"format {named}: is not checked, only {', '.join(FORMATS)}: say it by a `pattern`, or leave it out"
    for each in resource.subresources():
        yield from _unsaid(each, keywords)


Json = Annotated[JsonValue, BeforeValidator(_finite)]
T = TypeVar("T")
Given = Annotated[T | None, BeforeValidator(_given)]
"""What may be left out, but not blank."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Tolerance(_Strict):
    """How far a number may be from the right one, as `math.isclose` has it: as far as one of the two allows.

    Attributes:
        absolute: In the number's own unit.
        relative: As a share of the greater of the two.
    """

    absolute: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    relative: float = Field(default=0.0, ge=0, lt=1)


class Gate(_Strict):
    """What a candidate is held to in one slice; what is not given is not held to.

    Attributes:
        agreement: Least share of the inputs that both versions answer the same.
        accuracy: Least share of the inputs that the candidate answers as expected.
        regressions: Most inputs whose answer may go from right to wrong, or be none, whatever the champion's is.
    """

    agreement: Given[float] = Field(default=None, ge=0, le=1)
    accuracy: Given[float] = Field(default=None, ge=0, le=1)
    regressions: Given[int] = Field(default=None, ge=0)


class Input(_Strict):
    """One golden input.

    Attributes:
        id: Its name in reports.
        instance: What the model is asked, one of KServe's `instances`; with protocol v1.
        request: What it is asked, the whole request; with the other protocols.
        expected: The right answer; left out where the file's schema alone says what is right.
        slices: Which it belongs to, beside "all".
    """

    id: str = Field(pattern=NAME)
    instance: Json = None
    request: Json = None
    expected: Json = None
    slices: list[str] = []

    @property
    def judged(self) -> bool:
        """Whether there is a right answer: null is one."""
        return "expected" in self.model_fields_set


class Golden(_Strict):
    """All of the file.

    Attributes:
        name: What the inputs are called.
        version: Raised with every change, so that results are only compared where they can be.
        source: Where inputs and answers come from.
        protocol: How the model is asked.
        path: The URL's path, if not the protocol's own; {model} in it is the model's name.
        answer: JSONPath to the answer in a response, if not the protocol's own.
        tolerance: How far numbers may be from the right ones.
        answers: JSON schema that each answer must satisfy; `schema` in the file.
        known: Id of the input that the chart asks every canary.
        slices: What each slice holds, by name.
        gates: What a candidate is held to, by slice; "all" is every input.
        inputs: In the order they are sent.
    """

    name: str = Field(pattern=NAME)
    version: int = Field(ge=1)
    source: str = Field(min_length=10)
    protocol: Literal["v1", "v2", "json"] = "v1"
    path: Given[Annotated[str, Field(pattern=PATH), BeforeValidator(_path)]] = None
    answer: Given[Annotated[str, BeforeValidator(_answer)]] = None
    tolerance: Tolerance = Tolerance()
    answers: Given[Annotated[dict[str, JsonValue], BeforeValidator(_schema)]] = Field(default=None, alias="schema")
    known: Given[str] = None
    slices: dict[Annotated[str, Field(pattern=NAME)], str] = {}
    gates: dict[str, Gate]
    inputs: list[Input] = Field(min_length=1)

    @property
    def asked(self) -> Protocol:
        """How the model is asked."""
        return protocols.PROTOCOLS[self.protocol]

    @property
    def at(self) -> str:
        """JSONPath to the answer."""
        return self.answer or self.asked.answer or ""

    @property
    def keys(self) -> Keys:
        """The way to the answer."""
        return protocols.keys(self.at)

    def held_to(self, *kinds: str) -> "Golden":
        """Return it with gates of these kinds alone: fields of `Gate`."""
        gates = {
            name: Gate(**gate.model_dump(include=set(kinds), exclude_none=True)) for name, gate in self.gates.items()
        }
        return self.model_copy(update={"gates": gates})

    def url_path(self, model: str) -> str:
        """Return the path of the URL at which a model of a name is asked."""
        return (self.path or self.asked.path or "").replace(MODEL, model)

    def body(self, item: Input) -> Any:
        """Return the whole request that asks one input."""
        return protocols.body(self.asked, getattr(item, self.asked.asks))

    def objection(self, answer: Any) -> str:
        """Return what the schema, where there is one, has against an answer, in one line."""
        if self.answers is None:
            return ""
        validator: Validator = validator_for(self.answers, Draft202012Validator)(
            self.answers, registry=REGISTRY, format_checker=CHECKER
        )
        try:
            error = next(iter(validator.iter_errors(answer)), None)
        except RecursionError:
            return "the schema's references, or the answer, lead deeper than can be followed"
        except (ArithmeticError, ValueError) as error:  # a number that no float holds, and the like
            return f"the schema cannot be held against it: {one_line(str(error))}"
        return "" if error is None else f"the schema says at {error.json_path}: {error.message}"

    def inside(self, name: str) -> list[int]:
        """Return the positions of a slice's inputs."""
        return [number for number, item in enumerate(self.inputs) if name == ALL or name in item.slices]


def load(file: Path) -> Golden:
    """Read a file of golden inputs.

    Args:
        file: The file.

    Raises:
        UsageError: It is not there, or not what it should be; line, row and field are named.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}", fix="docs/behaviour.md explains how to make one") from error
    return of_bytes(content, str(file))


def of_bytes(content: bytes, name: str) -> Golden:
    """Read golden inputs, as a file or a commit has them.

    Args:
        content: Of the file.
        name: What errors call it.

    Raises:
        UsageError: It is not what it should be; line, row and field are named.
    """
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: no YAML: {error}") from error
    return parse(text, name)


def parse(text: str, name: str) -> Golden:
    """Read golden inputs.

    Args:
        text: Of the file, YAML 1.2: "no" is a text, and 1e-05 a number as in JSON.
        name: What errors call the file.

    Raises:
        UsageError: It is not what it should be; line, row and field are named.
    """
    return checked(read(text, name), name, text)


def checked(content: Any, name: str, text: str = "") -> Golden:
    """Return golden inputs of what a file holds.

    Args:
        content: What it holds.
        name: What errors call the file.
        text: Of the file, so that they name lines.

    Raises:
        UsageError: It is not what it should be; line, row and field are named.
    """
    try:
        golden = Golden.model_validate(content)
        wrong = list(_contradictions(golden))
    except ValidationError as error:
        wrong = list(fields.wrong(error, Golden))
    if wrong:
        lines = [f"{name}{_line(text, location)}: {_place(content, location)}{said}" for location, said in wrong]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise UsageError(lines[0] + more, fix="docs/behaviour.md explains the format", detail="\n".join(lines))
    return golden


def read(text: str, name: str) -> Any:
    """Read JSON or YAML 1.2; a key that is there twice is an error.

    Args:
        text: Of the file.
        name: What errors call it.

    Raises:
        UsageError: It is no YAML; the line is named.
    """
    try:
        return nesting.read(lambda: _json_or_yaml(text), name)
    except MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        said = " ".join(str(error.problem).split())
        no_yaml = "" if isinstance(error, DuplicateKeyError | _AmbiguousError) else "no YAML: "
        raise UsageError(f"{name}{line}: {no_yaml}{said}") from error
    except (YAMLError, ValueError) as error:
        raise UsageError(f"{name}: no YAML: {' '.join(str(error).split())}") from error


def _json_or_yaml(text: str) -> Any:
    """Read it by Python's own reader where it is JSON: ruamel.yaml does not take all of that as JSON means it."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except ValueError:  # with a key twice too: the reader of YAML knows its line
        yaml = YAML(typ="safe", pure=True)
        yaml.Constructor = _Constructor
        return yaml.load(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


class _AmbiguousError(MarkedYAMLError):
    """A value that readers of YAML take for different things."""


class _Constructor(SafeConstructor):
    """Makes values as YAML 1.2 and JSON mean them, where ruamel.yaml does not."""

    def construct_scalar(self, node: Node) -> Any:
        """Return the text of a scalar; what JSON escapes as two surrogates is one character."""
        text = super().construct_scalar(node)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

    def number(self, node: Node) -> Any:
        """Return a number.

        Raises:
            _AmbiguousError: It is one to some readers of YAML, and a text to others.
        """
        if NUMBER.fullmatch(node.value) is None:
            said = (
                f"{node.value}: a number to some readers of YAML, to others a text: quote it, or write it as JSON does"
            )
            raise _AmbiguousError(problem=said, problem_mark=node.start_mark)
        return self.construct_yaml_int(node) if node.tag == WHOLE else self.construct_yaml_float(node)


for tag in (WHOLE, FLOAT):
    _Constructor.add_constructor(tag, _Constructor.number)


Location = tuple[int | str, ...]


def _line(text: str, location: Location) -> str:
    """Return the line of a value, or of what it would be in, as it stands behind a file's name."""
    known = (places.values_line(text, location[:length]) for length in range(len(location), 0, -1))
    line = next(filter(None, known), 0)
    return f":{line}" if line else ""


def _place(content: Any, location: Location) -> str:
    """Return where a value is, with the row and its id where it is in one."""
    match location:
        case ("inputs", int(number), *field):
            row = content["inputs"][number]
            named = f" ({row['id']})" if isinstance(row, Mapping) and "id" in row else ""
            return ": ".join([f"row {number + 1}{named}", *([".".join(map(str, field))] if field else [])]) + ": "
        case ():
            return ""
    return f"{'.'.join(map(str, location))}: "


def _contradictions(golden: Golden) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong between fields that are each right, and where."""
    for field in ("path", "answer"):
        if getattr(golden, field) is None and getattr(golden.asked, field) is None:
            yield ("protocol",), f"{golden.protocol} has no {field} of its own: say `{field}`"
    if ALL in golden.slices:
        yield ("slices", ALL), "the name is taken: every input is in it"
    if ALL not in golden.gates:
        yield ("gates", ALL), "not declared: what is a candidate held to over all inputs?"
    for name, gate in golden.gates.items():
        if name != ALL and name not in golden.slices:
            yield ("gates", name), "there is no such slice"
        if not gate.model_fields_set:
            yield ("gates", name), "holds a candidate to nothing"
    rows: dict[str, int] = {}
    for number, item in enumerate(golden.inputs):
        if rows.setdefault(item.id, number) != number:
            yield ("inputs", number, "id"), f"row {rows[item.id] + 1} has it already"
        for name in item.slices:
            if name not in golden.slices:
                yield ("inputs", number, "slices"), f"{name} is not declared"
        for at, said in (*_of_question(golden, item), *_of_answer(golden, item)):
            yield ("inputs", number, *at), said
    for name in golden.slices:
        if not golden.inside(name):
            yield ("slices", name), "no input is in it"
    if golden.known is not None:
        known = next((item for item in golden.inputs if item.id == golden.known), None)
        if known is None:
            yield ("known",), f"no input is called {golden.known}"
        elif not known.judged or not _plain(known.expected):
            comparable = "a text, a number, true or false, or a list of these"
            yield ("known",), f"{golden.known} expects no answer that the chart can compare: {comparable}"
        elif (large := next(_rounded([golden.body(known), known.expected]), None)) is not None:
            rounded = f"{golden.known} has {large}, and Argo CD and Argo Rollouts round whole numbers from 2^53 on"
            yield ("known",), f"{rounded}; let the chart ask another input"


def _of_question(golden: Golden, item: Input) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong with what an input asks: the field, and why."""
    wanted = golden.asked.asks
    other: Literal["instance", "request"] = "request" if wanted == "instance" else "instance"
    if other in item.model_fields_set:
        yield (other,), f"protocol {golden.protocol} has none: an input of it has `{wanted}`"
    if wanted not in item.model_fields_set:
        yield (wanted,), "not given"
        return
    question = getattr(item, wanted)
    if said := protocols.objection(golden.asked, question):
        yield (wanted,), said
    first = golden.inputs[0]
    if wanted == "instance" and _shape(question) != _shape(first.instance):
        yield (wanted,), f"{_shape(question)}, but {_shape(first.instance)} in row 1 ({first.id})"


def _of_answer(golden: Golden, item: Input) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong with the answer that an input expects: the field, and why."""
    if not item.judged:
        if golden.answers is None:
            yield ("expected",), "not given: without a `schema` nothing says which answer is right"
    elif said := golden.objection(item.expected):
        yield ("expected",), said


def _plain(value: Any) -> bool:
    return all(isinstance(each, str | int | float) for each in (value if isinstance(value, list) else [value]))


def _rounded(value: Any) -> Iterator[int]:
    """Yield the whole numbers in a JSON value that Go, which reads each as a float, does not tell from all others."""
    if isinstance(value, int) and abs(value) >= traffic_client.EXACT:
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _rounded(each)


def _shape(instance: JsonValue) -> str:
    return f"{len(instance)} values" if isinstance(instance, list) else type(instance).__name__
