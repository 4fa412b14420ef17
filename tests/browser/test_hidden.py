"""JavaScript that is away for six minutes: a page that is hidden or frozen, and a process of Node that is stopped.

The six minutes pass on the clock that the JavaScript sees, and nobody waits for them. What meanwhile becomes of the
line and of the session at the server is real.
"""

import contextlib
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext

from ..harness.browser import Process, run_example
from ..harness.hiding import frozen, hidden, open_hideable
from ..harness.line import Line
from ..harness.scripts import NodeScript, PageScript, Script
from .conftest import HOUSE

SIX_MINUTES = 360  # seconds
ENTER = """
my.socket = connect(url, { name: "Ana" });
my.states = states(my.socket);
[my.said, my.syncs] = [[], []];
my.room = my.socket.room("hall-1");
my.room.on("said", (number) => { my.said.push(number); my.wake?.(); });
my.room.onSync((sync) => my.syncs.push(sync));
await my.room.join();
return my.socket.id;
"""
HEARD = """ // without timers: they are not to be trusted here
while (my.said.length < given) await new Promise((resolve) => { my.wake = resolve });
return my.said;
"""
SAY = "for (const number of given) await my.socket.request('say', number, { target: 'hall-1' })"
IS_ALONE = "await until(async () => (await my.socket.request('clients')).join() === 'Ben')"
SEEN = "await until(() => my.syncs.length === given); return [my.states, my.syncs]"
FIRST = {"first": True, "gap": False, "rejoined": False}
REJOINED = {"first": False, "gap": True, "rejoined": True}
over = pytest.mark.parametrize("process", ["0.5"], indirect=True)  # the session is over after half a second


@pytest.fixture(scope="module", params=["30"])
def process(request: pytest.FixtureRequest) -> Iterator[Process]:
    """The server; the parameter is its grace in seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOUSE_GRACE", request.param)
        with run_example(HOUSE) as process:
            yield process


@pytest.fixture
def context() -> Iterator[BrowserContext]:
    """A browser whose pages can be hidden."""
    with open_hideable() as context:
        yield context


@pytest.fixture
def ben(house: Process) -> Iterator[NodeScript]:
    """A client in the room that stays there: it is not at the end of the line."""
    script = NodeScript(house.url)
    script.run("my.socket = connect(url, { name: 'Ben' }); await my.socket.join('hall-1')")
    yield script
    script.end()


@contextlib.contextmanager
def standing_still(script: Script) -> Iterator[None]:
    """Let the script stand still during the block, which takes six minutes on its clock."""
    if isinstance(script, NodeScript):
        script.run("skip(given)", SIX_MINUTES)
        script.stop()
        yield
        script.go_on()
    elif isinstance(script, PageScript):
        with frozen(script.page):
            script.page.evaluate("skip", SIX_MINUTES)
            yield


def test_what_stood_still_goes_on_as_the_same_client_while_its_session_is_held(
    script: Script, line: Line, ben: NodeScript
) -> None:
    first = script.run(ENTER)
    with standing_still(script):
        line.cut()
        ben.run(SAY, list(range(10)))
    assert script.run(HEARD, 10) == list(range(10))
    states, syncs = script.run(SEEN, 1)
    assert states == [["open", "new"], ["waiting", 1006], ["connecting", None], ["open", "resumed"]]
    assert (script.run("return my.socket.id"), syncs) == (first, [FIRST])


@over
def test_what_stood_still_until_its_session_was_over_is_told_and_in_its_room_again(
    script: Script, line: Line, ben: NodeScript
) -> None:
    first = script.run(ENTER)
    connections = line.connections
    with standing_still(script):
        line.block()
        ben.run(IS_ALONE)
        ben.run(SAY, ["missed"])
        line.open()
    states, syncs = script.run(SEEN, 2)
    assert states == [["open", "new"], ["waiting", 1006], ["connecting", None], ["open", "new"]]
    assert syncs == [FIRST, REJOINED]
    assert line.connections == connections + 1
    ben.run(SAY, ["heard"])
    assert script.run(HEARD, 1) == ["heard"]
    assert script.run("return my.socket.id") != first


def test_a_stopped_process_whose_line_lives_is_the_same_client_and_has_missed_nothing(
    line: Line, ben: NodeScript
) -> None:
    script = NodeScript(line.url)
    with contextlib.ExitStack() as stack:
        stack.callback(script.end)
        first = script.run(ENTER)
        with standing_still(script):
            ben.run(SAY, list(range(100)))
        assert script.run(HEARD, 100) == list(range(100))
        assert script.run("return [my.socket.id, my.states]") == [first, [["open", "new"]]]


def test_a_hidden_page_whose_line_lives_is_the_same_client_and_has_missed_nothing(
    context: BrowserContext, line: Line, ben: NodeScript
) -> None:
    context.clock.install()
    script = PageScript(context, line.url)
    first = script.run(ENTER)
    with hidden(script.page):
        for minute in range(6):  # a browser runs the timers of such a page once a minute
            context.clock.fast_forward("01:00")
            ben.run(SAY, [minute])
            assert script.run(HEARD, minute + 1) == list(range(minute + 1))
    ben.run(SAY, [6])
    assert script.run(HEARD, 7) == list(range(7))
    assert script.run("return [my.socket.id, my.states]") == [first, [["open", "new"]]]


@over
def test_a_page_that_is_shown_again_over_a_dead_line_is_told_and_in_its_room_again(
    context: BrowserContext, line: Line, ben: NodeScript
) -> None:
    context.clock.install()
    script = PageScript(context, line.url)
    script.run(ENTER)
    connections = line.connections
    with hidden(script.page):
        line.lose()
        ben.run(IS_ALONE)
        context.clock.pause_at(script.run("return Date.now()") + 1_000 * SIX_MINUTES)
        assert script.run("return my.socket.state") == "open"  # it cannot know
    context.clock.fast_forward("00:05")  # it has asked when it was shown, and waits so long for an answer
    assert script.run("return my.socket.state") == "waiting"
    context.clock.resume()
    states, syncs = script.run(SEEN, 2)
    assert states == [["open", "new"], ["waiting", 1006], ["connecting", None], ["open", "new"]]
    assert syncs == [FIRST, REJOINED]
    assert line.connections == connections + 1
    ben.run(SAY, ["heard"])
    assert script.run(HEARD, 1) == ["heard"]
