"""A golden file says what it means, or is refused by row and field."""

import copy
import json
import re
from datetime import date

import pytest
import yaml

from ci.base.errors import UsageError
from ci.behaviour import golden

GOOD = {
    "name": "flowers",
    "version": 2,
    "source": "a garden, counted by hand",
    "slices": {"red": "those that are red", "rare": "fewer than ten a year"},
    "gates": {"all": {"agreement": 0.9, "accuracy": 0.95, "regressions": 0}, "red": {"accuracy": 1}},
    "inputs": [
        {"id": "rose-1", "instance": [1.0, 2], "expected": 0, "slices": ["red", "rare"]},
        {"id": "rose-2", "instance": [1.5, 2.5], "expected": 1},
        {"id": "tulip-1", "instance": [3.0, 4.0], "expected": 0, "slices": ["red"]},
    ],
}


def changed(change):
    content = copy.deepcopy(GOOD)
    change(content)
    return content


def refused(tmp_path, content):
    file = tmp_path / "flowers.yaml"
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    with pytest.raises(UsageError) as raised:
        golden.load(file)
    assert "\n" not in raised.value.message
    place, said = re.fullmatch(rf"{re.escape(str(file))}(:\d+)?: (.*)", raised.value.message).groups()
    return f"{place[1:]}: {said}" if isinstance(content, str) and place else said


def test_a_good_file_is_read_as_it_is(tmp_path):
    file = tmp_path / "flowers.yaml"
    file.write_text(yaml.safe_dump(GOOD))

    loaded = golden.load(file)

    assert (loaded.name, loaded.version) == ("flowers", 2)
    assert [item.instance for item in loaded.inputs] == [[1.0, 2], [1.5, 2.5], [3.0, 4.0]]
    assert (loaded.inside("all"), loaded.inside("red"), loaded.inside("rare")) == ([0, 1, 2], [0, 2], [0])
    assert (loaded.gates["red"].accuracy, loaded.gates["red"].regressions) == (1, None)


def test_labels_and_instances_may_be_text(tmp_path):
    file = tmp_path / "flowers.yaml"
    rows = [{"id": "a", "instance": "a red one", "expected": "rose"}, {"id": "b", "instance": "", "expected": "no"}]
    file.write_text(yaml.safe_dump({**GOOD, "slices": {}, "gates": {"all": {"regressions": 0}}, "inputs": rows}))

    assert [item.expected for item in golden.load(file).inputs] == ["rose", "no"]


def row(number, **fields):
    return lambda content: content["inputs"][number].update(fields)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (row(1, expected=float("inf")), "row 2 (rose-2): expected: inf cannot be sent as JSON"),
        (row(2, expected={"a": float("nan")}), "row 3 (tulip-1): expected: {'a': nan} cannot be sent as JSON"),
        (row(2, expected=date(2026, 11, 29)), "row 3 (tulip-1): expected: datetime.date(2026, 11, 29) cannot be sent"),
        (row(2, instance=[float("nan"), 1.0]), "row 3 (tulip-1): instance: [nan, 1.0] cannot be sent as JSON"),
        (row(2, instance=[1.0]), "row 3 (tulip-1): instance: 1 values, but 2 values in row 1 (rose-1)"),
        (row(2, instance="red"), "row 3 (tulip-1): instance: str, but 2 values in row 1 (rose-1)"),
        (row(2, slices=["rd"]), "row 3 (tulip-1): slices: rd is not declared"),
        (row(2, id="rose-1"), "row 3 (rose-1): id: row 1 has it already"),
        (row(2, id="a|b"), "row 3 (a|b): id: String should match"),
        (row(0, label=0), "row 1 (rose-1): label: unknown key; there are id, instance"),
        (lambda content: content["inputs"][1].pop("id"), "row 2: id: not given"),
        (lambda content: content["inputs"][1].pop("instance"), "row 2 (rose-2): instance: not given"),
        (lambda content: content["inputs"].insert(1, "rose"), "row 2: Input should be"),
        (lambda content: content["inputs"].clear(), "inputs: List should have at least 1 item"),
        (lambda content: content.update(version="2"), "version: Input should be a valid integer"),
        (lambda content: content.update(version=0), "version: Input should be greater than or equal to 1"),
        (lambda content: content.update(gate={}), "gate: unknown key; nearest is gates"),
        (lambda content: content["gates"].pop("all"), "gates.all: not declared"),
        (lambda content: content["gates"].update(blue={"accuracy": 1}), "gates.blue: there is no such slice"),
        (lambda content: content["gates"].update(red={}), "gates.red: holds a candidate to nothing"),
        (lambda content: content["gates"]["red"].update(accuracy=95), "gates.red.accuracy: Input should be less than"),
        (lambda content: content["gates"]["red"].update(precision=1), "gates.red.precision: unknown key; "),
        (lambda content: content["slices"].update(all="each"), "slices.all: the name is taken"),
        (lambda content: content["slices"].update(blue="none"), "slices.blue: no input is in it"),
    ],
)
def test_what_is_wrong_is_named_by_row_and_field(tmp_path, change, said):
    assert refused(tmp_path, changed(change)).startswith(said)


