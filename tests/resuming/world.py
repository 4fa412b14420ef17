"""Everything that can happen between a client and its server, as steps from one world to the next.

A world is both sides (`model.py`), the network between them, and what each side's application has seen. On the way the
promises are checked that can be broken by a single step; `search.py` checks the others.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from . import model
from .model import Answer, Client, Offer, Server, Words


class Plan(NamedTuple):
    """What may happen in a search: the words that each side says, in this order, and how often the rest happens."""

    client: Words = ("c1", "c2")
    server: Words = ("s1", "s2")
    drops: int = 3
    late: int = 1  # attempts that arrive after the client has given them up
    pings: int = 0  # beside those after `welcome`
    reloads: int = 0
    stalls: int = 0  # sockets that take nothing for a while
    slow: int = 0  # clients that are closed since their socket takes nothing
    give_ups: int = 0  # requests whose answer the caller no longer waits for
    graces: int = 0  # sessions that are away for too long
    most: int = 9  # frames that a session keeps


class Welcome(NamedTuple):
    """An answer on its way. With a gap, what the server said up to `excused` may be missing."""

    answer: Answer
    session: int
    excused: int


class Close(NamedTuple):
    code: int


class Connection(NamedTuple):
    number: int
    up: tuple[Offer | str | int, ...] = ()  # an int is a ping, with how many frames the client has received
    down: tuple[Welcome | Close | str | int, ...] = ()  # an int is the answer to a ping
    has_client: bool = True  # whether the client reads and writes it
    session: int | None = None  # whose connection it is to the server


class World(NamedTuple):
    left: Plan  # what may still happen
    client: Client = Client()
    sessions: tuple[tuple[int, Server], ...] = ()
    connections: tuple[Connection, ...] = ()
    numbers: int = 0  # tokens and connections so far
    said: tuple[tuple[int, Words], ...] = ()  # what the server said in each session
    session: int = 0  # that of the client
    seen: int = 0  # of what was said in that session, the client has seen or need not see so many words
    excused: int = 0  # it was told that words before this one may be missing
    asked: Words = ()  # what the client said
    handled: int = 0  # of that, the server has handled or will never handle so many words
    given_up: frozenset[str] = frozenset()  # what the client was told to be lost, or gave up itself


class Event(NamedTuple):
    """One call of one side's machine: what goes in, and what comes out."""

    side: str
    do: str
    given: tuple[Any, ...] = ()  # Any: what the step takes
    out: tuple[Any, ...] = ()


class Step(NamedTuple):
    world: World
    events: tuple[Event, ...]
    is_free: bool = True  # whether it happens sooner or later by itself


class BrokenPromise(AssertionError):
    """A promise of the protocol that the model does not keep."""


def promise(is_kept: bool, what: str) -> None:
    if not is_kept:
        raise BrokenPromise(what)


# --- the parts of a world


def change(world: World, connection: Connection | None, server: Server | None = None, number: int = 0) -> World:
    """Return the world with this connection, and with `server` as the session of this number."""
    if connection is not None:
        is_done = not connection.has_client and connection.session is None and not is_offer_under_way(connection)
        others = [each for each in world.connections if each.number != connection.number]
        world = world._replace(connections=tuple(sorted(others if is_done else [*others, connection])))
    if server is not None:
        rest = [each for each in world.sessions if each[0] != number]
        world = world._replace(sessions=tuple(sorted([*rest, (number, server)])))
    return world


def forget(world: World, number: int) -> World:
    return world._replace(sessions=tuple(each for each in world.sessions if each[0] != number))


def is_offer_under_way(connection: Connection) -> bool:
    return bool(connection.up) and isinstance(connection.up[0], Offer)


def with_down(connection: Connection, *items: Welcome | Close | str | int) -> Connection:
    return connection._replace(down=connection.down + items) if connection.has_client else connection


def with_up(connection: Connection, *items: str | int) -> Connection:
    is_heard = connection.session is not None
    return connection._replace(up=connection.up + items) if is_heard else connection


def of_client(world: World) -> Connection | None:
    return next((each for each in world.connections if each.has_client), None)


def of_session(world: World, number: int) -> Connection | None:
    return next((each for each in world.connections if each.session == number), None)


# --- what can happen


def steps(world: World) -> Iterator[Step]:
    yield from client_acts(world)
    for number, server in world.sessions:
        yield from server_acts(world, number, server)
    for connection in world.connections:
        if connection.up:
            yield from arrive_up(world, connection)
        if connection.down:
            yield from arrive_down(world, connection)
        yield from losses(world, connection)


