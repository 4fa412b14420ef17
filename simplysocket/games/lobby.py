"""The lobby, as users see it: lists the rooms of a server, and puts clients into rooms.

Law: a facade. It reads what clients ask, and hands it on to the overview and the matchmaking.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import trio

from .._protocol import codec
from .._rooms.options import read_options
from .._rooms.seconds import is_seconds
from ..client import Client
from ..errors import ActionError, BadBody, RegistrationError
from ..message import GLOBAL_ROOM
from ..middleware import Call
from ..room import Room
from ..server import Server
from ._lobby.listings import Page
from ._lobby.matchmaking import Matchmaking
from ._lobby.overview import Overview
from .lobby_room import LobbyRoom, body_of

_MOST_BYTES: Final = 4_096  # of a body without options: a filter of 8 conditions with 50 values


class _ListRooms(codec.Struct):
    after: str = ""
    filter: dict[str, Any] = msgspec.field(default_factory=dict)


class _JoinOrCreate(codec.Struct):
    pattern: str
    filter: dict[str, Any] = msgspec.field(default_factory=dict)
    options: msgspec.Raw = codec.EMPTY


class _CreatePrivate(codec.Struct):
    pattern: str
    options: msgspec.Raw = codec.EMPTY


class _JoinByCode(codec.Struct):
    code: str
    options: msgspec.Raw = codec.EMPTY


_read_list_rooms: Final = codec.body_decoder(_ListRooms)
_read_join_or_create: Final = codec.body_decoder(_JoinOrCreate)
_read_create_private: Final = codec.body_decoder(_CreatePrivate)
_read_join_by_code: Final = codec.body_decoder(_JoinByCode)


class Lobby:
    """The lobby of a server: its clients see which rooms there are, and find, make and share rooms to play in.

    `server`: the one whose rooms it lists; at most one lobby for each. `room`: the name of the room that clients join
    to be sent the list and what changes in it; it is opened with the server and is not listed. `room_class`: its
    class, `LobbyRoom` or one derived from it. `match`: the patterns, as given to `Server.room`, of which clients may
    look for rooms and make new ones; each has one `*`. None: all with one `*` whose class is `open`. `reserve_seconds`:
    for how long a place is kept for a client whose join takes long.

    It registers the actions `list-rooms` (in place of the built-in one), `join-or-create`, `create-private` and
    `join-by-code`, which docs/protocol.md describes under "A lobby". Raises `RegistrationError` for an option that
    cannot work, some only when the server begins to serve.
    """

    def __init__(
        self,
        server: Server,
        room: str = "lobby",
        *,
        room_class: type[LobbyRoom[Any]] = LobbyRoom,
        match: Iterable[str] | None = None,
        reserve_seconds: float = 10.0,
    ) -> None:
        assembly = server._assembly
        assembly.check_idle("a lobby")
        if assembly.hub.listing.directory is not None:
            raise RegistrationError(f"server {server.name!r} has a lobby already")
        if not (isinstance(room_class, type) and issubclass(room_class, LobbyRoom)):
            raise RegistrationError(f"Lobby(room_class={room_class!r:.100}): give a subclass of LobbyRoom")
        patterns = _read_match(match)
        if not (is_seconds(reserve_seconds) and reserve_seconds > 0):
            raise RegistrationError(f"Lobby(reserve_seconds={reserve_seconds!r:.100}): give seconds above 0")
        if not isinstance(room, str) or "*" in room:
            raise RegistrationError(f"Lobby(room={room!r:.100}): give the name of one room")
        server.room(room)(room_class)
        for name, handler in (
            ("join-or-create", self._join_or_create),
            ("create-private", self._create_private),
            ("join-by-code", self._join_by_code),
        ):
            server.action(name, turn=False)(handler)
        server.action("list-rooms")(self._list_rooms)
        self._overview = Overview(assembly.hub, room, patterns, reserve_seconds)
        self._matchmaking = Matchmaking(self._overview)
        assembly.hub.listing.directory = self._overview

    # --- for the server's own code

    def find(self, filter: Mapping[str, Any] | None = None, *, after: str = "") -> list[Room[Any]]:
        """Return the first rooms after a name that others may see and whose listings fit, at most 100 of them.

        They are in the order of their names. Looks at 1,000 rooms at most, so there may be fewer than fit: go on with
        the last name as `after`. `BadBody` for a filter that is wrong.
        """
        return [record.runtime.room for record in self._page(filter or {}, after).records]

    def code_of(self, room: Room[Any]) -> str | None:
        """Return the code of a private room, such as "balo-mitu-dora"; None for any other."""
        return self._overview.codes.code_of(room.name)

    async def join_or_create(
        self,
        client: Client[Any],
        pattern: str,
        *,
        filter: Mapping[str, Any] | None = None,
        options: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Put a client into the oldest room of a pattern with a free place that fits, or else into a new one.

        Returns the answer to a join, as `Client.join` does. The place is kept for the client from the moment at
        which the room is found. `options` are those of the join. Raises `BadBody` for a wrong pattern or filter,
        and `ActionError` if the join is refused: by a new room, or for a reason that other rooms would have, too.
        """
        return await self._matchmaking.join_or_create(client._session, pattern, filter or {}, options or {})

    async def create_private(
        self, client: Client[Any], pattern: str, *, options: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Make a room of a pattern that is not listed, and put a client into it; the answer also holds its `code`."""
        return await self._matchmaking.create_private(client._session, pattern, options or {})

    async def join_by_code(
        self, client: Client[Any], code: str, *, options: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Put a client into the private room with this code; `ActionError` `unknown-target` if there is none."""
        return await self._matchmaking.join_by_code(client._session, code, options or {}, trio.current_time())

    # --- for clients

    async def _list_rooms(self, call: Call) -> dict[str, Any]:
        _check_size(call, _MOST_BYTES)
        if call.room.name == GLOBAL_ROOM:  # in another room, whose turn this is, its own members wait
            await self._overview.searches.turn()
        asked = _read_list_rooms(call.envelope.message_body)
        body = body_of(self._page(asked.filter, asked.after), len(self._overview.listings))
        return _answer(call, body)

    async def _join_or_create(self, call: Call) -> dict[str, Any]:
        _charge_join(call)
        asked = _read_join_or_create(call.envelope.message_body)
        options = _own_options(asked.options)
        session = call.client._session
        return _answer(call, await self._matchmaking.join_or_create(session, asked.pattern, asked.filter, options))

    async def _create_private(self, call: Call) -> dict[str, Any]:
        _charge_join(call)
        asked = _read_create_private(call.envelope.message_body)
        options = _own_options(asked.options)
        return _answer(call, await self._matchmaking.create_private(call.client._session, asked.pattern, options))

    async def _join_by_code(self, call: Call) -> dict[str, Any]:
        _charge_join(call)
        asked = _read_join_by_code(call.envelope.message_body)
        options, now = _own_options(asked.options), trio.current_time()
        return _answer(call, await self._matchmaking.join_by_code(call.client._session, asked.code, options, now))

    def _page(self, asked: Mapping[str, Any], after: str) -> Page:
        if not asked:
            return self._overview.page(after)
        return self._overview.listings.search(asked, after, self._overview.listings.tables)


def _read_match(match: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the option `match=`; `RegistrationError` if it is no list of texts."""
    patterns = None if match is None or isinstance(match, str) else tuple(match)
    if isinstance(match, str) or not all(isinstance(each, str) for each in patterns or ()):
        raise RegistrationError(f'Lobby(match={match!r:.100}): give a list of patterns, such as ["duel-*"]')
    return patterns


def _answer(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """Answer a message without an id as built-in actions do: by a message of the same action."""
    call.client._session.tell_without_id(call.envelope, body)
    return body


def _check_size(call: Call, most: int | None) -> None:
    size = memoryview(call.envelope.message_body).nbytes
    if most is not None and size > most:
        raise ActionError("too-large", f"{call.action} holds {size} bytes, and {most} is the most")


def _charge_join(call: Call) -> None:
    """Bound a join as the built-in one is: its size and its rate."""
    session = call.client._session
    _check_size(call, session.home.limits.join_bytes)
    wait = session.rates.charge_join(trio.current_time())
    if wait is not None:
        raise ActionError("rate-limited", "too many joins", retry_after=wait)


def _own_options(options: msgspec.Raw) -> msgspec.Raw:
    """Return the options without the rest of the frame, which they would hold on to; `BadBody` if that is no object."""
    try:
        read_options(options)
    except BadBody as fault:
        raise BadBody(fault.message, path="$.options") from None
    return options.copy()
