"""A stream that is read at a bounded speed, like that of a client on a slow network."""

import trio


class Paced(trio.abc.Stream):
    """A stream of which at most `bytes_per_second` are read. Writing is not slowed down."""

    def __init__(self, stream: trio.abc.Stream, bytes_per_second: int) -> None:
        self._stream = stream
        self._bytes_per_second = bytes_per_second

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        received = bytes(await self._stream.receive_some(max(1, self._bytes_per_second // 20)))
        await trio.sleep(len(received) / self._bytes_per_second)
        return received

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()
