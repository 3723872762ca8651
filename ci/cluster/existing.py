"""A cluster that is there already, given by `--kubeconfig FILE [--context NAME]`."""

import json
from pathlib import Path

from ci.base import command
from ci.base.errors import CommandError, MachineError, UsageError
from ci.cluster.cluster import Cluster
from ci.cluster.kubectl import Kubectl
from ci.results import ExistingCluster

ANSWER_SECONDS = 15


async def existing_cluster(kubectl: Path, kubeconfig: Path, context: str | None = None) -> Cluster:
    """Return an existing cluster, after a look whether it answers and accepts the credentials.

    Args:
        kubectl: The executable.
        kubeconfig: Its kubeconfig.
        context: The context to use; the file's current one by default.

    Raises:
        UsageError: There is no such file or context.
        MachineError: The cluster does not answer, or refuses.
    """
    if not kubeconfig.is_file():
        raise UsageError(f"--kubeconfig {kubeconfig}: no such file", fix="export KUBECONFIG=FILE, or --kubeconfig FILE")
    try:
        view = await command.run(
            [kubectl, f"--kubeconfig={kubeconfig}", "config", "view", "--output=json"], timeout=ANSWER_SECONDS
        )
    except CommandError as error:
        raise UsageError(f"--kubeconfig {kubeconfig}: not a kubeconfig", detail=error.detail) from error
    config = json.loads(view.stdout)
    known = sorted(entry["name"] for entry in config.get("contexts") or [])
    chosen = context or config.get("current-context") or ""
    if not known:
        raise UsageError(f"--kubeconfig {kubeconfig}: no context in it")
    if not chosen:
        raise UsageError(
            f"--kubeconfig {kubeconfig}: no current context", fix=f"Add --context, one of {', '.join(known)}."
        )
    if chosen not in known:
        raise UsageError(f"--context {chosen}: not in {kubeconfig}", fix=f"It has {', '.join(known)}.")
    cluster = Cluster(chosen, kubeconfig.resolve(), chosen, None)
    try:
        await Kubectl(kubectl, cluster).run(
            "get", "--raw=/api", f"--request-timeout={ANSWER_SECONDS}s", timeout=ANSWER_SECONDS + 5
        )
    except CommandError as error:
        raise MachineError(
            f"the cluster of context {chosen} does not answer: {_said(error)}",
            fix=f"kubectl --kubeconfig={kubeconfig} --context={chosen} get --raw=/api",
            detail=error.detail,
        ) from error
    return cluster


async def identity(kubectl: Kubectl) -> ExistingCluster:
    """Return which cluster it is, whatever a kubeconfig calls it.

    Raises:
        MachineError: These credentials may not read its namespace kube-system.
    """
    view = await kubectl.run("config", "view", "--minify", "--output=json")
    try:
        found = await kubectl.get("namespace", "kube-system")
    except CommandError as error:
        raise MachineError(
            f"the cluster of context {kubectl.cluster.context} does not tell which it is: {_said(error)}",
            fix=f"kubectl auth can-i get namespaces --context={kubectl.cluster.context}",
            detail=error.detail,
        ) from error
    assert found is not None, "every cluster has it"
    server = json.loads(view.stdout)["clusters"][0]["cluster"]["server"]
    return ExistingCluster(kubectl.cluster.context, server, found["metadata"]["uid"])


def _said(error: CommandError) -> str:
    lines = [line for line in error.stderr.splitlines() if line.strip()]
    return lines[-1].strip() if lines else error.message