def test_every_mistake_is_in_the_detail_and_the_line_counts_them(tmp_path):
    content = changed(row(0, id=1.5))
    content["inputs"][2]["slices"] = 2.5

    assert refused(tmp_path, content).endswith("(and 1 more)")


@pytest.mark.parametrize(
    ("content", "said"),
    [("name: [", "1: no YAML: expected the node content"), ("", "Input should be"), ("- 1", "Input should")],
)
def test_what_is_no_golden_file_is_said_so(tmp_path, content, said):
    assert refused(tmp_path, content).startswith(said)


LINES = """\
name: texts
version: 1
source: made for a test
protocol: v2
answer: $.outputs[0].data[0]
gates:
  all: {accuracy: 0.9}
inputs:
  - id: good
    request: {inputs: [{name: text, shape: [1], datatype: BYTES, data: [fine]}]}
    expected: positive
  - {id: bad, request: {inputs: [{name: text, shape: [1], datatype: BYTES, data: [awful]}]}, expected: negative}
"""
ANSWER, RIGHT = "answer: $.outputs[0].data[0]", "expected: positive"


def test_a_file_of_another_protocol_is_read(tmp_path):
    file = tmp_path / "texts.yaml"
    file.write_text(LINES)

    loaded = golden.load(file)

    assert loaded.url_path("reviews") == "/v2/models/reviews/infer"
    assert loaded.keys == ("outputs", 0, "data", 0)
    assert loaded.body(loaded.inputs[1]) == {
        "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["awful"]}]
    }
    assert loaded.inputs[0].expected == "positive"


def test_a_path_and_an_answer_of_ones_own_take_the_place_of_the_protocols():
    ones_own = "path: /v3/{model}?raw=1\nanswer: $['a b'][-1]"
    loaded = golden.parse(LINES.replace(ANSWER, ones_own).replace("v2", "json"), "texts.yaml")
    assert (loaded.url_path("reviews"), loaded.keys) == ("/v3/reviews?raw=1", ("a b", -1))

    of_the_protocol = golden.parse(LINES.replace(f"{ANSWER}\n", ""), "texts.yaml")
    assert (of_the_protocol.at, of_the_protocol.keys) == ("$.outputs[0].data", ("outputs", 0, "data"))


