"""Names of rooms and clients."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simplysocket._protocol.names import clean_name, is_room_name

PERSIAN = "می\u200cخواهم"  # noqa: RUF001
FAMILY = "👩\u200d👩\u200d👧"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


@pytest.mark.parametrize(
    "name", ["a", "game 1", "Zürich", "🎲", "a" * 200, "мяч", "👩‍👩‍👧", "a/b?c#d", PERSIAN, SCOTLAND]
)
def test_a_room_may_have_this_name(name: str) -> None:
    assert is_room_name(name, 200)


@pytest.mark.parametrize(
    "name",
    [
        *("", "a" * 201, "é" * 201, "a\nb", "\0", "a\x7f", "\x85é", "a\u2028", "\u2029", "\ud800"),
        *(
            " ",
            "\xa0",
            "\u3000",
            "\u2800\u2800",
            "\u0301",
            "\u200d",
            "\ufe0f",
            "game\u202e1",
            "ga\u200bme",
            "game\ufeff",
        ),
    ],
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
    "An\u200ba \u00ad\u2060\ufeffM": "Ana M",
    "A\u2800\u3164na": "A na",
    PERSIAN: PERSIAN,
    f"\u200d{FAMILY}\u200c\u200d": FAMILY,
    f"{SCOTLAND} Ana": f"{SCOTLAND} Ana",
    f"A{SCOTLAND[1:]}": "A",
    SCOTLAND[:-1]: SCOTLAND[0],
    "\u0338\u0301é": "é",
    "e\u0301a": "e\u0301a",
    "❤\ufe0f": "❤\ufe0f",
    "שלום": "שלום",
    "\u200fשלום\u200f": "שלום",  # noqa: RUF001
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


INVISIBLE = {
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "zero width non-joiners": "\u200c\u200c",
    "Hangul fillers": "\u3164\u115f\u1160\uffa0",
    "soft hyphen": "\xad",
    "Braille blank": "\u2800",
    "tags": "\U000e0041\U000e0042\U000e007f",
    "bidi controls": "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "byte order mark": "\ufeff",
    "word joiner and invisible operators": "\u2060\u2061\u2062\u2063\u2064",
    "combining marks": "\u0301\u0308",
    "grapheme joiner": "\u034f",
    "variation selectors": "\ufe0f\U000e0100\u180b",
    "Mongolian vowel separator": "\u180e",
    "spaces of every width": "\xa0\u2003\u3000\u205f",
    "line ends": "\u2028\u2029\x85\n",
    "controls": "\0\x1b\x9b",
    "musical formats": "\U0001d173\U0001d159",
    "lone surrogate": "\udc80",
}


@pytest.mark.parametrize("hidden", INVISIBLE.values(), ids=INVISIBLE)
def test_what_nobody_sees_is_no_name(hidden: str) -> None:
    for text in (hidden, hidden * 3, f" {hidden} "):
        assert clean_name(text, 200) == ""
        assert not is_room_name(text, 200)


def test_no_character_that_unicode_lets_be_ignored_is_a_name() -> None:
    characters = [
        *(each for each in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(each) not in ("Cn", "Co", "Lo")),
        *(each for each in map(chr, range(0x3400)) if unicodedata.category(each) == "Lo"),  # without Chinese and Korean
        *("\uffa0", "\U0001f3f4"),
    ]
    shown = [each for each in characters if clean_name(each, None)]
    assert not [
        each for each in shown if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn", "Me")
    ]
    assert not [each for each in shown if unicodedata.bidirectional(each) in BIDI_CONTROLS]
    inside = [each for each in characters if each in clean_name(f"a{each}b", None)]
    assert not [each for each in inside if unicodedata.bidirectional(each) in BIDI_CONTROLS]
    assert not [each for each in inside if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")]
    letters = [each for each in characters if unicodedata.category(each)[0] in "LN"]
    assert {each for each in letters if not clean_name(each, None)} == set("\u115f\u1160\u3164\uffa0")


BIDI_CONTROLS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


@pytest.mark.parametrize(
    ("given", "longest", "shown"),
    [
        (f"ab{FAMILY}", 4, "ab"),
        (f"ab{FAMILY}", 7, f"ab{FAMILY}"),
        ("abe\u0301\u0308", 4, "ab"),
        ("abe\u0301\u0308c", 5, "abe\u0301\u0308"),
        ("ab👍\U0001f3fd", 3, "ab"),
        ("ab❤\ufe0f", 3, "ab"),
        ("ab🇩🇪🇫🇷", 3, "ab"),
        ("ab🇩🇪🇫🇷", 4, "ab🇩🇪"),
        ("ab🇩🇪🇫🇷", 5, "ab🇩🇪"),
        (f"ab{SCOTLAND}", 5, "ab"),
        ("ab\u1112\u1161\u11ab", 4, "ab"),
        (FAMILY, 3, "👩\u200d👩"),  # one character that is longer than a name may be
    ],
)
def test_a_clients_name_is_not_cut_inside_a_character(given: str, longest: int, shown: str) -> None:
    assert clean_name(given, longest) == shown


@given(st.text(max_size=300), st.integers(1, 50))
def test_a_cleaned_name_is_clean_and_short(text: str, longest: int) -> None:
    name = clean_name(text, longest)
    assert len(name) <= longest
    assert clean_name(name, longest) == name
    assert name == "" or is_room_name(name, longest)


def test_a_long_name_is_cut_before_it_is_cleaned() -> None:
    class Counted(str):
        """A text that cannot be split into words as a whole."""

        def split(self, *_: object) -> list[str]:  # type: ignore[override]
            raise AssertionError("cleaned before it was cut")

    assert clean_name(Counted("é" * 15_800), 200) == "é" * 200
