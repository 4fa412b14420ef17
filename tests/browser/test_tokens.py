"""JavaScript with credentials: refused, expired, and renewed, in Node and in a page."""

from collections.abc import Iterator

import pytest

from ..harness.browser import Process, run_example
from ..harness.line import Line
from ..harness.scripts import Script
from .conftest import HOUSE


@pytest.fixture(scope="module")
def process() -> Iterator[Process]:
    """The server, which lets in only who has a token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOUSE", "doors")
        with run_example(HOUSE) as process:
            yield process


def test_a_token_lets_in_and_a_wrong_one_is_final(script: Script, line: Line) -> None:
    done = script.run("""
        const right = connect(url, { token: "ana" });
        const { user } = await right.request("me");
        const wrong = connect(url, { token: "eve ✓" });
        const seen = [];
        wrong.onState((info) => seen.push(info));
        const refused = await failure(wrong.request("me"));
        return { user, refused: refused.code, state: wrong.state, last: seen.at(-1) };
    """)
    assert (done["user"], done["refused"], done["state"]) == ("ana", "gone", "closed")
    assert (done["last"]["code"], done["last"]["reason"]) == (3500, "a token is needed")


def test_a_refused_token_is_asked_for_once_more(script: Script) -> None:
    done = script.run("""
        const asked = [];
        const tokens = ["eve", "ana"];
        const socket = connect(url, { getToken: async () => asked.push(1) && tokens.shift() });
        const { user } = await socket.request("me");
        const again = [];
        const refused = connect(url, { getToken: () => again.push(1) && "eve" });
        const error = await failure(refused.request("me"));
        return { user, asked: asked.length, again: again.length, state: refused.state, code: error.code };
    """)
    assert done == {"user": "ana", "asked": 2, "again": 2, "state": "closed", "code": "gone"}


@pytest.mark.parametrize("token", ["ana:0", "eve"])
def test_a_token_that_the_page_has_given_is_tried_before_it_asks(script: Script, token: str) -> None:
    done = script.run(
        """
        const asked = [];
        const socket = connect(url, { token: given, getToken: () => asked.push(1) && "ana" });
        const { user } = await socket.request("me");
        const alone = connect(url, { token: given });
        const { code } = await failure(alone.request("me"));
        return { user, asked: asked.length, alone: alone.state, code };
        """,
        token,
    )
    assert done == {"user": "ana", "asked": 1, "alone": "closed", "code": "gone"}


def test_no_token_is_final_and_a_failure_to_get_one_is_tried_again(script: Script) -> None:
    done = script.run("""
        const none = connect(url, { getToken: () => null });
        const seen = states(none);
        const { code } = await failure(none.request("me"));
        let failures = 0;
        const socket = connect(url, { getToken: () => {
            if ((failures += 1) < 3) throw new TypeError("the network is down");
            return "ben";
        } });
        return { code, seen, user: (await socket.request("me")).user, failures };
    """)
    assert done == {"code": "gone", "seen": [["closed", 3500]], "user": "ben", "failures": 3}


def test_a_token_is_renewed_before_it_expires(script: Script, line: Line) -> None:
    connections = line.connections  # those that have loaded the page
    done = script.run("""
        const asked = [];
        const socket = connect(url, { getToken: () => asked.push(Date.now()) && (asked.length < 3 ? "ana:1" : "ana") });
        const seen = states(socket);
        await whenOpen(socket);
        const { id } = socket;
        await until(() => asked.length === 3);
        await sleep(1.2); // the second one would have expired
        return { seen, isSame: id === socket.id, user: (await socket.request("me")).user };
    """)
    assert done == {"seen": [["open", "new"]], "isSame": True, "user": "ana"}
    assert line.connections == connections + 1


def test_after_its_token_has_expired_it_comes_back_as_the_same_client(script: Script) -> None:
    done = script.run("""
        let isAway = false;
        const getToken = () => {
            if (isAway) throw new Error("not now");
            return "ana:1";
        };
        const socket = connect(url, { getToken });
        const seen = states(socket);
        await whenOpen(socket);
        const { id } = socket;
        isAway = true; // so that it is not renewed
        await until(() => socket.state !== "open");
        const late = socket.request("echo", "after");
        isAway = false;
        return { late: await late, seen: seen.filter(([state]) => state !== "connecting"), isSame: id === socket.id };
    """)
    assert (done["late"], done["isSame"]) == ("after", True)
    assert [done["seen"][0], done["seen"][1], done["seen"][-1]] == [
        ["open", "new"],
        ["waiting", 3005],
        ["open", "resumed"],
    ]
