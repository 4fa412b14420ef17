"""The command line, as a user meets it: the real command in a process of its own."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import trustme

import simplysocket
from simplysocket.cli import explain

PACKAGES = str(Path(simplysocket.__file__).parents[1])
PATIENCE = 60.0  # seconds until a process that says nothing is killed, so that a test fails instead of hanging
CHAT = """
    from simplysocket import Client, Limits, Room, Server

    server = Server("chat", limits=Limits(close_seconds=600))

    @server.room("game-*")
    class Game(Room):
        capacity = 10

    @server.action("say")
    async def say(client: Client, body: dict[str, int]) -> None: ...

    class Of:
        inner = Server("inner")

    def make() -> Server:
        return Server("made")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a directory with a server in it."""
    write(tmp_path / "chat.py", CHAT)
    return tmp_path


def write(path: Path, text: str) -> None:
    """Write a file as an editor does, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(textwrap.dedent(text), "utf-8")
    new.replace(path)


class Command:
    """A running command and what it says on stderr."""

    def __init__(self, project: Path, arguments: Sequence[str], variables: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "simplysocket", *arguments],
            cwd=project,
            env=environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that its process group is signalled alone, as by a terminal
        )
        assert self.process.stderr is not None
        self.stderr = self.process.stderr

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read on to the line with the pattern in it."""
        said = []
        for line in self.stderr:
            said.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{pattern!r} was never said, but: {''.join(said)}")

    def wait_ended(self) -> tuple[int, str]:
        """Wait until no process holds its stderr any more; return the exit code and the rest it said."""
        rest = self.stderr.read()
        return self.process.wait(), rest

    def signal_group(self, number: int) -> None:
        os.killpg(self.process.pid, number)


def environment(variables: dict[str, str]) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SIMPLYSOCKET_")}
    return {**clean, "PYTHONPATH": PACKAGES, "NO_COLOR": "1", "COLUMNS": "120", **variables}


@contextlib.contextmanager
def running(project: Path, *arguments: str, **variables: str) -> Iterator[Command]:
    command = Command(project, arguments, variables)
    timer = threading.Timer(PATIENCE, command.signal_group, [signal.SIGKILL])
    timer.start()
    try:
        yield command
    finally:
        with contextlib.suppress(ProcessLookupError):
            command.signal_group(signal.SIGKILL)
        command.process.communicate()
        timer.cancel()


def run(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "simplysocket", *arguments],
        cwd=project,
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def health(url: str, context: ssl.SSLContext | None = None) -> bytes:
    with urllib.request.urlopen(f"{url}/health", context=context) as response:
        found: bytes = response.read()
    return found


LISTENS = r"(\w+) listens on (http://localhost:(\d+)) \(Ctrl\+C stops\)"


# --- run


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


@contextlib.contextmanager
def silent_client(command: Command) -> Iterator[None]:
    """Hold a WebSocket to the command's server that never answers a Close."""
    with socket.create_connection(("localhost", int(command.wait_for(LISTENS)[3]))) as connection:
        connection.sendall(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert connection.recv(12) == b"HTTP/1.1 101"
        yield


def test_a_second_signal_stops_at_once(project: Path) -> None:
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


# --- what is told to whom


LOADING = [
    ("chta:server", ["there is no module 'chta'", "do you mean 'chat'?"]),
    ("chat.server", ["there is no module 'chat.server'", "write chat:server"]),
    ("chta.py", ["there is no file 'chta.py'", "do you mean 'chat.py'?"]),
    ("chat.py:serve", ["'chat.py' has no 'serve'", "write chat.py:server"]),
    ("chat:Of.out", ["'chat' has no 'Of.out'"]),
    ("chat:say", ["'chat:say' is no Server but a function", "write chat:server"]),
    ("odd:number", ["'odd:number' is no Server but a int", "write server = Server("]),
    ("odd", ["'odd' names no Server", "write server = Server("]),
    ("odd:make_none", ["'odd:make_none' returned a NoneType", "it must return a Server"]),
    ("odd:make_async", ["'odd:make_async' is async"]),
    ("odd:make_error", ["'odd:make_error' failed:", "ValueError: oh no"]),
    ("two", ["'two' has 2 Servers", "write two:one or two:other"]),
    ("folder/queue.py", ["'folder/queue.py' has the name of another module", "rename the file"]),
    ("ending", ["'ending' ended the program", "exit code 3"]),
    ("syntax", ["'syntax' cannot be imported:", 'syntax.py", line 2', "SyntaxError"]),
    ("missing", ["'missing' cannot be imported:", 'missing.py", line 1', "No module named 'nowhere'"]),
    ("a b", ["'a b' is no name of a module"]),
    ("folder/chat:server", ["'folder/chat' is no name of a module", "write folder/chat.py:server"]),
    (":server", ["':server' names no module"]),
]


def test_what_is_wrong_with_a_name_is_said_in_a_few_lines(project: Path) -> None:
    write(
        project / "odd.py",
        """
        number = 1
        def make_none(): ...
        async def make_async(): ...
        def make_error(): raise ValueError("oh no")
        """,
    )
    write(project / "two.py", "from simplysocket import Server\none = Server()\nother = Server()\nagain = one")
    write(project / "folder" / "queue.py", "")
    write(project / "ending.py", "raise SystemExit(3)")
    write(project / "syntax.py", "\ndef x(:")
    write(project / "missing.py", "import nowhere")
    write(project / "folder" / "chat.py", "")
    for target, texts in LOADING:
        said = run(project, "run", target, "--port", "0")
        assert said.returncode == 1, target
        assert all(text in said.stderr for text in texts), said.stderr
        assert "Traceback" not in said.stderr
        assert said.stderr.count("\n") <= 6, said.stderr


def test_an_error_at_import_shows_the_users_own_frames_only(project: Path) -> None:
    write(project / "mine.py", "import json\ndef read():\n    return json.loads('{')\n")
    write(project / "broken.py", "import mine\n\nmine.read()\n")
    said = run(project, "run", "broken")
    assert said.returncode == 1
    assert re.findall(r'File ".*?(\w+\.py)", line (\d+)', said.stderr) == [("broken.py", "3"), ("mine.py", "3")]
    assert "JSONDecodeError: Expecting property name" in said.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--port", "http"], 'Invalid value for --port: unable to convert "http"'),
        (["--prot", "1"], "Unknown option: --prot. Did you mean --port?"),
        (["--certfile", "no.pem"], "--certfile: there is no file 'no.pem'"),
        (["--certfile", "chat.py"], "no certificate with its key"),
        (["--keyfile", "no.pem"], "--keyfile alone is no use: give the certificate with --certfile"),
        (["--certfile", "chat.py", "--unix", "x"], "--certfile is for a TCP port"),
        (["--unix", "nowhere/x"], "cannot listen on --unix 'nowhere/x': No such file"),
        (["--unix", "chat.py"], "'chat.py' exists and is no socket"),
        (["--host", "192.0.2.1"], "'192.0.2.1' is no address of this machine"),
        (["--host", "a..b"], "the host 'a..b' is not known"),
        (["--host", "no.such.host.invalid"], "the host 'no.such.host.invalid' is not known"),
        (["--app-dir", "nowhere"], "--app-dir: there is no directory 'nowhere'"),
        (["--reload", "--reload-dir", "nowhere"], "--reload-dir: there is no directory 'nowhere'"),
    ],
)
def test_a_bad_option_is_named(project: Path, arguments: list[str], text: str) -> None:
    said = run(project, "run", "chat:server", *arguments)
    assert said.returncode == 2
    assert text in said.stderr
    assert said.stderr.count("\n") <= 2, said.stderr


