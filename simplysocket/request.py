"""The request that a client connects with, and the identity that is found for it.

Law: words only. Request heads are read in _http/request_head.py.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

import attrs

TOKEN_ENTRY: Final = "simplysocket.token."  # the prefix of a subprotocol that carries a token, in base64url


@attrs.frozen
class Request:
    """A request head.

    `headers` has names in lower case; the values of a repeated header are joined by
    commas. `address` is the client's IP address, or the one that a trusted proxy
    names; "" on a Unix socket.
    """

    method: str
    path: str
    query: dict[str, str] = attrs.field(repr=False)  # the first value of a repeated name
    headers: dict[str, str] = attrs.field(repr=False)  # may hold credentials
    address: str
    subprotocols: tuple[str, ...] = attrs.field(default=(), repr=False)
    _token: str | None = attrs.field(default=None, repr=False, kw_only=True)  # wins over those that it came with

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name; the first value of a repeated name (RFC 6265, 5.4: the most specific)."""
        found: dict[str, str] = {}
        for pair in self.headers.get("cookie", "").split(";"):
            name, equals, value = pair.strip().partition("=")
            if equals and name:
                value = value.strip()
                is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
                found.setdefault(name.strip(), value[1:-1] if is_quoted else value)
        return found

    @property
    def token(self) -> str | None:
        """The token of `Authorization: Bearer ...`, or of a subprotocol `simplysocket.token.<base64url>`.

        When a client renews its credentials, it is the new token that the client has sent. A browser can set no
        headers for a WebSocket, but it can set subprotocols. A token in the query is ignored, because addresses are
        written to logs.
        """
        if self._token is not None:
            return self._token
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
        for each in self.subprotocols:
            if each.startswith(TOKEN_ENTRY):
                return _from_base64url(each.removeprefix(TOKEN_ENTRY)) or None
        return None


def _from_base64url(text: str) -> str | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _user(_: object, attribute: "attrs.Attribute[str]", value: object) -> None:
    if not isinstance(value, str) or not value:
        raise TypeError(f"Identity.user is {value!r}: give the user's id as a string, such as str(row.id)")


def _mapping(_: object, attribute: "attrs.Attribute[Mapping[str, Any]]", value: object) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"Identity.claims is {value!r:.100}: give a dict")


_LONG_AGO: Final = 1e9  # seconds since the epoch, in 2001: less is a duration by mistake


def _point_in_time(_: object, attribute: "attrs.Attribute[float | None]", value: float | None) -> None:
    if value is not None and not (isinstance(value, (int, float)) and value > _LONG_AGO):
        raise ValueError(f"Identity.expires_at is {value!r}: give a point in time, such as time.time() + 3600")


@attrs.frozen
class Identity:
    """Who a client is, as `authenticate` returns it.

    `user` is the user's id, the same on every connection of that user. `name` is
    shown to others and wins over `?name=`. `claims` holds what else you know about
    the user, such as roles. At `expires_at`, in seconds since the epoch, the
    connection is closed with 3005, unless the credentials were renewed before.
    """

    user: str = attrs.field(validator=_user)
    name: str = attrs.field(default="", validator=attrs.validators.instance_of(str))
    claims: Mapping[str, Any] = attrs.field(factory=dict, repr=False, validator=_mapping)
    expires_at: float | None = attrs.field(default=None, validator=_point_in_time)
