"""Models and images of the command line: which application takes them, and what no application takes."""

from dataclasses import replace

import anyio
import pytest

from ci.applications import deployment, given, subjects
from ci.applications.given import Given
from ci.base.errors import UnnamedError, UsageError
from ci.models import digests
from ci.project import Throwaway
from ci.stages import scope
from ci.supply.foreign import Name, Served
from ci.supply.supply import Supply
from ci.tree import git, tree
from tests.harness import project as projects

DIGEST = f"sha256:{'a' * 64}"
IMAGE = Name("registry.example.com", "scores", "3.1", "")
"""Of `scores`, as the project's files have it."""
BUILT = Served(f"registry.example.com/scores@{DIGEST}", DIGEST, "local")


@pytest.fixture
def made(tmp_path):
    made = projects.made(tmp_path / "project", environments=("lab",), applications=("scores", "ranks"))
    made.commit()
    return made


@pytest.fixture
def found(made):
    async def found():
        repository = await git.opened(made.folder)
        scoped = await scope.everything(repository, await repository.commit_of("HEAD"))
        return await subjects.of(scoped.change, scoped.head, scoped.base, None)

    return anyio.run(found)


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    (folder / "acme" / "scores" / "7").mkdir(parents=True)
    (folder / "acme" / "scores" / "7" / "model.bin").write_bytes(b"weights")
    return folder


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("scores", Name("docker.io", "library/scores", "latest", "")),
        ("acme/scores:dev", Name("docker.io", "acme/scores", "dev", "")),
        ("registry.example.com/scores:3.1", IMAGE),
    ],
)
def test_an_image_is_named_as_docker_names_it(image, name):
    assert given.name(image) == name


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("Scores", "--image Scores: not the name of an image"),
        ("--all", "--image --all: not the name of an image"),
        (f"scores@{DIGEST}", f"--image scores@{DIGEST}: a digest names what a registry has, not what was built here"),
    ],
)
def test_what_docker_does_not_call_an_image_is_refused(image, said):
    with pytest.raises(UsageError) as refused:
        given.name(image)
    assert refused.value.message == said


@pytest.mark.parametrize("image", ["registry.example.com/scores:3.2", "registry.example.com/scores", "scores:3.1"])
def test_an_image_that_no_application_runs_is_refused_with_those_that_one_does(found, image):
    with pytest.raises(UsageError, match=f"--image {image}: no application of the change runs it") as refused:
        anyio.run(given.images, [image], found, None)

    assert "registry.example.com/scores:3.1 (lab/scores)" in refused.value.fix
    assert "registry.example.com/ranks:3.1 (lab/ranks)" in refused.value.fix


def test_without_images_none_is_looked_for(found):
    assert anyio.run(given.images, [], found, None) == {}


def test_a_folder_with_one_model_of_the_change_will_do(found, models):
    given.require_model(models, found)


def test_a_folder_that_is_laid_out_in_another_way_is_refused_with_the_place(found, models):
    (models / "acme" / "scores").rename(models / "scores")

    with pytest.raises(UsageError) as refused:
        given.require_model(models, found)

    assert refused.value.message == (
        f"--models {models}: no model of the change is in it: there is no {models}/acme/ranks/7, nor 1 other"
    )


def test_a_folder_is_refused_where_no_application_has_a_model_in_a_store(models):
    with pytest.raises(UsageError, match=f"--models {models}: no application of the change has a model in a store"):
        given.require_model(models, [])


def test_both_are_served_in_place_of_what_the_set_names_and_the_image_is_called_built(found, models, tmp_path, tool):
    subject = next(each for each in found if each.name == "lab/scores")
    supply = Supply("source", tmp_path / "cache")
    here = Given({}, models, {IMAGE: BUILT})

    async def prepared():
        repository = await git.opened(tmp_path / "project")
        (tmp_path / "work").mkdir()
        return await deployment.prepared(repository, tool("helm"), subject.candidate, supply, here, tmp_path / "work")

    found = anyio.run(prepared)

    assert (found.served.image, found.served.built) == (DIGEST, True)
    assert found.served.model == digests.pinned(models / "acme" / "scores" / "7")
    assert found.values["exampleModel"]["image"] == BUILT.reference


def test_a_pause_that_cannot_be_cut_is_named_with_the_applications_file(found, tmp_path, tool):
    version = next(each.candidate for each in found if each.name == "lab/scores")
    application = version.application
    own = replace(
        application,
        project=application.project.model_copy(update={"throwaway": Throwaway(longest_pause="20s")}),
        content=application.content.replace(b"values: {}", b"values: {canary: {steps: [{pause: ''}]}}"),
    )

    async def prepared():
        repository = await git.opened(tmp_path / "project")
        (tmp_path / "work").mkdir()
        supply = Supply("source", tmp_path / "cache")
        changed = replace(version, application=own)
        await deployment.prepared(repository, tool("helm"), changed, supply, None, tmp_path / "work")

    with pytest.raises(UsageError, match=rf"^{own.file}: canary\.steps\[0\]\.pause: '' is no duration"):
        anyio.run(prepared)


