"""Stage `install`: the chart with the environment's own values, until the model answers through the mesh."""

import json
from typing import Any

from ci import sample
from ci.applications import deployment
from ci.base import paths, tasks
from ci.base.progress import step
from ci.base.wait import NotYet, until
from ci.behaviour import protocols
from ci.canary.observe import traffic
from ci.canary.observe.files import traffic_client
from ci.cluster import model_store, readiness
from ci.manifests import overlay
from ci.manifests.chart import environment_values
from ci.manifests.documents import MANAGED_BY, OWNER
from ci.manifests.values import merged
from ci.stages import namespaces
from ci.stages.run import RELEASE, STORAGE_SECRET, Run

INJECTION = {"istio-injection": "enabled"}
ANSWERS_IN_A_ROW = 3
ANSWER_SECONDS = 60


async def execute(run: Run) -> None:
    """Install the very chart and values that would ship; only where the model comes from is the cluster's own store."""
    await prepare(run, run.namespace)
    async with tasks.group() as group:
        group.start_soon(traffic.install, run.kubectl, run.namespace)
        await _chart(run)
    with step(f"{ANSWERS_IN_A_ROW} good answers in a row through the mesh"):
        await until(
            f"{sample.facts().predictor} answers {sample.facts().known_answer.expected}",
            lambda: _answer(run),
            timeout=ANSWER_SECONDS,
            interval=0.1,
            successes=ANSWERS_IN_A_ROW,
        )


async def prepare(run: Run, name: str) -> None:
    """Have a namespace for models, with what KServe needs to read them from the cluster's own store."""
    with step(f"prepare namespace {name}"):
        namespaces.delete_at_end(run, name)
        await namespaces.make(run, name, INJECTION)
        await model_store.credentials(run.kubectl, name, STORAGE_SECRET)


async def _chart(run: Run) -> None:
    facts = sample.facts()
    uri = model_store.uri(facts.model, facts.champion)
    model = {
        "name": facts.model,
        "image": run.supply.image(facts.image),
        "storageUri": uri,
        "digest": await model_store.digest(run.kubectl, uri),
        "storageSecret": STORAGE_SECRET,
        "knownAnswer": facts.known_answer.model_dump(),
    }
    environment = run.options.environment or facts.environment
    with step(f"helm install {RELEASE} as {environment} has it"):
        await run.helm.upgrade_install(
            RELEASE,
            paths.CHART,
            run.namespace,
            values_files=environment_values(paths.CHART, environment),
            values=merged(_there(run, facts.model, environment), {"exampleModel": model}),
        )
    with step("InferenceService Ready and Rollout Healthy"):
        await readiness.inference_service(run.kubectl, run.namespace, facts.model)
        await readiness.rollout(run.kubectl, run.namespace, facts.predictor)


def _there(run: Run, name: str, environment: str) -> dict[str, Any]:
    """Return what the project file has for an existing cluster; nothing on a throw-away one."""
    if run.existing is None:
        return {}
    files = (*environment_values(paths.CHART, environment), paths.CHART / "values.yaml")
    over, _ = overlay.existing(run.existing, name, [deployment.loaded(file) for file in files])
    return over


async def _answer(run: Run) -> None:
    facts = sample.facts()
    known, at = facts.known_answer, protocols.keys(facts.known_answer.at)
    reply = await traffic.ask(run.kubectl, run.namespace, f"http://{facts.predictor}{facts.path}", known.request)
    if reply.status != 200 or traffic_client.find(json.loads(reply.body), at) != known.expected:
        raise NotYet(f"{reply.status} {reply.body[:200]}")


def namespace(name: str) -> dict[str, object]:
    """Return a namespace with Istio injection, as the deployment guide has it."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": INJECTION | {MANAGED_BY: OWNER},
        },
    }
