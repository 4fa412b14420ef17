"""Crash policies: how often a room begins again after a crash, and when."""

from simplysocket._rooms.crashes import RestartAfterCrash, RestartAtOnce


def test_three_restarts_within_a_minute_are_the_most() -> None:
    policy = RestartAtOnce()
    assert [policy.after_crash(now) for now in (0, 1, 2, 3, 59.9)] == [0, 0, 0, None, None]
    assert [policy.after_crash(now) for now in (60, 60.5, 61)] == [0, None, 0]


def test_the_global_room_waits_longer_each_time_until_it_was_calm() -> None:
    policy = RestartAfterCrash()
    assert [policy.after_crash(now) for now in (0, 10, 20, 30, 40, 50, 60)] == [1, 2, 4, 8, 16, 30, 30]
    assert policy.after_crash(120) == 1
