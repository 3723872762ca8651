"""Changed scalars: only their own bytes differ, and every reader gets the string back."""

import json
import re
import subprocess

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ci.base.errors import UsageError
from ci.tree.scalars import NOT_STRINGS, read, set_scalars

VALUES = """\
# Values of production, owned by the ranking team

---
model:
  storageUri: &uri "s3://models/iris/v1"   # the release sets this
  format: 'sklearn'

  runtime:   kserve-sklearnserver
image:
    tag: v1 # and this
notes: |
  tag: v1

    # not a comment
sidecar: {image: {tag: v1, "pull": always}, same: *uri}
list:
- name: first
  tag: v1
-   name: second
    tag: 'v1'


# the end
"""

NASTY = (
    "1.20",
    "0123456",
    "1e10",
    "0x1f",
    "0o17",
    "1_000",
    "12:30:45",
    ".inf",
    "-1",
    "+1",
    "~",
    "=",
    "<<",
    "null",
    "Null",
    "no",
    "NO",
    "y",
    "off",
    "True",
    "nan",
    "2026-11-25",
    "2026-11-25T10:00:00Z",
    "",
    " ",
    " led and trailed ",
    "it's",
    'say "so"',
    "both ' and \"",
    "C:\\new",
    "two\nlines",
    "ends\n",
    "\n\n",
    "a\ttab",
    "- item",
    "key: value",
    "ends:",
    "half # comment",
    "#",
    "*alias",
    "&anchor",
    "!tag",
    "{a: b}",
    "[a]",
    "a, b",
    "%",
    "@at",
    "`tick",
    "? key",
    "|",
    ">-",
    "---",
    "...",
    "{{ .Values.tag }}",
    "ünïcode",
    "\U0001f600",
    "\ufeff",
    "a\x85b\u2028c",
    "v1.2.3",
    "sha256:0a1b",
    "s3://models/iris/v2",
    "registry.example.com:5000/a/b@sha256:0a1b",
    "x" * 1100,
    "word " * 60,
)


def refusal(content, path, value="v2"):
    """The error for setting one scalar."""
    content = content if isinstance(content, bytes) else content.encode()
    with pytest.raises(UsageError) as caught:
        set_scalars(content, {path: value}, "values.yaml")
    assert caught.value.exit_code == 2
    assert caught.value.fix
    assert "\n" not in caught.value.message
    return caught.value.message


