"""Stage `install`: the chart with the environment's own values, healthy."""

from ci import paths
from ci.cluster import model_store, readiness
from ci.progress import step
from ci.stages.run import RELEASE, STORAGE_SECRET, Run

MODEL = "sklearn-iris"


async def execute(run: Run) -> None:
    """Install the very chart and values that would ship; only where the model comes from is the cluster's own store."""
    with step(f"prepare namespace {run.namespace}"):
        if await run.kubectl.get("namespace", run.namespace) is None:
            await run.kubectl.apply([namespace(run.namespace)])
            if run.options.kubeconfig is not None and not run.options.keep:
                run.cleanup.push_async_callback(_delete_namespace, run)
        await model_store.credentials(run.kubectl, run.namespace, STORAGE_SECRET)
    with step(f"helm install {RELEASE} with values/{run.options.environment}.yaml"):
        await run.helm.upgrade_install(
            RELEASE,
            paths.CHART,
            run.namespace,
            values_files=[paths.CHART / "values" / f"{run.options.environment}.yaml"],
            values={
                "exampleModel": {"storageUri": model_store.uri(MODEL, "v1"), "storageSecret": STORAGE_SECRET},
            },
        )
    with step("InferenceService Ready and Rollout Healthy"):
        await readiness.inference_service(run.kubectl, run.namespace, MODEL)
        await readiness.rollout(run.kubectl, run.namespace, f"{MODEL}-predictor")


def namespace(name: str) -> dict[str, object]:
    """Return a namespace with Istio injection, as the deployment guide has it."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "labels": {"istio-injection": "enabled", "app.kubernetes.io/managed-by": "ml-serving-ci"},
        },
    }


async def _delete_namespace(run: Run) -> None:
    with step(f"delete namespace {run.namespace}"):
        await run.kubectl.run("delete", "namespace", run.namespace, "--ignore-not-found", timeout=180)
