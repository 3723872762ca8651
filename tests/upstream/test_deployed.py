"""What Argo CD makes of a commit, by its own code, is what the tool reads and renders of it, or the tool refuses it.

Argo CD's side is deployed.go: generators and template of the ApplicationSet, then the repository server's
GenerateManifests with the pinned Helm.
"""

import json

import pytest

from tests.harness import corpus, deployed
from tests.harness.deployed import APPLICATION, Repository
from tests.stranger import project as strangers


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return deployed.with_applications(tmp_path_factory.mktemp("files"))


def test_applications_as_people_write_them_are_what_argo_cd_makes_of_them(deploys, files):
    ours = deployed.read(files.folder)
    assert not ours.refused
    assert len(ours.applications) == len(corpus.applications()) * len(deployed.ENVIRONMENTS)
    (theirs,) = deploys([deployed.asked(files.folder)])
    deployed.compared(ours, theirs)


@pytest.fixture(scope="module")
def charts(tmp_path_factory):
    return deployed.with_charts(tmp_path_factory.mktemp("charts"))


def test_charts_as_people_write_them_render_to_what_argo_cd_makes_of_them(deploys, helm, charts):
    names = list(corpus.charts())
    ours = {name: deployed.read(charts.folder / name, helm) for name in names}
    assert not {name: found for name, found in ours.items() if found.refused or not found.objects}
    for name, theirs in zip(names, deploys([deployed.asked(charts.folder, name, "*") for name in names]), strict=True):
        deployed.compared(ours[name], theirs)


def test_the_strangers_project_is_what_argo_cd_makes_of_it(deploys, helm, tmp_path):
    stranger = strangers.made(tmp_path, strangers.drawn(18))
    deployed.require_same(deploys, helm, stranger.clone.folder, strangers.BELOW)


def changed(old, new):
    assert old in APPLICATION
    return APPLICATION.replace(old, new)


ELSEWHERE = 'digest: ""\n  <<: {storageUri: gs://other/model}\nimage'
SIGNS = ["{{", "[", "#x", "x: y", "x #y", "&x", "*x", "!x", "'", '"', "%", "@", "`", "---", "...", "-", "<<", "|"]
OVERRIDE = "helm: {parameters: [{name: exampleModel.image, value: elsewhere/image:latest}]}\n"
REFUSED = {
    "a merge key that wins": changed('digest: ""\nimage', ELSEWHERE),
    "a merge key first": changed('version: "7"', '<<: {version: "8"}\n  version: "7"'),
    "a key twice": changed('digest: ""\nimage', 'digest: ""\n  storageUri: gs://other/model\nimage'),
    "a key twice in values": changed("values: {}", "values: {a: {b: 1, b: 2}}"),
    "a number for a tag": changed("tag: v1.10", "tag: 1.10"),
    "no tag": changed("tag: v1.10", "tag:"),
    "a list for a tag": changed("tag: v1.10", "tag: [v1]"),
    "no repository": changed("repository: registry.example.com/fraud", "repository: ~"),
    "no revision": changed("chart: {revision: main}", "chart: {revision: }"),
    "a number for a revision": changed("chart: {revision: main}", "chart: {revision: 1234567}"),
    "no URI": changed("storageUri: gs://good/model", "storageUri: null"),
    "a number for a digest": changed('digest: ""\nvalues', "digest: 12\nvalues"),
    "a second document": changed("values: {}", "values: {}\n---\nvalues: {a: 1}"),
    "a second document that is all": changed("values: {}", "values: {}\n---\nchart: {revision: other}"),
    "a tag of its own": changed("values: {}", "values: !x {}"),
    "a tag of YAML's": changed("tag: v1.10", "tag: !!str 1.10"),
    "values that are none": changed("values: {}", "values: [a]"),
    "a model that is none": changed("values: {}", "values: {exampleModel: x}"),
    "a model that is a list": changed("values: {}", "values: {exampleModel: [{a: 1}]}"),
    "a namespace of its own": f"namespace: kube-system\n{APPLICATION}",
    "a version of YAML": f"%YAML 1.2\n---\n{APPLICATION}",
    "a list of applications": "".join(f"{'-' if not number else ' '} {line}\n"
                                      for number, line in enumerate(APPLICATION.splitlines())),
    "nothing": "",
    "no section": "chart: {revision: main}\n",
    "a key that is true": changed("values: {}", "values: {yes: 1}"),
    "a number beyond JSON's": changed("values: {}", "values: {a: 12345678901234567890}"),
    "no number": changed("values: {}", "values: {a: .nan}"),
    "a duplicate anchor": changed("values: {}", "values: {a: &x 1, b: &x 2, c: *x}"),
    "a control character": changed("values: {}", 'values: {a: "\\x7f"}'),
    "a line break of YAML's own": changed("values: {}", 'values: {a: "\\x85"}'),
    "a byte order mark within": changed("values: {}", "values:\n  a: b\n\ufeff"),
    "Latin-1": APPLICATION.replace("fraud", "fr\u00e9ud").encode("latin-1"),
    "UTF-16": APPLICATION.encode("utf-16"),
}  # fmt: skip
TAKEN = {
    "a time without quotes": changed("values: {}", "values: {exampleModel: {podAnnotations: {window: 12:30}}}"),
    "a feature switched off": changed("values: {}", "values: {features: {sloMonitoring: false}}"),
    "quoted numbers": changed("values: {}", 'values: {a: "25921e05", b: "1e3", c: "y", d: "0o17", e: "1_000"}'),
    "numbers": changed("values: {}", "values: {a: 1e3, b: 0o17, c: 1_000, d: 0x1F, e: 010, f: +1, g: .5, h: 1.0}"),
    "words": changed("values: {}", "values: {a: yes, b: off, c: ~, d: Null, e: y, f: 2026-01-01}"),
    "anchors": changed("values: {}", "values: {a: &a {b: [1]}, c: *a}"),
    "no digest of the model": changed('digest: ""\nimage', "\nimage"),
    "null digests": APPLICATION.replace('digest: ""', "digest: ~"),
    "digests": APPLICATION.replace('digest: ""', f"digest: sha256:{'a' * 64}"),
    "values of another model": changed("values: {}", "values: {exampleModel: {image: x, name: y, storageUri: z}}"),
    "no values": changed("values: {}", ""),
    "null values": changed("values: {}", "values:"),
    "no model": changed("values: {}", "values: {exampleModel: null, a: 1}"),
    "keys of the environment": f"environment: {{a: 1}}\ncluster: elsewhere\nprotected: 'x'\npath: [1]\n{APPLICATION}",
    "a template's braces": changed("values: {}", "values: {a: '{{ .Values.b }}', b: '{{`x`}}'}"),
    "line breaks": changed("values: {}", 'values: {a: "one\\r\\ntwo\\n", b: " x\\n y", c: "x\\n\\n", d: "#\\n"}'),
    "spaces": changed("values: {}", 'values: {a: " x", b: "x ", c: "\\tx", d: "x\\n ", e: " \\n", f: "", g: "? a"}'),
    "signs": changed("values: {}", f"values: {json.dumps({f'k{number}': each for number, each in enumerate(SIGNS)})}"),
    "unicode": changed("values: {}", 'values: {a: "\u00e9\u6f22\U0001f600", "\u00fc": "\\u00a0"}'),
}  # fmt: skip
"""What is written as one of these deploys what its author meant, to both."""


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """A project for each application file, in folders of one repository."""
    made = Repository(tmp_path_factory.mktemp("cases"))
    for number, content in enumerate((REFUSED | TAKEN).values()):
        made.project(f"case-{number}", deployed.toml(("live",)), {("live", "fraud"): content}, deployed.PLAIN)
    made.commit()
    return made


