"""What a client offers, read from the subprotocols of its request."""

import pytest

from simplysocket._protocol.names import SUBPROTOCOL
from simplysocket._protocol.resume_tokens import ResumeTokens
from simplysocket._protocol.resuming import Offer, read_offer

TOKEN = ResumeTokens(30).issue(0)
ENTRY = f"simplysocket.resume.{TOKEN}"


@pytest.mark.parametrize("offer", [Offer(), Offer(TOKEN, 0, 0), Offer(TOKEN, 7, 2**53), Offer(TOKEN, None, 0)])
def test_an_offer_is_read_as_it_was_written(offer: Offer) -> None:
    assert read_offer([SUBPROTOCOL, "simplysocket.token.YQ", offer.entry()]) == offer


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [SUBPROTOCOL],
        [SUBPROTOCOL, "simplysocket.token.YQ"],
        [SUBPROTOCOL, "simplysocket.resumes"],
        ["simplysocket.resume"],  # no `welcome` would come
        [f"{ENTRY}.0.0"],
    ],
)
def test_a_client_that_does_not_ask_offers_nothing(entries: list[str]) -> None:
    assert read_offer(entries) is None


@pytest.mark.parametrize(
    "entry",
    [
        "simplysocket.resume.",
        ENTRY,
        f"{ENTRY}.1",
        f"{ENTRY}.1.",
        f"{ENTRY}..1",
        f"{ENTRY}.1.1.1",
        f"{ENTRY}.1.1.1.1.1",
        f"{ENTRY}.-1.1",
        f"{ENTRY}.1.-",
        f"{ENTRY}.+1.1",
        f"{ENTRY}.1_0.1",
        f"{ENTRY}.0x1.1",
        f"{ENTRY}.1e3.1",
        f"{ENTRY}.1 .1",
        f"{ENTRY}.\u0661.1",  # a digit, but no ASCII
        f"{ENTRY}.\xb2.1",
        f"{ENTRY}.{2**53 + 1}.0",
        f"{ENTRY}.0.{2**53 + 1}",
        f"{ENTRY}.{'9' * 5_000}.0",
        f"{ENTRY}.{'0' * 5_000}.0",
        f"simplysocket.resume.{TOKEN[:-1]}.0.0",
        f"simplysocket.resume.{TOKEN}a.0.0",
        f"simplysocket.resume.{'a' * 100_000}.0.0",
        f"simplysocket.resume.{TOKEN[:-1]}+.0.0",
        f"simplysocket.resume.{TOKEN[:-1]}\xe9.0.0",
        "simplysocket.resume" + "." * 100_000,
    ],
)
def test_a_wrong_offer_asks_for_a_new_session(entry: str) -> None:
    assert read_offer([SUBPROTOCOL, entry]) == Offer()


@pytest.mark.parametrize("second", [f"{ENTRY}.1.1", "simplysocket.resume", f"{ENTRY}.0.0"])
def test_two_offers_ask_for_a_new_session(second: str) -> None:
    assert read_offer([SUBPROTOCOL, f"{ENTRY}.0.0", second]) == Offer()


def test_a_token_is_not_shown() -> None:
    assert TOKEN not in repr(Offer(TOKEN, 0, 0))
