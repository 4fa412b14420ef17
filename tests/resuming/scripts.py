"""What an honest client and its network do not do: scripts for one side alone, played by the model.

A script is a list of calls, each with what goes in; `run` lets the model say what comes out.
"""

from collections.abc import Iterator

from . import model
from .model import Answer, Client, Offer, Server
from .world import Event

Call = tuple[object, ...]  # the name of a step, and what goes into it

NEW, OPENED = Offer(0), ("opened", Answer("new", 1))

CLIENT_SCRIPTS: dict[str, list[Call]] = {
    "each Close says whether to come back": [
        ("offer",),
        OPENED,
        *(
            ("closed", code)
            for code in (
                *(None, 1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015),
                *(3000, 3001, 3004, 3005, 3008, 3012, 3013, 3499, 3500, 3501, 3503, 3504, 3999),
                *(4000, 4499, 4500, 4999),
            )
        ),
    ],
    "the second 3502 is final": [
        *(("offer",), OPENED, ("closed", 3502), ("offer",)),
        *(("opened", Answer("resumed", 2)), ("closed", 3502)),
    ],
    "a 3502 while the connection is opened is final after another": [
        *(("offer",), OPENED, ("closed", 3502), ("offer",), ("closed", 3502)),
    ],
    "an answered ping forgives a 3502": [
        *(("offer",), OPENED, ("closed", 3502), ("offer",), ("opened", Answer("resumed", 2)), ("ping",)),
        *(("pong", 0), ("closed", 3502)),
    ],
    "a lost connection forgives no 3502": [
        *(("offer",), OPENED, ("closed", 3502), ("offer",), ("closed", None), ("offer",), ("closed", 3502)),
    ],
    "what is said without a connection is sent in its order behind what was not acknowledged": [
        *(("say", "c1"), ("offer",), ("say", "c2"), OPENED, ("say", "c3"), ("closed", None), ("say", "c4")),
        *(("offer",), ("say", "c5"), ("opened", Answer("resumed", 2, 1)), ("say", "c6"), ("pong", 3)),
        *(("closed", 3012), ("offer",), ("opened", Answer("resumed", 3, 5))),
    ],
    "a request that was given up is not sent again": [
        *(("offer",), OPENED, ("say", "?c1"), ("say", "c2"), ("closed", None), ("give_up", "?c1"), ("say", "?c3")),
        *(("offer",), ("opened", Answer("resumed", 2, 0)), ("hear", "!c3"), ("closed", None), ("offer",)),
        *(("opened", Answer("gap", 3, 1, "overflow")),),
    ],
    "a gap ends the requests that were sent, and no others": [
        *(("offer",), OPENED, ("say", "?c1"), ("say", "?c2"), ("say", "c3"), ("hear", "!c1"), ("closed", 3008)),
        *(("say", "?c4"), ("offer",), ("opened", Answer("gap", 2, 1, "slow")), ("hear", "!c2"), ("hear", "!c4")),
    ],
    "a new session gives up what was said in the one before": [
        *(("offer",), OPENED, ("say", "?c1"), ("say", "c2"), ("closed", None), ("say", "?c3"), ("say", "c4")),
        *(("offer",), ("opened", Answer("new", 2)), ("say", "c5"), ("hear", "s1"), ("closed", None), ("offer",)),
    ],
    "a page that lost its state counts anew": [
        *(("offer",), OPENED, ("say", "c1"), ("hear", "s1"), ("reload",), ("say", "c2"), ("offer",), ("closed", None)),
        *(("offer",), ("opened", Answer("gap", 2, 7, "reload")), ("say", "c3"), ("hear", "s2"), ("closed", None)),
        *(("offer",), ("opened", Answer("resumed", 3, 8))),
    ],
}

