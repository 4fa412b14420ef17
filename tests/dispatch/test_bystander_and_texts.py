"""A bystander while texts come that are dear to look at."""

from ..harness.attacks import TEXTS, AttackInput
from ..harness.siege import besiege, each_of


@each_of(TEXTS)
async def test_a_text_is_a_bounded_piece_of_work_a_pass(given: AttackInput) -> None:
    most = await besiege(given)
    most.check(given)