@pytest.mark.parametrize(
    ("path", "line", "edited"),
    [
        (
            ("model", "storageUri"),
            '  storageUri: &uri "s3://models/iris/v1"   # the release sets this\n',
            '  storageUri: &uri "v2"   # the release sets this\n',
        ),
        (("model", "format"), "  format: 'sklearn'\n", "  format: 'v2'\n"),
        (("model", "runtime"), "  runtime:   kserve-sklearnserver\n", "  runtime:   v2\n"),
        (("image", "tag"), "    tag: v1 # and this\n", "    tag: v2 # and this\n"),
        (("sidecar", "image", "tag"), "{tag: v1, ", "{tag: v2, "),
        (("sidecar", "image", "pull"), '"pull": always}', '"pull": v2}'),
        (("list", 0, "tag"), "- name: first\n  tag: v1\n", "- name: first\n  tag: v2\n"),
        (("list", 1, "tag"), "    tag: 'v1'\n", "    tag: 'v2'\n"),
        (
            ("notes",),
            "notes: |\n  tag: v1\n\n    # not a comment\nsidecar",
            'notes: "v2"\nsidecar',
        ),
    ],
)
@pytest.mark.parametrize("final_newline", [True, False])
@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_nothing_but_the_scalar_changes(path, line, edited, final_newline, line_break, mark):
    def written(text):
        text = text if final_newline else text.rstrip("\n")
        return mark + text.replace("\n", line_break).encode()

    assert VALUES.count(line) == 1

    result = set_scalars(written(VALUES), {path: "v2"})

    assert result == written(VALUES.replace(line, edited))
    assert read(result, [path]) == {path: "v2"}


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ("a: v1", "1.20", 'a: "1.20"'),
        ("a: v1", "0123456", 'a: "0123456"'),
        ("a: v1", "1e10", 'a: "1e10"'),
        ("a: v1", "no", 'a: "no"'),
        ("a: v1", "null", 'a: "null"'),
        ("a: v1", "2026-11-25", 'a: "2026-11-25"'),
        ("a: v1", "ends:", 'a: "ends:"'),
        ("a: v1", "", 'a: ""'),
        ("a: v1", 'say "so"', r'a: "say \"so\""'),
        ("a: v1", "s3://models/iris:v2", "a: s3://models/iris:v2"),
        ("{a: v1}", "s3://models/iris:v2", "{a: s3://models/iris:v2}"),
        ("a: 'v1'", "it's", "a: 'it''s'"),
        ("a: 'v1'", "1.20", "a: '1.20'"),
        ("a: 'v1'", "two\nlines", r'a: "two\nlines"'),
        ("a: 'v1'", "word " * 100, f"a: '{'word ' * 100}'"),
        ('a: "v1"', "it's", 'a: "it\'s"'),
        ('a: "v1"', "word " * 100, f'a: "{"word " * 100}"'),
        ('a: "v1"', "ünïcode", 'a: "ünïcode"'),
        ("a: 1.20", "1.20", 'a: "1.20"'),
        ("a: no", "no", 'a: "no"'),
        ("a: y", "y", 'a: "y"'),
        ("a: &tag v1 # c\nb: *tag\n", "v2", "a: &tag v2 # c\nb: *tag\n"),
        ("a: &tag !!str 1 # c\nb: *tag\n", "2", 'a: &tag !!str "2" # c\nb: *tag\n'),
        ("a: !!str &tag\n  v1\n", "v2", "a: !!str &tag\n  v2\n"),
        ("a:\n", "v2", "a: v2\n"),
        ("a:", "v2", "a: v2"),
        ("a: # c\n", "v2", "a: v2 # c\n"),
        ("a: &tag # c\nb: *tag\n", "v2", "a: &tag v2 # c\nb: *tag\n"),
        ("a: !!str\nb: 1\n", "v2", "a: !!str v2\nb: 1\n"),
        ("a: ~\n", "v2", "a: v2\n"),
        ('{"a":}', "v2", '{"a": v2}'),
        ("{a: , b: 1}", "v2", "{a: v2, b: 1}"),
        ("a: several\n  lines\n\n  of it\nb: 1\n", "v2", "a: v2\nb: 1\n"),
        ('a: "several\n  lines" # c\nb: 1\n', "v2", 'a: "v2" # c\nb: 1\n'),
        ("a: 'several\n\n  lines'\n", "v2", "a: 'v2'\n"),
        ("a: | # c\n  text\n  # text\n\n# c\nb: 1\n", "v2", 'a: "v2" # c\n\n# c\nb: 1\n'),
        ("a: &tag >2-\n   text\n # c\nb: 1\n", "v2", 'a: &tag "v2"\n # c\nb: 1\n'),
        ("a: |+\n  text\n\n\n", "v2", 'a: "v2"\n\n\n'),
        ("a: >-\n  text", "v2", 'a: "v2"'),
        ("a:\n  |\n  text\nb: 1\n", "v2", 'a:\n  "v2"\nb: 1\n'),
        ("a: |\r\n  text\r\n\r\nb: 1\r\n", "v2", 'a: "v2"\r\n\r\nb: 1\r\n'),
        ("a: --- v1\n", "v2", "a: v2\n"),
        ("a: ...\n", "v2", "a: v2\n"),
        ("a: &tag ...\n", "v2", "a: &tag v2\n"),
        ("a: \ufeff'v1'\n", "v2", "a: v2\n"),
        ("? a\n: v1\n", "v2", "? a\n: v2\n"),
        ("? [x, y]\n: 1\na: v1\n", "v2", "? [x, y]\n: 1\na: v2\n"),
        ("%YAML 1.1\n---\na: v1\n...\n", "v2", "%YAML 1.1\n---\na: v2\n...\n"),
        ("ü: 😀 # ü😀\na: v1\n", "v2", "ü: 😀 # ü😀\na: v2\n"),
        ("a: v1\n---\nb: v1\n", "v2", "a: v2\n---\nb: v1\n"),
        ("b: &b {a: v0}\nc: {<<: *b, a: v1}\na: v1", "v2", "b: &b {a: v0}\nc: {<<: *b, a: v1}\na: v2"),
    ],
)
def test_how_a_value_is_written(before, value, after):
    assert set_scalars(before.encode(), {("a",): value}).decode() == after


