"""What a run found out, as plain data; every view (terminal, JSON, JUnit, HTML, summary) is made from it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing a check has to say about one place.

    Attributes:
        check: The check's name ("schema", "references", "rules", ...).
        file: Path from the project's folder; behind "COMMIT:" where git has it.
        line: Line in it, from 1; 0 where the whole file is meant.
        message: What is wrong.
        remedy: How to correct it.
        severity: An error fails the run, a warning does not.
    """

    check: str
    file: str
    line: int
    message: str
    remedy: str
    severity: Literal["error", "warning"] = "error"

    @property
    def place(self) -> str:
        """Where it is, as an editor opens it."""
        return f"{self.file}:{self.line}" if self.line else self.file


def errors_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order in which a person wants to read them: errors first, then by place."""
    return sorted(findings, key=lambda finding: (finding.severity != "error", finding.file, finding.line))


Outcome = Literal["canary", "update", "first", "none"]
OUTCOMES: Mapping[Outcome, str] = {
    "canary": "starts a canary",
    "update": "replaces its pods without a canary: there is no Rollout with steps",
    "first": "is deployed for the first time, which Argo Rollouts does without a canary",
    "none": "starts no canary: its pod template stays the same",
}


@dataclass(frozen=True)
class Effect:
    """What a change does to the pods of one model.

    Attributes:
        place: Environment and application, as ENV/NAME.
        model: The InferenceService; of another workload, its kind and name.
        outcome: What becomes of its pods.
    """

    place: str
    model: str
    outcome: Outcome

    def __str__(self) -> str:
        return f"{self.model} in {self.place} {OUTCOMES[self.outcome]}"


@dataclass
class Stage:
    """One stage of a run.

    Attributes:
        name: As in `--only` and `--skip`.
        outcome: How it ended.
        seconds: How long it took.
        message: Why it failed or was skipped, in one line.
        started: Seconds since the run began.
    """

    name: str
    outcome: Literal["passed", "failed", "skipped"]
    seconds: float
    message: str = ""
    started: float = 0.0


@dataclass(frozen=True)
class Suite:
    """The tests of one stage, and what came of them.

    Attributes:
        stage: The stage.
        expected: How many there are, listed by name before they ran.
        passed: How many of them passed.
        failed: How many failed.
        skipped: Those that were skipped, by node id, each with its reason.
    """

    stage: str
    expected: int
    passed: int
    failed: int
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """What ended a run.

    Attributes:
        where: The stage, or what was under way before the first one.
        message: What failed, in one line.
        fix: What to do next; empty where nobody can say.
    """

    where: str
    message: str
    fix: str = ""


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

    @property
    def inside(self) -> bool:
        """Whether the answers followed the weight."""
        return self.low <= self.canary_requests <= self.high


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


@dataclass(frozen=True)
class Bucket:
    """What one revision answered of the requests sent within one stretch of the observation.

    Attributes:
        at: Where the stretch begins, in seconds since the observation began.
        revision: The pod-template hash; empty for answers that name no pod.
        requests: Requests sent in it that are over.
        failed: Of them, those without a 2xx answer.
        p50_ms: Median latency seen by the client, milliseconds.
        p95_ms: 95th percentile, milliseconds.
    """

    at: float
    revision: str
    requests: int
    failed: int
    p50_ms: float
    p95_ms: float


@dataclass
class CanaryTimeline:
    """A canary as seen from outside: by its VirtualService and by a client in the mesh.

    Attributes:
        name: What was rolled out ("good: fraud-score v2").
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
        bucket_seconds: How long each stretch of `buckets` is.
        buckets: Traffic by revision over time, in order.
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
    bucket_seconds: int = 1
    buckets: list[Bucket] = field(default_factory=list)

    def role(self, revision: str) -> str:
        """Return "stable" or "canary", or nothing for a revision that was neither."""
        return {self.stable_revision: "stable", self.canary_revision: "canary"}.get(revision, "")


@dataclass(frozen=True)
class CanaryCourse:
    """How a canary went through its steps on a control plane without nodes, which says nothing of its model.

    Attributes:
        application: ENV/APP.
        rollout: Its name.
        weights: The canary's at each pause, in percent, as they were seen.
        promoted: Steps, counted from 1, that wait for a person.
        fault: What was wrong with the bad version; empty where none was played.
        by: Metrics that stopped it.
        wrong: What did not go as declared; empty where all did.
    """

    application: str
    rollout: str
    weights: list[int]
    promoted: list[int]
    fault: str
    by: list[str]
    wrong: str


