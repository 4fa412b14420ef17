"""`simplysocket run --reload`: restarts, signals, and servers that fail or hang."""

import contextlib
import signal
from pathlib import Path

import pytest

from simplysocket._operation.reload import Supervisor

from ..harness.command import LISTENS, Command, health, running, silent_client, write
from ..harness.leaks import open_descriptors


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
        assert command.wait_ended()[0] == 128 + signal.SIGINT


def test_the_end_of_the_terminal_drains_the_server(project: Path) -> None:
    with reloading(project) as command:
        command.wait_for(LISTENS)
        command.signal_group(signal.SIGHUP)
        code, rest = command.wait_ended()
        assert code == 0
        assert "stopping, within 3 seconds" in rest
        assert "at once\n" not in rest


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


async def test_a_server_process_that_cannot_start_leaves_no_pipe_open(tmp_path: Path) -> None:
    supervisor = Supervisor([str(tmp_path / "missing")], [tmp_path], grace=1)
    before = open_descriptors()
    with pytest.raises(FileNotFoundError):
        await supervisor._run_child()
    assert open_descriptors() == before
