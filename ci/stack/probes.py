"""Real calls that tell whether a component answers, for `ci.base.wait.until`."""

import json
from typing import Any

from ci.base import wait
from ci.base.command import Result
from ci.base.errors import CommandError, WaitTimeoutError
from ci.stack.component import READY_SECONDS, StackContext


async def available(context: StackContext, name: str, namespace: str | None = None) -> None:
    """Wait until a Deployment has its pods, or an APIService its server, by one watch instead of many looks.

    Args:
        context: The cluster.
        name: With its kind ("deployment/istiod").
        namespace: Where it is, if it is in one.

    Raises:
        WaitTimeoutError: It was not available in time.
    """
    where = [f"--namespace={namespace}"] if namespace else []
    try:
        await context.kubectl.run(
            "wait",
            "--for=condition=Available",
            f"--timeout={READY_SECONDS:.0f}s",
            *where,
            name,
            timeout=READY_SECONDS + 10,
        )
    except CommandError as error:
        raise WaitTimeoutError(f"{name} available", READY_SECONDS, error.message) from error


async def admitted(context: StackContext, collection: str, document: dict[str, Any]) -> dict[str, Any]:
    """Create an object in the server's dry-run mode, through every admission webhook.

    Args:
        context: The cluster.
        collection: The API path it is posted to.
        document: The object.

    Returns:
        The object as it would be stored.

    Raises:
        ci.base.wait.NotYet: It was refused; the text says by whom.
    """
    result = await _dry_run(context, collection, document)
    if result.returncode != 0:
        raise wait.NotYet(result.stderr.strip())
    created: dict[str, Any] = json.loads(result.stdout)
    return created


async def refused(context: StackContext, collection: str, document: dict[str, Any], webhook: str) -> None:
    """Check that the named webhook refuses an object that is wrong; arguments as for `admitted`.

    Raises:
        ci.base.wait.NotYet: It was let through, or something else refused it.
    """
    result = await _dry_run(context, collection, document)
    if result.returncode == 0 or f'webhook "{webhook}" denied' not in result.stderr:
        raise wait.NotYet(result.stderr.strip() or f"{webhook} lets a wrong object through")


async def _dry_run(context: StackContext, collection: str, document: dict[str, Any]) -> Result:
    # --raw goes straight to the path: without it kubectl first loads every API's schema, which the API server has to
    # make anew while CRDs arrive.
    path = f"{collection}?dryRun=All&fieldValidation=Strict"
    return await context.kubectl.run("create", f"--raw={path}", "--filename=-", stdin=json.dumps(document), check=False)


async def answers(context: StackContext, path: str) -> str:
    """Get a path of the API server, or of a Service through it.

    Raises:
        ci.base.wait.NotYet: It does not answer; the text says how.
    """
    result = await context.kubectl.run("get", f"--raw={path}", check=False)
    if result.returncode != 0:
        raise wait.NotYet(result.stderr.strip())
    return result.stdout
