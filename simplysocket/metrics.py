"""Metrics: what a server has counted since it was made.

Law: plain integers that only grow. Code that drops or refuses something counts it here.
"""

from collections import Counter

import attrs


@attrs.define(kw_only=True)
class Metrics:
    """Counters of one server; `Server.statistics()` adds the gauges."""

    connections_opened: int = 0
    connections_closed: Counter[int] = attrs.field(factory=Counter)  # {close code: how often}
    upgrades_refused: Counter[int] = attrs.field(factory=Counter)  # {HTTP status: how often}, plain HTTP included
    messages_received: int = 0
    messages_refused: Counter[str] = attrs.field(factory=Counter)  # {error code: how often}
    refusals_unanswered: int = 0  # of messages without an id, within a second of another such refusal
    broadcasts: int = 0
    deliveries: int = 0  # frames handed to connections; a broadcast counts once for each member
    frames_dropped: int = 0  # volatile, replaced by a newer one, or for a connection that ended or was too slow
    messages_stopped: int = 0  # by an outbound hook
    handlers_failed: int = 0
    rooms_opened: int = 0
    rooms_crashed: int = 0
