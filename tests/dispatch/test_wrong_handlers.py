"""Wrong handlers: the error says where the handler is, and what to write instead."""

# mypy: ignore-errors
# The uses are wrong on purpose; what mypy says about them is tested in test_types.py.

from typing import TYPE_CHECKING, Any, Final

import attrs
import pytest

from simplysocket import Actions, Client, Identity, Message, RegistrationError, Request, Room, action

from ..harness.wrong_use import WrongUse, WrongUses

if TYPE_CHECKING:
    from simplysocket.request import Request as HiddenRequest

wrong = WrongUses(RegistrationError)


@attrs.frozen
class Body:
    word: str


class Plain:
    """A class that JSON cannot be decoded to."""


class Model:
    """A class that looks like a pydantic model."""

    model_fields: Final[dict[str, Any]] = {}

    @classmethod
    def model_validate(cls, value: Any) -> "Model":
        return cls()


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


@wrong("needs the action's name: write", '`action("...")`')
def server_action_without_a_name(server: Any) -> None:
    @server.action
    async def act(client: Client) -> None: ...


@wrong("needs the action's name: write", '`action("...")`')
def action_without_a_name(server: Any) -> None:
    class Game(Room):
        @action
        async def act(self) -> None: ...


@wrong("needs the action's name: write", '`action("...")`')
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


@wrong("list[", "Plain", "cannot be read", "make it an attrs class")
def a_body_of_a_list_of_a_plain_class(server: Any) -> None:
    @server.action("act")
    async def act(body: list[Plain]) -> None: ...


@wrong("Model", "make it an attrs class")
def a_body_of_a_pydantic_class(server: Any) -> None:
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


@wrong("reserved for the protocol", "take another name", place="'reply'")
def an_action_with_a_reserved_name(server: Any) -> None:
    server.action("reply")


@wrong("1 to 64 characters", place="''")
def an_action_without_characters(server: Any) -> None:
    server.action("")


@wrong("turn='no'", "True or False", place="'act'")
def an_option_of_an_action_that_is_not_a_bool(server: Any) -> None:
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


@wrong.parametrize
def test_the_error_for_a_wrong_handler_says_where_it_is_and_what_to_write(
    case: WrongUse, caplog: pytest.LogCaptureFixture
) -> None:
    case.judge(caplog)
