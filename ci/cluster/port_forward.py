"""A Service of the cluster on a port of this machine, for as long as a block runs."""

import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.streams.text import TextReceiveStream

from ci.base import command, tasks
from ci.base.errors import CheckFailedError
from ci.base.wait import NotYet, until
from ci.cluster import runs
from ci.cluster.kubectl import Kubectl

READY_SECONDS = 20
LISTENING = re.compile(r"^Forwarding from 127\.0\.0\.1:(\d+) ->", re.MULTILINE)


@asynccontextmanager
async def port_forward(kubectl: Kubectl, target: str, port: int, namespace: str) -> AsyncIterator[str]:
    """Run `kubectl port-forward` on a free local port.

    Args:
        kubectl: On the cluster.
        target: As kubectl takes it ("svc/fraud-score-predictor-stable").
        port: Port of the target.
        namespace: Namespace of the target.

    Yields:
        The base URL ("http://127.0.0.1:40123").

    Raises:
        CheckFailedError: kubectl ended; its words are in the error.
        WaitTimeoutError: It named no port in time.
    """
    argv = kubectl.argv("port-forward", f"--namespace={namespace}", "--address=127.0.0.1", target, f":{port}")
    said: list[str] = []
    async with (
        await command.start(
            argv, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, env=runs.environment()
        ) as process,
        tasks.group() as group,
    ):
        try:

            async def listen() -> None:
                assert process.stdout is not None
                async for text in TextReceiveStream(process.stdout):
                    said.append(text)  # noqa: PERF401 - as it comes, not at the end

            async def listening() -> str:
                found = LISTENING.search("".join(said))
                if found:
                    return found[1]
                if process.returncode is not None:
                    words = "".join(said).strip() or f"exit code {process.returncode}"
                    raise CheckFailedError(f"kubectl port-forward {target} in {namespace}: {words}")
                raise NotYet("".join(said).strip() or "no word from kubectl")

            group.start_soon(listen)
            local = await until(f"port-forward to {target}", listening, timeout=READY_SECONDS, interval=0.05)
            yield f"http://127.0.0.1:{local}"
        finally:
            group.cancel_scope.cancel()
            if process.returncode is None:
                process.terminate()
