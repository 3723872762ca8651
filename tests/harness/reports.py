"""Reports of runs as they come, made by hand, for the tests of the report's views."""

import math
import random
from dataclasses import replace
from functools import cache

from ci.canary.observe import timeline
from ci.canary.observe.timeline import Answer, Routed
from ci.results import (
    CanaryTimeline,
    ChangedAnswer,
    Dashboard,
    DashboardPanel,
    Effect,
    Event,
    Example,
    Failure,
    File,
    Finding,
    Gate,
    Plotted,
    Proof,
    Report,
    Served,
    Stage,
    Suite,
    WeightChange,
)
from tests.harness.behaviour import RESULT

STABLE, CANARY = "565f486b76", "67fc49988f"
PODS = {"10.244.0.7": STABLE, "10.244.0.9": CANARY}
RATE = 20
GOOD = ((0.2, 0), (20.2, 20), (40.3, 50), (60.4, 100), (60.5, 0))
BY_HAND = ((0.2, 0), (9.0, 20), (21.0, 100), (21.1, 0))
ABORTED = ((0.2, 0), (18.0, 20), (47.5, 0))
STAGES = [
    ("lint", 0.0, 2.2),
    ("template", 2.2, 0.5),
    ("cluster", 2.7, 15.4),
    ("stack", 18.1, 31.1),
    ("gitops", 49.2, 250.3),
    ("install", 49.2, 28.6),
    ("inference", 77.8, 13.6),
    ("canary", 91.4, 75.8),
    ("integration", 167.2, 131.6),
    ("uninstall", 298.8, 9.0),
    ("bad-releases", 307.8, 190.4),
]


@cache
def canary(name, weights=GOOD, *, errors=0.0, slowness=1.0, no_pod=0.0, seconds=67.0):
    """A canary under steady traffic; `errors` and `slowness` are the new version's."""
    draw = random.Random(name)
    changes = [WeightChange(at, 100 - percent, percent) for at, percent in weights]
    promoted = any(percent == 100 for _, percent in weights)
    ended = next((at for at, percent in weights if percent == 100), weights[-1][0])
    answers = []
    for index in range(int(seconds * RATE)):
        started = 0.5 + index / RATE
        share = next(change.canary for change in reversed(changes) if change.at <= started) / 100
        by_canary = (promoted and started > ended) or draw.random() < share
        took = draw.lognormvariate(-5.4, 0.5) * (slowness if by_canary else 1)
        bad = by_canary and draw.random() < errors
        lost = draw.random() < no_pod
        address = "" if lost else "10.244.0.9" if by_canary else "10.244.0.7"
        answers.append(Answer(started, took, 503 if bad or lost else 200, address))
    width = timeline.bucket_seconds(answers)
    return CanaryTimeline(
        name=name,
        outcome="Healthy" if promoted else "Degraded",
        seconds=round(weights[-1][0] - 7.6, 3),
        stable_revision=STABLE,
        canary_revision=CANARY,
        requests=len(answers),
        failed=sum(not answer.good for answer in answers),
        weights=changes,
        shares=timeline.shares(routed(changes), answers, PODS, canary=CANARY, ended=ended if promoted else seconds),
        traffic=timeline.traffic(answers, PODS),
        declared_pause_seconds=40.0,
        bucket_seconds=width,
        buckets=timeline.buckets(answers, PODS, width),
    )


def routed(changes):
    """A proxy that takes over each weight at once."""
    return [Routed(change.at, change.at, change.stable, change.canary) for change in changes]


