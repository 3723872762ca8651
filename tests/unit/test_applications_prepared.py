"""What of an application is installed, and what is only asked beside it."""

from pathlib import Path

import pytest

from ci import project
from ci.applications.deployment import Deployment
from ci.applications.prepared import Prepared
from ci.applications.subjects import Subject
from ci.behaviour import compare, golden
from ci.behaviour.compare import Answer
from ci.results import Proof, Served
from ci.tree import tree
from ci.tree.earlier import Earlier
from tests.harness import project as projects


def deployment(version):
    served = Served({"model.version": version}, "", f"sha256:{'a' * 64}", built=False)
    content = projects.application("scores").replace("'7'", f"'{version}'")
    application = tree.read(project.parse(projects.toml().encode()), "trial", "scores", content.encode())
    return Deployment(application, Path(), (), {}, None, served, ())


GOLDEN = golden.checked(
    {
        "name": "scores",
        "version": 2,
        "source": "made for a test",
        "slices": {"low": "below zero"},
        "gates": {"all": {"accuracy": 1.0, "agreement": 1.0}, "low": {"regressions": 0}},
        "inputs": [
            {"id": "low", "instance": [-1], "expected": "low", "slices": ["low"]},
            {"id": "high", "instance": [1], "expected": "high"},
        ],
    },
    "golden/scores.yaml",
)
OLD, NEW = deployment("1"), deployment("2")


def prepared(champion, *, starts_canary=True, earlier=None):
    proof = Proof("lab", "scores", NEW.served, champion and champion.served, starts_canary=starts_canary)
    return Prepared(Subject(None, None, earlier=earlier), NEW, champion, GOLDEN, proof)


@pytest.mark.parametrize(
    ("found", "installed", "bare"),
    [
        (prepared(OLD), OLD, NEW),
        (prepared(OLD, starts_canary=False), NEW, OLD),
        (prepared(None), NEW, None),
        (prepared(OLD).alone("it does not serve"), NEW, None),
        (prepared(OLD, starts_canary=False).alone("it does not serve"), NEW, None),
    ],
    ids=["a canary", "no canary", "no champion", "a red champion", "a red champion, no canary"],
)
def test_a_champion_is_asked_whether_or_not_a_canary_starts_from_it(found, installed, bare):
    assert (found.installed, found.bare) == (installed, bare)


def failures(found, before, after):
    """What the gates have against a candidate, by what it and its champion answer."""
    answers = [[[Answer(value, 0.01) for value in each]] for each in (before, after)]
    return [each.partition(" is ")[0] for each in compare.compare(found.asked, ["1", "2"], *answers).failures]


WRONG = ("low", "low")
NEXT, TAKEN_BACK = Earlier("lab"), Earlier("lab", taken_back=True)


@pytest.mark.parametrize(
    ("found", "before", "after", "said"),
    [
        (prepared(OLD), WRONG, WRONG, ["accuracy in slice all"]),
        (prepared(OLD, earlier=NEXT), WRONG, WRONG, []),
        (
            prepared(OLD, earlier=NEXT),
            WRONG,
            ("high", "low"),
            ["agreement in slice all", "1 answers in slice low went from right to wrong, at most 0 may"],
        ),
        (prepared(None), WRONG, WRONG, ["accuracy in slice all"]),
        (prepared(None, earlier=NEXT), WRONG, WRONG, []),
        (prepared(OLD, earlier=NEXT).alone("it does not serve"), WRONG, WRONG, []),
        (prepared(OLD, earlier=TAKEN_BACK), ("low", "high"), WRONG, []),
        (prepared(deployment("2"), earlier=TAKEN_BACK), ("low", "high"), WRONG, ["agreement in slice all"]),
    ],
    ids=[
        "of its model",
        "of another",
        "of another, worse",
        "alone",
        "of another, alone",
        "of another, a red champion",
        "back from the model that was taken back",
        "another image since then",
    ],
)
def test_a_golden_file_of_another_model_holds_a_candidate_to_its_champion_alone(found, before, after, said):
    assert failures(found, before, after) == said


def test_a_model_that_cannot_be_asked_the_next_ones_questions_fails_nothing():
    answers = [[Answer(None, 0.01, "status 400")] * 2]
    asked = prepared(None, earlier=NEXT).asked
    assert compare.compare(asked, ["1", "1"], answers, answers).failures == []
