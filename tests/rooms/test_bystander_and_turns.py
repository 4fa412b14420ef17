"""A bystander while the rooms of others are busy."""

from ..harness.attacks import TURNS, AttackInput
from ..harness.siege import besiege, each_of


@each_of(TURNS)
async def test_busy_rooms_are_a_bounded_piece_of_work_a_pass(given: AttackInput) -> None:
    most = await besiege(given)
    most.check(given)
