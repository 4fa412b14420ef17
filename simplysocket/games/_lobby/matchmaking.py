"""Matchmaking: puts a client into a room that it did not name, and makes one if there is none.

Laws:
- A room is found and its place is kept in one step, without an await in between: two clients never get the same place.
- The place is given back when the join has ended, however it ends.
- A room that a client was kept out of is not tried again for it; after `_TRIES` rooms it gets a new one.
- Nobody is put into a room before its `on_create` has ended, which may hide it, and nobody waits for that for longer
  than a place is kept.
- Of one client one search runs at a time, and of one user or address as many as `on_auth` may run for it.
"""

import contextlib
import math
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import trio

from ..._functions import is_overridden
from ..._protocol import codec
from ..._rooms.options import Options
from ..._rooms.state import RoomState
from ..._sessions.session import Session
from ...errors import ActionError, BadBody
from .filters import LOOKS, Filter, read_filter
from .overview import Overview
from .patterns import RoomPattern
from .records import Record
from .shares import Shares

if TYPE_CHECKING:
    from ..._rooms.runtime import RoomRuntime

_TRIES: Final = 5  # rooms that may keep a client out before it gets a room of its own
_WAITS: Final = 100  # for rooms that are being made
# What another room would say, too: the client, its options or the server is what is wrong.
_FINAL: Final = frozenset(
    {"bad-body", "busy", "cancelled", "gone", "internal", "rate-limited", "timeout", "too-large", "too-many"}
)


class Wanted:
    """What a client looks for: rooms of a pattern, with listings that fit."""

    def __init__(self, pattern: RoomPattern, asked: Mapping[str, Any]) -> None:
        """`BadBody` for a filter that does not fit the listings of the pattern's rooms."""
        self.pattern = pattern
        self.filter: Filter | None = None
        self.key = b""  # the same for all who look for the same
        if asked:
            if pattern.table is None:
                raise BadBody(f"the rooms {pattern.pattern!r} have no listing to filter by", path="$.filter")
            self.filter = read_filter(pattern.table.schema, asked)
            self.key = codec.encode_sorted(asked)

    def fits(self, record: Record) -> bool:
        """Tell whether a room fits; one that is being made does if that is for somebody who wants the same."""
        if self.filter is None:
            return True
        if record.published is not None:
            return bool(self.filter.select([record]))
        return record.runtime.state is RoomState.CREATING and record.asked_for == self.key


