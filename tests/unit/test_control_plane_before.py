"""Applications as they were before a change: real git, rendered by Helm."""

import anyio
import pytest

from ci.checks import targets
from ci.checks.control_plane import before
from ci.checks.targets import Chosen
from ci.tree import git, merge_base
from tests.harness import project
from tests.unit.conftest import find_tool


@pytest.fixture
def made(tmp_path):
    found = project.made(tmp_path, applications=("fraud-score", "price-rank"), environments=("lab", "live"))
    found.commit()
    found.git("checkout", "--quiet", "-b", "change")
    return found


def rendered(made):
    """By the target's name what was there before."""

    async def asked():
        base, _ = await merge_base.sides(await git.opened(made.folder), "trunk", "origin")
        chosen = Chosen(defaults=False)
        async with targets.found(made.folder, made.project, chosen, find_tool("helm")) as found:
            assert found.findings == []
            return await before.rendered(base, find_tool("helm"), found.judged, found.applications)

    return anyio.run(asked)


def model(objects):
    (service,) = [each for each in objects if each["kind"] == "InferenceService"]
    return service["spec"]["predictor"]["model"]


def test_what_is_not_committed_is_applied_over_what_was_there(made):
    file = made.folder / project.TREE / "lab" / "fraud-score.yaml"
    file.write_text(file.read_text().replace("tag: '3.1'", "tag: '3.2'"))
    found = rendered(made)
    assert found.keys() == {f"{where}/{name}" for where in ("lab", "live") for name in ("fraud-score", "price-rank")}
    assert model(found["lab/fraud-score"])["image"] == "registry.example.com/fraud-score:3.1"


def test_a_new_application_was_not_there(made):
    made.deploy("lab", "new")
    assert "lab/new" not in rendered(made)


def test_one_that_ran_in_another_namespace_was_not_there(made):
    file = made.folder / "ml-serving-ci.toml"
    file.write_text(file.read_text().replace('"acme-lab"', '"acme-laboratory"'))
    assert rendered(made).keys() == {"live/fraud-score", "live/price-rank"}


def test_the_chart_is_that_of_before(made):
    template = made.folder / project.CHART_FOLDER / "templates" / "services.yaml"
    template.unlink()
    assert {"Service", "Rollout"} <= {each["kind"] for each in rendered(made)["lab/fraud-score"]}


def test_hooks_are_left_out_since_others_of_their_name_come_with_each_sync(made):
    kinds = [each["kind"] for each in rendered(made)["lab/fraud-score"]]
    assert "Pod" not in kinds
    assert "Pod" in made.helm(find_tool("helm"), "template", defaults=False)["lab/fraud-score"].text


def test_one_that_could_not_be_rendered_is_said_and_no_reason_to_fail(made, capsys):
    made.git("checkout", "--quiet", "trunk")
    made.write(f"{project.TREE}/lab/broken.yaml", "values: {")
    made.commit()
    made.git("checkout", "--quiet", "-B", "change")
    made.deploy("lab", "broken")
    assert rendered(made)["lab/broken"] is None
    assert "before, lab/broken cannot be rendered" in capsys.readouterr().err


def test_before_the_project_there_was_nothing(made):
    made.git("checkout", "--quiet", "--orphan", "trunk-2")
    made.git("rm", "-r", "--quiet", "--cached", ".")
    (made.folder / ".git" / "info" / "exclude").write_text("*")
    made.git("commit", "--quiet", "--allow-empty", "--message=Begin")
    made.git("branch", "--force", "trunk")
    (made.folder / ".git" / "info" / "exclude").write_text("")
    made.git("checkout", "--quiet", "-B", "change")
    made.commit()
    assert rendered(made) == {}
