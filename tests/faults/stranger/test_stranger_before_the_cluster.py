"""A stranger's change until the cluster begins: what is got, as whom, and what is refused in one line.

Real: git, helm, an S3 store, a registry with a login, KServe's storage library, crane.
"""

from contextlib import AsyncExitStack
from functools import partial

import anyio
import pytest
import yaml

from ci.base.errors import CIError, MachineError, UsageError
from ci.checks import chart, gates, golden, targets
from ci.checks.targets import Chosen
from ci.manifests import references
from ci.models.storage import RefusedError, WrongFolderError, WrongModelError
from ci.results import Report
from ci.stages import models as models_stage
from ci.stages import scope as scopes
from ci.stages.run import Options, Run
from tests.harness.gates import executables
from tests.harness.project import VERSION, executed
from tests.stranger import places, project


@pytest.fixture
def prepared(stranger, supply, tmp_path):
    """What the stage `models` got for what the branch changes."""

    async def prepare(**given):
        base, remote = f"origin/{project.BRANCH}", "origin"
        scope = await scopes.since(stranger.folder, base, remote)
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
    file = stranger.folder / stranger.file(stranger.first, names.texts)
    content = yaml.safe_load(file.read_text())
    content["image"] |= {"tag": "2", "digest": digest}
    content["values"]["features"] = {"canaryDeployment": False}
    file.write_text(yaml.safe_dump(content))
    stranger.clone.git("commit", "--quiet", "--all", "--message=No canary")

    (found,) = prepared()

    assert (found.installed, found.bare) == (found.candidate, found.champion)
    assert found.proof.champion.release["image.tag"] == "1"
    assert found.proof.rules == ["the change replaces its pods without a canary: there is no Rollout"]
    assert not found.proof.starts_canary


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


def test_the_tools_own_command_prints_a_models_digest(stranger, store, credentials):
    names = stranger.names
    ended = stranger.tool("digest", f"s3://{names.bucket}/{names.regression}/1", "--supply=source")
    assert ended.stdout.strip() == places.digest_of(places.MODELS["1"])


def test_the_checks_that_need_no_container_have_nothing_against_it(stranger, filled):
    async def judged():
        async with targets.found(stranger.folder, stranger.project, Chosen()) as found:
            assert found.findings == []
            assert golden.findings(stranger.folder, stranger.project, found.judged) == []
            folder = found.folder / "helm"
            chart.laid_out(found.judged, folder)
            commands = chart.commands(found.judged, "template", VERSION)
            outputs = executed(filled.tool("helm"), commands, folder)
            made = [chart.rendered(each, output) for each, output in zip(found.judged, outputs, strict=True)]
            said = [finding for each in made for finding in (*each.findings, *references.check(each.objects))]
            assess = partial(gates.assess, *executables(), stranger.folder, project.TREE, made, known=found.known)
            return [*said, *(await assess()).findings]

    assert anyio.run(judged) == []
