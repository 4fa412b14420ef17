"""The promises of the protocol hold in the model, whatever happens; and each rule of it is needed."""

from collections.abc import Callable
from typing import Any

import pytest

from . import model, traces
from .model import Answer, Client, Server, Words
from .search import explore
from .world import BrokenPromise, Plan, Step, World

# As in search.py, with less to say and fewer drops, so that all of them take a few seconds.
SMALL = {
    "drops": Plan(client=("c1",), server=(), drops=2),
    "volatile": Plan(client=(), server=("~s1", "s2"), drops=2),
    "coalesced": Plan(client=(), server=("=s1", "=s2"), drops=1, stalls=1),
    "given up": Plan(client=("?c1", "c2"), server=(), drops=1, give_ups=1),
    "slow": Plan(client=("?c1",), server=(), drops=0, late=0, stalls=1, slow=1),
    "slow and away": Plan(client=(), server=("s1", "s2"), drops=1, late=0, stalls=1, slow=1),
    "short": Plan(client=(), server=("s1", "s2"), drops=1, most=1),
    "reload": Plan(client=("?c1",), server=("s1",), drops=0, reloads=1),
    "grace": Plan(client=("?c1",), server=("s1",), drops=1, graces=1),
}
asked, opens, closed = model.server_is_asked, model.client_opens, model.client_is_closed


def outcomes(plan: Plan) -> set[tuple[str, str | None]]:
    """Return which outcomes a client that comes back can get."""
    found = set()

    def look(world: World, number: int, step: Step) -> None:
        for event in step.events:
            if event.do == "offered" and event.given[1].token:
                found.add((event.out[0].outcome, event.out[0].reason))

    explore(plan, look)
    return found - {("new", None)}  # for who comes back before it was heard


@pytest.mark.parametrize("name", SMALL)
def test_whatever_happens_each_message_comes_once_and_in_order_or_the_gap_is_told(name: str) -> None:
    explore(SMALL[name])


def test_a_client_without_late_attempts_has_no_gap() -> None:
    assert outcomes(SMALL["volatile"]._replace(late=0)) == {("resumed", None)}


def test_only_a_late_attempt_below_a_living_connection_makes_a_gap() -> None:
    assert outcomes(SMALL["volatile"]) == {("resumed", None), ("taken", None), ("gap", "overflow")}


# --- a rule is needed if the promises do not hold without it


def settled_nowhere(server: Server, offer: model.Offer, *rest: Any) -> tuple[Server, Answer, Words]:
    """The holder of an older token goes on from any position."""
    return asked(server._replace(settled=offer.received or 0), offer, *rest)


def told_once(server: Server, *rest: Any) -> tuple[Server, Answer, Words]:
    """A gap is told in one `welcome`, read or not."""
    return asked(server._replace(valid=tuple(each._replace(untold=None) for each in server.valid)), *rest)


def never_told(server: Server, *rest: Any) -> tuple[Server, Answer, Words]:
    """Frames that were lost are no gap."""
    return asked(server._replace(gap=None), *rest)


def valid_for_ever(server: Server) -> Server:
    """A frame on a newer connection supersedes no token."""
    return server._replace(is_heard=True)


def kept_unheard(server: Server) -> Server:
    """A session is kept although its client was never heard."""
    return server._replace(connection=None, is_stalled=False)


def dropped_while_waiting(server: Server) -> Server:
    """Of the frames that wait, the oldest go first."""
    return server._replace(kept=server.kept[-server.most :], waiting=server.waiting[-server.most :])


def away_after_3502(client: Client, code: int | None) -> tuple[Client, bool]:
    """The first 3502 is final."""
    return closed(client, code)[0], code != 3502


def not_rewound(client: Client, answer: Answer) -> tuple[Client, Words, Words]:
    """The client goes on counting from what it had sent."""
    after, words, gone = opens(client, answer)
    return after._replace(sent=max(after.sent, client.sent)) if answer.outcome == "resumed" else after, words, gone


def under_way_after_a_gap(client: Client, answer: Answer) -> tuple[Client, Words, Words]:
    """A gap ends no request."""
    return opens(client, answer._replace(outcome="resumed") if answer.outcome == "gap" else answer)


@pytest.mark.parametrize(
    ("function", "without", "plan", "broken"),
    [
        ("server_is_asked", settled_nowhere, "volatile", "the client has seen everything, or was told"),
        ("server_is_asked", told_once, "slow and away", "seen, or told to be missing"),
        ("server_is_asked", never_told, "slow and away", "seen, or told to be missing"),
        ("heard", valid_for_ever, "drops", "a session that is kept is found again"),
        ("server_loses", kept_unheard, "drops", "nothing is left of other connections and sessions"),
        ("trimmed", dropped_while_waiting, "short", "seen, or told to be missing"),
        ("client_is_closed", away_after_3502, "volatile", "the client may come back"),
        ("client_opens", not_rewound, "given up", "both sides count alike"),
        ("client_opens", under_way_after_a_gap, "slow", "every request has ended"),
    ],
)
def test_without_this_rule_a_promise_is_broken(
    function: str, without: Callable[..., object], plan: str, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, function, without)
    with pytest.raises(BrokenPromise, match=broken):
        explore(SMALL[plan])


# --- the traces


def test_the_traces_show_every_kind_of_step() -> None:
    shown = {kind for trace in traces.read() if "way" in trace for kind in traces.kinds(trace["plan"], trace["way"])}
    missing = set()

    def look(world: World, number: int, step: Step) -> None:
        missing.update({traces.kind_of(world, each) for each in step.events} - shown)

    explore(traces.plan_of("short"), look)  # the others take longer
    assert not missing


def test_the_scripts_are_in_the_file_as_the_model_plays_them_now() -> None:
    scripts = {trace["script"]: trace["steps"] for trace in traces.read() if "script" in trace}
    assert scripts == {name: traces.written(events) for name, events in traces.played()}
