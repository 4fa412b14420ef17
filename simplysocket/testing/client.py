"""The test client: a client of the protocol at the other end of a pipe.

Law: it reads all the time and answers pings, as a browser does, unless `reads` is False.
"""

import contextlib
import itertools
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import trio
import trio.testing

from .._protocol.frames import CLOSE
from .._protocol.names import SUBPROTOCOL
from ..errors import ActionError, CloseCode
from .client_connection import ClientConnection, ConnectionEnded, Upgrade
from .client_session import ClientSession, gone

_PATIENCE: Final = 6 * 3600.0  # seconds of trio's clock, after which a wait fails; virtual time passes in a moment
_LISTED: Final = 10  # different actions that a failed `expect` lists


class TestClient:
    """A client for tests, made by `Net.connect`. It reads all the time and answers pings, as a browser does.

    Messages are kept until the test takes them with `receive`, `request` or `settle`. With
    `Net.connect(reads=False)` it reads only while one of its methods waits.
    """

    __test__ = False  # pytest would collect it as a test because of its name

    def __init__(
        self, stream: trio.abc.Stream, *, dial: Callable[[], Awaitable[trio.abc.Stream]] | None = None
    ) -> None:
        """`dial` opens the streams over which the client comes back."""
        self.id: str = ""  # from `welcome`; empty with `greet=False`
        self.name: str = ""
        self._dial = dial
        self._connection = ClientConnection(stream, self._take)
        self._session: ClientSession | None = None
        self._ids = itertools.count(1)
        self._messages: deque[dict[str, Any]] = deque()  # Any: JSON
        self._answers: dict[int, dict[str, Any] | None] = {}  # {id of a request that waits: its answer}

    @property
    def stream(self) -> trio.abc.Stream:
        """The stream to the server."""
        return self._connection.stream

    @property
    def pings(self) -> int:
        """How often the server has pinged this connection."""
        return self._connection.pings

    async def shake_hands(self, name: str, *, path: str, greet: bool, headers: dict[str, str]) -> None:
        """Send the request head and read the answer; `ActionError` with the HTTP status if it is a refusal."""
        self.name = name
        await self._connection.shake_hands(Upgrade(name, path, headers).head([SUBPROTOCOL] if greet else []))
        if greet:
            welcome = await self.receive()
            self.id = welcome["message_body"]["client"]

    # --- messages

    async def send(
        self,
        action: str,
        body: object = None,
        *,
        target: str | None = None,
        id: str | int | None = None,
        **keys: object,
    ) -> None:
        """Send one message. `keys` are further keys of the envelope, such as `timeout=5`.

        With `id` it is a request, and its answer comes as a message. `body`, `target` and `id` are
        left out if they are None.
        """
        message: dict[str, object] = {"action": action, **keys}
        if body is not None:
            message["message_body"] = body
        if target is not None:
            message["target"] = target
        if id is not None:
            message["id"] = id
        text = msgspec.json.encode(message)
        if self._session is None:
            await self._connection.send_frame(text)
        else:
            await self._session.send(text, action, id)

    async def receive(self) -> dict[str, Any]:
        """Wait for the next message and return it as a dict; the oldest comes first.

        Its keys are those of the envelope: `action`, `message_body`, `IsTargetClient`, `target`,
        `sender`, and in some messages `id`, `timeout` and `room`. Raises `ConnectionEnded` if
        the server has closed the connection and no message is left, and `trio.TooSlowError` if
        none comes within six hours of trio's clock.
        """
        await self._wait_for(lambda: bool(self._messages))
        return self._messages.popleft()

    async def expect(self, action: str, *, timeout: float = 60.0) -> dict[str, Any]:
        """Wait for the next message of this action and return it, as `receive` does.

        Other messages that come before it are skipped: nothing returns them later, so assert
        with `receive` or `settle` what they are. If the message has not come after `timeout`
        seconds of trio's clock, `trio.TooSlowError` lists what came instead.
        """
        skipped: Counter[str] = Counter()

        def has_come() -> bool:
            while self._messages and self._messages[0]["action"] != action:
                skipped[_describe(self._messages.popleft())] += 1
            return bool(self._messages)

        with trio.move_on_after(timeout):
            await self._wait_until(has_come)
            return self._messages.popleft()
        others = [what if times == 1 else f"{what} ({times})" for what, times in skipped.items()]
        if len(others) > _LISTED:
            others[_LISTED:] = [f"and {len(others) - _LISTED} other actions"]
        raise trio.TooSlowError(
            f"{self._who} waited {timeout:g} s for {action!r}; "
            + (f"what came instead: {', '.join(others)}" if others else "nothing else came")
        )

    async def request(self, action: str, body: object = None, *, target: str | None = None, **keys: object) -> Any:
        """Send a request, wait for its answer, and return the body of the reply.

        Other messages that come meanwhile are kept for `receive`. `target` is a room's name;
        None is the global room. Raises `ActionError` with the code and the text if the answer
        is an error, otherwise the same as `receive`.
        """
        id = next(self._ids)
        self._answers[id] = None
        try:
            await self.send(action, body, target=target, id=id, **keys)
            await self._wait_for(lambda: self._answers[id] is not None)
        finally:
            message = self._answers.pop(id)
            if message is None and self._session is not None:
                self._session.give_up(id)
        assert message is not None
        answer = message["message_body"]
        if message["action"] == "error":
            raise ActionError(
                answer["code"], answer["message"], retry_after=answer.get("retry_after"), path=answer.get("path")
            )
        return answer

    async def join(self, name: str, **options: object) -> dict[str, Any]:
        """Join a room and return the answer: `{roomname, created, members, total}`; `ActionError` if it is refused."""
        answer: dict[str, Any] = await self.request("join-room", {"roomname": name, **options})
        return answer

    async def settle(self) -> list[dict[str, Any]]:
        """Let all tasks run until all of them wait; return the messages that have come by then.

        Use it to show that no message comes.
        """
        await trio.testing.wait_all_tasks_blocked()
        received, self._messages = list(self._messages), deque()
        return received

    async def close(self, code: int = CloseCode.NORMAL) -> None:
        """Close the connection as a client does: send a Close, and wait for the server's.

        Messages that came before can still be received.
        """
        await self._connection.send_frame(code.to_bytes(2, "big"), opcode=CLOSE)
        await self.wait_ended()
        await self.stream.aclose()

    async def wait_ended(self) -> ConnectionEnded:
        """Wait until the connection has ended, and return its code and reason.

        Messages that came before can still be received.
        """
        with contextlib.suppress(ConnectionEnded):
            await self._wait_for(lambda: self._connection.is_dropped)
        return self._connection.ended or ConnectionEnded(CloseCode.ABNORMAL, "")

    @property
    def _who(self) -> str:
        return (self.name or "the client") + (" (dropped)" if self._connection.is_dropped else "")

    async def _wait_for(self, has_come: Callable[[], bool]) -> None:
        with trio.move_on_after(_PATIENCE):
            await self._wait_until(has_come)
            return
        raise trio.TooSlowError(
            f"{self._who} waited {_PATIENCE / 3600:g} hours for what never came;"
            " settle() takes what there is, trio.fail_after(...) waits for less"
        )

    async def _wait_until(self, has_come: Callable[[], bool]) -> None:
        while not has_come():
            if self._session is not None and self._connection.is_dropped:
                await self._connection.changed.park()  # until it has come back
            else:
                await self._connection.wait()

    def _take(self, payload: bytes) -> None:
        message = msgspec.json.decode(payload)
        if self._session is None:
            self._keep(message)
        else:
            self._session.take(message)

    def _keep(self, message: dict[str, Any]) -> None:
        """Keep a message for the request that it answers, or until the test takes it."""
        if message.get("id") in self._answers and message["action"] in ("reply", "error"):
            self._answers[message["id"]] = message
        else:
            self._messages.append(message)

    # --- a network that breaks

    def drop(self) -> None:
        """Break the connection without a Close, as a network does that fails.

        What is under way is lost in both directions, and the server learns of it at once.
        Messages that came before can still be received.
        """
        self._connection.drop()

    def go_silent(self) -> None:
        """Read and answer nothing from now on, as behind a network that fails without a word.

        The server is not told: its heartbeat finds out after `Limits.silence_seconds`. What the
        client sends meanwhile is lost.
        """
        self._connection.go_silent()

    # --- coming back

    @property
    def resume(self) -> dict[str, Any] | None:
        """`resume` of the newest `welcome`; None without a session."""
        return None if self._session is None else self._session.resume

    async def begin_session(self, upgrade: Upgrade, nursery: trio.Nursery | None) -> None:
        """Shake hands and ask for a session; with a nursery the client reads in it all the time."""
        self.name = upgrade.name
        self._session = ClientSession(upgrade, self._keep, nursery)
        await self._go_on(self._session, self._connection)

    async def come_back(self, *, token: str | None = None, forgets: bool = False) -> dict[str, Any]:
        """Connect again and go on with the session; return `resume` of the `welcome`.

        For a client of `Net.connect(resume=True)`, after its connection was lost; one that
        still has a connection takes over from itself. In what is returned, `outcome` is
        "resumed" (nothing is missing), "gap" or "new", and `reason` says why there is a gap.
        What the server has not received is sent again. Messages of the server come exactly
        once, but for those that a gap has lost. After "gap" and "new" the requests that were
        under way raise `ActionError` with the code "gone"; after "new" the client has another
        id and is in no room.

        `token`: other credentials, for `authenticate`. `forgets=True`: as a page that was
        loaded anew, which knows the token of its session and nothing else. Raises
        `ConnectionEnded` if the server closes the connection instead, such as with the code
        that has ended the session, and `ActionError` if it refuses the request.
        """
        session = self._session
        if session is None or self._dial is None:
            raise RuntimeError("only a client that was connected with resume=True can come back")
        self._connection.go_silent()
        if token is not None:
            session.authenticate(token)
        if forgets:
            session.forget()
            self._messages.clear()
            for id in [id for id, answer in self._answers.items() if answer is None]:
                self._keep(gone(id))
        return await self._go_on(session, ClientConnection(await self._dial(), self._take))

    async def _go_on(self, session: ClientSession, connection: ClientConnection) -> dict[str, Any]:
        try:
            await session.shake_hands(connection)
            old, self._connection = self._connection, connection
            old.changed.unpark_all()
            with trio.fail_after(_PATIENCE):
                resume = await session.go_on()
        except BaseException:
            connection.drop()
            raise
        self.id = session.id
        return resume

    # --- bytes

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are, such as a broken frame."""
        await self._connection.send_bytes(data)

    async def receive_frame(self) -> tuple[int, bytes]:
        """Return the next frame as (first byte, payload); only with `reads=False`.

        `ConnectionEnded` when the stream ends.
        """
        return await self._connection.receive_frame()

    def start_reading(self, nursery: trio.Nursery) -> None:
        """Read in a task from now on, so that the server's frames never have to wait."""
        self._connection.start_reading(nursery)


def _describe(message: dict[str, Any]) -> str:
    """Return the action of a message, with the code if it is an error."""
    return f"error {message['message_body']['code']}" if message["action"] == "error" else str(message["action"])
