"""The intake: how much is held of one client, and when it is read no more."""

from simplysocket import Limits
from simplysocket._sessions.intake import MESSAGE_BYTES, Intake


class Source:
    """A client whose reading can be paused."""

    is_asked = False

    def __init__(self) -> None:
        self.said: list[str] = []
        self.intake: Intake | None = None

    def update_reading(self) -> None:
        assert self.intake is not None
        self.said.append("pause" if self.intake.is_paused else "resume")


def test_a_client_is_not_read_from_the_bound_of_messages_on_until_half_of_them_are_gone() -> None:
    source = Source()
    intake = source.intake = Intake(source, Limits(intake_messages=4))
    for _ in range(3):
        intake.add(0)
    assert source.said == []
    for _ in range(2):
        intake.add(0)
    assert source.said == ["pause"]
    for _ in range(2):
        intake.remove(0)
    assert source.said == ["pause"]
    intake.remove(0)
    assert source.said == ["pause", "resume"]
    assert (intake.messages, intake.bytes, intake.is_paused) == (2, 2 * MESSAGE_BYTES, False)


def test_bytes_are_bounded_and_a_message_without_bytes_counts_too() -> None:
    source = Source()
    intake = source.intake = Intake(source, Limits(intake_messages=None, intake_bytes=10 * MESSAGE_BYTES))
    for _ in range(9):
        intake.add(0)
    assert source.said == []
    intake.add(1)
    assert source.said == ["pause"]
    for size in (1, *[0] * 4):
        intake.remove(size)
    assert source.said == ["pause", "resume"]


def test_a_client_that_the_server_asks_is_read_and_what_is_too_much_is_refused_meanwhile() -> None:
    source = Source()
    intake = source.intake = Intake(source, Limits(intake_messages=2))
    source.is_asked = True
    intake.update()
    intake.add(0)
    assert not intake.must_refuse
    intake.add(0)
    assert intake.must_refuse
    assert source.said == []
    source.is_asked = False
    intake.update()
    assert not intake.must_refuse  # it is not read now; what had been read before has its place
    assert source.said == ["pause"]
    source.is_asked = True
    intake.update()
    assert source.said == ["pause", "resume"]
    intake.remove(0)
    assert not intake.must_refuse


def test_without_bounds_a_client_is_always_read() -> None:
    source = Source()
    intake = source.intake = Intake(source, Limits(intake_messages=None, intake_bytes=None))
    for _ in range(1_000):
        intake.add(100_000)
    assert source.said == []
