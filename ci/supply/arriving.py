"""What is on its way from publishers: how much of it is here, said every few seconds as long as something comes."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import anyio
from rich.filesize import decimal

from ci.base import tasks
from ci.base.progress import note

TELL_SECONDS = 10.0


@dataclass
class Arrivals:
    """Of several items that come at once.

    Attributes:
        wanted: How many items there are.
        whole: How many are here.
        expected: Bytes of those whose size is known.
        here: Bytes that are here.
    """

    wanted: int = 0
    whole: int = 0
    expected: int = 0
    here: int = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Have one more item be on its way, and here when the block ends well."""
        self.wanted += 1
        yield
        self.whole += 1

    def expect(self, size: int) -> None:
        """Count on that many bytes more."""
        self.expected += size

    def came(self, size: int) -> None:
        """Count bytes that are here; fewer than none where an attempt was for nothing."""
        self.here += size

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Say how far it is, every few seconds as long as the block runs and something is on its way."""
        async with tasks.group() as group:
            group.start_soon(self._tell)
            yield
            group.cancel_scope.cancel()

    async def _tell(self) -> None:
        before = self.here
        while True:
            await anyio.sleep(TELL_SECONDS)
            if self.whole < self.wanted:
                rate = decimal(int((self.here - before) / TELL_SECONDS))
                of = f"{decimal(self.here)} of {decimal(self.expected)}"
                note(f"{self.whole} of {self.wanted} items are here, {of}, {rate} a second")
            before = self.here
