"""Errors of plain HTTP: JSON for programs, pages for browsers, and HTTP/1.0."""

import json
from pathlib import Path

import pytest
from trio.testing import MockClock

from simplysocket.testing import open_server

from ..harness.plain_http import BROWSER, request_plain
from ..harness.servers import make
from ..harness.site import make_site_server


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
    async with open_server(make_site_server(site)) as net:
        for accept in (None, "*/*", "application/json"):
            answer = await request_plain(net, target, method=method, accept=accept)
            assert answer.status == status
            assert answer.headers["content-type"] == "application/json"
            assert method == "HEAD" or set(json.loads(answer.body)) == {"code", "message"}
        page = await request_plain(net, target, method=method, accept=BROWSER)
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


async def test_an_error_page_shows_nothing_of_the_request(autojump_clock: MockClock) -> None:
    async with open_server(make()) as net:
        for target in ("/<script>alert(1)</script>", "/%3Cscript%3Ealert(1)%3C/script%3E", "/?<script>"):
            answer = await request_plain(net, target, accept=BROWSER, referer="<script>", host="script")
            assert answer.status == 404
            assert b"script" not in answer.body


@pytest.mark.parametrize("host", ["127.0.0.1", None])
async def test_http_1_0_is_answered_with_and_without_a_host(
    autojump_clock: MockClock, site: Path, host: str | None
) -> None:
    async with open_server(make_site_server(site)) as net:
        for target, status in (("/health", 200), ("/ready", 200), ("/app.js", 200), ("/nowhere", 404), ("/ws", 426)):
            answer = await request_plain(net, target, version="1.0", host=host)
            assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert (await request_plain(net, "/health", "Host: b", version="1.0", host="a")).status == 400
        assert (await request_plain(net, "/health", host=None)).status == 400