SERVER_SCRIPTS: dict[str, list[Call]] = {
    "a position that was never reached gets a new session, and the old connection stays": [
        *(("offered", 1, NEW, False), ("ping", 1, 0), ("say", 1, "s1"), ("hear", 1, "c1")),
        *(("offered", 2, Offer(1, 2, 1), False), ("offered", 3, Offer(1, 1, 0), False)),
        *(("offered", 4, Offer(1, 2**53, 1), False), ("hear", 1, "c2")),
    ],
    "an unknown token gets a new session": [
        ("offered", 1, Offer(99, 0, 0), False),
        ("offered", 2, Offer(99, None), False),
    ],
    "a client that was never heard leaves no session": [
        *(("offered", 1, NEW, False), ("say", 1, "s1"), ("lose", 1), ("offered", 2, Offer(1, 0, 0), False)),
    ],
    "a position before what was acknowledged is a gap": [
        *(("offered", 1, NEW, False), ("say", 1, "s1"), ("say", 1, "s2"), ("ping", 1, 2), ("lose", 1)),
        ("offered", 2, Offer(1, 1, 0), False),
    ],
    "a copied tab without its state takes the session over, and the other is told": [
        *(("offered", 1, NEW, False), ("ping", 1, 0), ("say", 1, "s1"), ("offered", 2, Offer(1, None, 0), False)),
        *(("ping", 2, 0), ("offered", 3, Offer(1, 1, 0), False)),
    ],
    "a client that reads no answer is let in again and again": [
        *(("offered", 1, NEW, False), ("ping", 1, 0), ("say", 1, "s1"), ("lose", 1)),
        *(("offered", number, Offer(1, 0, 0), False) for number in range(2, 9)),
        *(("offered", 9, Offer(3, 0, 0), False), ("offered", 10, Offer(8, 1, 0), False)),
    ],
    "who offers a token holds no older one": [
        *(("offered", 1, NEW, False), ("ping", 1, 0), ("lose", 1), ("offered", 2, Offer(1, 0, 0), False)),
        *(("offered", 3, Offer(2, 0, 0), False), ("offered", 4, Offer(1, 0, 0), False)),
    ],
    "a gap is told until it was read": [
        *(("offered", 1, NEW, False), ("ping", 1, 0), ("stall", 1), ("say", 1, "s1"), ("slow", 1), ("say", 1, "s2")),
        *(("offered", 2, Offer(1, 0, 0), False), ("say", 1, "s3"), ("lose", 2), ("say", 1, "s4")),
        *(("offered", 3, Offer(1, 0, 0), False), ("say", 1, "s5"), ("lose", 3)),
        ("offered", 4, Offer(3, 0, 0), False),
    ],
    "a late attempt below the living connection": [
        *(("offered", 1, NEW, False), ("ping", 1, 0), ("lose", 1), ("say", 1, "s1"), ("say", 1, "s2")),
        *(("offered", 2, Offer(1, 0, 0), False), ("offered", 3, Offer(1, 0, 0), True)),
        *(("offered", 4, Offer(2, 1, 0), False), ("lose", 4), ("offered", 5, Offer(4, 1, 0), False)),
    ],
    "a late attempt gives the numbers of the living connection to other frames": [
        *(("offered", 1, NEW, False), ("say", 1, "s1"), ("ping", 1, 1), ("say", 1, "~s2"), ("say", 1, "s3")),
        *(("lose", 1), ("offered", 2, Offer(1, 1, 0), False), ("say", 1, "~s4"), ("say", 1, "s5")),
        *(("offered", 3, Offer(1, 1, 0), False), ("say", 1, "s6"), ("offered", 4, Offer(2, 3, 0), False)),
    ],
    "a late attempt, and who has read nothing beyond it goes on": [
        *(("offered", 1, NEW, False), ("say", 1, "s1"), ("ping", 1, 1), ("say", 1, "s2"), ("lose", 1)),
        *(("offered", 2, Offer(1, 1, 0), False), ("offered", 3, Offer(1, 1, 0), False)),
        ("offered", 4, Offer(2, 1, 0), False),
    ],
    "a late attempt below a connection on which nothing was read": [
        *(("offered", 1, NEW, False), ("ping", 1, 0), ("lose", 1), ("say", 1, "s1"), ("say", 1, "s2")),
        *(("offered", 2, Offer(1, 0, 0), False), ("offered", 3, Offer(1, 0, 0), True)),
        ("offered", 4, Offer(2, 0, 0), False),
    ],
    "a replay leaves out volatile frames and all but the newest of a key": [
        *(("offered", 1, NEW, False), ("ping", 1, 0), ("say", 1, "=s1"), ("say", 1, "~s2"), ("say", 1, "s3")),
        *(("lose", 1), ("say", 1, "~s4"), ("say", 1, "=s5"), ("offered", 2, Offer(1, 0, 0), False), ("ping", 2, 2)),
        *(("say", 1, "s6"), ("lose", 2), ("offered", 3, Offer(2, 2, 0), False)),
    ],
    "volatile and coalesced frames that wait have no number": [
        *(("offered", 1, NEW, False), ("ping", 1, 0), ("stall", 1), ("say", 1, "=s1"), ("say", 1, "~s2")),
        *(("say", 1, "=s3"), ("say", 1, "s4"), ("flow", 1), ("lose", 1), ("offered", 2, Offer(1, 1, 0), False)),
    ],
}


