"""Tasks side by side, whose first failure is raised as itself and not in a group."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc


@asynccontextmanager
async def group() -> AsyncIterator[anyio.abc.TaskGroup]:
    """Have a task group; the first failure ends the other tasks and is what the caller sees."""
    try:
        async with anyio.create_task_group() as tasks:
            yield tasks
    except BaseExceptionGroup as failures:
        raise first(failures) from None


def first(error: BaseException) -> BaseException:
    """Return the first error of a group, however deep; any other error is returned as it is."""
    return leaves(error)[0]


def leaves(error: BaseException) -> list[BaseException]:
    """Return the errors of a group in their order, however deep, or any other error alone."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]
