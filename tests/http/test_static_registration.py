"""`Server.static`: what it refuses, and with which words."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from trio.testing import MockClock

from simplysocket import RegistrationError, Server
from simplysocket.testing import open_server

from ..harness.plain_http import request_plain
from ..harness.servers import make
from ..harness.site import make_site_server

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
def test_files_that_cannot_be_served_are_refused_with_what_to_do(words: str, site: Path) -> None:
    with pytest.raises(RegistrationError, match=f"static: .*{words}"):
        WRONG[words](site)


@pytest.mark.parametrize("name", ["health", "ready", "ws", "ws/index.html"])
def test_a_file_that_would_hide_an_address_of_the_server_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("x")
    with pytest.raises(RegistrationError, match="rename what is there"):
        make_site_server(tmp_path)


async def test_a_file_is_not_registered_twice_and_the_first_stays(autojump_clock: MockClock, site: Path) -> None:
    server = make_site_server(site / "docs", "/docs")
    (site / "docs" / "index.html").unlink()
    with pytest.raises(RegistrationError, match=r"'/docs/guide\.txt' is served already"):
        server.static("/", site)
    async with open_server(server) as net:
        assert (await request_plain(net, "/docs/")).status == 200
        assert (await request_plain(net, "/app.js")).status == 404, "half of it is served"


def test_static_bytes_bounds_all_files_together(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a" * 60)
    server = make(static_bytes=120)
    server.static("/one", tmp_path)
    server.static("/two", tmp_path)
    with pytest.raises(RegistrationError, match="over 120 bytes"):
        server.static("/three", tmp_path)
    make(static_bytes=None).static("/", tmp_path)


def test_a_file_that_is_too_large_is_refused_without_being_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        os.truncate(file.fileno(), 2**40)
    with pytest.raises(RegistrationError, match=r"huge.* over 67108864 bytes"):
        make_site_server(tmp_path)
