"""The garbage collector: set for a process by `run` and by the command, put back at the end, left alone by `serve`.

`gc.get_objects` tells what is frozen: it leaves that out. `gc.get_freeze_count` counts objects that Python 3.12 has
frozen itself.
"""

import ast
import gc
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from simplysocket import Server
from simplysocket._serving.collector import THRESHOLDS

from ..harness.attacker import Peer
from ..harness.command import LISTENS, PATIENCE, environment, running, write

RUNNING = """
import gc, os, signal, sys, threading
from simplysocket import Server

def is_frozen() -> bool:
    return not any(each is Server for each in gc.get_objects())

def look() -> None:
    global seen
    seen = gc.get_threshold(), is_frozen()
    os.kill(os.getpid(), signal.SIGTERM)

class Noting:
    def write(self, text: str) -> None:
        if "listens" in text:
            threading.Timer(0.05, look).start()
    def flush(self) -> None: ...

before, sys.stderr = gc.get_threshold(), Noting()
Server("one").run("127.0.0.1", 0, tune_gc={tune_gc})
print([seen, before, gc.get_threshold(), is_frozen()])
"""


@pytest.mark.parametrize("tune_gc", [True, False])
def test_run_sets_the_collector_and_puts_it_back(tune_gc: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUNNING.format(tune_gc=tune_gc)],
        env=environment({}),
        stdout=subprocess.PIPE,
        check=True,
        timeout=PATIENCE,
    )
    seen, before, after, is_frozen = ast.literal_eval(done.stdout.decode())
    assert seen == ((THRESHOLDS, True) if tune_gc else (before, False))
    assert (after, is_frozen) == (before, False)


COMMANDED = """
    import gc
    from simplysocket import Server

    before = gc.get_threshold()
    server = Server("one")

    @server.action("look")
    async def look() -> object:
        return before, gc.get_threshold(), not any(each is server for each in gc.get_objects())
"""


@pytest.mark.parametrize("options", [(), ("--no-tune-gc",)])
async def test_the_command_sets_the_collector_unless_it_is_told_not_to(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    write(tmp_path / "commanded.py", COMMANDED)
    with running(tmp_path, "run", "commanded:server", "--port", "0", *options) as command, trio.fail_after(PATIENCE):
        peer = Peer(await trio.open_tcp_stream("localhost", int(command.wait_for(LISTENS)[3])))
        await peer.shake_hands()
        before, now, is_frozen = (await peer.request("look"))["message_body"]
        await peer.close()
    assert (now, is_frozen) == ((before, False) if options else ([*THRESHOLDS], True))


async def test_serve_leaves_the_collector_alone() -> None:
    before = gc.get_threshold()
    server = Server("one")
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, "127.0.0.1", 0)
        assert gc.get_threshold() == before
        assert any(each is server for each in gc.get_objects())
        await server.stop(0)
