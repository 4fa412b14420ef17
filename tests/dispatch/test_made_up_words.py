"""Words that a client makes up: none of them stays in the server."""

import gc
from collections.abc import Iterator

import pytest
from trio.testing import MockClock

from simplysocket import Server
from simplysocket._log_limit import LOG_LIMIT
from simplysocket.testing import open_server

from ..harness.frames import close
from ..harness.servers import make

OFTEN = 300


def keys_with(word: str, *roots: object) -> Iterator[object]:
    """Yield every key with this word in it, of every dict, set and counter that can be reached from the roots."""
    # Not from the collector's own list, which lacks dicts of plain values.
    waiting: list[object] = list(roots)
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen or each is seen or each is waiting:
            continue
        seen.add(id(each))
        if isinstance(each, (dict, set, frozenset)):
            yield from [key for key in each if isinstance(key, (str, tuple)) and word in str(key)]
        waiting += gc.get_referents(each)


def make_talking(*, relay: bool, fallback: bool) -> Server:
    server = make(relay=relay, direct=True)
    if fallback:

        @server.on_message
        async def anything() -> None: ...

    return server


@pytest.mark.parametrize(("relay", "fallback"), [(False, False), (True, False), (False, True)])
async def test_no_word_that_a_client_makes_up_is_a_key_afterwards(
    autojump_clock: MockClock, relay: bool, fallback: bool
) -> None:
    server = make_talking(relay=relay, fallback=fallback)
    async with open_server(server) as net:
        ana = await net.connect("ana")
        await ana.join("hall")
        for number in range(OFTEN):
            word = "made-" + f"up-{number}"
            await ana.send(word, {word: word}, id=word)
            await ana.send(word, target="hall")
            await ana.send("say", target=word)
            await ana.send("say", target=word, IsTargetClient=True)
            await ana.send("leave-room", {"roomname": word})
            await ana.send("who", {"roomname": word})
            await ana.send("cancel", id=word)
            await ana.send("error", {"code": word}, id=word)
            await ana.send("reply", word, id=word)
        await ana.settle()
        for number in range(OFTEN):
            stream = await net.connect()
            await stream.send_bytes(close(3_000 + number, b"made-" + b"up"))
            await stream.wait_ended()
        assert (await ana.request("ping")).keys() == {"now"}
        await ana.settle()
        gc.collect()
        assert list(keys_with("made-" + "up-", server, LOG_LIMIT)) == []
        figures = server.statistics()
        assert all(len(each) <= 150 for each in figures.values() if isinstance(each, dict))
        assert len(LOG_LIMIT._lines) < 10
