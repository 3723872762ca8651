"""What the tool reads of YAML is what the library of Argo CD and Kubernetes reads, or the tool refuses the text.

An application's file is held to what Argo CD reads of it, manifests to what kubectl and Argo CD read of them.
"""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.base.errors import UsageError
from ci.manifests import kubernetes_yaml
from tests.harness import corpus, upstream
from tests.harness.deployed import typed

CHARACTERS = "0178xboaeEyn_.:+-~<#'\" "
"""Of numbers, words, signs and quotes in any order; each text of up to three of them is tried."""
IN_FLOW = "01ae:?-,.&*!|>%@`#'\"{}[] \t"
WORDS = ["true", "True", "TRUE", "tRUE", "yes", "No", "ON", "off", "null", "NULL", "nULL", "~", ".inf", "-.INF", ".NaN",
         "2026-01-01", "2026-01-01T10:00:00Z", "12:30", "12:30:45.5", "1_000", "_1", "0x_1F", "0b1_0", "0o17", "0O17",
         "1e3", "1E+3", "+1.5e-3", "1.", ".5", "+.5", "-.5", "._5", "0x1p-2", "1e", "infinity", "nan", "=", "<<",
         "9007199254740992", "9007199254740993", "18446744073709551616", "1e308", "1e309", "0.1", "-0", "+0", "-0.0",
         "v1.10", "1.10", "1.2.3", "sha256:00", "a: b", "a #b",
         "!!str 1", "!x 1", "!!int 1", "!!float 1", "|- 1"]  # fmt: skip
FILES = [
    "a: 1\n---\nb: 2\n",
    "--- \na: 1\n...\n",
    "a: &a {b: [1, *a]}\n",
    "a: &a {b: [1, 2]}\nc: *a\n",
    "a: {b: 1, <<: {b: 2}}\n",
    "a: {<<: {b: 2}, b: 1}\n",
    'a: {"<<": {b: 2}}\n',
    "a: 1\na: 2\n",
    "1: a\ntrue: b\n~: c\n1.5: d\n",
    "a:\n- b\n-  c: d\n",
    "a: |+\n  x\n\n",
    "a: >-\n  x\n   y\n\n  z\n",
    'a: "x\\\n  y\\u00e9\\x41\\0"\n',
    "a: 'x''y\n\n  z'\n",
    "a: x\n  y\n",
    "? a\n: b\n",
    "a: [1, {b: c}, ]\n",
    "a: é\u2028b\n",
    "\ufeffa: 1\n",
    "a:\tb\n",
    "[{a: 1}]\n",
    "",
]


@pytest.fixture(scope="module")
def argo_cd():
    """Read with the library that Argo CD reads with, at the version that it has."""
    return upstream.built(Path(__file__).with_name("kubernetes_yaml.go"), "argo-cd")


def compared(argo_cd, texts):
    """Hold what both read of files against each other; return how many are refused here."""
    refused = 0
    for text, there in zip(texts, argo_cd([{"Text": text} for text in texts]), strict=True):
        try:
            here = kubernetes_yaml.read(text.encode(), "file")
        except UsageError:
            refused += 1
            continue
        assert there["Error"] == "" or not isinstance(here, dict | None), (text, here, there)
        if isinstance(here, dict):
            assert typed(here) == typed(there["Read"]), text
    return refused


def compared_streams(argo_cd, texts):
    """Hold what both read of several documents against each other; return how many are refused here."""
    refused = 0
    for text, there in zip(texts, argo_cd([{"Text": text, "Stream": True} for text in texts]), strict=True):
        try:
            here = kubernetes_yaml.stream(text, "file")
        except UsageError:
            refused += 1
            continue
        assert there["Error"] == "", (text, here, there)
        assert typed(here) == typed(there["Read"] or []), text
    return refused


def test_every_short_scalar_is_read_alike(argo_cd):
    texts = ["".join(each) for length in range(4) for each in itertools.product(CHARACTERS, repeat=length)]
    refused = compared(argo_cd, [f"a: {text}\n" for text in texts])
    assert refused < len(texts) / 3  # what is no YAML, mostly


@pytest.mark.parametrize("form", ["a: [{}]\n", "a: {{b: {}}}\n", "a: {{{}: 1}}\n", "a: {{b: c, {}}}\n"])
def test_every_short_scalar_in_a_list_or_mapping_on_one_line_is_read_alike(argo_cd, form):
    texts = ["".join(each) for length in range(1, 4) for each in itertools.product(IN_FLOW, repeat=length)]
    compared(argo_cd, [form.format(text) for text in texts])


def test_words_numbers_and_forms_of_yaml_are_read_alike_or_refused(argo_cd):
    written = [form.format(word) for word in WORDS for form in ("a: {}\n", "a: [{}]\n", '"{}": 1\n', "a: '{}'\n")]
    assert compared(argo_cd, [*written, *FILES]) < len(written) / 3


