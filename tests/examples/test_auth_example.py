"""The auth example: its server in memory, and its page in a real browser."""

import base64
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import trio
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from examples.auth import server as example
from examples.auth.server import Claims, Role, main, make_token, server
from simplysocket import ActionError, CloseCode
from simplysocket.testing import ConnectionEnded, Net, TestClient, open_server

from ..harness.browser import Process, open_pages, people_on, run_example

SECRET = "for tests"
HOUR = 3_600

Enter = Callable[[str], Page]
"""Opens the page by a link that ends in this token; with "", without a token."""


def token_of(user: str, role: Role = "member", seconds: float = HOUR) -> str:
    return make_token(Claims(user, role, time.time() + seconds))


# --- the server, in memory


async def enter_as(net: Net, user: str, role: Role = "member", seconds: float = HOUR) -> TestClient:
    """Connect with a token, and check the user and the role that the server found."""
    client = await net.connect(headers={"Authorization": f"Bearer {token_of(user, role, seconds)}"})
    me = await client.request("me")
    assert (me["name"], me["role"]) == (user, role)
    return client


async def test_who_has_a_token_comes_in_under_its_name(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana = await enter_as(net, "Ana", "admin")
        assert await ana.request("people") == [{"client": ana.id, "name": "Ana", "role": "admin"}]


async def test_a_browsers_token_comes_as_a_subprotocol(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        entry = base64.urlsafe_b64encode(token_of("Ana").encode()).decode().rstrip("=")
        ana = await net.connect("Somebody else", headers={"Sec-WebSocket-Protocol": f"simplysocket.token.{entry}"})
        assert (await ana.request("me"))["name"] == "Ana"


def tampered() -> str:
    text, _, signature = token_of("Ben").partition(".")
    better = bytes.fromhex(text).replace(b'"member"', b'"admin"')
    assert better != bytes.fromhex(text)
    return f"{better.hex()}.{signature}"


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: "", "a token is needed"),
        (lambda: "nonsense", "not made here"),
        (lambda: ".", "not made here"),
        (lambda: token_of("Ben") + "0", "not made here"),
        (tampered, "not made here"),
        (lambda: token_of("Ben", seconds=-1), "has expired"),
    ],
    ids=["none", "nonsense", "a dot", "another signature", "another role", "expired"],
)
async def test_a_wrong_token_is_refused_and_its_client_told_why(
    autojump_clock: trio.abc.Clock, make: Callable[[], str], why: str
) -> None:
    async with open_server(server) as net:
        with pytest.raises(ConnectionEnded) as refusal:
            await net.connect(headers={"Authorization": f"Bearer {make()}"})
        assert refusal.value.code == (CloseCode.EXPIRED if "expired" in why else CloseCode.BAD_TOKEN)
        assert why in refusal.value.reason
        assert not server.clients