def before_gates(line):
    return "gates:", f"{line}\ngates:"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("protocol: v2", "protocol: v3", "4: protocol: Input should be 'v1', 'v2' or 'json'"),
        ("protocol: v2", "protocol: json", "4: protocol: json has no path of its own: say `path`"),
        (f"protocol: v2\n{ANSWER}", "path: /a\nprotocol: json", "5: protocol: json has no answer of its own"),
        ("protocol: v2\n", "", "9: row 1 (good): request: protocol v1 has none: an input of it has `instance`"),
        ("{inputs: [{name: text", "{inputs: [{nam: text", "10: row 1 (good): request: protocol v2 wants name, shape"),
        ("request: {inputs:", "instance: {inputs:", "10: row 1 (good): instance: protocol v2 has none"),
        ("request: {inputs:", "request: {instances:", "10: row 1 (good): request: protocol v2 asks by a list `inputs`"),
        (
            "{inputs: [{name: text, shape: [1], datatype: BYTES, data: [fine]}]}",
            "fine",
            "10: row 1 (good): request: pro",
        ),
        (ANSWER, "answer: outputs", "5: answer: outputs is no JSONPath: expected '$'"),
        (ANSWER, "answer: $..data", "5: answer: $..data may lead to several places"),
        (ANSWER, "answer: '$.outputs[?@.name]'", "5: answer: $.outputs[?@.name] may lead to several places"),
        (*before_gates("path: classify"), "6: path: String should match pattern"),
        (*before_gates("path: /a b"), "6: path: String should match pattern"),
        (*before_gates("path: '/a#b'"), "6: path: String should match pattern"),
        (*before_gates("path: '/v1/{name}'"), "6: path: {name} stands for nothing: {model} is the model's name"),
        (*before_gates("path: '/v1/{model'"), "6: path: {model stands for nothing"),
        ("version: 1", "version: 1\nversion: 2", '3: found duplicate key "version"'),
        (RIGHT, f"{RIGHT}\n    expected: x", '12: found duplicate key "expected"'),
        (f"    {RIGHT}\n", "", "9: row 1 (good): expected: not given: without a `schema` nothing says"),
        (RIGHT, "expected: .nan", "11: row 1 (good): expected: nan cannot be sent as JSON"),
        (RIGHT, "expected: 2026-11-29", "11: row 1 (good): expected: datetime.date(2026, 11, 29) cannot be sent"),
        (RIGHT, "expected: {1: 2}", "11: row 1 (good): expected"),
        ("data: [fine]", "data: [.inf]", "10: row 1 (good): request: {'inputs':"),
        (*before_gates("known: nobody"), "6: known: no input is called nobody"),
        (*before_gates("tolerance: {absolute: -1}"), "6: tolerance.absolute: Input should be greater than or equal"),
        (*before_gates("tolerance: {absolute: .inf}"), "6: tolerance.absolute: Input should be a finite number"),
        (*before_gates("tolerance: {relative: 1}"), "6: tolerance.relative: Input should be less than 1"),
        (*before_gates("tolerance: {percent: 1}"), "6: tolerance.percent: unknown key; there are absolute, relative"),
        (
            "{accuracy: 0.9}",
            "{accuracy: }",
            "7: gates.all.accuracy: is left blank, and so says nothing: give it a value",
        ),
        ("accuracy: 0.9}", "accuracy: 0.9, regressions: }", "7: gates.all.regressions: is left blank"),
        (*before_gates("schema:"), "6: schema: is left blank, and so says nothing: give it a value, or leave it out"),
        (*before_gates("known:"), "6: known: is left blank"),
        (*before_gates("path: null"), "6: path: is left blank"),
        (ANSWER, "answer: ~", "5: answer: is left blank"),
        (*before_gates("schema: {type: text}"), "6: schema: no JSON schema: 'text' is not valid under any of"),
        (*before_gates("schema: {items: {$ref: 'https://a.b/c'}}"), "6: schema: $ref https://a.b/c: leads nowhere"),
        (*before_gates("schema: {$ref: '#/$defs/no'}"), "6: schema: $ref #/$defs/no: leads nowhere within the schema"),
        (*before_gates("schema: {$dynamicRef: 'https://a.b'}"), "6: schema: $dynamicRef https://a.b: leads nowhere"),
        (*before_gates("schema: {$dynamicRef: '#no'}"), "6: schema: $dynamicRef #no: leads nowhere within the schema"),
        (*before_gates("schema: {$ref: '#/x', x: {$ref: 'https://a.b'}}"), "6: schema: $ref https://a.b: leads now"),
        (*before_gates("schema: {$ref: '#/x', x: {type: text}}"), "6: schema: $ref #/x: no JSON schema: 'text' is not"),
        (*before_gates("schema: {$ref: '#/x', x: [1]}"), "6: schema: $ref #/x: no JSON schema: [1] is not of type"),
        (*before_gates("schema: {$ref: '#'}"), "6: schema: a $ref leads back to itself before it says anything"),
        (*before_gates("schema: {$schema: 'https://a.b/c'}"), "6: schema: no JSON schema: there is no $schema https:"),
        (*before_gates("schema: {$schema: [1]}"), "6: schema: no JSON schema: there is no $schema [1]"),
        (*before_gates("schema: {typ: string}"), "6: schema: typ: no keyword of its draft of JSON schema: is it type?"),
        (*before_gates("schema: {items: {anyOf: [{minimun: 1}]}}"), "6: schema: minimun: no keyword of its draft of"),
        (*before_gates("schema: {$defs: {a: {nullable: true}}}"), "6: schema: nullable: no keyword of its draft of"),
        (*before_gates("schema: {definitions: {a: {tpye: string}}}"), "6: schema: tpye: no keyword of its draft of"),
        (*before_gates("schema: {dependencies: {a: [b]}}"), "6: schema: dependencies: no keyword of its draft of JSON"),
        (*before_gates("schema: {format: date-time}"), "6: schema: format date-time: is not checked, only date, email"),
        (*before_gates("schema: {properties: {a: {format: day}}}"), "6: schema: format day: is not checked, only date"),
        (
            *before_gates("schema: {pattern: 'a{99999999999999999999}'}"),
            "6: schema: no JSON schema: the repetition num",
        ),
        (*before_gates("schema: {enum: [positive]}"), "13: row 2 (bad): expected: the schema says at $: 'negative' is"),
        (f"    {RIGHT}", f"   {RIGHT}", "11: no YAML: "),
        ("name: texts", "name: !!python/object:os.system x", "1: no YAML: could not determine a constructor"),
    ],
)
def test_what_is_wrong_is_named_by_line_row_and_field(tmp_path, old, new, said):
    assert old in LINES
    assert refused(tmp_path, LINES.replace(old, new, 1)).startswith(said)