@dataclass(frozen=True)
class Gate:
    """What the canary's gates made of one shape of canary, in simulation.

    Attributes:
        environment: Whose values.
        shape: The shape's name.
        bad: Whether it must be stopped.
        end: The Rollout's last phase: promoted, aborted, or held for a person.
        second: When.
        step: Which weight, counted from 1, was in force.
        metric: What decided; empty where nothing did.
        replays: How often it was replayed.
        wrong: How often it ended as it must not; the end above is then one of these.
        accepted: Why that is lived with; empty where it is not.
    """

    environment: str
    shape: str
    bad: bool
    end: Literal["Healthy", "Degraded", "Paused"]
    second: int
    step: int
    metric: str
    replays: int = 1
    wrong: int = 0
    accepted: str = ""


@dataclass(frozen=True)
class Example:
    """A request to the model and what it answered.

    Attributes:
        name: What it shows.
        via: "mesh" or "port-forward".
        method: "GET" or "POST".
        path: The URL's.
        body: What was sent; empty with GET.
        status: HTTP status; 0 where no answer came.
        answer: What came back.
        seconds: How long that took.
    """

    name: str
    via: str
    method: str
    path: str
    body: str
    status: int
    answer: str
    seconds: float


@dataclass(frozen=True)
class File:
    """A file that the run left in the report's folder.

    Attributes:
        path: From that folder.
        size: Bytes.
        excerpt: The lines of it that tell most about a failure; empty for most files.
    """

    path: str
    size: int
    excerpt: str = ""


@dataclass(frozen=True)
class Event:
    """Something that happened in a loop of commits.

    Attributes:
        at: Seconds since the loop began.
        what: In one line.
    """

    at: float
    what: str


@dataclass(frozen=True)
class Plotted:
    """One series of a dashboard's panel.

    Attributes:
        label: Its name in the legend.
        points: Seconds since the window began, and value, in order; none where the series has a gap.
    """

    label: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class DashboardPanel:
    """One panel of a dashboard.

    Attributes:
        title: The panel's.
        unit: Grafana's name of it.
        series: What its queries gave.
    """

    title: str
    unit: str
    series: list[Plotted]


@dataclass(frozen=True)
class Dashboard:
    """A dashboard as Grafana would show it, by the same queries.

    Attributes:
        title: The dashboard's.
        seconds: How long its window is.
        panels: In order.
    """

    title: str
    seconds: float
    panels: list[DashboardPanel]


@dataclass(frozen=True)
class Proportion:
    """A share of inputs, with its exact 95 % confidence interval.

    Attributes:
        count: Inputs that it is true of.
        total: All of them; 0 where there is nothing to compare a candidate with.
        low: Lower end of the interval of the share, from 0 to 1.
        high: Upper end of it.
    """

    count: int
    total: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """The share itself, from 0 to 1."""
        return self.count / self.total if self.total else 0.0


@dataclass(frozen=True)
class Slice:
    """What two versions of a model answered to one slice of the golden inputs.

    Attributes:
        name: The slice; "all" is every input.
        agreement: Inputs that both answered the same.
        champion: Inputs that the champion answered as expected.
        candidate: Inputs that the candidate answered as expected.
        regressions: Inputs whose answer went from right to wrong.
        improvements: Inputs whose answer went from wrong to right.
        p_value: Of McNemar's exact test on these two, two-sided.
    """

    name: str
    agreement: Proportion
    champion: Proportion
    candidate: Proportion
    regressions: int
    improvements: int
    p_value: float


@dataclass(frozen=True)
class ChangedAnswer:
    """An input whose answer went from right to wrong.

    Attributes:
        input: Its id in the golden file.
        slices: The slices it is in, beside "all".
        expected: The right answer, as JSON; empty where the golden file's schema alone says what is right.
        answered: The candidate's, as JSON; empty where it gave none, or not the same one each time.
        reason: Why that is wrong, in one line: where it differs and how, what the schema says, why there is none.
    """

    input: str
    slices: list[str]
    expected: str
    answered: str
    reason: str = ""


@dataclass(frozen=True)
class LatencyDifference:
    """One percentile of both versions' latency, seen by a client in the mesh that asked them in turn.

    Attributes:
        percentile: Which.
        champion_ms: The champion's, milliseconds.
        candidate_ms: The candidate's, milliseconds.
        difference_ms: The candidate's less the champion's, milliseconds: above 0 is slower.
        low_ms: Lower end of the difference's 95 % bootstrap interval, milliseconds.
        high_ms: Upper end of it.
    """

    percentile: int
    champion_ms: float
    candidate_ms: float
    difference_ms: float
    low_ms: float
    high_ms: float