GATES = [
    Gate(environment, shape, bad, end, second, step, metric)
    for environment in ("defaults", "dev", "staging", "prod")
    for shape, bad, end, second, step, metric in [
        ("5xx 5 %", True, "Degraded", 40, 1, "success-rate"),
        ("p95 x10", True, "Degraded", 35, 1, "latency-p95"),
        ("NaN", True, "Paused", 130, 2, "latency-p95"),
        ("noise", False, "Healthy", 240, 2, ""),
        ("scale-up", False, "Healthy", 240, 2, ""),
    ]
] + [
    Gate("dev", "p95 x2", True, "Healthy", 40, 2, "", 3, 2, "windows of 20 s hold too few requests; staging does"),
    Gate("prod", "wrong answers", True, "Healthy", 1200, 3, "", 1, 1),
]
GATES.sort(key=lambda gate: ("defaults", "dev", "staging", "prod").index(gate.environment))

INFERENCE = [
    Example(
        "the guides request gets the guides answer (mesh)",
        "mesh",
        "POST",
        "/v1/models/sklearn-iris:predict",
        '{"instances": [[5.1, 3.5, 1.4, 0.2]]}',
        200,
        '{"predictions":[0]}',
        0.0071,
    ),
    Example(
        "the model says that it is there (port-forward)",
        "port-forward",
        "GET",
        "/v2/health/live",
        "",
        200,
        '{"live":true}',
        0.0031,
    ),
    Example(
        "a bad request gets the servers own answer (no JSON)",
        "port-forward",
        "POST",
        "/v1/models/sklearn-iris:predict",
        "flowers",
        400,
        '{"error":"Unrecognized request format: unexpected character: line 1 column 1 (char 0)"}',
        0.0023,
    ),
]

WARNING = Finding("yaml", "helm/charts/ml-serving/values.yaml", 33, "too many blank lines", "remove one", "warning")
ERROR = Finding(
    "schema",
    "helm/charts/ml-serving/templates/virtual-service.yaml",
    17,
    "spec.http.0: additional properties 'retrys' not allowed",
    "remove it, or name it as networking.istio.io/v1 does",
)


DASHBOARD = Dashboard(
    "Canary (ml-serving/ml-serving)",
    900,
    [
        DashboardPanel(
            "Request rate by revision",
            "reqps",
            [
                Plotted("565f486b76", [(second, 20 + 4 * math.sin(second / 60)) for second in range(0, 900, 15)]),
                Plotted("67fc49988f", [(second, second / 60) for second in range(300, 900, 15)]),
            ],
        ),
        DashboardPanel("p95 latency", "s", [Plotted("", [(0, 0.02), (450, 0.045), (899, 0.031)])]),
        DashboardPanel("Error budget", "percentunit", [Plotted("Remaining", [(0, 1.0), (450, -0.5)])]),
        DashboardPanel("Requests by pod", "short", [Plotted(f"pod-{n}", [(n, n)]) for n in range(12)]),
        DashboardPanel("Errors", "percentunit", [Plotted("5xx", [(0, 0.0), (450, 0.0)])]),
        DashboardPanel("Firing alerts", "none", [Plotted("Firing", [])]),
    ],
)


def served(version, *, built=False):
    """A set of an application, as it was served."""
    release = {
        "chart.revision": "main",
        "model.version": version,
        "model.storageUri": f"s3://acme-models/wine/{version}",
        "model.digest": "",
        "image.repository": "docker.io/kserve/lgbserver",
        "image.tag": "v0.20.0",
        "image.digest": "",
    }
    return Served(release, f"sha256:{version[0] * 64}", f"sha256:{'a' * 64}", built)


WINE = Proof(
    "dev",
    "wine",
    served("2.0", built=True),
    served("1.0"),
    golden="c" * 64,
    behaviour=replace(RESULT, golden="wine", champion="1.0", candidate="2.0"),
    canary=canary("dev/wine to 2.0"),
    suite=Suite("applications.dev.wine", 20, 20, 0),
    back=True,
    overlay=["exampleModel.replicas: 3 → 1 (throwaway.replicas)"],
)
FIRST = Proof(
    "live-eu",
    "reviews",
    Served({"image.tag": "7"}, "", f"sha256:{'b' * 64}", built=False),
    rules=["a first deploy has no champion, and no canary"],
    behaviour=replace(RESULT, golden="reviews", champion="7", candidate="7"),
)
"""A container with its model in it, that ran nowhere before."""