@pytest.fixture(scope="module")
def answers(deploys, cases):
    """What both make of each case."""
    names = [f"case-{number}" for number in range(len(REFUSED | TAKEN))]
    theirs = deploys([deployed.asked(cases.folder, name, "*") for name in names])
    return dict(zip(REFUSED | TAKEN, zip([cases.folder / name for name in names], theirs, strict=True), strict=True))


@pytest.mark.parametrize("case", REFUSED)
def test_what_argo_cd_would_read_in_another_way_is_refused(answers, case):
    folder, _ = answers[case]
    ours = deployed.read(folder)
    assert not ours.applications
    (said,) = ours.refused.values()
    assert "\n" not in said


@pytest.mark.parametrize("case", TAKEN)
def test_what_argo_cd_reads_alike_is_taken_and_rendered(answers, helm, case):
    folder, theirs = answers[case]
    ours = deployed.read(folder, helm)
    assert ours.objects, ours.refused
    deployed.compared(ours, theirs)


def images(theirs):
    """The images that the objects of a chart that shows its values name."""
    (only,) = theirs["Deployed"]
    return [json.loads(each["data"]["values"])["exampleModel"]["image"] for each in only["Objects"]]


@pytest.mark.parametrize("name", [".argocd-source.yaml", ".argocd-source-live-fraud.yaml"])
def test_what_argo_cd_puts_over_a_chart_is_refused(deploys, helm, tmp_path, name):
    made = Repository(tmp_path)
    made.project("", deployed.toml(("live",)), {("live", "fraud"): APPLICATION}, deployed.PLAIN | {name: OVERRIDE})
    made.commit()
    (theirs,) = deploys([deployed.asked(tmp_path, what="*")])
    assert images(theirs) == ["elsewhere/image:latest"]
    ours = deployed.read(tmp_path, helm)
    assert [name in said for said in ours.refused.values()] == [True]


def test_a_link_in_place_of_an_application_is_refused(deploys, tmp_path):
    made = Repository(tmp_path)
    made.project("", deployed.toml(("live",)), {}, deployed.PLAIN)
    made.write({"other/fraud.yaml": APPLICATION})
    place = tmp_path / "gitops" / "live" / "fraud.yaml"
    place.parent.mkdir(parents=True)
    place.symlink_to("../../other/fraud.yaml")
    made.commit()
    (theirs,) = deploys([deployed.asked(tmp_path)])
    assert len(theirs["Deployed"]) == 1
    ours = deployed.read(tmp_path)
    assert list(ours.refused) == ["gitops/live/fraud.yaml"]
    deployed.compared(ours, theirs)


def test_what_lies_below_an_environments_folder_is_no_application_to_both(deploys, tmp_path):
    made = Repository(tmp_path)
    made.project("", deployed.toml(), {("lab", "fraud"): APPLICATION, ("live", "fraud"): APPLICATION}, deployed.PLAIN)
    aside = ("values.yaml", "more/fraud.yaml", "fraud.yml", "fraud.yaml.bak", "README.md", "more/values.yaml")
    made.write({f"gitops/live/{name}": "exampleModel: {}\n" for name in aside})
    made.commit()
    (theirs,) = deploys([deployed.asked(tmp_path)])
    ours = deployed.read(tmp_path)
    assert set(ours.applications) == {"lab-fraud", "live-fraud"}
    deployed.compared(ours, theirs)
