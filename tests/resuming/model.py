"""Coming back, as a specification: both sides as pure functions over small values.

It knows nothing of the package, so that the package can be tested by it. Frames are words: `s1` is a plain frame of the
server, `~s1` a volatile one and `=s1` a coalesced one; `c1` is a message of the client, `?c1` a request, and `!c1` the
reply to it. Tokens and connections are numbers that are never used twice. Each function returns the new state and what
its side puts out. `search.py` walks through all that can happen between the two sides; `README.md` tells how.
"""

from typing import NamedTuple

Words = tuple[str, ...]
MOST_TOKENS = 4
NOT_AGAIN = {1002, 1003, 1007, 1008, 1009}


class Offer(NamedTuple):
    token: int  # 0: asks for a new session
    received: int | None = 0  # None: the page has lost its state
    sent: int = 0


class Answer(NamedTuple):
    """What `welcome` says, or a Close. The frames that go to the wire follow it."""

    outcome: str  # resumed, gap, new; taken: 3502
    token: int = 0
    received: int = 0  # of the client's messages
    reason: str | None = None


class Client(NamedTuple):
    token: int = 0  # the newest that it has read
    received: int | None = 0
    sent: int = 0
    kept: Words = ()  # not acknowledged; the last one has the number `sent`
    waiting: Words = ()  # said without a connection: not numbered yet
    requests: Words = ()  # under way or waiting, and wanted
    is_open: bool = False
    was_taken: bool = False  # closed with 3502 since the server was last known to hear this client


def client_offers(client: Client) -> tuple[Client, Offer]:
    if not client.token:
        return client._replace(is_open=False), Offer(0)
    return client._replace(is_open=False), Offer(client.token, client.received, client.sent)


def client_opens(client: Client, answer: Answer) -> tuple[Client, Words, Words]:
    """Return the client after `welcome`, what it sends now, and the requests that have ended with `gone`."""
    if answer.outcome == "new" and client.token:  # another client now: what it said before is given up
        return Client(answer.token, is_open=True, was_taken=client.was_taken), (), client.requests
    under_way = tuple(each for each in client.requests if each not in client.waiting)
    gone = under_way if answer.outcome == "gap" else ()
    requests = tuple(each for each in client.requests if each not in gone)
    lacking = client.kept[len(client.kept) - max(0, client.sent - answer.received) :]
    again = tuple(each for each in lacking + client.waiting if each[0] != "?" or each in requests)
    received = 0 if answer.reason == "reload" or client.received is None else client.received
    sent = answer.received + len(again)
    return Client(answer.token, received, sent, again, (), requests, True, client.was_taken), again, gone


def client_says(client: Client, word: str) -> tuple[Client, Words]:
    if word[0] == "?":
        client = client._replace(requests=(*client.requests, word))
    if not client.is_open:
        return client._replace(waiting=(*client.waiting, word)), ()
    return client._replace(sent=client.sent + 1, kept=(*client.kept, word)), (word,)


def client_hears(client: Client, word: str) -> Client:
    assert client.received is not None
    requests = tuple(each for each in client.requests if each[1:] != word[1:] or word[0] != "!")
    return client._replace(received=client.received + 1, requests=requests)


def client_gives_up(client: Client, word: str) -> Client:
    """Its caller no longer waits for the answer: the request is not sent again."""
    return client._replace(requests=tuple(each for each in client.requests if each != word))


def client_is_acknowledged(client: Client, number: int) -> Client:
    """The answer to a ping: the server has what has this number, and has heard this client on this connection."""
    return client._replace(kept=client.kept[len(client.kept) - (client.sent - number) :], was_taken=False)


def client_is_closed(client: Client, code: int | None) -> tuple[Client, bool]:
    """Return whether it comes back. None: the connection was lost."""
    again = code is None or (code < 3000 and code not in NOT_AGAIN) or 3000 <= code < 3500 or 4000 <= code < 4500
    if code == 3502:
        again = not client.was_taken
    return client._replace(is_open=False, was_taken=client.was_taken or code == 3502), again


def client_reloads(client: Client) -> Client:
    return Client(client.token, None if client.token else 0)


class Token(NamedTuple):
    number: int
    untold: str | None = None  # a gap of which its holder has not been told


class Server(NamedTuple):
    """One session."""

    valid: tuple[Token, ...]  # the first is what the client was last known to hold, the last is the newest
    superseded: tuple[int, ...] = ()
    received: int = 0
    sent: int = 0
    settled: int = 0  # `sent` when the newest token was given
    kept: Words = ()  # on the wire and not acknowledged; the last one has the number `sent`
    waiting: Words = ()  # not on the wire yet
    gap: str | None = None
    requests: Words = ()
    is_heard: bool = False
    connection: int | None = None
    is_stalled: bool = False  # the socket takes nothing
    most: int = 9  # frames that are kept, volatile ones not counted


