"""A client that loses its connection at random again and again, while numbered messages go both ways.

Laws:
- All that happens follows from the seed.
- Each message arrives exactly once and in order, but for those of which the client was told that they are lost.
- The client keeps its session and its place in the room within the grace, and loses both after it.
"""

import math
import random
from typing import Any, Final

import trio
from trio._core import _run as trio_run  # its choices must follow from the seed, too
from trio.testing import MockClock

from simplysocket import ActionError, Client, Limits, Room, Server, action
from simplysocket.testing import ConnectionEnded, Net, TestClient, open_server

DROPS: Final = 100  # in one run
GRACE: Final = 30.0  # seconds: Limits.resume_seconds
ATTEMPTS: Final = 2_000  # to come back, in one run
PATIENCE: Final = 100_000.0  # seconds of virtual time for one run
GAP: Final = 0  # among the numbers that the client has heard: here it was told that some are missing


class Stream(Room):
    """A room that hears its clients count."""

    empty_ttl = 10 * GRACE

    async def on_create(self) -> None:
        self.heard: list[int] = []
        self.asked: list[int] = []
        self.joined = self.left = 0

    async def on_join(self, client: Client) -> None:
        self.joined += 1

    async def on_leave(self, client: Client, reason: str) -> None:
        self.left += 1

    @action("number")
    async def number(self, client: Client, body: dict[str, Any]) -> None:
        self.heard.append(body["n"])

    @action("ask")
    async def ask(self, client: Client, body: int) -> int:
        self.asked.append(body)
        return body


