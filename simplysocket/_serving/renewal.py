"""Renewal: new credentials for a client that is connected.

Laws:
- The user of a client never changes.
- Of one client one renewal runs at a time, in a task of its own, and it ends with its client.
- To renew costs an address what to connect does: one of its connects, and a failed login if it is refused.
- A request is kept only while its client has credentials that expire, and packed, since few are ever looked at.
"""

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

import msgspec
import trio

from .._accounts import Rate, address_account
from .._boundary import PASSING
from .._http.proxies import Proxies
from .._http.request_head import header_items
from .._http.responses import is_failed_login
from .._pass_budget import Line
from .._protocol import codec
from .._protocol.codec import Envelope
from .._rooms.hub import Hub
from .._sessions.handler_scope import HandlerScope
from .._sessions.session import Session
from ..errors import ActionError, BadBody, Gone, PeerError, Refuse, first_of
from ..request import Identity, Request
from .expiry import Expiry, end_of, time_left

logger = logging.getLogger("simplysocket.admission")

Identify: TypeAlias = Callable[[Request, Callable[[], Awaitable[None]]], Awaitable[Identity | None]]
"""`Authentication.identify`."""

_CODES: Final = {429: "rate-limited", 503: "busy"}  # of a `Refuse` with such a status; "forbidden" for any other


class _Renew(codec.Struct):
    token: str


_read: Final = codec.body_decoder(_Renew)


