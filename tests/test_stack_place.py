"""The place on a stack: whose line of code is named."""

import inspect
import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import trio

import simplysocket
from simplysocket._stack_place import OWN_CODE, place_of, runs_task

HERE = __file__
PACKAGE = simplysocket.__file__.removesuffix("__init__.py")


def call_as(path: str, function: Callable[[], str]) -> str:
    """Call a function from code that stands in the file `path`."""
    names: dict[str, Any] = {}
    exec(compile("def inner(function):\n    return function()\n", path, "exec"), names)
    result: str = names["inner"](function)
    return result


def look(base: FrameType | None = None, *, back: int = 0) -> str:
    """Return the place of the frame that is `back` frames below this one."""
    frame: FrameType | None = sys._getframe()
    for _ in range(back):
        frame = frame and frame.f_back
    return place_of(frame, base)


def line_of(text: str) -> int:
    """Return the number of the line of this file that ends with a text."""
    return 1 + [line.endswith(text) for line in inspect.getsource(sys.modules[__name__]).splitlines()].index(True)


def test_the_line_of_the_application_is_named() -> None:
    place = look(back=1)  # the line that runs
    assert place == f"{HERE}:{line_of('# the line that runs')} in {test_the_line_of_the_application_is_named.__name__}"


def test_the_line_of_a_library_stands_after_that_of_the_application() -> None:
    class Looking(json.JSONEncoder):
        def default(self, o: object) -> str:
            return look(back=2)  # the encoder that called this

    place = json.loads(json.dumps(object(), cls=Looking))
    assert place.startswith(f"{HERE}:")
    assert ", in json" in place
    assert place.count(", in ") == 1


def test_the_package_is_named_after_the_application_that_has_called_it() -> None:
    place = call_as(f"{PACKAGE}_rooms/fanout.py", lambda: look(back=2))
    assert place.startswith(f"{HERE}:")
    assert place.endswith(", in simplysocket/_rooms/fanout.py:2 in inner")


def test_what_nobody_else_has_called_is_the_packages_own_code() -> None:
    place = call_as(f"{PACKAGE}_rooms/fanout.py", lambda: look(sys._getframe(2), back=2))
    assert place == f"{OWN_CODE}, simplysocket/_rooms/fanout.py:2 in inner"


def test_an_application_that_was_installed_is_named() -> None:
    path = "/opt/lib/python3.11/site-packages/game/words.py"
    assert call_as(path, lambda: look(sys._getframe(2), back=2)) == f"{path}:2 in inner"


def test_of_a_deep_stack_only_the_first_frames_are_looked_at() -> None:
    def deep(times: int) -> str:
        return call_as(f"{PACKAGE}room.py", lambda: deep_in_package(times))

    names: dict[str, Any] = {"look": lambda: look(back=2)}
    source = "def deep(times):\n    return deep(times - 1) if times else look()\n"
    exec(compile(source, f"{PACKAGE}room.py", "exec"), names)
    deep_in_package = names["deep"]
    assert deep(500).startswith(OWN_CODE)
    assert deep(50).startswith(HERE)


def test_without_a_frame_there_is_no_place() -> None:
    assert place_of(None, None) == ""


async def test_a_task_runs_above_the_scheduler_and_a_wait_for_io_is_none() -> None:
    here = sys._getframe()
    assert runs_task(here, here.f_back)
    assert not runs_task(here, here)
    assert not runs_task(None, here)
    suspended = (each for each in ())
    assert not runs_task(here, suspended.gi_frame)  # the scheduler is not on the stack: it waits for I/O


async def test_what_the_scheduler_does_between_two_tasks_is_no_task() -> None:
    seen = []

    class Looks(trio.abc.Instrument):
        def after_io_wait(self, timeout: float) -> None:
            frame = sys._getframe()
            seen.append(runs_task(frame, base))

    base = trio.lowlevel.current_task().coro.cr_frame.f_back  # type: ignore[attr-defined]
    looks = Looks()
    trio.lowlevel.add_instrument(looks)
    await trio.lowlevel.checkpoint()
    trio.lowlevel.remove_instrument(looks)
    assert seen == [False]