@dataclass
class Behaviour:
    """Golden inputs through two versions of a model.

    Attributes:
        golden: Name of the golden inputs.
        golden_version: Their version.
        champion: storageUri of the version that serves now.
        candidate: storageUri of the one that would replace it.
        requests: Requests to each version, those to warm up left out.
        champion_failed: Of the champion's, those without an answer: no 2xx, or nothing where the golden file says.
        candidate_failed: Of the candidate's.
        champion_failure: Why the first of the champion's got none, in one line; empty where all got one.
        candidate_failure: The same of the candidate's.
        slices: "all" first, then each slice, the worst regression first.
        regressions: Every input whose answer went from right to wrong, in the file's order.
        latency: p50, p95 and p99, over the pairs of requests that both answered; empty where there is no such pair.
        failures: What the golden file's gates have against the candidate, a line each; empty where it may pass.
    """

    golden: str
    golden_version: int
    champion: str
    candidate: str
    requests: int
    champion_failed: int
    candidate_failed: int
    slices: list[Slice] = field(default_factory=list)
    regressions: list[ChangedAnswer] = field(default_factory=list)
    latency: list[LatencyDifference] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    champion_failure: str = ""
    candidate_failure: str = ""


@dataclass(frozen=True)
class Served:
    """A set as it was served on the cluster under test.

    Attributes:
        release: The set, by dotted key as in the application's file ("model.version").
        model: Digest of the files that were served, "sha256:HEX"; empty where the image brings its model along.
        image: Digest of the image that was served.
        built: Whether that image was built here, by the supply or by the user, and is not the published one.
    """

    release: Mapping[str, str]
    model: str
    image: str
    built: bool


@dataclass
class Proof:
    """What a run proved of one application.

    Attributes:
        environment: Whose values it had.
        name: The application's.
        candidate: The set that was proven.
        champion: The set that it was held against, and that a canary replaced; None where there was none.
        starts_canary: Whether a change from the champion starts a canary; else both were asked side by side, and there
            was no canary and no way back.
        rules: What was not done as for any change, a sentence each: a first deploy has no champion, for one.
        golden: SHA-256 of the golden file; empty where there is none.
        behaviour: Golden inputs through champion and candidate, or through the candidate alone.
        canary: The canary from champion to candidate; None where there was none.
        suite: The tests of tests/integration that the candidate took, as it was installed.
        back: Whether the champion's set was put back, and answered.
        overlay: What the cluster under test changed of the environment, a line each.
        seconds: How long that took, once it is over; 0 where it was not.
        reached: Whether it was begun: one after another is, and the first that fails ends the run.
    """

    environment: str
    name: str
    candidate: Served
    champion: Served | None = None
    rules: list[str] = field(default_factory=list)
    golden: str = ""
    behaviour: Behaviour | None = None
    canary: CanaryTimeline | None = None
    suite: Suite | None = None
    back: bool = False
    overlay: list[str] = field(default_factory=list)
    seconds: float = 0.0
    starts_canary: bool = True
    reached: bool = True


@dataclass(frozen=True)
class Usage:
    """What a run took of the machine that the Docker daemon is on, in bytes.

    Attributes:
        memory: The most that the daemon's containers used at once, above what they used before the run.
        disk: The most that Docker's disk held at once, above what it held before.
        supply: Images and tools, which were there before.
    """

    memory: int
    disk: int
    supply: int


@dataclass(frozen=True)
class ExistingCluster:
    """A cluster that was there before the run.

    Attributes:
        context: What the kubeconfig calls it.
        server: Address of its API server.
        uid: Of its namespace kube-system, which no two clusters share.
    """

    context: str
    server: str
    uid: str


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
        usage: What it took of the machine; None where the daemon is on another.
        left_out: Stages that the run was asked to leave out, and the part of lint that it was; it proves nothing for
            promote where there are any.
        unproven: Why it proves nothing for promote although it left no stage out; empty where it does.
        cluster: Where it ran; None on a throw-away cluster.
        suites: The tests of each stage that runs tests.
        findings: Of every check.
        effects: What the change does to pods, by lint's control plane; nothing of what it leaves as it was.
        canaries: Each canary that was taken.
        gitops: The time line of the loop of commits.
        failure: What ended the run, where something did.
        culprits: What is likely to blame, by the cluster's own state, the most telling first.
        gates: The canary's gates against simulated faults.
        inference: Requests and what the model answered.
        files: What the run left beside this report.
        behaviour: How the answers of the next model version differ, where golden inputs went through both.
        dashboards: The release's dashboards, drawn from what Prometheus had.
        applications: What was proven of each application that was to be, in order.
        platform: Whether the platform was proven, too.
    """

    command: str
    started: str
    outcome: Literal["passed", "failed", "interrupted"] = "passed"
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    stages: list[Stage] = field(default_factory=list)
    usage: Usage | None = None
    left_out: list[str] = field(default_factory=list)
    unproven: str = ""
    cluster: ExistingCluster | None = None
    suites: list[Suite] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    canaries: list[CanaryTimeline] = field(default_factory=list)
    gitops: list[Event] = field(default_factory=list)
    failure: Failure | None = None
    culprits: list[str] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    inference: list[Example] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    behaviour: Behaviour | None = None
    dashboards: list[Dashboard] = field(default_factory=list)
    applications: list[Proof] = field(default_factory=list)
    platform: bool = True
