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
        ('b: 1\na: "\\x85"\n', "2: U+0085 in a text: Argo CD reads it once, and not again"),
        ('{"a": {"\\x7f": 1}}', "1: U+007F in a text: Argo CD reads it once, and not again"),
        ("%YAML 1.2\n---\na: 1\n", "1: a version of YAML that Argo CD does not read"),
        ("a: 1\n\ufeffb: 2\n", "2: a byte order mark within the text"),
        ("a: &x 1\nb: &x 2\n", "2: an anchor that is there already: readers of YAML do not agree on it"),
        ("a: *x\n", "1: not YAML: found undefined alias"),
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


# --- what others wrote ---


def documents(text):
    return kubernetes_yaml.documents(text, NAME)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1\na: 2\n", {"a": 2}),
        ("a: {b: 1}\na: {c: 2}\n", {"a": {"c": 2}}),
        ("x: &x {a: 1, b: 1}\nit: {a: 2, <<: *x}\n", {"a": 1, "b": 1}),
        ("x: &x {a: 1}\nit: {<<: *x, a: 2}\n", {"a": 2}),
        ("x: &x {a: 1}\nw: &w {a: 2, b: 2}\nit: {<<: [*x, *w]}\n", {"a": 1, "b": 2}),
        ('it: {"<<": {a: 1}}\n', {"<<": {"a": 1}}),
        ("it: {1: a, true: b, off: c}\n", {"1": "a", "true": "b", "false": "c"}),
        ("it: {a: 1e3, b: 9007199254740993, c: 1e400, d: 99999999999999999999, e: -0.0}\n",
         {"a": 1000, "b": 9007199254740993, "c": "1e400", "d": 1e20, "e": 0}),
        ('it: {a: !!str 1.10, b: !!int "3", c: !!float 1, d: !x 1, e: !!null "", f: !!bool "on"}\n',
         {"a": "1.10", "b": 3, "c": 1, "d": "1", "e": None, "f": True}),
    ],
)  # fmt: skip
def test_what_others_wrote_is_read_as_the_library_takes_it(text, found):
    (read,) = documents(text)
    read = read.get("it", read)
    assert read == found
    assert [type(read[key]) for key in found] == [type(value) for value in found.values()]


def test_documents_are_parted_as_kubernetes_parts_them():
    text = "# nothing\n---\na: 1\n--- # the next\n\n---   \nb: |\n  x\n  --- y\n---\n"
    assert documents(text) == [{"a": 1}, {"b": "x\n--- y\n"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n---\nb: [\n", "4: not YAML: did not find expected node content"),
        ("a: 1\n---\n\nb: .inf\n", "4: .inf: is a number that JSON has not"),
        ("a: 1\n--- {b: 2}\n", "2: between documents is more than ---"),
        ("a: !!int x\n", "1: x: is no int, as its tag has it"),
        ("a: {<<: 1}\n", "1: <<: takes a mapping, or a list of them"),
        ("a: {1.5: b}\n", "1: 1.5: is no string"),
        ("a: {~: b}\n", "1: ~: is no string"),
    ],
)
def test_what_cannot_be_read_alike_is_named_with_its_line_in_the_whole_file(text, said):
    with pytest.raises(UsageError) as raised:
        documents(text)
    assert raised.value.message == f"{NAME}:{said}"


def test_a_large_manifest_without_aliases_is_read_and_a_small_one_that_stands_for_billions_is_refused():
    (found,) = documents("a: [" + "1," * (kubernetes_yaml.MOST + 1) + "]\n")
    assert len(found["a"]) == kubernetes_yaml.MOST + 1
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(UsageError, match="more than 100000 values"):
        documents("\n".join(lines))


def test_a_second_object_of_json_is_refused_with_its_line():
    with pytest.raises(UsageError, match=f"^{NAME}:2: not YAML: did not find expected <document start>"):
        documents('{"a": 1}\n{"b": 2}\n')


def test_a_byte_order_mark_within_is_refused_with_its_line():
    with pytest.raises(UsageError, match=f"^{NAME}:5: a byte order mark within the text"):
        documents("a: 1\n---\n# of a file of Windows\nb: 1\n\ufeffc: 2\n")


def test_the_last_line_of_a_manifest_ends_where_that_of_values_does_not():
    text = "a: |\n  x"
    assert kubernetes_yaml.stream(text, NAME) == [{"a": "x\n"}]
    assert documents(text) == [{"a": "x"}]


def test_a_character_that_argo_cd_reads_once_is_refused_in_manifests_and_not_in_values():
    text = 'a: 1\n---\nb: "\\x8c"\n'
    assert documents(text)[1] == {"b": "\x8c"}
    with pytest.raises(UsageError, match=rf"^{NAME}:3: U\+008C in a text"):
        kubernetes_yaml.stream(text, NAME)
