"""`simplysocket run`: how a server is found, where it listens, and how it stops."""

import http.client
import json
import re
import signal
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from ..harness.command import LISTENS, health, run, running, silent_client, write


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal(project: Path, number: int) -> None:
    with running(project, "run", "chat:server", "--port", "0") as command:
        found = command.wait_for(LISTENS)
        assert health(found[2]) == b'{"status":"ok"}'
        command.signal_group(number)
        assert command.wait_ended()[0] == 0


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


def test_a_second_signal_ends_the_command_at_once(project: Path) -> None:
    with running(project, "run", "chat:server", "--port", "0", "--grace", "600") as command, silent_client(command):
        command.signal_group(signal.SIGINT)
        command.wait_for("stopping, within 600 seconds")
        command.signal_group(signal.SIGINT)
        assert command.wait_ended()[0] == 0


def test_the_grace_bounds_a_stop(project: Path) -> None:
    with running(project, "run", "chat:server", "--port", "0", "--grace", "0") as command, silent_client(command):
        command.signal_group(signal.SIGTERM)
        assert command.wait_ended()[0] == 0


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIMPLYSOCKET_PORT", "http"),
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
