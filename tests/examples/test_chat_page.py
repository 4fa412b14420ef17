"""The chat example's page, in a real browser."""

import re

from playwright.sync_api import expect

from examples.chat.server import TEXT_LENGTH
from simplysocket import GLOBAL_ROOM

from ..harness.browser import people_on
from ..harness.chat import Enter, join, log, write

HTML = "<img src=x onerror=\"document.title='broken'\">"


def test_two_pages_talk_in_a_room(enter: Enter) -> None:
    ana = enter("Ana")
    join(ana, "garden")
    expect(people_on(ana)).to_have_text(["Ana"])

    ben = enter("Ben")
    ben.get_by_role("button", name="garden 1 of 50").click()  # from the list of rooms
    expect(people_on(ben)).to_have_text(["Ben", "Ana"])
    expect(people_on(ana)).to_have_text(["Ana", "Ben"])
    expect(log(ana).get_by_text("Ben joined")).to_be_visible()

    write(ana, "Hello Ben")
    expect(log(ben).locator(".message:not(.own) .text")).to_have_text("Hello Ben")
    expect(log(ben).locator(".message .name")).to_have_text("Ana")
    expect(log(ben).locator(".message time")).to_have_text(re.compile(r"\d\d:\d\d"))
    expect(log(ana).locator(".message.own .text")).to_have_text("Hello Ben")
    expect(ana.get_by_label("Message", exact=True)).to_have_value("")

    ben.get_by_role("button", name="Leave").click()
    expect(log(ana).get_by_text("Ben left")).to_be_visible()
    expect(people_on(ana)).to_have_text(["Ana"])
    expect(ben.get_by_role("heading", name="Pick a room")).to_be_visible()


def test_the_others_see_who_is_typing(enter: Enter) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    join(ana, "garden")
    join(ben, "garden")
    ben.get_by_label("Message", exact=True).press_sequentially("Hel")
    expect(ana.get_by_text("Ben is typing…")).to_be_visible()
    ben.keyboard.press("Enter")
    expect(log(ana).get_by_text("Hel")).to_be_visible()
    expect(ana.get_by_text("is typing")).to_have_count(0)


def test_a_phone_shows_everything_whatever_the_names_are(enter: Enter) -> None:
    ana = enter("A" * 40)
    ana.set_viewport_size({"width": 390, "height": 844})
    join(ana, "a-room-with-a-name-" + "x" * 100)
    write(ana, "hello " + "y" * 100)
    own = log(ana).locator(".message.own .text")
    expect(own).to_be_visible()
    for part in (ana.get_by_role("button", name="Send"), own, ana.get_by_role("button", name="Leave")):
        box = part.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
    assert ana.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_page_shows_what_comes_over_the_wire_as_text(enter: Enter) -> None:
    ana, eve = enter("Ana"), enter(HTML[:40])
    join(ana, "garden")
    join(eve, "garden")
    write(eve, HTML)
    expect(log(ana).locator(".message .text")).to_have_text(HTML)
    join(eve, HTML)  # a room's name is somebody's text, too
    expect(ana.get_by_role("button", name=f"{HTML} 1 of 50")).to_be_visible()
    expect(log(ana).get_by_text("left")).to_be_visible()
    expect(people_on(ana)).to_have_text(["Ana"])
    for page in (ana, eve):
        assert page.locator("img").count() == 0
    assert ana.title() == "garden · Chat"


def test_switching_takes_a_page_from_one_room_to_another(enter: Enter) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    join(ana, "garden")
    join(ben, "garden")
    write(ana, "only for the garden")
    expect(log(ben).get_by_text("only for the garden")).to_be_visible()
    join(ben, "kitchen")
    expect(people_on(ana)).to_have_text(["Ana"])
    expect(people_on(ben)).to_have_text(["Ben"])
    expect(log(ben).get_by_text("only for the garden")).to_have_count(0)


def test_a_draft_stays_with_the_room_that_it_was_written_for(enter: Enter) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    box = ana.get_by_label("Message", exact=True)
    join(ben, "kitchen")
    join(ana, "garden")
    box.fill("only for\nthe garden")
    height = box.evaluate("box => box.offsetHeight")

    join(ana, "kitchen")
    expect(box).to_have_value("")
    assert box.evaluate("box => box.offsetHeight") < height
    box.press("Enter")  # there is nothing to send
    write(ana, "for the kitchen")
    expect(log(ben).locator(".message .text")).to_have_text(["for the kitchen"])
    box.fill("also for the kitchen")

    join(ana, "garden")
    expect(box).to_have_value("only for\nthe garden")
    assert box.evaluate("box => box.offsetHeight") == height
    ana.get_by_role("button", name="Leave").click()
    join(ana, "kitchen")
    expect(box).to_have_value("also for the kitchen")
    box.press("Enter")
    expect(log(ben).locator(".message .text")).to_have_text(["for the kitchen", "also for the kitchen"])
    join(ana, "garden")
    expect(box).to_have_value("only for\nthe garden")


