"""Standard error: what a server says there, and what becomes of it where nothing can be written.

Law: a server runs without it, too: on a full disk, at the end of a broken pipe, or closed.
"""

import contextlib
import os
import sys
from typing import TextIO


def tell(line: str) -> None:
    """Write a line to stderr, if that is possible."""
    stream = sys.stderr
    if stream is None:
        return
    try:
        print(line, file=stream, flush=True)
    except OSError:
        discard_unwritten(stream)


def discard_unwritten(stream: TextIO) -> None:
    """Drop what a stream holds and cannot write: Python would try once more at its end, and exit with 120."""
    with contextlib.suppress(OSError, ValueError):  # it has no descriptor, or is closed
        try:
            stream.flush()
        except OSError:
            descriptor = stream.fileno()
            kept = os.dup(descriptor)
            try:
                with open(os.devnull, "w") as nothing:
                    os.dup2(nothing.fileno(), descriptor)
                stream.flush()
            finally:
                os.dup2(kept, descriptor)
                os.close(kept)
