"""Options: what a join holds in addition to the room's name. A room keeps those that it was created with.

Laws:
- Options of a client stay raw while they wait and in the room: decoded JSON takes up to 25 times its bytes.
- They are decoded where the application looks at them: `Room.options`, `on_auth`.
"""

from typing import Any, Final, TypeAlias

from .._protocol import codec

Options: TypeAlias = codec.Raw | dict[str, Any]
"""The body of a client's join as it came, or the dict that the server's own code gave."""

NO_OPTIONS: Final = codec.EMPTY

_decode: Final = codec.body_decoder(dict[str, Any])


def read_options(options: Options) -> dict[str, Any]:
    """Return the options as the application sees them, without the room's name; `BadBody` if they are no object."""
    if isinstance(options, dict):
        return options
    decoded: dict[str, Any] = _decode(options)
    decoded.pop("roomname", None)
    return decoded
