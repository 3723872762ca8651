"""A stranger's change until the cluster begins: what is got, as whom, and what is refused in one line.

Real: git, helm, an S3 store, a registry with a login, KServe's storage library, crane.
"""

from contextlib import AsyncExitStack
from functools import partial

import anyio
import pytest
import yaml

from ci.applications import subjects
from ci.base.errors import CIError, MachineError, UsageError
from ci.checks import chart, gates, golden, targets
from ci.checks.targets import Chosen
from ci.models.storage import RefusedError, WrongFolderError, WrongModelError
from ci.results import Report
from ci.stages import models as models_stage
from ci.stages import scope as scopes
from ci.stages.run import Options, Run
from ci.tree import git
from ci.tree.tree import Asked
from tests.harness import lint
from tests.harness.gates import executables
from tests.harness.project import executed
from tests.stranger import places, project


@pytest.fixture
def prepared(stranger, supply, tmp_path):
    """What the stage `models` got for what the branch changes."""

    async def prepare(whole=False, **given):
        if whole:
            repository = await git.opened(stranger.folder)
            scope = await scopes.everything(repository, await repository.commit_of("HEAD"))
        else:
            scope = await scopes.since(stranger.folder, f"origin/{project.BRANCH}", "origin")
        options = Options(stranger.folder, stranger.first, False, None, None, False, tmp_path / "report", **given)
        async with AsyncExitStack() as cleanup:
            run = Run(options, supply, Report("test", "now"), cleanup, scope=scope)
            await models_stage.execute(run)
        return run.applications

    return lambda **given: anyio.run(partial(prepare, **given))


@pytest.fixture
def credentials(supply, store, publisher, monkeypatch):
    """Those of whoever runs `test`."""
    for name, value in {**store.settings, **publisher.settings}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def models(stranger, tmp_path):
    """A folder with both versions of the regression, by where they are in the store."""
    names = stranger.names
    for version in ("1", "2"):
        place = tmp_path / "models" / names.bucket / names.regression / version
        place.mkdir(parents=True)
        (place / places.FILE).write_bytes(places.MODELS[version])
    return tmp_path / "models"


def edited(stranger, name, message, **parts):
    """Have the first environment's file of an application say something else, by a commit."""
    path = stranger.file(stranger.first, name)
    content = stranger.data(path)
    for part, values in parts.items():
        content[part] |= values
    (stranger.folder / path).write_text(yaml.safe_dump(content))
    stranger.clone.git("commit", "--quiet", "--all", f"--message={message}")


def refusal(prepared, kind, **given):
    with pytest.raises(CIError) as raised:
        prepared(**given)
    assert isinstance(raised.value, kind), raised.value
    assert "\n" not in raised.value.message
    return raised.value.message


def test_an_image_of_its_own_is_got_by_digest_with_dockers_login(stranger, publisher, credentials, prepared):
    names = stranger.names
    digest = publisher.publish(names.texts, "2", base=None)
    stranger.bump("image", names.texts, f"2@{digest}")

    (found,) = prepared()

    assert found.subject.name == f"{stranger.first}/{names.texts}"
    assert (found.candidate.served.image, found.candidate.served.built) == (digest, False)
    assert (found.installed, found.bare) == (found.champion, found.candidate)
    assert found.proof.starts_canary
    assert found.candidate.values["exampleModel"]["image"] == f"{publisher.repository(names.texts)}@{digest}"
    assert found.candidate.model is None
    assert {line.rpartition("(")[2] for line in found.proof.overlay} >= {"throwaway.longest_pause)"}
    assert len(found.golden.inputs) == len(project.SENTENCES)
    assert found.proof.rules == []


def test_a_change_that_starts_no_canary_has_a_champion_to_be_asked_beside_it(
    stranger, publisher, credentials, prepared
):
    names = stranger.names
    stranger.branch("no-canary")
    digest = publisher.publish(names.texts, "2", base=None)
    changed = {"image": {"tag": "2", "digest": digest}, "values": {"features": {"canaryDeployment": False}}}
    edited(stranger, names.texts, "No canary", **changed)

    (found,) = prepared()

    assert (found.installed, found.bare) == (found.candidate, found.champion)
    assert found.proof.champion.release["image.tag"] == "1"
    assert found.proof.rules == ["the change replaces its pods without a canary: there is no Rollout with steps"]
    assert not found.proof.starts_canary


