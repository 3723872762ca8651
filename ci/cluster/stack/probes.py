"""Real calls that tell whether a component answers, for `ci.wait.until`."""

import json
from typing import Any

from ci import wait
from ci.cluster.stack.component import READY_SECONDS, StackContext
from ci.errors import CommandError, WaitTimeoutError


async def deployment(context: StackContext, namespace: str, name: str) -> None:
    """Wait until a Deployment has its pods, by one watch instead of many looks."""
    try:
        await context.kubectl.run(
            "wait",
            "--for=condition=Available",
            f"--timeout={READY_SECONDS:.0f}s",
            f"--namespace={namespace}",
            f"deployment/{name}",
            timeout=READY_SECONDS + 10,
        )
    except CommandError as error:
        raise WaitTimeoutError(f"Deployment {namespace}/{name} available", READY_SECONDS, error.message) from error


async def admitted(context: StackContext, document: dict[str, Any]) -> dict[str, Any]:
    """Create an object in the server's dry-run mode, through every admission webhook.

    Returns:
        The object as it would be stored.

    Raises:
        ci.wait.NotYet: It was refused; the text says by whom.
    """
    result = await context.kubectl.run(
        "create", "--dry-run=server", "--output=json", "--filename=-", stdin=json.dumps(document), check=False
    )
    if result.returncode != 0:
        raise wait.NotYet(result.stderr.strip())
    created: dict[str, Any] = json.loads(result.stdout)
    return created


async def refused(context: StackContext, document: dict[str, Any], webhook: str) -> None:
    """Check that the named webhook refuses an object that is wrong.

    Raises:
        ci.wait.NotYet: It was let through, or something else refused it.
    """
    result = await context.kubectl.run(
        "create", "--dry-run=server", "--filename=-", stdin=json.dumps(document), check=False
    )
    if result.returncode == 0 or f'webhook "{webhook}" denied' not in result.stderr:
        raise wait.NotYet(result.stderr.strip() or f"{webhook} lets a wrong object through")


async def answers(context: StackContext, path: str) -> str:
    """Get a path of the API server, or of a Service through it.

    Raises:
        ci.wait.NotYet: It does not answer; the text says how.
    """
    result = await context.kubectl.run("get", "--raw", path, check=False)
    if result.returncode != 0:
        raise wait.NotYet(result.stderr.strip())
    return result.stdout


async def api_service(context: StackContext, name: str) -> None:
    """Check that the API server can use an aggregated API.

    Raises:
        ci.wait.NotYet: It cannot; the text holds the reason.
    """
    service = await context.kubectl.get("apiservice", name)
    conditions = ((service or {}).get("status") or {}).get("conditions") or []
    available = next((c for c in conditions if c["type"] == "Available"), None)
    if available is None or available["status"] != "True":
        raise wait.NotYet(available["message"] if available else f"APIService {name} has no condition yet")
