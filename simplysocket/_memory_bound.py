"""The memory bound: how much memory clients can make a server hold under its limits, term by term.

Law: plain arithmetic. What a limit means is known elsewhere; here is only what that costs.

The costs of objects were measured on 64-bit CPython 3.11, and rounded up.
"""

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .limits import Limits

# bytes for each, empty
VISITOR_BYTES: Final = 24_576  # a connection that is checked or answered: 7 KiB that waits, and its parsed request
TLS_BYTES: Final = 98_304  # OpenSSL for one connection: 24 KiB that is idle, and one read that is not decrypted yet
CLIENT_BYTES: Final = 45_056  # an idle client: 24 KiB, its turns in the global room, 4 KiB to come back
ROOM_BYTES: Final = 24_576  # an empty room with its worker: 16 KiB
# Of one client in one room: 200, its place in lists of the order of joining, and what waits there when it goes away and
# comes back while the room does not keep up: up to seven hooks.
MEMBER_BYTES: Final = 2_560
MESSAGE_BYTES: Final = 768  # of the objects that a waiting message consists of, in addition to its bytes
ASKING_BYTES: Final = 1_024  # a join that waits for its `on_auth`, in addition to its message
HANDLER_BYTES: Final = 16_384  # a handler or `on_auth` outside the turn: its task, its frames and its cancel scope
ACCOUNT_BYTES: Final = 512  # one user or address: 320, with a longer name more
CHARACTER_BYTES: Final = 4  # of a name, at most

COUNTED_BYTES: Final = 512  # for each message in `intake_bytes`, as in _sessions/intake.py
READ_BYTES: Final = 65_536  # of one read, as in _wire/consumer.py
SMALL_BYTES: Final = 4_096  # messages up to this size count by their number in an inbox, as in _rooms/inbox.py
LARGE_ROOM: Final = 512  # members; beyond it a room speaks once in a pass, as in _rooms/fanout.py
ENTRIES_A_PASS: Final = 64  # of one room, as in _rooms/turns.py
ALLOCATOR: Final = 1.25  # times the sum: what the allocator rounds up, holds back and cannot give back

# Of each group at least one limit must be set, otherwise the sum has no bound.
_NEEDED: Final = (
    ("message_bytes",),
    ("connections",),
    ("rooms",),
    ("inbox_messages", "inbox_per_client"),
    ("intake_messages", "intake_bytes"),
    ("tasks_per_client",),
    ("outboxes_bytes",),
    ("static_bytes",),
)


def lifted(limits: "Limits") -> tuple[str, ...]:
    """Return the names of the lifted limits that make the bound infinite; empty if it is finite."""
    groups = [group for group in _NEEDED if all(getattr(limits, name) is None for name in group)]
    return tuple(name for group in groups for name in group)


def bound_of(limits: "Limits") -> float:
    """Return the bound in bytes: the sum of the terms, and what the allocator adds; `math.inf` if there is none."""
    total = ALLOCATOR * sum(terms_of(limits).values())
    return total if math.isinf(total) else math.ceil(total)


def terms_of(limits: "Limits") -> dict[str, float]:
    """Return what each kind of thing can take, in bytes."""
    clients, rooms = _most(limits.connections), _most(limits.rooms)
    message = _most(limits.message_bytes)
    name = CHARACTER_BYTES * min(_most(limits.name_length), message)
    waiting = message + MESSAGE_BYTES  # one whole message
    memberships = min(
        clients * min(_most(limits.rooms_per_client), rooms),
        rooms * min(_most(limits.members_per_room), clients),
    )
    most_held = min(_most(limits.intake_messages), _most(limits.intake_bytes) / COUNTED_BYTES)  # messages of one client
    large_rooms = min(rooms, memberships / LARGE_ROOM)
    own_inbox = _inbox(limits, min(_most(limits.inbox_messages), _most(limits.inbox_per_client)))
    room_inbox = _inbox(limits, min(_most(limits.inbox_messages), clients * _most(limits.inbox_per_client)))
    return {
        # Twice as many connections as `connections` are answered in HTTP, each with a head and what came after it. That
        # of a client which is connected covers the request that is kept for it, and a renewal that is under way.
        "connections": 2 * clients * (VISITOR_BYTES + TLS_BYTES + 4 * limits.head_bytes + 2 * READ_BYTES),
        "clients": clients * (CLIENT_BYTES + name),
        # The fragments so far; one read after an incomplete frame; the messages that were split off that.
        "reads": clients * (3 * message + 2 * READ_BYTES),
        # The last message goes beyond the bounds.
        "held": clients * (waiting + _intake(limits, most_held)),
        "joins": clients * (HANDLER_BYTES + most_held * ASKING_BYTES),  # one `on_auth` runs at a time for each
        "inboxes": rooms * (room_inbox + waiting),  # with the message that runs
        "own inboxes": clients * (own_inbox + waiting),  # in the global room
        "handlers": clients * _most(limits.tasks_per_client) * (HANDLER_BYTES + waiting),
        "rooms": rooms * (ROOM_BYTES + name + min(_most(limits.join_bytes), message)),
        "memberships": memberships * MEMBER_BYTES,
        # What rooms have said and not given to the outboxes yet.
        "said": (2 * rooms + ENTRIES_A_PASS * large_rooms) * waiting,
        "outboxes": _most(limits.outboxes_bytes),  # and what is kept for clients that may come back
        "accounts": limits.accounts * ACCOUNT_BYTES,
        "static files": _most(limits.static_bytes),
    }


def _inbox(limits: "Limits", messages: float) -> float:
    """Return the bytes that so many messages in one inbox can take. Any message fits into an empty one."""
    message = _most(limits.message_bytes)
    small = messages * (min(SMALL_BYTES, message) + MESSAGE_BYTES)
    return small + min(max(_most(limits.inbox_bytes), message), messages * message)


def _intake(limits: "Limits", messages: float) -> float:
    """Return the bytes that at most so many messages held of one client can take."""
    if limits.intake_bytes is None:
        return messages * (_most(limits.message_bytes) + MESSAGE_BYTES)
    counted = min(limits.intake_bytes, messages * (_most(limits.message_bytes) + COUNTED_BYTES))
    return counted + messages * (MESSAGE_BYTES - COUNTED_BYTES)


def _most(limit: float | None) -> float:
    return math.inf if limit is None else limit
