"""The side door: what the port answers to plain HTTP.

Laws: a plain function from request to response. Files are read once, at
registration, and served by their exact path, so no request reaches the disk.
"""

import mimetypes
from pathlib import Path
from typing import Final

from .errors import RegistrationError
from .frontdoor import Response, refusal
from .request import Request

_TEXT_TYPES: Final = ("text/", "application/javascript", "application/json", "image/svg+xml")


class SideDoor:
    """Answers `/health` and the registered files; anything else is 404."""

    def __init__(self) -> None:
        self.urls: tuple[str, ...] = ()  # under which directories are served
        self._files: dict[str, tuple[str, bytes]] = {}  # {path: (content type, content)}

    def add_directory(self, url: str, directory: str | Path) -> None:
        """Serve the files below `directory` as they are now, under `url`; `index.html` also by its folder's name."""
        root = Path(directory)
        if not root.is_dir():
            raise RegistrationError(f"static: {str(directory)!r} is no directory")
        if not url.startswith("/"):
            raise RegistrationError(f"static: the url {url!r} must begin with '/'")
        prefix = url.rstrip("/")
        self.urls += (url,)
        for path in sorted(root.rglob("*")):
            relative = path.relative_to(root)
            if not path.is_file() or any(part.startswith(".") for part in relative.parts):
                continue
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            if kind.startswith(_TEXT_TYPES):
                kind += "; charset=utf-8"
            entry = kind, path.read_bytes()
            name = f"{prefix}/{relative.as_posix()}"
            self._files[name] = entry
            if path.name == "index.html":
                self._files[name.removesuffix("index.html")] = entry

    def respond(self, request: Request) -> Response:
        """Answer one plain request."""
        if request.path == "/health":
            found = "application/json", b'{"status":"ok"}'
        elif request.path in self._files:
            found = self._files[request.path]
        else:
            return refusal(404, "not-found", "there is nothing here")
        if request.method not in ("GET", "HEAD"):
            return refusal(405, "method-not-allowed", "only GET and HEAD", ("Allow", "GET, HEAD"))
        return Response(200, found[1], found[0])
