"""Stage `behaviour`: golden inputs through the version that runs and the one that the canary brings."""

from ci import sample
from ci.base.progress import step
from ci.behaviour import compare, golden, serve
from ci.cluster import model_store
from ci.stages import install, namespaces
from ci.stages.run import STORAGE_SECRET, Run

CHAMPION, CANDIDATE = "champion", "candidate"
"""Without the model's name: KServe makes one word of a host name of this, the namespace and more, at most 63 long."""


async def execute(run: Run) -> None:
    """Serve both versions beside the release, ask them the golden inputs, and hold the new one to the file's gates."""
    facts = sample.facts()
    inputs = golden.load(facts.golden)
    uris = [model_store.uri(facts.model, version) for version in (facts.champion, facts.candidate)]
    namespace = f"{run.namespace}-behaviour"
    environment = run.options.environment or facts.environment
    await install.prepare(run, namespace)
    with step(f"serve {uris[0]} and {uris[1]}"):
        versions = dict(zip((CHAMPION, CANDIDATE), uris, strict=True))
        urls = await serve.serve(run.kubectl, run.helm, namespace, environment, versions, STORAGE_SECRET, inputs)
    with step(f"{len(inputs.inputs)} golden inputs, {serve.rounds_of(len(inputs.inputs))} times through both"):
        answers = await serve.ask(run.kubectl, namespace, inputs, [urls[CHAMPION], urls[CANDIDATE]])
    result = compare.compare(inputs, uris, *answers)
    run.report.behaviour = result
    # Only here: where something went wrong on the cluster, the run's diagnostics look at it first.
    await namespaces.delete(run, namespace, wait=False)
    compare.require(result)
