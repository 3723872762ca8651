"""What came of the gates: a verdict for each shape, and what each step can see; and of a recorded canary."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from ci.canary.declared import Declared
from ci.results import Finding, Gate


@dataclass(frozen=True)
class Outcome:
    """How a canary ended.

    Attributes:
        phase: "Healthy" where it became stable, "Degraded" where it was aborted, "Paused" where it waits for a person,
            "Unknown" where the next measurement is not known.
        second: When.
        step: Which weight, counted from 1, was in force.
        metric: What decided; empty where nothing did.
        why: In Argo Rollouts' own words.
    """

    phase: Literal["Healthy", "Degraded", "Paused", "Unknown"]
    second: int
    step: int
    metric: str = ""
    why: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the gates made of one shape.

    Attributes:
        environment: Name of the target, as ENV/APP.
        shape: The shape's name.
        bad: Whether it must be stopped.
        outcomes: How each replay ended.
        unseen: Why nothing could have told this version from a good one; empty where something could.
    """

    environment: str
    shape: str
    bad: bool
    outcomes: Sequence[Outcome]
    unseen: str = ""

    @property
    def wrong(self) -> Sequence[Outcome]:
        """Escapes of a bad version, or false alarms of a good one."""
        return [outcome for outcome in self.outcomes if self.bad == (outcome.phase == "Healthy")]

    def accepted(self, declared: Declared) -> str:
        """Return why it is lived with: gates.yaml says so, or nothing could have told; empty where it is not."""
        listed = declared.accepts(self.shape, self.environment)
        return listed.reason if listed else self.unseen


@dataclass(frozen=True)
class Chance:
    """What one metric can tell during one step.

    Attributes:
        environment: Name of the target, as ENV/APP.
        metric: "success-rate", "latency-p95" or "requests".
        step: Counted from 1.
        weight: Of the step, percent.
        requests: What a measurement sees at the step's end.
        catch: Probability to stop a version with the declared regression, at least; None where it stops none by design.
        false_abort: Probability to stop a healthy one, at most.
    """

    environment: str
    metric: str
    step: int
    weight: int
    requests: int
    catch: float | None
    false_abort: float

    @property
    def name(self) -> str:
        """What it is called in gates.yaml."""
        return f"power: {self.metric} at {self.weight} %"


def is_weak(chance: Chance, declared: Declared) -> bool:
    """Tell whether a step is below the declared power."""
    blind = chance.catch is not None and chance.catch < declared.power.catch
    return blind or chance.false_abort > declared.power.false_abort


@dataclass(frozen=True)
class Assessment:
    """What came out.

    Attributes:
        verdicts: One for each shape and target.
        chances: One for each judging metric, step and target.
        declared: What they are held to.
        findings: What is wrong and not accepted.
    """

    verdicts: Sequence[Verdict]
    chances: Sequence[Chance]
    declared: Declared
    findings: Sequence[Finding]

    @property
    def gates(self) -> list[Gate]:
        """The verdicts as the report has them: of several replays, the latest wrong one, or else the latest."""
        return [self._gate(verdict) for verdict in self.verdicts]

    def _gate(self, verdict: Verdict) -> Gate:
        shown = max(verdict.wrong or verdict.outcomes, key=attrgetter("second"))
        assert shown.phase != "Unknown", "only a recording ends too early"
        return Gate(
            verdict.environment,
            verdict.shape,
            verdict.bad,
            shown.phase,
            shown.second,
            shown.step,
            shown.metric,
            len(verdict.outcomes),
            len(verdict.wrong),
            verdict.accepted(self.declared) if verdict.wrong else "",
        )


@dataclass(frozen=True)
class Share:
    """What the recording has of one step's requests.

    Attributes:
        step: Counted from 1.
        weight: As rendered, percent.
        start: The second that the step begins, where nothing stops the canary.
        end: When it ends, or the recording does.
        requests: Of both versions together, about.
        canary: The canary's among them.
    """

    step: int
    weight: int
    start: int
    end: int
    requests: float
    canary: float


@dataclass(frozen=True)
class Recorded:
    """What the gates would have made of a recorded canary.

    Attributes:
        environment: Name of the target, as ENV/APP.
        outcome: How it would have ended.
        notes: How the recording was read.
        shares: What it has, step by step.
    """

    environment: str
    outcome: Outcome
    notes: Sequence[str]
    shares: Sequence[Share]
