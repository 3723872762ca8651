"""Values of the chart as teams may write them: any of its keys, each with values that make sense by themselves."""

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.conftest import KNOWN_ANSWER

NAMES = st.sampled_from(["team", "example.com/owner", "app.kubernetes.io/part-of", "cost-center"])
TEXTS = st.sampled_from(["fraud", "true", "1.10", "2026-01-01", "a b", "ü", "{}", "0x1F"])
LABELS = st.sampled_from(["fraud", "true", "1.10", "2026-01-01", "", "A_b.c"])
PATHS = st.sampled_from(["/healthz", "/v2/health/live", "/v1/models/fraud"])
NAMESPACES = st.sampled_from(["apps", "monitoring", "team-a", "argo-rollouts"])
TOLERATION = st.sampled_from(
    [
        {"operator": "Exists"},
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "pool", "value": "gpu", "effect": "NoExecute", "tolerationSeconds": 60},
    ]
)
SPREAD = st.fixed_dictionaries(
    {
        "maxSkew": st.integers(1, 3),
        "topologyKey": st.sampled_from(["kubernetes.io/hostname", "topology.kubernetes.io/zone"]),
        "whenUnsatisfiable": st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]),
    }
)
TERM = {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["gpu"]}]}
NEAR = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "cache"}}}
VARIABLE = st.sampled_from(
    [
        {"name": "OMP_NUM_THREADS", "value": "1"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]
)
SECONDS = st.sampled_from(["30s", "1m", "90s", "2m"])
STEP = st.fixed_dictionaries({"weight": st.integers(5, 95)}, optional={"pause": st.sampled_from(["2m", "5m", "1h"])})
QUANTITIES = {"cpu": st.sampled_from(["250m", "0.5", 1, "1500m"]), "memory": st.sampled_from(["512Mi", "1Gi", "1.5G"])}


def few(of, least=0):
    """A list of up to two different ones."""
    return st.lists(of, min_size=least, max_size=2, unique_by=repr)


LEAVES = {
    "features.canaryDeployment": st.booleans(),
    "features.sloMonitoring": st.booleans(),
    "features.autoscaling": st.booleans(),
    "namespace.create": st.booleans(),
    "exampleModel.runtime": st.sampled_from(["kserve-sklearn", "kserve-sklearnserver", ""]),
    "exampleModel.protocolVersion": st.sampled_from(["", "v1", "v2"]),
    "exampleModel.command": st.sampled_from([[], ["python", "-m", "serve"], ["python", "/server/serve.py"]]),
    "exampleModel.args": few(st.sampled_from(["--workers=2", "--name", "x y", "{{.Name}}"])),
    "exampleModel.env": st.lists(VARIABLE, max_size=3, unique_by=lambda each: each["name"]),
    "exampleModel.storageSecret": st.sampled_from(["", "models", "s3.models"]),
    "exampleModel.imagePullSecrets": few(st.sampled_from([{"name": "registry"}, {"name": "mirror"}])),
    "exampleModel.port": st.sampled_from([8080, 80, 9000, 65535]),
    "exampleModel.metricsPort": st.sampled_from([0, 9090]),
    "exampleModel.metricsPath": st.sampled_from(["", "/metrics", "/prometheus"]),
    "exampleModel.replicas": st.sampled_from([None, 1, 5]),
    "exampleModel.resources": st.fixed_dictionaries(
        {"requests": st.just({"cpu": "100m", "memory": "512Mi"})},
        optional={"limits": st.fixed_dictionaries({"cpu": st.sampled_from(["1", 2, 1.5]), "memory": st.just("2Gi")})},
    ),
    "exampleModel.podAnnotations": st.dictionaries(NAMES, TEXTS, max_size=2),
    "exampleModel.podLabels": st.dictionaries(NAMES, LABELS, max_size=2),
    "exampleModel.labels": st.dictionaries(st.just("example.com/owner"), LABELS),
    "exampleModel.annotations": st.dictionaries(st.just("example.com/owner"), TEXTS),
    "exampleModel.predictor": st.fixed_dictionaries(
        {},
        optional={
            "volumes": st.just([{"name": "cache", "emptyDir": {"sizeLimit": "1Gi"}}]),
            "serviceAccountName": st.just(""),
            "hostAliases": st.just([{"ip": "10.0.0.1", "hostnames": ["store"]}]),
            "logger": st.just({"mode": "all", "url": "http://sink.apps"}),
            "containers": st.just([{"name": "tokens", "image": "registry.example.com/tokens:1"}]),
            "timeout": st.integers(1, 600),
        },
    ),
    "exampleModel.model": st.fixed_dictionaries(
        {},
        optional={
            "envFrom": st.just([{"secretRef": {"name": "hub"}}]),
            "workingDir": st.just("/srv"),
            "ports": st.just([{"name": "grpc", "containerPort": 8033}]),
            "readinessProbe": st.sampled_from([{"timeoutSeconds": 5}, {"tcpSocket": {"port": 8033}}]),
        },
    ),
    "exampleModel.nodeSelector": st.dictionaries(NAMES, LABELS, max_size=2),
    "exampleModel.tolerations": few(TOLERATION),
    "exampleModel.affinity": st.fixed_dictionaries(
        {},
        optional={
            "nodeAffinity": st.just({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [TERM]}}),
            "podAntiAffinity": st.just({"requiredDuringSchedulingIgnoredDuringExecution": [NEAR]}),
        },
    ),
    "exampleModel.topologySpread": st.lists(SPREAD, max_size=2, unique_by=lambda each: each["topologyKey"]),
    "exampleModel.drainSeconds": st.integers(0, 20),
    "exampleModel.terminationGracePeriodSeconds": st.integers(25, 600),
    "exampleModel.longestAnswerSeconds": st.integers(45, 3600),
    "exampleModel.podSecurityContext": st.sampled_from([{}, {"runAsUser": 1234, "fsGroup": 0}]),
    "exampleModel.securityContext": st.sampled_from([{}, {"readOnlyRootFilesystem": False}]),
    "exampleModel.probes.readinessPath": PATHS,
    "exampleModel.probes.readinessPeriodSeconds": st.integers(1, 30),
    "exampleModel.probes.livenessPath": PATHS,
    "exampleModel.probes.livenessPeriodSeconds": st.integers(1, 60),
    "exampleModel.probes.startupPath": PATHS,
    "exampleModel.probes.startupSeconds": st.integers(10, 500),
    "exampleModel.knownAnswer": st.sampled_from([{}, KNOWN_ANSWER]),
    "serviceAccount.annotations": st.dictionaries(NAMES, TEXTS, max_size=2),
    "canary.steps": st.lists(STEP, min_size=1, max_size=3, unique_by=lambda each: each["weight"]).map(
        lambda steps: sorted(steps, key=lambda each: each["weight"])
    ),
    "canary.progressDeadlineSeconds": st.integers(501, 3600),
    "canary.revisionHistoryLimit": st.integers(1, 10),
    "canary.scaleDownDelaySeconds": st.integers(0, 600),
    "canary.rollbackWindow": st.integers(0, 3),
    "canary.analysis.fromStep": st.just(1),
    "canary.analysis.initialDelay": SECONDS,
    "canary.analysis.interval": st.sampled_from(["5s", "10s"]),
    "canary.analysis.window": SECONDS,
    "canary.analysis.errorBudgetBurn": st.sampled_from([1, 5, 10, 14.4]),
    "canary.analysis.latencyIncrease": st.sampled_from([0, 1.2, 2]),
    "canary.analysis.minRequests": st.integers(0, 100),
    "canary.analysis.failureLimit": st.integers(0, 2),
    "canary.analysis.noDataLimit": st.integers(0, 2),
    "canary.analysis.consecutiveErrorLimit": st.integers(0, 3),
    "canary.analysis.knownAnswer": st.booleans(),
    "canary.analysis.prometheus": st.sampled_from(
        [{}, {"timeout": 20}, {"headers": [{"key": "X-Org", "value": "ml"}]}]
    ),
    "canary.analysis.args": st.just([]),
    "slo.latency.p95Threshold": st.sampled_from([0.05, "0.5", 1]),
    "slo.latency.p99Threshold": st.sampled_from([1, "2.5", 10]),
    "slo.availability.minFailed": st.integers(1, 1000),
    "slo.availability.target": st.sampled_from([0.95, 0.99, "0.999", 0.9999]),
    "autoscaling.minReplicas": st.integers(1, 3),
    "autoscaling.maxReplicas": st.integers(3, 20),
    "autoscaling.cpu": st.sampled_from([None, "", "500m", 0.6]),
    "autoscaling.memory": st.sampled_from([None, "", "600Mi", "700Mi"]),
    "autoscaling.requestsPerSecond": st.sampled_from([0, 0.5, 100, 500]),
    "autoscaling.scaleDownStabilizationSeconds": st.integers(0, 3600),
    "monitoring.labels": st.sampled_from([{}, {"release": None}, {"release": "kube-prometheus-stack", "team": "ml"}]),
    "monitoring.prometheusAddress": st.sampled_from(
        ["http://prometheus.monitoring:9090", "https://mimir.example/prom"]
    ),
    "monitoring.scrapeInterval": st.sampled_from(["5s", "10s", "15s"]),
    "monitoring.keep": few(st.sampled_from(["vllm:.+", "nv_gpu_utilization"])),
    "monitoring.endpoint": st.sampled_from([{}, {"metricRelabelings": [{"regex": "pod_ip", "action": "labeldrop"}]}]),
    "monitoring.runbookBase": st.just("https://runbooks.example.com/ml"),
    "monitoring.alerts.labels": st.sampled_from([{}, {"team": "fraud", "tier": "1"}]),
    "monitoring.alerts.severity.page": st.sampled_from(["critical", "page", "P1"]),
    "monitoring.alerts.severity.ticket": st.sampled_from(["warning", "page", "P3"]),
    "monitoring.dashboards.enabled": st.booleans(),
    "monitoring.dashboards.grafanaAddress": st.sampled_from(
        ["", "https://grafana.example/", "http://grafana.monitoring"]
    ),
    "monitoring.dashboards.labels": st.just({"grafana": "yes"}),
    "monitoring.dashboards.annotations": st.just({"grafana_folder": "Machine learning"}),
    "podDisruptionBudget.enabled": st.booleans(),
    "podDisruptionBudget.maxUnavailable": st.sampled_from([1, 2, "25%", "100%"]),
    "networkPolicy.enabled": st.booleans(),
    "networkPolicy.clientNamespaces": few(NAMESPACES),
    "networkPolicy.monitoringNamespace": NAMESPACES,
    "networkPolicy.rolloutsNamespace": NAMESPACES,
    "tests.image": st.just("registry.example.com/python:3.13"),
}
"""By key; hosts and gateways come together."""
TOGETHER = {
    "virtualService": st.sampled_from(
        [
            {"hosts": [], "gateways": []},
            {"hosts": ["fraud.example.com", "*.models.example.com"], "gateways": ["istio-ingress/models", "own"]},
        ]
    )
}
AT_NIGHT = 200
"""Files that the night's runs ask lint about; a real cluster is asked about the first of them."""
AT_ONCE = 20
"""Files that are drawn together: more are too much for one example of Hypothesis."""
OF_THE_TREE = {"exampleModel.name", "exampleModel.storageUri", "exampleModel.digest", "exampleModel.image"}
"""What an application's file has elsewhere."""
CHOSEN_ELSEWHERE = {"features.kserve", "exampleModel.enabled", "exampleModel.modelFormat"}
"""Off, there is nothing to look at; and a format goes with its runtime."""


@st.composite
def values(draw):
    """Values with some of the keys."""
    keys = draw(st.lists(st.sampled_from([*LEAVES, *TOGETHER]), min_size=3, max_size=25, unique=True))
    found = {}
    for key in keys:
        *sections, last = key.split(".")
        within = found
        for section in sections:
            within = within.setdefault(section, {})
        within[last] = draw({**LEAVES, **TOGETHER}[key])
    model = found.get("exampleModel", {})
    if "port" in model:  # KServe's servers listen where they are told to
        model["args"] = [*model.get("args", ()), f"--http_port={model['port']}"]
    return found


def files(number):
    """As many files of values, no two alike, and the same each time.

    They are drawn several at once: what Hypothesis draws one after the other is the simplest, and then much like it.
    """
    found = {}

    @settings(derandomize=True, deadline=None, database=None, max_examples=number, suppress_health_check=[*HealthCheck])
    @given(st.lists(values(), min_size=AT_ONCE, max_size=AT_ONCE))
    def draw(some):
        if len(found) < number:
            found.update((json.dumps(each, sort_keys=True), each) for each in some)

    draw()
    assert len(found) >= number
    return [*found.values()][:number]
