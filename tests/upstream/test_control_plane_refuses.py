"""API server, KServe, Argo Rollouts, Istio and the Prometheus operator themselves, asked by `lint` without a node.

All applications are applied at once, on one control plane: what is wrong with one is said of that one alone.
"""

from dataclasses import replace

import anyio
import pytest

from ci import project as projects
from ci.base.errors import CheckFailedError
from ci.checks import session
from ci.checks.control_plane import check, container, installed
from ci.manifests import brought, crds
from ci.results import Finding
from ci.supply.supply import Supply
from ci.supply.ways import choose
from tests.harness import corpus, ordinary, project
from tests.unit.conftest import find_tool

ORDINARY = 10
"""Applications with values as teams may write them, in every run; at night there are more."""
CLUSTERS = ""
"""Whose findings are of no application."""
ISSUES = {f"issue-{number}": each for number, each in enumerate(corpus.refused()) if each["by"] == "control plane"}
BARE = {"features": {"sloMonitoring": False, "autoscaling": False}}
TEMPLATES = f"{project.CHART_FOLDER}/templates"
GOOD = {
    "whole": {},
    "bare": {"features": {**BARE["features"], "canaryDeployment": False}},
    "gpu": {
        **BARE,
        "exampleModel": {
            "resources": {"limits": {"nvidia.com/gpu": 1}},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "nodeSelector": {"pool": "gpu"},
        },
    },
    # Secrets are in no git, and no runtime but KServe's own is known here
    "credentials": {**BARE, "exampleModel": {"storageSecret": "not-in-git"}},
    "scraped": {
        "monitoring": {
            "endpoint": {
                "basicAuth": {"username": {"name": "scraping", "key": "user"}, "password": {"name": "p", "key": "p"}},
                "tlsConfig": {
                    "ca": {"configMap": {"name": "authority", "key": "ca.crt"}},
                    "cert": {"secret": {"name": "scraping", "key": "tls.crt"}},
                    "keySecret": {"name": "scraping", "key": "tls.key"},
                },
            }
        }
    },
    # of the clusters' own
    "trained": {**BARE, "exampleModel": {"predictor": {"serviceAccountName": "trained"}}},
}


def model(**values):
    """Values of the model server alone."""
    return {**BARE, "exampleModel": values}