class Run:
    """One run: a server, a client that is dropped, and what each has heard of the other."""

    def __init__(self, seed: int) -> None:
        self.choose = random.Random(seed)
        self.ring = self.choose.choice((10, 100, 1_024))  # frames: Limits.resume_frames
        self.said = self.sent = self.asked = 0  # numbers of the server, and of the client
        self.heard: list[int] = []  # by the client
        self.told = {"resumed": 0, "gap": 0, "new": 0}
        self.refused: list[str] = []  # error codes of the client's requests
        self.may_be_lost: set[int] = set()  # of the client's numbers
        self.lost_at = math.inf
        self.silence = self.choose.choice((4, 60))  # seconds: Limits.silence_seconds
        self.attempts = 0
        self.forgotten = 0  # how often its page was loaded anew
        self.is_over = False
        self.is_member = self.is_known = False  # known: the server has heard the client in this session
        self.net: Net
        self.client: TestClient
        self.room: Stream

    def make_server(self) -> Server:
        limits = Limits(
            resume_seconds=GRACE,
            resume_frames=self.ring,
            resumes_per_second=None,
            connects_per_second=None,
            http_requests_per_second=None,
            ping_seconds=self.silence / 2,
            silence_seconds=self.silence,
        )
        server = Server("drops", limits=limits)
        server.room("stream")(Stream)
        return server

    async def go(self, drops: int) -> None:
        """Serve, drop the client so often, and check what has arrived."""
        with trio.fail_after(PATIENCE):
            async with open_server(self.make_server()) as self.net:
                pipe_bytes = self.choose.choice((60, 700, 65_536))
                self.client = await self.net.connect("Ana", resume=True, pipe_bytes=pipe_bytes)
                self.is_known = True
                await self.join()
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self.say)
                    nursery.start_soon(self.send)
                    nursery.start_soon(self.ask)
                    for _ in range(drops):
                        await self.lose()
                        await self.come_back()
                    self.is_over = True
                await trio.sleep(10)
                self.take()
                self.check_numbers()
                self.check_requests()
                await trio.sleep(3 * GRACE + 60)
                self.check_places()

    # --- the streams

    def pad(self) -> str:
        return "x" * self.choose.choice((0, 10, 100, 1_000))

    async def pause(self) -> None:
        await trio.sleep(self.choose.choice((0, 0.05, 0.5, 2, 6)))

    async def say(self) -> None:
        while not self.is_over:
            await self.pause()
            self.said += 1
            await self.room.broadcast("number", {"n": self.said, "pad": self.pad()})

    async def send(self) -> None:
        while not self.is_over:
            await self.pause()
            self.sent += 1
            await self.client.send("number", {"n": self.sent, "pad": self.pad()}, target="stream")

    async def ask(self) -> None:
        while not self.is_over:
            await self.pause()
            self.asked += 1
            try:
                answer = await self.client.request("ask", self.asked, target="stream")
            except ActionError as error:
                self.refused.append(error.code)
            else:
                assert answer == self.asked

    # --- the drops

    async def lose(self) -> None:
        """Lose the connection in one way or another, after a while."""
        await trio.sleep(self.choose.choice((0, 0.001, 0.05, 0.5, 2, 6)))
        how = self.choose.choices(("dropped", "silent", "taken over"), (6, 3, 1))[0]
        self.lost_at = math.inf if how == "taken over" else trio.current_time()
        if how == "dropped":
            self.client.drop()
        elif how == "silent":
            self.client.go_silent()
        away = (0, 0, 0.01, 1, 5, 0.8 * GRACE, 3 * GRACE + 60)
        await trio.sleep(self.choose.choices(away, (10, 10, 10, 10, 10, 5, 1))[0])

    async def come_back(self) -> None:
        """Try to come back until the client is back, in the room; some attempts are cut short."""
        forgets = self.choose.random() < 0.03
        while not await self.attempt(forgets=forgets):
            forgets = False
            await trio.sleep(self.choose.choice((0, 0.1)))

    async def attempt(self, *, forgets: bool) -> bool:
        """Try once. Return whether the client is back."""
        self.attempts += 1
        assert self.attempts < ATTEMPTS, "the client never comes back"
        self.take()
        if forgets:
            self.forgotten += 1
            self.give_up()
        before, is_back = self.client.resume, False
        async with trio.open_nursery() as nursery:
            if self.choose.random() < 0.4:
                nursery.start_soon(self.cut_short, nursery.cancel_scope)
            try:
                await self.client.come_back(forgets=forgets)
                is_back = self.client._connection.is_live  # it may have been cut just now
            except ConnectionEnded as ended:
                if ended.code not in (1006, 3502):
                    raise
            nursery.cancel_scope.cancel()
        if self.client.resume is not None and self.client.resume is not before:
            self.note(self.client.resume)
        if is_back and not self.is_member:
            await self.join()
            self.give_up()
        return is_back

    async def cut_short(self, scope: trio.CancelScope) -> None:
        """End an attempt after some steps of its tasks."""
        for _ in range(self.choose.randrange(40)):
            await trio.lowlevel.checkpoint()
        if self.choose.random() < 0.5:
            self.client.drop()
        else:
            scope.cancel()

    def note(self, resume: dict[str, Any]) -> None:
        """Note what the client was told, and check that it may be so."""
        outcome, away = resume["outcome"], trio.current_time() - self.lost_at
        self.told[outcome] += 1
        if outcome == "gap":
            assert resume["reason"] == "reload" or self.ring < 1_024 or self.forgotten, resume
        if outcome == "new":
            assert away >= GRACE or not self.is_known, f"the session has ended after {away:.3f} s"
            self.is_member = self.is_known = False
            self.lost_at = trio.current_time()  # the new session at the earliest
            self.give_up()
        else:
            assert away <= GRACE + 2 * self.silence, f"the session was there after {away:.3f} s"
        if outcome != "resumed":
            self.heard.append(GAP)
        self.is_known = self.is_known or self.client._session._is_heard

    async def join(self) -> None:
        await self.client.join("stream")
        self.is_member = True
        room = self.net.server.rooms["stream"]
        assert isinstance(room, Stream)
        self.room = room

    # --- what has arrived

    def take(self) -> None:
        """Take what has come to the client."""
        messages = self.client._messages
        while messages:
            message = messages.popleft()
            if message["action"] == "error":
                assert message["message_body"]["code"] == "not-a-member", message
                assert self.told["new"], message
            else:
                assert message["action"] == "number", message
                self.heard.append(message["message_body"]["n"])

    def give_up(self) -> None:
        """Note that what the client has sent so far may be lost."""
        self.may_be_lost |= set(range(1, self.sent + 1)) - set(self.room.heard)

    def check_numbers(self) -> None:
        last, may_miss = 0, False
        for number in self.heard:
            if number == GAP:
                may_miss = True
                continue
            assert number == last + 1 or (may_miss and number > last), f"{number} came after {last}"
            last, may_miss = number, False
        assert last == self.said
        for numbers in (self.room.heard, self.room.asked):
            assert numbers == sorted(set(numbers)), numbers
        assert set(range(1, self.sent + 1)) - set(self.room.heard) <= self.may_be_lost

    def check_requests(self) -> None:
        """Only one request waits at a time; what a gap ends is gone, and a new client is in no room at first.

        A page that is loaded anew has ended its request before it is told of the gap, which may end the next one.
        """
        assert self.refused.count("gone") <= self.told["gap"] + self.told["new"] + self.forgotten
        assert set(self.refused) <= {"gone", "not-a-member"}
        assert self.told["new"] or "not-a-member" not in self.refused

    def check_places(self) -> None:
        assert list(self.net.server.clients) == list(self.room.members) == [self.client.id]
        assert self.room.joined - self.room.left == 1
        assert self.room.left <= self.told["new"]


def run(seed: int, drops: int = DROPS) -> dict[str, int]:
    """Do one run, and return how often the client was told which outcome. An error says how to run it again."""
    is_deterministic, state = trio_run._ALLOW_DETERMINISTIC_SCHEDULING, trio_run._r.getstate()
    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True
    trio_run._r.seed(seed)
    one = Run(seed)
    try:
        trio.run(one.go, drops, clock=MockClock(autojump_threshold=0))
    except BaseException as error:
        error.add_note(f"To run it again: python -m tests.soak --seed {seed}")
        raise
    finally:
        trio_run._ALLOW_DETERMINISTIC_SCHEDULING = is_deterministic
        trio_run._r.setstate(state)
    return one.told