def client_acts(world: World) -> Iterator[Step]:
    left, client, connection = world.left, world.client, of_client(world)
    if connection is None:
        client, offer = model.client_offers(client)
        made = Connection(world.numbers + 1, (offer,))
        yield Step(
            change(world._replace(client=client, numbers=made.number), made), (client_event("offer", (), offer),)
        )
    if left.client:
        word, *rest = left.client
        said, wire = model.client_says(client, word)
        then = world._replace(client=said, left=left._replace(client=tuple(rest)), asked=(*world.asked, word))
        yield Step(change(then, connection and with_up(connection, *wire)), (client_event("say", (word,), *wire),))
    if left.pings and client.is_open and connection is not None:
        then = world._replace(left=left._replace(pings=left.pings - 1))
        yield Step(*pinged(then, connection), is_free=False)
    if left.give_ups and client.requests:
        word = client.requests[0]
        then = world._replace(client=model.client_gives_up(client, word), given_up=world.given_up | {word})
        then = then._replace(left=left._replace(give_ups=left.give_ups - 1))
        yield Step(then, (client_event("give_up", (word,)),), is_free=False)
    if left.reloads:
        then = world._replace(left=left._replace(reloads=left.reloads - 1), given_up=frozenset(world.asked))
        then = then._replace(client=model.client_reloads(client), seen=0, excused=0)
        for each in abandoned(then, connection):
            yield Step(each, (client_event("reload"),), is_free=False)


def abandoned(world: World, connection: Connection | None) -> Iterator[World]:
    """The client no longer reads or writes its connection. An offer that has not arrived may do so late, or never."""
    if connection is None:
        yield world
        return
    gone = connection._replace(has_client=False, down=())
    if not is_offer_under_way(connection):
        yield change(world, gone)
        return
    yield change(world, gone._replace(up=()))
    if world.left.late:
        yield change(world._replace(left=world.left._replace(late=world.left.late - 1)), gone)


def pinged(world: World, connection: Connection) -> tuple[World, tuple[Event, ...]]:
    received = world.client.received or 0
    return change(world, with_up(connection, received)), (client_event("ping", (), received),)


def server_acts(world: World, number: int, server: Server) -> Iterator[Step]:
    left, connection = world.left, of_session(world, number)
    words = left.server[:1] if number == world.sessions[-1][0] else ()
    for word in (*words, *("!" + each[1:] for each in server.requests)):
        requests = tuple(each for each in server.requests if each[1:] != word[1:] or word[0] != "!")
        after, wire = model.server_says(server._replace(requests=requests), word)
        then = world._replace(left=left._replace(server=left.server[1:])) if word in words else world
        said = dict(world.said)
        said[number] = (*said[number], word)
        then = then._replace(said=tuple(sorted(said.items())))
        then = change(then, connection and with_down(connection, *wire), after, number)
        yield Step(then, (server_event("say", (number, word), *wire),))
    if left.stalls and connection is not None and not server.is_stalled:
        then = world._replace(left=left._replace(stalls=left.stalls - 1))
        yield Step(
            change(then, None, server._replace(is_stalled=True), number), (server_event("stall", (number,)),), False
        )
    if server.is_stalled and connection is not None:
        after, wire = model.server_writes(server._replace(is_stalled=False))
        event = server_event("flow", (number,), *wire)
        yield Step(change(world, with_down(connection, *wire), after, number), (event,))
    if left.slow and server.is_stalled and connection is not None:
        then = world._replace(left=left._replace(slow=left.slow - 1))
        yield Step(server_leaves(then, connection, Close(3008)), (server_event("slow", (number,)),), False)
    if left.graces and connection is None:
        then = forget(world._replace(left=left._replace(graces=left.graces - 1)), number)
        yield Step(then, (server_event("grace", (number,)),), False)


def server_leaves(world: World, connection: Connection, *last: Close) -> World:
    """The server no longer reads or writes this connection."""
    number, server = connection.session, dict(world.sessions)[connection.session or 0]
    assert number is not None
    after = model.server_finds_slow(server) if last else model.server_loses(server)
    world = change(forget(world, number), with_down(connection, *last)._replace(session=None, up=()))
    return change(world, None, after, number)


def losses(world: World, connection: Connection) -> Iterator[Step]:
    """Each side can lose the connection at any time; the other one notices later, and reads until then."""
    left, is_accepted = world.left, not is_offer_under_way(connection)
    if connection.has_client and (left.drops or (is_accepted and connection.session is None)):
        is_noticed = is_accepted and connection.session is None
        client, again = model.client_is_closed(world.client, None)
        then = world._replace(client=client)
        if not is_noticed:
            then = then._replace(left=left._replace(drops=left.drops - 1))
        for each in abandoned(then, connection):
            yield Step(each, (client_event("closed", (None,), again),), is_noticed)
    if connection.session is not None and (left.drops or not connection.has_client):
        then = world
        if connection.has_client:
            then = world._replace(left=left._replace(drops=left.drops - 1))
        event = server_event("lose", (connection.number,))
        yield Step(server_leaves(then, connection), (event,), not connection.has_client)
    if not connection.has_client and not is_accepted:
        yield Step(change(world, connection._replace(up=())), ())  # the late attempt never arrives


# --- what arrives


