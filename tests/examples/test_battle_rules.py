"""The rules of the word battle, without a server."""

import pytest

from examples.lobby.bot import WORDS
from examples.lobby.rules import LONGEST, Attempt, Battle, Player, Verdict
from examples.lobby.words import DICTIONARY, SHORTEST

FEW = {"water", "river", "rain", "road", "dog", "wasp"}


def battle() -> Battle:
    return Battle([Player("#fff", "Ana", 7, "a"), Player("#000", "Ben", 7, "b")], FEW)


def test_a_good_word_scores_a_point_and_gives_the_next_letter() -> None:
    game = battle()
    assert game.letter == "w"
    assert game.attempt("a", "water") is Verdict.GOOD
    assert game.letter == "r"
    assert game.attempt("b", " River ") is Verdict.GOOD  # as a phone writes it
    assert [player.score for player in game.players.values()] == [1, 1]  # a new game begins at 0
    assert game.words == ["water", "river"]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("dog", Verdict.WRONG_LETTER),
        ("", Verdict.WRONG_LETTER),
        ("rxyz", Verdict.NO_WORD),
        ("r", Verdict.NO_WORD),
        ("river", Verdict.USED),
    ],
)
def test_a_word_that_does_not_count_changes_nothing_but_is_noted(text: str, verdict: Verdict) -> None:
    game = battle()
    for word in ("water", "river"):
        game.attempt("a", word)
    assert game.attempt("b", text) is verdict
    assert (game.letter, game.words, game.players["b"].score) == ("r", ["water", "river"], 0)
    assert game.attempts[-1] == Attempt("b", text, verdict)


def test_a_turn_that_ran_out_is_noted() -> None:
    game = battle()
    game.miss("a")
    assert game.attempts == [Attempt("a", "", Verdict.TOO_LATE)]


def test_the_board_has_those_who_are_there_and_the_best_comes_first() -> None:
    game = Battle([Player("", name, 0, name) for name in ("Ana", "Ben", "Zoë")], FEW)
    game.attempt("Zoë", "water")
    game.attempt("Ben", "rain")
    game.leave("Ben")
    game.leave("nobody")
    assert [(player.name, player.score) for player in game.board()] == [("Zoë", 1), ("Ana", 0)]
    assert game.judge("rain") is Verdict.WRONG_LETTER
    assert "rain" in game.words


def test_the_dictionary_holds_english_words_of_plain_letters() -> None:
    words = DICTIONARY
    assert len(words) > 120_000
    assert {"tree", "ox", "waltz", "pneumonoultramicroscopicsilicovolcanoconiosis"} <= words
    assert not words & {"a", "don't", "naïve", "Tree", "aaaaa", ""}
    assert min(map(len, words)) == SHORTEST
    assert max(map(len, words)) == LONGEST
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)
    assert {word[0] for word in words} == {word[-1] for word in words} == set("abcdefghijklmnopqrstuvwxyz")


def test_the_bot_knows_words_of_the_dictionary_with_each_letter() -> None:
    assert set(WORDS) <= DICTIONARY
    assert {word[0] for word in WORDS} == set("abcdefghijklmnopqrstuvwxyz")
