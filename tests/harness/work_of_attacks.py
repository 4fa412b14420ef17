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
    "empty-pings": Work(82, 4_500, 6),
    "empty-pongs": Work(120, 3_400, 9),
    "fragments-of-one-byte": Work(154, 5_600, 4),
    "fragments-of-no-bytes": Work(66, 4_800, 4),
    "messages-over-the-rate": Work(149, 43_600, 321),
    "messages-without-an-id": Work(127, 45_500, 321),
    "joins-without-a-name": Work(149, 18_800, 321),
    "bad-JSON": Work(62, 10_500, 111),
    "cancels-of-unknown-ids": Work(119, 18_700, 321),
    "replies-to-no-request": Work(135, 18_100, 321),
    "error-texts": Work(83, 13_600, 22),
    "names-that-nearly-match": Work(91, 21_200, 321),
    "invented-error-codes": Work(94, 10_900, 23),
    "dense-bodies": Work(88, 13_000, 21),
    "strings-without-an-end": Work(77, 5_500, 21),
    "deep-bodies": Work(90, 4_000, 22),
    "joins-with-large-options": Work(110, 41_500, 23),
    "a-room-with-each-join": Work(71, 39_400, 321),
    "lists-of-rooms": Work(160, 21_300, 321),
    "lists-of-members": Work(158, 21_600, 322),
    "joins-and-leaves": Work(81, 22_700, 321),
    "renames-in-the-chat": Work(137, 54_800, 321),
    "large-relays": Work(57, 4_500, 20),
    "large-direct-messages": Work(54, 1_400, 20),
    "a-room-of-many-words": Work(84, 28_600, 321),
    "silent-readers": Work(93, 10_000, 21),
    "silent-members": Work(54, 3_600, 20),
    "a-busy-room": Work(56, 4_400, 130),
    "a-hundred-busy-rooms": Work(95, 4_900, 33),
    "a-room-that-is-held": Work(52, 5_100, 129),
    "joins-that-are-refused-slowly": Work(64, 10_200, 165),
    "handlers-that-fail": Work(151, 52_900, 321),
    "handlers-outside-the-turn": Work(146, 53_600, 321),
    "connections-that-vanish": Work(64, 19_700, 3),
    "members-that-vanish": Work(61, 14_400, 21),
    "members-of-many-rooms-that-vanish": Work(59, 25_700, 201),
    "connections-that-say-nothing": Work(71, 8_600, 2),
    "requests-that-are-refused": Work(81, 20_000, 2),
    "plain-requests": Work(97, 18_800, 2),
    "failed-logins": Work(85, 19_900, 2),
    "long-request-heads": Work(81, 5_800, 2),
    "messages-behind-a-slow-join": Work(76, 13_800, 321),
    "a-room-that-ends-while-much-waits": Work(135, 52_200, 321),
    "heads-of-many-lines": Work(79, 14_500, 2),
    "heads-of-many-spaces": Work(87, 16_800, 2),
    "dear-numbers": Work(78, 3_200, 21),
}
OTHERS: Final = Work(160, 41_000, 321)  # for an input that is not measured yet: the largest of each


def bound_of(given: AttackInput) -> Work:
    """Return how much work an input may make."""
    measured = MEASURED.get(str(given), OTHERS)
    return Work(*(round(number * SLACK) + FEW for number in attrs.astuple(measured)))
