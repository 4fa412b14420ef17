"""The chat example's page when its connection is lost, and when it is loaded anew."""

import pytest
from playwright.sync_api import Browser, expect

from ..harness.browser import Process, open_pages, people_on
from ..harness.chat import Enter, join, log, write
from ..harness.line import Line


def test_a_page_that_is_closed_leaves_its_room(enter: Enter) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    join(ana, "garden")
    join(ben, "garden")
    expect(people_on(ana)).to_have_text(["Ana", "Ben"])
    ben.close()
    zoe = enter("Zoë", room="garden")
    for page in (ana, zoe):  # also who came later
        expect(page.get_by_role("list", name="Who is here")).to_contain_text("Benaway")
    expect(people_on(ana)).to_have_text(["Ana", "Zoë"])
    expect(people_on(zoe)).to_have_text(["Zoë", "Ana"])
    expect(log(ana).get_by_text("Ben left")).to_be_visible()


def test_a_page_that_is_loaded_anew_is_where_it_was(enter: Enter) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    join(ana, "garden")
    join(ben, "garden")
    expect(people_on(ana)).to_have_text(["Ana", "Ben"])
    ana.reload()
    expect(ana.get_by_role("heading", name="garden")).to_be_visible()
    expect(people_on(ana)).to_have_text(["Ana", "Ben"])
    write(ana, "still here")
    expect(log(ben).locator(".message .text")).to_have_text("still here")
    expect(log(ben).get_by_text("left")).to_have_count(0)
    expect(log(ben).get_by_text("Ana joined")).to_have_count(0)


def test_a_tab_that_comes_again_by_another_link_is_in_one_room_only(enter: Enter, process: Process) -> None:
    ana, ben = enter("Ana", room="garden"), enter("Ben", room="garden")
    expect(people_on(ben)).to_have_text(["Ben", "Ana"])
    ana.goto("about:blank")
    ana.goto(f"{process.url}/#attic")
    expect(ana.get_by_role("heading", name="attic")).to_be_visible()
    expect(people_on(ben)).to_have_text(["Ben"])
    ana.goto("about:blank")
    ana.goto(process.url)  # no room is named: it is where it was
    expect(ana.get_by_role("heading", name="attic")).to_be_visible()


def test_a_cut_line_costs_nothing_and_leaves_no_trace_in_the_log(browser: Browser, process: Process) -> None:
    with Line(int(process.url.rpartition(":")[2])) as line, open_pages(browser) as open_page:
        ana, ben = open_page(), open_page()
        for page, name in ((ana, "Ana"), (ben, "Ben")):
            page.goto(line.url)
            page.get_by_label("Your name").fill(name)
            page.keyboard.press("Enter")
            join(page, "garden")
        expect(people_on(ana)).to_have_text(["Ana", "Ben"])
        line.block()
        expect(ana.get_by_role("status")).to_contain_text("Trying again")
        expect(people_on(ana)).to_have_text(["Ana", "Ben"])
        write(ana, "written while the line was down")
        line.open()
        expect(log(ben).locator(".message .text")).to_have_text("written while the line was down")
        expect(ana.get_by_role("alert")).to_have_count(0)
        for page, lines in ((ana, 2), (ben, 1)):
            expect(log(page).locator(".happening")).to_have_count(lines)  # who has come in


def test_two_tabs_of_one_person_know_each_other(enter: Enter) -> None:
    ana = enter("Ana")
    join(ana, "garden")
    other = ana.context.new_page()
    other.goto(ana.url)
    expect(other.get_by_label("Your name")).to_have_value("Ana")
    other.get_by_role("button", name="Enter").click()
    for page in (ana, other):
        expect(page.get_by_role("list", name="Who is here")).to_contain_text("another tab")
    write(other, "it is me")
    expect(log(ana).locator(".message.own .name")).to_have_text("You")


def test_a_page_without_a_connection_does_not_say_that_there_are_no_rooms(enter: Enter) -> None:
    page = enter("Ana", [3000] * 3)
    expect(page.get_by_role("status")).to_contain_text("Trying again")
    expect(page.get_by_text("There is no room yet.")).to_be_hidden()
    expect(page.get_by_role("status")).to_have_text("Connected")
    expect(page.get_by_text("There is no room yet.")).to_be_visible()


def test_after_a_restart_of_the_server_the_pages_are_back_in_their_room(enter: Enter, process: Process) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    join(ana, "garden")
    join(ben, "garden")
    write(ana, "before")
    expect(log(ben).get_by_text("before")).to_be_visible()

    assert process.stop() == 0
    for page in (ana, ben):
        expect(page.get_by_role("status")).to_contain_text("Trying again")
        expect(log(page).get_by_text("The server is restarting; you will be back in this room.")).to_be_visible()
        expect(page.get_by_text("There is no room yet.")).to_be_hidden()
    write(ben, "kept")  # not sent, and not lost

    process.start()
    for page in (ana, ben):
        expect(page.get_by_role("status")).to_have_text("Connected")
        expect(log(page).get_by_text("You are back.")).to_be_visible()
        expect(page.get_by_role("alert")).to_have_count(0)
    expect(people_on(ana)).to_have_text(["Ana", "Ben"])
    expect(people_on(ben)).to_have_text(["Ben", "Ana"])

    ben.get_by_label("Message", exact=True).press("Enter")
    expect(log(ana).locator(".message .text")).to_have_text(["before", "kept"])


@pytest.mark.parametrize("code", [1000, 3001, 4499])
def test_a_page_comes_back_after_a_close_that_allows_it(enter: Enter, code: int) -> None:
    ana = enter("Ana", [code])
    expect(ana.get_by_role("status")).to_contain_text("Trying again")
    expect(ana.get_by_role("status")).to_have_text("Connected")


@pytest.mark.parametrize("code", [1008, 3503, 4500])
def test_a_page_stays_away_after_a_close_that_forbids_to_come_back(enter: Enter, code: int) -> None:
    ana = enter("Ana", [code])
    expect(ana.get_by_role("status")).to_have_text("Disconnected")
    expect(ana.get_by_role("alert")).to_contain_text(f"The server ended the connection ({code}): enough.")
    ana.get_by_role("button", name="Connect again").click()  # the reader may decide otherwise
    expect(ana.get_by_role("status")).to_have_text("Connected")
