"""Wrong room classes: the error says which pattern, hook, action or attribute it is, and what to write instead."""

# mypy: ignore-errors
# The uses are wrong on purpose; what mypy says about them is tested in test_types.py.

from typing import Any

import pytest

from simplysocket import Client, Message, RegistrationError, Room, action

from ..harness.wrong_use import WrongUse, WrongUses

wrong = WrongUses(RegistrationError)


@wrong("is no pattern", "`@server.room(", place="Game")
def server_room_without_a_pattern(server: Any) -> None:
    @server.room
    class Game(Room): ...


@wrong("subclasses of Room", place="@server.room('hall')")
def a_room_class_that_is_no_subclass_of_room(server: Any) -> None:
    @server.room("hall")
    class Game: ...


@wrong("server.open_room", place="Game", error=TypeError)
def a_room_made_by_hand(server: Any) -> None:
    class Game(Room): ...

    make: Any = Game
    server.room("hall")(make())


def register_pattern(pattern: str) -> Any:
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


@wrong("Game.on_join", "takes 3 arguments beside self, and is offered 2")
def a_hook_that_takes_too_much(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_join(self, client: Client, options: Any, room: Room) -> None: ...


@wrong("Game.on_join", "without self")
def a_hook_without_self(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_join(client: Client) -> None: ...


@wrong("Game.on_joined", "is no hook: there are on_create", "on_join,")
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


@wrong("give a number above 0, or None", place="Game.capacity is 0")
def a_capacity_of_zero(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        capacity = 0


@wrong("is 0", "give seconds above 0, or None for ever", place="Game.unjoined_ttl")
def no_time_for_the_first_member(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        unjoined_ttl = 0


@wrong("is -1", "give seconds, or None for Limits.resume_seconds", place="Game.hold_seconds")
def a_hold_below_zero(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        hold_seconds = -1


@wrong("is inf", "give seconds, or None for Limits.resume_seconds", place="Game.hold_seconds")
def a_hold_for_ever(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        hold_seconds = float("inf")


@wrong("is '60'", "give seconds, or None for Limits.resume_seconds", place="Game.hold_seconds")
def a_hold_that_is_a_text(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        hold_seconds = "60"


@wrong("is True", "give seconds", place="Game.hold_seconds")
def a_hold_that_is_a_switch(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        hold_seconds = True


@wrong("is no option", "'hold_seconds'", place="Game.hold_second")
def a_hold_that_is_misspelt(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        hold_second = 60


@wrong("is 'yes'", "give True or False", place="Game.rejoin")
def a_rejoin_that_is_no_switch(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        rejoin = "yes"


@wrong("is 'keep on'", "give 'close', 'keep' or 'restart'", place="Game.on_crash")
def an_on_crash_that_is_no_choice(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        on_crash = "keep on"


@wrong("is None", "give 'close', 'keep' or 'restart'", place="Game.on_crash")
def an_on_crash_of_none(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        on_crash = None


@wrong("give 'close', 'keep' or 'restart'", place="Game.on_crash")
def an_on_crash_that_is_a_hook(server: Any) -> None:
    @server.room("*")
    class Game(Room):
        async def on_crash(self) -> None: ...


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


@wrong.parametrize
def test_the_error_for_a_wrong_room_class_says_where_it_is_and_what_to_write(
    case: WrongUse, caplog: pytest.LogCaptureFixture
) -> None:
    case.judge(caplog)
