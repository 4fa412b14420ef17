"""A site: a directory of files to serve, with secrets in it and next to it that must not be served."""

from pathlib import Path
from typing import Any, Final  # Any: options of Limits

from simplysocket import Server

from .servers import make, make_attacked

JAVASCRIPT: Final = b"export const answer = 42\n"
"""The content of `/app.js`."""
SECRET: Final = "the secret"
"""The content of every file that must not be served."""


def write_site(directory: Path) -> Path:
    """Write the site into this directory, next to files outside it, and return its root."""
    root = directory / "site"
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
    (root / "outside.txt").symlink_to(directory / "secret.txt")
    (root / "outside").symlink_to(directory / "outside")
    (root / "loop").symlink_to("loop")
    (root / "broken").symlink_to("nowhere")
    return root


def make_site_server(directory: Path, url: str = "/", **options: Any) -> Server:
    """Return a server that serves these files at `url`; `options` are those of `make`."""
    server = make(**options)
    server.static(url, directory)
    return server


def make_attacked_site(directory: Path) -> Server:
    """Return a server for attacks, which serves these files at `/`."""
    server = make_attacked()
    server.static("/", directory)
    return server
