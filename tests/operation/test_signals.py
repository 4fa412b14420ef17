"""How signals end `simplysocket run`, also as process 1: the first one drains, unless it does not listen yet."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from ..harness.command import LISTENS, PATIENCE, Command, environment, health, running, silent_client, write

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
SLOW = """
    import sys, time
    print("importing", file=sys.stderr, flush=True)
    {slowly}
    from simplysocket import Server
    server = Server("slow")
"""
STAND_IN = """
    import sys, time
    print("importing", file=sys.stderr, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", ENDING)
def test_it_serves_until_a_signal_and_a_drained_end_is_0(project: Path, number: int) -> None:
    with running(project, "run", "chat:server", "--port", "0") as command:
        found = command.wait_for(LISTENS)
        assert health(found[2]) == b'{"status":"ok"}'
        command.signal_group(number)
        code, rest = command.wait_ended()
        assert code == 0
        assert "stopping, within 30 seconds" in rest


@pytest.mark.parametrize("number", ENDING)
def test_a_second_signal_ends_the_command_at_once(project: Path, number: int) -> None:
    with running(project, "run", "chat:server", "--port", "0", "--grace", "inf") as command, silent_client(command):
        command.signal_group(signal.SIGTERM)
        command.wait_for("stopping, within inf seconds")
        command.signal_group(number)
        code, rest = command.wait_ended()
        assert code == 128 + number
        assert "stopping at once" in rest


def test_the_grace_bounds_a_stop(project: Path) -> None:
    with running(project, "run", "chat:server", "--port", "0", "--grace", "0") as command, silent_client(command):
        command.signal_group(signal.SIGTERM)
        code, rest = command.wait_ended()
        assert code == 128 + signal.SIGTERM
        assert "not all was done within 0 seconds" in rest


def test_the_grace_also_bounds_what_comes_after_the_server(project: Path) -> None:
    write(
        project / "lingering.py",
        """
        import threading, time
        from simplysocket import Server
        server = Server("lingering")
        threading.Thread(target=time.sleep, args=(600,)).start()
        """,
    )
    with running(project, "run", "lingering", "--port", "0", "--grace", "0.5") as command:
        command.wait_for(LISTENS)
        command.signal_group(signal.SIGTERM)
        assert command.wait_ended()[0] == 128 + signal.SIGTERM


def test_what_ignores_the_end_of_a_terminal_goes_on_with_that(project: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        command = Command(project, ["run", "chat:server", "--port", "0"], {})
    finally:
        signal.signal(signal.SIGHUP, before)
    with ending(command):
        url = command.wait_for(LISTENS)[2]
        command.signal_group(signal.SIGHUP)
        assert health(url)
        command.signal_group(signal.SIGTERM)
        assert command.wait_ended()[0] == 0


# --- before it listens


@contextlib.contextmanager
def ending(command: Command) -> Iterator[None]:
    """Kill a command after the block."""
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            command.signal_group(signal.SIGKILL)
        command.process.communicate()


@pytest.mark.parametrize("slowly", ["time.sleep(600)", "while True: pass"])
@pytest.mark.parametrize("number", ENDING)
def test_a_signal_during_the_import_of_the_server_ends_it(project: Path, number: int, slowly: str) -> None:
    write(project / "slow.py", SLOW.format(slowly=slowly))
    with running(project, "run", "slow", "--port", "0") as command:
        command.wait_for("importing")
        command.signal_group(number)
        code, rest = command.wait_ended()
        assert (code, rest) == (128 + number, "")


def test_a_signal_during_the_import_of_the_server_ends_check_too(project: Path) -> None:
    write(project / "slow.py", SLOW.format(slowly="time.sleep(600)"))
    with running(project, "check", "slow") as command:
        command.wait_for("importing")
        command.signal_group(signal.SIGTERM)
        assert command.wait_ended() == (128 + signal.SIGTERM, "")


@pytest.mark.parametrize("way", ["module", "script"])
def test_the_signals_are_taken_before_the_package_is_imported(project: Path, way: str) -> None:
    write(project / "trio.py", STAND_IN)  # what the package imports, and long before the command line runs
    script = project / "simplysocket"
    script.write_text("import sys\nfrom simplysocket.__main__ import main\nsys.exit(main())\n")
    arguments = ["-m", "simplysocket"] if way == "module" else [str(script)]
    process = subprocess.Popen(
        [sys.executable, *arguments, "run", "chat"],
        cwd=project,
        env=environment({"PYTHONPATH": f"{project}{os.pathsep}{environment({})['PYTHONPATH']}"}),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == "importing\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 128 + signal.SIGTERM  # -SIGTERM by default
    finally:
        process.kill()
        process.communicate()


def test_a_program_that_imports_the_package_keeps_its_signals() -> None:
    script = "import signal, simplysocket; print(signal.getsignal(signal.SIGTERM).name)"
    done = subprocess.run([sys.executable, "-c", script], env=environment({}), stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"SIG_DFL\n"


# --- as process 1, which the kernel protects from signals that it does not take


@cache
def has_namespaces() -> bool:
    try:
        return subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def as_process_1(project: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Run the command as process 1 of a namespace during the block; return `unshare`, and its process id here."""
    if not has_namespaces():
        pytest.skip("a namespace of processes needs `unshare --pid --fork`, and the right to make one")
    unshare = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-m", "simplysocket", *arguments],
        cwd=project,
        env=environment({}),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert unshare.stderr is not None
        unshare.stderr.readline()  # it runs
        yield unshare, int(Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text())
    finally:
        unshare.kill()
        unshare.communicate()


@pytest.mark.parametrize("number", ENDING)
def test_process_1_ends_by_a_signal_during_the_import(project: Path, number: int) -> None:
    write(project / "slow.py", SLOW.format(slowly="time.sleep(600)"))
    with as_process_1(project, "run", "slow", "--port", "0") as (unshare, process_id):
        os.kill(process_id, number)
        assert unshare.wait(PATIENCE) == 128 + number


def test_process_1_drains(project: Path) -> None:
    with as_process_1(project, "run", "chat", "--port", "0") as (unshare, process_id):
        os.kill(process_id, signal.SIGTERM)
        assert unshare.wait(PATIENCE) == 0
