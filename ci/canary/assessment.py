"""What came of the gates: a verdict for each shape, and what each step can see; and of a recorded canary."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from ci.canary.declared import Declared
from ci.canary.replay import Outcome
from ci.results import Finding, Gate


@dataclass(frozen=True)
class Verdict:
    """What the gates made of one shape.

    Attributes:
        environment: Whose values.
        shape: The shape's name.
        bad: Whether it must be stopped.
        outcomes: How each replay ended.
    """

    environment: str
    shape: str
    bad: bool
    outcomes: Sequence[Outcome]

    @property
    def wrong(self) -> Sequence[Outcome]:
        """Escapes of a bad version, or false alarms of a good one."""
        return [outcome for outcome in self.outcomes if self.bad == (outcome.phase == "Healthy")]


@dataclass(frozen=True)
class Chance:
    """What one metric can tell during one step.

    Attributes:
        environment: Whose values.
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
        verdicts: One for each shape and environment.
        chances: One for each judging metric, step and environment.
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
        accepted = self.declared.accepts(verdict.shape, verdict.environment) if verdict.wrong else None
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
            accepted.reason if accepted else "",
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
        environment: Whose values.
        outcome: How it would have ended.
        notes: How the recording was read.
        shares: What it has, step by step.
    """

    environment: str
    outcome: Outcome
    notes: Sequence[str]
    shares: Sequence[Share]