def run_client(script: list[Call]) -> Iterator[Event]:
    client = Client()
    for do, *given in script:
        client, out = _client_step(client, str(do), given)
        yield Event("client", str(do), tuple(given), out)


def _client_step(client: Client, do: str, given: list[object]) -> tuple[Client, tuple[object, ...]]:
    match do, given:
        case "offer", []:
            client, offer = model.client_offers(client)
            return client, (offer,)
        case "opened", [Answer() as answer]:
            client, words, gone = model.client_opens(client, answer)
            return client, (words, gone)
        case "say", [str(word)]:
            return model.client_says(client, word)
        case "hear", [str(word)]:
            return model.client_hears(client, word), ()
        case "ping", []:
            return client, (client.received,)
        case "pong", [int(number)]:
            return model.client_is_acknowledged(client, number), ()
        case "closed", [int() | None as code]:
            client, again = model.client_is_closed(client, code)
            return client, (again,)
        case "give_up", [str(word)]:
            return model.client_gives_up(client, word), ()
        case "reload", []:
            return model.client_reloads(client), ()
    raise ValueError(f"no step of a client: {do} {given}")


class Sessions:
    """The model's sessions, by their first token."""

    def __init__(self) -> None:
        self.sessions: dict[int, Server] = {}
        self.tokens = 0

    def step(self, do: str, given: list[object]) -> tuple[object, ...]:
        match do, given:
            case "offered", [int(connection), Offer() as offer, bool(is_stalled)]:
                return self._offered(connection, offer, is_stalled)
            case "hear", [int(connection), str(word)]:
                number, server = self._on(connection)
                self.sessions[number] = server = model.server_hears(server, word)
                return (server.received,)
            case "ping", [int(connection), int(received)]:
                number, server = self._on(connection)
                self.sessions[number] = server = model.server_is_pinged(server, received)
                return (server.received,)
            case "say", [int(number), str(word)]:
                self.sessions[number], wire = model.server_says(self.sessions[number], word)
                return wire
            case "stall", [int(number)]:
                self.sessions[number] = self.sessions[number]._replace(is_stalled=True)
                return ()
            case "flow", [int(number)]:
                server = self.sessions[number]._replace(is_stalled=False)
                self.sessions[number], wire = model.server_writes(server)
                return wire
            case "slow", [int(number)]:
                self._keep(number, model.server_finds_slow(self.sessions[number]))
                return ()
            case "lose", [int(connection)]:
                number, server = self._on(connection)
                self._keep(number, model.server_loses(server))
                return ()
        raise ValueError(f"no step of a server: {do} {given}")

    def _offered(self, connection: int, offer: Offer, is_stalled: bool) -> tuple[object, ...]:
        self.tokens += 1
        for number, server in self.sessions.items():
            if offer.token in (*server.superseded, *(each.number for each in server.valid)):
                after, answer, wire = model.server_is_asked(server, offer, self.tokens, connection, is_stalled)
                if answer.outcome != "new":
                    self.sessions[number] = after
                    return (answer, None if answer.outcome == "taken" else server.connection, *wire)
        self.sessions[self.tokens] = model.server_begins(self.tokens, connection, most=9)
        return (Answer("new", self.tokens), None)

    def _on(self, connection: int) -> tuple[int, Server]:
        return next(each for each in self.sessions.items() if each[1].connection == connection)

    def _keep(self, number: int, server: Server | None) -> None:
        if server is None:
            del self.sessions[number]
        else:
            self.sessions[number] = server


def run_server(script: list[Call]) -> Iterator[Event]:
    sessions = Sessions()
    for do, *given in script:
        yield Event("server", str(do), tuple(given), sessions.step(str(do), given))
