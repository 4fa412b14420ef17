"""TLS records: how many of them are decrypted at a time, and how many may hold no data.

Laws:
- OpenSSL is given a few records a call, so that what it does with them is a bounded piece of work: it goes on by
  itself after a record without data, and to change the keys (KeyUpdate, 27 bytes) takes 80 us.
- Whoever goes on after records without data shares the budget of the pass, and has a rate; beyond it the connection
  ends. A client changes its keys once in millions of records.
- Nothing is lost or reordered. Nothing is decrypted here.
"""

from typing import Final

import trio

from .._pass_budget import Line, PassBudget
from .._token_bucket import TokenBucket

_RECORDS_A_CALL: Final = 4
_HEADER_BYTES: Final = 5  # RFC 8446, 5.1: the type, the version and, in two bytes, the length of what follows
_SPARE_BURST: Final = 100  # records without data
_SPARE_PER_SECOND: Final = 1.0


class TLSRecords(trio.abc.Stream):
    """The stream below an SSLStream."""

    __slots__ = ("_budget", "_given", "_left", "_rest", "_spare", "stays_open", "stream")

    def __init__(self, stream: trio.abc.Stream, budget: PassBudget) -> None:
        self.stream = stream  # that of the records, without TLS
        self.stays_open = False  # True: TLS ends, and what is below it does not
        self._budget = budget
        self._rest = b""  # received and not given yet
        self._left = 0  # bytes of the record that was given last, which are still to come
        self._given: int | None = None  # whole records since `expect_data`; None during the handshake
        self._spare = TokenBucket(_SPARE_PER_SECOND, _SPARE_BURST, trio.current_time())

    def expect_data(self) -> None:
        """Note that data is read from here on: whatever was given before has led to some, or to the handshake."""
        self._given = 0

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._given:  # they held no data
            if not self._spare.take(self._given, trio.current_time()):
                raise trio.BrokenResourceError("too many TLS records without data")
            self._given = 0
            await self._budget.share(Line.READING)
        if self._rest:
            await trio.lowlevel.checkpoint()
        while not (piece := self._next_piece()):
            received = await self.stream.receive_some(max_bytes)
            if not received:
                piece, self._rest = self._rest, b""
                return piece  # the end, perhaps in the middle of a header
            self._rest += received
        return piece

    def _next_piece(self) -> bytes:
        """Return the next records, or the part of one that is there; b"" if there is not even a whole header."""
        data, end, records = self._rest, self._left, 0
        if end and end <= len(data):
            records = 1  # it is whole now
        while records < _RECORDS_A_CALL and len(data) - end >= _HEADER_BYTES:
            end += _HEADER_BYTES + int.from_bytes(data[end + 3 : end + _HEADER_BYTES], "big")
            records += end <= len(data)
        self._left = max(0, end - len(data))
        self._rest = data[end:]
        if self._given is not None:
            self._given += records
        return data[:end]

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        if self.stays_open:
            await trio.lowlevel.checkpoint()
        else:
            await self.stream.aclose()
