"""Exceptions raised on purpose: one by itself, or several in an exception group."""

import trio


async def raise_it(error: Exception) -> None:
    """Raise this exception."""
    raise error


async def raise_together(*errors: Exception) -> None:
    """Raise these exceptions in an exception group, as the tasks of a nursery do."""
    async with trio.open_nursery() as nursery:
        for error in errors:
            nursery.start_soon(raise_it, error)