def passed():
    return Report(
        command="python ci/main.py test --sample-env dev",
        started="2026-11-26T05:39:05+00:00",
        outcome="passed",
        seconds=502.7,
        versions={"kserve": "v0.20.0", "argo-rollouts": "v1.10.2", "istio": "1.31.0"},
        stages=[Stage(name, "passed", seconds, "", started) for name, started, seconds in STAGES],
        findings=[WARNING],
        canaries=[
            canary("sklearn-iris to v2"),
            canary("promoted by hand", BY_HAND, seconds=24.0),
            canary("failing", ABORTED, errors=0.2, seconds=55.0),
            canary("slow", ABORTED, slowness=60, seconds=55.0),
            canary("without pods", ABORTED, no_pod=0.05, seconds=55.0),
        ],
        gitops=[
            Event(4.5, "kubectl apply of k8s/argocd/"),
            Event(50.7, "bump: d3ef98c30c84 Bump sklearn-iris model in dev to v2"),
            Event(104.1, "dev: Rollout Healthy at v2"),
        ],
        behaviour=RESULT,
        gates=list(GATES),
        applications=[replace(WINE), replace(FIRST)],
        dashboards=[DASHBOARD],
        inference=list(INFERENCE),
        files=[
            File("pytest-canary.log", 1834),
            File("rendered/dev.yaml", 31_337),
            File("rendered/prod.yaml", 1_234_567),
        ],
    )


def failed():
    """The canary's tests fail, with a cluster to look at."""
    message = (
        "1 of the canary tests failed: tests/integration/test_canary.py::test_no_request_fails - assert [Req] == []"
    )
    stages = [Stage(name, "passed", seconds, "", started) for name, started, seconds in STAGES[:7]]
    stages[4] = Stage("gitops", "failed", 118.0, "interrupted", 49.2)
    stages.append(Stage("canary", "failed", 75.8, message, 91.4))
    stages += [Stage(name, "skipped", 0.0, "not reached") for name, _, _ in STAGES[8:]]
    return replace(
        passed(),
        outcome="failed",
        seconds=171.9,
        stages=stages,
        canaries=[replace(canary("sklearn-iris to v2", errors=0.02), shares=[replace(OUTSIDE)])],
        gitops=[],
        failure=Failure(
            "canary",
            message,
            "See report/pytest-canary.log; on a kept cluster: pytest tests/integration/test_canary.py --kubeconfig F",
        ),
        culprits=[
            "pod ml-serving/sklearn-iris-predictor-67fc49988f-x2x7z, container kserve-container: "
            "ended with exit code 137: Killed",
            "Rollout ml-serving/sklearn-iris-predictor: Degraded; RolloutAborted: metric success-rate failed",
        ],
        files=[
            File("pytest-canary.log", 18_340, "E   assert [Request(status=503)] == []\nFAILED test_canary.py - assert"),
            File(
                "diagnostics/logs/ml-serving/sklearn-iris-predictor-67fc49988f-x2x7z/kserve-container.previous.log",
                4100,
                "INFO: loading model\n" + "x" * 300,
            ),
            File("diagnostics/events.txt", 9000, "ml-serving  30s  Warning  BackOff  pod/x  Back-off restarting"),
            File("diagnostics/nodes.txt", 7000),
            File("rendered/dev.yaml", 31_337),
        ],
    )


OUTSIDE = timeline.shares(
    [Routed(0.0, 0.0, 50, 50)],
    [Answer(5 + index / 50, 0.004, 200, "10.244.0.9") for index in range(500)],
    PODS,
    canary=CANARY,
    ended=60.0,
)[0]


def interrupted():
    stages = [Stage(name, "passed", seconds, "", started) for name, started, seconds in STAGES[:3]]
    stages.append(Stage("stack", "failed", 9.9, "interrupted", 18.1))
    stages += [Stage(name, "skipped", 0.0, "not reached") for name, _, _ in STAGES[4:]]
    report = Report("python ci/main.py test", "2026-11-26T05:39:05+00:00", "interrupted", 29.0)
    report.stages = stages
    return report


