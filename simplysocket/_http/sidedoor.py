"""The side door: what the port answers to plain HTTP.

Laws: a plain function from request to response. Files are read once, at
registration, and served by their exact path, so no request reaches the disk.
"""

import hashlib
import html
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlencode

import attrs

from ..errors import RegistrationError
from ..request import Request
from .responses import REASONS, Response, refusal

_HEALTH: Final = "/health"
_READY: Final = "/ready"
_INDEX: Final = "index.html"
_ETAG_BYTES: Final = 16  # two files of one address never have the same by chance
_URL: Final = re.compile(r"/|(/(?!\.{1,2}(/|$))[^/?#%\\\x00-\x1f\x7f]+)+/?")
_ETAG: Final = re.compile(r'"([^"]*)"')
# An escape that is none, and those of NUL and of the slash, which no file's name holds.
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%00|%2[Ff]")
_NO_STORE: Final = ("Cache-Control", "no-store")
_ASK_AGAIN: Final = ("Cache-Control", "no-cache")  # kept, but asked for each time: then a 304 is enough
# Of our own: what the machine's tables say differs from one to the next, and a page without its types does not run.
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
_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<h1>{title}</h1>
<p>{message}</p>
</html>
"""


@attrs.frozen
class _File:
    content: bytes
    content_type: str
    etag: str  # with its quotes

    @classmethod
    def of(cls, name: str, content: bytes) -> "_File":
        content_type = _TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")
        if content_type.startswith("text/"):
            content_type += "; charset=utf-8"
        return cls(content, content_type, f'"{hashlib.blake2b(content, digest_size=_ETAG_BYTES).hexdigest()}"')


class SideDoor:
    """Answers `/health`, `/ready` and the registered files; anything else is 404."""

    def __init__(self, *, static_bytes: int | None, paths: Sequence[str], is_ready: Callable[[], bool]) -> None:
        """`static_bytes`: how much all files may have together; `paths`: where WebSockets connect."""
        self.urls: tuple[str, ...] = ()  # under which directories are served
        self._static_bytes = static_bytes
        self._paths = paths
        self._is_ready = is_ready
        self._files: dict[str, _File | None] = {}  # {path: file}; None: a folder without its slash
        self._size = 0

    # --- registering

    def add_directory(self, url: str, directory: str | Path) -> None:
        """Serve the files below `directory` as they are now, under `url`; `index.html` also by its folder's name.

        `RegistrationError` where that cannot work; then nothing of it is served.
        """
        root = Path(directory)
        _check(url, root)
        prefix = url.rstrip("/")
        self._check_free(prefix)
        files: dict[str, _File | None] = {}
        size = self._size
        for path in _files_below(root):
            size += path.stat().st_size
            if self._static_bytes is not None and size > self._static_bytes:
                raise RegistrationError(
                    f"static: with {str(path)!r} the files have over {self._static_bytes} bytes, and they are held "
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
        if name in (_HEALTH, _READY):
            raise RegistrationError(f"static: {name!r} is the server's own: give another url, or rename what is there")
        if name in self._paths:
            raise RegistrationError(
                f"static: WebSockets connect at {name!r}: give another url, rename what is there, or set Server(path=)"
            )

    # --- answering

    def respond(self, request: Request) -> Response:
        """Answer one plain request."""
        if request.path in self._paths:
            if request.method != "GET":
                return _refuse(request, 405, "method-not-allowed", "a WebSocket request is a GET", ("Allow", "GET"))
            message = "this is a WebSocket endpoint"
            return _refuse(request, 426, "upgrade-required", message, ("Upgrade", "websocket"))
        path = _unescape(request.path)
        if path is None:
            return _refuse(request, 400, "bad-request", "the path is not valid")
        if path not in self._files and path not in (_HEALTH, _READY):
            return _refuse(request, 404, "not-found", "there is nothing here")
        if request.method not in ("GET", "HEAD"):
            return _refuse(request, 405, "method-not-allowed", "only GET and HEAD", ("Allow", "GET, HEAD"))
        if path == _HEALTH:
            return Response(200, b'{"status":"ok"}', headers=(_NO_STORE,))
        if path == _READY:
            if not self._is_ready():
                return _refuse(request, 503, "stopping", "the server is stopping", ("Retry-After", "5"))
            return Response(200, b'{"status":"ready"}', headers=(_NO_STORE,))
        file = self._files[path]
        if file is None:
            return _to_folder(request, path)
        is_known = _is_known(request.headers.get("if-none-match", ""), file.etag)
        return Response(
            304 if is_known else 200,
            file.content,
            file.content_type,
            headers=(("ETag", file.etag), _ASK_AGAIN),
            sends_body=not is_known,
        )


def _check(url: str, root: Path) -> None:
    """Refuse what cannot be a url, and what is no directory."""
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
    """Find what is neither hidden nor, by a link, outside of `root`."""
    inside = root.resolve()
    for path in sorted(root.rglob("*")):
        is_hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if not is_hidden and path.is_file() and path.resolve().is_relative_to(inside):
            yield path


def _unescape(path: str) -> str | None:
    """Read the escapes of a path; None where they stand for nothing."""
    if _BAD_ESCAPE.search(path):
        return None
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        return None


def _is_known(known: str, etag: str) -> bool:
    """Tell whether `If-None-Match` holds this ETag, compared weakly (RFC 9110, 13.1.2)."""
    return known.strip() == "*" or etag.strip('"') in _ETAG.findall(known)


def _to_folder(request: Request, path: str) -> Response:
    """Send on to the same folder with its slash, so that what the page links to is looked for inside of it."""
    # Relative, and all escaped: it can lead neither to another host nor into the next header.
    location = quote(path.rpartition("/")[2]) + "/"
    if request.query:
        location += "?" + urlencode(request.query)
    return Response(308, b"", "text/plain", headers=(("Location", location), _ASK_AGAIN))


def _refuse(request: Request, status: int, code: str, message: str, *headers: tuple[str, str]) -> Response:
    """Return an error: JSON for a program, a page for a browser."""
    headers = (*headers, _NO_STORE)
    if "text/html" not in request.headers.get("accept", "").lower():
        return refusal(status, code, message, *headers)
    page = _PAGE.format(title=f"{status} {REASONS[status]}", message=html.escape(message))
    return Response(status, page.encode(), "text/html; charset=utf-8", headers=headers)