@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize(
    "template", ["a: {}\n", "a: '{}' # c\n", 'b: [c, {{a: "{}"}}]\n', "a: |\n  {}\nb: 1\n", "{{a: {}}}"]
)
def test_every_value_comes_back_as_the_string_it_was(template, value):
    path = ("b", 1, "a") if "[" in template else ("a",)

    result = set_scalars(template.format("v1").encode(), {path: value})

    assert at(yaml.safe_load(result), path) == value
    assert read(result, [path]) == {path: value}
    assert set_scalars(result, {path: value}) == result


@pytest.mark.parametrize(
    "text",
    [
        "a: hello, world\n",
        "a: 'x'",
        'a: "\\x41"',
        "a: |\n  A\n",
        "a: !!str 1",
        "a: !!str",
        "a: >-\n  two\n  lines\n",
        "a: 'no'\n",
    ],
)
def test_a_string_that_is_there_already_stays_as_it_is(text):
    assert set_scalars(text.encode(), read(text.encode(), [("a",)])) == text.encode()


def test_two_images_in_one_file_change_at_once_and_one_by_one():
    values = {("image", "tag"): "v2", ("sidecar", "image", "tag"): "1.20"}
    before = VALUES.encode()

    at_once = set_scalars(before, values)

    one_by_one = before
    for path, value in values.items():
        one_by_one = set_scalars(one_by_one, {path: value})
    assert at_once == one_by_one
    assert at_once.decode() == VALUES.replace("tag: v1 # and", "tag: v2 # and").replace("{tag: v1,", '{tag: "1.20",')


def test_what_is_read_is_the_text_whatever_its_type():
    content = b"a: 1.20\nb: no\nc: null\nd:\ne: ~\nf: 'null'\ng: 2026-11-25\nh: [0x1f]\ni: |\n  text\n"

    assert read(content, [*((key,) for key in "abcdefgi"), ("h", 0)]) == {
        ("a",): "1.20",
        ("b",): "no",
        ("c",): "",
        ("d",): "",
        ("e",): "",
        ("f",): "null",
        ("g",): "2026-11-25",
        ("h", 0): "0x1f",
        ("i",): "text\n",
    }


