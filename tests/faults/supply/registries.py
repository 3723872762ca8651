"""A registry's own program, as tests start it: without Docker."""

import shutil
import socket
import subprocess

from ci.base.wait import NotYet, until
from ci.supply.registry import CONFIG, Registry


class Local:
    """A registry's own program, as a process, with a folder of its own."""

    def __init__(self, program, folder, config=CONFIG):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.registry = Registry(f"127.0.0.1:{port}", port)
        self.program, self.folder, self.config = program, folder / "held", folder / "config.yml"
        self.config.write_text(config.replace("/var/lib/registry", str(self.folder)).replace(
            "':5000'", f"'{self.registry.host}'"))  # fmt: skip
        self.process = None

    async def start(self, *, empty=False):
        if self.process is not None and empty:
            self.stop()
            shutil.rmtree(self.folder)
        if self.process is None:
            argv = [self.program, "serve", self.config]
            self.process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)  # noqa: ASYNC220 - only begun here

            async def answers():
                try:
                    await self.registry.digest("x:y")
                except OSError as error:
                    raise NotYet(str(error)) from error

            await until("the registry answers", answers, timeout=60, interval=0.05)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def file(self, digest):
        algorithm, _, value = digest.partition(":")
        return self.folder / "docker" / "registry" / "v2" / "blobs" / algorithm / value[:2] / value / "data"