def test_what_a_later_environment_still_runs_is_held_to_no_accuracy_of_the_next(
    stranger, publisher, credentials, prepared
):
    names = stranger.names
    stranger.bump("image", names.texts, f"2@{publisher.publish(names.texts, '2', base=None)}")

    first, *later = prepared(whole=True, application=Asked(names.texts))

    asked = f"{project.QUESTIONS}/{names.texts}.yaml"
    rule = f"{asked} is of the model that {stranger.first} runs: no accuracy is asked of this one"
    assert rule not in first.proof.rules
    assert first.asked.gates["all"].accuracy == 1.0
    assert len(later) == 2
    for each in later:
        assert rule in each.proof.rules
        assert each.asked.gates["all"].accuracy is None


@pytest.fixture
def regression(stranger, publisher, store):
    """The regression as it runs, by an image that can be had without its server."""
    names = stranger.names
    digest = publisher.publish(names.regression, "1", base=None)
    image = {"repository": publisher.repository(names.regression), "tag": "1", "digest": digest}

    def runs(digest):
        stranger.branch("runs")
        edited(stranger, names.regression, "An image that is here", image=image, model={"digest": digest})
        stranger.merge()
        stranger.branch("change")

    return runs


@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "unpinned"])
def test_a_champion_is_its_own_model_whatever_the_folder_has_at_its_place(
    stranger, credentials, prepared, regression, models, pinned
):
    names = stranger.names
    ran, trained = (places.digest_of(places.MODELS[each]) for each in ("1", "2"))
    regression(ran if pinned else "")
    (models / names.bucket / names.regression / "1" / places.FILE).write_bytes(places.MODELS["2"])
    edited(stranger, names.regression, "Trained anew", model={"digest": trained})

    (found,) = prepared(models=models)

    assert found.candidate.served.model == trained
    assert found.candidate.model.source == str(models / names.bucket / names.regression / "1")
    assert found.champion.served.model == ran
    assert found.champion.model.source == f"s3://{names.bucket}/{names.regression}/1"


def test_a_champion_that_the_folder_has_needs_no_store_and_a_set_without_a_digest_is_told(
    stranger, credentials, prepared, regression, models, monkeypatch
):
    names = stranger.names
    ran, trained = (places.digest_of(places.MODELS[each]) for each in ("1", "2"))
    regression(ran)
    uri = f"s3://{names.bucket}/{names.regression}/2"
    edited(stranger, names.regression, "Not pinned", model={"version": "2", "storageUri": uri, "digest": ""})
    for name in places.servers.KEYS:
        monkeypatch.delenv(name)

    (found,) = prepared(models=models)

    assert (found.champion.served.model, found.candidate.served.model) == (ran, trained)
    told = f"it names no digest of its model: {trained} was there, and may be another tomorrow"
    assert told in found.proof.rules


@pytest.mark.parametrize(
    ("was", "said"),
    [
        ({"digest": ""}, "without a digest, which may be another tomorrow"),
        ({"tag": "-"}, "not the name of an image"),
    ],
    ids=["no digest", "no image"],
)
def test_a_champion_that_names_no_image_is_one_that_cannot_be_had(
    stranger, publisher, credentials, prepared, was, said
):
    names = stranger.names
    stranger.branch("runs")
    edited(stranger, names.texts, "As on the first day", image=was)
    stranger.merge()
    stranger.branch("change")
    pinned = {"tag": "1", "digest": publisher.publish(names.texts, "1", base=None)}
    edited(stranger, names.texts, "Pinned", image=pinned)

    found, *_ = prepared()

    assert (found.champion, found.proof.champion) == (None, None)
    assert found.candidate.served.image == pinned["digest"]
    (rule,) = found.proof.rules
    assert rule.startswith(f"{subjects.GONE}: {stranger.file(stranger.first, names.texts)}: ")
    assert said in rule


def test_without_the_login_it_is_named(stranger, publisher, store, credentials, prepared, monkeypatch):
    names = stranger.names
    digest = publisher.publish(names.texts, "2", base=None)
    stranger.bump("image", names.texts, f"2@{digest}")
    monkeypatch.delenv("DOCKER_CONFIG")

    said = refusal(prepared, MachineError)

    assert said.startswith(f"{publisher.repository(names.texts)}@{digest}: refused to this user")


