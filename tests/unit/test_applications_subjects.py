"""Which applications are proven, and what each is held against."""

import re

import anyio
import pytest

from ci.applications import subjects
from ci.base.errors import UsageError
from ci.stages import scope
from ci.tree import git, tree
from ci.tree.earlier import Earlier
from tests.harness import project as projects


@pytest.fixture
def made(tmp_path):
    made = projects.made(tmp_path / "models", environments=("lab", "live"), applications=("scores", "ranks"))
    made.commit()
    return made


def found(made, base=None, name=None):
    async def found():
        if base is not None:
            scoped = await scope.since(made.folder, base, "origin")
        else:
            repository = await git.opened(made.folder)
            scoped = await scope.everything(repository, await repository.commit_of("HEAD"))
        asked = tree.asked(name) if name is not None else None
        return await subjects.of(scoped.change, scoped.head, scoped.base, asked)

    return {each.name: each for each in anyio.run(found)}


def version(made, environment, name, version):
    path = made.folder / projects.TREE / environment / f"{name}.yaml"
    path.write_text(path.read_text().replace("/7", f"/{version}").replace("'7'", f"'{version}'"))


def release(version):
    return version.application.release["model", "version"]


def test_a_change_is_held_against_the_set_that_runs(made):
    base = made.git("rev-parse", "HEAD")
    version(made, "lab", "scores", "8")
    made.commit()

    (subject,) = found(made, base).values()

    assert subject.name == "lab/scores"
    assert (release(subject.champion), release(subject.candidate)) == ("7", "8")
    assert subject.champion.revision == base, "with the chart that it runs with"
    assert subject.rules == ()


def test_a_new_one_and_one_that_is_renamed_have_no_champion_and_say_so(made):
    base = made.git("rev-parse", "HEAD")
    made.deploy("lab", "fresh")
    made.git("mv", f"{projects.TREE}/lab/ranks.yaml", f"{projects.TREE}/lab/orders.yaml")
    made.commit()

    proven = found(made, base)

    assert proven.keys() == {"lab/fresh", "lab/orders"}
    assert {each.champion for each in proven.values()} == {None}
    assert proven["lab/fresh"].rules == ("a first deploy has no champion, and no canary",)
    assert proven["lab/orders"].rules == ("lab/ranks was renamed: a first deploy has no champion, and no canary",)


def test_a_golden_file_alone_moves_nothing_but_is_asked(made):
    base = made.git("rev-parse", "HEAD")
    made.write("golden/scores.yaml", "name: scores\n")
    made.commit()

    proven = found(made, base)

    assert proven.keys() == {"lab/scores", "live/scores"}
    assert {each.rules for each in proven.values()} == {("Argo CD deploys the same as before: there is no canary",)}


@pytest.mark.parametrize("line", ["**/lab/*.yaml ident", "**/Chart.yaml ident"])
def test_what_a_checkout_changed_before_is_put_right_without_a_canary(made, line):
    made.write(".gitattributes", f"{line}\n")
    made.commit()
    base = made.git("rev-parse", "HEAD")
    made.write(".gitattributes", "")
    made.commit()

    rules = {name: each.rules for name, each in found(made, base).items()}

    assert {"lab/ranks", "lab/scores"} <= rules.keys()
    assert all(
        rule.startswith(f"{subjects.GONE}: ") and ".gitattributes has git change it" in rule
        for (rule,) in rules.values()
    )


@pytest.mark.parametrize(("model", "asked"), [("8", 1), ("7", 2)], ids=["another model", "the same model"])
def test_a_champion_of_another_model_is_asked_what_that_is_right_in(made, model, asked):
    for environment, expected in (("lab", 2), ("live", 1)):
        values = {"exampleModel": {"knownAnswer": {"expected": expected}}, "slo": {"of": environment}}
        path = made.deploy(environment, "scores", values=values)
    (made.folder / path).write_text((made.folder / path).read_text().replace("'3.1'", "'3.0'"))
    version(made, "lab", "scores", model)
    made.commit()

    subject = found(made, name="scores")["lab/scores"]

    assert release(subject.champion) == "7"
    assert subject.champion.application.values == {
        "exampleModel": {"knownAnswer": {"expected": asked}},
        "slo": {"of": "lab"},
    }
    assert subject.candidate.application.known_answer == {"expected": 2}


def test_without_a_base_a_set_is_held_against_the_one_it_would_be_promoted_over(made):
    version(made, "lab", "scores", "8")
    made.commit()

    proven = found(made)

    assert proven.keys() == {"lab/ranks", "lab/scores", "live/ranks", "live/scores"}
    assert release(proven["lab/scores"].champion) == "7"
    assert proven["lab/scores"].champion.application.namespace == "acme-lab", "in the environment that is proven"
    assert proven["lab/ranks"].rules == ("live runs this very set: there is no canary to take",)
    assert proven["live/scores"].champion is None


