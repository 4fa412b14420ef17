"""Arrivals: who is connected from where, and whether one more may come.

Laws:
- An address counts as `Proxies.origin_of` says. Trusted proxies and Unix sockets serve many and have no bounds.
- A connection that is being refused or answered in HTTP takes nobody's place. It counts only towards twice
  the bounds: beyond these a connection is closed without an answer.
- A client that is away takes the place of a connection. One that comes back takes no further place.
- Whatever is refused or closed here is counted.
"""

import logging
import math
from collections import Counter
from typing import Protocol

import attrs

from .._accounts import Accounts, Rate, address_account
from ..limits import Limits
from ..metrics import Metrics
from ..request import Identity, Request
from .proxies import Proxies, speaks_tls
from .responses import ALWAYS_ANSWERED, Response, refusal

logger = logging.getLogger("simplysocket.frontdoor")


@attrs.define(eq=False)
class Visit:
    """What is known of one connection. It counts for `account`, of its peer's address or of the client behind a proxy.

    `wait`: in how many seconds its address may come again; None if it may now.
    """

    address: str
    account: str | None
    wait: float | None = None
    is_tls: bool = False  # between the client and the server, or the proxy in front of it
    is_forwarded: bool = False  # a trusted proxy named the address
    is_answered: bool = False  # in HTTP: it will never be a WebSocket
    is_authenticating: bool = False  # `authenticate` is running


class Returning(Protocol):
    """The client that an upgrade brings back, as the front door sees it."""

    def wait(self, now: float) -> float | None:
        """Charge it for coming back; return in how many seconds it may, or None if it may now."""

    def is_back_as(self, identity: Identity | None) -> bool:
        """Tell, once it has authenticated, whether it goes on as the client that it was; otherwise it is a new one."""


