"""A client that is dropped at random a hundred times, from end to end; `make soak` does a thousand such runs."""

import traceback

import pytest

from simplysocket._protocol.client_side import ClientSide
from simplysocket._wire.ring import Ring

from ..harness.drops import DROPS, run

SEEDS = 50


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_message_comes_exactly_once_or_the_gap_is_told(seed: int) -> None:
    told = run(seed)
    assert sum(told.values()) >= DROPS
    assert told["resumed"] > DROPS / 2


def test_every_outcome_is_met() -> None:
    runs = [run(seed, drops=30) for seed in range(8)]
    assert all(sum(told[outcome] for told in runs) for outcome in ("resumed", "gap", "new"))


def test_a_frame_that_is_not_sent_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    rewind = Ring.rewind

    def rewind_all_but_one(ring: Ring, received: int | None) -> list[bytes] | None:
        frames = rewind(ring, received)
        return frames and frames[1:]

    monkeypatch.setattr(Ring, "rewind", rewind_all_but_one)
    with pytest.raises(BaseExceptionGroup) as failure:
        run(0)
    assert "came after" in "".join(traceback.format_exception(failure.value))


def test_a_message_that_is_sent_twice_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    rewind = ClientSide._rewind

    def rewind_too_far(side: ClientSide, received: int) -> None:
        oldest = [message for message in side._kept[:1] if message.request is None]
        rewind(side, received)
        side._kept[:0] = oldest

    monkeypatch.setattr(ClientSide, "_rewind", rewind_too_far)
    with pytest.raises(BaseExceptionGroup) as failure:
        run(0)
    assert "assert numbers == sorted(set(numbers))" in "".join(traceback.format_exception(failure.value))