def test_what_runs_another_model_than_its_golden_file_is_of_is_known_with_and_without_a_base(made):
    base = made.git("rev-parse", "HEAD")
    version(made, "lab", "scores", "9")
    version(made, "live", "scores", "8")
    made.commit()

    changed = {"lab/scores": None, "live/scores": Earlier("lab")}
    assert {name: each.earlier for name, each in found(made, base).items()} == changed
    everything = changed | {"lab/ranks": None, "live/ranks": None}
    assert {name: each.earlier for name, each in found(made).items()} == everything


@pytest.mark.parametrize(
    ("commits", "expected"),
    [
        ([("live", "9")], None),
        ([("lab", "8"), ("live", "9")], None),
        ([("live", "9"), ("lab", "8")], Earlier("lab")),
        ([("lab", "9"), ("lab", "8"), ("live", "9")], None),
        ([("lab", "9"), ("lab", "8"), ("live", "9", "promote")], Earlier("lab")),
        ([("lab", "8"), ("live", "9", "promote")], None),
        ([("lab", "9"), ("lab", "8"), ("live", "9", "bump")], None),
        ([("lab", "9"), ("live", "9"), ("lab", "8"), ("live", "8"), ("live", "9")], Earlier("lab")),
    ],
    ids=[
        "never in lab",
        "after lab's own",
        "before lab's own",
        "lab went on from it",
        "by a promotion that waited",
        "by a promotion of what lab never had",
        "bumped, where lab went on from it",
        "back to it",
    ],
)
def test_a_model_that_no_earlier_environment_ran_is_no_earlier_one(made, commits, expected):
    for environment, number, *tool in commits:
        path = made.folder / projects.TREE / environment / "scores.yaml"
        path.write_text(re.sub("(?<=[/'])[789](?=['\n])", number, path.read_text()))
        made.commit()
        if tool:
            made.git("commit", "--quiet", "--amend", "--message=It moves", f"--trailer=Tool: ml-serving-ci {tool[0]}")

    assert found(made)["live/scores"].earlier == expected


def test_one_application_can_be_asked_for_and_one_that_is_not_there_is_refused(made):
    assert found(made, name="ranks").keys() == {"lab/ranks", "live/ranks"}
    with pytest.raises(UsageError, match="--app cats: nothing to prove of it") as told:
        found(made, name="cats")
    assert told.value.fix == "in the change: ranks, scores"


def test_one_of_several_environments_can_be_asked_for(made):
    assert found(made, name="live/ranks").keys() == {"live/ranks"}
    with pytest.raises(UsageError, match="--app live/cats: nothing to prove of it") as told:
        found(made, name="live/cats")
    assert told.value.fix == "in the change: lab/ranks, lab/scores, live/ranks, live/scores"


def test_a_malformed_file_of_another_environment_keeps_nobody_from_being_proven(made):
    made.write(f"{projects.TREE}/lab/ranks.yaml", "chart: [")
    made.commit()
    assert found(made, name="live/ranks").keys() == {"live/ranks"}
    for name in ("lab/ranks", "ranks"):
        with pytest.raises(UsageError, match=r"lab/ranks\.yaml:2: not YAML"):
            found(made, name=name)


def test_a_set_whose_chart_is_gone_is_no_champion_and_says_so(made):
    made.deploy("lab", "scores", revision="f" * 40)
    base = made.commit()
    made.deploy("lab", "scores")
    made.commit()

    (subject,) = found(made, base).values()

    assert subject.champion is None
    (rule,) = subject.rules
    assert rule.startswith("the set before cannot be had any more, so there is no canary from it: ")
    assert f"chart.revision {'f' * 40} is not in" in rule


def test_a_chart_of_another_branch_is_the_remotes_as_argo_cd_has_it(made):
    there = made.git("rev-parse", "HEAD")
    made.git("update-ref", "refs/remotes/origin/next", there)
    made.write("README.md", "Models\n")
    base = made.commit()
    made.git("branch", "next")
    made.deploy("lab", "scores", revision="next")
    made.commit()

    (subject,) = found(made, base).values()

    assert subject.candidate.revision == there


def test_a_file_that_cannot_be_read_stops_itself_and_no_other(made):
    bad = f"{projects.TREE}/lab/ranks.yaml"
    made.write(bad, "chart: [")
    base = made.commit()
    version(made, "lab", "scores", "8")
    made.commit()

    assert found(made, base).keys() == {"lab/scores"}, "the change leaves it as it was"
    assert found(made, name="scores").keys() == {"lab/scores", "live/scores"}
    for name in (None, "ranks"):
        with pytest.raises(UsageError, match=f"{bad}:2: not YAML"):
            found(made, name=name)

    made.write(bad, "chart: {")
    made.commit()
    with pytest.raises(UsageError, match=f"{bad}:2: not YAML"):
        found(made, base)
