"""Which tokens bring a client back to its session, and which are told that another connection has it."""

from simplysocket._protocol.resume_tokens import ResumeTokens, Standing, is_token, lookup_of

GRACE = 30.0


def test_a_token_is_valid_until_the_client_is_heard_with_a_newer_one() -> None:
    tokens = ResumeTokens(GRACE)
    first = tokens.issue(0)
    tokens.heard(0)
    second = tokens.issue(1, offered=first)
    assert (tokens.check(first, 1), tokens.check(second, 1)) == ("valid", "valid")
    tokens.heard(2)
    assert (tokens.check(first, 2), tokens.check(second, 2)) == ("superseded", "valid")


def test_a_client_that_offers_a_newer_token_holds_no_older_one() -> None:
    tokens = ResumeTokens(GRACE)
    first = tokens.issue(0)
    second = tokens.issue(1, offered=first)
    third = tokens.issue(2, offered=second)
    assert [tokens.check(each, 2) for each in (first, second, third)] == ["superseded", "valid", "valid"]


def test_a_superseded_token_is_known_during_the_grace() -> None:
    tokens = ResumeTokens(GRACE)
    first = tokens.issue(0)
    tokens.issue(1)
    tokens.heard(10)
    assert tokens.check(first, 10 + GRACE - 0.001) == "superseded"
    assert tokens.check(first, 10 + GRACE) is None


def test_the_token_of_a_client_that_never_reads_an_answer_stays_valid() -> None:
    tokens = ResumeTokens(GRACE)
    first = tokens.issue(0)
    tokens.heard(0)
    later = [tokens.issue(number, offered=first) for number in range(50)]
    assert tokens.check(first, 50) == "valid"
    assert [tokens.check(each, 50) for each in later[-4:]] == ["superseded", "valid", "valid", "valid"]


def test_superseded_tokens_are_bounded() -> None:
    tokens = ResumeTokens(GRACE)
    issued = [tokens.issue(0) for _ in range(1_000)]
    tokens.heard(0)
    assert sum(tokens.check(each, 0) is not None for each in issued) == 17  # 16 superseded ones, and the newest


def test_nothing_else_is_a_token() -> None:
    tokens, others = ResumeTokens(GRACE), ResumeTokens(GRACE)
    token, other = tokens.issue(0), others.issue(0)
    forged = token[:12] + other[12:]  # the right look-up part with another's secret
    for wrong in (
        "",
        "-",
        token[:-1],
        token + "a",
        token.lower(),
        other,
        forged,
        token[:12],
        "\xe9" * 34,
        "a" * 99_999,
    ):
        assert tokens.check(wrong, 0) is None, wrong
    assert not is_token("\xe9" * 34)


def test_tokens_have_a_fixed_form_and_share_their_look_up_part() -> None:
    tokens = ResumeTokens(GRACE)
    issued = {tokens.issue(0) for _ in range(200)}
    assert len(issued) == 200
    for token in issued:
        assert is_token(token)
        assert len(token) == 34
        assert "." not in token
        assert lookup_of(token) == tokens.lookup
    assert len({ResumeTokens(GRACE).lookup for _ in range(200)}) == 200


def test_the_holder_of_an_older_token_can_go_on_only_where_the_counts_were_settled() -> None:
    tokens = ResumeTokens(GRACE)
    first = tokens.issue(0)
    assert tokens.standing(first) == Standing()
    second = tokens.issue(1, 5, first)
    third = tokens.issue(2, 5, first)
    assert tokens.standing(first) == tokens.standing(second) == Standing(settled=5)
    assert tokens.standing(third) == Standing()


def test_a_gap_stays_untold_for_who_has_not_read_its_welcome() -> None:
    tokens = ResumeTokens(GRACE)
    first = tokens.issue(0)
    second = tokens.issue(1, 5, first, "slow")
    assert tokens.standing(first) == Standing(5, "slow")
    tokens.issue(2, 5, second)
    assert tokens.standing(second) == Standing(5)


def test_a_reload_of_another_page_is_a_lost_position_to_a_late_one() -> None:
    tokens = ResumeTokens(GRACE)
    first = tokens.issue(0)
    tokens.issue(1, 0, first, "reload")
    assert tokens.standing(first) == Standing(0, "overflow")
