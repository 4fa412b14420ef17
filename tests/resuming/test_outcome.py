"""What becomes of an offer: `resumed`, `gap` or `new`."""

import pytest

from simplysocket._protocol.delivery_classes import CoalescedFrame, VolatileFrame
from simplysocket._protocol.resume_tokens import Standing
from simplysocket._protocol.resuming import Offer, Outcome, decide, is_beyond
from simplysocket._wire.ring import Ring

from .sides import make_ring

TOKEN = "a" * 34
NEWEST = Standing()


def ring_with(*frames: bytes, waiting: tuple[bytes, ...] = (), most: int | None = None) -> Ring:
    ring = make_ring(most)
    for each in frames:
        ring.add([each])
    ring.keep_back(waiting)
    return ring


def test_what_the_client_lacks_is_sent_again_and_counts_from_its_position() -> None:
    ring = ring_with(b"1", b"2", b"3", waiting=(b"4",))
    assert decide(Offer(TOKEN, 1, 0), 0, ring, NEWEST) == Outcome("resumed", None, [b"2", b"3", b"4"])
    assert ring.sent == 1


def test_a_replay_leaves_out_what_is_old() -> None:
    score = CoalescedFrame.of(b"score 1", "score"), CoalescedFrame.of(b"score 2", "score")
    ring = ring_with(score[0], VolatileFrame(b"position"), b"word", waiting=(score[1], VolatileFrame(b"position")))
    assert decide(Offer(TOKEN, 0, 0), 0, ring, NEWEST).frames == [b"word", b"score 2"]


@pytest.mark.parametrize(
    ("received", "sent"),
    [(3, 0), (2**53, 0), (1, 1), (0, 0)],
)
def test_a_position_that_was_never_reached_gets_a_new_session(received: int, sent: int) -> None:
    ring = ring_with(b"1", b"2")
    offer = Offer(TOKEN, received, sent)
    assert is_beyond(offer, 2, ring.sent, NEWEST)
    assert decide(offer, 2, ring, NEWEST) == Outcome("new")
    assert ring.sent == 2  # as it was


def test_frames_that_were_evicted_are_a_gap_only_if_the_client_lacks_them() -> None:
    ring = ring_with(b"1", b"2", b"3", most=1)
    assert decide(Offer(TOKEN, 2, 0), 0, ring, NEWEST) == Outcome("resumed", None, [b"3"])
    ring = ring_with(b"1", b"2", b"3", most=1)
    assert decide(Offer(TOKEN, 1, 0), 0, ring, NEWEST) == Outcome("gap", "overflow")
    assert ring.sent == 1


@pytest.mark.parametrize("reason", ["slow", "overflow"])
def test_frames_that_were_lost_are_told_as_a_gap(reason: str) -> None:
    ring = ring_with(b"1", b"2")
    ring.lose(reason)  # type: ignore[arg-type]
    assert decide(Offer(TOKEN, 2, 0), 0, ring, NEWEST) == Outcome("gap", reason)  # type: ignore[arg-type]
    assert (ring.sent, ring.gap) == (2, None)


def test_a_page_that_lost_its_state_begins_anew() -> None:
    ring = ring_with(b"1", b"2")
    assert decide(Offer(TOKEN, None, 0), 7, ring, NEWEST) == Outcome("gap", "reload")
    assert ring.sent == 0


def test_a_gap_is_told_again_until_the_client_has_read_it() -> None:
    ring = ring_with(b"1", b"2")
    assert decide(Offer(TOKEN, 1, 0), 0, ring, Standing(1, "slow")) == Outcome("gap", "slow")


def test_an_older_token_goes_on_where_the_counts_were_settled() -> None:
    ring = make_ring()
    ring.clear(4)
    ring.add([b"5"])
    assert decide(Offer(TOKEN, 4, 0), 0, ring, Standing(4)) == Outcome("resumed", None, [b"5"])


@pytest.mark.parametrize("received", [3, 5, 6, 7])
def test_an_older_token_has_no_position_beyond_what_was_settled(received: int) -> None:
    """Its holder has read frames whose numbers were given again to others: what it lacks is not known."""
    ring = make_ring()
    ring.clear(4)
    ring.add([b"5", b"6"])
    assert not is_beyond(Offer(TOKEN, received, 0), 0, ring.sent, Standing(4))
    assert decide(Offer(TOKEN, received, 0), 0, ring, Standing(4)) == Outcome("gap", "overflow")
    assert ring.sent == received
