"""The overview: all rooms of a server, as its lobby sees them.

Laws:
- It is told of each change of a room at once, and what it knows is then up to date: who is given a place next is found
  among the rooms as they are.
- A change costs the same among 10,000 rooms as among 10, but for the comparisons of a binary search.
- Others see a room from its `on_create` until it begins to close, unless it is hidden. One with the name of a private
  room is, whoever has made it.
"""

import math
from typing import TYPE_CHECKING, Any

from ..._rooms.state import RoomState
from ..._sessions.session import Session
from ...errors import RegistrationError
from ...room import Room
from .changes import Changes
from .codes import Codes
from .listing import Published, read_schema
from .listings import Listings, Page, Table
from .patterns import RoomPattern
from .places import free_places, has_seats, is_unready, places_of
from .records import Record
from .reservations import Reservation, Reservations
from .searches import Searches

if TYPE_CHECKING:
    from ..._rooms.hub import Hub
    from ..._rooms.runtime import RoomRuntime


class Overview:
    """The directory of a server that has a lobby: see _rooms/directory.py for when its functions are called."""

    def __init__(self, hub: "Hub", room_name: str, match: tuple[str, ...] | None, reserve_seconds: float) -> None:
        self.hub = hub
        self.room_name = room_name
        self.records: dict[str, Record] = {}  # {name: room}, without the lobby itself
        self.listings = Listings()
        self.codes = Codes()
        self.patterns: dict[str, RoomPattern] = {}  # {pattern: its rooms}: those that clients may look for
        self.reservations = Reservations(reserve_seconds, self._freed)
        self.changes = Changes(hub, room_name, self.records, self.listings)
        self.searches = Searches()
        self._match = match
        self._made = 0

    # --- the directory

    def check(self) -> None:
        """Read the registered room classes; `RegistrationError` for a pattern or a listing that cannot work."""
        classes = dict(self.hub.classes.items())
        for room_class in classes.values():
            listing = room_class.listing
            if listing is not None and listing not in self.listings.tables:
                self.listings.tables[listing] = Table(read_schema(listing))
        for pattern in self._match if self._match is not None else _usual(classes, self.room_name):
            found = classes.get(pattern)
            if found is None:
                raise RegistrationError(f"Lobby(match=...): there is no `@server.room({pattern!r})`")
            if pattern.count("*") != 1:
                raise RegistrationError(f"Lobby(match=...): {pattern!r} must have one `*`, for the name of a new room")
            if pattern not in self.patterns:
                self.patterns[pattern] = RoomPattern(pattern, found, self.listings.tables.get(found.listing))

    def begin(self) -> None:
        """Open the lobby's room, and begin to tell its members of changes."""
        hub = self.hub
        hub.start(self.reservations.run)
        hub.start(self.changes.run)
        hub.start(self.searches.run)
        hub.make(self.room_name, hub.classes.find(self.room_name) or Room, None, {})

    def changed(self, runtime: "RoomRuntime") -> None:
        """Look at a room again."""
        record = self._find(runtime)
        if record is not None:
            self._update(record)

    def published(self, runtime: "RoomRuntime") -> None:
        """Take over the listing of a room as it is now; TypeError, ValueError or `EncodeError` if that cannot be."""
        record = self._find(runtime)
        if record is None:
            return
        room = runtime.room
        table = self.listings.tables[type(room).listing]
        self._publish(record, None if room.listing is None else table.schema.read(room.listing))
        self._update(record)

    def _publish(self, record: Record, now: Published | None) -> None:
        before = record.published
        if not record.is_listed or before is None or now is None:
            if record.is_listed:
                self.listings.remove(record)
            record.publish(now)
            if record.is_listed:
                self.listings.add(record)
        else:
            self.listings.change(record, before.values, now.values)
            record.publish(now)

    def joined(self, runtime: "RoomRuntime", session: Session) -> None:
        """Note that a client has become a member."""
        self.reservations.joined(runtime, session)
        self.changed(runtime)

    def reserved(self, runtime: "RoomRuntime", session: Session) -> int:
        """Return how many places of a room are kept for others, unless one is kept for this client."""
        return self.reservations.others(runtime, session)

    # --- the rooms

    def page(self, after: str = "") -> Page:
        """Return the first rooms after a name that others may see."""
        return self.listings.page(after)

    def _find(self, runtime: "RoomRuntime") -> Record | None:
        """Return what is known of a room, from its making until it begins to close; None if nothing is."""
        record = self.records.get(runtime.name)
        if record is not None and record.runtime is runtime:
            if runtime.is_open:
                return record
            self._remove(record)
        elif record is None and runtime.state is RoomState.CREATING and not self._is_own(runtime):
            return self._add(runtime)
        return None

    def _is_own(self, runtime: "RoomRuntime") -> bool:
        return runtime.is_global or runtime.name == self.room_name

    def _add(self, runtime: "RoomRuntime") -> Record:
        self._made += 1
        pattern = self.hub.classes.find_pattern(runtime.name)
        record = Record(runtime, self._made, self.patterns.get(pattern or ""))
        self.records[runtime.name] = record
        if record.pattern is not None and record.pattern.is_private(runtime.name):
            # Also when one of its members makes it again, by a join after it has closed.
            runtime.is_hidden = True
            self.codes.add(runtime.name)
        return record

    def _remove(self, record: Record) -> None:
        del self.records[record.name]
        if record.is_listed:
            record.is_listed = False
            self.listings.remove(record)
            self.changes.note(record.name)
        if record.pattern is not None:
            record.pattern.openings.discard(record)
            record.pattern.unready.pop(record.number, None)
        self.codes.remove(record.name)

    def _update(self, record: Record) -> None:
        """Show a room as it is, and offer its free places."""
        runtime, pattern = record.runtime, record.pattern
        if record.published is not None and runtime.room.listing is None:
            self._publish(record, None)  # the room was made anew after a crash
        if runtime.state is not RoomState.CREATING:
            record.asked_for = None  # it may be as large as a join, and the room knows by now what it publishes
        is_listed = runtime.is_listed and runtime.is_open
        if is_listed != record.is_listed:
            record.is_listed = is_listed
            if is_listed:
                self.listings.add(record)
                if pattern is not None and not has_seats(runtime.room):
                    pattern.note_places(places_of(runtime))
            else:
                self.listings.remove(record)
            self.changes.note(record.name)
        elif is_listed:
            self.changes.note(record.name)
        self._offer(record)

    def _offer(self, record: Record) -> None:
        runtime, pattern = record.runtime, record.pattern
        if pattern is None:
            return
        is_offered = not runtime.is_hidden and not runtime.members.is_locked
        if is_offered and is_unready(runtime, pattern):
            pattern.unready[record.number] = record
            return
        pattern.unready.pop(record.number, None)
        if is_offered and self.free(record) > 0:
            pattern.openings.add(record)
        else:
            pattern.openings.discard(record)

    def _freed(self, runtime: "RoomRuntime") -> None:
        record = self.records.get(runtime.name)
        if record is not None and record.runtime is runtime:
            self._offer(record)

    def reserve(self, record: Record, session: Session) -> Reservation:
        """Keep a place in a room for a client; `reservations.release` gives it back."""
        reservation = self.reservations.take(record.runtime, session)
        self._offer(record)
        return reservation

    def free(self, record: Record) -> float:
        """Return how many places a room has for clients that look for one."""
        if record.pattern is None:
            return -math.inf
        return free_places(record.runtime, record.pattern, self.reservations)


def _usual(classes: dict[str, type[Room[Any]]], room_name: str) -> list[str]:
    """Return the patterns that a client may make rooms of by a join, too."""
    return [
        pattern
        for pattern, room_class in classes.items()
        if pattern.count("*") == 1 and room_class.open and pattern != room_name
    ]
