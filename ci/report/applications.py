"""Words that every view has for what a run proved of an application: the sets, what was served, asked and moved."""

from typing import Literal

from ci.base.text import counted, lasting
from ci.report import behaviour
from ci.results import Proof, Report, Served

STAGE = "applications"
"""Proves one after the other, so that what ended it is about the last that was reached."""
SHORT = 12
"""Characters of a digest that tell it from others at a glance."""
NOT_REACHED = "not reached: an application before it failed"
CAME_OF = {"passed": "Proven", "failed": "Not proven", "skipped": "Not reached"}
BUILT = "built here, not the published image"


def ended(report: Report) -> list[tuple[Proof, str]]:
    """Return each proof with why it failed; nothing where it did not."""
    failed = (stage for stage in report.stages if (stage.name, stage.outcome) == (STAGE, "failed"))
    why = next((stage.message or "failed" for stage in failed), "")
    last = sum(proof.reached for proof in report.applications) - 1
    return [(proof, why if number == last else "") for number, proof in enumerate(report.applications)]


def outcome(proof: Proof, why: str) -> Literal["passed", "failed", "skipped"]:
    """Return how the proof of an application ended, as a stage does."""
    if not proof.reached:
        return "skipped"
    return "failed" if why else "passed"


def name(proof: Proof) -> str:
    """Return an application's place, as ENV/APP."""
    return f"{proof.environment}/{proof.name}"


def label(served: Served) -> str:
    """Name a set in a few words: its model's version and its image's tag."""
    named = (("model", served.release.get("model.version")), ("image", served.release.get("image.tag")))
    return ", ".join(f"{what} {which}" for what, which in named if which)


def moved(proof: Proof) -> str:
    """Return the set before, where there was one, and the set of the change."""
    return " → ".join(label(served) for _, served in sets(proof, ""))


def sets(proof: Proof, why: str) -> list[tuple[str, Served]]:
    """Return each set that was served, with what it was, or what came of it: the one before first.

    Args:
        proof: What was proven.
        why: Why it failed; empty where it did not.
    """
    before = [("Before", proof.champion)] if proof.champion is not None else []
    return [*before, (CAME_OF[outcome(proof, why)], proof.candidate)]


def short(digest: str) -> str:
    """Return the beginning of a digest, without its algorithm."""
    return digest.rpartition(":")[2][:SHORT]


def golden(proof: Proof) -> str:
    """Return how the golden inputs were answered, in one line."""
    found = proof.behaviour
    if found is None:
        return "golden inputs: none were asked"
    inputs = f"golden inputs {found.golden} {found.golden_version}"
    if proof.champion is None:
        right = found.slices[0].candidate
        return f"{inputs}: {right.count} of {right.total} answers are right ({behaviour.percent(right)})"
    return f"{inputs}: {behaviour.verdict(found)}"


def against(proof: Proof) -> list[str]:
    """Return what the golden file's gates have against the set, and the requests without an answer, a line each."""
    return [*proof.behaviour.failures, *behaviour.failed(proof.behaviour)] if proof.behaviour is not None else []


def canary(proof: Proof) -> str:
    """Return how the canary ended, in one line; nothing where there is none to start."""
    if proof.champion is None or not proof.starts_canary:
        return ""
    seen = proof.canary
    if seen is None:
        return "canary: none was watched"
    return (
        f"canary: {seen.outcome} after {lasting(seen.seconds)}; "
        f"{counted(seen.requests, 'request')}, {seen.failed} failed"
    )


def tests(proof: Proof) -> str:
    """Return how many tests it passed, in one line."""
    ran = proof.suite
    return f"tests: {ran.passed} of {ran.expected} passed" if ran is not None else "tests: not reached"


def back(proof: Proof) -> str:
    """Return what came of the way back, in one line; nothing where there is no set to go back to, or no way there."""
    if proof.champion is None or not proof.starts_canary:
        return ""
    return f"back to {label(proof.champion)}: {'it answered' if proof.back else 'not reached'}"


def told(proof: Proof, why: str) -> list[str]:
    """Return what was asked and moved, what was not done as for any change, and what was built here, a line each.

    Args:
        proof: What was proven.
        why: Why it failed; empty where it did not.
    """
    if not proof.reached:
        return [NOT_REACHED]
    built = [f"{what.lower()}: image {BUILT}" for what, served in sets(proof, why) if served.built]
    lines = (golden(proof), *against(proof), canary(proof), tests(proof), back(proof), *proof.rules, *built)
    return [line for line in lines if line]
