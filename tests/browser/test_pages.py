"""What only pages do: they are loaded anew, copied, hidden and offline."""

from playwright.sync_api import BrowserContext

from ..harness.browser import Process
from ..harness.line import Line
from ..harness.scripts import PageScript

ENTER = """
my.socket = connect({ name: "Ana" });
my.states = states(my.socket);
my.seen = [];
my.room = my.socket.room("hall-1");
my.room.on("hello", () => {});
my.room.on("snapshot", ({ heard }) => my.seen.push(["snapshot", heard]));
my.room.onSync(({ first }) => my.seen.push(["sync", first]));
await my.room.join();
return my.socket.id;
"""
HIDE = """
Object.defineProperty(document, "visibilityState", { value: given, configurable: true });
document.dispatchEvent(new Event("visibilitychange"));
"""
STORED = "return Object.keys(sessionStorage).length"


def copy(page: PageScript, context: BrowserContext) -> PageScript:
    """Open a tab that has a copy of the page's sessionStorage, as a duplicated tab has."""
    with context.expect_page() as opened:
        page.run("window.open(location.href)")
    return PageScript(context, "", opened.value)


def test_a_page_that_is_loaded_anew_keeps_its_id_and_its_place(page: PageScript) -> None:
    first = page.run(ENTER)
    page.run("await my.room.request('number', 1)")
    page.reload()
    assert page.run(ENTER) == first
    assert page.run("return my.states") == [["open", "gap"]]
    seen = page.run("await until(() => my.seen.length >= 2); return my.seen")
    assert ["snapshot", 1] in seen
    assert ["sync", True] in seen
    assert page.run("return await my.room.request('heard')") == [1]
    page.reload()
    assert page.run(ENTER) == first
    assert page.run(STORED) == 0
    assert page.said() == ""


def test_a_page_that_is_loaded_anew_is_told_in_which_rooms_it_is(page: PageScript) -> None:
    page.run(ENTER)
    page.run("await my.socket.join('hall-2')")
    page.reload()
    rooms = page.run("""
        my.socket = connect();
        my.states = states(my.socket);
        my.socket.onState(({ rooms }) => { my.rooms = rooms; });
        await whenOpen(my.socket);
        my.socket.onState(({ rooms }) => my.later = rooms ?? "none");
        return my.rooms;
    """)
    assert sorted(rooms) == ["hall-1", "hall-2"]
    assert page.run("for (const name of my.rooms) await my.socket.join(name); return my.states") == [["open", "gap"]]
    page.run("await my.socket.room('hall-1').leave(); my.socket.send('close-me', 3004)")  # the session goes on
    assert page.run("await until(() => my.states.at(-1)[1] === 'resumed'); return my.later") == "none"


def test_a_page_whose_session_is_over_is_another_client(page: PageScript) -> None:
    first = page.run(ENTER)
    page.page.add_init_script("""
        for (const key of Object.keys(sessionStorage)) sessionStorage.setItem(key, '["no-token", "no-lock"]');
    """)  # runs before the page's own scripts
    page.reload()
    assert page.run(ENTER) != first
    assert page.run("return my.states") == [["open", "new"]]


def test_what_a_page_sends_before_it_is_welcomed_is_sent_also_if_its_session_is_over(page: PageScript) -> None:
    page.run(ENTER)
    page.run("my.socket.send('close-me', 4400); await until(() => my.socket.state !== 'open')")
    page.reload()
    assert page.run("my.socket = connect(); return await my.socket.request('echo', 'early')") == "early"


def test_a_copied_tab_has_a_session_of_its_own(page: PageScript, context: BrowserContext, line: Line) -> None:
    first = page.run(ENTER)
    other = copy(page, context)
    second = other.run(ENTER)
    assert second != first
    page.run("await until(() => my.room.members.size === 2)")
    assert page.run("return my.states") == other.run("return my.states") == [["open", "new"]]
    page.reload()
    other.reload()
    assert (page.run(ENTER), other.run(ENTER)) == (first, second)


def test_a_tab_that_is_copied_while_it_is_hidden_keeps_its_session(page: PageScript, context: BrowserContext) -> None:
    first = page.run(ENTER)
    page.run(HIDE, "hidden")
    assert page.run(STORED) == 1
    other = copy(page, context)
    assert other.run(ENTER) != first
    page.run(HIDE, "visible")
    assert page.run(STORED) == 0
    assert page.run("await my.room.request('number', 1); return my.states") == [["open", "new"]]


def test_a_hidden_page_that_has_come_back_stores_its_newest_token(page: PageScript, line: Line) -> None:
    first = page.run(ENTER)
    page.run(HIDE, "hidden")
    before = page.run("return Object.values(sessionStorage)[0]")
    line.cut()
    page.run("await until(() => my.states.at(-1)[1] === 'resumed')")
    assert page.run("return Object.values(sessionStorage)[0]") != before
    page.reload()
    assert page.run(ENTER) == first


def test_a_page_that_one_goes_back_to_is_the_same_client(page: PageScript, line: Line) -> None:
    first = page.run(ENTER)
    page.page.goto(f"{line.url}/health")
    page.page.go_back()
    page.wait()
    assert page.run(ENTER) == first


def test_a_page_of_another_site_may_import_it_but_not_connect(page: PageScript, house: Process) -> None:
    states = page.run(
        """
        const { connect } = await import(`${given}/simplysocket.js`);
        const socket = connect(`${given}/ws`);
        const seen = states(socket);
        await until(() => seen.length >= 2);
        const found = seen.slice(0, 2);
        socket.close();
        return found;
        """,
        house.url,
    )
    assert states == [["waiting", 1006], ["connecting", None]]


def test_two_sockets_of_one_page_keep_their_sessions_apart(page: PageScript) -> None:
    both = (
        "my.both = [connect(), connect()]; await Promise.all(my.both.map(whenOpen)); return my.both.map(({ id }) => id)"
    )
    first = page.run(both)
    assert len(set(first)) == 2
    page.reload()
    assert page.run(both) == first


def test_a_page_that_was_offline_comes_back_at_once(page: PageScript, context: BrowserContext, line: Line) -> None:
    first = page.run(ENTER)
    page.run("my.infos = []; my.socket.onState((info) => my.infos.push(info))")
    context.set_offline(True)
    line.cut()
    info = page.run("""
        await until(() => my.infos.some(({ state, at }) => state === "waiting" && at === null));
        await sleep(1);
        return my.infos.at(-1);
    """)
    assert (info["state"], info["at"]) == ("waiting", None)
    page.run("my.late = my.room.request('number', 1)")
    context.set_offline(False)
    assert page.run("return await my.late") == 1
    assert page.run("return [my.socket.id, my.states.at(-1)]") == [first, ["open", "resumed"]]


def test_a_page_that_is_shown_again_sees_that_its_line_is_dead(page: PageScript, line: Line) -> None:
    first = page.run(ENTER)
    page.run("await my.room.request('number', 1)")
    line.hold()
    page.run("my.late = my.room.request('number', 2, { timeout: 60 })")
    page.run(HIDE, "hidden")
    page.run(HIDE, "visible")
    page.run("await until(() => my.socket.state === 'waiting')")
    line.release()  # what was held arrives now, on the connection that the page has given up
    assert page.run("return await my.late") == 2
    assert page.run("return [my.socket.id, my.states.at(-1)]") == [first, ["open", "resumed"]]
    assert page.run("return await my.room.request('heard')") == [1, 2]
    assert page.said() == ""
