"""An application's file is read as Argo CD reads it, or refused in one line with the place."""

import json

import pytest

from ci.base.errors import UsageError
from ci.tree import tree
from tests.harness import project as projects

ENVIRONMENT, NAME = "lab", "fraud-score"
PATH = f"{projects.TREE}/{ENVIRONMENT}/{NAME}.yaml"
FILE = """\
chart: {revision: trunk}
model:
  version: "7"
  storageUri: gs://good/model
  digest: ""
image:
  repository: registry.example.com/fraud
  tag: v1.10
  digest: ""
values: {}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return projects.made(tmp_path_factory.mktemp("project"))


def changed(old, new):
    assert old in FILE
    return FILE.replace(old, new).encode()


REFUSED = [
    ('version: "7"\n', '<<: {storageUri: gs://other/model}\n  version: "7"\n', "3: <<: readers of YAML do not agree"),
    (
        'digest: ""\nimage',
        'digest: ""\n  storageUri: gs://other/model\nimage',
        "6: model.storageUri: the key is there twice",
    ),
    ("values: {}", "values: {a: {b: 1, b: 2}}", "10: b: is there twice, first in line 10"),
    ("tag: v1.10", "tag: 1.10", "8: image.tag: 1.10 is no text to Argo CD, but 1.1"),
    ("tag: v1.10", "tag: 20261129", "8: image.tag: 20261129 is no text to Argo CD, but 20261129"),
    ("tag: v1.10", "tag: 1e3", "8: image.tag: 1e3 is no text to Argo CD, but 1000.0"),
    ("tag: v1.10", "tag: on", "8: image.tag: on is no text to Argo CD, but true"),
    ("revision: trunk", "revision: 1234567", "1: chart.revision: 1234567 is no text to Argo CD, but 1234567"),
    ("values: {}", "values: !x {}", "10: has the tag !x"),
    ("values: {}", "values: {}\n---\nvalues: {a: 1}", "12: a second document"),
    ("values: {}", "vlaues: {a: 1}", "10: vlaues: unknown key; nearest is values"),
    ("values: {}", "Values: {a: 1}", "10: Values: unknown key; nearest is values"),
    ("values: {}", "owner: ml\nvalue: {a: 1}", "11: value: unknown key; nearest is values"),
    ("values: {}", "values: {1: a}", "10: 1: is no string"),
    ("values: {}", "values: [a]", "10: values: is no mapping"),
    ("values: {}", "values:\n  exampleModel: x", "11: values.exampleModel: is no mapping"),
    ("values: {}", "values: {exampleModel: [{a: 1}]}", "10: values.exampleModel: is no mapping"),
    ("tag: v1.10", "tag:", "8: image.tag: nothing is no text to Argo CD, but null"),
    ("repository: registry.example.com/fraud", "repository: ~", "7: image.repository: nothing is no text"),
    ("storageUri: gs://good/model", "storageUri: null", "4: model.storageUri: nothing is no text"),
    ("{revision: trunk}", '{revision: ""}', "1: chart.revision: is empty, which is the repository"),
    ("{revision: trunk}", "{revision: }", "1: chart.revision: nothing is no text"),
]


@pytest.mark.parametrize(("old", "new", "said"), REFUSED, ids=[new for _, new, _ in REFUSED])
def test_what_argo_cd_would_read_in_another_way_is_refused_with_its_line(made, old, new, said):
    application = tree.Application(made.project, ENVIRONMENT, NAME, changed(old, new))
    with pytest.raises(UsageError) as raised:
        application.checked()
    assert raised.value.message.startswith(f"{PATH}:{said}")
    assert "\n" not in raised.value.message


@pytest.mark.parametrize(
    ("old", "new", "said", "fix"),
    [
        (
            "storageUri:",
            "storageURI:",
            "4: model.storageURI: unknown key; nearest is storageUri",
            "Call it storageUri.",
        ),
        (
            '  digest: ""\nimage',
            '  digset: ""\nimage',
            "5: model.digset: unknown key; nearest is digest",
            "Call it digest.",
        ),
        ("revision:", "revison:", "1: chart.revison: unknown key; nearest is revision", "Call it revision."),
        ("repository:", "repo:", "7: image.repository: image has no repository", "Write it there; docs/gitops.md"),
        ("image:", "Image:", "6: Image: unknown key; nearest is image", "Call it image."),
    ],
)
def test_a_key_that_is_misspelled_is_named_with_the_one_that_is_meant(made, old, new, said, fix):
    application = tree.Application(made.project, ENVIRONMENT, NAME, changed(old, new))
    with pytest.raises(UsageError) as raised:
        application.checked()
    assert raised.value.message == f"{PATH}:{said}"
    assert raised.value.fix.startswith(fix)


@pytest.mark.parametrize(
    ("old", "new", "read"),
    [
        ("model:\n", "model:\n  digests: 1\n", lambda found: found.release["model", "version"] == "7"),
        ("tag: v1.10", 'tag: "1.10"', lambda found: found.release["image", "tag"] == "1.10"),
        ("tag: v1.10", "tag: 1.10.0", lambda found: found.release["image", "tag"] == "1.10.0"),
        ("tag: v1.10", "tag: 12:30", lambda found: found.release["image", "tag"] == "12:30"),
        ('version: "7"', "version: 2.10", lambda found: found.release["model", "version"] == "2.10"),
        ("values: {}", "values: {window: 12:30}", lambda found: found.values == {"window": "12:30"}),
        ("values: {}", "values: {day: 2026-01-01}", lambda found: found.values == {"day": "2026-01-01"}),
        ("values: {}", "values: {a: &a {b: 1}, c: *a}", lambda found: found.values["c"] == {"b": 1}),
        ("values: {}", "values:", lambda found: found.values == {}),
        ("values: {}", "values: {exampleModel: }", lambda found: found.values == {"exampleModel": None}),
        ('digest: ""\nvalues', "digest: ~\nvalues", lambda found: found.release["image", "digest"] == ""),
        ("values: {}", "values: {on: 1}".replace("on", '"on"'), lambda found: found.values == {"on": 1}),
    ],
)
def test_what_all_read_alike_is_taken(made, old, new, read):
    assert read(tree.Application(made.project, ENVIRONMENT, NAME, changed(old, new)).checked())


@pytest.mark.parametrize("content", [b"- a\n", b"a\n", b"[]\n"])
def test_a_file_that_is_no_mapping_is_refused(made, content):
    application = tree.Application(made.project, ENVIRONMENT, NAME, content)
    with pytest.raises(UsageError, match=PATH):
        application.values  # noqa: B018


def test_lint_names_such_a_file_and_judges_the_others(made, tmp_path):
    made = projects.made(tmp_path)
    made.write(PATH, changed("tag: v1.10", "tag: 1.10"))
    found = made.judged()
    assert [(each.file, each.line) for each in found.findings] == [(PATH, 8)]
    assert len(found.judged) == len(projects.ENVIRONMENTS) * len(projects.APPLICATIONS)  # one fewer, and the defaults


TEXTS = [
    "25921e05",
    "1e3",
    "0o17",
    "0x1F",
    "1_000",
    "y",
    "12:30",
    "2026-01-01",
    "~",
    "null",
    ".inf",
    "01",
]


def annotations(made, tool, values):
    """What the pods of an application with these values are annotated with."""
    made.write(PATH, changed("values: {}", f"values: {values}"))
    rendering = made.helm(tool("helm"), "template", environment=ENVIRONMENT, application=NAME)[f"{ENVIRONMENT}/{NAME}"]
    assert rendering.findings == ()
    (service,) = [each.data for each in rendering.objects if each.data["kind"] == "InferenceService"]
    return service["spec"]["predictor"]["annotations"]


def test_text_that_looks_like_something_else_reaches_helm_as_text(made, tool):
    notes = {f"note-{number}": text for number, text in enumerate(TEXTS)}
    values = json.dumps({"exampleModel": {"podAnnotations": notes}})
    assert notes.items() <= annotations(made, tool, values).items()


def test_text_of_any_characters_reaches_helm_as_it_is(made, tool):
    values = r'{exampleModel: {podAnnotations: {note: "\U0001F680 \u2028\\U0001F680\\\U0010FFFF\xE9"}}}'
    assert annotations(made, tool, values)["note"] == "\U0001f680 \u2028\\U0001F680\\\U0010ffff\xe9"


@pytest.mark.parametrize(
    ("old", "new", "called"), [("", "", "model 7"), ('version: "7"', 'version: ""', "image v1.10")]
)
def test_a_set_is_called_by_its_model_or_by_the_image_that_has_it(made, old, new, called):
    application = tree.Application(made.project, ENVIRONMENT, NAME, changed(old, new))
    assert tree.called(application.release) == called
