"""What the application raises to end the program ends it, with the exit code that it asks for."""

import subprocess
import sys
from pathlib import Path

import pytest

from ..harness.command import environment

ENDING = """
import sys, trio
from simplysocket import GLOBAL_ROOM, Room, Server
server = Server("ending")
class Unshowable(SystemExit):
    def __repr__(self):
        raise LookupError
    __str__ = __repr__
async def end():
    {end}
async def end_in_a_nursery():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end)
        nursery.start_soon(trio.sleep_forever)
@server.room(GLOBAL_ROOM)
class Lobby(Room):
    async def on_create(self):
        {start}
server.run("127.0.0.1", 0)
"""
STARTS = ("self.after(0.01, end_in_a_nursery)", "self.start_soon(end)", "await end_in_a_nursery()")
STARTS_WITHOUT_NURSERY = ("self.after(0.01, end)", "self.start_soon(end)", "await end()")
ENDS = {
    "sys.exit(7)": 7,
    "sys.exit()": 0,
    "raise SystemExit('a text')": 1,
    "raise KeyboardInterrupt": -2,
    "raise Unshowable(7)": 7,
}


@pytest.mark.parametrize(
    ("start", "end"),
    [
        *((each, "sys.exit(7)") for each in STARTS),
        *((STARTS[0], each) for each in ENDS if "Unshowable" not in each),
        *((each, "raise Unshowable(7)") for each in STARTS_WITHOUT_NURSERY),
    ],
)
def test_the_exit_code_is_the_one_asked_for(tmp_path: Path, start: str, end: str) -> None:
    script = tmp_path / "ending.py"
    script.write_text(ENDING.format(start=start, end=end))
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=30, env=environment({}), check=False
    )
    assert done.returncode == ENDS[end], done.stderr
    if "a text" in end:
        assert done.stderr.endswith("a text\n")
