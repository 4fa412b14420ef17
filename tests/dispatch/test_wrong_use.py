"""What a newcomer gets wrong, and what he is told: where it is, and what to write instead.

Each wrong use is a function in the table. A plain one declares something: its error
must say all by itself, before anything is served. An `async def` one happens while a
server runs: what is raised, logged and warned counts together, with the tracebacks.
"""

# mypy: ignore-errors
# The uses are wrong on purpose; what mypy says of such is tested in test_types.py.

import asyncio
import contextlib
import gc
import inspect
import logging
import re
import traceback
import warnings
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest
import trio
from trio.testing import MockClock

from simplysocket import (
    ActionError,
    Actions,
    Call,
    Client,
    Identity,
    Limits,
    Message,
    Next,
    Refuse,
    Request,
    Room,
    Server,
    action,
    middleware,
)
from simplysocket.testing import ConnectionEnded, open_server

if TYPE_CHECKING:
    from simplysocket.request import Request as HiddenRequest

Use = Callable[[Any], Awaitable[None] | None]

HERE: Final = "this file, and a line of the snippet"


@attrs.frozen
class Wrong:
    """A wrong use, and what its error must hold."""

    use: Use
    place: str
    words: tuple[str, ...]


TABLE: Final[list[Any]] = []


def wrong(*words: str, place: str = HERE) -> Callable[[Use], Use]:
    """Put a wrong use into the table: `words` must stand in the error, besides `place`."""

    def add(use: Use) -> Use:
        TABLE.append(pytest.param(Wrong(use, place, words), id=use.__name__))
        return use

    return add


@attrs.frozen
class Body:
    word: str


class Plain:
    """A class that JSON cannot become."""


class Model:
    """A class as pydantic has them."""

    model_fields: Final[dict[str, Any]] = {}

    @classmethod
    def model_validate(cls, value: Any) -> "Model":
        return cls()


class Player:
    """A state."""

    def __init__(self, name: str) -> None:
        self.name = name


async def play(server: Server, target: str = "hall") -> None:
    """Let Ana come, join the hall, ask for something there, and stay a while."""
    async with open_server(server) as net:
        with contextlib.suppress(ActionError, ConnectionEnded):  # what counts is what the server says
            ana = await net.connect("Ana")
            await ana.join("hall")
            await ana.request("act", {}, target=target)
        await trio.sleep(3)


@contextlib.asynccontextmanager
async def in_hall(server: Server) -> Any:
    """Serve, with Ana in the hall; gives the room and Ana as the server sees them."""
    async with open_server(server) as net:
        ana = await net.connect("Ana")
        await ana.join("hall")
        yield server.rooms["hall"], server.clients[ana.id]


# --- handlers


@wrong("'act'", "write `async def`")
def a_handler_that_is_not_async(server: Any) -> None:
    @server.action("act")
    def act(client: Client) -> None: ...


@wrong("'act'", "yield")
def a_handler_that_yields(server: Any) -> None:
    @server.action("act")
    async def act(client: Client) -> Any:
        yield 1


@wrong("'act'", "write `async def`", place="<lambda>")
def a_handler_that_is_a_lambda(server: Any) -> None:
    server.action("act")(lambda client: None)


@wrong("needs the action's name", '`action("...")`')
def server_action_without_a_name(server: Any) -> None:
    @server.action
    async def act(client: Client) -> None: ...


@wrong("needs the action's name", '`action("...")`')
def action_without_a_name(server: Any) -> None:
    class Game(Room):
        @action
        async def act(self) -> None: ...


@wrong("needs the action's name", '`action("...")`')
def an_action_of_a_group_without_a_name(server: Any) -> None:
    chat: Any = Actions()

    @chat.action
    async def act(client: Client) -> None: ...


@wrong("is a method", "`@action(...)` in a Room class")
def server_action_on_a_method(server: Any) -> None:
    class Game(Room):
        @server.action("act")
        async def act(self, client: Client) -> None: ...


@wrong("'act'", "is no method", "`@server.action(")
def action_on_a_plain_function(server: Any) -> None:
    @action("act")
    async def act(client: Client) -> None: ...


