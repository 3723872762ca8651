"""Helm against one cluster."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ci.base import command
from ci.base.errors import CommandError
from ci.cluster import runs
from ci.cluster.cluster import Cluster
from ci.manifests import values as helm_values

SECONDS = 300.0
UNCHECKED = "--disable-openapi-validation"
"""For `upgrade_install`: the API server's own answer to server-side apply is enough. To ask it for every schema first
takes Helm two seconds of a CPU where a canary, or a second model server, wants them."""


class Renderer:
    """Helm 4 where it needs no cluster.

    Args:
        tool: The executable.
    """

    def __init__(self, tool: Path) -> None:
        self.tool = tool

    async def template(
        self, release: str, chart: Path, namespace: str, *, values: Mapping[str, Any] | None = None
    ) -> str:
        """Return a chart rendered, as YAML.

        Args:
            release: The release's name.
            chart: The chart's folder.
            namespace: Where it goes.
            values: Values that win over the chart's own.

        Raises:
            CommandError: Helm failed.
        """
        words: list[str | Path] = [self.tool, "template", release, chart, f"--namespace={namespace}", "--values=-"]
        stdin = helm_values.written(values or {})
        return (await command.run(words, stdin=stdin, timeout=SECONDS, env=runs.environment())).stdout


class Helm(Renderer):
    """Helm 4, bound to a cluster.

    Args:
        tool: The executable.
        cluster: Which cluster it talks to, whatever the user's own kubeconfig says.
    """

    def __init__(self, tool: Path, cluster: Cluster) -> None:
        super().__init__(tool)
        self.cluster = cluster

    async def run(
        self, *args: str | Path, stdin: str | None = None, check: bool = True, timeout: float = SECONDS
    ) -> command.Result:
        """Run one subcommand.

        Args:
            args: The subcommand and its arguments.
            stdin: What it reads.
            check: Raise when it fails.
            timeout: Deadline in seconds.

        Raises:
            CommandError: It failed.
        """
        target = [f"--kubeconfig={self.cluster.kubeconfig}", f"--kube-context={self.cluster.context}"]
        return await command.run(
            [self.tool, *target, *args], stdin=stdin, check=check, timeout=timeout, env=runs.environment()
        )

    async def upgrade_install(
        self,
        release: str,
        chart: Path,
        namespace: str,
        *,
        values_files: Sequence[Path] = (),
        values: Mapping[str, Any] | None = None,
        create_namespace: bool = True,
        wait: bool = False,
        args: Sequence[str] = (),
        timeout: float = SECONDS,
    ) -> None:
        """Install a release or upgrade it, by server-side apply.

        A release that a killed Helm left in a pending state is put right first (helm#10599).

        Args:
            release: Its name.
            chart: The chart's folder.
            namespace: Where it goes.
            values_files: Values, later files win.
            values: Values that win over the files.
            create_namespace: Create the namespace if it is not there.
            wait: Wait until what Helm knows how to judge is ready; it does not know Rollouts (helm#32615).
            args: Further arguments.
            timeout: Deadline in seconds.

        Raises:
            CommandError: Helm failed.
        """
        words: list[str | Path] = ["upgrade", "--install", release, chart, f"--namespace={namespace}"]
        words += [f"--values={file}" for file in values_files]
        if values is not None:
            words.append("--values=-")
        if create_namespace:
            words.append("--create-namespace")
        if wait:
            words += ["--wait", f"--timeout={timeout:.0f}s"]
        stdin = helm_values.written(values) if values is not None else None
        try:
            await self.run(*words, *args, stdin=stdin, timeout=timeout + 10)
        except CommandError:
            if not await self._recover(release, namespace):
                raise
            await self.run(*words, *args, stdin=stdin, timeout=timeout + 10)

    async def status(self, release: str, namespace: str) -> str | None:
        """Return a release's state ("deployed", "pending-upgrade", ...), or None where there is none."""
        options = ("--output=json", f"--namespace={namespace}", f"--filter=^{release}$")
        found = json.loads((await self.run("list", *options)).stdout)
        return str(found[0]["status"]) if found else None

    async def test(self, release: str, namespace: str, *, timeout: float = SECONDS) -> command.Result:
        """Run a release's own tests, with their logs in the result."""
        return await self.run(
            "test", release, f"--namespace={namespace}", "--logs", f"--timeout={timeout:.0f}s", timeout=timeout + 10
        )

    async def uninstall(self, release: str, namespace: str, *, wait: bool = True, timeout: float = SECONDS) -> None:
        """Remove a release; one that is not there is no error."""
        words = ["uninstall", release, f"--namespace={namespace}", "--ignore-not-found", f"--timeout={timeout:.0f}s"]
        await self.run(*words, *(["--wait"] if wait else []), timeout=timeout + 10)

    async def _recover(self, release: str, namespace: str) -> bool:
        """Put a release right that an earlier, killed Helm left pending; say whether there was one."""
        state = await self.status(release, namespace)
        if state is None or not state.startswith("pending-"):
            return False
        history = await self.run("history", release, f"--namespace={namespace}", "--output=json")
        deployed = [entry["revision"] for entry in json.loads(history.stdout) if entry["status"] == "deployed"]
        if deployed:
            await self.run("rollback", release, str(deployed[-1]), f"--namespace={namespace}", "--force-conflicts")
        else:
            await self.uninstall(release, namespace)
        return True