@pytest.mark.parametrize("reload", [[], ["--reload"]])
def test_a_port_in_use_is_named(project: Path, reload: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = run(project, "run", "chat:server", "--host", "127.0.0.1", "--port", port, *reload)
    assert said.returncode == 2
    assert f"port {port} of 127.0.0.1 is in use" in said.stderr
    assert "--port; 0 is a free one" in said.stderr
    assert said.stderr.count("\n") == 1


def test_a_privileged_port_is_named() -> None:
    assert explain(PermissionError(13, "Permission denied"), "localhost", 80, None) == (
        "port 80 is for privileged programs: take one from 1024 on, such as --port 8080"
    )


@pytest.mark.parametrize("name", ["cyclopts", "watchfiles"])
def test_without_its_extra_it_says_what_to_install(project: Path, name: str) -> None:
    write(project / f"{name}.py", f"raise ModuleNotFoundError('no', name='{name}')")
    said = run(project, "run", "chat:server")
    assert said.returncode == 2
    assert said.stderr == f"simplysocket: the command line needs {name}: pip install 'simplysocket[cli]'\n"


def test_the_help_names_commands_options_and_variables(project: Path) -> None:
    assert run(project, "--version").stdout == f"{simplysocket.__version__}\n"
    for arguments in (["--help"], []):
        assert re.search(r"check .*\n.*run ", run(project, *arguments).stdout)
    text = run(project, "run", "--help").stdout
    for name in ("HOST", "PORT", "UNIX", "LOG_LEVEL", "LOG_JSON", "RELOAD", "GRACE", "CERTFILE", "KEYFILE"):
        assert f"--{name.lower().replace('_', '-')}" in text
        assert f"SIMPLYSOCKET_{name}" in text
    assert "--strict" in run(project, "check", "--help").stdout


# --- --reload


def reloading(project: Path, *arguments: str) -> contextlib.AbstractContextManager[Command]:
    return running(project, "run", "chat:server", "--port", "0", "--reload", *arguments)


def rename(project: Path, name: str) -> None:
    write(project / "chat.py", f"from simplysocket import Server\nserver = Server('{name}')")


def test_a_changed_file_starts_the_server_anew(project: Path) -> None:
    (project / "static").mkdir()
    with reloading(project) as command:
        assert command.wait_for(LISTENS)[1] == "chat"
        for name in ("one1", "two2"):  # of the same size, in the same second
            rename(project, name)
            command.wait_for(r"changed: \['chat.py'\]: restarting")
            found = command.wait_for(LISTENS)
            assert found[1] == name
            assert health(found[2])
        write(project / "static" / "page.html", "<p>hello")
        command.wait_for(r"changed: \['page.html'\]: restarting")
        command.wait_for(LISTENS)
        command.signal_group(signal.SIGINT)
        code, rest = command.wait_ended()
        assert code == 0
        assert "Traceback" not in rest


def test_a_file_that_servers_write_restarts_nothing(project: Path) -> None:
    with reloading(project) as command:
        command.wait_for(LISTENS)
        for name in ("scores.json", "chat.db", ".venv/lib.py"):
            write(project / name, "")
        rename(project, "next")
        assert command.wait_for("changed: (.*): restarting")[1] == "['chat.py']"


def test_a_server_that_fails_at_import_waits_for_the_next_change(project: Path) -> None:
    with reloading(project) as command:
        command.wait_for(LISTENS)
        write(project / "chat.py", "import nowhere")
        command.wait_for("'chat' cannot be imported")
        command.wait_for("No module named 'nowhere'")
        command.wait_for("the server has ended with 1: waiting for a change")
        rename(project, "mended")
        assert command.wait_for(LISTENS)[1] == "mended"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_supervisor_that_waits_for_a_change_ends_by_a_signal(project: Path, number: int) -> None:
    write(project / "chat.py", "import nowhere")
    with reloading(project) as command:
        command.wait_for("waiting for a change")
        command.signal_group(number)
        assert command.wait_ended()[0] == 0


def test_ctrl_c_drains_the_server_and_a_second_one_ends_it_at_once(project: Path) -> None:
    with reloading(project, "--grace", "600") as command, silent_client(command):
        command.signal_group(signal.SIGINT)  # to the whole group, as a terminal does: only one of them may count
        command.wait_for("stopping, within 600 seconds")
        assert command.process.poll() is None
        command.signal_group(signal.SIGINT)
        assert command.wait_ended()[0] == 0


def test_a_reloading_server_leaves_ctrl_c_to_its_supervisor(project: Path) -> None:
    with reloading(project) as command:
        url = command.wait_for(LISTENS)[2]
        command.process.send_signal(signal.SIGSTOP)
        command.signal_group(signal.SIGINT)  # only the server can take it now
        for _ in range(3):  # a server that stops would answer the first of them at most
            assert health(url)
        command.process.send_signal(signal.SIGCONT)
        code, rest = command.wait_ended()
        assert code == 0
        assert "stopping, within 3 seconds" in rest
        assert "at once\n" not in rest


def test_no_server_is_left_when_its_supervisor_is_killed(project: Path) -> None:
    with reloading(project) as command:
        command.wait_for(LISTENS)
        command.process.kill()
        code, rest = command.wait_ended()  # the server held stderr, too
        assert code == -signal.SIGKILL
        assert "stopping, within 3 seconds" in rest


def test_a_server_that_does_not_stop_is_killed(project: Path) -> None:
    write(
        project / "chat.py",
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("stuck", file=sys.stderr, flush=True)
        while True:
            time.sleep(1)
        """,
    )
    with reloading(project, "--grace", "0") as command:
        command.wait_for("stuck")
        rename(project, "free")
        command.wait_for("did not stop within 0 seconds and is killed")
        assert command.wait_for(LISTENS)[1] == "free"


# --- check


SAFE = """
    from simplysocket import Room, Server

    server = Server("safe")

    @server.authenticate
    async def authenticate(request): ...

    @server.room("game-*")
    class Game(Room): ...
"""


def test_check_shows_what_a_server_is_made_of(project: Path) -> None:
    said = run(project, "check", "chat:server")
    assert said.returncode == 0, said.stderr
    rows = [line.split() for line in said.stdout.splitlines()]
    assert ["say", "any", "room", "dict[str,", "int]", "yes", "no", "chat.py:10"] in rows
    assert ["game-*", "Game", "10", "the", "server's", "yes", "no", "0", "s"] in rows
    assert ["close_seconds", "600", "2"] in rows
    assert ["ping_seconds", "25", "25"] not in rows
    assert "authenticate: anyone may connect" in said.stdout
    assert ["ping_seconds", "25", "25"] in [
        line.split() for line in run(project, "check", "chat:server", "--all").stdout.splitlines()
    ]


def test_a_strict_check_fails_on_warnings_only(project: Path) -> None:
    write(project / "safe.py", SAFE)
    assert run(project, "check", "chat:server", "--strict").returncode == 1
    said = run(project, "check", "safe", "--strict")
    assert said.returncode == 0, said.stderr
    assert "No warnings" in said.stdout


def test_check_writes_json_for_machines(project: Path) -> None:
    said = run(project, "check", "chat:server", "--json", "--strict")
    assert said.returncode == 1
    found = json.loads(said.stdout)
    assert found["name"] == "chat"
    assert found["limits"]["close_seconds"] == 600
    assert [action["name"] for action in found["actions"]] == ["say"]
    assert "authenticate" in [warning["setting"] for warning in found["warnings"]]
