"""Canaries for the tests of ci/canary, made by hand or rendered."""

from dataclasses import replace

from ci.base.paths import CHART
from ci.canary.declared import Declared
from ci.canary.plan import Metric, Plan, Step, read
from ci.manifests.chart import DEFAULTS, Chart, Rendering, Target, Values
from tests.harness.project import GATES
from tests.unit.conftest import KNOWN, find_tool

CHARTS_OWN = Chart(CHART, "chart")
DECLARED = Declared.model_validate(GATES)
"""Traffic and what is accepted: of the chart's own values, and of what it has for environments of these names."""
SERIES = 'inference_request_total{revision="${Latest}"}'


def metric(name="success-rate", **changes):
    """A metric as the chart has them: good from 0.99 on, bad below, neither without a result."""
    default = Metric(
        name,
        f"sum(rate({SERIES}[60s]))",
        "len(result) > 0 && !isNaN(result[0]) && result[0] >= 0.99",
        "len(result) > 0 && !isNaN(result[0]) && !(result[0] >= 0.99)",
        interval=10,
        initial_delay=0,
        count=None,
        failure_limit=1,
        inconclusive_limit=2,
        error_limit=2,
        success_limit=0,
    )
    return replace(default, **changes)


def plan(*metrics, gate=(), pauses=(60, 60), weights=(20, 50), **changes):
    """A canary of these weights, judged from its first step on."""
    steps = [step for weight, pause in zip(weights, pauses, strict=True) for step in (Step(weight), Step(pause=pause))]
    if gate:
        steps.append(Step(metrics=gate))
    default = Plan("dev", "ml-serving", "sklearn-iris", "sklearn-iris-predictor", 15.0, steps, metrics, 1)
    return replace(default, **changes)


def rendering(chart, values=None, environment=DEFAULTS, name=None):
    """What the chart makes of its values, those it has for an environment, a known answer, and more of them."""
    result = chart.template({**KNOWN, **(values or {})}, env=None if environment == DEFAULTS else environment)
    assert result.returncode == 0, result.stderr
    files = ["values.yaml"] if environment == DEFAULTS else [f"values/{environment}.yaml", "values.yaml"]
    found = [Values(f"chart/{file}", (CHART / file).read_text()) for file in files]
    environment, _, application = (name or environment).partition("/")
    return Rendering(
        Target(environment, application or None, "release", "here", CHARTS_OWN, found, "1.37.0"), result.stdout
    )


def rendered_plan(chart, values=None, environment=DEFAULTS):
    found = read(environment, rendering(chart, values, environment).objects)
    assert found is not None
    return found


def executables():
    return find_tool("prometheus"), find_tool("promtool")
