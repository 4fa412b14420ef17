"""Options: what a join holds in addition to the room's name. A room keeps those that it was created with.

Laws:
- Options of a client stay raw while they wait and in the room: decoded JSON takes up to 25 times its bytes.
- They are decoded where the application looks at them: `Room.options`, `on_auth`, `on_join`.
"""

import hashlib
import secrets
from typing import Any, Final, TypeAlias

from .._protocol import codec
from ..errors import EncodeError

Options: TypeAlias = codec.Raw | dict[str, Any]
"""The body of a client's join as it came, or the dict that the server's own code gave."""

NO_OPTIONS: Final = codec.EMPTY

_DIGEST_BYTES: Final = 16  # two options that differ have the same digest once in 2^64 tries

_decode: Final = codec.body_decoder(dict[str, Any])


def read_options(options: Options) -> dict[str, Any]:
    """Return the options as the application sees them, without the room's name; `BadBody` if they are no object."""
    if isinstance(options, dict):
        return options
    decoded: dict[str, Any] = _decode(options)
    decoded.pop("roomname", None)
    return decoded


def digest_of(options: Options) -> bytes:
    """Return 16 bytes that are the same for options that say the same, whatever the order of their keys.

    Options of the server's own code that JSON cannot hold are the same as none: for these it is random.
    """
    try:
        written = codec.encode_sorted(read_options(options))
    except EncodeError:
        return secrets.token_bytes(_DIGEST_BYTES)
    return hashlib.blake2b(written, digest_size=_DIGEST_BYTES).digest()
