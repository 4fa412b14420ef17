"""Gauges: what a server has counted, and what is there and waits at this moment, as one dict.

Law: nothing is kept for it. What it costs is paid by who asks.
"""

from typing import Any

import attrs

from .._rooms.room_tree import count_askings, count_held, count_paused, count_waiting
from .assembly import Assembly


def statistics_of(assembly: Assembly) -> dict[str, Any]:
    """Return the counters and the gauges of one server: `Server.statistics`."""
    counted = attrs.asdict(
        assembly.metrics, value_serializer=lambda _, __, value: dict(value) if isinstance(value, dict) else value
    )
    return {
        **counted,
        "connections": assembly.front_door.connections,
        "clients": len(assembly.hub.clients),
        "away": assembly.front_door.arrivals.away,
        "rooms": len(assembly.hub.runtimes),
        "queued_bytes": assembly.outboxes.bytes,
        "queued_messages": count_waiting(assembly.hub),
        "held_messages": count_held(assembly.hub),
        "askings": count_askings(assembly.hub),
        "paused_connections": count_paused(assembly.hub),
        "accounts": len(assembly.hub.accounts),
        "handshakes_waiting": assembly.front_door.handshakes.waiting,
        "budget_waiting": assembly.budget.waiting,
    }
