"""`simplysocket run`: how a server is found, where it listens, and how it stops."""

import contextlib
import http.client
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from ..harness.command import LISTENS, PATIENCE, environment, health, run, running, write


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("chat", "chat"),
        ("chat.py", "chat"),
        ("./chat.py:server", "chat"),
        ("chat:Of.inner", "inner"),
        ("chat:make", "made"),
        ("package.deep.app:server", "deep"),
        ("package/deep/app.py", "deep"),
        ("elsewhere/app.py", "elsewhere"),
    ],
)
def test_a_server_is_found_in_every_way_it_is_named(project: Path, target: str, name: str) -> None:
    write(project / "package" / "__init__.py", "")
    write(project / "package" / "deep" / "__init__.py", "")
    write(project / "package" / "deep" / "name.py", "NAME = 'deep'")
    write(
        project / "package" / "deep" / "app.py",
        "from simplysocket import Server\nfrom .name import NAME\nserver = Server(NAME)",
    )
    write(project / "elsewhere" / "beside.py", "NAME = 'elsewhere'")
    write(
        project / "elsewhere" / "app.py",
        "from simplysocket import Server\nfrom beside import NAME\nserver = Server(NAME)",
    )
    with running(project, "run", target, "--port", "0") as command:
        assert command.wait_for(LISTENS)[1] == name


def test_modules_are_found_in_the_app_dir(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(tmp_path_factory.mktemp("other"), "run", "chat", "--port", "0", "--app-dir", str(project)) as command:
        command.wait_for(LISTENS)


def test_it_serves_on_a_unix_socket_alone(project: Path) -> None:
    with running(project, "run", "chat:server", "--unix", "chat.socket") as command:
        command.wait_for(r"chat listens on unix:chat.socket \(")
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(project / "chat.socket"))
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        connection.close()
        command.signal_group(signal.SIGINT)
        assert command.wait_ended()[0] == 0
    assert not (project / "chat.socket").exists()


def test_it_serves_on_both(project: Path) -> None:
    with running(project, "run", "chat:server", "--unix", "chat.socket", "--port", "0") as command:
        command.wait_for(r"chat listens on http://localhost:\d+ and unix:chat.socket \(")


def test_the_address_of_all_is_ipv4_too(project: Path) -> None:
    with running(project, "run", "chat", "--host", "::", "--port", "0") as command:
        port = command.wait_for(r"listens on http://\[::\]:(\d+) ")[1]
        for address in ("127.0.0.1", "[::1]"):
            assert health(f"http://{address}:{port}")


def test_it_speaks_tls(project: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_pem.write_to_path(str(project / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(project / "chain.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    options = ("--port", "0", "--certfile", "chain.pem", "--keyfile", "key.pem")
    with running(project, "run", "chat:server", *options) as command:
        found = command.wait_for(r"listens on (https://localhost:\d+)")
        assert health(found[1], context) == b'{"status":"ok"}'


def test_a_flag_wins_over_the_environment_and_that_over_the_default(project: Path) -> None:
    variables = {"SIMPLYSOCKET_PORT": "0", "SIMPLYSOCKET_LOG_JSON": "1", "SIMPLYSOCKET_LOG_LEVEL": "INFO"}
    with running(project, "run", "chat:server", **variables) as command:
        line = json.loads(command.wait_for(r"^{.*}$")[0])
        assert re.search(LISTENS, line["message"])
        assert line["level"] == "info"
    with running(project, "run", "chat:server", "--no-log-json", **variables) as command:
        assert command.wait_for(LISTENS).string.startswith("20")


def test_an_empty_variable_is_one_that_is_not_set(project: Path) -> None:
    with running(project, "run", "chat:server", "--port=0", SIMPLYSOCKET_HOST="", SIMPLYSOCKET_RELOAD="") as command:
        command.wait_for(LISTENS)


@pytest.mark.parametrize("link", ["tcp://10.96.0.17:8080", "udp://[fd00::1]:53"])
def test_the_address_of_a_service_that_is_called_simplysocket_is_no_port(project: Path, link: str) -> None:
    with running(project, "run", "chat", "--unix", "chat.socket", SIMPLYSOCKET_PORT=link) as command:
        assert link in command.wait_for("SIMPLYSOCKET_PORT=.* is ignored")[0]
        command.wait_for(r"listens on unix:chat.socket \(")
    with running(project, "run", "chat", "--port", "0", SIMPLYSOCKET_PORT=link) as command:
        assert "ignored" not in command.wait_for(LISTENS).string


@pytest.mark.parametrize("stderr", ["full", "closed", "broken"])
@pytest.mark.parametrize("log", [[], ["--log-json"]])
def test_it_serves_where_nothing_can_be_written_to_stderr(project: Path, stderr: str, log: list[str]) -> None:
    with serving_without_stderr(project, stderr, "-m", "simplysocket", "run", "chat", "--unix", "socket", *log) as end:
        assert end() == 0


@pytest.mark.parametrize("stderr", ["full", "closed", "broken"])
def test_a_program_serves_where_nothing_can_be_written_to_stderr(project: Path, stderr: str) -> None:
    write(project / "program.py", "from chat import server\nserver.run(port=None, unix='socket')")
    with serving_without_stderr(project, stderr, "program.py") as end:
        assert end() == 0


@contextlib.contextmanager
def serving_without_stderr(project: Path, stderr: str, *arguments: str) -> Iterator[Callable[[], int]]:
    """Run a server on the Unix socket `socket` during the block; the function stops it and returns its exit code."""
    redirection = {"full": "2>/dev/full", "closed": "2>&-", "broken": "2> >(exit)"}[stderr]
    process = subprocess.Popen(
        ["bash", "-c", f'exec "$@" {redirection}', "-", sys.executable, "-W", "error", *arguments],
        cwd=project,
        env=environment({}),
    )

    def end() -> int:
        process.send_signal(signal.SIGTERM)
        return process.wait(PATIENCE)

    try:
        for _ in range(int(PATIENCE / 0.05)):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(project / "socket"))
                connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                assert connection.recv(15) == b"HTTP/1.1 200 OK"  # a signal before it serves would end it at once
                break
            assert process.poll() is None
            time.sleep(0.05)
        yield end
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIMPLYSOCKET_PORT", "http"),
        ("SIMPLYSOCKET_PORT", "http://10.96.0.17:8080"),
        ("SIMPLYSOCKET_PORT", "65536"),
        ("SIMPLYSOCKET_LOG_LEVEL", "loud"),
        ("SIMPLYSOCKET_LOG_JSON", "perhaps"),
        ("SIMPLYSOCKET_GRACE", "-1"),
        ("SIMPLYSOCKET_GRACE", "nan"),
    ],
)
def test_a_bad_variable_is_named(project: Path, name: str, value: str) -> None:
    said = run(project, "run", "chat:server", **{name: value})
    assert said.returncode == 2
    assert name in said.stderr
    assert said.stderr.count("\n") == 2