@wrong("'act'", "without self")
def an_action_without_self(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        @action("act")
        async def act(client: Client) -> None: ...


@wrong("'act'", "staticmethod", "write a plain method with self")
def an_action_that_is_a_static_method(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        @action("act")
        @staticmethod
        async def act(client: Client) -> None: ...


@wrong("is the handler of 'one' already", "write a method for 'two'")
def two_actions_on_one_method(server: Any) -> None:
    class Game(Room):
        @action("two")
        @action("one")
        async def act(self) -> None: ...


@wrong("two parameters that could be the body, 'first' and 'second'", "take one class with all fields")
def two_bodies(server: Any) -> None:
    @server.action("act")
    async def act(first: Body, second: Body) -> None: ...


@wrong("takes *bodies", "name what it needs")
def any_number_of_bodies(server: Any) -> None:
    @server.action("act")
    async def act(*bodies: Body) -> None: ...


@wrong("takes **fields", "name what it needs")
def any_number_of_fields(server: Any) -> None:
    @server.action("act")
    async def act(client: Client, **fields: Any) -> None: ...


@wrong("'client' without an annotation", "`client: Client`")
def a_client_without_its_annotation(server: Any) -> None:
    @server.action("act")
    async def act(client) -> None: ...


@wrong("`client: Client`")
def a_client_that_may_be_none(server: Any) -> None:
    @server.action("act")
    async def act(client: Client | None) -> None: ...


@wrong("'Nowhere' is not defined")
def an_annotation_that_does_not_exist(server: Any) -> None:
    @server.action("act")
    async def act(body: "Nowhere") -> None: ...  # noqa: F821


@wrong("'HiddenRequest' is not defined", "TYPE_CHECKING")
def an_annotation_imported_for_type_checking_only(server: Any) -> None:
    @server.action("act")
    async def act(body: "HiddenRequest") -> None: ...


@wrong("Request", "on_connect")
def a_handler_that_asks_for_the_request(server: Any) -> None:
    @server.action("act")
    async def act(client: Client, request: Request) -> None: ...


@wrong("Identity", "client.identity")
def a_handler_that_asks_for_the_identity(server: Any) -> None:
    @server.action("act")
    async def act(client: Client, identity: Identity) -> None: ...


@wrong("Plain", "make it an attrs class")
def a_body_of_a_plain_class(server: Any) -> None:
    @server.action("act")
    async def act(body: Plain) -> None: ...


@wrong("Model", "make it an attrs class")
def a_body_as_of_pydantic(server: Any) -> None:
    @server.action("act")
    async def act(body: list[Model]) -> None: ...


@wrong("union", "msgspec.Struct")
def a_body_that_is_one_of_two_classes(server: Any) -> None:
    @attrs.frozen
    class Other:
        word: int

    @server.action("act")
    async def act(body: Body | Other) -> None: ...


@wrong("'act' is registered twice", "the first is at")
def an_action_registered_twice(server: Any) -> None:
    @server.action("act")
    async def first(client: Client) -> None: ...

    @server.action("act")
    async def second(client: Client) -> None: ...


@wrong("'act' is registered twice in", "the first is at")
def an_action_twice_in_a_class(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        @action("act")
        async def first(self) -> None: ...

        @action("act")
        async def second(self) -> None: ...


@wrong("reserved", "take another name", place="'reply'")
def an_action_with_a_reserved_name(server: Any) -> None:
    server.action("reply")


@wrong("1 to 64 characters", place="''")
def an_action_without_characters(server: Any) -> None:
    server.action("")


@wrong("turn='no'", "True or False", place="'act'")
def an_option_of_an_action_that_is_no_bool(server: Any) -> None:
    action("act", turn="no")


@wrong("on_message is registered twice", "the first is at")
def on_message_registered_twice(server: Any) -> None:
    @server.on_message
    async def first(message: Message) -> None: ...

    @server.on_message
    async def second(message: Message) -> None: ...


@wrong("Actions(...)", place="server.include")
def a_room_class_included(server: Any) -> None:
    server.include(Room)


@wrong("included already", "include them last")
def an_action_added_to_a_group_that_is_included(server: Any) -> None:
    chat = Actions("chat.")
    server.include(chat)

    @chat.action("act")
    async def act(client: Client) -> None: ...


# --- room classes


@wrong("`@server.room(", place="Game")
def server_room_without_a_pattern(server: Any) -> None:
    @server.room
    class Game(Room): ...


@wrong("subclasses of Room", place="@server.room('hall')")
def a_room_class_that_is_none(server: Any) -> None:
    @server.room("hall")
    class Game: ...


@wrong("server.open_room", place="Game")
def a_room_made_by_hand(server: Any) -> None:
    class Game(Room): ...

    make: Any = Game
    server.room("hall")(make())


def register_pattern(pattern: str) -> Use:
    def use(server: Any) -> None:
        server.room(pattern)(Room)

    use.__name__ = f"the_pattern_{pattern}"
    return use


for each in (r"game-\d+", "game-?", "game-[ab]", "game-{number}", "^game$", "game-.+"):
    wrong("only `*`", place=repr(each))(register_pattern(each))


@wrong("used twice", "Game", "Other", place="'hall'")
def a_pattern_used_twice(server: Any) -> None:
    @server.room("hall")
    class Game(Room): ...

    @server.room("hall")
    class Other(Room): ...


@wrong("`async def on_create(self)`", "Game has an __init__")
def a_room_class_with_an_init(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        def __init__(self) -> None: ...


@wrong("Game.on_join", "`async def on_join`")
def a_hook_that_is_not_async(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        def on_join(self, client: Client) -> None: ...


@wrong("Game.on_join", "takes 2 arguments beside self, and is offered 1")
def a_hook_that_takes_too_much(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_join(self, client: Client, options: Any) -> None: ...


@wrong("Game.on_join", "without self")
def a_hook_without_self(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_join(client: Client) -> None: ...


@wrong("Game.on_joined", "is no hook", "on_join,")
def a_hook_by_another_name(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_joined(self, client: Client) -> None: ...


@wrong("Game.on_join", "without @action")
def a_hook_that_is_an_action(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        @action("join")
        async def on_join(self, client: Client) -> None: ...


@wrong("Game.on_message", "write `async def`")
def an_on_message_that_is_not_async(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        def on_message(self, client: Client, message: Message) -> None: ...


@wrong("hides Room.close", "name it otherwise")
def an_action_that_hides_a_method(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        @action("close")
        async def close(self) -> None: ...


@wrong("wants a Other", "take `self`")
def an_action_that_asks_for_another_room(server: Any) -> None:
    class Other(Room): ...

    @server.room("*")
    class Game(Room):
        @action("act")
        async def act(self, room: Other) -> None: ...


@wrong("is no option", "write 'capacity'", place="Game.capasity")
def an_option_that_is_misspelled(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        capasity = 8


@wrong("is no Client", "room.members[id]")
async def sending_in_a_room_without_the_client(server: Any) -> None:
    @server.action("act")
    async def act(room: Room) -> None:
        await room.send("hello", {"text": "hi"})

    await play(server)


@wrong("is 0", "give a number above 0, or None", place="Game.capacity")
def a_capacity_of_nobody(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        capacity = 0


@wrong("is -1", "give seconds, or None for ever", place="Game.empty_ttl")
def a_time_below_zero(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        empty_ttl = -1


@wrong("is 'no'", "True", place="Game.announce")
def a_switch_that_is_a_string(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        announce = "no"


# --- options


@wrong("give Limits(...)", place="limits={}")
def limits_that_are_a_dict(server: Any) -> None:
    Server(limits={})


@wrong("limits=", place="name")
def limits_in_the_place_of_the_name(server: Any) -> None:
    Server(Limits())


@wrong("above 0", "None for no limit", place="Limits.message_bytes is 0")
def a_limit_of_zero(server: Any) -> None:
    Limits(message_bytes=0)


@wrong("above 0", place="Limits.ping_seconds is -1")
def a_limit_below_zero(server: Any) -> None:
    Limits(ping_seconds=-1)


@wrong("give a number", place="Limits.connections is '100'")
def a_limit_that_is_a_string(server: Any) -> None:
    Limits(connections="100")


@wrong("cannot be lifted", place="Limits.close_seconds is None")
def a_limit_that_cannot_be_lifted(server: Any) -> None:
    Limits(close_seconds=None)


@wrong("unexpected keyword argument 'max_message_bytes'", place="Limits")
def a_limit_by_another_name(server: Any) -> None:
    Limits(max_message_bytes=10_000)


@wrong("silence_seconds", "below", place="Limits.ping_seconds is 90")
def pings_that_come_behind_the_silence(server: Any) -> None:
    Limits(ping_seconds=90, silence_seconds=60)


@wrong("1 or more", place="Limits.messages_burst is 0.5")
def a_burst_that_lets_nothing_through(server: Any) -> None:
    Limits(messages_burst=0.5)


@wrong("must begin with '/'", place="path='ws'")
def a_path_without_its_slash(server: Any) -> None:
    Server(path="ws")


@wrong("give a list", place="origins='https://example.com'")
def origins_as_one_string(server: Any) -> None:
    Server(origins="https://example.com")


@wrong("is no origin", "'https://example.com'", place="'example.com' in origins=")
def an_origin_without_its_scheme(server: Any) -> None:
    Server(origins=["example.com"])


@wrong("is no origin", "'https://example.com'", place="'*' in origins=")
def an_origin_that_is_a_star(server: Any) -> None:
    Server(origins=["*"])


@wrong("give a list", place="trusted_proxies='127.0.0.1'")
def trusted_proxies_as_one_string(server: Any) -> None:
    Server(trusted_proxies="127.0.0.1")


@wrong("no IP address or network", "'10.0.0.0/8'", place="'nginx' in trusted_proxies=")
def a_trusted_proxy_by_its_name(server: Any) -> None:
    Server(trusted_proxies=["nginx"])


@wrong("such as a class or `dict`", place="state={}")
def a_state_for_everyone_together(server: Any) -> None:
    Server(state={})


@wrong("Broker", place="broker='redis://")
def a_broker_by_its_address(server: Any) -> None:
    Server(broker="redis://localhost")


@wrong("is no directory", "Path(__file__)", place="static: 'nowhere'")
def static_files_from_nowhere(server: Any) -> None:
    server.static("/", "nowhere")


@wrong("must begin with '/'", place="static: the url 'files'")
def static_files_without_a_slash(server: Any) -> None:
    server.static("files", ".")


# --- middleware and hooks of the server


@wrong("does not take", "`async def (call, next)`")
def middleware_that_takes_only_the_call(server: Any) -> None:
    @server.middleware
    async def log(call: Call) -> object: ...


@wrong("`async def (call, next)`")
def middleware_that_is_not_async(server: Any) -> None:
    @server.middleware
    def log(call: Call, next: Next) -> object: ...


@wrong("`async def (self, call, next)`")
def middleware_of_a_room_outside_of_its_class(server: Any) -> None:
    @middleware
    async def log(call: Call, next: Next) -> object: ...


@wrong("such as KeyError", place="@server.exception_handler(<class 'BaseException'>)")
def an_exception_handler_of_everything(server: Any) -> None:
    @server.exception_handler(BaseException)
    async def anything(call: Call, error: BaseException) -> object: ...


@wrong("such as KeyError")
def an_exception_handler_of_nothing(server: Any) -> None:
    @server.exception_handler
    async def anything(call: Call, error: Exception) -> object: ...


@wrong("that is an answer", place="@server.exception_handler(ActionError)")
def an_exception_handler_of_answers(server: Any) -> None:
    @server.exception_handler(ActionError)
    async def refused(call: Call, error: ActionError) -> object: ...


@wrong("does not take", "`async def (call, error)`")
def an_exception_handler_that_takes_only_the_error(server: Any) -> None:
    @server.exception_handler(KeyError)
    async def missing(error: KeyError) -> object: ...


@wrong("plain `def (message)`")
def an_outbound_hook_that_is_async(server: Any) -> None:
    @server.outbound
    async def hook(message: Message) -> Message:
        return message


@wrong("`async def (request)`")
def an_authenticate_that_is_not_async(server: Any) -> None:
    @server.authenticate
    def who(request: Request) -> Identity:
        return Identity("ana")


@wrong("authenticate is registered twice")
def authenticate_registered_twice(server: Any) -> None:
    async def who(request: Request) -> Identity: ...

    server.authenticate(who)
    server.authenticate(who)


@wrong("`async def (client, request)`")
def an_on_connect_that_is_not_async(server: Any) -> None:
    @server.on_connect
    def hello(client: Client) -> None: ...


@wrong("`async def (client, request)`")
def an_on_connect_that_takes_too_much(server: Any) -> None:
    @server.on_connect
    async def hello(client: Client, request: Request, name: str) -> None: ...


@wrong("(client, request)")
def an_on_connect_the_other_way_round(server: Any) -> None:
    @server.on_connect
    async def hello(request: Request, client: Client) -> None: ...


@wrong("str(row.id)", place="Identity.user is 5")
def a_user_by_a_number(server: Any) -> None:
    Identity(5)


@wrong("HTTP status of 400 to 599 first", place="Refuse('no token')")
def a_refusal_without_its_status(server: Any) -> None:
    Refuse("no token")


# --- running


@wrong("give port=, unix= or listeners=", place="serve on what?")
async def serving_on_nothing(server: Any) -> None:
    await server.serve()


@wrong("from 0 to 65535", place="port '8080'")
def a_port_that_is_a_string(server: Any) -> None:
    server.run("127.0.0.1", port="8080")


@wrong("port=8080", place="host 8080")
def a_port_in_the_place_of_the_host(server: Any) -> None:
    server.run(8080, 0)


@wrong("take one of this machine's", place="203.0.113.1")
def a_host_that_is_another_machine(server: Any) -> None:
    server.run("203.0.113.1", 0)


@wrong("await server.serve(", place="run")
async def running_inside_of_trio(server: Any) -> None:
    server.run("127.0.0.1", 0)


@wrong("trio.run", place="serve")
def serving_inside_of_asyncio(server: Any) -> None:
    asyncio.run(server.serve("127.0.0.1", 0))


@wrong("is serving already", place="server 'test'")
async def serving_twice(server: Any) -> None:
    async with open_server(server):
        await server.serve("127.0.0.1", 0)


@wrong("ssl.SSLContext", place="ssl_context='cert.pem'")
async def a_certificate_by_its_file(server: Any) -> None:
    with trio.move_on_after(1):
        await server.serve("127.0.0.1", 0, ssl_context="cert.pem")


@wrong("await server.serve(", place="the server is not running")
async def speaking_before_it_runs(server: Any) -> None:
    await server.broadcast("hello")


@wrong("before the server runs")
async def middleware_that_comes_too_late(server: Any) -> None:
    async with open_server(server):

        @server.middleware
        async def log(call: Call, next: Next) -> object: ...


@wrong("state=Player")
async def a_state_that_needs_arguments(server: Any) -> None:
    server = Server(state=Player)
    await play(server)


# --- who comes in


@wrong("returned None", "raise Refuse")
async def an_authenticate_that_returns_nothing(server: Any) -> None:
    @server.authenticate
    async def who(request: Request) -> None: ...

    await play(server)


@wrong("returned 'ana'", "return an Identity")
async def an_authenticate_that_returns_a_name(server: Any) -> None:
    @server.authenticate
    async def who(request: Request) -> str:
        return "ana"

    await play(server)


@wrong("time.time() +", "expires_at")
async def an_identity_that_expires_in_so_many_seconds(server: Any) -> None:
    @server.authenticate
    async def who(request: Request) -> Identity:
        return Identity("ana", expires_at=3_600)

    await play(server)


# --- in handlers


@wrong("'Room.broadcast' was never awaited")
async def a_broadcast_without_await(server: Any) -> None:
    @server.action("act")
    async def act(room: Room) -> None:
        room.broadcast("hello")

    await play(server)


@wrong("'Client.join' was never awaited")
async def a_join_without_await(server: Any) -> None:
    @server.action("act")
    async def act(client: Client) -> None:
        client.join("other")

    await play(server)


@wrong("'act'", "`return await")
async def a_reply_that_was_not_awaited(server: Any) -> None:
    @server.action("act")
    async def act(room: Room) -> Any:
        return room.broadcast("hello")

    await play(server)


@wrong("await next(call)")
async def middleware_that_does_not_await(server: Any) -> None:
    @server.middleware
    async def log(call: Call, next: Next) -> object:
        return next(call)

    @server.action("act")
    async def act() -> None: ...

    await play(server)


@wrong("'act'", "raise")
async def an_error_returned_instead_of_raised(server: Any) -> None:
    @server.action("act")
    async def act() -> object:
        return ActionError("forbidden")

    await play(server)


@wrong("'act'", "type Plain", "attrs class")
async def a_reply_that_is_no_json(server: Any) -> None:
    @server.action("act")
    async def act() -> object:
        return Plain()

    await play(server)


@wrong("type Plain", "'hello'", "attrs class")
async def sending_what_is_no_json(server: Any) -> None:
    @server.action("act")
    async def act(room: Room) -> None:
        await room.broadcast("hello", Plain())

    await play(server)


@wrong("NaN or Infinity", "None or a string instead")
async def sending_what_is_no_number(server: Any) -> None:
    @server.action("act")
    async def act(client: Client) -> None:
        await client.send("hello", {"score": float("nan")})

    await play(server)


@wrong("give a Client or several, not their ids")
async def excluding_ids(server: Any) -> None:
    @server.action("act")
    async def act(client: Client, room: Room) -> None:
        await room.broadcast("hello", exclude=[client.id])

    await play(server)


@wrong("is no Client", "room.members[id]")
async def sending_to_an_id(server: Any) -> None:
    @server.action("act")
    async def act(client: Client, room: Room) -> None:
        await room.send(client.id, "hello")

    await play(server)


@wrong("is no Client", "room.members[id]")
async def kicking_an_id(server: Any) -> None:
    @server.action("act")
    async def act(client: Client, room: Room) -> None:
        await room.kick(client.id)

    await play(server)


@wrong("'reply' cannot be said", "reserved")
async def broadcasting_a_reserved_action(server: Any) -> None:
    @server.action("act")
    async def act(room: Room) -> None:
        await room.broadcast("reply")

    await play(server)


@wrong("'reply' cannot be said")
async def sending_a_reserved_action(server: Any) -> None:
    @server.action("act")
    async def act(client: Client) -> None:
        await client.send("reply", {})

    await play(server)


@wrong("'welcome' cannot be said")
async def telling_everyone_a_reserved_action(server: Any) -> None:
    @server.action("act")
    async def act(server: Server) -> None:
        await server.broadcast("welcome")

    await play(server)


@wrong("is a string")
async def broadcasting_the_body_first(server: Any) -> None:
    @server.action("act")
    async def act(room: Room) -> None:
        await room.broadcast({"text": "hello"})

    await play(server)


@wrong("is a string")
async def sending_the_body_first(server: Any) -> None:
    @server.action("act")
    async def act(client: Client) -> None:
        await client.send({"text": "hello"})

    await play(server)


@wrong("1006", "take one of 3000-4999")
async def closing_with_a_code_that_is_never_sent(server: Any) -> None:
    @server.action("act")
    async def act(client: Client) -> None:
        await client.close(1006)

    await play(server)


@wrong("the code first")
async def closing_with_a_reason_and_no_code(server: Any) -> None:
    @server.action("act")
    async def act(client: Client) -> None:
        await client.close("you cheated")

    await play(server)


@wrong("the room's name")
async def joining_a_room_and_not_its_name(server: Any) -> None:
    @server.action("act")
    async def act(client: Client, room: Room) -> None:
        await client.join(room)

    await play(server)


@wrong("client.close()")
async def kicking_out_of_the_global_room(server: Any) -> None:
    @server.action("act")
    async def act(client: Client, room: Room) -> None:
        await room.kick(client)

    await play(server, target="mesh-global")


@wrong("a string")
async def an_error_with_a_number_for_its_code(server: Any) -> None:
    @server.action("act")
    async def act() -> None:
        raise ActionError(404, "not found")

    await play(server)


@wrong("trio.sleep")
async def a_sleep_of_asyncio(server: Any) -> None:
    @server.action("act")
    async def act() -> None:
        await asyncio.sleep(1)

    await play(server)


@wrong("library written for some other framework like asyncio")
async def a_library_of_asyncio(server: Any) -> None:
    @server.action("act")
    async def act() -> None:
        await asyncio.sleep(0)

    await play(server)


@wrong("a Message or None")
async def an_outbound_hook_that_returns_a_dict(server: Any) -> None:
    @server.outbound
    def hook(message: Message) -> Any:
        return {"action": message.action}

    @server.action("act")
    async def act(room: Room) -> None:
        await room.broadcast("hello")

    await play(server)


# --- tasks, timers and threads


@wrong("above 0")
async def a_timer_of_no_time(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.after(0, self.tick)

        async def tick(self) -> None: ...

    await play(server)


@wrong("above 0")
async def a_timer_below_zero(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.every(-1, self.tick)

        async def tick(self) -> None: ...

    await play(server)


@wrong("seconds first")
async def a_timer_the_other_way_round(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.after(self.tick, 1)

        async def tick(self) -> None: ...

    await play(server)


@wrong("tick", "give the function itself")
async def a_timer_of_a_coroutine_object(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.after(1, self.tick())

        async def tick(self) -> None: ...

    await play(server)


@wrong("tick", "write `async def`")
async def a_timer_of_a_plain_function(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.every(1, self.tick)

        def tick(self) -> None: ...

    await play(server)


@wrong("tick", "give the function itself")
async def a_task_of_a_coroutine_object(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.start_soon(self.tick())

        async def tick(self) -> None: ...

    await play(server)


@wrong("tick", "write `async def`")
async def a_task_of_a_plain_function(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_create(self) -> None:
            self.start_soon(self.tick)

        def tick(self) -> None: ...

    await play(server)


@wrong("nothing can be started in it")
async def a_timer_in_a_room_that_is_closed(server: Any) -> None:
    async with in_hall(server) as (room, _):
        await room.close()
        room.after(1, room.close)


@wrong("from_thread")
async def speaking_from_a_thread(server: Any) -> None:
    async with in_hall(server) as (room, _):
        await trio.to_thread.run_sync(step, room.broadcast("hello"))


@wrong("from_thread")
async def sending_from_a_thread(server: Any) -> None:
    async with in_hall(server) as (_, client):
        await trio.to_thread.run_sync(step, client.send("hello"))


def step(coroutine: Any) -> None:
    """Run what never waits, as asyncio.run in a thread would."""
    with contextlib.suppress(StopIteration):
        coroutine.send(None)


# --- the judge


def chain(error: BaseException) -> list[str]:
    """Return what an exception says, and those inside it."""
    inside = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [str(error), *(text for each in inside for text in chain(each))]


def hear(use: Use, caplog: pytest.LogCaptureFixture) -> tuple[str, str]:
    """Make a wrong use, and return what is said about it: the words, and the places that tracebacks name."""
    server = Server("test")
    is_running = inspect.iscoroutinefunction(use)
    words: list[str] = []
    places: list[str] = []

    def note(error: BaseException) -> None:
        words.extend(chain(error))
        places.extend(traceback.format_exception(error))

    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.WARNING, "simplysocket"):
        warnings.simplefilter("always")
        try:
            if is_running:
                trio.run(use, server, clock=MockClock(autojump_threshold=0))
            else:
                use(server)
        except (Exception, SystemExit) as error:
            note(error)
        for record in caplog.records:
            words.append(record.getMessage())
            if record.exc_info and record.exc_info[1]:
                note(record.exc_info[1])
            record.exc_info = None  # it holds on to what was never awaited,
        gc.collect()  # of which is to be warned now, and not in another test
    for warning in warned:
        words.append(str(warning.message))
        places.append(f"{warning.filename}:{warning.lineno}")
    said = "\n".join(words).replace(use.__name__, "snippet")  # its name is no part of the answer
    return said, "\n".join(places) if is_running else ""


def names_a_line_of(use: Use, said: str) -> bool:
    """Tell whether a line of the snippet is named; that of `play`, behind which it all happens, is none."""
    source, first = inspect.getsourcelines(use)
    lines = {first + at for at, line in enumerate(source) if "play(" not in line}
    named = re.findall(rf'{re.escape(__file__)}(?:"?, line |:)(\d+)', said)
    return bool(lines & set(map(int, named)))


@pytest.mark.parametrize("case", TABLE)
def test_a_wrong_use_is_told_where_it_is_and_what_to_write(case: Wrong, caplog: pytest.LogCaptureFixture) -> None:
    words, places = hear(case.use, caplog)
    is_placed = names_a_line_of(case.use, words + places) if case.place == HERE else case.place in words
    missing = [word for word in case.words if word not in words] + ([] if is_placed else [case.place])
    assert not missing, f"this was said:\n{words or 'nothing'}"
