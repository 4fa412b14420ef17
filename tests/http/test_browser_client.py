"""`/simplysocket.js`: the client for browsers, served by every server."""

from pathlib import Path

import pytest
from trio.testing import MockClock

from simplysocket.testing import open_server

from ..harness.node import LIBRARY
from ..harness.plain_http import BROWSER, request_plain
from ..harness.servers import make
from ..harness.site import make_site_server

CLIENT = (LIBRARY / "simplysocket.js").read_bytes()
PATH = "/simplysocket.js"


async def test_a_server_without_any_files_serves_its_client(autojump_clock: MockClock) -> None:
    async with open_server(make()) as net:
        answer = await request_plain(net, PATH, origin="https://elsewhere.example")
        assert (answer.status, answer.body) == (200, CLIENT)
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_page_that_has_it_gets_a_304(autojump_clock: MockClock, method: str) -> None:
    async with open_server(make()) as net:
        etag = (await request_plain(net, PATH)).headers["etag"]
        answer = await request_plain(net, PATH, method=method, if_none_match=etag)
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["etag"] == etag
        assert answer.headers["access-control-allow-origin"] == "*"
        assert (await request_plain(net, PATH, method="HEAD", if_none_match='"other"')).status == 200


async def test_it_is_only_read(autojump_clock: MockClock) -> None:
    async with open_server(make()) as net:
        answer = await request_plain(net, PATH, method="POST", accept=BROWSER)
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
        assert (await request_plain(net, "/simplysocket.d.ts")).status == 404
        assert (await request_plain(net, PATH + "/")).status == 404


async def test_a_file_of_the_application_wins(autojump_clock: MockClock, site: Path) -> None:
    (site / "simplysocket.js").write_bytes(b"export const pinned = true\n")
    async with open_server(make_site_server(site)) as net:
        answer = await request_plain(net, PATH)
        assert (answer.status, answer.body) == (200, b"export const pinned = true\n")
        assert "access-control-allow-origin" not in answer.headers
    async with open_server(make_site_server(site, "/below")) as net:
        assert (await request_plain(net, PATH)).body == CLIENT


async def test_it_takes_nothing_of_what_an_application_may_hold(autojump_clock: MockClock, tmp_path: Path) -> None:
    (tmp_path / "page.js").write_bytes(b"x" * 100)
    async with open_server(make_site_server(tmp_path, static_bytes=100)) as net:
        assert (await request_plain(net, PATH)).body == CLIENT


async def test_where_websockets_connect_there_is_no_file(autojump_clock: MockClock) -> None:
    async with open_server(make(path=PATH)) as net:
        assert (await request_plain(net, PATH)).status == 426
