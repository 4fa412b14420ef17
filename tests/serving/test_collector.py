"""The garbage collector: set for a process by `run` and by the command, put back at the end, left alone by `serve`."""

import ast
import gc
import subprocess
import sys

import pytest
import trio

from simplysocket import Server
from simplysocket._serving.collector import THRESHOLDS

from ..harness.command import PATIENCE, environment

RUNNING = """
import gc, os, signal, sys, threading
from simplysocket import Server

def look() -> None:
    global seen
    seen = gc.get_threshold(), gc.get_freeze_count() > 0
    os.kill(os.getpid(), signal.SIGTERM)

class Noting:
    def write(self, text: str) -> None:
        if "listens" in text:
            threading.Timer(0.05, look).start()
    def flush(self) -> None: ...

before, sys.stderr = gc.get_threshold(), Noting()
Server("one").run("127.0.0.1", 0, tune_gc={tune_gc})
print([seen, before, gc.get_threshold(), gc.get_freeze_count()])
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
    seen, before, after, frozen = ast.literal_eval(done.stdout.decode())
    assert seen == ((THRESHOLDS, True) if tune_gc else (before, False))
    assert (after, frozen) == (before, 0)


async def test_serve_leaves_the_collector_alone() -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    server = Server("one")
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, "127.0.0.1", 0)
        assert (gc.get_threshold(), gc.get_freeze_count()) == before
        await server.stop(0)