AFFINITY = {
    "nodeAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 200, "preference": {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}}
        ]
    }
}
BAD_VALUES = {
    "selector": (model(nodeSelector={"pool": "gpu pool"}), "pool: gpu pool", 'Invalid value: "gpu pool"'),
    "annotation": (model(podAnnotations={"bad key!": "x"}), "bad key!: x", 'Invalid value: "bad key!"'),
    "affinity": (model(affinity=AFFINITY), "weight: 200", "must be in the range 1-100"),
    "toleration": (
        model(tolerations=[{"key": "gpu", "operator": "Exists", "value": "yes"}]),
        "operator: Exists",
        "value must be empty when `operator` is 'Exists'",
    ),
    "privileged": (
        model(securityContext={"privileged": True}),
        "securityContext:",
        "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
    ),
    "account": (
        {**BARE, "serviceAccount": {"annotations": {"bad key!": "x"}}},
        "bad key!: x",
        'metadata.annotations: Invalid value: "bad key!"',
    ),
    "label": (
        {"monitoring": {"labels": {"release": "no label!"}}},
        "release: no label!",
        'metadata.labels: Invalid value: "no label!"',
    ),
    "mount": (
        model(model={"volumeMounts": [{"name": "cache", "mountPath": "/cache"}]}),
        "name: cache",
        '.name: Not found: "cache"',
    ),
    "scraping": (
        {
            "monitoring": {
                "endpoint": {
                    "authorization": {"credentials": {"name": "a", "key": "b"}},
                    "basicAuth": {"username": {"name": "a", "key": "b"}, "password": {"name": "a", "key": "c"}},
                }
            }
        },
        "authorization:",
        "authorization and basicAuth cannot be configured at the same time",
    ),
    "versions": (
        {"monitoring": {"endpoint": {"tlsConfig": {"minVersion": "TLS13", "maxVersion": "TLS11"}}}},
        "tlsConfig:",
        "maxVersion must more than or equal to minVersion",
    ),
    "scheme": (BARE, "storageUri: ftp://acme/scheme/7", "StorageUri [ftp://acme/scheme/7] is not supported"),
}
"""Values that chart and schemas take; the line of the application's file that is meant, and what is said."""
BAD_OBJECTS = {
    "budget": (
        "maxUnavailable: 1",
        "maxUnavailable: 150%",
        "poddisruptionbudget.yaml",
        "must not be greater than 100%",
    ),
    "name": ("name: whole-predictor-hpa", "name: whole hpa", "hpa.yaml", 'metadata.name: Invalid value: "name hpa"'),
    "port": ("port: 80\n", "port: 80000\n", "services.yaml", "spec.ports[0].port: Invalid value: 80000"),
    "scaler": (
        "minReplicas: 1\n  maxReplicas: 7",
        "minReplicas: 9\n  maxReplicas: 8",
        "hpa.yaml",
        "must be greater than or equal to `minReplicas`",
    ),
    "field": (
        "progressDeadlineAbort: true",
        "progressDeadlineAborts: true",
        "rollout.yaml",
        "progressDeadlineAborts: field not declared in schema",
    ),
    "weight": ("setWeight: 20", "setWeight: 150", "rollout.yaml", "SetWeight needs to be between 0 and 100"),
    "service": ("canaryService: whole-predictor-canary", "canaryService: gone", "rollout.yaml", '"gone" not found'),
    "template": ("templateName: whole-predictor-slo", "templateName: gone", "rollout.yaml", "'gone' not found"),
    "route": ("name: primary", "name: other", "rollout.yaml", "HTTP Route 'primary' is not found"),
    "destination": (
        "host: whole-predictor-canary",
        "host: whole-predictor-metrics",
        "rollout.yaml",
        "destination-predictor-canary' not found in route",
    ),
    "host": ("hosts:\n    - whole-predictor", "hosts:\n    - bad_host!", "virtualservice.yaml", "bad_host!"),
    "surge": ("maxSurge: 25%", "maxSurge: 0", "rollout.yaml", "MaxSurge and MaxUnavailable both can not be zero"),
    "source": (
        "name: whole-predictor\n    scaleDown",
        "name: gone\n    scaleDown",
        "rollout.yaml",
        'gone" not found',
    ),
    "left-out": (
        "          - name: revision\n            valueFrom:\n              podTemplateHashValue: Latest\n",
        "",
        "rollout.yaml",
        "args.revision was not resolved",
    ),
    "argument": ("{{args.revision}}", "{{args.gone}}", "analysistemplate.yaml", "failed to resolve {{args.gone}}"),
    "braces": ("{{args.revision}}", "{{name}}", "analysistemplate.yaml", "failed to resolve {{name}}"),
    "condition": (
        "successCondition: len(result)",
        "successCondition: '>> 1' #",
        "analysistemplate.yaml",
        "unexpected token Operator",
    ),
    "timeout": (
        "scrapeTimeout: 15s",
        "scrapeTimeout: 20s",
        "servicemonitor.yaml",
        'scrapeTimeout "20s" greater than scrapeInterval "15s"',
    ),
    "rule": (
        "expr: histogram_quantile(",
        "expr: )histogram_quantile(",
        "prometheusrule.yaml",
        "could not parse expression",
    ),
}
"""What only a template does wrong: text of the whole application, what is in its place, the template, what is said."""


