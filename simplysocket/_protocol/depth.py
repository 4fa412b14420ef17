"""The depth of JSON: how many arrays and objects are open at once.

Law: linear in the payload, whatever a client writes. Most payloads cost two counts of a byte, 0.1 us.

msgspec bounds the depth by the interpreter's own recursion limit, which is about 1,000 in CPython 3.11 and far more
in later versions.
"""

import re
from itertools import accumulate
from typing import Final

MOST: Final = 800  # less than what CPython 3.11 takes from within a handler

# A string without an end counts up to the end: if it did not match, each quote in it would be tried again as a start.
_STRING: Final = re.compile(rb'(?s)"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)')
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEPS: Final = [1 if each in b"[{" else -1 for each in range(256)]  # of a bracket


def is_too_deep(payload: bytes) -> bool:
    """Tell whether more than `MOST` arrays and objects are open at once. What is no JSON may be called so, too."""
    if payload.count(b"[") + payload.count(b"{") <= MOST:
        return False
    brackets = _STRING.sub(b"", payload).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MOST
