"""Limits: every bound of a server, with its unit, its default and its reason.

Law: everything that a peer can make grow, wait or repeat has a field here. None means no limit.
"""

from typing import Any

import attrs

from ._memory_bound import bound_of


def _positive(_: object, attribute: "attrs.Attribute[float | None]", value: float | None) -> None:
    if value is not None and not _is_positive(value):
        raise ValueError(f"Limits.{attribute.name} is {value!r}: give a number above 0, or None for no limit")


def _above_zero(_: object, attribute: "attrs.Attribute[float]", value: float | None) -> None:
    if not _is_positive(value):
        raise ValueError(f"Limits.{attribute.name} is {value!r}: give a number above 0; this bound cannot be lifted")


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


# Any: the fields made by these are int or float, some of them or None, which one type cannot say.
def _bound(default: float | None) -> Any:
    return attrs.field(default=default, validator=_positive)


def _required(default: float) -> Any:
    return attrs.field(default=default, validator=_above_zero)


@attrs.frozen(kw_only=True)
class Limits:
    """The bounds of a server. Sizes are in bytes, times in seconds, rates per second and client.

    >>> Limits(message_bytes=10_000, ping_seconds=10)
    """

    # what one client may send
    message_bytes: int | None = _bound(65_536)  # one message, all its fragments together; beyond: 1009
    fragments: int | None = _bound(1_024)  # of one message: empty ones have no bytes, so they are counted; beyond: 1009
    messages_per_second: float | None = _bound(100)  # beyond: `rate-limited`, and far beyond: 3013
    messages_burst: float = _required(200)  # messages at once, after a pause
    bytes_per_second: float | None = _bound(524_288)  # of messages; beyond: `rate-limited`
    bytes_burst: float = _required(1_048_576)  # bytes at once, after a pause; a larger message takes all of it
    joins_per_second: float | None = _bound(5)  # a join may create a room, the most expensive thing to ask for
    joins_burst: float = _required(20)
    join_bytes: int | None = _bound(4_096)  # of a join's body, which a room may keep; beyond: `too-large`
    controls_per_second: float | None = _bound(10)  # pings and pongs; every Ping costs a Pong; beyond: 3013
    controls_burst: float = _required(50)
    fragments_per_second: float | None = _bound(1_000)  # of all messages, but the last of each; beyond: 3013
    fragments_burst: float = _required(4_096)  # more than `fragments`, so that any legal message passes
    protocol_errors: int | None = _bound(10)  # invalid messages; one a minute is forgiven; beyond: 3501
    name_length: int | None = _bound(200)  # characters of a room's or a client's name

    # the request head
    head_bytes: int = _required(16_384)  # enough for a browser with many cookies; beyond: 431
    head_lines: int = _required(64)
    handshake_seconds: float = _required(5)  # for TLS, the head, `authenticate` and the upgrade together; beyond: 408
    handshakes: int = _required(64)  # of TLS at once; the others wait without losing their time
    handshakes_per_address: int = _required(4)

    # what waits to be sent to one client
    outbox_frames: int | None = _bound(1_024)  # above either bound for `slow_seconds`, a client is too slow: 3008
    outbox_bytes: int | None = _bound(1_048_576)
    slow_seconds: float = _required(5)  # above a bound without interruption; much at once is not slowness
    outboxes_bytes: int | None = _bound(268_435_456)  # of all clients, shared frames once; beyond: the slowest get 3008
    unsent_bytes: int = _required(131_072)  # in the kernel (TCP_NOTSENT_LOWAT); by default it hides 4 MiB
    write_seconds: float = _required(10)  # without progress of a write; then the connection is cut

    # clients that come back
    resume_seconds: float = _required(30)  # the grace: without a connection, unless one of its rooms holds it longer
    resume_frames: int | None = _bound(1_024)  # kept for one client; who misses more is told of a gap
    resume_bytes: int | None = _bound(262_144)
    resumes_per_second: float | None = _bound(1)  # that a client comes back; beyond: 429
    resumes_burst: float = _required(10)

    # silence and closing
    ping_seconds: float | None = _bound(25)  # of silence, then a Ping; below the 30-60 s of common proxies
    silence_seconds: float | None = _bound(60)  # of silence, then 3012
    close_seconds: float = _required(2)  # for the peer's Close, and for a room's on_close
    drain_seconds: float = _required(30)  # for a graceful stop on a signal

    # rooms and turns
    room_bytes_per_second: float | None = _bound(1_048_576)  # clients make a room say to each member; then they wait
    inbox_messages: int | None = _bound(128)  # waiting for one room's turn; beyond: held outside
    inbox_bytes: int | None = _bound(262_144)  # of those above 4 KiB; one message always fits; beyond: held outside
    inbox_per_client: int | None = _bound(16)  # messages of one client; one if the room is behind; beyond: held outside
    inbox_seconds: float | None = _bound(5)  # in the inbox, or held: beyond, the room does not keep up: `busy`
    intake_messages: int | None = _bound(256)  # held of one client, over all rooms; beyond: it is not read
    intake_bytes: int | None = _bound(262_144)  # the same, with 512 for each message
    tasks_per_client: int | None = _bound(16)  # running handlers outside the turn (`turn=False`); beyond: `too-many`
    auths_per_address: int | None = _bound(4)  # `on_auth`s that run for one user, else address; the others wait
    auths_per_room: int | None = _bound(32)  # `on_auth`s that run for one room; the others wait
    blocked_seconds: float | None = _bound(0.1)  # of a handler, or of all in one pass; beyond: a warning names it
    waiting_seconds: float | None = _bound(10)  # that a handler holds the turn while it waits; a warning names it
    handler_seconds: float | None = _bound(None)  # of a handler, hook or timer of a room; beyond: cancelled, `timeout`
    turn_seconds: float = _required(5)  # a handler's wait for another room's turn; beyond: `busy`
    rooms_per_client: int | None = _bound(100)  # in addition to the global room; beyond: `too-many`
    rooms: int | None = _bound(10_000)  # in all, without the global room; beyond: a join that makes one gets `too-many`
    rooms_per_creator: int | None = _bound(100)  # living rooms made by one user, else address; beyond: `too-many`
    members_per_room: int | None = _bound(None)  # for rooms whose class sets no capacity; beyond: `room-full`

    # over all connections of one user, otherwise of one address; also after they have ended
    accounts: int = _required(100_000)  # users and addresses that are remembered; beyond: the least active are not
    account_bursts: float | None = _bound(20)  # so many new clients of one begin with full bursts; others with a tenth
    account_joins_per_second: float | None = _bound(20)  # beyond: `rate-limited`
    account_joins_burst: float = _required(500)  # an office of 100 that comes back joins this much at once
    http_requests_per_second: float | None = _bound(100)  # of one address, upgrades too; beyond: 429, then no answer
    http_requests_burst: float = _required(2_000)  # pages load many files, each over a connection of its own
    connects_per_second: float | None = _bound(10)  # WebSockets and renewals of one address; beyond: 429
    connects_burst: float = _required(200)  # twice `connections_per_address`, so that all can come back at once
    failed_logins_per_second: float | None = _bound(1)  # of one address; beyond: 429, and `authenticate` is not called
    failed_logins_burst: float = _required(100)  # the credentials of a whole office may have expired
    wrong_codes_per_second: float | None = _bound(0.2)  # of private rooms; beyond: `rate-limited`, right ones, too
    wrong_codes_burst: float = _required(50)  # a school in which everybody mistypes the code of the day

    # the port
    connections: int | None = _bound(10_000)  # beyond: 503
    connections_per_address: int | None = _bound(100)  # beyond: 429
    static_bytes: int | None = _bound(67_108_864)  # of all static files together, which are held in memory

    def __attrs_post_init__(self) -> None:
        """Refuse bounds that contradict each other."""
        ping, silence = self.ping_seconds, self.silence_seconds
        if ping is not None and silence is not None and ping >= silence:
            raise ValueError(
                f"Limits.ping_seconds is {ping:g}, and must be below silence_seconds, which is {silence:g}: else"
                " a silent client is closed before it is sent a Ping"
            )
        if self.fragments_per_second is not None and (self.fragments or 0) > self.fragments_burst:
            raise ValueError(
                f"Limits.fragments_burst is {self.fragments_burst:g}, and must not be below fragments, which is"
                f" {self.fragments}: else a message of so many fragments closes its client"
            )
        for name in (field.name for field in attrs.fields(Limits) if field.name.endswith("_burst")):
            if getattr(self, name) < 1:
                raise ValueError(f"Limits.{name} is {getattr(self, name):g}: give 1 or more, else nothing passes")

    def memory_bound(self) -> float:
        """Return how many bytes clients can make a server hold under these limits; `math.inf` if there is no bound.

        It is the sum, times 1.25 for the allocator, of what can be held at most by:

        - twice `connections`: TLS, `head_bytes`, and what came after the head
        - each of `connections`: its objects, three times `message_bytes` and two reads, `intake_bytes`, its joins,
          its inbox in the global room, and `tasks_per_client` handlers with a message each
        - each of `rooms`: its objects, `join_bytes`, `inbox_bytes` and `inbox_messages` of 4 KiB, the message that
          runs and what the room has just said; and its members, up to `rooms_per_client` for each connection
        - `outboxes_bytes`, `accounts`, `static_bytes`

        All of this at once takes an attacker with as many addresses as the limits demand. It is infinite if one of
        `message_bytes`, `connections`, `rooms`, `tasks_per_client`, `outboxes_bytes` and `static_bytes` is None, or
        both of `inbox_messages` and `inbox_per_client`, or both of `intake_messages` and `intake_bytes`.

        Not counted: the interpreter with its modules (about 40 MiB), buffers of the kernel, and what the
        application keeps: `state`, bodies that its handlers have decoded, rooms that it opens itself.
        """
        return bound_of(self)
