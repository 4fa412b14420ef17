"""Metrics: what a server has counted since it was made.

Laws:
- Plain integers that only grow. Code that drops or refuses something counts it here.
- No text of a client's is a key. The keys that the application chooses are bounded, and of close codes those
  that clients choose, which leave room for the application's.
"""

from collections import Counter
from typing import Final

import attrs

from .errors import ERROR_CODES, CloseCode

OTHER: Final = "other"
"""The key in `messages_refused` of all codes that have no key of their own."""
UNKNOWN_CLOSE: Final = 1005
"""The key in `connections_closed` of all codes that have no key of their own (RFC 6455, 7.4.1: never sent)."""

_OWN_CODES: Final = 100  # of the application's error codes, and of its close codes; all further ones share one key
_CODE_LENGTH: Final = 64  # characters; an application that puts values into its codes gets no key for each
_FREE_CODES: Final = range(3_000, 5_000)  # RFC 6455, 7.4.2: for libraries and applications
_CLOSE_CODES: Final = frozenset({*CloseCode, *range(1_000, 1_016)})  # the server's, and those of RFC 6455 and IANA


@attrs.define(kw_only=True)
class Metrics:
    """Counters of one server; `Server.statistics()` adds the gauges."""

    connections_opened: int = 0
    connections_closed: Counter[int] = attrs.field(factory=Counter)  # {close code: how often}
    upgrades_refused: Counter[int] = attrs.field(factory=Counter)  # {HTTP status: how often}, plain HTTP included
    connections_turned_away: int = 0  # closed without an answer: far too many, or far too often, from one address
    messages_received: int = 0
    messages_refused: Counter[str] = attrs.field(factory=Counter)  # {error code: how often}
    refusals_unanswered: int = 0  # of messages without an id, within a second of another such refusal
    peer_errors: int = 0  # errors of clients, in answer to requests of the server, that no code caught
    broadcasts: int = 0
    deliveries: int = 0  # frames handed to connections; a broadcast counts once for each member
    frames_dropped: int = 0  # volatile, replaced by a newer one, or for a connection that ended or was too slow
    messages_stopped: int = 0  # by an outbound hook
    handlers_failed: int = 0
    rooms_opened: int = 0
    rooms_crashed: int = 0

    def count_refused(self, code: str) -> None:
        """Count a refused message under its code, which is the protocol's or the application's."""
        counted = self.messages_refused
        if code not in counted and code not in ERROR_CODES:
            own = len(counted.keys() - ERROR_CODES - {OTHER})
            code = code if own < _OWN_CODES and len(code) <= _CODE_LENGTH else OTHER
        counted[code] += 1

    def count_closed(self, code: int, *, is_ours: bool) -> None:
        """Count the end of a connection under its close code; `is_ours`: not the client, the server chose it."""
        counted = self.connections_closed
        if code not in counted and code not in _CLOSE_CODES:
            own = len(counted.keys() - _CLOSE_CODES)
            most = 2 * _OWN_CODES if is_ours else _OWN_CODES  # the second half is never a client's
            code = code if own < most and code in _FREE_CODES else UNKNOWN_CLOSE
        counted[code] += 1
