"""A bystander while much is said at once, and while readers do not read."""

from ..harness.attacks import FANOUT, AttackInput
from ..harness.siege import besiege, each_of


@each_of(FANOUT)
async def test_what_is_said_at_once_is_a_bounded_piece_of_work_a_pass(given: AttackInput) -> None:
    most = await besiege(given)
    most.check(given)
