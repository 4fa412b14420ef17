"""The package's machines, driven by the steps of a trace."""

import re
from typing import Any

import attrs

from simplysocket import Limits
from simplysocket._protocol.client_side import ClientSide
from simplysocket._protocol.delivery_classes import CoalescedFrame, VolatileFrame
from simplysocket._protocol.names import SUBPROTOCOL
from simplysocket._protocol.resume_tokens import ResumeTokens, lookup_of
from simplysocket._protocol.resuming import decide, is_beyond, read_offer
from simplysocket._wire.outboxes import Outboxes
from simplysocket._wire.ring import Ring
from simplysocket.metrics import Metrics

Json = dict[str, Any]  # Any: JSON

GRACE = 30.0
NOW = 100.0


class ClientMachine:
    """A client: `step` does one step of a trace and returns its `out`."""

    def __init__(self) -> None:
        self.side = ClientSide()

    def step(self, step: Json) -> Json | None:
        side = self.side
        match step["client"]:
            case "offer":
                entries = side.offer()
                assert entries[0] == SUBPROTOCOL
                return {"offer": entries[1]}
            case "opened":
                opened = side.opened({"client": "k3Jx9QvT", "ping": 25, "now": 0, "resume": step["resume"]}, NOW)
                assert (opened.outcome, opened.reason) == (step["resume"]["outcome"], step["resume"].get("reason"))
                assert side.is_open
                assert side.token == step["resume"]["token"]
                assert side.ping_due <= NOW
                return {"send": [each.decode() for each in opened.frames], "gone": opened.gone}
            case "say":
                is_sent = side.sending(step["text"].encode(), "word", step.get("id"))
                return {"send": [step["text"]] if is_sent else []}
            case "hear":
                answer = {"action": "reply", "id": step["answers"]} if "answers" in step else {"action": step["text"]}
                side.received({**answer, "message_body": {}})
            case "ping":
                return side.ping(NOW)
            case "pong":
                side.received({"action": "ping", "message_body": {"received": step["received"], "now": 0}})
            case "closed":
                return {"again": side.closed(step["code"])}
            case "give_up":
                side.give_up(step["id"])
            case "reload":
                self.side = ClientSide(side.token)
            case unknown:
                raise ValueError(unknown)
        return None


@attrs.define
class Session:
    """What a server keeps of a client, as far as it is about coming back."""

    tokens: ResumeTokens
    ring: Ring
    connection: int | None
    received: int = 0
    is_heard: bool = False
    outbox: list[bytes] = attrs.Factory(list)
    is_stalled: bool = False


class ServerMachine:
    """Sessions over the package's tokens, rings and `decide`; `step` does one step and returns its `out`.

    A ring keeps at most so many frames.
    """

    def __init__(self, keeps: int) -> None:
        self.keeps = keeps
        self.sessions: dict[str, Session] = {}  # {the look-up part of its tokens: session}
        self.tokens: dict[str, str] = {}  # {the name of a token in the trace: the token}

    def step(self, step: Json) -> Json | None:
        do = step["server"]
        if do == "offered":
            return self._offered(step)
        if "connection" in step:
            session = next(each for each in self.sessions.values() if each.connection == step["connection"])
        else:
            session = self.sessions[lookup_of(self.tokens[f"t{step['session']}"])]
        match do:
            case "hear":
                self._hear(session)
                session.received += 1
                return {"received": session.received}
            case "ping":
                self._hear(session)
                assert session.ring.acknowledge(step["received"])
                return {"received": session.received}
            case "say":
                return {"frames": self._say(session, frame_of(step["text"]))}
            case "stall":
                session.is_stalled = True
            case "flow":
                session.is_stalled = False
                return {"frames": self._write(session)}
            case "slow":
                session.outbox.clear()
                session.ring.lose("slow")
                self._lose(session)
            case "lose":
                self._lose(session)
            case "grace":
                del self.sessions[session.tokens.lookup]
            case unknown:
                raise ValueError(unknown)
        return None

    def _offered(self, step: Json) -> Json:
        entry = re.sub(r"\bt\d+\b", lambda found: self.tokens.get(found[0], "a" * 34), step["offer"])
        offer = read_offer([SUBPROTOCOL, entry])
        assert offer is not None
        session = self.sessions.get(lookup_of(offer.token or ""))
        judged = session and session.tokens.check(offer.token or "", NOW)
        if judged == "superseded":
            return {"close": 3502}
        if session is None or judged is None or offer.token is None:
            return self._begin(step)
        standing = session.tokens.standing(offer.token)
        ring = session.ring
        if is_beyond(offer, session.received, ring.sent, standing):
            return self._begin(step)
        taken_over = session.connection
        self._leave(session)
        outcome = decide(offer, session.received, ring, standing)
        token = session.tokens.issue(NOW, ring.sent, offer.token, outcome.reason)
        session.connection, session.is_stalled = step["connection"], step.get("stalled", False)
        session.outbox = list(outcome.frames)
        resume: Json = {"outcome": outcome.outcome, "token": self._name(token, step), "received": session.received}
        if outcome.reason is not None:
            resume["reason"] = outcome.reason
        out: Json = {"resume": resume, "frames": self._write(session)}
        return {**out, "closed": taken_over} if taken_over is not None else out

    def _begin(self, step: Json) -> Json:
        session = Session(ResumeTokens(GRACE), make_ring(self.keeps), step["connection"])
        self.sessions[session.tokens.lookup] = session
        token = session.tokens.issue(NOW)
        return {"resume": {"outcome": "new", "token": self._name(token, step), "received": 0}, "frames": []}

    def _name(self, token: str, step: Json) -> str:
        name: str = step["out"]["resume"]["token"]
        self.tokens[name] = token
        return name

    def _hear(self, session: Session) -> None:
        session.is_heard = True
        session.tokens.heard(NOW)

    def _say(self, session: Session, frame: bytes) -> list[str]:
        if session.connection is None:
            session.ring.wait(frame, [frame])
            return []
        if not session.is_stalled:
            session.outbox.append(frame)
            return self._write(session)
        if isinstance(frame, CoalescedFrame):
            session.outbox = [each for each in session.outbox if not isinstance(each, CoalescedFrame)]
        if not isinstance(frame, VolatileFrame):
            session.outbox.append(frame)
        return []

    def _write(self, session: Session) -> list[str]:
        """The socket takes all that waits for it, unless it is stalled."""
        if session.is_stalled or not session.outbox:
            return []
        frames, session.outbox = session.outbox, []
        for each in frames:
            session.ring.add([each])  # a ring may forget together what was added together
        return [each.decode() for each in frames]

    def _leave(self, session: Session) -> None:
        """The connection is neither read nor written any more: what waits for it, waits in the ring."""
        frames, session.outbox, session.is_stalled = session.outbox, [], False
        session.ring.keep_back(frames)
        session.connection = None

    def _lose(self, session: Session) -> None:
        self._leave(session)
        if not session.is_heard:
            del self.sessions[session.tokens.lookup]


def make_ring(most: int | None = None) -> Ring:
    """Return a ring that keeps at most so many frames."""
    limits = Limits(resume_frames=most)
    return Ring(limits, Outboxes(limits), Metrics())


def frame_of(text: str) -> bytes:
    """Return the frame of a word, in the delivery class that its first character stands for."""
    frame = text.encode()
    if text[0] == "~":
        return VolatileFrame(frame)
    return CoalescedFrame.of(frame, "key") if text[0] == "=" else frame
