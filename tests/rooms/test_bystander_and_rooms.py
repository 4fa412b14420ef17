"""A bystander while rooms are made in large numbers, and listed."""

from ..harness.attacks import ROOMS, AttackInput
from ..harness.siege import besiege, each_of


@each_of(ROOMS)
async def test_rooms_and_lists_are_a_bounded_piece_of_work_a_pass(given: AttackInput) -> None:
    most = await besiege(given, rooms=300)
    most.check(given)