@pytest.mark.parametrize(
    ("content", "path", "said"),
    [
        ("a: {b: 1}\n\nc: {d: 1}", ("c", "e"), "values.yaml:3: c.e: c has no e"),
        ("a.b: 1", ("a", "b"), "values.yaml:1: a.b: the top has no a"),
        ("a: [1]", ("a", 1), "values.yaml:1: a.1: a has no 1"),
        ("a: [1]", ("a", "0"), "values.yaml:1: a.0: a has no 0"),
        ("a: 1", ("a", "b"), "values.yaml:1: a.b: a has no b"),
        ("", ("a",), "values.yaml: a: the file has nothing in it"),
        ("# only this\n", ("a",), "values.yaml: a: the file has nothing in it"),
        (
            "x: &x {b: 1}\na:\n  <<: *x\n  c: 1\n",
            ("a", "b"),
            "values.yaml:3: a.b: a has no b of its own, only what line 3 merges into it",
        ),
        ("a:\n  b: 1\n", ("a",), "values.yaml:2: a: is a mapping, not a scalar"),
        ("a: []", ("a",), "values.yaml:1: a: is a list, not a scalar"),
        ("a: 1\nb: 2\na: 3\n", ("a",), "values.yaml:3: a: the key is there twice, first in line 1"),
        ("a: {b: 1}\na: {c: 2}\n", ("a", "c"), "values.yaml:2: a: the key is there twice, first in line 1"),
        ("a: {b: 1, 'b': 2}", ("a", "b"), "values.yaml:1: a.b: the key is there twice, first in line 1"),
        ("&k a: 1\n*k : 2\n", ("a",), "values.yaml:2: a: the key is there twice, first in line 1"),
        ("a: 1\n---\na: 2\n", ("a",), "values.yaml:1: a: is in more than one document, again in line 3"),
        ("x: &x 1\na: *x\n", ("a",), "values.yaml:2: a: is the alias *x"),
        ("x: &x {b: 1}\na: *x\n", ("a", "b"), "values.yaml:2: a.b: a is the alias *x"),
        ("a: !!int 1", ("a",), "values.yaml:1: a: has the tag !!int, so it is no string"),
        ("a: !secret x", ("a",), "values.yaml:1: a: has the tag !secret, so it is no string"),
        ("{a, b}", ("a",), "values.yaml: a (line 1): cannot be set without a change to something else"),
        ("? a\n? b\n", ("a",), "values.yaml: a (line 2): cannot be set without a change to something else"),
        ("a: 1\nb: x: y\n", ("a",), "values.yaml:2: not YAML: mapping values are not allowed in this context"),
        ("a: 1\nb: ünï\x00\n", ("a",), "values.yaml:2: not YAML: control characters are not allowed"),
        ("a: 1\nb: [\n", ("a",), "values.yaml:3: not YAML: did not find expected node content"),
        (b"a: 1\nb: \xff\n", ("a",), "values.yaml:2: not UTF-8"),
        ("a: 1".encode("utf-16"), ("a",), "values.yaml:1: not UTF-8"),
    ],
)
def test_what_is_refused_names_the_place(content, path, said):
    assert refusal(content, path) == said


@pytest.mark.parametrize("character", ["\0", "\x07", "\r", "\x1b", "\x7f", "\x80", "\ud800", "\ufffe"])
def test_a_value_that_yaml_cannot_carry_is_refused(character):
    said = refusal("a: 1", ("a",), f"v{character}")

    assert said == f"values.yaml: a: the new value has U+{ord(character):04X}, which YAML cannot carry"


@pytest.mark.parametrize("word", sorted(NOT_STRINGS))
@pytest.mark.parametrize("case", [str.lower, str.title, str.upper])
def test_words_with_another_meaning_are_quoted(word, case):
    assert set_scalars(b"a: v1", {("a",): case(word)}).decode() == f'a: "{case(word)}"'


class WithoutAliases(yaml.CSafeDumper):
    def ignore_aliases(self, data):
        return True


TEXTS = st.one_of(st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=20)).filter(
    lambda text: not yaml.reader.Reader.NON_PRINTABLE.search(text) and "\r" not in text
)
KEYS = st.one_of(st.sampled_from(["tag", "image", "storageUri"]), TEXTS.map("k{}".format))
FLOATS = st.floats(-1e9, 1e9).map(lambda number: round(number, 3))
OTHERS = st.one_of(st.booleans(), st.none(), st.integers(-(10**9), 10**9), FLOATS)
COMMENTS = st.tuples(st.integers(0, 40), st.sampled_from(["# c\n", "\n", " # ü\n"]))


def trees(leaves):
    nested = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
        max_leaves=12,
    )
    return st.dictionaries(KEYS, nested, min_size=1, max_size=4)


