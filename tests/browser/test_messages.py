"""Messages between JavaScript and a server: requests, replies, rooms and handlers, in Node and in a page."""

from collections.abc import Callable

from ..harness.scripts import Script


def test_a_request_is_answered_and_a_refusal_is_an_error(script: Script) -> None:
    done = script.run("""
        my.socket = connect(url, { name: "Ana" });
        const echoed = await my.socket.request("echo", { text: "a < b, naïve" });
        const wrong = await failure(my.socket.request("number", "seven"));
        const unknown = await failure(my.socket.request("no-such", {}));
        const me = await my.socket.request("me");
        return { echoed, wrong, unknown, me, id: my.socket.id, state: my.socket.state };
    """)
    assert done["echoed"] == {"text": "a < b, naïve"}
    assert (done["wrong"]["name"], done["wrong"]["code"], done["wrong"]["path"]) == (
        "SimplySocketError",
        "bad-body",
        "$",
    )
    assert done["unknown"]["code"] == "unknown-action"
    assert done["me"] == {"id": done["id"], "name": "Ana", "user": None}
    assert done["state"] == "open"


def test_two_clients_talk_in_a_room(make_script: Callable[[], Script]) -> None:
    ana, ben = make_script(), make_script()
    for script, name in ((ana, "Ana"), (ben, "Ben")):
        script.run(
            """
            my.socket = connect(url, { name: given });
            my.room = await my.socket.join("hall-1");
            my.said = [];
            my.room.on("said", (body, { sender }) => my.said.push([body, sender]));
            """,
            name,
        )
    ana.run("await until(() => my.room.members.size === 2); my.room.send('say', 'hello')")
    ben.run("await until(() => my.said.length === 1); await my.room.request('say', 'good morning')")
    ana_id, ben_id = (script.run("return my.socket.id") for script in (ana, ben))
    for script in (ana, ben):
        assert script.run("await until(() => my.said.length === 2); return my.said") == [
            ["hello", ana_id],
            ["good morning", ben_id],
        ]
        assert script.run("return Object.fromEntries(my.room.members)") == {ana_id: "Ana", ben_id: "Ben"}
    ben.run("await my.room.leave()")
    assert ana.run("await until(() => my.room.members.size === 1); return my.room.total") == 1
    ben.run("my.socket.close()")
    assert ben.run("return [my.socket.state, (await failure(my.socket.request('echo'))).code]") == ["closed", "gone"]


def test_what_a_join_sends_comes_to_the_handlers_of_before_and_of_after(script: Script) -> None:
    seen = script.run("""
        const socket = connect(url, { name: "Ana" });
        const seen = [];
        const before = socket.room("hall-before");
        before.on("hello", ({ name }) => seen.push(["hello", name]));
        before.onSync((sync) => seen.push(["sync", sync]));
        const joined = await before.join();
        seen.push(["joined", joined.roomname, joined.created]);
        const after = await socket.join("hall-after");
        after.on("hello", () => seen.push("hello after"));
        after.onSync(({ first }) => seen.push(["sync after", first]));
        await until(() => seen.length >= 5);
        await sleep(0.05);
        return seen;
    """)
    assert seen == [
        ["hello", "Ana"],
        ["sync", {"first": True, "gap": False, "rejoined": False}],
        ["joined", "hall-before", True],
        "hello after",
        ["sync after", True],
    ]


def test_what_comes_of_a_room_that_the_server_has_chosen_waits_for_the_handlers(script: Script) -> None:
    seen = script.run("""
        const socket = connect(url, { name: "Ana" });
        const seen = [], others = [];
        socket.on("*", (body, { action, room }) => { if (room !== "hall-found") others.push(action + " " + room); });
        const room = await socket.enter("find-hall", { pattern: "hall-*", options: { colour: "red" } });
        for (const action of ["hello", "snapshot"]) room.on(action, () => seen.push(action));
        room.onSync(({ first, rejoined }) => seen.push({ first, rejoined }));
        await until(() => seen.length === 3);
        const again = await socket.room("hall-found").request("number", 7);
        const refused = await failure(socket.enter("find-hall", { pattern: "shut-*" }));
        await until(() => others.filter((each) => each.endsWith("hall-other")).length === 2);
        my.socket = socket;
        my.room = room;
        my.seen = seen;
        return { seen, others, again, refused, name: room.name, code: room.code, size: room.members.size };
    """)
    assert seen["seen"] == ["hello", "snapshot", {"first": True, "rejoined": False}]
    assert [each for each in seen["others"] if each.endswith("hall-other")] == [
        "hello hall-other",
        "snapshot hall-other",
    ]
    assert "found undefined" in seen["others"]
    assert (seen["again"], seen["refused"]["code"]) == (7, "forbidden")
    assert (seen["name"], seen["code"], seen["size"]) == ("hall-found", "balo-mitu-dora", 1)


