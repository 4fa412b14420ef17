"""The work of attacks: what each input makes a server do, as it was measured by the siege (siege.py).

Law: numbers only. What is counted, and how, is known there.

A change that makes the server do less, or rightly more, of something is measured anew: the failure of the test shows
the new numbers. Runs differ by a fifth.
"""

from typing import Final

import attrs

from .attacks import AttackInput

SLACK: Final = 1.5  # times what was measured: less than twice
FEW: Final = 20  # more of anything, since small numbers vary most


@attrs.frozen
class Work:
    """The most that was counted while twelve questions were answered."""

    all_passes: int  # of all questions together; of an idle server 50 to 60
    calls: int  # of functions, in a pass
    messages: int  # handed on, in a pass


# {input: the largest numbers of six runs}
MEASURED: Final = {
    "empty-pings": Work(73, 9_700, 4),
    "empty-pongs": Work(78, 6_700, 5),
    "fragments-of-one-byte": Work(150, 5_900, 4),
    "fragments-of-no-bytes": Work(68, 3_200, 4),
    "messages-over-the-rate": Work(160, 16_600, 321),
    "messages-without-an-id": Work(150, 13_500, 321),
    "joins-without-a-name": Work(150, 17_200, 321),
    "bad-JSON": Work(64, 9_300, 111),
    "cancels-of-unknown-ids": Work(140, 17_600, 321),
    "replies-to-no-request": Work(160, 15_700, 321),
    "error-texts": Work(83, 13_600, 22),
    "names-that-nearly-match": Work(91, 21_200, 321),
    "invented-error-codes": Work(94, 10_900, 23),
    "dense-bodies": Work(81, 10_200, 21),
    "deep-bodies": Work(94, 3_300, 21),
    "joins-with-large-options": Work(110, 41_500, 23),
    "a-room-with-each-join": Work(71, 39_400, 321),
    "lists-of-rooms": Work(160, 21_300, 321),
    "lists-of-members": Work(160, 21_900, 321),
    "joins-and-leaves": Work(81, 22_700, 321),
    "renames-in-the-chat": Work(160, 18_200, 321),
    "large-relays": Work(54, 5_200, 20),
    "large-direct-messages": Work(52, 1_600, 21),
    "a-room-of-many-words": Work(88, 13_600, 321),
    "silent-readers": Work(98, 12_200, 21),
    "silent-members": Work(54, 3_600, 20),
    "a-busy-room": Work(57, 5_000, 129),
    "a-hundred-busy-rooms": Work(97, 4_900, 31),
    "a-room-that-is-held": Work(52, 5_100, 129),
    "joins-that-are-refused-slowly": Work(66, 9_800, 151),
    "handlers-that-fail": Work(150, 17_400, 321),
    "handlers-outside-the-turn": Work(160, 17_900, 321),
    "connections-that-vanish": Work(81, 8_400, 3),
    "members-that-vanish": Work(88, 12_000, 21),
    "members-of-many-rooms-that-vanish": Work(67, 24_100, 201),
    "connections-that-say-nothing": Work(93, 8_400, 1),
    "requests-that-are-refused": Work(88, 20_400, 1),
    "plain-requests": Work(97, 18_800, 2),
    "failed-logins": Work(95, 20_800, 1),
    "long-request-heads": Work(81, 5_800, 2),
}
OTHERS: Final = Work(160, 41_000, 321)  # for an input that is not measured yet: the largest of each


def bound_of(given: AttackInput) -> Work:
    """Return how much work an input may make."""
    measured = MEASURED.get(str(given), OTHERS)
    return Work(*(round(number * SLACK) + FEW for number in attrs.astuple(measured)))