def server_begins(token: int, connection: int, most: int) -> Server:
    return Server((Token(token),), connection=connection, most=most)


def server_is_asked(
    server: Server, offer: Offer, token: int, connection: int, is_stalled: bool = False
) -> tuple[Server, Answer, Words]:
    """A client comes back. `token` is for its `welcome`. With `taken` and `new` this session stays as it is."""
    if offer.token in server.superseded:
        return server, Answer("taken"), ()
    place = [each.number for each in server.valid].index(offer.token)
    held, newer = server.valid[place], server.valid[place + 1 :]
    if offer.received is not None and (server.received > offer.sent or (not newer and offer.received > server.sent)):
        return server, Answer("new"), ()
    if offer.received is None:
        reason: str | None = "reload"
    else:
        is_lost = offer.received < server.sent - len(server.kept) or (newer and offer.received != server.settled)
        reason = held.untold or server.gap or ("overflow" if is_lost else None)
    superseded = (*server.superseded, *(each.number for each in server.valid[:place]))
    valid = server.valid[place:]
    if reason is not None:  # who has not read this `welcome` must be told later
        valid = tuple(each._replace(untold="overflow" if reason == "reload" else reason) for each in valid)
    if len(valid) == MOST_TOKENS:
        superseded, valid = (*superseded, valid[1].number), (valid[0], *valid[2:])
    sent = offer.received or 0
    again = () if reason else lacking(server.kept[len(server.kept) - (server.sent - sent) :] + server.waiting)
    server = server._replace(
        valid=(*valid, Token(token)), superseded=superseded, sent=sent, settled=sent, kept=(), waiting=again, gap=None
    )
    server = server._replace(connection=connection, is_stalled=is_stalled, requests=() if reason else server.requests)
    server, wire = server_writes(server)
    return server, Answer("gap" if reason else "resumed", token, server.received, reason), wire


def lacking(words: Words) -> Words:
    """Leave out what a replay leaves out: volatile frames, and all but the newest of the coalesced ones."""
    newest = [each for each in words if each[0] == "="][-1:]
    return tuple(each for each in words if each[0] != "~" and (each[0] != "=" or each in newest))


def server_writes(server: Server) -> tuple[Server, Words]:
    """What waits goes to the wire, and gets its numbers, once the socket takes it."""
    words = server.waiting
    if server.connection is None or server.is_stalled or not words:
        return trimmed(server), ()
    return trimmed(server._replace(sent=server.sent + len(words), kept=server.kept + words, waiting=())), words


def trimmed(server: Server) -> Server:
    """Keep the bound: the oldest frames on the wire go first; when one that waits must go, all of them are lost."""
    kept, waiting = server.kept, server.waiting
    while kept and sum(each[0] != "~" for each in kept + waiting) > server.most:
        kept = kept[1:]
    if len(waiting) > server.most:
        return server._replace(kept=(), waiting=(), gap="overflow")
    return server._replace(kept=kept)


def server_says(server: Server, word: str) -> tuple[Server, Words]:
    is_flowing = server.connection is not None and not server.is_stalled
    if server.gap or (word[0] == "~" and not is_flowing):
        return server, ()  # told as a gap later; or volatile
    waiting = server.waiting if word[0] != "=" else tuple(each for each in server.waiting if each[0] != "=")
    return server_writes(server._replace(waiting=(*waiting, word)))


def server_hears(server: Server, word: str) -> Server:
    requests = (*server.requests, word) if word[0] == "?" else server.requests
    return heard(server)._replace(received=server.received + 1, requests=requests)


def server_is_pinged(server: Server, received: int) -> Server:
    """The client acknowledges, and is told `server.received`."""
    kept = server.kept[max(0, len(server.kept) - (server.sent - received)) :]
    return heard(server)._replace(kept=kept)


def heard(server: Server) -> Server:
    """A frame came on the connection of the newest token: the client holds no older one."""
    superseded = (*server.superseded, *(each.number for each in server.valid[:-1]))
    return server._replace(is_heard=True, valid=server.valid[-1:], superseded=superseded)


def server_loses(server: Server) -> Server | None:
    """Its connection is lost: the session is kept if its client was ever heard."""
    return server._replace(connection=None, is_stalled=False) if server.is_heard else None


def server_finds_slow(server: Server) -> Server | None:
    """It closes the connection of a client that reads too slowly (3008), and what waited is lost."""
    kept = server_loses(server)
    return kept and kept._replace(kept=(), waiting=(), gap="slow")
