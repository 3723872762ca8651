"""A first golden file: what a version that runs answers, to be checked by a person."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from ci.base import files
from ci.base.errors import CheckFailedError, UsageError
from ci.base.text import cut, one_line
from ci.behaviour import golden, protocols
from ci.behaviour.golden import Golden, Input
from ci.behaviour.protocols import NoAnswerError

CONNECT_SECONDS = 10
ANSWER_SECONDS = 60
EXPLAINED = "docs/behaviour.md shows one"
WEB = ("http://", "https://")
SHOWN = 200
"""Characters of a response that an error shows."""
WIDTH = 1 << 20
"""Of a line: each input is on one."""
LINES = (".jsonl", ".ndjson")
"""How files end that have a JSON value on each line; all others are YAML, which JSON is a part of."""
GATES = {golden.ALL: {"agreement": 1.0, "accuracy": 1.0, "regressions": 0}}
"""Whoever writes the file loosens them on purpose."""
HEAD = """\
# What a version that runs answered: nobody has said yet that it is right. docs/behaviour.md explains each field.
"""


@dataclass(frozen=True)
class Asking:
    """How the version is asked.

    Attributes:
        url: Of its host ("http://127.0.0.1:8080").
        name: What the file is called: the model's name.
        protocol: "v1", "v2" or "json".
        path: The URL's path, if not the protocol's own.
        answer: JSONPath to the answer, if not the protocol's own.
    """

    url: str
    name: str
    protocol: str
    path: str | None = None
    answer: str | None = None


def record(asking: Asking, file: Path, out: Path) -> Golden:
    """Ask a version that runs, and write what it answers as a golden file; nothing is written before all is answered.

    Args:
        asking: Whom, and how.
        file: The questions: with protocol v1 one of the request's instances each, else the whole request.
        out: The golden file.

    Returns:
        What was written.

    Raises:
        UsageError: The URL is none of HTTP, `out` is there already, a question cannot be asked by the protocol, or a
            field is wrong.
        CheckFailedError: The version does not answer one of the questions.
    """
    if not asking.url.lower().startswith(WEB):
        fix = "" if "://" in asking.url else f"--url http://{asking.url}"
        raise UsageError(f"--url {asking.url}: begins with neither {' nor '.join(WEB)}", fix=fix or None)
    if out.exists():
        raise UsageError(f"{out}: is there already, and is not overwritten", fix="give another --out, or move it away")
    questions = _questions(file)
    asked = golden.checked(_content(asking, questions, questions), str(file))  # before anything is asked
    with requests.Session() as session:
        answers = [_answer(session, asking.url, asked, item) for item in asked.inputs]
    text = _text(_content(asking, questions, answers))
    written = golden.parse(text, str(out))
    files.write(out, text.encode())
    return written


def _questions(file: Path) -> Sequence[Any]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {getattr(error, 'strerror', None) or error}") from error
    if file.suffix not in LINES:
        found = golden.read(text, str(file))
    else:
        found = []
        for number, line in enumerate(text.split("\n"), 1):
            try:
                found += [json.loads(line)] if line.strip() else []
            except ValueError as error:
                raise UsageError(f"{file}:{number}: no JSON: {error}", fix=EXPLAINED) from error
    if not isinstance(found, list) or not found:
        raise UsageError(f"{file}: no list of questions", fix=EXPLAINED)
    return found


def _content(asking: Asking, questions: Sequence[Any], answers: Sequence[Any]) -> dict[str, Any]:
    """Return what a golden file holds."""
    given = {"path": asking.path, "answer": asking.answer}
    asks = protocols.PROTOCOLS[asking.protocol].asks
    host = urlsplit(asking.url).netloc.rpartition("@")[2]  # without a password
    moment = datetime.now(UTC).replace(microsecond=0).isoformat()
    return {
        "name": asking.name,
        "version": 1,
        "source": f"{len(questions)} answers of {host}, recorded {moment}, not checked yet",
        "protocol": asking.protocol,
        **{field: value for field, value in given.items() if value is not None},
        "tolerance": {"absolute": 0.0, "relative": 0.0},
        "gates": GATES,
        "inputs": [
            {"id": f"input-{number}", asks: question, "expected": answer}
            for number, (question, answer) in enumerate(zip(questions, answers, strict=True), 1)
        ],
    }


def _text(content: dict[str, Any]) -> str:
    """Return a golden file, each of its inputs on one line."""
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.ignore_aliases = lambda _: True
    stream = io.StringIO()
    yaml.dump({**content, "inputs": [_on_one_line(row) for row in content["inputs"]]}, stream)
    return HEAD + stream.getvalue()


def _on_one_line(row: dict[str, Any]) -> CommentedMap:
    written = CommentedMap(_quoted(row))
    written.fa.set_flow_style()
    return written


def _quoted(value: Any) -> Any:
    """Return JSON in which every text that has to be escaped is quoted: ruamel.yaml would break a key at U+0085."""
    if isinstance(value, str):
        return value if value.isprintable() else DoubleQuotedScalarString(value)
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    if isinstance(value, dict):
        return {_quoted(key): _quoted(item) for key, item in value.items()}
    return value


def _answer(session: requests.Session, url: str, asked: Golden, item: Input) -> Any:
    """Ask one question."""
    target = url.rstrip("/") + asked.url_path(asked.name)
    try:
        response = session.post(
            target,
            data=json.dumps(asked.body(item)).encode(),
            headers={"Content-Type": "application/json"},
            timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
        )
    except requests.RequestException as error:
        raise CheckFailedError(f"{target}: {item.id}: {one_line(str(error))}", fix="Is --url reached?") from error
    if not response.ok:
        raise CheckFailedError(
            f"{target}: {item.id}: {response.status_code} {cut(one_line(response.text), SHOWN)}",
            fix=f"Is it called {asked.name} there, and asked by protocol {asked.protocol}? --name, --protocol, --path.",
        )
    try:
        return protocols.read(asked.asked, asked.keys, response.content.decode(errors="replace"))
    except NoAnswerError as error:
        raise CheckFailedError(f"{target}: {item.id}: {error}", fix="--answer says where the answer is.") from error