@pytest.mark.parametrize("expected", ["[[1]]", "[1, null]", "{label: 1}", "null"])
def test_what_the_chart_cannot_compare_is_no_known_answer(tmp_path, expected):
    said = refused(tmp_path, LINES.replace("gates:", "known: good\ngates:").replace(RIGHT, f"expected: {expected}"))
    assert said.startswith("6: known: good expects no answer that the chart can compare: a text, a number, true or")


@pytest.mark.parametrize(
    ("old", "new", "large"),
    [
        (RIGHT, "expected: 9007199254740993", 2**53 + 1),
        (RIGHT, "expected: [1, -1234567890123456789]", -1234567890123456789),
        ("data: [fine]", "data: [{id: 9007199254740993}]", 2**53 + 1),
    ],
)
def test_what_argo_cd_and_rollouts_round_is_no_known_answer(tmp_path, old, new, large):
    said = refused(tmp_path, LINES.replace("gates:", "known: good\ngates:").replace(old, new))
    assert said.startswith(f"6: known: good has {large}, and Argo CD and Argo Rollouts round whole")


@pytest.mark.parametrize("expected", [2**53 - 1, 1 - 2**53, 1e20, True])
def test_what_they_do_not_round_is_one(expected):
    text = LINES.replace("gates:", "known: good\ngates:").replace(RIGHT, f"expected: {json.dumps(expected)}")
    large = text.replace("data: [awful]", "data: [9007199254740993]")  # of an input that the chart does not ask
    assert golden.parse(large, "texts.yaml").inputs[0].expected == expected


def test_an_input_without_an_answer_is_no_known_answer(tmp_path):
    text = LINES.replace("gates:", "known: good\nschema: {}\ngates:").replace(f"    {RIGHT}\n", "")
    assert refused(tmp_path, text).startswith("6: known: good expects no answer that the chart can compare")


@pytest.mark.parametrize(
    ("written", "read"), [("no", "no"), ("1e-05", 1e-05), ("012", 12), ("12:30", "12:30"), ('"1"', "1"), ("true", True)]
)
def test_a_value_is_what_it_is_in_json(written, read):
    loaded = golden.parse(LINES.replace("expected: positive", f"expected: {written}"), "texts.yaml")
    assert loaded.inputs[0].expected == read and type(loaded.inputs[0].expected) is type(read)


@pytest.mark.parametrize("written", ["1_000", "0b11", "1_0.5", "-1_0", "0x1_F", "!!int 1_000", "{1_000: x}"])
def test_what_readers_of_yaml_do_not_agree_on_is_refused(tmp_path, written):
    said = refused(tmp_path, LINES.replace(RIGHT, f"expected: {written}"))
    assert said.endswith(": a number to some readers of YAML, to others a text: quote it, or write it as JSON does")
    assert said.startswith("11: ")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"1_000"', "1_000"),
        ("a_1", "a_1"),
        ("0x1F", 31),
        ("-.5e+3", -500.0),
        (r'"\ud83d\ude00"', "😀"),
        (r'["a\ud83d\ude00\ud83d\ude00"]', ["a😀😀"]),
        (r'{"\ud83d\ude00": 1}', {"😀": 1}),
        ("😀", "😀"),
    ],
)
def test_what_all_readers_of_yaml_and_json_agree_on_is_read(written, read):
    loaded = golden.parse(LINES.replace(RIGHT, f"expected: {written}"), "texts.yaml")
    assert loaded.inputs[0].expected == read and type(loaded.inputs[0].expected) is type(read)


