"""The collector: Python's garbage collector, set for a server that has a process of its own.

Laws:
- Only what owns the process uses it: `Server.run` and the command line, never `serve`.
- What it changes is put back at the end.

A full collection looks at every object of the process: 0.2 to 0.6 s with 10,000 rooms, in which nobody is served.
A server has few cycles that live long, so it can do almost without them (decision 15).
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from .._loop_watch import overlook

THRESHOLDS: Final = (1_000, 10, 10_000)
"""Of `gc.set_threshold`: young objects are looked at about as often as by default. A full collection comes after
100 million objects more, instead of 70,000."""


class Collector:
    """Sets the collector while a server runs."""

    def __init__(self, *, is_tuned: bool) -> None:
        self._is_tuned = is_tuned

    @contextmanager
    def tuned(self) -> Iterator[None]:
        """Keep the thresholds of a server during the block."""
        if not self._is_tuned:
            yield
            return
        before = gc.get_threshold()
        gc.set_threshold(*THRESHOLDS)
        try:
            yield
        finally:
            gc.unfreeze()
            gc.set_threshold(*before)

    def freeze(self) -> None:
        """Let no collection look again at what exists now: the modules, classes and registrations of a started server.

        The garbage of the start is collected before.
        """
        if self._is_tuned:
            began = perf_counter()
            gc.collect()
            gc.freeze()
            overlook(began)