POLICIES = """apiVersion: v1
kind: Namespace
metadata:
  name: acme-trial
  labels: {pod-security.kubernetes.io/enforce: restricted}
---
apiVersion: v1
kind: LimitRange
metadata: {name: upside-down, namespace: acme-trial}
spec:
  limits:
    - {type: Container, min: {cpu: "4"}, max: {cpu: "2"}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: limits, namespace: acme-small}
spec:
  limits:
    - {type: Container, max: {memory: 512Mi}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota, namespace: acme-full}
spec:
  hard: {pods: "0"}
---
apiVersion: v1
kind: Namespace
metadata:
  name: acme-closed
  labels: {istio-injection: disabled}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota, namespace: acme-closed}
spec:
  hard: {pods: "0"}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota, namespace: acme-roomy}
spec:
  hard: {pods: "5"}
---
apiVersion: v1
kind: Namespace
metadata:
  name: acme-unmeshed
  labels: {pod-security.kubernetes.io/enforce: restricted}
---
apiVersion: v1
kind: Namespace
metadata:
  name: acme-rooted
  labels: {pod-security.kubernetes.io/enforce: restricted}
---
apiVersion: v1
kind: Namespace
metadata:
  name: acme-plugged
  labels: {pod-security.kubernetes.io/enforce: restricted}
---
apiVersion: v1
kind: Namespace
metadata:
  name: acme-rooted-plugged
  labels: {pod-security.kubernetes.io/enforce: restricted}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: trained, namespace: acme-lab}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-tags}
spec:
  matchConstraints:
    resourceRules:
      - {apiGroups: [serving.kserve.io], apiVersions: [v1beta1], operations: [CREATE], resources: [inferenceservices]}
  validations:
    - {expression: "object.spec.predictor.model.image.contains('@sha256:')", message: pin the image}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-tags}
spec:
  policyName: no-tags
  validationActions: [Deny]
  matchResources:
    namespaceSelector:
      matchLabels: {kubernetes.io/metadata.name: acme-pinned}
"""
CNI = ("plugged", "rooted-plugged")
"""Environments whose Istio has its CNI plugin, in the file after `trial`, which has none."""
BY_POLICY = {
    "trial": 'violates PodSecurity "restricted:latest"',
    "plugged": "",
    "rooted-plugged": 'violates PodSecurity "restricted:latest": runAsNonRoot != true',
    "unmeshed": "",
    "rooted": "runAsNonRoot != true",
    "small": "maximum memory usage per Container is 512Mi",
    "full": "exceeded quota: quota",
    "closed": "exceeded quota: quota",
    "roomy": "",
    "frugal": "exceeded quota: own",
    "pinned": "denied request: pin the image",
}
"""By environment what is said of an application there; nothing where the namespace has room."""
OUTSIDE = {"podLabels": {"sidecar.istio.io/inject": "false"}}
WITHOUT_MESH = {"features": {**BARE["features"], "canaryDeployment": False}, "exampleModel": OUTSIDE}
ROOT = {"podSecurityContext": {"runAsNonRoot": False, "runAsUser": 0}}
IN = {
    "unmeshed": WITHOUT_MESH,
    "rooted": {**WITHOUT_MESH, "exampleModel": {**OUTSIDE, **ROOT}},
    "rooted-plugged": {**BARE, "exampleModel": ROOT},
    "small": {**BARE, "exampleModel": {"resources": {"limits": {"memory": 2048 * 1024**2}}}},
}
"""Values of the application in an environment, where it has any but those that are bare."""
OWN_QUOTA = """---
# Source: ml-serving/templates/quota.yaml
apiVersion: v1
kind: ResourceQuota
metadata: {name: own}
spec:
  hard: {pods: "0"}
"""
"""What the application in `frugal` has beside the chart's objects."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    found = project.made(tmp_path_factory.mktemp("project"), environments=("lab", *BY_POLICY), applications=())
    file = found.folder / projects.FILE
    said = file.read_text().replace("[paths]\n", '[paths]\npolicies = "cluster"\n')
    for environment in CNI:
        said = said.replace(f'name = "{environment}"\n', f'name = "{environment}"\nistio_cni = true\n')
    file.write_text(said)
    found.write("cluster/trial.yaml", POLICIES)
    found.deploy("lab", "nobody", values=model(predictor={"serviceAccountName": "nobody"}))
    for environment in BY_POLICY:
        found.deploy(environment, f"in-{environment}", values=IN.get(environment, BARE))
    for number, values in enumerate(ordinary.files(ORDINARY)):
        found.deploy("lab", f"ordinary-{number}", values=values)
    for name, values in {**GOOD, **{name: values for name, (values, *_) in BAD_VALUES.items()}}.items():
        found.deploy("lab", name, values=values)
    for name, each in ISSUES.items():
        found.write(f"{project.TREE}/lab/{name}.yaml", project.with_values(name, each["values"]))
    file = found.folder / project.TREE / "lab" / "scheme.yaml"
    file.write_text(file.read_text().replace("s3://", "ftp://"))
    found.commit()
    return found


@pytest.fixture(scope="module")
def told(made, tmp_path_factory):
    """What is said of each application, by its name."""
    found = rendered(made)
    frugal = found["frugal/in-frugal"]
    found["frugal/in-frugal"] = replace(frugal, text=frugal.text + OWN_QUOTA)
    renderings = [*found.values(), *(changed(found["lab/whole"], name) for name in BAD_OBJECTS)]
    said = {each.target.application: [] for each in renderings} | {CLUSTERS: []}
    for each in asked(made, renderings, tmp_path_factory.mktemp("work")):
        name, told = (CLUSTERS, each) if isinstance(each, Finding) else (each.target.partition("/")[2], each.finding)
        said[name].append(told)
    return said


def rendered(made):
    """What Helm makes of the applications, by name; not of those that contradict themselves."""
    found = made.helm(find_tool("helm"), "template", defaults=False)
    taken = {name: each for name, each in found.items() if not each.findings}
    assert all(name.startswith("lab/ordinary-") for name in found.keys() - taken.keys())
    return taken


def asked(made, renderings, folder, installed=None):
    """What the control plane says of renderings; with other objects than the stack's where they are given."""

    async def ask():
        supply = Supply(choose("auto"))
        async with session.opened(supply) as (client, _):
            plane = await container.plane(supply)
            plane = replace(plane, documents=installed) if installed else plane
            there = brought.objects(made.folder, made.project)
            return (await check.check(client, plane, renderings, there, folder / "plane")).refused

    return anyio.run(ask)


