"""A bystander while a hundred connections send small frames in large numbers."""

from ..harness.attacks import READING, AttackInput
from ..harness.siege import besiege, each_of


@each_of(READING)
async def test_small_frames_in_large_numbers_are_a_bounded_piece_of_work_a_pass(given: AttackInput) -> None:
    most = await besiege(given)
    most.check(given)
