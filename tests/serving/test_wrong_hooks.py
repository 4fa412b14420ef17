"""Wrong middleware, exception handlers and hooks of the server: the error says where, and what to write instead."""

# mypy: ignore-errors
# The uses are wrong on purpose; what mypy says about them is tested in test_types.py.

from typing import Any

import pytest

from simplysocket import (
    ActionError,
    Call,
    Client,
    Identity,
    Message,
    Next,
    Reason,
    Refuse,
    RegistrationError,
    Request,
    Room,
    Server,
    middleware,
)

from ..harness.wrong_use import WrongUse, WrongUses, play

wrong = WrongUses(RegistrationError)


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


@wrong("(client, request)")
def an_on_connect_that_asks_for_a_reason(server: Any) -> None:
    @server.on_connect
    async def hello(client: Client, why: Reason) -> None: ...


@wrong("(client, reason)")
def an_on_disconnect_that_takes_only_the_reason(server: Any) -> None:
    @server.on_disconnect
    async def bye(why: Reason) -> None: ...


@wrong("(client, reason)")
def an_on_disconnect_that_takes_only_a_text(server: Any) -> None:
    @server.on_disconnect
    async def bye(why: str) -> None: ...


@wrong("(client, reason)")
def an_on_disconnect_the_other_way_round(server: Any) -> None:
    @server.on_disconnect
    async def bye(why: Reason, who: Client) -> None: ...


@wrong("(client, reason)")
def an_on_disconnect_that_asks_for_the_request(server: Any) -> None:
    @server.on_disconnect
    async def bye(who: Client, how: Request) -> None: ...


@wrong("str(row.id)", place="Identity.user is 5", error=TypeError)
def a_user_by_a_number(server: Any) -> None:
    Identity(5)


@wrong("HTTP status of 400 to 599 first", place="Refuse('no token')", error=ValueError)
def a_refusal_without_its_status(server: Any) -> None:
    Refuse("no token")


@wrong("expired", "with 401", place="Refuse(403, expired=True)", error=ValueError)
def a_refusal_of_expired_credentials_with_another_status(server: Any) -> None:
    Refuse(403, "too old", expired=True)


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


@wrong.parametrize
def test_the_error_for_a_wrong_hook_says_where_it_is_and_what_to_write(
    case: WrongUse, caplog: pytest.LogCaptureFixture
) -> None:
    case.judge(caplog)


def test_a_reason_may_be_annotated_as_what_it_is_or_as_a_text() -> None:
    server = Server("test")

    @server.on_disconnect
    async def by_its_class(client: Client, reason: Reason) -> None: ...

    @server.on_disconnect
    async def as_a_text(client: Client[int], reason: str) -> None: ...

    @server.on_disconnect
    async def as_any_object(who: Client, why: object) -> None: ...

    @server.on_disconnect
    async def by_name(who: "Client", why: "Reason") -> None: ...

    @server.room("one")
    class ByItsClass(Room):
        async def on_leave(self, client: Client, reason: Reason) -> None: ...

    @server.room("two")
    class AsAText(Room):
        async def on_leave(self, client: Client, reason: str) -> None: ...

        async def on_close(self, reason: str) -> None: ...
