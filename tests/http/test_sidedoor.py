"""Plain HTTP: health and readiness, files, errors for programs and people, and the requests that try to get at more."""

import json
import os
import random
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
import trustme
from trio.testing import MockClock

from simplysocket import Limits, RegistrationError, Room, Server
from simplysocket.testing import Net, open_server

from ..harness.attack import Attack, under_attack, until
from ..harness.attacker import Answer, Peer
from ..harness.frames import head
from ..harness.servers import make_attacked

SEED = 20_261
JAVASCRIPT = b"export const answer = 42\n"
SECRET = "the secret"
LARGE = 3_000_000  # bytes, more than any kernel takes at once


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a directory of files, beside a secret, and with links to it."""
    root = tmp_path / "site"
    files = {
        "index.html": b"<h1>home</h1>",
        "app.js": JAVASCRIPT,
        "docs/index.html": b"<h1>docs</h1>",
        "docs/guide.txt": b"a guide",
        "plain/only.css": b"",
        "über uns/straße.html": b"<h1>Stra\xc3\x9fe</h1>",
        "100%.txt": b"all of it",
        "javascript:alert(1)/index.html": b"a folder with an odd name",
        "a\r\nSet-Cookie: b/index.html": b"a folder with an odder name",
        ".hidden": SECRET.encode(),
        ".git/config": SECRET.encode(),
        "../secret.txt": SECRET.encode(),
        "../outside/index.html": SECRET.encode(),
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / "inside.js").symlink_to("app.js")
    (root / "outside.txt").symlink_to(tmp_path / "secret.txt")
    (root / "outside").symlink_to(tmp_path / "outside")
    (root / "loop").symlink_to("loop")
    (root / "broken").symlink_to("nowhere")
    return root


def request(target: str, *more: str, method: str = "GET", version: str = "1.1", **headers: str | None) -> bytes:
    """Return a plain request head."""
    plain = dict.fromkeys(("upgrade", "connection", "sec_websocket_key", "sec_websocket_version"))
    return head(f"{method} {target} HTTP/{version}", *more, **(plain | headers))


async def ask(net: Net, target: str, *more: str, **headers: Any) -> Answer:
    """Send one plain request in memory."""
    return await Peer(await net.open_stream()).ask(request(target, *more, **headers))


def make(site: Path | None = None, url: str = "/", **limits: Any) -> Server:
    server = Server("test", limits=Limits(**limits))
    if site is not None:
        server.static(url, site)
    return server


# --- health, readiness, and a server that stops


class Slow(Room):
    async def on_close(self) -> None:
        await trio.sleep(10)


async def test_while_the_server_drains_it_is_healthy_and_not_ready(autojump_clock: MockClock, site: Path) -> None:
    server = make(site, close_seconds=20)
    server.room("*")(Slow)
    async with open_server(server) as net, trio.open_nursery() as nursery:
        await (await net.connect("ana")).join("one")
        ready = await ask(net, "/ready")
        assert (ready.status, ready.body) == (200, b'{"status":"ready"}')
        assert ready.headers["cache-control"] == "no-store"
        nursery.start_soon(server.stop, 100)
        await trio.testing.wait_all_tasks_blocked()
        draining = await ask(net, "/ready")
        assert draining.status == 503
        assert json.loads(draining.body)["code"] == "stopping"
        assert "retry-after" in draining.headers
        assert (await ask(net, "/health")).status == 200
        assert (await ask(net, "/app.js")).body == JAVASCRIPT
        assert (await Peer(await net.open_stream()).ask(head())).status == 503
        await trio.sleep(10)
        with pytest.raises(OSError, match="refused"):
            await net.open_stream()


async def test_a_server_that_serves_again_is_ready_again(autojump_clock: MockClock) -> None:
    server = make()
    for _ in range(2):
        async with open_server(server) as net:
            assert (await ask(net, "/ready")).status == 200


@pytest.mark.parametrize(
    "sends", [b"", b"GET /", request("/health"), head()], ids=["nothing", "half", "HTTP", "WebSocket"]
)
async def test_a_peer_that_keeps_connecting_does_not_hold_up_a_stop(autojump_clock: MockClock, sends: bytes) -> None:
    server = make(handshake_seconds=25)
    server.room("*")(Slow)

    async def connect_for_ever(net: Net) -> None:
        while True:
            try:
                stream = await net.open_stream()
            except OSError:
                return
            await stream.send_all(sends)
            await trio.sleep(0.07)

    async with open_server(server) as net, trio.open_nursery() as nursery:
        await (await net.connect("ana")).join("one")
        nursery.start_soon(connect_for_ever, net)
        await trio.sleep(1)
        began = trio.current_time()
        await server.stop(30)
        assert trio.current_time() - began < 6  # 2 for on_close, 2 for the head, 1 behind the answer


async def test_a_stop_keeps_to_its_grace_though_a_peer_keeps_connecting(autojump_clock: MockClock) -> None:
    server = make()

    @server.action("work")
    async def work() -> None:
        await trio.sleep(100)

    async def connect_for_ever(net: Net) -> None:
        while True:
            try:
                await net.open_stream()
            except OSError:
                return
            await trio.sleep(0.07)

    async with open_server(server) as net, trio.open_nursery() as nursery:
        ana = await net.connect("ana")
        await ana.join("one")
        await ana.send("work", target="one")
        nursery.start_soon(connect_for_ever, net)
        await trio.testing.wait_all_tasks_blocked()
        began = trio.current_time()
        await server.stop(1)
        assert trio.current_time() - began == pytest.approx(1, abs=0.1)


async def test_a_peer_that_keeps_connecting_over_tcp_does_not_hold_up_a_stop() -> None:
    server = make_attacked()
    statuses: set[int] = set()

    class Waiting(Room):
        async def on_close(self) -> None:
            await until(lambda: {200, 503} <= statuses)  # the doors are open meanwhile

    server.room("waiting")(Waiting)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(server.serve, "127.0.0.1", 0))
            attack = Attack(server, partial(trio.open_tcp_stream, "127.0.0.1", server.port))
            await attack.join("waiting")

            async def connect_for_ever() -> None:
                while True:
                    try:
                        await attack.dial()  # and say nothing
                        statuses.add((await attack.ask(request("/health"))).status)
                        statuses.add((await attack.ask(head())).status)
                    except OSError:
                        return

            async with trio.open_nursery() as peers:
                peers.start_soon(server.stop, 5)
                peers.start_soon(connect_for_ever)
            await attack.leave()
    assert statuses - {0, 101} == {200, 503}


# --- files


async def test_a_file_has_a_strong_etag_and_is_asked_for_each_time(autojump_clock: MockClock, site: Path) -> None:
    async with open_server(make(site)) as net:
        answer = await ask(net, "/app.js")
        assert (answer.status, answer.body) == (200, JAVASCRIPT)
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["content-length"] == str(len(JAVASCRIPT))
        assert answer.headers["cache-control"] == "no-cache"
        etag = answer.headers["etag"]
        assert etag[0] == etag[-1] == '"'
        assert (await ask(net, "/inside.js")).headers["etag"] == etag
        assert (await ask(net, "/docs/guide.txt")).headers["etag"] != etag


@pytest.mark.parametrize(
    ("known", "status"),
    [
        ("{}", 304),
        ("W/{}", 304),
        ('"other", {}', 304),
        ('W/"a,b",W/{},"c"', 304),
        ("*", 304),
        ('"other"', 200),
        ('"*"', 200),
        ("", 200),
        ("nonsense", 200),
        ('"', 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_who_has_the_file_is_told_so(
    autojump_clock: MockClock, site: Path, known: str, status: int, method: str
) -> None:
    async with open_server(make(site)) as net:
        etag = (await ask(net, "/app.js")).headers["etag"]
        answer = await ask(net, "/app.js", method=method, if_none_match=known.format(etag))
        assert answer.status == status
        assert answer.body == (JAVASCRIPT if status == 200 and method == "GET" else b"")
        assert answer.headers["etag"] == etag
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["content-length"] == str(len(JAVASCRIPT))  # RFC 9110, 8.6: that of a 200


async def test_what_is_known_may_stand_in_several_headers(autojump_clock: MockClock, site: Path) -> None:
    async with open_server(make(site)) as net:
        etag = (await ask(net, "/app.js")).headers["etag"]
        answer = await ask(net, "/app.js", 'If-None-Match: "other"', f"If-None-Match: {etag}")
        assert answer.status == 304


async def test_files_are_served_as_they_were_at_registration(autojump_clock: MockClock, site: Path) -> None:
    server = make(site)
    (site / "app.js").write_text("changed")
    (site / "new.js").write_text("new")
    async with open_server(server) as net:
        assert (await ask(net, "/app.js")).body == JAVASCRIPT
        assert (await ask(net, "/new.js")).status == 404


@pytest.mark.parametrize("url", ["/", "/app", "/app/", "/deep/er", "/with space"])
async def test_index_html_is_its_folder(autojump_clock: MockClock, site: Path, url: str) -> None:
    prefix = url.rstrip("/").replace(" ", "%20")
    async with open_server(make(site, url)) as net:
        for folder, content in (("/", b"<h1>home</h1>"), ("/docs/", b"<h1>docs</h1>")):
            for name in (folder, f"{folder}index.html"):
                answer = await ask(net, f"{prefix}{name}")
                assert (answer.status, answer.body) == (200, content)
                assert answer.headers["content-type"] == "text/html; charset=utf-8"
        for path in ("/plain", "/plain/", "/docs/guide.txt/", "/app.js/"):
            assert (await ask(net, f"{prefix}{path}")).status == 404


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/app", "app/"),
        ("/app/docs", "docs/"),
        ("/app/docs?room=a%20b", "docs/?room=a+b"),
        ("/app/docs?next=%0d%0aSet-Cookie:%20b", "docs/?next=%0D%0ASet-Cookie%3A+b"),
        ("http://evil.example/app/docs", "docs/"),
        ("/app/javascript:alert(1)", "javascript%3Aalert%281%29/"),
        ("/app/a%0d%0aSet-Cookie:%20b", "a%0D%0ASet-Cookie%3A%20b/"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_folder_without_its_slash_is_sent_on_and_nowhere_else(
    autojump_clock: MockClock, site: Path, target: str, location: str, method: str
) -> None:
    async with open_server(make(site, "/app")) as net:
        answer = await ask(net, target, method=method)
        assert (answer.status, answer.headers["location"], answer.body) == (308, location, b"")
        assert answer.headers["cache-control"] == "no-cache"
        assert "set-cookie" not in answer.headers


async def test_content_types_are_our_own(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    types = {
        "a.js": "text/javascript; charset=utf-8",
        "a.MJS": "text/javascript; charset=utf-8",
        "a.css": "text/css; charset=utf-8",
        "a.html": "text/html; charset=utf-8",
        "a.txt": "text/plain; charset=utf-8",
        "a.svg": "image/svg+xml",
        "a.json": "application/json",
        "a.js.map": "application/json",
        "a.webmanifest": "application/manifest+json",
        "a.wasm": "application/wasm",
        "a.png": "image/png",
        "a.ico": "image/x-icon",
        "a.woff2": "font/woff2",
        "a.unheard-of": "application/octet-stream",
        "LICENSE": "application/octet-stream",
    }
    monkeypatch.setattr("mimetypes.guess_type", lambda *_: ("text/wrong", None))
    for name in types:
        (tmp_path / name).write_text("x")
    async with open_server(make(tmp_path)) as net:
        for name, content_type in types.items():
            answer = await ask(net, f"/{name}")
            assert answer.headers["content-type"] == content_type
            assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_name_beyond_ascii_is_served_as_it_is_escaped(autojump_clock: MockClock, site: Path) -> None:
    async with open_server(make(site)) as net:
        for target in ("/%C3%BCber%20uns/stra%C3%9Fe.html", "/%c3%bcber%20uns/%73tra%c3%9fe%2Ehtml"):
            assert (await ask(net, target)).body == "<h1>Straße</h1>".encode()
        assert (await ask(net, "/100%25.txt")).body == b"all of it"


async def test_what_is_hidden_or_leads_out_is_not_served(autojump_clock: MockClock, site: Path) -> None:
    async with open_server(make(site)) as net:
        for path in (
            "/.hidden",
            "/.git/config",
            "/outside.txt",
            "/outside",
            "/outside/",
            "/outside/index.html",
            "/loop",
        ):
            assert (await ask(net, path)).status == 404, path
        assert (await ask(net, "/inside.js")).body == JAVASCRIPT


async def test_a_directory_may_itself_be_reached_by_a_link(autojump_clock: MockClock, site: Path) -> None:
    link = site.parent / "link"
    link.symlink_to(site)
    async with open_server(make(link)) as net:
        assert (await ask(net, "/app.js")).body == JAVASCRIPT
        assert (await ask(net, "/outside.txt")).status == 404


async def test_two_directories_may_share_a_url(autojump_clock: MockClock, site: Path, tmp_path: Path) -> None:
    server = make(site)
    more = tmp_path / "more"
    more.mkdir()
    (more / "more.js").write_text("more")
    server.static("/", more)
    server.static("/docs", more)
    async with open_server(server) as net:
        for path in ("/app.js", "/more.js", "/docs/more.js", "/docs/"):
            assert (await ask(net, path)).status == 200


WRONG: dict[str, Callable[[Path], object]] = {
    "'nowhere' is no directory: make it first": lambda site: Server().static("/", "nowhere"),
    "is a file: give the directory": lambda site: Server().static("/", site / "app.js"),
    "'assets' cannot work: it must begin": lambda site: Server().static("assets", site),
    "'' cannot work": lambda site: Server().static("", site),
    "None cannot work": lambda site: Server().static(None, site),  # type: ignore[arg-type]
    "'//a' cannot work": lambda site: Server().static("//a", site),
    "'/a//' cannot work": lambda site: Server().static("/a//", site),
    "'/a b%20c' cannot work": lambda site: Server().static("/a b%20c", site),
    r"'/a\?b' cannot work": lambda site: Server().static("/a?b", site),
    "'/a#b' cannot work": lambda site: Server().static("/a#b", site),
    r"'/a\\\\b' cannot work": lambda site: Server().static("/a\\b", site),
    "'/../a' cannot work": lambda site: Server().static("/../a", site),
    "'/a/..' cannot work": lambda site: Server().static("/a/..", site),
    "'/.' cannot work": lambda site: Server().static("/.", site),
    r"'/a\\n' cannot work": lambda site: Server().static("/a\n", site),
    "'/health' is the server's own": lambda site: Server().static("/health", site),
    "'/ready' is the server's own": lambda site: Server().static("/ready/", site),
    "WebSockets connect at '/ws': give another url": lambda site: Server().static("/ws", site),
    "WebSockets connect at '/live'": lambda site: Server(path=["/ws", "/live"]).static("/live/", site),
    "WebSockets connect at '/'": lambda site: Server(path="/").static("/", site),
    "WebSockets connect at '/docs'": lambda site: Server(path="/docs").static("/", site),
    "WebSockets connect at '/app.js'": lambda site: Server(path="/app.js").static("/", site),
    "have over 100 bytes.*raise Limits": lambda site: make(static_bytes=100).static("/", site),
}


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_registration_fails_at_once_and_says_what_to_do(words: str, site: Path) -> None:
    with pytest.raises(RegistrationError, match=f"static: .*{words}"):
        WRONG[words](site)


@pytest.mark.parametrize("name", ["health", "ready", "ws", "ws/index.html"])
def test_a_file_that_would_hide_an_address_of_the_server_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x")
    with pytest.raises(RegistrationError, match="rename what is there"):
        make(tmp_path)


async def test_a_file_is_not_registered_twice_and_the_first_stays(autojump_clock: MockClock, site: Path) -> None:
    server = make(site / "docs", "/docs")
    (site / "docs" / "index.html").unlink()
    with pytest.raises(RegistrationError, match=r"'/docs/guide\.txt' is served already"):
        server.static("/", site)
    async with open_server(server) as net:
        assert (await ask(net, "/docs/")).status == 200
        assert (await ask(net, "/app.js")).status == 404, "half of it is served"


def test_static_bytes_bounds_all_files_together(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 60)
    server = make(static_bytes=120)
    server.static("/one", tmp_path)
    server.static("/two", tmp_path)
    with pytest.raises(RegistrationError, match="over 120 bytes"):
        server.static("/three", tmp_path)
    make(static_bytes=None).static("/", tmp_path)


def test_a_file_that_is_too_large_is_not_even_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        os.truncate(file.fileno(), 2**40)
    with pytest.raises(RegistrationError, match=r"huge.* over 67108864 bytes"):
        make(tmp_path)


# --- the pace of an answer


async def test_a_slow_peer_gets_a_large_file_whole(autojump_clock: MockClock, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(LARGE))
    async with open_server(make(tmp_path)) as net:
        stream = await net.open_stream(100_000)
        await stream.send_all(request("/large.bin"))
        received = 0
        while data := await stream.receive_some(100_000):
            received += len(data)
            await trio.sleep(2)
        assert received > LARGE


async def test_a_peer_that_never_reads_its_answer_is_let_go(autojump_clock: MockClock, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(LARGE))
    server = make(tmp_path, write_seconds=10)
    async with open_server(server) as net:
        await (await net.open_stream(100_000)).send_all(request("/large.bin"))
        await trio.sleep(5)
        assert server.statistics()["connections"] == 1
        await trio.sleep(10)
        assert server.statistics()["connections"] == 0


@pytest.mark.parametrize(("delay", "seconds"), [(0, 2), (101, 3)], ids=["asked before", "asks at the end"])
async def test_a_slow_peer_does_not_hold_up_a_stop(
    autojump_clock: MockClock, tmp_path: Path, delay: float, seconds: float
) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(LARGE))
    server = make(tmp_path, close_seconds=2, handshake_seconds=200)
    async with open_server(server) as net, trio.open_nursery() as nursery:
        stream = await net.open_stream(10_000)

        async def read_slowly() -> None:
            await trio.sleep(delay)
            await stream.send_all(request("/large.bin"))
            while await stream.receive_some(1_000):  # noqa: ASYNC110 - slowly is the point
                await trio.sleep(1)

        nursery.start_soon(read_slowly)
        await trio.sleep(100)
        assert server.statistics()["connections"] == 1
        began = trio.current_time()
        await server.stop(30)
        assert trio.current_time() - began == pytest.approx(seconds, abs=0.1)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("is_encrypted", [False, True], ids=["TCP", "TLS"])
async def test_a_large_file_comes_whole(tmp_path: Path, is_encrypted: bool) -> None:
    content = random.Random(SEED).randbytes(LARGE)
    (tmp_path / "large.bin").write_bytes(content)
    server = make_attacked()
    server.static("/", tmp_path)
    authority = trustme.CA()
    contexts = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(contexts[0])
    authority.configure_trust(contexts[1])

    async def reach() -> trio.abc.Stream:
        stream = await trio.open_tcp_stream("127.0.0.1", server.port)
        if not is_encrypted:
            return stream
        return trio.SSLStream(stream, contexts[1], server_hostname="127.0.0.1", https_compatible=True)

    context = contexts[0] if is_encrypted else None
    async with under_attack(
        server, serve=partial(server.serve, "127.0.0.1", 0, ssl_context=context), reach=reach
    ) as attack:
        assert (await attack.ask(request("/large.bin"))).body == content


# --- errors


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("target", "method", "status"),
    [
        ("/nowhere", "GET", 404),
        ("/nowhere", "POST", 404),
        ("/app.js", "POST", 405),
        ("/docs", "PUT", 405),
        ("/health", "DELETE", 405),
        ("/ready", "OPTIONS", 405),
        ("/ws", "POST", 405),
        ("/ws", "HEAD", 405),
        ("/ws", "GET", 426),
        ("/%ff", "GET", 400),
        ("*", "OPTIONS", 404),
        ("evil.example:443", "CONNECT", 404),
        ("/app.js", "BREW", 405),
    ],
)
async def test_an_error_is_json_for_a_program_and_a_page_for_a_browser(
    autojump_clock: MockClock, site: Path, target: str, method: str, status: int
) -> None:
    async with open_server(make(site)) as net:
        for accept in (None, "*/*", "application/json"):
            answer = await ask(net, target, method=method, accept=accept)
            assert answer.status == status
            assert answer.headers["content-type"] == "application/json"
            assert method == "HEAD" or set(json.loads(answer.body)) == {"code", "message"}
        page = await ask(net, target, method=method, accept=BROWSER)
        assert page.status == status
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.headers["cache-control"] == "no-store"
        assert method == "HEAD" or (page.body.startswith(b"<!doctype html>") and str(status).encode() in page.body)
        for external in (b"src=", b"href=", b"<script"):
            assert external not in page.body
        if status == 405:
            assert page.headers["allow"] == ("GET" if target == "/ws" else "GET, HEAD")
        if status == 426:
            assert page.headers["upgrade"] == "websocket"


async def test_a_page_shows_nothing_of_the_request(autojump_clock: MockClock) -> None:
    async with open_server(make()) as net:
        for target in ("/<script>alert(1)</script>", "/%3Cscript%3Ealert(1)%3C/script%3E", "/?<script>"):
            answer = await ask(net, target, accept=BROWSER, referer="<script>", host="script")
            assert answer.status == 404
            assert b"script" not in answer.body


@pytest.mark.parametrize("host", ["127.0.0.1", None])
async def test_http_1_0_is_answered_with_and_without_a_host(
    autojump_clock: MockClock, site: Path, host: str | None
) -> None:
    async with open_server(make(site)) as net:
        for target, status in (("/health", 200), ("/ready", 200), ("/app.js", 200), ("/nowhere", 404), ("/ws", 426)):
            answer = await ask(net, target, version="1.0", host=host)
            assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert (await ask(net, "/health", "Host: b", version="1.0", host="a")).status == 400
        assert (await ask(net, "/health", host=None)).status == 400


# --- bad requests, beside a bystander who misses nothing


def fortress(site: Path) -> Server:
    server = make_attacked()
    server.static("/", site)
    return server


TRAVERSALS = [
    "/../secret.txt",
    "/docs/../../secret.txt",
    "/docs/../app.js",
    "/./app.js",
    "/%2e%2e/secret.txt",
    "/%2E%2E%2fsecret.txt",
    "/.%2e/secret.txt",
    "/docs/%2e%2e/%2e%2e/secret.txt",
    "/docs%2f..%2f..%2fsecret.txt",
    "/docs%2Fguide.txt",
    "/%252e%252e/secret.txt",
    "/%252e%252e%252fsecret.txt",
    "/%25252e%25252e/secret.txt",
    "/..\\secret.txt",
    "/..%5csecret.txt",
    "/%2e%2e%5csecret.txt",
    "/docs\\guide.txt",
    "/docs%5cguide.txt",
    "//secret.txt",
    "//app.js",
    "//evil.example/app.js",
    "///../secret.txt",
    "/docs//guide.txt",
    "//127.0.0.1/../secret.txt",
    "http://127.0.0.1/../secret.txt",
    "http://127.0.0.1/%2e%2e/secret.txt",
    "http://127.0.0.1//app.js",
    "file:///../secret.txt",
    "file:../secret.txt",
    "../secret.txt",
    "app.js",
    "/app.js%00",
    "/app.js%00.html",
    "/%00/../secret.txt",
    "/%c0%ae%c0%ae/secret.txt",
    "/..%c0%afsecret.txt",
    "/%e0%80%ae%e0%80%ae/secret.txt",
    "/%f0%80%80%ae/secret.txt",
    "/%uff0e%uff0e/secret.txt",
    "/%EF%BC%8E%EF%BC%8E/secret.txt",
    "/..;/secret.txt",
    "/docs/..;/..;/secret.txt",
    "/.hidden",
    "/%2ehidden",
    "/.git/config",
    "/outside/index.html",
    "/~root/.profile",
    "/etc/passwd",
    "//etc/passwd",
    "/C:/secret.txt",
    "/APP.JS",
    "/app.js/.",
    "/app.js ",
    "/%20app.js",
    "/app.js;a=b",
    "/proc/self/environ",
]


@pytest.mark.parametrize("accept", [None, BROWSER])
async def test_no_spelling_of_a_path_leads_out_of_the_directory(site: Path, accept: str | None, caplog: Any) -> None:
    async with under_attack(fortress(site)) as attack:
        for target in [*TRAVERSALS, f"/..{site.parent}/secret.txt", f"{site.parent}/secret.txt"]:
            answer = await attack.ask(request(target, accept=accept))
            assert answer.status in (400, 404), target
            assert SECRET.encode() not in answer.body
            assert "location" not in answer.headers
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_no_path_drawn_from_odd_pieces_leads_out_of_the_directory(site: Path) -> None:
    pieces = (
        "/",
        "/",
        "..",
        ".",
        "%2e",
        "%2f",
        "%252e",
        "\\",
        "%5c",
        "%00",
        "%c0%ae",
        "%",
        "//",
        ";",
        "docs",
        "outside",
    )
    names = ("", "secret.txt", "app.js", "index.html", ".hidden", "config")
    draw = random.Random(SEED)
    statuses: set[int] = set()
    async with under_attack(fortress(site), connections_per_address=None) as attack:
        for _ in range(1_000):
            target = "/" + "".join(draw.choices(pieces, k=draw.randrange(6))) + draw.choice(names)
            answer = await attack.ask(request(target))
            statuses.add(answer.status)
            assert SECRET.encode() not in answer.body, target
            assert answer.headers.get("location") in (None, "docs/")
    assert statuses == {200, 308, 400, 404}


@pytest.mark.parametrize(
    "target",
    [
        *("/%", "/%a", "/%zz", "/%%", "/app.js%", "/%-1", "/% 20", "/%2f", "/%00", "/\x00"),
        *("/%ff", "/%c3", "/%c3%28", "/%ed%a0%80", "/%f5%80%80%80", "/caf\xe9"),
    ],
)
async def test_an_escape_that_is_none_is_refused(site: Path, target: str) -> None:
    async with under_attack(fortress(site)) as attack:
        answer = await attack.ask(request(target))
        assert (answer.status, json.loads(answer.body)["code"]) == (400, "bad-request")


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/docs\r\nSet-Cookie: evil=1", id="CR LF"),
        pytest.param("/docs\nSet-Cookie: evil=1", id="LF"),
        pytest.param("/docs\rSet-Cookie: evil=1", id="CR"),
        pytest.param("/docs%0d%0aSet-Cookie:%20evil=1", id="escaped"),
        pytest.param("/docs%250d%250aSet-Cookie:%20evil=1", id="escaped twice"),
        pytest.param("/docs?%0d%0aSet-Cookie:%20evil=1", id="escaped in the query"),
        pytest.param("/docs%E5%98%8D%E5%98%8ASet-Cookie:%20evil=1", id="cut to a byte it would be CR LF"),
    ],
)
async def test_nothing_of_a_request_becomes_a_header(site: Path, target: str) -> None:
    async with under_attack(fortress(site)) as attack:
        answer = await attack.ask(request(target))
        assert answer.status in (308, 400, 404)
        assert "set-cookie" not in answer.headers
        assert b"evil" not in answer.body


plain = partial(request, "/app.js")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(plain(content_length="5") + b"hello", 200, id="a body on GET"),
        pytest.param(plain(content_length="9999999"), 200, id="a body announced and never sent"),
        pytest.param(plain(transfer_encoding="chunked") + b"5\r\nhello\r\n0\r\n\r\n", 200, id="chunks on GET"),
        pytest.param(plain(transfer_encoding="chunked") + b"zz\r\n", 200, id="chunks that are none"),
        pytest.param(plain(transfer_encoding="chunked", content_length="5"), 400, id="two kinds of length"),
        pytest.param(plain("Content-Length: 6", content_length="5"), 400, id="two lengths"),
        pytest.param(plain(content_length="+5"), 400, id="a length with a sign"),
        pytest.param(plain(content_length="9" * 5_000), 400, id="a length of 5,000 digits"),
        pytest.param(plain(method="POST", content_length="1000000") + b"a" * 1_000_000, 405, id="a large body"),
        pytest.param(plain(expect="100-continue", content_length="5"), 200, id="a body that waits for leave"),
        pytest.param(plain() + request("/docs/guide.txt"), 200, id="a second request behind the first"),
        pytest.param(plain() * 1_000, 200, id="a thousand requests"),
        pytest.param(plain() + head(), 200, id="an upgrade behind a request"),
        pytest.param(plain(*[f"A{n}: b" for n in range(5_000)]), 431, id="5,000 headers"),
        pytest.param(plain(*[f"A{n}: b" for n in range(500)]), 431, id="500 headers"),
        pytest.param(plain(": b"), 400, id="a header without a name"),
        pytest.param(plain("A : b"), 400, id="a space before the colon"),
        pytest.param(plain("A: b", " folded"), 200, id="a folded header"),
        pytest.param(plain("A: b\x00c"), 400, id="NUL in a header"),
        pytest.param(plain(if_none_match='"a",' * 3_000), 200, id="3,000 ETags"),
        pytest.param(plain(if_none_match='W/"' * 4_000), 200, id="ETags that never end"),
        pytest.param(plain(range="bytes=0-1,2-3,5-"), 200, id="ranges, which are not served"),
        pytest.param(request("/" + "a" * 20_000), 431, id="a long path"),
        pytest.param(request("/" + "%2e" * 5_000), 404, id="a path of 5,000 dots"),
        pytest.param(request("/" + "a/" * 7_000), 404, id="a path of 7,000 folders"),
        pytest.param(request("/docs?" + "a&" * 200), 400, id="many fields in the query"),
        pytest.param(plain(method="get"), 405, id="a method in small letters"),
        pytest.param(plain(method="A" * 10_000), 405, id="a long method"),
        pytest.param(plain(method="G T"), 400, id="a method with a space"),
        pytest.param(b"GET /app.js\r\n\r\n", 400, id="HTTP/0.9"),
        pytest.param(plain(version="9.9"), 200, id="HTTP/9.9"),
    ],
)
async def test_a_bad_request_has_one_answer(site: Path, data: bytes, status: int, caplog: Any) -> None:
    async with under_attack(fortress(site)) as attack:
        answer = await attack.ask(data)
        assert answer.status == status, answer
        assert len(answer.body) == int(answer.headers["content-length"])
        assert status != 200 or answer.body == JAVASCRIPT
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
