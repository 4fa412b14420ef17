"""The proxies of the how-to page, with the settings that stand there: real programs, where they are installed.

`make proxies` installs them and runs these tests.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import trio
import trustme

from simplysocket import Client, Server

from ..harness.attack import until
from ..harness.attacker import Peer
from ..harness.documentation import PAGES, blocks
from ..harness.frames import close, head

HOST = "play.example.com"  # as on the page
CLIENT = "127.0.0.9"
START_SECONDS = 20  # in which a proxy must listen

(PAGE,) = [each for each in PAGES if each.name == "nginx.md"]


def settings(language: str, **replacements: str) -> str:
    """Return the page's block in this language, with the names and ports of this test."""
    (block,) = blocks(PAGE, language)
    text = block.code
    for old, new in replacements.items():
        assert re.search(old, text), old
        text = re.sub(old, new, text)
    return text


def nginx(folder: Path, port: int, behind: int) -> list[str]:
    text = settings(
        "nginx",
        **{
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "127.0.0.1:8080": f"127.0.0.1:{behind}",
            r"/etc/letsencrypt/live/play.example.com/fullchain.pem": str(folder / "chain.pem"),
            r"/etc/letsencrypt/live/play.example.com/privkey.pem": str(folder / "key.pem"),
        },
    )
    here = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(f"pid {folder}/pid; events {{}} http {{ access_log off; {here} {text} }}")
    return ["nginx", "-c", str(folder / "nginx.conf"), "-e", str(folder / "log"), "-g", "daemon off;"]


def haproxy(folder: Path, port: int, behind: int) -> list[str]:
    text = settings(
        "haproxy",
        **{
            "bind :443": f"bind 127.0.0.1:{port}",
            "/etc/haproxy/play.example.com.pem": str(folder / "all.pem"),
            "127.0.0.1:8080": f"127.0.0.1:{behind}",
        },
    )
    (folder / "haproxy.cfg").write_text(text)
    return ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]


def caddy(folder: Path, port: int, behind: int) -> list[str]:
    text = settings(
        "caddy",
        **{
            "play.example.com {": f"https://{HOST}:{port} {{\nbind 127.0.0.1\ntls {folder}/chain.pem {folder}/key.pem",
            "127.0.0.1:8080": f"127.0.0.1:{behind}",
        },
    )
    own = f"{{\n admin off\n auto_https disable_redirects\n storage file_system {folder}\n}}\n"
    (folder / "Caddyfile").write_text(own + text)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.asynccontextmanager
async def running(
    folder: Path, make: Callable[[Path, int, int], list[str]], behind: int
) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    """Run a proxy before the port `behind`; yield its port, and the context of a client that trusts it."""
    authority, context = trustme.CA(), ssl.create_default_context()
    authority.configure_trust(context)
    certificate = authority.issue_cert(HOST)
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "all.pem"))
    (folder / "chain.pem").write_bytes(b"".join(each.bytes() for each in certificate.cert_chain_pems))
    port = free_port()
    with started(make(folder, port, behind), folder) as process:
        with trio.fail_after(START_SECONDS):
            while True:
                try:
                    await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
                    break
                except OSError:
                    assert process.poll() is None, (folder / "output").read_text()
                    await trio.sleep(0.02)
        yield port, context


@contextlib.contextmanager
def started(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a folder during the block; then kill it with all that it has started."""
    environment, output = {**os.environ, "HOME": str(folder)}, (folder / "output").open("wb")
    with (
        output,
        subprocess.Popen(
            command, env=environment, cwd=folder, start_new_session=True, stdout=output, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                os.killpg(process.pid, signal.SIGKILL)


async def reach(port: int, context: ssl.SSLContext) -> trio.SSLStream[trio.SocketStream]:
    """Connect to the proxy as a browser does."""
    stream = await trio.open_tcp_stream("127.0.0.1", port, local_address=CLIENT)
    return trio.SSLStream(stream, context, server_hostname=HOST, https_compatible=True)


def upgrade(scheme: str) -> bytes:
    """Return the head that a page of the host sends; the client also claims another address, and to have no TLS."""
    lines = (f"Origin: {scheme}://{HOST}", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: http")
    return head("GET /ws HTTP/1.1", *lines, host=HOST)


async def connect(port: int, context: ssl.SSLContext) -> Peer:
    peer = Peer(await reach(port, context))
    await peer.shake_hands(upgrade("https"))
    return peer


async def answer_to_a_page_without_tls(port: int, context: ssl.SSLContext) -> bytes:
    stream = await reach(port, context)
    await stream.send_all(upgrade("http"))
    answer = await stream.receive_some(4_096)
    await trio.aclose_forcefully(stream)
    return answer


@pytest.mark.parametrize("make", [nginx, haproxy, caddy], ids=lambda make: make.__name__)
async def test_a_proxy_with_the_settings_of_the_page_carries_clients_with_their_addresses(
    make: Callable[[Path, int, int], list[str]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if shutil.which(make.__name__) is None:
        pytest.skip(f"{make.__name__} is not installed: `make proxies` installs it and runs this test")
    server = Server("game", trusted_proxies=["127.0.0.1", "::1"])

    @server.action("where-am-i")
    async def where(client: Client) -> str:
        return client.address

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(server.serve, "127.0.0.1", 0))
        with trio.fail_after(60):
            async with running(tmp_path, make, server.port) as (port, context):
                peer, other = await connect(port, context), await connect(port, context)
                assert (await peer.request("where-am-i", None))["message_body"] == CLIENT
                await other.send(close(1000))
                assert await other.end() == 1000
                (client,) = [each for each in server.clients.values() if each.address == CLIENT][:1]
                await client.close(4321, "enough")
                assert await peer.end() == 4321
                await until(lambda: not server.clients)
                await peer.close()
                await other.close()
                assert not [each for each in caplog.records if each.name != "simplysocket.loop"]  # of the machine
                assert (await answer_to_a_page_without_tls(port, context)).startswith(b"HTTP/1.1 403 ")
        nursery.cancel_scope.cancel()
