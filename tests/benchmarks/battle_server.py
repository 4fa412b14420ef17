"""The word battle under load: the rooms and the lobby of examples/lobby, with rate limits that are on but wide.

The players talk for one second instead of ten before the first turn. Little waits in the kernel for a client that does
not read, so that its outbox is what fills, and it is not cut while the run lasts. The garbage collector is set as
`Server.run` sets it.

Run: python -m tests.benchmarks.battle_server; the first line on stdout is the port and the package's file.
"""

import attrs
import trio

from examples.lobby import battle
from simplysocket import Server
from simplysocket._serving.collector import Collector
from simplysocket.games import Lobby
from tests.benchmarks.product_server import limits, run

TALK_SECONDS = 1
UNSENT_BYTES = 4_096  # the default hides a minute of a game in the kernel
WRITE_SECONDS = 60  # without progress, after which a client is cut; by default 10

battle.TALK_SECONDS = TALK_SECONDS  # type: ignore[misc]  # a constant of the example

server = Server("battle-bench", limits=attrs.evolve(limits, unsent_bytes=UNSENT_BYTES, write_seconds=WRITE_SECONDS))
Lobby(server)
server.room("battle-*")(battle.BattleRoom)


if __name__ == "__main__":
    with Collector(is_tuned=True).tuned():
        trio.run(run, server)