class Matchmaking:
    """Finds rooms for the clients of one server."""

    def __init__(self, overview: Overview) -> None:
        self._overview = overview
        self._hub = overview.hub
        self._searching: set[Session] = set()
        self._shares = Shares(overview.hub.limits.auths_per_address)

    # --- a room that fits

    async def join_or_create(
        self, session: Session, pattern: str, asked: Mapping[str, Any], options: Options
    ) -> dict[str, Any]:
        """Join the oldest room of a pattern that fits and has a free place, else a new one; return the join's answer.

        `BadBody` for a pattern that nobody may look for, and for a filter that is wrong; `ActionError` as for a join.
        """
        wanted = Wanted(self._pattern(pattern), asked)
        async with self._search(session, wanted.pattern):
            refused: set[int] = set()  # the numbers of the rooms that have kept the client out
            waits = 0
            while len(refused) < _TRIES:
                record = self._find(wanted, session, refused)
                creating = self._unready(wanted.pattern) if record is None and waits < _WAITS else None
                if creating is not None:
                    waits += 1
                    await self._wait_created(creating)
                    continue
                if record is None:
                    break
                joined = await self._try(wanted, record, session, options)
                if joined is not None:
                    return joined
                refused.add(record.number)
            new = self._make(wanted.pattern, session, options, is_private=False)
            new.asked_for = wanted.key
            return await self._join_kept(new, session, options)

    def find(self, wanted: Wanted, session: Session | None = None) -> Record | None:
        """Return the room that a client would be put into now; None if it would be a new one."""
        return self._find(wanted, session, set())

    def _find(self, wanted: Wanted, session: Session | None, refused: set[int]) -> Record | None:
        openings = wanted.pattern.openings
        for record in self._candidates(wanted):
            if record.number in refused or (session is not None and session in record.runtime.members):
                continue
            if not wanted.fits(record) or self._seconds_to_wait(record.runtime) <= 0:
                continue
            if self._overview.free(record) > 0:
                return record
            openings.discard(record)
        return None

    def _candidates(self, wanted: Wanted) -> list[Record]:
        """Return the rooms with free places among which to look, the oldest first; at most `LOOKS`."""
        openings, table = wanted.pattern.openings, wanted.pattern.table
        if wanted.filter is not None and table is not None and len(openings) > LOOKS:
            few = table.few(wanted.filter, wanted.filter.looks)
            if few is not None:
                return sorted((record for record in few if record in openings), key=lambda record: record.number)
        return openings.oldest(LOOKS if wanted.filter is None else wanted.filter.looks)

    def _unready(self, pattern: RoomPattern) -> "RoomRuntime | None":
        """Return a room that is being made, if nobody knows yet how many clients the rooms of its pattern take."""
        runtimes = (record.runtime for record in pattern.unready.values())
        return next((runtime for runtime in runtimes if self._seconds_to_wait(runtime) > 0), None)

    def _seconds_to_wait(self, runtime: "RoomRuntime") -> float:
        """Return for how long a client may wait for a room that is being made; infinity for one that is made."""
        if runtime.state is not RoomState.CREATING:
            return math.inf
        return runtime.created_at + self._overview.reservations.seconds - trio.current_time()

    async def _wait_created(self, runtime: "RoomRuntime") -> None:
        """Wait until a room's `on_create` has ended, whether it failed or not, or has taken too long."""
        with contextlib.suppress(ActionError):  # the room is gone, and is not found any more
            with trio.move_on_after(max(0.0, self._seconds_to_wait(runtime))):
                await runtime.wait_created()

    async def _try(self, wanted: Wanted, record: Record, session: Session, options: Options) -> dict[str, Any] | None:
        """Join a room that was found; return None if it does not take the client, so that another may."""
        runtime = record.runtime
        reservation = self._overview.reserve(record, session)
        try:
            if runtime.state is RoomState.CREATING:
                await self._wait_created(runtime)
                if runtime.state is RoomState.CREATING or runtime.is_hidden or not wanted.fits(record):
                    return None
            return await self._hub.joins.join_this(runtime, session, options)
        except ActionError as error:
            if error.code in _FINAL and runtime.failure is None:
                raise
            return None
        finally:
            self._overview.reservations.release(reservation)

    # --- a new room

    async def create_private(self, session: Session, pattern: str, options: Options) -> dict[str, Any]:
        """Make a room that nobody else sees, and join it; return the join's answer with the room's `code`."""
        found = self._pattern(pattern)
        async with self._search(session, found):
            record = self._make(found, session, options, is_private=True)
            code = self._overview.codes.code_of(record.name)
            return {**await self._join_kept(record, session, options), "code": code}

    def _make(self, pattern: RoomPattern, session: Session, options: Options, *, is_private: bool) -> Record:
        """Make a room for a client; `ActionError` if that may not be."""
        hub = self._hub
        hub.check_running()
        name = pattern.new_name(hub.classes, hub.runtimes, is_private=is_private)
        hub.make(name, pattern.room_class, session, options)
        return self._overview.records[name]

    async def _join_kept(self, record: Record, session: Session, options: Options) -> dict[str, Any]:
        """Join a room in which a place is kept for the client until the join has ended."""
        reservation = self._overview.reserve(record, session)
        try:
            return await self._hub.joins.join_this(record.runtime, session, options)
        finally:
            self._overview.reservations.release(reservation)

    # --- a private room

    async def join_by_code(self, session: Session, code: str, options: Options, now: float) -> dict[str, Any]:
        """Join the private room of a code; return the join's answer with the `code`.

        `unknown-target` for a code that no room has, and `rate-limited` after too many of these.
        """
        wait = session.rates.wait_for_code(now)
        if wait is not None:
            raise ActionError("rate-limited", "too many codes were wrong", retry_after=wait)
        name = self._overview.codes.name_of(code)
        record = None if name is None else self._overview.records.get(name)
        if name is None or record is None:
            session.rates.charge_wrong_code(now)
            raise ActionError("unknown-target", "no room has this code", path="$.code")
        async with self._search(session, record.pattern):
            answer = await self._hub.joins.join_this(record.runtime, session, options)
        return {**answer, "code": self._overview.codes.code_of(name)}

    # --- what is asked for

    def _pattern(self, name: str) -> RoomPattern:
        pattern = self._overview.patterns.get(name)
        if pattern is None:
            raise BadBody(f"there are no rooms {name!r:.100} to look for", path="$.pattern")
        return pattern

    def pattern_of(self, name: str) -> RoomPattern:
        """Return the pattern of this name; `BadBody` if clients may not look for its rooms."""
        return self._pattern(name)

    @contextlib.asynccontextmanager
    async def _search(self, session: Session, pattern: RoomPattern | None) -> AsyncIterator[None]:
        """Bound what runs for one client, and where rooms of the pattern ask `on_auth`, for one user or address."""
        if session in self._searching:
            raise ActionError("busy", "a search of yours is under way already", retry_after=1)
        self._searching.add(session)
        asks = pattern is not None and is_overridden(pattern.room_class.on_auth)
        try:
            async with self._shares.one_of(session.counted_as if asks else None):
                yield
        finally:
            self._searching.discard(session)