def test_the_room_that_everyone_is_in_is_not_shown_as_a_room(enter: Enter) -> None:
    ana = enter("Ana")
    wish = ana.get_by_label("Join or create a room")
    refusal = f"Everyone is in “{GLOBAL_ROOM}” already"
    wish.fill(GLOBAL_ROOM)
    wish.press("Enter")
    expect(ana.get_by_role("alert")).to_contain_text(refusal)
    expect(ana.get_by_role("heading", name="Pick a room")).to_be_visible()

    join(ana, "garden")
    expect(ana.get_by_role("alert")).to_have_count(0)
    ana.evaluate(f"location.hash = '{GLOBAL_ROOM}'")  # a link, followed while in a room
    expect(ana.get_by_role("alert")).to_contain_text(refusal)
    expect(ana).to_have_url(re.compile("#garden$"))
    expect(ana.get_by_role("heading", name="garden")).to_be_visible()

    ben = enter("Ben", room=GLOBAL_ROOM)  # a link, followed to come in
    expect(ben.get_by_role("alert")).to_contain_text(refusal)
    expect(ben.get_by_role("heading", name="Pick a room")).to_be_visible()
    assert "#" not in ben.url
    join(ben, "garden")
    expect(people_on(ana)).to_have_text(["Ana", "Ben"])


def test_the_newest_message_is_in_view_unless_one_reads_older_ones(enter: Enter) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    join(ana, "garden")
    join(ben, "garden")
    for number in range(30):
        write(ben, f"number {number}")
    expect(log(ana).get_by_text("number 29")).to_be_in_viewport()

    log(ana).get_by_text("number 0", exact=True).scroll_into_view_if_needed()
    write(ben, "the newest")
    ana.get_by_role("button", name="New messages").click()
    expect(log(ana).get_by_text("the newest")).to_be_in_viewport()
    write(ben, "newer still")
    expect(log(ana).get_by_text("newer still")).to_be_in_viewport()
    expect(ana.get_by_role("button", name="New messages")).to_be_hidden()


def test_a_page_shows_which_rooms_there_are_as_they_come_and_go(enter: Enter) -> None:
    ana, zoe = enter("Ana"), enter("Zoë")
    rooms = zoe.get_by_role("list", name="Rooms").get_by_role("listitem")
    expect(zoe.get_by_text("There is no room yet.")).to_be_visible()
    join(ana, "garden")
    expect(rooms).to_have_text(["garden1 of 50"])
    expect(zoe.get_by_text("There is no room yet.")).to_be_hidden()
    ben = enter("Ben", room="garden")
    expect(rooms).to_have_text(["garden2 of 50"])
    join(ben, "attic")
    expect(rooms).to_have_text(["attic1 of 50", "garden1 of 50"])
    expect(ben.locator("#rooms [aria-current]")).to_have_text(["attic1 of 50"])
    ana.get_by_role("button", name="Leave").click()
    expect(rooms).to_have_text(["attic1 of 50"])
    ben.get_by_role("button", name="Leave").click()
    expect(zoe.get_by_text("There is no room yet.")).to_be_visible()


def test_a_person_takes_another_name_and_stays_in_the_room(enter: Enter) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    join(ana, "garden")
    join(ben, "garden")
    write(ana, "hello")

    ana.get_by_role("button", name="Change name").click()
    ana.get_by_label("Your new name").fill("  Ana María ")
    ana.keyboard.press("Enter")
    expect(log(ben).get_by_text("Ana is Ana María now")).to_be_visible()
    expect(people_on(ben)).to_have_text(["Ben", "Ana María"])
    expect(log(ana).get_by_text("You are Ana María now")).to_be_visible()
    expect(log(ana).locator(".message .text")).to_have_text("hello")
    expect(ana.get_by_role("banner")).to_contain_text("Ana María")

    ana.get_by_role("button", name="Change name").click()
    ana.get_by_label("Your new name").fill("Somebody")
    ana.keyboard.press("Escape")
    write(ana, "still me")
    expect(log(ben).locator(".message .name").last).to_have_text("Ana María")


def test_an_address_in_a_message_is_a_link(enter: Enter) -> None:
    ana = enter("Ana")
    join(ana, "garden")
    write(ana, "look (https://example.com/a?b=1&c=2), it is javascript:alert(1) free <b>really</b>")
    link = log(ana).get_by_role("link")
    expect(link).to_have_text(["https://example.com/a?b=1&c=2"])
    expect(link).to_have_attribute("href", "https://example.com/a?b=1&c=2")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    expect(log(ana).locator(".message .text")).to_contain_text("), it is javascript:alert(1) free <b>really</b>")


def test_a_page_tells_that_a_text_is_too_long_and_keeps_it(enter: Enter) -> None:
    ana = enter("Ana")
    join(ana, "garden")
    text = "🐌" * (TEXT_LENGTH + 1)
    write(ana, text)
    expect(ana.get_by_role("alert")).to_contain_text("This message has 2,001 characters, 2,000 is the most.")
    expect(ana.get_by_label("Message", exact=True)).to_have_value(text)
    write(ana, text[:-1])
    expect(log(ana).locator(".message .text")).to_have_text(text[:-1])
    expect(ana.get_by_role("alert")).to_have_count(0)


def test_a_page_shows_why_it_was_refused_and_keeps_the_text(enter: Enter) -> None:
    ana, ben = enter("Ana"), enter("Ben")
    join(ana, "garden")
    join(ben, "garden")
    ana.evaluate("chat.socket.request('leave-room', {roomname: 'garden'})")  # without the page knowing
    write(ana, "nobody hears it")
    expect(ana.get_by_role("alert")).to_contain_text("You are not in room 'garden': join it first.")
    expect(ana.get_by_label("Message", exact=True)).to_have_value("nobody hears it")
