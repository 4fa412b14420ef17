"""The chat example: its server in memory, and its page in a real browser."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest
import trio
from playwright.sync_api import Browser, BrowserContext, Error, Locator, Page, WebSocketRoute, expect, sync_playwright

from examples.chat.server import TEXT_LENGTH, Chat, server
from simplysocket import GLOBAL_ROOM, ActionError
from simplysocket.testing import open_server

ROOT = Path(__file__).parents[1]
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 20_000  # milliseconds that the browser may take; passed only when something is broken
HTML = "<img src=x onerror=\"document.title='broken'\">"


class Enter(Protocol):
    """Opens the page."""

    def __call__(self, name: str, closes: Sequence[int] = (), room: str = "") -> Page:
        """Come in as `name`, by a link to `room`; the first connections are closed with the codes in `closes`."""


# --- the server, in memory


async def test_what_one_says_everyone_in_the_room_hears(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben, zoe = [await net.connect(name) for name in ("Ana", "Ben", "Zoë")]
        await ana.join("garden")
        await ben.join("garden")
        await zoe.join("kitchen")
        assert [message["action"] for message in await ana.settle()] == ["client-joined-room"]

        assert await ben.request("say", {"text": "  <b>hello</b>\n"}, target="garden") is None

        for client in (ana, ben):
            (heard,) = await client.settle()
            assert (heard["action"], heard["target"], heard["sender"]) == ("say", "garden", ben.id)
            assert heard["message_body"] == {"text": "<b>hello</b>", "name": "Ben"}
        assert await zoe.settle() == []


@pytest.mark.parametrize("text", ["", " \n\t ", "x" * (TEXT_LENGTH + 1)], ids=["empty", "blank", "too long"])
async def test_a_text_that_is_empty_or_too_long_is_refused(autojump_clock: trio.abc.Clock, text: str) -> None:
    async with open_server(server) as net:
        ana, ben = [await net.connect(name) for name in ("Ana", "Ben")]
        await ben.join("garden")
        await ana.join("garden")
        await ben.settle()

        with pytest.raises(ActionError) as refusal:
            await ana.request("say", {"text": text}, target="garden")

        assert (refusal.value.code, refusal.value.path) == ("bad-body", "$.text")
        assert await ben.settle() == []
        await ana.request("say", {"text": "x" * TEXT_LENGTH}, target="garden")
        assert len(await ben.settle()) == 1


async def test_a_full_room_of_the_chat_refuses_the_next_client(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        for number in range(Chat.capacity or 0):
            await (await net.connect(f"guest {number}")).join("garden")
        late = await net.connect("late")
        with pytest.raises(ActionError) as refusal:
            await late.join("garden")
        assert refusal.value.code == "room-full"


# --- the page, in a browser


class Process:
    """The example as a process of its own, as a reader of the docs starts it."""

    def __init__(self) -> None:
        self.url = ""
        self.start()

    def start(self) -> None:
        """Start it, again on the port that it had; it listens once it has printed its address."""
        port = self.url.rpartition(":")[2] or "0"
        command = [sys.executable, "-m", "examples.chat.server", "--port", port]
        self._process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        found = re.search(r"http://\S+:\d+", line)
        if found is None:
            self.kill()
            raise AssertionError(f"the example printed no address, but {line!r}")
        self.url = found[0]

    def stop(self) -> int:
        """Stop it as Ctrl+C does, and return its exit status."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.communicate(timeout=PATIENCE / 1000)
        finally:
            self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """End it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


@pytest.fixture
def process() -> Iterator[Process]:
    process = Process()
    try:
        yield process
    finally:
        process.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("this test drives Debian's chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        expect.set_options(timeout=PATIENCE)
        yield browser
        browser.close()


def close_or_connect(socket: WebSocketRoute, codes: list[int]) -> None:
    """Close the page's socket with the next of the codes; once they are used up, let the server have it."""
    if codes:
        socket.close(code=codes.pop(0), reason="enough")
    else:
        socket.connect_to_server()


@pytest.fixture
def enter(browser: Browser, process: Process) -> Iterator[Enter]:
    """Open the page in a context of its own and come in under a name; at the end no script may have failed."""
    contexts: list[BrowserContext] = []
    faults: list[Error] = []

    def enter(name: str, closes: Sequence[int] = (), room: str = "") -> Page:
        context = browser.new_context()
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda fault: faults.append(fault))
        rest = list(closes)
        if closes:
            page.route_web_socket("**/ws?*", lambda socket: close_or_connect(socket, rest))
        page.goto(f"{process.url}/#{room}" if room else process.url)
        page.get_by_label("Your name").fill(name)
        page.keyboard.press("Enter")
        if not closes:
            expect(page.get_by_role("status")).to_have_text("Connected")
        return page

    try:
        yield enter
    finally:
        for context in contexts:
            context.close()
    assert faults == []