def arrive_up(world: World, connection: Connection) -> Iterator[Step]:
    first = connection.up[0]
    connection = connection._replace(up=connection.up[1:])
    if isinstance(first, Offer):
        yield offered(world, connection, first, is_stalled=False)
        if world.left.stalls and not connection.has_client and first.token:
            left = world.left._replace(stalls=world.left.stalls - 1)
            yield offered(world._replace(left=left), connection, first, is_stalled=True)
        return
    number = connection.session
    assert number is not None
    server = dict(world.sessions)[number]
    if isinstance(first, int):
        if not server.is_stalled:  # else it waits behind what waits
            promise(first <= server.sent, "a client has received no more than was sent")
            after = model.server_is_pinged(server, first)
            event = server_event("ping", (connection.number, first), after.received)
            yield Step(change(world, with_down(connection, after.received), after, number), (event,))
        return
    place = world.asked.index(first)
    promise(place >= world.handled, f"{first} is handled once and in order")
    promise(set(world.asked[world.handled : place]) <= world.given_up, f"before {first}, everything is handled")
    after = model.server_hears(server, first)
    event = server_event("hear", (connection.number, first), after.received)
    yield Step(change(world._replace(handled=place + 1), connection, after, number), (event,))


def offered(world: World, connection: Connection, offer: Offer, *, is_stalled: bool) -> Step:
    token = world.numbers + 1
    world = world._replace(numbers=token)
    event = ("offered", (connection.number, offer, is_stalled))
    for number, server in world.sessions:
        if offer.token not in server.superseded and all(offer.token != each.number for each in server.valid):
            continue
        after, answer, wire = model.server_is_asked(server, offer, token, connection.number, is_stalled)
        promise(answer.outcome != "new", "a session that is kept is found again")
        if answer.outcome == "taken":
            promise(not connection.has_client, "a client that comes back is let in")
            return Step(change(world, with_down(connection, Close(3502))), (server_event(*event, answer, None),))
        old = of_session(world, number)
        if old is not None:  # it is read no more
            world = change(world, with_down(old, Close(3502))._replace(session=None, up=()))
        welcome = Welcome(answer, number, len(dict(world.said)[number]) - len(after.waiting) - len(wire))
        taken = with_down(connection._replace(session=number), welcome, *wire)
        happened = server_event(*event, answer, old and old.number, *wire)
        return Step(change(world, taken, after, number), (happened,))
    number, answer = token, Answer("new", token)
    after = model.server_begins(token, connection.number, world.left.most)
    world = world._replace(said=tuple(sorted({**dict(world.said), number: ()}.items())))
    begun = with_down(connection._replace(session=number), Welcome(answer, number, 0))
    return Step(change(world, begun, after, number), (server_event(*event, answer, None),))


def arrive_down(world: World, connection: Connection) -> Iterator[Step]:
    client, first = world.client, connection.down[0]
    connection = connection._replace(down=connection.down[1:])
    if isinstance(first, Welcome):
        had_token = bool(client.token)
        client, words, gone = model.client_opens(client, first.answer)
        if first.answer.outcome == "new":
            promise(not had_token or world.session not in dict(world.sessions), "only a session that has ended is new")
            lost = world.client.kept + world.client.waiting if had_token else ()
            world = world._replace(session=first.session, seen=0, excused=0, given_up=world.given_up | {*lost, *gone})
        elif first.answer.outcome == "gap":
            world = world._replace(excused=first.excused, given_up=world.given_up | {*gone})
        event = client_event("opened", (first.answer,), words, gone)
        then, events = pinged(world._replace(client=client), with_up(connection, *words))
        yield Step(then, (event, *events))
    elif isinstance(first, Close):
        client, again = model.client_is_closed(client, first.code)
        promise(again, "the client may come back")
        then = change(world._replace(client=client), connection._replace(has_client=False, down=()))
        yield Step(then, (client_event("closed", (first.code,), again),))
    elif isinstance(first, int):
        client = model.client_is_acknowledged(client, first)
        yield Step(change(world._replace(client=client), connection), (client_event("pong", (first,)),))
    else:
        place = dict(world.said)[world.session].index(first)
        promise(place >= world.seen, f"{first} is seen once and in order")
        missing = not_seen(world, place)
        promise(not missing, f"{missing} before {first}: seen, or told to be missing")
        world = world._replace(client=model.client_hears(client, first), seen=place + 1)
        yield Step(change(world, connection), (client_event("hear", (first,)),))


def not_seen(world: World, end: int | None = None) -> Words:
    """Return what the client should have seen before the word at this place, and was not told to be missing."""
    words = dict(world.said)[world.session][:end]
    rest = words[max(world.seen, world.excused) :]
    newest = [each for each in dict(world.said)[world.session] if each[0] == "="][-1:]
    return tuple(each for each in rest if each[0] != "~" and (each[0] != "=" or each in newest))


def client_event(do: str, given: tuple[object, ...] = (), *out: object) -> Event:
    return Event("client", do, given, out)


def server_event(do: str, given: tuple[object, ...] = (), *out: object) -> Event:
    return Event("server", do, given, out)