def test_keys_are_read_alike_or_refused(argo_cd):
    compared(argo_cd, [f"{word}: 1\n" for word in WORDS])


TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=8) | st.sampled_from(WORDS)
TREES = st.recursive(
    TEXT.map(lambda text: text or "~"),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda each: f"[{', '.join(each)}]")
        | st.dictionaries(st.from_regex("[a-z]{2,5}", fullmatch=True), inner, max_size=3).map(
            lambda each: f"{{{', '.join(f'{key}: {value}' for key, value in each.items())}}}"
        )
    ),
    max_leaves=6,
)


@given(texts=st.lists(TREES, min_size=50, max_size=50))
def test_files_of_any_content_are_read_alike_or_refused(argo_cd, texts):
    compared(argo_cd, [f"values: {text}\n" for text in texts])


TEXTS = [each.decode("utf-8-sig") for each in corpus.applications().values()]
STREAMS = [
    *TEXTS,
    *FILES,
    "---\n".join(TEXTS[:20]),
    "a: 1\n--- # second\nb: 2\n---   \n---\n# nothing\n---\nc: 3",
    "--- {a: 1}\n",
    "a: [!, ~]\n",
    "a: [!b, ~]\n",
    "a: [!!str, ~]\n",
    "a: [! b, ! 'y', !!str 'y']\n",
    "a: ! 'y'\nb: !\n",
    "a: ! 1\nb: ! '1'\nc: [! 1, ! \"1\"]\n",
    "a: ! |\n  1\n",
    "a: 1\n---b: 2\n",
    "a: |\n  ---\n  x\n",
    "a: |\n ---\n--- \nb: 1\n",
    "a: 1\r\n---\r\nb: 2\r\n",
    "a: 1\n...\n---\nb: 2\n...\n",
    "a: 1\n...\nb: 2\n",
    "%YAML 1.1\n---\na: 1\n",
    "%YAML 1.2\n---\na: 1\n",
    "%TAG ! tag:example.com,2026:\n---\na: !x 1\n",
    "a: 1\n---\n%YAML 1.2\n---\nb: 1\n",
    "null\n---\n~\n---\n\n---\na: 1\n",
    "- a\n---\nb\n---\n1\n",
    '{"a": 1}\n',
    '{"a": 1}\n---\n{"b": 2}\n',
    '{"a": 1}\n{"b": 2}\n',
    '{"a": 1, "a": 2}\n',
    '{"a": 1.0, "b": 1e2, "c": 12345678901234567890}\n',
    '{"a": "\\ud83d\\ude00", "b": "\\/"}\n',
    "{a: 1}\n---\nb: 2\n",
    '\n\n  {"a": 1}\n',
    "a: {<<: {b: 1}, b: 2}\n",
    "a: {b: 2, <<: [{b: 1}, {b: 3, c: 4}]}\n",
    "a: 1\na: 2\nb: {c: 1, c: 2}\n",
    "a: &x 1\nb: &x 2\nc: *x\n",
    "1: a\n1.5: b\ntrue: c\n",
    "a: 9007199254740993\nb: 18446744073709551616\nc: 1e400\n",
    "a: !!binary aGVsbG8=\nb: !!timestamp 2026-01-01\n",
    "\ufeffa: 1\n",
    "a: 1\n---\n\ufeffb: 1\n",
    "a: 1\n ---\nb: 2\n",
    "a: 1\n---\t# tab\nb: 2\n",
    "a: 1\n----\n",
]


def test_files_as_people_write_them_are_read_alike(argo_cd):
    assert compared(argo_cd, TEXTS) == 0


def test_documents_of_any_form_are_read_alike_or_refused(argo_cd):
    assert compared_streams(argo_cd, STREAMS) < len(FILES) + 20


PARTS = st.lists(
    st.sampled_from(["---", "--- ", "---\t", "--- #x", "---x", "...", "", " ", "#", "a: 1", "b: [1, 2]", "c: |", "  x",
                     "- 1", "{a: 1}", "%YAML 1.1", "null", "~", "'q'", "\r", "\ufeff", "d:", " e: 1", "<<: {a: 2}"]),
    max_size=7,
)  # fmt: skip


@given(texts=st.lists(PARTS.map("\n".join), min_size=100, max_size=100), end=st.sampled_from(["", "\n", "\r\n"]))
def test_documents_of_any_lines_are_read_alike_or_refused(argo_cd, texts, end):
    compared_streams(argo_cd, [text + end for text in texts])


@given(texts=st.lists(TREES, min_size=50, max_size=50))
def test_manifests_of_any_content_are_read_alike_or_refused(argo_cd, texts):
    compared_streams(argo_cd, [f"---\n{{values: {text}}}\n---\n{text}\n" for text in texts])