def test_without_the_stores_keys_the_model_is_named(stranger, credentials, prepared, monkeypatch):
    names = stranger.names
    stranger.bump("model", names.regression, "2", f"--digest={places.digest_of(places.MODELS['2'])}")
    for name in places.servers.KEYS:
        monkeypatch.delenv(name)

    said = refusal(prepared, RefusedError)

    assert said.startswith(f"s3://{names.bucket}/{names.regression}/2: S3 authentication failed.")
    assert said.endswith("; no credentials for it are set here, at the address of AWS_ENDPOINT_URL")


def test_a_model_that_was_swapped_after_the_bump_is_refused(stranger, store, credentials, prepared):
    names = stranger.names
    digest = places.digest_of(places.MODELS["2"])
    stranger.bump("model", names.regression, "2", f"--digest={digest}")
    swapped = store.put(names.regression, "2", places.MODELS["snowless"])

    said = refusal(prepared, WrongModelError)

    uri = f"s3://{names.bucket}/{names.regression}/2"
    assert said == f"{uri}: the files at {uri} have digest {swapped}, the set says {digest}"


def test_another_model_in_the_folder_is_refused(stranger, credentials, prepared, models):
    names = stranger.names
    stranger.bump("model", names.regression, "2", f"--digest={places.digest_of(places.MODELS['2'])}")
    place = models / names.bucket / names.regression / "2"
    (place / places.FILE).write_bytes(places.MODELS["snowless"])

    said = refusal(prepared, WrongFolderError, models=models)

    uri = f"s3://{names.bucket}/{names.regression}/2"
    found, wanted = (places.digest_of(places.MODELS[each]) for each in ("snowless", "2"))
    assert said == f"{place}: digest {found}, and the set says {wanted} of {uri}"


def test_an_image_that_no_application_of_the_change_runs_is_refused(stranger, credentials, prepared, publisher):
    names = stranger.names
    stranger.bump("model", names.regression, "2", f"--digest={places.digest_of(places.MODELS['2'])}")

    said = refusal(prepared, UsageError, images=(f"{publisher.repository(names.texts)}:1",))

    assert said == f"--image {publisher.repository(names.texts)}:1: no application of the change runs it"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("modelFormat", "lightgmb", "takes no model of format lightgmb; it takes lightgbm"),
        ("runtime", "kserve-lgbservr", "no serving runtime is called kserve-lgbservr; there are"),
    ],
)
def test_a_runtime_or_a_format_that_kserve_does_not_have_is_named_with_file_and_line(
    stranger, credentials, prepared, regression, key, value, said
):
    names = stranger.names
    regression(places.digest_of(places.MODELS["1"]))
    path = stranger.file(stranger.first, names.regression)
    content = stranger.data(path)
    content["values"]["exampleModel"] |= {key: value, "command": ["serve"]}
    text = yaml.safe_dump(content)
    (stranger.folder / path).write_text(text)
    stranger.clone.git("commit", "--quiet", "--all", "--message=A slip")

    line = next(number for number, each in enumerate(text.splitlines(), 1) if f"{key}: {value}" in each)
    told = refusal(prepared, UsageError)
    assert told.startswith(f"{path}:{line}: InferenceService {names.regression}: ")
    assert said in told


def test_the_tools_own_command_prints_a_models_digest(stranger, store, credentials):
    names = stranger.names
    ended = stranger.tool("digest", f"s3://{names.bucket}/{names.regression}/1", "--supply=source")
    assert ended.stdout.strip() == places.digest_of(places.MODELS["1"])


def test_the_checks_that_need_no_container_have_nothing_against_it(stranger, filled):
    async def judged():
        own = Chosen(defaults=False)  # not the example of the chart that it got a copy of
        async with targets.found(stranger.folder, stranger.project, own, filled.tool("helm")) as found:
            assert found.findings == []
            assert golden.findings(stranger.folder, stranger.project, found.judged, found.applications) == []
            folder = found.folder / "helm"
            chart.laid_out(found.judged, folder)
            commands = chart.commands(found.judged, "template")
            outputs = executed(filled.tool("helm"), commands, folder)
            made = [chart.rendered(each, output) for each, output in zip(found.judged, outputs, strict=True)]
            said = [*(finding for each in made for finding in each.findings), *await lint.links(made)]
            assess = partial(gates.assess, *executables(), stranger.folder, project.TREE, made, known=found.known)
            return [*said, *(await assess()).findings]

    assert anyio.run(judged) == []