WRONG = "2.0 does not behave as wine 1 asks: accuracy in slice large is 17 of 26 (65.4%), at least 80.0% asked"


def application_failed():
    """The second application's answers are wrong."""
    stages = [Stage("applications", "failed", 61.0, WRONG, 49.2)]
    wrong = replace(WINE, environment="live-eu", candidate=served("2.0"), canary=None, back=False)
    wrong = replace(wrong, behaviour=replace(RESULT, failures=["accuracy in slice large is 17 of 26"]))
    return Report(
        "python ci/main.py test --base origin/main",
        "2026-11-26T05:39:05+00:00",
        "failed",
        110.2,
        stages=[Stage(name, "passed", seconds, "", started) for name, started, seconds in STAGES[:4]] + stages,
        canaries=[WINE.canary],
        failure=Failure("applications", WRONG),
        applications=[replace(WINE), wrong],
    )


def without_docker():
    """A run that ended before its first stage."""
    return Report(
        "python ci/main.py test --no-install",
        "2026-11-26T05:39:05+00:00",
        "failed",
        0.3,
        stages=[Stage(name, "skipped", 0.0, "not reached") for name, _, _ in STAGES],
        failure=Failure("host and supply", "no Docker daemon answers", "apt-get install docker.io"),
    )


def empty():
    return Report("test", "now")


HOSTILE = (
    '<script>alert("1")</script>\' | `id` **x** <img src=x onerror=y> {{ 7*7 }} &amp; \x1b[31mred\x00 \ud800 '
    + "w" * 300
)


def hostile(text=HOSTILE):
    """Every text that comes from outside is an attack."""
    bad = replace(canary("x", seconds=30.0), name=text, outcome=text, stable_revision=text)
    release = dict.fromkeys(served("1").release, text)
    sets = (Served(release, text, text, built=True), Served({**release, text: text}, text, text, built=False))
    told = replace(RESULT, golden=text, champion=text, candidate=text, failures=[text], candidate_failure=text)
    changed = ChangedAnswer(text, [text], text, text, text)
    told = replace(told, slices=[replace(RESULT.slices[0], name=text)], regressions=[changed])
    return Report(
        command=text,
        started=text,
        outcome="failed",
        seconds=1.0,
        versions={text: text},
        stages=[Stage(text, "failed", 1.0, text)],
        findings=[Finding(text, text, 1, text, text)],
        effects=[Effect(text, text, "canary")],
        canaries=[bad],
        gitops=[Event(1.0, text)],
        failure=Failure(text, text, text),
        culprits=[text],
        dashboards=[Dashboard(text, 1, [DashboardPanel(text, text, [Plotted(text, [(0, 1)])])])],
        gates=[Gate(text, text, True, "Healthy", 1, 1, text, 1, 1, text)],
        inference=[Example(text, text, text, text, text, 200, text, 0.1)],
        applications=[Proof(text, text, *sets, [text], text, told, bad, overlay=[text])],
        files=[File(f"diagnostics/{text[:60]}", 1, text), File("javascript:alert(1)", 1)],
    )


def findings(number):
    report = failed()
    report.findings = [
        Finding("schema", f"helm/{index}.yaml", index, f"wrong {index}", "mend it", "warning" if index % 2 else "error")
        for index in range(number)
    ]
    return report


def canaries(number):
    return replace(passed(), canaries=[canary(f"number {index}", seconds=240.0) for index in range(number)])


ALL = {
    "passed": passed,
    "failed": failed,
    "interrupted": interrupted,
    "application failed": application_failed,
    "without Docker": without_docker,
    "empty": empty,
    "hostile": hostile,
    "200 findings": lambda: findings(200),
    "12 canaries": lambda: canaries(12),
}
