"""What the linters and validators say becomes findings; each tool really runs where it needs no container."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ci.base.errors import CheckFailedError
from ci.checks import rules, schema, style
from ci.checks.merged import merged
from ci.checks.tools import Command, Output
from ci.manifests import manifests
from ci.results import Finding
from tests.harness import project as projects

SCRIPTS = Path(sys.executable).parent  # of the test extra's own packages


def run(folder, *arguments):
    result = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return Output(result.returncode, result.stdout, result.stderr)


def write(folder, **files):
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(textwrap.dedent(text))


CRD = """\
    apiVersion: apiextensions.k8s.io/v1
    kind: CustomResourceDefinition
    metadata: {name: models.example.org}
    spec:
      group: example.org
      scope: Namespaced
      names: {kind: Model, plural: models, singular: model, listKind: ModelList}
      versions:
        - name: v1
          served: true
          storage: true
          schema:
            openAPIV3Schema:
              type: object
              properties:
                spec:
                  type: object
                  x-kubernetes-validations:
                    - {rule: self.low <= self.high, message: low is above high}
                  properties:
                    low: {type: integer}
                    high: {type: integer}
                    items: {type: array, items: {type: object, properties: {size: {type: integer}}}}
    """


def objects(text):
    """Rendered objects whose template is the rendered text itself."""
    rendered = "\n---\n".join(f"# Source: c/templates/x.yaml\n{part}" for part in textwrap.dedent(text).split("---\n"))
    return manifests.parse(rendered, {"templates/x.yaml": textwrap.dedent(text)}, "chart")


@pytest.fixture(scope="module")
def validate(tmp_path_factory, tool):
    kubectl_validate = tool("kubectl-validate")
    crds = tmp_path_factory.mktemp("crds")
    write(crds, model__yaml=CRD)

    def findings(folder, text):
        rendered = {"dev": objects(text)}
        write(folder, dev__yaml="---\n".join(schema.named(manifest) + "\n" for manifest in rendered["dev"]))
        return schema.findings(
            run(folder, kubectl_validate, "dev.yaml", "--output=json", f"--local-crds={crds}"), rendered
        )["dev"]

    return findings


def test_a_good_object_has_no_finding(validate, tmp_path):
    text = "apiVersion: example.org/v1\nkind: Model\nmetadata:\n  name: a\nspec: {low: 1, high: 2}\n"
    assert validate(tmp_path, text) == []


def test_an_object_whose_name_is_made_anew_each_time_is_checked_and_one_without_is_refused(validate, tmp_path):
    model = "apiVersion: example.org/v1\nkind: Model\nspec: {low: 1, high: 2}\nmetadata: {%s}\n"
    found = validate(tmp_path, "---\n".join([model % "generateName: a-", model % "labels: {a: b}"]))
    assert [each.message for each in found] == [
        "Model : metadata.name: Required value: name or generateName is required"
    ]


def test_unknown_fields_wrong_types_broken_rules_and_unknown_apis_are_refused_each_at_its_line(validate, tmp_path):
    found = validate(
        tmp_path,
        """\
        apiVersion: example.org/v1
        kind: Model
        metadata:
          name: unknown-field
        spec:
          low: 1
          high: 2
          middle: 3
        ---
        apiVersion: example.org/v1
        kind: Model
        metadata:
          name: wrong-type
        spec:
          items:
            - size: 1
            - size: big
        ---
        apiVersion: example.org/v1
        kind: Model
        metadata:
          name: broken-rule
        spec:
          low: 2
          high: 1
        ---
        apiVersion: example.org/v2
        kind: Model
        metadata:
          name: unknown-api
        """,
    )
    assert [finding.line for finding in found] == [8, 17, 23, 28]
    for finding, words in zip(
        found,
        (
            ("spec.middle", "unknown field"),
            ("spec.items[1].size", "integer"),
            ("low is above high",),
            ("no such API: example.org/v2",),
        ),
        strict=True,
    ):
        assert all(word in finding.message for word in words), finding.message
        assert finding.file == "chart/templates/x.yaml"


@pytest.mark.parametrize("entry", ['"my key": a', 'team: "fraud-"', '"a/b/c": x'])
def test_a_label_or_annotation_is_refused_at_its_own_line(validate, tmp_path, entry):
    kind = "labels" if "team" in entry else "annotations"
    text = f"apiVersion: example.org/v1\nkind: Model\nmetadata:\n  name: a\n  {kind}:\n    fine: b\n    {entry}\n"
    assert {each.line for each in validate(tmp_path, text)} == {7}


def test_what_a_secret_has_is_not_repeated(validate, tmp_path):
    text = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\ndata:\n  token: hunter2!\n"
    found = [each for each in validate(tmp_path, text) if each.line == 6]
    assert [each.message for each in found] == ["Secret a: data.token: is not base64"]
    assert not [each for each in validate(tmp_path, text) if "hunter2" in each.message]


def test_a_finding_is_one_line(validate, tmp_path):
    text = "apiVersion: example.org/v1\nkind: Model\nmetadata: {name: a}\nspec: {low: 1}\nspec: {high: 2}\n"
    (finding,) = validate(tmp_path, text)
    assert finding.message.endswith('key "spec" already set in map')
    assert "\n" not in finding.message


def test_a_validator_that_says_nothing_is_an_error():
    with pytest.raises(CheckFailedError, match="did not run"):
        schema.findings(Output(127, "", "no such file"), {"dev": []})


RULES = """\
    kind: PrometheusRule
    metadata: {name: slo}
    spec:
      groups:
        - name: first
          rules:
            - record: sli:requests:5m
              expr: sum(rate(requests_total[5m]))
        - name: second
          rules:
            - alert: Down
              expr: up == 0
            - record: sli:errors:5m
              expr: sum(rate(
    """


def test_a_broken_rule_is_found_at_its_place_in_the_template(promtool, tmp_path):
    (source,) = objects(RULES)
    write(tmp_path, rules__yaml=rules.text([source]))
    output = run(tmp_path, promtool, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
    (finding,) = rules.refused(source, output.stderr)
    assert finding.line == 13
    assert finding.message.startswith("rule sli:errors:5m: ")


def test_a_rule_that_is_there_twice_is_found(promtool, tmp_path):
    (source,) = objects(RULES.replace("sum(rate(\n", "up\n").replace("sli:errors:5m", "sli:requests:5m"))
    write(tmp_path, rules__yaml=rules.text([source]))
    output = run(tmp_path, promtool, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
    (finding,) = rules.refused(source, output.stderr)
    assert "sli:requests:5m is there twice" in finding.message


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (("name: slo", "name: other"), [7, 11, 13]),
        (("expr: up", 'expr: up{model="wine"}'), [7, 13]),
    ],
    ids=["the same series", "series of another model"],
)
def test_a_rule_of_another_object_is_the_same_where_it_makes_the_same_series(change, lines):
    right = RULES.replace("sum(rate(\n", "errors\n")
    found = list(rules.repeated([*objects(right), *objects(right.replace(*change))]))
    assert [each.line for each in found] == lines


def test_a_failed_rule_test_is_found_at_its_name(promtool, tmp_path):
    tests = tmp_path / rules.TESTS
    tests.mkdir(parents=True)
    write(
        tests,
        rules__yaml=rules.text(objects(RULES.replace("sum(rate(\n", "up\n"))),
        slo_test__yaml="""\
            rule_files: [rules.yaml]
            tests:
              - name: quiet
                interval: 1m
                input_series: [{series: up, values: 1x10}]
                alert_rule_test: [{eval_time: 5m, alertname: Down, exp_alerts: []}]
              - name: down
                interval: 1m
                input_series: [{series: up, values: 0x10}]
                alert_rule_test: [{eval_time: 5m, alertname: Down, exp_alerts: []}]
            """,
    )
    output = run(tests.parent, promtool, "test", f"--junit={tests / 'out.xml'}", "rules", "rules/slo_test.yaml")
    assert output.code != 0
    ((folder, finding),) = rules.results((tests / "out.xml").read_text(), tmp_path)
    assert folder == "rules"
    assert (finding.file, finding.line) == ("tests/rules/slo_test.yaml", 7)
    assert "alertname: Down" in finding.message


@pytest.fixture(scope="module")
def untested(read):
    return lambda tests: rules.untested(objects(COVERED_RULES), tests, read(rules.expressions(tests)))


COVERED_RULES = """\
    kind: PrometheusRule
    metadata: {name: slo}
    spec:
      groups:
        - name: all
          rules:
            - record: sli:requests:5m
              expr: sum(rate(requests_total[5m]))
            - record: sli:requests:5m_all
              expr: sum(sli:requests:5m)
            - alert: Burn
              expr: sli:requests:5m > 1
              labels: {severity: critical, window: 1h, pod: "{{ $labels.pod }}"}
            - alert: Burn
              expr: sli:requests:5m > 2
              labels: {severity: critical, window: 6h}
    """
COVERING_TESTS = """\
tests:
  - promql_expr_test:
      - {expr: "round(sli:requests:5m{model='a'})", exp_samples: [{labels: "{}", value: 1}]}
      - {expr: "sli:requests:5m_all", exp_samples: [{labels: "{}", value: 1}]}
  - alert_rule_test:
      - {alertname: Burn, exp_alerts: []}
      - {alertname: Burn, exp_alerts: [{exp_labels: {severity: critical, window: 1h, pod: a, model: a}}]}
      - {alertname: Burn, exp_alerts: [{exp_labels: {severity: critical, window: 6h, model: a}}]}
"""


def test_rules_whose_every_value_and_alert_is_expected_somewhere_are_tested(untested):
    expressions, alerts = COVERING_TESTS.split("  - alert_rule_test:")
    assert untested([COVERING_TESTS]) == []
    assert untested([expressions, f"tests:\n  - alert_rule_test:{alerts}"]) == []


@pytest.mark.parametrize(
    ("tested", "otherwise", "line", "what"),
    [
        ("round(sli:requests:5m{model='a'})", "requests_total", 7, "sli:requests:5m has no test of its value"),
        ("sli:requests:5m_all", "sli:requests:5m", 9, "sli:requests:5m_all has no test of its value"),
        # A name inside another one, an expectation of nothing, and no PromQL are no tests of it.
        ("round(sli:requests:5m{model='a'})", "sli:requests:5m_all", 7, "sli:requests:5m has no test of its value"),
        ('5m_all", exp_samples: [{labels: "{}", value: 1}]', '5m_all", exp_samples: []', 9, "has no test of its value"),
        ("round(sli:requests:5m{model='a'})", "sum(sli:requests:5m", 7, "sli:requests:5m has no test of its value"),
        # One window's test is not the other's, nor is another alert's.
        (
            "window: 1h",
            "window: 6h",
            11,
            "Burn has no test in which it fires with labels {severity: critical, window: 1h}",
        ),
        (
            "window: 6h",
            "window: 1h",
            14,
            "Burn has no test in which it fires with labels {severity: critical, window: 6h}",
        ),
        ("severity: critical, window: 6h", "severity: warning, window: 6h", 14, "Burn has no test in which it fires"),
        (
            "Burn, exp_alerts: [{exp_labels: {severity: critical, window: 6h",
            "Down, exp_alerts: [{exp_labels: {severity: critical, window: 6h",
            14,
            "Burn has no test in which it fires",
        ),
    ],
)
def test_a_rule_without_a_test_is_found_at_its_place_in_the_template(tested, otherwise, line, what, untested):
    assert tested in COVERING_TESTS
    (finding,) = untested([COVERING_TESTS.replace(tested, otherwise)])
    assert (finding.check, finding.file, finding.line) == ("rules", "chart/templates/x.yaml", line)
    assert finding.message.startswith("rule ")
    assert what in finding.message
    assert rules.TESTS in finding.remedy


def test_an_alert_that_is_never_expected_to_stay_quiet_has_no_test(untested):
    found = untested([COVERING_TESTS.replace("      - {alertname: Burn, exp_alerts: []}\n", "")])
    assert {finding.message for finding in found} == {"rule Burn has no test in which it stays quiet"}


def test_without_any_test_every_rule_is_found(untested):
    assert len(untested([])) == 6


def test_a_rule_from_a_loop_is_found_where_the_loop_names_it():
    template = """\
        kind: PrometheusRule
        spec:
          groups:
            - name: all
              rules:
                - record: sli:requests:5m
                {{- range list 95 99 }}
                - record: sli:latency_p{{ . }}:5m
                {{- end }}
                {{- range list "1h" "6h" }}
                - alert: Burn
                {{- end }}
        """
    rendered = """\
        # Source: c/templates/x.yaml
        kind: PrometheusRule
        spec:
          groups:
            - name: all
              rules:
                - record: sli:requests:5m
                - record: sli:latency_p95:5m
                - record: sli:latency_p99:5m
                - alert: Burn
                - alert: Burn
        """
    sources = manifests.parse(textwrap.dedent(rendered), {"templates/x.yaml": textwrap.dedent(template)}, "chart")
    assert [(finding.line, finding.message.split()[1]) for finding in rules.untested(sources, [], {})] == [
        (6, "sli:requests:5m"),
        (8, "sli:latency_p95:5m"),
        (8, "sli:latency_p99:5m"),
        (11, "Burn"),
        (11, "Burn"),
    ]


def test_actionlint(tmp_path, tool):
    write(
        tmp_path,
        w__yaml="""\
        on: push
        jobs:
          a:
            runs-on: ubuntu-24.04
            steps:
              - run: echo ${{ github.event.head_commit.message }}
        """,
    )
    output = run(tmp_path, tool("actionlint"), "-shellcheck=", "-pyflakes=", "-format={{json .}}", "w.yaml")
    (finding,) = style.actionlint_findings(output)
    assert (finding.file, finding.line) == ("w.yaml", 6)
    assert "untrusted" in finding.message


def test_ruff(tmp_path):
    write(tmp_path, unused__py="import os\n", ugly__py="a  = 1\n", broken__py="def (\n")
    options = ["--isolated", "--no-cache", "--output-format=json", "."]
    output = run(tmp_path, SCRIPTS / "ruff", "check", *options)
    formatted = run(tmp_path, SCRIPTS / "ruff", "format", "--check", *options)
    found = [*style.ruff_findings(output, str(tmp_path)), *style.ruff_findings(formatted, str(tmp_path))]
    assert {(finding.file, finding.line, finding.remedy) for finding in found} >= {
        ("unused.py", 1, "ruff check --fix unused.py"),
        ("ugly.py", 1, "ruff format ugly.py"),
        ("broken.py", 1, "correct the syntax"),
    }


def test_yamllint(tmp_path):
    write(tmp_path, twice__yaml="a: 1\na: 2\n", broken__yaml="a: [1\nb: 2\n")
    output = run(tmp_path, SCRIPTS / "yamllint", "--strict", "--format=parsable", "-d", "{extends: relaxed}", ".")
    found = {(finding.file, finding.line): finding for finding in style.yaml_findings(output)}
    assert found["twice.yaml", 2].remedy.startswith("follow the rule key-duplicates")
    assert found["broken.yaml", 2].remedy == "correct the syntax"


def test_zizmor(tmp_path):
    write(
        tmp_path,
        w__yaml="""\
        on: push
        permissions: {}
        jobs:
          a:
            runs-on: ubuntu-24.04
            steps:
              - uses: actions/checkout@v4
        """,
    )
    output = run(tmp_path, SCRIPTS / "zizmor", "--offline", "--no-progress", "--format=json", "w.yaml")
    found = style.zizmor_findings(output)
    assert any("persist-credentials" in finding.message and finding.line == 7 for finding in found)
    assert {finding.file for finding in found} == {"w.yaml"}


@pytest.mark.parametrize(
    "read", [style.actionlint_findings, style.ruff_findings, style.yaml_findings, style.zizmor_findings]
)
def test_a_linter_that_did_not_run_is_an_error_and_no_clean_bill(read):
    with pytest.raises(CheckFailedError, match="did not run"):
        read(Output(2, "", "error: unexpected argument"))


EVERYWHERE = Finding("chart", "a.yaml", 1, "broken", "correct it")
TARGETS = ("defaults", "lab/a", "lab/b", "live/a", *(f"trial/{number}" for number in range(9)))


@pytest.mark.parametrize(
    ("having", "said"),
    [
        (TARGETS, "broken"),
        (("live/a", "lab/a"), "broken [lab/a, live/a]"),
        (("lab/a", "lab/b"), "broken [lab/*]"),
        (("defaults", "lab/a", "lab/b"), "broken [defaults, lab/*]"),
        (TARGETS[4:-1], "broken [trial/0, trial/1, trial/2, trial/3, trial/4, and 3 more]"),
    ],
)
def test_what_all_targets_have_is_said_once_and_what_some_have_names_them(having, said):
    anywhere = Finding("python", "a.py", 1, "ugly", "format")
    found = [("", anywhere), *((name, EVERYWHERE) for name in having)]

    assert [finding.message for finding in merged(found, TARGETS)] == ["ugly", said]


def test_many_commands_run_at_once_and_each_leaves_its_own(tmp_path):
    (tmp_path / "there").mkdir()
    script = "import os, sys; print(os.path.basename(os.getcwd())); print(sys.argv[1], file=sys.stderr); sys.exit(3)"
    commands = [Command("there", ["-c", script, "a"]), Command(".", ["-c", "print('ü')"])]

    failed, succeeded = projects.executed(sys.executable, commands, tmp_path)

    assert failed == Output(3, "there\n", "a\n")
    assert succeeded == Output(0, "ü\n", "")


@pytest.mark.parametrize("own", [True, False])
def test_the_yaml_that_counts_is_the_projects_or_all_of_the_tools_own_checkout(tmp_path, own):
    made = projects.made(tmp_path)
    if own:
        made.write(style.OWN, "")

    patterns, without = style.yaml_files(made.folder, made.project)

    assert ("**/*.yaml" in patterns) is own
    assert (f"{projects.TREE}/**/*.yml" in patterns) is not own
    assert f"{projects.CHART_FOLDER}/templates" in without