def leaves_of(node, path=()):
    """The paths, values and nodes of the scalars in a composed tree."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from leaves_of(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from leaves_of(value, (*path, index))
    else:
        yield path, node


def at(tree, path):
    for step in path:
        tree = tree[step]
    return tree


def with_leaf(tree, path, value):
    """The tree with another value at one path."""
    if not path:
        return value
    step, *rest = path
    if isinstance(tree, list):
        return [with_leaf(item, rest, value) if index == step else item for index, item in enumerate(tree)]
    return {key: with_leaf(item, rest, value) if key == step else item for key, item in tree.items()}


def fast_load(text):
    return yaml.load(text, yaml.CSafeLoader)


@st.composite
def edits(draw):
    """A YAML file in some style, with comments, the path and node of some scalar in it, and a new value."""
    style = draw(st.sampled_from([None, None, "'", '"', "|", ">"]))
    tree = draw(trees(TEXTS if style else TEXTS | OTHERS))
    text = yaml.dump(
        tree,
        Dumper=WithoutAliases,
        default_style=style,
        default_flow_style=draw(st.sampled_from([None, True, False])),
        allow_unicode=draw(st.booleans()),
        width=draw(st.sampled_from([20, 80, 10_000])),
        indent=draw(st.sampled_from([2, 4])),
        explicit_start=draw(st.booleans()),
    )
    for number, comment in draw(st.lists(COMMENTS, max_size=6)):
        lines = re.split(r"(?<=\n)", text)
        number %= len(lines)
        if comment.startswith(" "):
            lines[number] = lines[number].removesuffix("\n") + comment
        else:
            lines.insert(number, comment)
        commented = "".join(lines)
        try:
            same = fast_load(commented) == tree
        except yaml.YAMLError:
            same = False
        text = commented if same else text
    if draw(st.booleans()) and "\r" not in text:
        text = text.replace("\n", "\r\n")
    if draw(st.booleans()):
        text = text.rstrip("\r\n") if fast_load(text.rstrip("\r\n")) == tree else text
    found = list(leaves_of(yaml.compose(text, yaml.SafeLoader)))
    assume(found)
    path, node = draw(st.sampled_from(found))
    return draw(st.sampled_from(["", "\ufeff"])), text, path, node, draw(TEXTS)


@settings(database=None, suppress_health_check=[HealthCheck.too_slow])
@given(edits())
def test_in_any_file_only_the_scalar_changes_and_reads_back_as_the_string(edit):
    mark, text, path, node, value = edit

    result = set_scalars((mark + text).encode(), {path: value})

    edited = result.decode().removeprefix(mark)
    assert result.decode() == mark + edited
    assert edited.startswith(text[: node.start_mark.index])
    assert edited.endswith(text[node.end_mark.index :])
    assert yaml.safe_load(edited) == with_leaf(yaml.safe_load(text), path, value)
    assert read(result, [path]) == {path: value}
    assert set_scalars(result, {path: value}) == result


def test_helm_reads_every_edited_file_as_it_read_the_old_one_but_for_the_scalar(chart, tmp_path):
    template = "a: v1\nb: [x, {c: v1}]\n"
    values = [*NASTY, *NOT_STRINGS, *map(str.upper, NOT_STRINGS)]
    cases = [("", template, path, value) for path in [("a",), ("b", 1, "c")] for value in values]

    @settings(database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(edits())
    def collect(edit):
        mark, text, path, _, value = edit
        cases.append((mark, text, path, value))

    collect()
    (tmp_path / "templates").mkdir()
    (tmp_path / "files").mkdir()
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: reader\nversion: 0.1.0\n")
    (tmp_path / "templates" / "all.yaml").write_text(
        '{{ range $name, $_ := .Files.Glob "files/*" }}\n'
        '{{ dict "name" $name "read" ($.Files.Get $name | fromYaml) | toJson }}\n'
        "{{ end }}"
    )
    for number, (mark, text, path, value) in enumerate(cases):
        content = (mark + text).encode()
        (tmp_path / "files" / f"{number}.old").write_bytes(content)
        (tmp_path / "files" / f"{number}.new").write_bytes(set_scalars(content, {path: value}))

    rendered = subprocess.run(
        [chart.helm, "template", "reader", tmp_path], capture_output=True, text=True, timeout=300, check=True
    )

    lines = [json.loads(line) for line in rendered.stdout.split("\n") if line.startswith("{")]
    seen = {line["name"].removeprefix("files/"): line["read"] for line in lines}
    assert len(seen) == 2 * len(cases)
    for number, (_, text, path, value) in enumerate(cases):
        assert at(seen[f"{number}.new"], path) == value, text
        assert seen[f"{number}.new"] == with_leaf(seen[f"{number}.old"], path, value), text