class Renewal:
    """Renews the credentials of the clients of one server, and knows when they expire."""

    def __init__(self, hub: Hub, expiry: Expiry, proxies: Proxies, identify: Identify) -> None:
        self._hub = hub
        self._expiry = expiry
        self._proxies = proxies
        self._identify = identify
        self._requests: dict[Session, bytes] = {}  # {session: the packed request that its client has connected with}
        self._running: set[Session] = set()

    # --- for the admission

    def begin(self, session: Session, request: Request) -> None:
        """Let a client's credentials expire, and be renewed, on the connection that `request` has made."""
        self.end(session)
        end = end_of(session.client.identity)
        if end is not None:
            self._expiry.add(session, end)
            self._requests[session] = _pack(request)

    def end(self, session: Session) -> None:
        """Forget a client that has lost its connection or is gone, or whose credentials do not expire any more."""
        self._expiry.remove(session)
        self._requests.pop(session, None)

    # --- by the server's own code

    def renew(self, session: Session, identity: Identity) -> None:
        """Give a client another identity; ValueError if it is another user's."""
        client = session.client
        if client.user is None:
            raise ValueError(f"renew({identity!r:.200}): {client!r} has no user, since authenticate has not let it in")
        if identity.user != client.user:
            raise ValueError(
                f"renew({identity!r:.200}): {client!r} is {client.user!r:.100}, and its user never changes: close it,"
                " and let it connect again"
            )
        self._set(session, identity)

    # --- by the client

    def ask(self, session: Session, envelope: Envelope, now: float) -> None:
        """Begin to answer a client's `renew`; `ActionError` if it is refused at once."""
        packed = self._requests.get(session)
        if packed is None:
            raise ActionError("forbidden", "you have no credentials that expire here: there is nothing to renew")
        token = _read(envelope.message_body).token
        most = self._hub.limits.head_bytes
        if not token:
            raise BadBody("give the new token", path="$.token")
        if len(token) > most:
            raise ActionError("too-large", f"a token has {most} characters at most", path="$.token")
        if session in self._running:
            raise ActionError("busy", "a renewal is under way: wait for its answer")
        self._charge(session, now)
        envelope.message_body, envelope.target = codec.EMPTY, None  # which hold on to the bytes of the whole frame
        scope = HandlerScope(session, envelope, self._hub.global_room)
        self._running.add(session)
        self._hub.start(self._run, session, envelope, scope, _unpack(packed, token))

    def _charge(self, session: Session, now: float) -> None:
        account = self._account_of(session)
        if account is None:
            return
        accounts = self._hub.accounts
        wait = accounts.wait_for(account, Rate.FAILED_LOGINS, now) or accounts.charge(account, Rate.CONNECTS, now)
        if wait is not None:
            raise ActionError("rate-limited", "too many logins from your address", retry_after=wait)

    async def _run(self, session: Session, envelope: Envelope, scope: HandlerScope, request: Request) -> None:
        """Answer a `renew`. `scope` ends with its caller."""
        error: ActionError | None = None
        try:
            await scope.run(partial(self._ask_application, session, request))
        except* ActionError as group:
            error = first_of(group)
        finally:
            self._running.discard(session)
        if error is not None:
            session.refuse(envelope.id, envelope.action, error)
            return
        answer = codec.encode_body(time_left(session.client.identity), may_hold_floats=False)
        session.tell_without_id(envelope, answer)
        if envelope.id is not None:
            session.reply(envelope.id, answer)

    async def _ask_application(self, session: Session, request: Request) -> None:
        """Call `authenticate`, and take the identity that it returns; `ActionError` if it refuses or fails."""
        client, seconds = session.client, self._hub.limits.handshake_seconds
        identity: Identity | None = None
        error: ActionError | None = None
        with trio.CancelScope() as scope:

            async def turn() -> None:
                await self._hub.budget.turn(Line.ARRIVALS)
                scope.deadline = trio.current_time() + seconds

            try:
                found = await self._identify(request, turn)
                if found is None or found.user != client.user:
                    raise Refuse(403, "this token is another user's: connect again with it")
                identity = found
            except* PeerError as group:
                self._hub.metrics.peer_errors += 1
                logger.warning("authenticate did not catch, for %r: %.500r", client, str(first_of(group)))
                error = _failed()
            except* (Refuse, ActionError) as group:
                error = self._refuse(session, first_of(group))
            except* PASSING:
                raise
            except* BaseException:
                logger.exception("authenticate failed for %r", client)
                error = error or _failed()
        if error is None and scope.cancelled_caught:
            logger.error("authenticate took over %g seconds for %r", seconds, client)
            error = ActionError("timeout", f"not done within {seconds:g} seconds")
        if error is not None or identity is None:
            raise error or _failed()
        if not session.is_connected:
            raise Gone("the connection is closing")
        self._set(session, identity)

    def _refuse(self, session: Session, error: Refuse | ActionError) -> ActionError:
        """Charge and log a refusal by `authenticate`, and return it as the client is told it."""
        account = self._account_of(session)
        if account is not None and is_failed_login(error):
            self._hub.accounts.charge(account, Rate.FAILED_LOGINS, trio.current_time())
        logger.info("refused to renew the credentials of %r: %.300r", session.client, error.message)
        if isinstance(error, ActionError):
            return error
        code = "expired" if error.expired else _CODES.get(error.status, "forbidden")
        return ActionError(code, error.message or "the token was refused")

    def _set(self, session: Session, identity: Identity) -> None:
        session.client._take_identity(identity)
        end = end_of(identity)
        if end is None:
            self.end(session)
        elif session.is_connected:
            self._expiry.add(session, end)

    def _account_of(self, session: Session) -> str | None:
        return address_account(self._proxies.origin_of(session.client.address))


def _failed() -> ActionError:
    return ActionError("internal", "the authentication failed")


_Packed: TypeAlias = tuple[str, str, dict[str, str], dict[str, str], str]
_decode: Final = msgspec.msgpack.Decoder(_Packed).decode


def _pack(request: Request) -> bytes:
    """Return a request as bytes, which take a third of the memory of its objects, and at most twice the head's."""
    packed: _Packed = request.method, request.path, request.query, request.headers, request.address
    return msgspec.msgpack.encode(packed)


def _unpack(packed: bytes, token: str) -> Request:
    """Return the request, with a new token."""
    method, path, query, headers, address = _decode(packed)
    subprotocols = tuple(header_items(headers.get("sec-websocket-protocol", "")))
    return Request(method, path, query, headers, address, subprotocols, token=token)