def test_what_was_just_built_is_the_candidates_and_a_champions_that_is_pinned_by_nothing(found):
    here = Given({}, None, {IMAGE: BUILT})
    scores = next(each.candidate.application for each in found if each.name == "lab/scores")
    ranks = next(each.candidate.application for each in found if each.name == "lab/ranks")

    assert here.image(scores) == BUILT
    assert here.image(ranks) is None
    assert anyio.run(here.of_champion, scores).image(scores) == BUILT
    pinned = scores.with_release({tree.IMAGE[2]: DIGEST})
    assert anyio.run(here.of_champion, pinned).image(pinned) is None


def test_an_image_of_a_champion_that_names_no_digest_can_be_given(found, monkeypatch):
    async def built(_supply, image, _repository):
        return replace(BUILT, reference=image)

    monkeypatch.setattr(given.foreign, "built", built)
    subject = next(each for each in found if each.name == "lab/scores")
    pinned = subject.candidate.application.with_release({tree.IMAGE[1]: "3.2", tree.IMAGE[2]: DIGEST})
    moved = replace(subject, candidate=replace(subject.candidate, application=pinned), champion=subject.candidate)

    name = "registry.example.com/scores:3.1"
    assert anyio.run(given.images, [name], [moved], None) == {IMAGE: replace(BUILT, reference=name)}

    held = subject.candidate.application.with_release({tree.IMAGE[2]: DIGEST})
    with pytest.raises(UsageError, match="no application of the change runs it"):
        anyio.run(given.images, [name], [replace(moved, champion=replace(subject.candidate, application=held))], None)


@pytest.mark.parametrize(
    ("release", "said", "way_out"),
    [
        (
            {},
            "scores has registry.example.com/scores:3.1 without a digest, which may be another tomorrow",
            "pin it: python ci/main.py bump image --env lab --app scores --to 3.1@sha256:DIGEST, the digest by crane "
            "digest registry.example.com/scores:3.1; or serve the one of the local Docker daemon: "
            "--image registry.example.com/scores:3.1",
        ),
        ({tree.IMAGE[0]: "Scores"}, "Scores:3.1: not the name of an image", "HOST/REPOSITORY"),
        ({tree.IMAGE[2]: "sha256:1"}, "registry.example.com/scores:3.1@sha256:1: not the name of an image", "HOST"),
        ({tree.MODEL_DIGEST: "sha256:1"}, "s3://acme/scores/7: digest sha256:1: not sha256: and 64 hex", ""),
        ({("model", "storageUri"): "acme/7"}, "acme/7: not a storageUri of s3", ""),
        ({("model", "storageUri"): "s3://acme/../7"}, "s3://acme/../7: has .. in its path", ""),
    ],
    ids=["no digest", "no image", "half a digest", "half a model's digest", "no store", "out of the store"],
)
def test_a_set_that_names_nothing_that_can_be_had_is_told_with_both_ways_out(
    found, models, tmp_path, tool, release, said, way_out
):
    version = next(each.candidate for each in found if each.name == "lab/scores")
    own = version.application.with_release(release)
    supply = Supply("source", tmp_path / "cache")

    async def prepared():
        repository = await git.opened(tmp_path / "project")
        (tmp_path / "work").mkdir()
        changed, here = replace(version, application=own), Given({}, models)
        return await deployment.prepared(repository, tool("helm"), changed, supply, here, tmp_path / "work")

    with pytest.raises(UnnamedError) as raised:
        anyio.run(prepared)
    assert said in raised.value.message
    assert way_out in (raised.value.fix or "")


@pytest.mark.parametrize(
    ("content", "taken"),
    [(b"weights", True), (b"what runs", False), (None, False)],
    ids=["its own", "another", "unpinned"],
)
def test_a_champions_model_is_taken_from_the_folder_by_its_own_digest_alone(found, models, tmp_path, content, taken):
    (tmp_path / "model.bin").write_bytes(content or b"")
    digest = digests.of_path(tmp_path / "model.bin") if content is not None else ""
    champion = next(each.candidate.application for each in found if each.name == "lab/scores")
    champion = champion.with_release({tree.MODEL_DIGEST: digest})

    assert anyio.run(Given({}, models).of_champion, champion).models == (models if taken else None)
