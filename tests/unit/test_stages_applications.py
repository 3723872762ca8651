"""What a champion has to answer to be what a candidate is held against, and a canary started from."""

from types import SimpleNamespace

import anyio
import pytest

from ci.applications import subjects
from ci.applications.prepared import Prepared
from ci.base.errors import CheckFailedError, WaitTimeoutError
from ci.results import Proof, Served
from ci.stages import applications
from tests.harness.behaviour import answers, golden

GATES = {"all": {"agreement": 0.9, "accuracy": 0.9, "regressions": 0}}
GOLDEN = golden([1] * 20, gates=GATES)
RIGHT = [1] * 20


def deployment(version):
    application = SimpleNamespace(name="flowers", environment="lab", model=version)
    return SimpleNamespace(version=version, application=application, model=None)


class Seen:
    """A run whose cluster is made up: what each set answers, and what becomes of it."""

    def __init__(self, patch, before, after):
        self.before, self.after = before, after
        self.moves = []
        candidate, champion = deployment("2"), deployment("1")
        subject = SimpleNamespace(name="lab/flowers", earlier=None, candidate=candidate)
        held = Served({}, "", "", built=False)
        self.proof = Proof("lab", "flowers", held, held, starts_canary=True)
        self.prepared = Prepared(subject, candidate, champion, GOLDEN, self.proof)
        for name in ("_stored", "_require_the_set", "_built", "_tested"):
            patch.setattr(applications, name, self.nothing)
        patch.setattr(applications, "_installed", self.installed)
        patch.setattr(applications, "_moved", self.moved)
        patch.setattr(applications.serve, "answering", self.answering)
        patch.setattr(applications.serve, "ask", self.ask)
        patch.setattr(applications.install, "prepare", self.nothing)
        patch.setattr(applications.namespaces, "delete", self.nothing)
        patch.setattr(applications.readiness, "one_revision", self.nothing)

    def prove(self):
        run = SimpleNamespace(options=SimpleNamespace(kubeconfig=None), id="x", kubectl=None)
        anyio.run(applications._prove, run, self.prepared, 1)

    async def nothing(self, *_, **__):
        pass

    async def installed(self, *_):
        return ""

    async def moved(self, _run, _prepared, to, _place, questions):
        self.moves.append((to.version, len(questions)))
        return "a canary"

    async def answering(self, _kubectl, _place, _inputs, url):
        if not any(answer is not None for of_round in self.before for answer in of_round):
            raise WaitTimeoutError(f"{url} answers", 60, "503: busy")

    async def ask(self, _kubectl, _place, _inputs, urls):
        return [answers(*each) for each in (self.before, self.after)[-len(urls) :]]


def but(values, **changed):
    """Answers that differ from these at some inputs."""
    return [changed.get(f"at{number}", value) for number, value in enumerate(values)]


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        ([RIGHT, RIGHT], None),
        ([RIGHT, but(RIGHT, at7=None)], "1 of 20"),
        ([but(RIGHT, at0=None, at7=None), but(RIGHT, at0=None, at7=None)], "2 of 20"),
    ],
    ids=["answers all", "misses one of one round", "cannot answer two"],
)
def test_a_champion_that_answers_some_is_compared_and_started_from(monkeypatch, before, sentence):
    seen = Seen(monkeypatch, before, [RIGHT, RIGHT])
    seen.prove()
    asked = 20 - (int(sentence.split()[0]) if sentence else 0)
    assert seen.moves == [("2", asked), ("1", asked)]
    assert (seen.proof.canary, seen.proof.back, seen.proof.champion is None) == ("a canary", True, False)
    assert seen.proof.behaviour.slices[0].agreement.total == asked
    assert seen.proof.rules == (
        [
            f"the set before did not answer {sentence} golden inputs each time (503: busy): "
            "they are compared with nothing, and asked of no canary"
        ]
        if sentence
        else []
    )


@pytest.mark.parametrize(
    "before", [[[None] * 20] * 2, [but([None] * 20, at3=1), [None] * 20]], ids=["nothing", "nothing each time"]
)
def test_a_champion_that_answers_nothing_is_red(monkeypatch, before):
    seen = Seen(monkeypatch, before, [RIGHT, RIGHT])
    seen.prove()
    assert (seen.moves, seen.proof.canary, seen.proof.champion) == ([], None, None)
    (rule,) = seen.proof.rules
    assert rule.startswith(subjects.RED)
    assert "503: busy" in rule


@pytest.mark.parametrize("before", [RIGHT, but(RIGHT, at0=None)], ids=["the champion does", "neither does"])
def test_a_candidate_that_does_not_answer_fails(monkeypatch, before):
    seen = Seen(monkeypatch, [before, before], [RIGHT, but(RIGHT, at0=None)])
    with pytest.raises(CheckFailedError, match=r"does not behave as flowers 3 asks"):
        seen.prove()
    assert seen.moves == []


def test_an_application_behind_one_that_fails_is_told_as_not_reached(monkeypatch):
    async def proves(_run, prepared, _number):
        if prepared.proof.name == "second":
            raise CheckFailedError("it does not answer")

    monkeypatch.setattr(applications, "_prove", proves)
    held = Served({}, "", "", built=False)
    every = [SimpleNamespace(proof=Proof("lab", name, held)) for name in ("first", "second", "third")]
    run = SimpleNamespace(applications=every, report=SimpleNamespace(applications=[]))

    with pytest.raises(CheckFailedError):
        anyio.run(applications.execute, run)

    told = [(each.name, each.reached) for each in run.report.applications]
    assert told == [("first", True), ("second", True), ("third", False)]
