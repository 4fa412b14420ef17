"""Error texts: what a client is told about a message of its own, within a bound.

Laws:
- The decoder's errors, and those of validators, hold text that the client wrote. So a text is
  shortened before anything is looked for in it, and is searched without regular expressions.
- An error that is sent has at most `TEXT_LENGTH` characters of message, and as many of path.
"""

from typing import Any, Final

import msgspec

TEXT_LENGTH: Final = 500  # characters; the texts of this package are shorter, and one line of a page holds no more

_GAP: Final = " ... "
_HALF: Final = (TEXT_LENGTH - len(_GAP)) // 2

# What msgspec writes around the names of the server's own fields.
_AT: Final = " - at `"
_OF_A_KEY: Final = "key` in `"  # the key of an object is wrong, not its value
_MISSING: Final = "Object missing required field `"


def shorten(text: Any) -> Any:
    """Return a text with a gap in its middle if it is over `TEXT_LENGTH` characters; anything else as it is.

    The application may have given anything as the message of its error.
    """
    if not isinstance(text, str) or len(text) <= TEXT_LENGTH:
        return text
    return f"{text[:_HALF]}{_GAP}{text[-_HALF:]}"


def explain(error: Exception) -> tuple[str, str | None]:
    """Turn an exception of the decoder into (what is wrong, the JSON path to it)."""
    if isinstance(error, RecursionError):
        return "nested too deeply", None
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8", None
    text: str = shorten(str(error))
    path = None
    if text.endswith("`"):
        before, at, place = text[:-1].rpartition(_AT)  # the path is the end of the text
        if at:
            text, path = before, place.removeprefix(_OF_A_KEY)
    if isinstance(error, msgspec.ValidationError):
        path = path or "$"
        if text.startswith(_MISSING) and error.__cause__ is None:  # with a cause the text is that of a validator
            path += "." + text.removeprefix(_MISSING).removesuffix("`")
    return text, path
