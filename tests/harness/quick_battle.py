"""The word battle for tests of its page, run as a program.

There is little time to talk, much for a turn, since a browser on a busy machine is slow, and a game can be ended.
"""

from examples.lobby import battle, server
from simplysocket import Room

battle.TALK_SECONDS = 1  # type: ignore[misc]  # constants of the example
battle.FIRST_TURN_SECONDS = battle.TURN_SECONDS = 60  # type: ignore[misc]


@server.server.action("end-now")
async def end_now(room: Room) -> None:
    assert isinstance(room, battle.BattleRoom)
    await room.end("Time is up for all of you!")


if __name__ == "__main__":
    server.main()