def changed(whole, name):
    """A rendering with something wrong, under a name of its own."""
    old, new, *_ = BAD_OBJECTS[name]
    assert old in whole.text
    target = replace(whole.target, application=name)
    return replace(whole, target=target, text=whole.text.replace(old, new).replace("whole", name))


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_said_of_what_a_cluster_takes(told, name):
    assert told[name] == []


def test_nothing_is_said_of_ordinary_values(told):
    found = {name: said for name, said in told.items() if name.startswith("ordinary-")}
    assert len(found) >= ORDINARY / 2
    assert not any(found.values())


@pytest.mark.nightly
def test_nothing_is_said_of_many_ordinary_values(tmp_path):
    made = project.made(tmp_path / "project", environments=("lab",), applications=())
    for number, values in enumerate(ordinary.files(ordinary.AT_NIGHT)):
        made.deploy("lab", f"ordinary-{number}", values=values)
    made.commit()
    taken = list(rendered(made).values())
    assert len(taken) >= ordinary.AT_NIGHT / 2
    assert [each.finding for each in asked(made, taken, tmp_path)] == []


@pytest.mark.parametrize("name", ISSUES, ids=lambda name: ISSUES[name]["issue"].rpartition("/")[2])
def test_what_public_issues_had_is_said_with_its_line(made, told, name):
    file = f"{project.TREE}/lab/{name}.yaml"
    line = corpus.marked((made.folder / file).read_text())
    assert {(each.file, each.line) for each in told[name]} == {(file, line)}, told[name]


@pytest.mark.parametrize("name", BAD_VALUES)
def test_what_is_said_of_values_names_their_line_in_the_application_s_file(made, told, name):
    _, line, said = BAD_VALUES[name]
    assert told[name]
    for finding in told[name]:
        assert said in finding.message
        assert finding.file == f"{project.TREE}/lab/{name}.yaml"
        assert line in (made.folder / finding.file).read_text().splitlines()[finding.line - 1]


@pytest.mark.parametrize("name", BAD_OBJECTS)
def test_what_is_said_of_a_template_names_it_and_the_cause_alone(told, name):
    *_, template, said = BAD_OBJECTS[name]
    assert [finding.message for finding in told[name] if said not in finding.message] == []
    assert f"{TEMPLATES}/{template}" in [finding.file for finding in told[name]]


def test_an_account_that_is_nowhere_is_refused_with_where_to_bring_it(told):
    (finding,) = told["nobody"]
    assert 'serviceaccount "nobody" not found' in finding.message
    assert "paths.policies of ml-serving-ci.toml" in finding.remedy


@pytest.mark.parametrize("environment", BY_POLICY)
def test_what_the_project_s_clusters_have_is_held_against_applications(told, environment):
    said = BY_POLICY[environment]
    assert [said in finding.message for finding in told[f"in-{environment}"]] == ([True] if said else [])


def test_what_a_limit_range_does_not_take_is_told_at_its_value(made, told):
    (finding,) = told["in-small"]
    assert "maximum memory usage per Container is 512Mi, but limit is" in finding.message
    assert "(exampleModel.resources.limits.memory, rendered by" in finding.message
    assert "memory: 2147483648" in (made.folder / finding.file).read_text().splitlines()[finding.line - 1]


def test_what_is_wrong_with_it_is_told_with_its_line(told):
    found = told[CLUSTERS]
    assert {(each.file, each.line) for each in found} == {("cluster/trial.yaml", 7)}
    assert found[0].message.startswith("LimitRange upside-down: spec.limits[0]")


def test_every_crd_of_the_stack_is_known_as_one(told):
    stack = crds.of(anyio.run(installed.objects, Supply(choose("auto"))))
    assert [each["metadata"]["name"] for each in stack if not crds.is_pinned(each)] == []
    ends = {end for end in crds.STACK for each in stack if each["metadata"]["name"].endswith(end)}
    assert ends == set(crds.STACK)


def test_what_cannot_be_installed_is_told_in_one_line(made, tmp_path):
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "No Name"}}
    with pytest.raises(CheckFailedError, match=r"^lint's control plane: Namespace No Name: .* is invalid"):
        asked(made, [rendered(made)["lab/whole"]], tmp_path, installed=[space])
