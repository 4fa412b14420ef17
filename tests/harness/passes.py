"""Passes of the scheduler, counted."""

import trio


class Passes(trio.abc.Instrument):
    """Counts passes: `count` is the number of this one."""

    count = 0

    def after_io_wait(self, timeout: float) -> None:
        """Begin a pass."""
        self.count += 1