class Arrivals:
    """Counts the connections of one server, in all and by address, and charges addresses for new ones."""

    def __init__(self, limits: Limits, metrics: Metrics, proxies: Proxies, accounts: Accounts) -> None:
        self._limits = limits
        self._metrics = metrics
        self._proxies = proxies
        self._accounts = accounts
        self._has_warned = False  # that a proxy may not be trusted
        self._has_warned_of_silence = False  # that a trusted proxy does not name its clients
        self.connections = 0
        self._answered = 0  # of them
        self.away = 0  # clients that may come back
        self._away_by_account: Counter[str] = Counter()
        self.by_account: Counter[str] = Counter()  # {account of an address: number of its connections}
        self._answered_by_account: Counter[str] = Counter()

    def begin(self, address: str, now: float) -> Visit | None:
        """Count a new connection, which `end` takes back; None if it must be closed without an answer."""
        visit = Visit(address, address_account(self._proxies.origin_of(address)))
        self.connections += 1
        self._count(visit, 1)
        self._charge(visit, now)
        limits = self._limits
        if (
            self.connections > 2 * (limits.connections or math.inf)
            or self._of(visit) > 2 * (limits.connections_per_address or math.inf)
            or self._is_ignored(visit, now)
        ):
            self._metrics.connections_turned_away += 1
            self.end(visit)
            return None
        return visit

    def end(self, visit: Visit) -> None:
        """Stop counting a connection that has ended."""
        self.connections -= 1
        self._answered -= visit.is_answered
        self._count(visit, -1)

    def answer(self, visit: Visit) -> None:
        """Mark a connection as one that is answered in HTTP."""
        if not visit.is_answered:
            self._count(visit, -1)
            visit.is_answered = True
            self._answered += 1
            self._count(visit, 1)

    def forward(self, request: Request, visit: Visit, now: float) -> Request:
        """Take what a trusted proxy says of a connection: whether the client came over TLS, and its address.

        The connection counts under this address. Return the request with it.
        """
        forwarded, scheme = request.headers.get("x-forwarded-for"), request.headers.get("x-forwarded-proto")
        if (forwarded is None and scheme is None) or not self._proxies.trust(visit.address):
            return request
        if scheme is not None:
            visit.is_tls = speaks_tls(scheme, otherwise=visit.is_tls)
        if forwarded is None:
            return request
        self._count(visit, -1)
        visit.address = self._proxies.client_of(visit.address, forwarded)
        visit.account = address_account(self._proxies.origin_of(visit.address))
        visit.is_forwarded = True
        self._count(visit, 1)
        self._charge(visit, now)
        return attrs.evolve(request, address=visit.address)

    def refuse_plain(self, request: Request, visit: Visit) -> Response | None:
        """Return the refusal of a plain HTTP request beyond the rate of its address."""
        if visit.wait is None or request.path in ALWAYS_ANSWERED:
            return None
        return _beyond("too many requests from this address", visit.wait)

    def hold(self, account: str | None, change: int) -> None:
        """Count one more client (`change` 1), or one less (-1), that is away and may come back: as a connection."""
        self.away += change
        if account is not None:
            self._away_by_account[account] += change
            if not self._away_by_account[account]:
                del self._away_by_account[account]

    def refuse_upgrade(
        self, request: Request, visit: Visit, now: float, returning: Returning | None = None
    ) -> Response | None:
        """Return the refusal of an upgrade: there are too many connections, or its address comes too often.

        A client that comes back takes its own place, over another connection or away, and has a rate of its own.
        """
        limits, account = self._limits, visit.account
        if returning is not None:
            wait = returning.wait(now)
            refused = _beyond("this client comes back too often", wait) if wait is not None else None
        elif self.connections + self.away - self._answered > (limits.connections or math.inf):
            return refusal(503, "too-many", "too many connections", ("Retry-After", "5"))
        elif account is None:
            self._warn_of_silent_proxy(visit)
            return None
        elif self._places_of(account, visit) > (limits.connections_per_address or math.inf):
            refused = refusal(429, "too-many", "too many connections from this address", ("Retry-After", "5"))
        else:
            wait = visit.wait or self._accounts.charge(account, Rate.CONNECTS, now)
            refused = _beyond("this address connects too often", wait) if wait is not None else None
        if refused is None and account is not None:
            wait = self._accounts.wait_for(account, Rate.FAILED_LOGINS, now)
            refused = _beyond("too many failed logins from this address", wait) if wait is not None else None
        if refused is not None and not visit.is_forwarded:
            self._warn_of_proxy(request)
        return refused

    def count_failed_login(self, visit: Visit, now: float) -> None:
        """Charge an address for credentials that `authenticate` has refused."""
        if visit.account is not None:
            self._accounts.charge(visit.account, Rate.FAILED_LOGINS, now)

    def _charge(self, visit: Visit, now: float) -> None:
        if visit.account is not None:
            visit.wait = self._accounts.charge(visit.account, Rate.REQUESTS, now)

    def _is_ignored(self, visit: Visit, now: float) -> bool:
        """Charge a refusal; tell whether there were so many that this address gets no answer any more."""
        return (
            visit.wait is not None
            and visit.account is not None
            and self._accounts.charge(visit.account, Rate.REFUSALS, now) is not None
        )

    def _places_of(self, account: str, visit: Visit) -> int:
        """Return how many places of clients the visitor's address takes."""
        return self._of(visit) + self._away_by_account[account] - self._answered_by_account[account]

    def _of(self, visit: Visit) -> int:
        """Return how many connections the visitor's address has."""
        return 0 if visit.account is None else self.by_account[visit.account]

    def _count(self, visit: Visit, change: int) -> None:
        if visit.account is None:
            return
        for counter in (self.by_account, self._answered_by_account)[: 1 + visit.is_answered]:
            counter[visit.account] += change
            if not counter[visit.account]:
                del counter[visit.account]

    def _warn_of_proxy(self, request: Request) -> None:
        """Say once how to trust a proxy, when the refused peer sent X-Forwarded-For: it may carry many clients."""
        if "x-forwarded-for" in request.headers and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "refused a connection from %.64r, which has too many; it names another client's address: if it is a"
                " proxy of yours, set Server(trusted_proxies=[%.64r])",
                request.address,
                request.address,
            )

    def _warn_of_silent_proxy(self, visit: Visit) -> None:
        """Say once that a trusted proxy does not name its clients, so that no address has a limit."""
        if self._has_warned_of_silence or not self._proxies.trust(visit.address):
            return
        self._has_warned_of_silence = True
        peer = visit.address or "unix"
        if not visit.is_forwarded:
            logger.warning(
                "the trusted proxy %.64r sends no X-Forwarded-For: its clients have no addresses of their own, and"
                " connections_per_address and the rates of an address do not count for them: let the proxy set it",
                peer,
            )
            return
        logger.warning(
            "the X-Forwarded-For of a trusted proxy names no client: the last address in it is %.64r, which is a"
            " trusted proxy, too. connections_per_address and the rates of an address do not count for it: let the"
            " proxy write the address of its client, and list only your proxies in trusted_proxies",
            peer,
        )


def _beyond(message: str, wait: float) -> Response:
    """Return the refusal of who comes too often, with the seconds to wait."""
    return refusal(429, "rate-limited", message, ("Retry-After", str(max(1, math.ceil(wait)))))
