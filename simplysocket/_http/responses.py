"""Responses: answers in HTTP, as values and as bytes.

Laws: no I/O. Every response closes its connection.
"""

from typing import Final

import attrs
import h11
import msgspec

from ..errors import ActionError, CloseCode, Refuse, text_of

_CODES: Final = {  # the `code` in the JSON of a `Refuse`; "refused" for any other status
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    429: "too-many",
    503: "unavailable",
}

REASONS: Final = {
    200: "OK",
    304: "Not Modified",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    414: "URI Too Long",
    421: "Misdirected Request",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

_FAILED_LOGINS: Final = (401, 403)  # with these `authenticate` refuses credentials

# An answer costs no more than a refusal, and who asks may kill us. It asks by an address, not by a name.
ALWAYS_ANSWERED: Final = ("/health", "/ready")


@attrs.frozen
class Response:
    """A plain HTTP response."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    sends_body: bool = True  # False: only its length is sent, as in the answer to HEAD

    def to_bytes(self) -> tuple[bytes, bytes]:
        """Return the head and the body as they are sent."""
        writer = h11.Connection(h11.SERVER)
        # h11 answers only after it has read a request, so it is given one.
        writer.receive_data(b"GET / HTTP/1.0\r\n\r\n")
        writer.next_event()
        headers = [
            ("Content-Type", self.content_type),
            ("Content-Length", str(len(self.body))),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
            *self.headers,
        ]
        head = writer.send(h11.Response(status_code=self.status, headers=headers, reason=REASONS.get(self.status, "")))
        return head or b"", self.body if self.sends_body else b""


def refusal(status: int, code: str, message: str, *headers: tuple[str, str]) -> Response:
    """Return an error as JSON: `{"code", "message"}`."""
    message = message.encode(errors="replace").decode()  # without lone surrogates
    return Response(status, msgspec.json.encode({"code": code, "message": message}), headers=headers)


def is_failed_login(error: Refuse | ActionError) -> bool:
    """Tell whether an error of `authenticate` refuses the credentials, and not for another reason."""
    return isinstance(error, ActionError) or error.status in _FAILED_LOGINS


def close_of(error: Refuse | ActionError) -> tuple[int, str]:
    """Return the close code and the reason with which a client is told that its credentials are refused."""
    if isinstance(error, ActionError):
        return CloseCode.BAD_TOKEN, text_of(error) or error.code
    code = CloseCode.EXPIRED if error.expired else CloseCode.BAD_TOKEN
    return code, text_of(error) or REASONS[error.status]


def refuse_client(error: Refuse | ActionError) -> Response:
    """Return the answer to an error of `authenticate`: the status of a `Refuse`, else 403 with the error's code."""
    if isinstance(error, ActionError):
        return refusal(403, error.code, text_of(error) or REASONS[403])
    reason = REASONS.get(error.status, "refused")
    return refusal(error.status, _CODES.get(error.status, "refused"), text_of(error) or reason)
