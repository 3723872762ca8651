"""kubectl against one cluster."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ci.base import command
from ci.cluster import runs
from ci.cluster.cluster import Cluster

FIELD_MANAGER = "ml-serving-ci"
SECONDS = 60.0


class Kubectl:
    """kubectl, bound to a cluster.

    Args:
        tool: The executable.
        cluster: Which cluster it talks to, whatever the user's own kubeconfig says.
    """

    def __init__(self, tool: Path, cluster: Cluster) -> None:
        self.tool = tool
        self.cluster = cluster

    def argv(self, *args: str | Path) -> list[str]:
        """Return the whole command of a subcommand, for those who run it themselves."""
        target = [f"--kubeconfig={self.cluster.kubeconfig}", f"--context={self.cluster.context}"]
        return [str(self.tool), *target, *map(str, args)]

    async def run(
        self, *args: str | Path, stdin: str | None = None, check: bool = True, timeout: float = SECONDS
    ) -> command.Result:
        """Run one subcommand.

        Args:
            args: The subcommand and its arguments.
            stdin: What it reads.
            check: Raise when it fails.
            timeout: Deadline in seconds.

        Returns:
            Its result.

        Raises:
            CommandError: It failed; the message ends with what the API server said.
        """
        return await command.run(self.argv(*args), stdin=stdin, check=check, timeout=timeout, env=runs.environment())

    async def apply(
        self,
        manifests: str | Iterable[Mapping[str, Any]],
        *,
        namespace: str | None = None,
        server_side: bool = True,
        validate: bool = True,
        timeout: float = SECONDS,
    ) -> None:
        """Apply manifests.

        Args:
            manifests: YAML, or objects.
            namespace: For objects that name none.
            server_side: Let the API server merge, as `ml-serving-ci`; it takes fields over from other managers.
            validate: Refuse unknown fields. kubectl asks for the schema of every API first, which the API server
                makes anew after each new CRD: seconds, for manifests that are known to be right.
            timeout: Deadline in seconds.
        """
        if not isinstance(manifests, str):
            manifests = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
        options = [f"--namespace={namespace}"] if namespace else []
        if server_side:
            options += ["--server-side", "--force-conflicts", f"--field-manager={FIELD_MANAGER}"]
        if not validate:
            options.append("--validate=false")
        await self.run("apply", *options, "--filename=-", stdin=manifests, timeout=timeout)

    async def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """Return one object, or None where there is none of that name."""
        options = [f"--namespace={namespace}"] if namespace else []
        result = await self.run("get", kind, name, *options, "--ignore-not-found", "--output=json")
        found: dict[str, Any] | None = json.loads(result.stdout) if result.stdout.strip() else None
        return found

    async def get_list(
        self, kind: str, namespace: str | None = None, selector: str | None = None, *, all_namespaces: bool = False
    ) -> list[dict[str, Any]]:
        """Return the objects of a kind.

        Args:
            kind: As kubectl spells it ("pods", "rollouts.argoproj.io").
            namespace: Where.
            selector: Label selector.
            all_namespaces: Everywhere.
        """
        options = ["--all-namespaces"] if all_namespaces else []
        if namespace:
            options.append(f"--namespace={namespace}")
        if selector:
            options.append(f"--selector={selector}")
        result = await self.run("get", kind, *options, "--output=json")
        items: list[dict[str, Any]] = json.loads(result.stdout)["items"]
        return items
