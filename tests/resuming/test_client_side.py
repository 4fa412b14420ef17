"""What the client's machine does beyond the traces: its pings, odd answers, and servers that keep no sessions."""

import math

import pytest

from simplysocket._protocol.client_side import ClientSide
from simplysocket._protocol.resume_tokens import ResumeTokens
from simplysocket._protocol.resuming import Offer, read_offer

TOKEN = ResumeTokens(30).issue(0)


def resume(outcome: str = "new", received: object = 0, **more: object) -> dict[str, object]:
    return {"client": "c", "ping": 25, "resume": {"outcome": outcome, "token": TOKEN, "received": received, **more}}


def opened(*texts: bytes) -> ClientSide:
    """Return a client with a session that has sent these texts."""
    side = ClientSide()
    side.offer()
    side.opened(resume(), 0)
    for text in texts:
        assert side.sending(text, "word")
    return side


def pong(received: object) -> dict[str, object]:
    return {"action": "ping", "message_body": {"received": received, "now": 0}}


def test_what_it_offers_is_what_a_server_reads() -> None:
    side = ClientSide()
    assert read_offer(side.offer()) == Offer()
    side.opened(resume(), 0)
    side.received({"action": "word"})
    side.sending(b"1", "word")
    side.sending(b"2", "word")
    assert read_offer(side.offer()) == Offer(TOKEN, 1, 2)
    assert read_offer(ClientSide(TOKEN).offer()) == Offer(TOKEN, None, 0)


# --- pings


def test_a_ping_is_due_at_once_then_each_second_while_something_comes_then_seldom() -> None:
    side = ClientSide()
    assert side.ping_due == math.inf
    side.offer()
    side.opened(resume(), 100.0)
    assert side.ping_due == 100.0
    assert side.ping(100.0) == {"received": 0}
    assert side.ping_due == 125.0
    side.received({"action": "word"})
    assert side.ping_due == 101.0
    assert side.ping(101.5) == {"received": 1}
    side.received(pong(0))
    assert side.ping_due == 126.5
    side.closed()
    assert side.ping_due == math.inf


def test_welcome_and_answers_to_pings_do_not_count() -> None:
    side = opened()
    assert side.sending(b"ping", "ping", 7)
    side.received({"action": "welcome", "message_body": resume()})
    side.received(pong(0))
    side.received({"action": "reply", "id": 7, "message_body": {"received": 0}})
    assert side.ping(0) == {"received": 0}
    side.received({"action": "reply", "id": 7})  # a second answer is one to nothing
    assert side.ping(0) == {"received": 1}


@pytest.mark.parametrize("id", [{}, {"id": 7}])
def test_an_error_counts_unless_it_answers_a_ping(id: dict[str, int]) -> None:
    side = opened()
    side.sending(b"ping", "ping", 7)
    side.received({"action": "error", **id, "message_body": {"code": "rate-limited", "action": "ping"}})
    assert side.ping(0) == {"received": 0}
    side.received({"action": "error", **id, "message_body": {"code": "rate-limited", "action": "word"}})
    side.received({"action": "error", **id, "message_body": "ping"})
    assert side.ping(0) == {"received": 2}


def test_a_ping_without_a_connection_is_forgotten() -> None:
    side = opened()
    side.closed()
    assert not side.sending(b"ping", "ping", 7)
    side.offer()
    assert side.opened(resume("resumed"), 0).frames == []


def test_an_answered_ping_frees_what_the_server_has() -> None:
    side = opened(b"1", b"2", b"3")
    assert side.unacknowledged == 3
    side.received(pong(2))
    assert side.unacknowledged == 1
    side.received({"action": "reply", "id": 1, "message_body": {"received": 3}})  # no ping had this id
    assert side.unacknowledged == 1


@pytest.mark.parametrize("received", [-1, 0, 4, 2**53, 2.0, True, "2", None, [2], {}])
def test_an_acknowledgement_of_what_was_not_sent_changes_nothing(received: object) -> None:
    side = opened(b"1", b"2", b"3")
    side.received(pong(1))
    side.received(pong(received))
    assert side.unacknowledged in (2, 3)
    side.received({"action": "ping", "message_body": received})
    side.received({"action": "ping"})
    assert side.unacknowledged == 2


@pytest.mark.parametrize("id", [None, [], {}, 1.5, "unknown", 10**40])
def test_an_answer_with_an_odd_id_only_counts(id: object) -> None:
    side = opened()
    side.sending(b"?", "ask", 7)
    side.received({"action": "reply", "id": id})
    side.closed(3008)
    side.offer()
    assert side.opened(resume("gap", 0, reason="slow"), 0).gone == [7]


# --- welcome


@pytest.mark.parametrize("received", [0, 4, -1, "2", None, 2.0])
def test_a_server_that_counts_otherwise_is_an_error(received: object) -> None:
    side = opened(b"1", b"2", b"3")
    side.received(pong(1))
    side.offer()
    with pytest.raises(ValueError, match=r"of 3 that were sent and 1 that it has acknowledged"):
        side.opened(resume("resumed", received), 0)


def test_what_is_said_before_the_first_welcome_is_sent_after_it() -> None:
    side = ClientSide()
    assert not side.sending(b"1", "word")
    side.offer()
    assert not side.sending(b"2", "ask", "a")
    first = side.opened(resume(), 0)
    assert (first.frames, first.gone) == ([b"1", b"2"], [])
    assert side.unacknowledged == 2


def test_a_server_that_keeps_no_sessions_gets_nothing_twice() -> None:
    side = ClientSide()
    side.offer()
    side.opened({"client": "c", "ping": 25}, 0)
    assert side.sending(b"1", "ask", "a")
    assert side.unacknowledged == 0
    assert side.closed()
    side.sending(b"2", "ask", "b")
    assert read_offer(side.offer()) == Offer()
    again = side.opened({"client": "d", "ping": 25}, 0)
    assert (again.outcome, again.frames, again.gone) == ("new", [b"2"], ["a"])
    assert side.ping(0) == {"received": 0}


def test_a_server_without_pings_is_pinged_only_when_something_came() -> None:
    side = ClientSide()
    side.offer()
    side.opened({**resume(), "ping": None}, 0)
    side.ping(0)
    assert side.ping_due == math.inf
