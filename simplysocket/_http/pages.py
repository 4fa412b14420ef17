"""Pages: the answers to plain HTTP: health, static files, our client, and errors as JSON or as a page.

Law: a plain function from a request to a response.
"""

import html
import re
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import unquote

from ..request import Request
from .responses import REASONS, Response, refusal
from .static_files import StaticFiles

_HEALTH: Final = "/health"
_READY: Final = "/ready"
# An escape without two hex digits, and the escapes of NUL and of the slash: no file name has these.
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%00|%2[Ff]")
_NO_STORE: Final = ("Cache-Control", "no-store")
_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<h1>{title}</h1>
<p>{message}</p>
</html>
"""


class Pages:
    """Answers `/health`, `/ready`, the static files and `/simplysocket.js`; anything else is 404."""

    def __init__(self, *, static_bytes: int | None, paths: Sequence[str], is_ready: Callable[[], bool]) -> None:
        """`static_bytes`: the most that all static files together may have; `paths`: where WebSockets connect."""
        self.files = StaticFiles(max_bytes=static_bytes, own_paths=(_HEALTH, _READY), websocket_paths=paths)
        self._paths = paths
        self._is_ready = is_ready

    def respond(self, request: Request) -> Response:
        """Return the answer to a request that is not an upgrade."""
        if request.path in self._paths:
            if request.method != "GET":
                return _refuse(request, 405, "method-not-allowed", "a WebSocket request is a GET", ("Allow", "GET"))
            message = "this is a WebSocket endpoint"
            return _refuse(request, 426, "upgrade-required", message, ("Upgrade", "websocket"))
        path = _unescape(request.path)
        if path is None:
            return _refuse(request, 400, "bad-request", "the path is not valid")
        if path not in self.files and path not in (_HEALTH, _READY):
            return _refuse(request, 404, "not-found", "there is nothing here")
        if request.method not in ("GET", "HEAD"):
            return _refuse(request, 405, "method-not-allowed", "only GET and HEAD", ("Allow", "GET, HEAD"))
        if path == _HEALTH:
            return Response(200, b'{"status":"ok"}', headers=(_NO_STORE,))
        if path == _READY:
            if not self._is_ready():
                return _refuse(request, 503, "stopping", "the server is stopping", ("Retry-After", "5"))
            return Response(200, b'{"status":"ready"}', headers=(_NO_STORE,))
        return self.files.answer(path, request)


def _unescape(path: str) -> str | None:
    """Return the path with its escapes decoded; None when one of them is not valid."""
    if _BAD_ESCAPE.search(path):
        return None
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        return None


def _refuse(request: Request, status: int, code: str, message: str, *headers: tuple[str, str]) -> Response:
    """Return an error: JSON for a program, a page for a browser."""
    headers = (*headers, _NO_STORE)
    if "text/html" not in request.headers.get("accept", "").lower():
        return refusal(status, code, message, *headers)
    page = _PAGE.format(title=f"{status} {REASONS[status]}", message=html.escape(message))
    return Response(status, page.encode(), "text/html; charset=utf-8", headers=headers)
