"""JavaScript that loses its connection: what it is told, and what arrives, in Node and in a page."""

import time

from ..harness.browser import Process
from ..harness.line import Line
from ..harness.scripts import Script

ENTER = """
my.socket = connect(url, { name: "Ana" });
my.states = states(my.socket);
my.numbers = [];
my.syncs = [];
my.room = my.socket.room("hall-1");
my.room.on("number", (number) => my.numbers.push(number));
my.room.onSync((sync) => my.syncs.push(sync));
await my.room.join();
my.id = my.socket.id;
"""
IS_AWAY = "await until(() => my.socket.state !== 'open')"
IS_BACK = "await until(() => my.socket.state === 'open'); return my.states.at(-1)"


def test_after_a_cut_line_it_goes_on_as_the_same_client(script: Script, line: Line) -> None:
    script.run(ENTER)
    script.run("await my.room.request('number', 0)")
    line.block()
    sent = script.run(
        IS_AWAY
        + """
        for (let number = 1; number <= 100; number += 1) my.room.send("number", number);
        my.socket.send("number", 7, { volatile: true });
        my.late = my.room.request("number", 101);
        return my.socket.state;
        """
    )
    assert sent in ("waiting", "connecting")
    line.open()
    assert script.run(IS_BACK) == ["open", "resumed"]
    assert script.run("return await my.late") == 101
    assert script.run("return await my.room.request('heard')") == list(range(102))
    assert script.run("return [my.socket.id === my.id, my.syncs.length, my.room.members.size]") == [True, 1, 1]


def test_a_thousand_messages_each_way_come_in_order_through_ten_disconnects(script: Script, line: Line) -> None:
    script.run(ENTER)
    script.run("""
        my.counted = my.room.request("count", 1000, { timeout: 120 });
        my.sent = (async () => {
            for (let number = 0; number < 1000; number += 1) {
                while (true) {
                    try {
                        my.room.send("number", number);
                        break;
                    } catch (error) {
                        if (error.code !== "busy") throw error;
                        await sleep(0.05); // too much waits
                    }
                }
                await sleep(0.005);
            }
        })();
    """)
    for number in range(10):
        script.run(f"await until(() => my.states.filter(([, what]) => what === 'resumed').length === {number})")
        time.sleep(0.05 + 0.013 * number)
        line.cut()
    script.run("await my.sent; await my.counted;")
    assert script.run("return await my.room.request('heard')") == list(range(1_000))
    assert script.run("return my.numbers") == list(range(1_000))
    states = script.run("return my.states")
    assert [what for state, what in states if state == "open"] == ["new"] + ["resumed"] * 10


def test_after_a_restart_of_the_server_it_is_told_and_in_its_room_again(script: Script, house: Process) -> None:
    script.run(ENTER)
    script.run("my.slow = failure(my.socket.request('slow', 30))")
    script.run("await my.socket.request('echo', 1)")
    assert house.stop() == 0
    assert script.run(IS_AWAY + "; return (await my.slow).code") == "gone"
    refused = script.run("try { my.room.send('number', 1) } catch (error) { return error.code }")
    assert refused == "gone"
    house.start()
    assert script.run(IS_BACK) == ["open", "new"]
    syncs = script.run("await until(() => my.syncs.length === 2); return my.syncs")
    assert syncs == [
        {"first": True, "gap": False, "rejoined": False},
        {"first": False, "gap": True, "rejoined": True},
    ]
    assert script.run("return my.socket.id === my.id") is False
    assert script.run("await my.room.request('number', 5); return await my.room.request('heard')") == [5]


def test_after_a_final_close_it_stays_away_until_it_is_told_to_connect(script: Script, line: Line) -> None:
    script.run(ENTER)
    script.run("my.slow = failure(my.socket.request('slow', 30)); await my.socket.request('echo', 1)")
    script.run("my.socket.send('close-me', 4500); await until(() => my.socket.state === 'closed')")
    assert script.run("return my.states.at(-1)") == ["closed", 4500]
    assert script.run("return (await my.slow).code") == "gone"
    assert script.run("return (await failure(my.socket.join('hall-2'))).code") == "gone"
    connections = line.connections
    script.run("my.socket.connect(); await whenOpen(my.socket)")
    assert script.run("await until(() => my.syncs.length === 2); return my.syncs[1].rejoined") is True
    assert line.connections == connections + 1


def test_what_the_application_closes_is_gone_and_begins_anew(script: Script) -> None:
    script.run(ENTER)
    script.run("my.slow = failure(my.socket.request('slow', 30)); await my.socket.request('echo', 1)")
    script.run("my.socket.send('close-me', 4400);")
    assert script.run("return (await my.slow).code") == "gone"
    assert script.run("await until(() => my.states.length === 4); return my.states.slice(1)") == [
        ["waiting", 4400],
        ["connecting", None],
        ["open", "new"],
    ]


def test_only_so_much_waits_for_a_connection(script: Script, line: Line) -> None:
    script.run(ENTER)
    line.block()
    done = script.run(
        IS_AWAY
        + """
        const big = "x".repeat(200 * 1024);
        my.socket.send("echo", big);
        const bytes = await failure(my.socket.request("echo", big));
        let count = 1;
        try {
            for (; count < 1000; count += 1) my.room.send("number", count);
        } catch (error) {
            return [bytes.code, count, error.code];
        }
        """
    )
    assert done == ["busy", 256, "busy"]


def test_a_close_ends_the_session(script: Script, line: Line) -> None:
    script.run(ENTER)
    script.run("my.socket.close()")
    assert script.run("return my.states.at(-1)") == ["closed", 1000]
    script.run("""
        my.other = connect(url, { name: "Ben" });
        await until(async () => (await my.other.request("clients")).join() === "Ben");
    """)
