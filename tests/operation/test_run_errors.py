"""What the command line says when it cannot run a server, and its help."""

import re
import socket
from pathlib import Path

import pytest

import simplysocket
from simplysocket._operation.startup_check import explain

from ..harness.command import run, write

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