async def test_a_token_of_another_secret_is_refused(
    autojump_clock: trio.abc.Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of("Ana", "admin")
    monkeypatch.setattr(example, "SECRET", "another")
    async with open_server(server) as net:
        with pytest.raises(ConnectionEnded) as refusal:
            await net.connect(headers={"Authorization": f"Bearer {token}"})
        assert refusal.value.code == CloseCode.BAD_TOKEN


async def test_a_connection_ends_when_its_token_expires(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben = await enter_as(net, "Ana"), await enter_as(net, "Ben", seconds=60)
        assert (await ben.wait_ended()).code == CloseCode.EXPIRED
        assert [each["action"] for each in await ana.settle()] == ["came", "went"]
        assert await ana.request("people") == [{"client": ana.id, "name": "Ana", "role": "member"}]


async def test_the_others_are_told_who_comes_and_goes(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana = await enter_as(net, "Ana")
        ben = await enter_as(net, "Ben", "admin")
        await ben.close()
        card = {"client": ben.id, "name": "Ben", "role": "admin"}
        told = [(each["action"], each["message_body"]) for each in await ana.settle()]
        assert told == [("came", card), ("went", card)]


async def test_what_one_says_everyone_hears(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben = await enter_as(net, "Ana"), await enter_as(net, "Ben")
        await ben.request("say", {"text": "hello"})
        for client in (ana, ben):
            assert (await client.settle())[-1]["message_body"] == {"name": "Ben", "text": "hello"}


async def test_only_an_admin_sends_somebody_out(autojump_clock: trio.abc.Clock) -> None:
    async with open_server(server) as net:
        ana, ben = await enter_as(net, "Ana", "admin"), await enter_as(net, "Ben")

        with pytest.raises(ActionError) as refusal:
            await ben.request("admin.send-out", {"client": ana.id})
        assert refusal.value.code == "forbidden"
        assert len(server.clients) == 2

        await ana.request("admin.send-out", {"client": ben.id})
        ended = await ben.wait_ended()
        assert (ended.code, ended.reason) == (CloseCode.KICKED, "Ana has sent you out")
        await ana.settle()

        with pytest.raises(ActionError) as refusal:
            await ana.request("admin.send-out", {"client": ben.id})
        assert refusal.value.code == "unknown-target"


# --- the command


def test_the_command_prints_a_link_with_a_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTH_SECRET", SECRET)
    monkeypatch.setattr(sys, "argv", ["server", "--port", "8081", "token", "Ana", "--role", "admin"])
    main()
    address, _, token = capsys.readouterr().out.strip().partition("#")
    assert address == "http://localhost:8081/"
    claims = example.read_token(token)
    assert (claims.user, claims.role) == ("Ana", "admin")


def test_the_command_asks_for_a_secret(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("AUTH_SECRET", raising=False)
    monkeypatch.setattr(sys, "argv", ["server", "token", "Ana"])
    with pytest.raises(SystemExit):
        main()
    assert "export AUTH_SECRET=" in capsys.readouterr().err


# --- the page, in a browser


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    monkeypatch.setenv("AUTH_SECRET", SECRET)
    monkeypatch.setattr(example, "SECRET", SECRET)
    with run_example("examples.auth.server") as process:
        yield process


@pytest.fixture
def enter(browser: Browser, process: Process) -> Iterator[Enter]:
    """Open the page by its link with a token."""
    with open_pages(browser) as open_page:

        def enter(token: str) -> Page:
            page = open_page()
            page.goto(f"{process.url}/#{token}")
            return page

        yield enter


def test_two_pages_come_in_by_their_links_and_talk(enter: Enter, process: Process) -> None:
    ana = enter(token_of("Ana", "admin"))
    expect(ana.get_by_role("region", name="You")).to_contain_text("Ana admin")
    expect(ana).to_have_url(f"{process.url}/")  # without the token
    ben = enter(token_of("<b>Ben</b>"))
    for page in (ana, ben):
        expect(people_on(page)).to_have_text(["Ana", "<b>Ben</b>"])

    ben.get_by_label("Message", exact=True).fill("Hello <i>Ana</i>")
    ben.keyboard.press("Enter")
    expect(ana.get_by_role("log")).to_have_text("<b>Ben</b>Hello <i>Ana</i>")

    ben.reload()  # the tab still has its token
    expect(people_on(ben)).to_have_text(["Ana", "<b>Ben</b>"])
    ben.get_by_role("button", name="Log out").click()
    expect(ben.get_by_label("Your link or token")).to_be_visible()
    expect(people_on(ana)).to_have_text(["Ana"])
    ben.reload()
    expect(ben.get_by_label("Your link or token")).to_be_visible()


def test_a_page_shows_why_its_token_was_refused_and_takes_another(enter: Enter, process: Process) -> None:
    page = enter(token_of("Ana", seconds=-1))
    expect(page.get_by_role("alert")).to_contain_text("Your access has expired")
    page.get_by_label("Your link or token").fill(token_of("Ana") + "0")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("The server refused this token: this token was not made here.")
    page.get_by_label("Your link or token").fill("kein Schlüssel ✓")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("This is no token")

    page.get_by_label("Your link or token").fill(f" {process.url}/#{token_of('Ana')}\n")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("region", name="You")).to_contain_text("Ana member")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_page_without_a_token_asks_for_one(enter: Enter) -> None:
    page = enter("")
    expect(page.get_by_label("Your link or token")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_page_shows_what_its_role_does_not_allow(enter: Enter) -> None:
    ana, ben = enter(token_of("Ana", "admin")), enter(token_of("Ben"))
    expect(people_on(ben)).to_have_text(["Ana", "Ben"])
    ben.get_by_role("button", name="Send out").first.click()
    expect(ben.get_by_role("alert")).to_have_text("Only an admin may do this.")

    expect(people_on(ana)).to_have_text(["Ana", "Ben"])
    ana.get_by_role("button", name="Send out").last.click()
    expect(ben.get_by_role("alert")).to_have_text("You were disconnected: Ana has sent you out.")
    expect(ben.get_by_label("Your link or token")).to_be_visible()
    expect(people_on(ana)).to_have_text(["Ana"])


def test_a_page_says_that_its_access_has_expired_and_asks_to_log_in_again(enter: Enter, process: Process) -> None:
    def expire(socket: WebSocketRoute) -> None:
        socket.connect_to_server()
        socket.on_message(lambda _: socket.close(code=CloseCode.EXPIRED, reason="the credentials have expired"))

    page = enter("")
    page.route_web_socket("**/ws", expire)
    page.goto(f"{process.url}/?#{token_of('Ana')}")
    expect(page.get_by_role("alert")).to_have_text("Your access has expired. Please log in again, with a new token.")
    expect(page.get_by_label("Your link or token")).to_be_visible()
    page.reload()  # the token is not tried again
    expect(page.get_by_label("Your link or token")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_after_a_restart_of_the_server_a_page_comes_back(enter: Enter, process: Process) -> None:
    page = enter(token_of("Ana"))
    expect(people_on(page)).to_have_text(["Ana"])
    assert process.stop() == 0
    expect(page.get_by_role("alert")).to_contain_text("The page connects again by itself.")
    process.start()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(people_on(page)).to_have_text(["Ana"])
