"""Static files: their addresses, their headers, and what is not served."""

from pathlib import Path

import pytest
from trio.testing import MockClock

from simplysocket.testing import open_server

from ..harness.plain_http import request_plain
from ..harness.site import JAVASCRIPT, make_site_server


async def test_a_file_has_a_strong_etag_and_must_be_revalidated(autojump_clock: MockClock, site: Path) -> None:
    async with open_server(make_site_server(site)) as net:
        answer = await request_plain(net, "/app.js")
        assert (answer.status, answer.body) == (200, JAVASCRIPT)
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["content-length"] == str(len(JAVASCRIPT))
        assert answer.headers["cache-control"] == "no-cache"
        etag = answer.headers["etag"]
        assert etag[0] == etag[-1] == '"'
        assert (await request_plain(net, "/inside.js")).headers["etag"] == etag
        assert (await request_plain(net, "/docs/guide.txt")).headers["etag"] != etag


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
async def test_only_a_request_with_the_etag_of_the_file_gets_a_304(
    autojump_clock: MockClock, site: Path, known: str, status: int, method: str
) -> None:
    async with open_server(make_site_server(site)) as net:
        etag = (await request_plain(net, "/app.js")).headers["etag"]
        answer = await request_plain(net, "/app.js", method=method, if_none_match=known.format(etag))
        assert answer.status == status
        assert answer.body == (JAVASCRIPT if status == 200 and method == "GET" else b"")
        assert answer.headers["etag"] == etag
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["content-length"] == str(len(JAVASCRIPT))  # RFC 9110, 8.6: as in a 200


async def test_if_none_match_may_come_in_several_headers(autojump_clock: MockClock, site: Path) -> None:
    async with open_server(make_site_server(site)) as net:
        etag = (await request_plain(net, "/app.js")).headers["etag"]
        answer = await request_plain(net, "/app.js", 'If-None-Match: "other"', f"If-None-Match: {etag}")
        assert answer.status == 304


async def test_files_are_served_as_they_were_at_registration(autojump_clock: MockClock, site: Path) -> None:
    server = make_site_server(site)
    (site / "app.js").write_text("changed")
    (site / "new.js").write_text("new")
    async with open_server(server) as net:
        assert (await request_plain(net, "/app.js")).body == JAVASCRIPT
        assert (await request_plain(net, "/new.js")).status == 404


@pytest.mark.parametrize("url", ["/", "/app", "/app/", "/deep/er", "/with space"])
async def test_index_html_is_served_for_its_folder(autojump_clock: MockClock, site: Path, url: str) -> None:
    prefix = url.rstrip("/").replace(" ", "%20")
    async with open_server(make_site_server(site, url)) as net:
        for folder, content in (("/", b"<h1>home</h1>"), ("/docs/", b"<h1>docs</h1>")):
            for name in (folder, f"{folder}index.html"):
                answer = await request_plain(net, f"{prefix}{name}")
                assert (answer.status, answer.body) == (200, content)
                assert answer.headers["content-type"] == "text/html; charset=utf-8"
        for path in ("/plain", "/plain/", "/docs/guide.txt/", "/app.js/"):
            assert (await request_plain(net, f"{prefix}{path}")).status == 404


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
async def test_a_folder_without_its_slash_redirects_to_itself_and_nowhere_else(
    autojump_clock: MockClock, site: Path, target: str, location: str, method: str
) -> None:
    async with open_server(make_site_server(site, "/app")) as net:
        answer = await request_plain(net, target, method=method)
        assert (answer.status, answer.headers["location"], answer.body) == (308, location, b"")
        assert answer.headers["cache-control"] == "no-cache"
        assert "set-cookie" not in answer.headers


async def test_content_types_do_not_depend_on_the_system(
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
    async with open_server(make_site_server(tmp_path)) as net:
        for name, content_type in types.items():
            answer = await request_plain(net, f"/{name}")
            assert answer.headers["content-type"] == content_type
            assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_file_is_served_under_any_escaping_of_its_name(autojump_clock: MockClock, site: Path) -> None:
    async with open_server(make_site_server(site)) as net:
        for target in ("/%C3%BCber%20uns/stra%C3%9Fe.html", "/%c3%bcber%20uns/%73tra%c3%9fe%2Ehtml"):
            assert (await request_plain(net, target)).body == "<h1>Straße</h1>".encode()
        assert (await request_plain(net, "/100%25.txt")).body == b"all of it"


async def test_hidden_files_and_links_out_of_the_directory_are_not_served(
    autojump_clock: MockClock, site: Path
) -> None:
    async with open_server(make_site_server(site)) as net:
        for path in (
            "/.hidden",
            "/.git/config",
            "/outside.txt",
            "/outside",
            "/outside/",
            "/outside/index.html",
            "/loop",
        ):
            assert (await request_plain(net, path)).status == 404, path
        assert (await request_plain(net, "/inside.js")).body == JAVASCRIPT


async def test_the_directory_itself_may_be_a_link(autojump_clock: MockClock, site: Path) -> None:
    link = site.parent / "link"
    link.symlink_to(site)
    async with open_server(make_site_server(link)) as net:
        assert (await request_plain(net, "/app.js")).body == JAVASCRIPT
        assert (await request_plain(net, "/outside.txt")).status == 404


async def test_two_directories_may_share_a_url(autojump_clock: MockClock, site: Path, tmp_path: Path) -> None:
    server = make_site_server(site)
    more = tmp_path / "more"
    more.mkdir()
    (more / "more.js").write_text("more")
    server.static("/", more)
    server.static("/docs", more)
    async with open_server(server) as net:
        for path in ("/app.js", "/more.js", "/docs/more.js", "/docs/"):
            assert (await request_plain(net, path)).status == 200