def join(page: Page, room: str) -> None:
    page.get_by_label("Join or create a room").fill(room)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=room)).to_be_visible()


def write(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def log(page: Page) -> Locator:
    return page.get_by_role("log")


def members(page: Page) -> Locator:
    return page.get_by_role("list", name="Who is here").get_by_role("listitem").locator(".name")


def test_two_pages_talk_in_a_room(enter: Enter) -> None:
    ana = enter("Ana")
    join(ana, "garden")
    expect(members(ana)).to_have_text(["Ana"])

    ben = enter("Ben")
    ben.get_by_role("button", name="garden 1 of 50").click()  # from the list of rooms
    expect(members(ben)).to_have_text(["Ben", "Ana"])
    expect(members(ana)).to_have_text(["Ana", "Ben"])
    expect(log(ana).get_by_text("Ben joined")).to_be_visible()

    write(ana, "Hello Ben")
    expect(log(ben).locator(".message:not(.own) .text")).to_have_text("Hello Ben")
    expect(log(ben).locator(".message .name")).to_have_text("Ana")
    expect(log(ben).locator(".message time")).to_have_text(re.compile(r"\d\d:\d\d"))
    expect(log(ana).locator(".message.own .text")).to_have_text("Hello Ben")
    expect(ana.get_by_label("Message", exact=True)).to_have_value("")

    ben.get_by_role("button", name="Leave").click()
    expect(log(ana).get_by_text("Ben left")).to_be_visible()
    expect(members(ana)).to_have_text(["Ana"])
    expect(ben.get_by_role("heading", name="Pick a room")).to_be_visible()


def test_the_others_see_who_is_typing(enter: Enter) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    join(ana, "garden")
    join(ben, "garden")
    ben.get_by_label("Message", exact=True).press_sequentially("Hel")
    expect(ana.get_by_text("Ben is typing…")).to_be_visible()
    ben.keyboard.press("Enter")
    expect(log(ana).get_by_text("Hel")).to_be_visible()
    expect(ana.get_by_text("is typing")).to_have_count(0)


def test_a_page_that_is_closed_leaves_its_room(enter: Enter) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    join(ana, "garden")
    join(ben, "garden")
    expect(members(ana)).to_have_text(["Ana", "Ben"])
    ben.close()
    expect(members(ana)).to_have_text(["Ana"])


def test_a_page_shows_what_comes_over_the_wire_as_text(enter: Enter) -> None:
    ana, eve = enter("Ana"), enter(HTML[:40])
    join(ana, "garden")
    join(eve, "garden")
    write(eve, HTML)
    expect(log(ana).locator(".message .text")).to_have_text(HTML)
    join(eve, HTML)  # a room's name is somebody's text, too
    expect(ana.get_by_role("button", name=f"{HTML} 1 of 50")).to_be_visible()
    expect(log(ana).get_by_text("left")).to_be_visible()
    expect(members(ana)).to_have_text(["Ana"])
    for page in (ana, eve):
        assert page.locator("img").count() == 0
    assert ana.title() == "garden · Chat"


def test_switching_takes_a_page_from_one_room_to_another(enter: Enter) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    join(ana, "garden")
    join(ben, "garden")
    write(ana, "only for the garden")
    expect(log(ben).get_by_text("only for the garden")).to_be_visible()
    join(ben, "kitchen")
    expect(members(ana)).to_have_text(["Ana"])
    expect(members(ben)).to_have_text(["Ben"])
    expect(log(ben).get_by_text("only for the garden")).to_have_count(0)


def test_a_draft_stays_with_the_room_that_it_was_written_for(enter: Enter) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    box = ana.get_by_label("Message", exact=True)
    join(ben, "kitchen")
    join(ana, "garden")
    box.fill("only for\nthe garden")
    height = box.evaluate("box => box.offsetHeight")

    join(ana, "kitchen")
    expect(box).to_have_value("")
    assert box.evaluate("box => box.offsetHeight") < height
    box.press("Enter")  # there is nothing to send
    write(ana, "for the kitchen")
    expect(log(ben).locator(".message .text")).to_have_text(["for the kitchen"])
    box.fill("also for the kitchen")

    join(ana, "garden")
    expect(box).to_have_value("only for\nthe garden")
    assert box.evaluate("box => box.offsetHeight") == height
    ana.get_by_role("button", name="Leave").click()
    join(ana, "kitchen")
    expect(box).to_have_value("also for the kitchen")
    box.press("Enter")
    expect(log(ben).locator(".message .text")).to_have_text(["for the kitchen", "also for the kitchen"])
    join(ana, "garden")
    expect(box).to_have_value("only for\nthe garden")


def test_the_room_that_everyone_is_in_is_not_shown_as_a_room(enter: Enter) -> None:
    ana = enter("Ana")
    wish = ana.get_by_label("Join or create a room")
    refusal = f"Everyone is in “{GLOBAL_ROOM}” already"
    wish.fill(GLOBAL_ROOM)
    wish.press("Enter")
    expect(ana.get_by_role("alert")).to_contain_text(refusal)
    expect(ana.get_by_role("heading", name="Pick a room")).to_be_visible()

    join(ana, "garden")
    expect(ana.get_by_role("alert")).to_have_count(0)
    ana.evaluate(f"location.hash = '{GLOBAL_ROOM}'")  # a link, followed while in a room
    expect(ana.get_by_role("alert")).to_contain_text(refusal)
    expect(ana).to_have_url(re.compile("#garden$"))
    expect(ana.get_by_role("heading", name="garden")).to_be_visible()

    ben = enter("Ben", room=GLOBAL_ROOM)  # a link, followed to come in
    expect(ben.get_by_role("alert")).to_contain_text(refusal)
    expect(ben.get_by_role("heading", name="Pick a room")).to_be_visible()
    assert "#" not in ben.url
    join(ben, "garden")
    expect(members(ana)).to_have_text(["Ana", "Ben"])


def test_the_newest_message_is_in_view_unless_one_reads_older_ones(enter: Enter) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    join(ana, "garden")
    join(ben, "garden")
    for number in range(30):
        write(ben, f"number {number}")
    expect(log(ana).get_by_text("number 29")).to_be_in_viewport()

    log(ana).get_by_text("number 0", exact=True).scroll_into_view_if_needed()
    write(ben, "the newest")
    ana.get_by_role("button", name="New messages").click()
    expect(log(ana).get_by_text("the newest")).to_be_in_viewport()
    write(ben, "newer still")
    expect(log(ana).get_by_text("newer still")).to_be_in_viewport()
    expect(ana.get_by_role("button", name="New messages")).to_be_hidden()


def test_a_page_shows_why_it_was_refused_and_keeps_the_text(enter: Enter) -> None:
    ana = enter("Ana")
    join(ana, "garden")
    text = "x" * (TEXT_LENGTH + 1)
    write(ana, text)
    expect(ana.get_by_role("alert")).to_contain_text("This message has 2,001 characters, 2,000 is the most.")
    expect(ana.get_by_label("Message", exact=True)).to_have_value(text)
    write(ana, "shorter")
    expect(log(ana).get_by_text("shorter")).to_be_visible()
    expect(ana.get_by_role("alert")).to_have_count(0)


def test_after_a_restart_of_the_server_the_pages_are_back_in_their_room(enter: Enter, process: Process) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    join(ana, "garden")
    join(ben, "garden")
    write(ana, "before")
    expect(log(ben).get_by_text("before")).to_be_visible()

    assert process.stop() == 0
    for page in (ana, ben):
        expect(page.get_by_role("status")).to_contain_text("Trying again")
        expect(page.get_by_role("button", name="Send")).to_be_disabled()
        expect(log(page).get_by_text("The server is restarting; you will be back in this room.")).to_be_visible()
    write(ben, "kept")  # not sent, and not lost

    process.start()
    for page in (ana, ben):
        expect(page.get_by_role("status")).to_have_text("Connected")
        expect(log(page).get_by_text("You are back.")).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
    expect(members(ana)).to_have_text(["Ana", "Ben"])
    expect(members(ben)).to_have_text(["Ben", "Ana"])

    ben.get_by_label("Message", exact=True).press("Enter")
    expect(log(ana).locator(".message .text")).to_have_text(["before", "kept"])


@pytest.mark.parametrize("code", [1000, 3001, 4499])
def test_a_page_comes_back_after_a_close_that_allows_it(enter: Enter, code: int) -> None:
    ana = enter("Ana", [code])
    expect(ana.get_by_role("status")).to_contain_text("Trying again")
    expect(ana.get_by_role("status")).to_have_text("Connected")


@pytest.mark.parametrize("code", [1008, 3503, 4500])
def test_a_page_stays_away_after_a_close_that_forbids_to_come_back(enter: Enter, code: int) -> None:
    ana = enter("Ana", [code])
    expect(ana.get_by_role("status")).to_have_text("Disconnected")
    expect(ana.get_by_role("alert")).to_contain_text(f"The server ended the connection ({code}): enough.")
    ana.get_by_role("button", name="Connect again").click()  # the reader may decide otherwise
    expect(ana.get_by_role("status")).to_have_text("Connected")
