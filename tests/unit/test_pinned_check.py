"""Commit and digests that a set lacks in a protected environment, or on its way there."""

import pytest
import yaml

from ci import project
from ci.checks import pinned
from tests.harness import project as projects
from tests.harness.project import TREE

NAME = "fraud-score"
DIGEST = f"sha256:{'4' * 64}"
REFERENCE = f"registry.example.com/{NAME}:3.1"
URI = f"s3://acme/{NAME}/7"


@pytest.fixture
def made(tmp_path):
    """A project whose last environment, `live`, is protected and has all pinned; no other set has a digest."""
    made = projects.made(tmp_path, applications=[NAME])
    file = tmp_path / project.FILE
    file.write_text(f"{file.read_text()}protected = true\n")
    release(made, "live", model=DIGEST, image=DIGEST)
    commit = made.commit()
    path = f"{TREE}/live/{NAME}.yaml"
    made.write(path, (tmp_path / path).read_text().replace("revision: trunk", f"revision: '{commit}'"))
    return made


def release(made, environment, **digests):
    """Pin what an environment has."""
    path = f"{TREE}/{environment}/{NAME}.yaml"
    content = yaml.safe_load((made.folder / path).read_text())
    for section, digest in digests.items():
        content[section]["digest"] = digest
    made.write(path, yaml.safe_dump(content, sort_keys=False))


def found(made, **chosen):
    return made.judged(lambda found: pinned.findings(made.project, found.judged, found.applications), **chosen)


def test_what_the_protected_environment_would_refuse_is_told_in_the_first(made):
    model, image = found(made)
    text = (made.folder / f"{TREE}/lab/{NAME}.yaml").read_text().splitlines()
    assert {each.file for each in (model, image)} == {f"{TREE}/lab/{NAME}.yaml"}
    assert [text[each.line - 1].strip() for each in (model, image)] == ["digest: ''"] * 2
    assert model.line < image.line
    assert {each.severity for each in (model, image)} == {"warning"}
    assert (
        model.message
        == f"model.digest: {URI} is not pinned, and what lies there can be replaced: live takes no such set"
    )
    assert image.message == f"image.digest: {REFERENCE} is not pinned, and a tag can be moved: live takes no such set"
    assert f"bump model --env lab --app {NAME} --to 7 --digest sha256:HEX; " in model.remedy
    assert f"python ci/main.py digest {URI}" in model.remedy
    assert f"bump image --env lab --app {NAME} --to 3.1@sha256:DIGEST; crane digest {REFERENCE}" in image.remedy


def test_a_set_is_told_of_where_it_still_moves_without(made):
    release(made, "lab", model=DIGEST, image=DIGEST)
    assert [each.file for each in found(made)] == [f"{TREE}/trial/{NAME}.yaml"] * 2
    release(made, "trial", model=DIGEST, image=DIGEST)
    assert found(made) == [], "nothing is promoted from live"


def test_one_that_a_person_did_not_name_is_left_out(made):
    assert found(made, environment="trial") == []
    assert len(found(made, environment="lab")) == 2


def test_a_model_that_the_image_brings_along_is_pinned_with_it(made):
    path = f"{TREE}/lab/{NAME}.yaml"
    content = yaml.safe_load((made.folder / path).read_text())
    content["model"] = {"version": "", "storageUri": "", "digest": ""}
    made.write(path, yaml.safe_dump(content, sort_keys=False))
    assert [each.message.partition(":")[0] for each in found(made, environment="lab")] == ["image.digest"]


def test_a_file_without_the_key_is_told_at_its_model(made):
    path = f"{TREE}/lab/{NAME}.yaml"
    content = yaml.safe_load((made.folder / path).read_text())
    del content["model"]["digest"]
    made.write(path, yaml.safe_dump(content, sort_keys=False))
    model, _ = found(made)
    assert (made.folder / path).read_text().splitlines()[model.line - 1] == "model:"


@pytest.mark.parametrize("revision", ["trunk", "v1.0", "refs/tags/v1.0", "short"])
def test_a_protected_applications_chart_is_a_commit(made, revision):
    release(made, "lab", model=DIGEST, image=DIGEST)
    release(made, "trial", model=DIGEST, image=DIGEST)
    made.git("tag", "v1.0")
    assert found(made) == []
    revision = made.git("rev-parse", "--short", "HEAD") if revision == "short" else revision
    path = f"{TREE}/live/{NAME}.yaml"
    text = (made.folder / path).read_text()
    made.write(path, text.replace(made.git("rev-parse", "HEAD"), revision))

    (finding,) = found(made)

    assert (finding.file, finding.severity) == (path, "error")
    assert finding.message == f"chart.revision: {revision} is no commit, and live is protected"
    assert finding.remedy == f"git rev-parse {revision}"
    assert "revision:" in (made.folder / path).read_text().splitlines()[finding.line - 1]
    assert found(made, environment="trial") == []


@pytest.mark.parametrize(
    ("section", "said"),
    [("model", f"model.digest: {URI} is not pinned"), ("image", f"image.digest: {REFERENCE} is not pinned")],
)
def test_a_protected_application_without_a_digest_is_an_error_of_its_own(made, section, said):
    release(made, "lab", model=DIGEST, image=DIGEST)
    release(made, "trial", model=DIGEST, image=DIGEST)
    release(made, "live", **{section: ""})

    (finding,) = found(made)

    assert (finding.file, finding.severity) == (f"{TREE}/live/{NAME}.yaml", "error")
    assert finding.message.startswith(said)
    assert finding.message.endswith("and live is protected")
    assert f"bump {section} --env lab --app {NAME}" in finding.remedy, "where a version begins its way"


def test_where_nothing_is_protected_nothing_is_asked_for(tmp_path):
    assert found(projects.made(tmp_path, applications=[NAME])) == []


def test_a_file_that_cannot_be_read_is_left_to_whoever_judges_it(made):
    made.write(f"{TREE}/lab/{NAME}.yaml", "model: [\n")
    assert [each.file for each in found(made)] == [f"{TREE}/trial/{NAME}.yaml"] * 2


@pytest.mark.parametrize(("environment", "severity"), [("live", "error"), ("lab", "warning")])
def test_an_image_beside_the_server_needs_a_digest_too(made, tool, environment, severity):
    containers = [{"name": "front", "image": "me/front:2"}, {"name": "ours", "image": f"me/ours@{DIGEST}"}]
    path = f"{TREE}/{environment}/{NAME}.yaml"
    content = yaml.safe_load((made.folder / path).read_text())
    content["values"] = {"exampleModel": {"predictor": {"containers": containers}}}
    made.write(path, yaml.safe_dump(content, sort_keys=False))
    rendering = made.helm(tool("helm"), "template", environment=environment)[f"{environment}/{NAME}"]
    ((name, finding),) = pinned.beside(made.project, [rendering])
    lines = (made.folder / path).read_text().splitlines()
    assert (name, finding.severity, finding.file) == (f"{environment}/{NAME}", severity, path)
    assert "image: me/front:2" in lines[finding.line - 1]
    assert "me/front:2 is not pinned" in finding.message
