"""Lines of keys in YAML files and in Helm templates: right, or not claimed."""

import textwrap

import pytest

from ci.base.paths import CHART, ROOT
from ci.manifests import manifests, places

TEMPLATE = textwrap.dedent("""\
    {{- if .Values.on }}
    {{- /* a comment with
    spec: in it */}}
    apiVersion: v1
    kind: Service
    metadata:
      name: {{ .Values.name }}
      labels:
        {{- include "labels" . | nindent 4 }}
        extra: "1"
    spec:
      # ports: of old
      {{- if .Values.a }}
      type: A
      {{- else }}
      type: B
      {{- end }}
      ports:
      - name: http
        port: 80
      - port: 81
        name: {name: x}
      selector: {app: x, role: y}
    ---
    kind: Rollout
    spec:
      steps:
        {{- range .Values.steps }}
        - setWeight: {{ . }}
        {{- end }}
    {{- end }}
    """)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 5),
        (("metadata", "name"), 7),
        (("metadata", "labels", "extra"), 10),
        (("metadata", "labels", "from-the-include"), 8),
        (("spec",), 11),
        (("spec", "type"), 11),
        (("spec", "ports"), 18),
        (("spec", "ports", 0, "port"), 20),
        (("spec", "ports", 1), 21),
        (("spec", "ports", 1, "name"), 22),
        (("spec", "ports", 2), 18),
        (("spec", "selector", "role"), 23),
        (("status",), 5),
    ],
)
def test_a_key_in_a_template(path, line):
    assert places.template_line(TEMPLATE, "Service", path) == line


def test_items_of_a_loop_are_not_told_apart():
    assert places.template_line(TEMPLATE, "Rollout", ("spec", "steps", 1, "setWeight")) == 27


def test_objects_of_one_kind_are_told_apart_by_their_order():
    text = "kind: A\nmetadata:\n  name: x\n---\nkind: A\nmetadata:\n  name: y\n"
    assert places.template_line(text, "A", ("metadata", "name"), index=1, siblings=2) == 7
    assert places.template_line(text, "A", ("metadata", "name"), index=1, siblings=3) == 0


def test_a_kind_that_the_template_does_not_spell_out_has_no_line():
    assert places.template_line("kind: {{ .Values.kind }}\n", "Service", ()) == 0


@pytest.mark.parametrize(
    ("path", "line"), [(("a",), 1), (("a", "b"), 2), (("a", "c", 1), 5), (("a", "x"), 0), (("a", "c", 9), 0)]
)
def test_a_key_in_a_values_file(path, line):
    assert places.values_line("a:\n  b: 1\n  c:\n    - 1\n    - 2\n", path) == line


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a", "b"), 2),
        (("a", "c", "d"), 3),
        (("a", "c"), 3),
        (("a", "b", "d"), 0),
        (("a", "e"), 0),
        (("f", "g", "h"), 4),
    ],
)
def test_a_null_counts_for_all_that_it_takes_away(path, line):
    assert places.counting_line("a:\n  b: 1\n  c: null\nf:\n", path) == line


def test_a_file_that_is_no_yaml_has_no_lines():
    assert places.values_line("a: [", ("a",)) == 0


def leaves(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from leaves(item, (*path, key))


def test_every_line_claimed_for_the_real_chart_holds_a_key_on_the_way_there(chart):
    result = chart.template(env="prod")
    templates = {str(file.relative_to(CHART)): file.read_text() for file in (CHART / "templates").rglob("*.yaml")}
    for manifest in manifests.parse(result.stdout, templates, str(CHART.relative_to(ROOT))):
        lines = (ROOT / manifest.file).read_text().splitlines()
        for path in leaves(manifest.data):
            number = manifest.line(path)
            if number:
                text = lines[number - 1]
                keys = ["kind", *(part for part in path if isinstance(part, str))]
                known = any(f"{key}:" in text for key in keys) or (
                    any(isinstance(part, int) for part in path) and text.strip().startswith("- ")
                )
                assert known, f"{manifest} {path}: line {number}: {text}"
        assert manifest.line() or manifest.siblings > 1, f"{manifest} is not found in {manifest.file}"