@pytest.mark.parametrize("options", [{}, {"indent": "\t"}, {"ensure_ascii": False}, {"separators": (",", ":")}])
def test_json_is_read_as_python_writes_it(tmp_path, options):
    odd = ["😀", "\x7f", "a\x85b\u2028", "\0", 1e-7, -0.0, 10**30, "1_000", {"k" * 2000: "é"}]
    content = {**GOOD, "inputs": [{"id": "a", "instance": odd, "expected": odd}], "slices": {}}
    content["gates"] = {"all": {"accuracy": 1}}
    file = tmp_path / "flowers.yaml"
    file.write_text(json.dumps(content, **options), encoding="utf-8")
    (item,) = golden.load(file).inputs
    assert repr([item.instance, item.expected]) == repr([odd, odd])


@pytest.mark.parametrize("half", [r"\ud83d", r"\ude00\ud83d", r"a\ud83db"])
@pytest.mark.parametrize("as_json", [False, True])
def test_half_a_character_cannot_be_sent(tmp_path, half, as_json):
    text = LINES.replace(RIGHT, f'expected: "{half}"')
    if as_json:
        text = json.dumps(yaml.safe_load(LINES)).replace('"positive"', f'"{half}"')
    said = refused(tmp_path, text)
    assert "row 1 (good): expected: '" in said and said.endswith("cannot be sent as JSON")


def test_a_key_that_json_has_twice_is_named_by_its_line(tmp_path):
    text = json.dumps(yaml.safe_load(LINES), indent=1).replace('"version": 1,', '"version": 1,\n "version": 2,')
    assert refused(tmp_path, text) == '4: found duplicate key "version" with value "2" (original value: "1")'


def test_a_schema_may_refer_to_itself_and_takes_the_place_of_answers():
    text = LINES.replace("gates:", "schema: {$defs: {label: {type: string}}, $ref: '#/$defs/label'}\ngates:")
    loaded = golden.parse(text.replace("    expected: positive\n", ""), "texts.yaml")
    assert [item.judged for item in loaded.inputs] == [False, True]
    assert (loaded.objection("x"), loaded.objection(1)) == ("", "the schema says at $: 1 is not of type 'string'")


def test_a_schema_of_trees_is_one_and_an_answer_without_end_is_no_internal_error():
    text = LINES.replace("gates:", "schema: {type: [string, array], items: {$ref: '#'}}\ngates:")
    loaded = golden.parse(text, "golden.yaml")
    deep = []
    for _ in range(5000):
        deep = [deep]

    assert loaded.objection([["x"]]) == ""
    assert loaded.objection(deep) == "the schema's references, or the answer, lead deeper than can be followed"


DRAFT7 = "$schema: 'http://json-schema.org/draft-07/schema#'"


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ("{type: string, format: date}", "2026-11-29", "not a date"),
        ("{format: ipv4}", "10.0.0.1", "10.0.0"),
        ("{format: uuid}", "12345678-1234-5678-1234-567812345678", "12345678"),
        ("{properties: {typ: {type: string}, format: {type: string}}}", {"typ": "x"}, {"typ": 1}),
        ("{const: {typ: 1}, title: a, examples: [{b: 1}]}", {"typ": 1}, {"typ": 2}),
        ("{definitions: {a: {type: string}}, $ref: '#/definitions/a'}", "x", 1),
        (f"{{{DRAFT7}, dependencies: {{a: [b]}}}}", {"a": 1, "b": 2}, {"a": 1}),
        ("{$ref: 'https://json-schema.org/draft/2020-12/schema'}", {"type": "string"}, {"type": "text"}),
    ],
)
def test_whatever_a_schema_says_is_held_against_the_answer(schema, right, wrong):
    loaded = golden.parse(
        LINES.replace("gates:", f"schema: {schema}\ngates:")
        .replace("expected: positive", f"expected: {json.dumps(right)}")
        .replace("expected: negative", f"expected: {json.dumps(right)}"),
        "golden.yaml",
    )
    assert loaded.objection(right) == ""
    assert loaded.objection(wrong).startswith("the schema says at $")


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ("{multipleOf: 0.5}", 10**400),
        ("{multipleOf: 0.5}", json.loads("1e400")),
        ("{items: {multipleOf: 0.5}}", [1.5, json.loads("-1e400")]),
        ("{format: regex}", "a{99999999999999999999}"),
    ],
)
def test_an_answer_that_the_schema_cannot_be_held_against_is_wrong(schema, answer):
    content = {**GOOD, "schema": yaml.safe_load(schema)}
    content["inputs"] = [{"id": "a", "instance": [1]}]
    content["slices"], content["gates"] = {}, {"all": {"accuracy": 1}}
    assert golden.checked(content, "a.yaml").objection(answer).startswith("the schema cannot be held against it: ")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"none\.yaml: No such file"):
        golden.load(tmp_path / "none.yaml")
