"""A bystander while connections come and go in large numbers."""

from ..harness.attacks import ARRIVALS, AttackInput
from ..harness.siege import besiege, each_of


@each_of(ARRIVALS)
async def test_connections_that_come_and_go_are_a_bounded_piece_of_work_a_pass(given: AttackInput) -> None:
    most = await besiege(given, has_login=given.name == "failed logins")
    most.check(given)