def test_a_request_of_the_server_is_answered_by_what_a_handler_returns(script: Script) -> None:
    done = script.run("""
        const socket = connect(url);
        socket.on("choose", ({ cards }) => cards.at(-1));
        socket.on("late", async () => { await sleep(0.05); return "late"; });
        socket.on("nothing", () => {});
        socket.on("refuse", () => { throw new SimplySocketError("forbidden", "not now", { path: "$.a" }); });
        socket.on("fail", () => { throw new Error("a secret"); });
        socket.on("odd", () => 10n);
        const ask = (action) => socket.request("ask-me", { action, body: { cards: [3, 8] } });
        const answers = {};
        for (const each of ["choose", "late", "nothing", "refuse", "fail", "odd", "unknown"]) {
            answers[each] = await ask(each);
        }
        return answers;
    """)
    assert done["choose"] == {"answer": 8}
    assert done["late"] == {"answer": "late"}
    assert done["nothing"] == {"answer": None}
    assert done["refuse"] == {"code": "forbidden", "message": "not now", "path": "$.a"}
    assert done["unknown"]["code"] == "unknown-action"
    assert done["fail"]["code"] == done["odd"]["code"] == "internal"
    assert "secret" not in str(done)
    assert "a secret" in script.said()


def test_a_handler_that_fails_loses_nothing_and_a_message_without_one_warns_once(script: Script) -> None:
    seen = script.run("""
        const socket = connect(url);
        const tell = (action) => socket.request("tell-me", { action, body: { number: 1 } });
        const seen = [];
        socket.on("news", () => { throw new Error("a bug"); });
        socket.on("news", async () => { throw new Error("another bug"); });
        const takeBack = socket.on("news", () => seen.push("first"));
        socket.on("news", () => seen.push("second"));
        await tell("news");
        takeBack();
        await tell("news");
        await tell("stray");
        await tell("stray");
        socket.send("number", "seven");
        await until(() => socket.request("echo", true));
        const all = [];
        socket.on("*", (body, { action }) => all.push(action));
        await tell("other");
        return { seen, all };
    """)
    assert seen == {"seen": ["first", "second", "second"], "all": ["other", "reply"]}
    said = script.said()
    assert said.count("a bug") >= 2
    assert "another bug" in said
    assert said.count("no handler for stray") == 1
    assert "other" not in said.replace("another", "")
    assert said.count("refused number: bad-body") == 1


def test_what_comes_is_merged_into_nothing(script: Script) -> None:
    assert script.run("""
        const socket = connect(url);
        const seen = [];
        for (const action of ["__proto__", "constructor"]) socket.on(action, (body) => seen.push(Object.keys(body)));
        const body = JSON.parse('{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}}');
        const tell = (action) => socket.request("tell-me", { action, body });
        for (const action of ["__proto__", "constructor", "toString"]) await tell(action);
        const room = await socket.join("hall-1", body);
        return { seen, polluted: {}.polluted ?? null, members: room.members.size };
    """) == {"seen": [["__proto__", "constructor"]] * 2, "polluted": None, "members": 1}


def test_a_request_ends_when_its_caller_gives_up(script: Script) -> None:
    done = script.run("""
        const socket = connect(url);
        const late = await failure(socket.request("slow", 30, { timeout: 0.1 }));
        const controller = new AbortController();
        const waiting = failure(socket.request("slow", 30, { signal: controller.signal }));
        await sleep(0.05);
        controller.abort();
        const taken = await waiting;
        const before = await failure(socket.request("slow", 30, { signal: controller.signal }));
        return { late: late.code, given: taken.name, before: before.name, after: await socket.request("slow", 0) };
    """)
    assert done == {"late": "timeout", "given": "AbortError", "before": "AbortError", "after": "done"}


def test_a_room_that_ends_or_refuses_says_so(script: Script) -> None:
    done = script.run("""
        const socket = connect(url);
        const refused = await failure(socket.join("shut-1"));
        const closed = [];
        const room = await socket.join("hall-1");
        room.onClosed(({ reason }) => closed.push(reason));
        room.send("dismiss");
        await until(() => closed.length === 1);
        const outside = await failure(room.request("say", "x"));
        await room.join();
        room.send("end");
        await until(() => closed.length === 2);
        return { refused: refused.code, closed, outside: outside.code, members: room.members.size };
    """)
    assert done == {
        "refused": "forbidden",
        "closed": ["enough", "it is over"],
        "outside": "unknown-target",
        "members": 0,
    }
