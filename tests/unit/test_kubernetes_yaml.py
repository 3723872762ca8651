"""Application files are read as Kubernetes, Helm and Argo CD read them, or refused with file and line.

What those make of the same text, tests/upstream asks their own code.
"""

import pytest

from ci.base.errors import UsageError
from ci.manifests import kubernetes_yaml

NAME = "deploy/live/fraud.yaml"


def read(text):
    return kubernetes_yaml.read(text.encode(), NAME)


def refused(text):
    with pytest.raises(UsageError) as raised:
        read(text)
    assert "\n" not in raised.value.message
    return raised.value.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("=", "="),
        ("v1.10", "v1.10"),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        ("1_000", 1000),
        ("010", 8),
        ("0o17", 15),
        ("08", 8.0),
        ("0x1F", 31),
        ("-0b11", -3),
        (".5", 0.5),
        ("yes", True),
        ("Off", False),
        ("yES", "yES"),
        ("~", None),
        ("", None),
        ("1.2.3", "1.2.3"),
        ("+", "+"),
        ("x-y", "x-y"),
        ("what?", "what?"),
        ('"1e3"', "1e3"),
        ("'yes'", "yes"),
        ("|-\n  1", "1"),
    ],
)
def test_a_scalar_is_what_kubernetes_reads(text, value):
    found = read(f"a: {text}\n")["a"]
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n---\nb: 2\n", "3: a second document, which Argo CD leaves out"),
        ("model: {uri: a, <<: {uri: b}}\n", "1: <<: readers of YAML do not agree on what wins"),
        ("x: &x {a: 1}\nb:\n  <<: *x\n", "3: <<: readers of YAML do not agree on what wins"),
        ("values:\n  a: 1\n  b: 2\n  a: 3\n", "4: a: is there twice, first in line 2"),
        ('a: {"1": x, 1: y}\n', "1: 1: is no string"),
        ("a: !x 1\n", "1: has the tag !x, which readers of YAML take for different things"),
        ("a: !!str 1.10\n", "1: has the tag !!str, which readers of YAML take for different things"),
        ("a: ! 1\n", "1: has the tag !, which readers of YAML take for different things"),
        ("a: {b: [what?]}\n", "1: what?: to some readers of YAML a question mark ends it, within [] and {}"),
        ("a: {b?: 1}\n", "1: b?: to some readers of YAML a question mark ends it, within [] and {}"),
        ("a: !!binary aGk=\n", "1: has the tag !!binary, which readers of YAML take for different things"),
        ("a: !!set {b}\n", "1: has the tag !!set, which readers of YAML take for different things"),
        ("a: !y\n  b: 1\n", "1: has the tag !y, which readers of YAML take for different things"),
        ("true: 1\n", "1: true: is no string"),
        ("on: 1\n", "1: on: is no string"),
        ("? [a]\n: 1\n", "1: a mapping or a list is no key"),
        ("a: .inf\n", "1: .inf: is a number that JSON has not"),
        ("a: .nan\n", "1: .nan: is a number that JSON has not"),
        ("a: 12345678901234567890\n", "1: 12345678901234567890: Argo CD rounds so large a number"),
        ("a: 1e999\n", "1: 1e999: Argo CD rounds so large a number"),
        ("a: [\n", "2: not YAML: did not find expected node content"),
        ("a: \x01\n", "1: not YAML: control characters are not allowed"),
    ],
)
def test_what_another_reader_takes_for_something_else_is_refused_with_its_line(text, said):
    assert refused(text) == f"{NAME}:{said}"


def test_other_encodings_are_refused_with_the_line():
    with pytest.raises(UsageError, match=f"{NAME}:2: not UTF-8"):
        kubernetes_yaml.read("a: b\nc: ü\n".encode("latin-1"), NAME)


def test_a_byte_order_mark_and_the_marks_of_a_document_are_no_content():
    assert kubernetes_yaml.read(b"\xef\xbb\xbf---\na: b\n...\n", NAME) == {"a": "b"}


def test_an_anchor_stands_for_its_value_wherever_its_alias_is():
    assert read("a: &a {b: 1}\nc: [*a, *a]\n") == {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]}


def test_a_few_lines_that_stand_for_billions_of_values_are_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "more than 100000 values" in refused("\n".join(lines))


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "[" * 5000 + "]" * 5000])
def test_what_has_no_end_or_none_in_sight_is_refused(text):
    assert refused(text).startswith(f"{NAME}:")


def test_an_empty_file_has_nothing():
    assert read("# nothing yet\n") is None
