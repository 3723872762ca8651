"""Tasks side by side and their clean-up, whose first failure is raised as itself: neither in a group nor hidden."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import anyio
import anyio.abc

from ci.base import failures
from ci.base.progress import note

T = TypeVar("T")


@asynccontextmanager
async def group() -> AsyncIterator[anyio.abc.TaskGroup]:
    """Have a task group; the first failure ends the other tasks and is what the caller sees."""
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as failures:
        raise first(failures) from None


@asynccontextmanager
async def ahead(function: Callable[[], Awaitable[T]]) -> AsyncIterator[Callable[[], Awaitable[T]]]:
    """Call a function while the block runs, which gets what that returns, or raises, where it asks for it.

    So two things are done at once, and of two errors the same one is told, whichever comes first.
    """
    over = anyio.Event()
    returned: list[T] = []
    raised: list[Exception] = []

    async def call() -> None:
        try:
            returned.append(await function())
        except Exception as error:
            raised.append(error)
        over.set()

    async def ask() -> T:
        await over.wait()
        if raised:
            raise raised[0]
        return returned[0]

    async with group() as tasks:
        tasks.start_soon(call)
        yield ask


@contextmanager
def clean_up(what: str) -> Iterator[None]:
    """Clean up in a `finally` or `except`: where an error is on its way, one of the clean-up is a note beside it.

    Args:
        what: What is cleaned up, for the note.
    """
    ahead = sys.exception()
    try:
        yield
    except Exception as error:
        if ahead is None:
            raise
        note(f"then, {what}: {failures.explained(first(error)).message}")


def first(error: BaseException) -> BaseException:
    """Return the first error of a group, however deep; any other error is returned as it is."""
    return leaves(error)[0]


def leaves(error: BaseException) -> list[BaseException]:
    """Return the errors of a group in their order, however deep, or any other error alone."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]
