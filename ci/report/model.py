"""What a run found out, as plain data; every view (terminal, JSON, JUnit) is made from it."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing a check has to say about one place.

    Attributes:
        check: The check's name ("schema", "references", "rules", ...).
        file: Path from the top of the checkout.
        line: Line in it, from 1; 0 where the whole file is meant.
        message: What is wrong.
        remedy: How to mend it.
        severity: An error fails the run, a warning does not.
    """

    check: str
    file: str
    line: int
    message: str
    remedy: str
    severity: Literal["error", "warning"] = "error"


@dataclass
class Stage:
    """One stage of a run.

    Attributes:
        name: As in `--only` and `--skip`.
        outcome: How it ended.
        seconds: How long it took.
        message: Why it failed, in one line.
    """

    name: str
    outcome: Literal["passed", "failed", "skipped"]
    seconds: float
    message: str = ""


@dataclass(frozen=True)
class WeightChange:
    """A weight seen on the VirtualService for the first time.

    Attributes:
        at: Seconds since the observation began.
        stable: Percent of requests to the stable Service.
        canary: Percent of requests to the canary Service.
    """

    at: float
    stable: int
    canary: int


@dataclass(frozen=True)
class Share:
    """Answers by revision while one weight was in force.

    Attributes:
        canary_weight: The weight in force, percent.
        requests: Requests answered while it was.
        canary_requests: How many of them the canary's pods answered.
        low: Lower end of the binomial bound on `canary_requests`.
        high: Upper end of it.
    """

    canary_weight: int
    requests: int
    canary_requests: int
    low: int
    high: int


@dataclass(frozen=True)
class RevisionTraffic:
    """What one revision answered over the whole observation.

    Attributes:
        revision: The pod-template hash.
        requests: Requests answered.
        failed: Of them, answers other than 2xx.
        p50_ms: Median latency seen by the client, milliseconds.
        p95_ms: 95th percentile, milliseconds.
        p99_ms: 99th percentile, milliseconds.
    """

    revision: str
    requests: int
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


@dataclass
class CanaryTimeline:
    """A canary as seen from outside: by its VirtualService and by a client in the mesh.

    Attributes:
        name: What was rolled out ("good: sklearn-iris v2").
        outcome: The Rollout's last phase.
        seconds: From the upgrade to that phase.
        stable_revision: Pod-template hash before it.
        canary_revision: Pod-template hash that was tried.
        requests: Requests sent by the client.
        failed: Requests without a 2xx answer.
        weights: Weights in the order they were first seen.
        shares: Share of answers by revision at each weight.
        traffic: Totals by revision.
        declared_pause_seconds: Sum of the timed pauses in the Rollout's own steps.
    """

    name: str
    outcome: str
    seconds: float
    stable_revision: str
    canary_revision: str
    requests: int
    failed: int
    weights: list[WeightChange] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    traffic: list[RevisionTraffic] = field(default_factory=list)
    declared_pause_seconds: float = 0.0


@dataclass(frozen=True)
class Event:
    """Something that happened in a loop of commits.

    Attributes:
        at: Seconds since the loop began.
        what: In one line.
    """

    at: float
    what: str


@dataclass
class Report:
    """One run.

    Attributes:
        command: The command line, redacted.
        started: UTC, ISO 8601.
        outcome: How the run ended.
        seconds: How long it took.
        versions: Name to version of every part of the stack that was used.
        stages: In order.
        findings: Of every check.
        canaries: Each canary that was taken.
        gitops: The time line of the loop of commits.
    """

    command: str
    started: str
    outcome: Literal["passed", "failed", "interrupted"] = "passed"
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    canaries: list[CanaryTimeline] = field(default_factory=list)
    gitops: list[Event] = field(default_factory=list)
