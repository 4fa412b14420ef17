"""Metrics: what a server has counted since it began.

Law: plain integers that only grow; whoever drops or refuses something counts it here.
"""

from collections import Counter

import attrs


@attrs.define(kw_only=True)
class Metrics:
    """Counters of one server; `Server.statistics()` adds the gauges."""

    connections_opened: int = 0
    connections_closed: Counter[int] = attrs.field(factory=Counter)  # {close code: how often}
    upgrades_refused: Counter[int] = attrs.field(factory=Counter)  # {HTTP status: how often}
    messages_received: int = 0
    messages_refused: Counter[str] = attrs.field(factory=Counter)  # {error code: how often}
    refusals_unanswered: int = 0  # refusals of messages without an id that came within a second of another
    broadcasts: int = 0
    deliveries: int = 0  # frames handed to connections, broadcasts counted once per member
    frames_dropped: int = 0  # volatile, replaced, or for a connection that was closed or cut before
    messages_stopped: int = 0  # by an outbound hook
    handlers_failed: int = 0
    rooms_opened: int = 0
    rooms_crashed: int = 0
