"""Static files: the files below the registered directories, and the client for browsers.

Law: files are read once, at registration, and served by their exact path, so no
request reaches the disk.
"""

import functools
import hashlib
import importlib.resources
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import attrs

from ..errors import RegistrationError
from ..request import Request
from .responses import Response

_INDEX: Final = "index.html"
_ETAG_BYTES: Final = 16  # so many that two versions of a file never share an ETag by chance
_URL: Final = re.compile(r"/|(/(?!\.{1,2}(/|$))[^/?#%\\\x00-\x1f\x7f]+)+/?")
_ETAG: Final = re.compile(r'"([^"]*)"')
_CLIENT: Final = "/simplysocket.js"  # ours, unless a registered directory has a file of this path
_ANY_ORIGIN: Final = ("Access-Control-Allow-Origin", "*")  # a module that pages of other sites may import
_REVALIDATE: Final = ("Cache-Control", "no-cache")  # kept by the browser, which asks each time whether it is current
# Not the tables of the machine: they differ, and a browser runs no script whose type is wrong.
_TYPES: Final = {
    "avif": "image/avif",
    "bmp": "image/bmp",
    "css": "text/css",
    "csv": "text/csv",
    "gif": "image/gif",
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "htm": "text/html",
    "html": "text/html",
    "ico": "image/x-icon",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "m4a": "audio/mp4",
    "map": "application/json",
    "md": "text/markdown",
    "mjs": "text/javascript",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "ogg": "audio/ogg",
    "otf": "font/otf",
    "pdf": "application/pdf",
    "png": "image/png",
    "svg": "image/svg+xml",
    "ttf": "font/ttf",
    "txt": "text/plain",
    "wasm": "application/wasm",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webmanifest": "application/manifest+json",
    "webp": "image/webp",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "xml": "text/xml",
    "zip": "application/zip",
}


@attrs.frozen
class _File:
    content: bytes
    content_type: str
    etag: str  # with its quotes
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, name: str, content: bytes, *headers: tuple[str, str]) -> "_File":
        content_type = _TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")
        if content_type.startswith("text/"):
            content_type += "; charset=utf-8"
        etag = f'"{hashlib.blake2b(content, digest_size=_ETAG_BYTES).hexdigest()}"'
        return cls(content, content_type, etag, headers)


@functools.cache
def _read_client() -> _File:
    """Return the client for browsers, as it is in the package."""
    name = _CLIENT.removeprefix("/")
    content = importlib.resources.files("simplysocket").joinpath("browser", name).read_bytes()
    return _File.of(name, content, _ANY_ORIGIN)


class StaticFiles:
    """Holds the registered files in memory, by the path that each is served under."""

    def __init__(self, *, max_bytes: int | None, own_paths: Sequence[str], websocket_paths: Sequence[str]) -> None:
        """`max_bytes` bounds all files together. No file may have one of the two kinds of paths."""
        self.urls: tuple[str, ...] = ()  # of the registered directories
        self._max_bytes = max_bytes
        self._own_paths = own_paths
        self._websocket_paths = websocket_paths
        self._files: dict[str, _File | None] = {}  # {path: file}; None: a folder without its slash, which redirects
        self._own_files = {_CLIENT: _read_client()}
        self._size = 0  # bytes of all registered files

    def __contains__(self, path: str) -> bool:
        return path in self._files or path in self._own_files

    def add_directory(self, url: str, directory: str | Path) -> None:
        """Serve the files below `directory`, as they are now, under `url`; an `index.html` also as its folder.

        `RegistrationError` when that cannot work; then no file of the directory is served.
        """
        root = Path(directory)
        _check(url, root)
        prefix = url.rstrip("/")
        self._check_free(prefix)
        files: dict[str, _File | None] = {}
        size = self._size
        for path in _files_below(root):
            size += path.stat().st_size
            if self._max_bytes is not None and size > self._max_bytes:
                raise RegistrationError(
                    f"static: with {str(path)!r} the files have over {self._max_bytes} bytes, and they are held "
                    "in memory: raise Limits(static_bytes=...), or let a web server or a CDN serve the large ones"
                )
            name = f"{prefix}/{path.relative_to(root).as_posix()}"
            file = _File.of(path.name, path.read_bytes())
            files[name] = file
            if path.name == _INDEX:
                folder = name.removesuffix(_INDEX)
                files[folder] = file
                if folder != "/":
                    files[folder.removesuffix("/")] = None
        for name in files:
            self._check_free(name)
            if name in self._files:
                raise RegistrationError(f"static: {name!r} is served already: give another url, or remove one of them")
        self.urls += (url,)
        self._files |= files
        self._size = size

    def _check_free(self, name: str) -> None:
        if name in self._own_paths:
            raise RegistrationError(f"static: {name!r} is the server's own: give another url, or rename what is there")
        if name in self._websocket_paths:
            raise RegistrationError(
                f"static: WebSockets connect at {name!r}: give another url, rename what is there, or set Server(path=)"
            )

    def answer(self, path: str, request: Request) -> Response:
        """Answer a GET or HEAD request for a path that is served."""
        file = self._files[path] if path in self._files else self._own_files[path]
        if file is None:
            return _redirect_to_folder(path, request)
        is_known = _is_known(request.headers.get("if-none-match", ""), file.etag)
        return Response(
            304 if is_known else 200,
            file.content,
            file.content_type,
            headers=(("ETag", file.etag), _REVALIDATE, *file.headers),
            sends_body=not is_known,
        )


def _check(url: str, root: Path) -> None:
    """Refuse a url that cannot work, and a path that is not a directory."""
    if not isinstance(url, str) or not _URL.fullmatch(url):
        raise RegistrationError(
            f"static: the url {url!r} cannot work: it must begin with '/', such as '/' or '/assets', "
            "and be written plainly, without '?', '#', '%', '\\', '//' and '..'"
        )
    if root.is_file():
        raise RegistrationError(f"static: {str(root)!r} is a file: give the directory that it is in")
    if not root.is_dir():
        raise RegistrationError(
            f"static: {str(root)!r} is no directory: make it first; "
            "one beside your program is Path(__file__).with_name('static')"
        )


def _files_below(root: Path) -> Iterator[Path]:
    """Yield the files that are neither hidden nor, through a link, outside of `root`."""
    inside = root.resolve()
    for path in sorted(root.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if not is_hidden and path.is_file() and path.resolve().is_relative_to(inside):
            yield path


def _is_known(known: str, etag: str) -> bool:
    """Tell whether `If-None-Match` names this ETag, compared weakly (RFC 9110, 13.1.2)."""
    return known.strip() == "*" or etag.strip('"') in _ETAG.findall(known)


def _redirect_to_folder(path: str, request: Request) -> Response:
    """Redirect to the folder with its slash, so that the relative links of its page lead into it."""
    # Relative and escaped, so that it can neither name another host nor begin another header.
    location = quote(path.rpartition("/")[2]) + "/"
    if request.query:
        location += "?" + urlencode(request.query)
    return Response(308, b"", "text/plain", headers=(("Location", location), _REVALIDATE))
