"""Names of rooms and clients."""

import pytest

from simplysocket._protocol.names import clean_name, is_room_name


@pytest.mark.parametrize("name", ["a", "game 1", "Zürich", "🎲", "a" * 200, "мяч", "👩‍👩‍👧", "a/b?c#d"])
def test_a_room_may_have_this_name(name: str) -> None:
    assert is_room_name(name, 200)


@pytest.mark.parametrize(
    "name", ["", "a" * 201, "é" * 201, "a\nb", "\0", "a\x7f", "\x85é", "a\u2028", "\u2029", "\ud800"]
)
def test_a_room_may_not_have_this_name(name: str) -> None:
    assert not is_room_name(name, 200)


def test_a_room_name_may_be_long_where_there_is_no_limit() -> None:
    assert is_room_name("a" * 100_000, None)


NAMES = {  # given: shown
    "Ana": "Ana",
    "  Ana\t Maria \n": "Ana Maria",
    "A\0n\x07a\x7f": "Ana",
    "A\x1b[31mna": "A[31mna",
    "An\u2028a": "An a",
    "\u202eanA\u202c \u2066x\u2069": "anA x",
    "Zoë 🎲": "Zoë 🎲",
    "👩‍👧": "👩‍👧",
    "A\ud800na": "Ana",
    "\u202e\0 ": "",
    "": "",
}


@pytest.mark.parametrize(("given", "shown"), NAMES.items())
def test_a_clients_name_is_cleaned(given: str, shown: str) -> None:
    assert clean_name(given, 200) == shown


@pytest.mark.parametrize(
    ("given", "shown"), [("abcdef", "abcd"), ("abc def", "abc"), ("🎲🎲🎲🎲🎲", "🎲🎲🎲🎲"), ("\0abcde", "abcd")]
)
def test_a_clients_name_is_cut(given: str, shown: str) -> None:
    assert clean_name(given, 4) == shown
    assert clean_name(given * 100, None) == clean_name(given * 100, 10_000)
