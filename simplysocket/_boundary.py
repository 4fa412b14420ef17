"""The boundaries: what passes through every one of them, and so ends more than the code that raised it.

All else that code of the application raises is a bug, and costs only what the boundary is around: also a BaseException
of one's own, `GeneratorExit`, or the `CancelledError` of asyncio, which no scope of trio's has asked for.

>>> try:
...     await call()
... except* PASSING:
...     raise
... except* BaseException:
...     logger.exception("a bug")
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import trio

from .errors import first_of

PASSING: Final = (trio.Cancelled, KeyboardInterrupt, SystemExit)


@contextmanager
def alone() -> Iterator[None]:
    """Raise a SystemExit or KeyboardInterrupt that comes inside of groups without them, so that its code counts."""
    try:
        yield
    except BaseExceptionGroup as group:
        for kind in (SystemExit, KeyboardInterrupt):
            found = group.subgroup(kind)
            if found is not None:
                raise first_of(found) from group
        raise
