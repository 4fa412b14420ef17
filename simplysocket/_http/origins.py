"""Origins: which pages may connect.

Law: no I/O. An origin matches as a whole, with its scheme, host and port.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

import attrs

HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~-]+)(?::([0-9]{1,5}))?")  # name or address, port
_DEFAULT_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}


@attrs.frozen
class Origins:
    """The origins of the pages that may connect. None: only pages from the host and port that they connect to."""

    allowed: frozenset[str] | None

    @classmethod
    def of(cls, origins: Iterable[str] | None) -> "Origins":
        """Read the option `origins=`; ValueError for an entry that is not an origin."""
        if origins is None:
            return cls(None)
        if isinstance(origins, str):
            raise ValueError(f"origins={origins!r} is one string: give a list, such as [{origins!r}]")
        allowed = frozenset(origin.rstrip("/").lower() for origin in origins)
        for origin in allowed:
            parts = urlsplit(origin)
            if not parts.scheme or not parts.netloc or parts.path:
                raise ValueError(f"{origin!r} in origins= is no origin: write it as 'https://example.com'")
        return cls(allowed)

    def admit(self, origin: str, host: str) -> bool:
        """Tell whether a page of `origin` may connect when the request names `host` in its Host header."""
        origin = origin.lower()
        if self.allowed is not None:
            return origin in self.allowed
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        page = HOST.fullmatch(parts.netloc)
        server = HOST.fullmatch(host.lower())
        if not page or not server or parts.scheme not in _DEFAULT_PORTS:
            return False  # such as "null", which browsers send for a page from a file
        default = _DEFAULT_PORTS[parts.scheme]
        return page[1] == server[1] and int(page[2] or default) == int(server[2] or default)
