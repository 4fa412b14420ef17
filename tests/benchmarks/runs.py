"""One run: a fresh server process under one load, and the figures that come out of it.

Laws:
- Every process ends with the run it was started for, also after an error, Ctrl+C or SIGTERM.
- A server imports the package that its program names and no other: it reports which one it imported.
- The server has one core and the load generator another.
"""

import json
import os
import platform
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

import attrs

from tests.benchmarks.arrivals import Arrivals
from tests.benchmarks.come_back import ComeBack
from tests.benchmarks.load import Load, waited_share

ROOT = Path(__file__).resolve().parents[2]
SERVER_CORE, GENERATOR_CORE = 0, 1  # places in the list of cores this process may use
WARM_UP_SECONDS = 0.5
START_SECONDS = 60.0  # for a server to listen or the idle clients to be connected; only what hangs takes as long
FINISH_SECONDS = 60.0  # for a load to connect, join and collect the last messages, beyond the time it measures
BUSY_GENERATOR = 0.95  # of its core: from here on the server might have done more
IDLE_CLIENTS = 5_000
SETTLE_SECONDS = 2.0  # before memory is read: what the handshakes needed has been given back
SPARE_FILES = 200  # open files beyond one for each client
INTERRUPTED = 130  # exit code after Ctrl+C, as of a shell


@attrs.frozen
class ServerProgram:
    """A server to put under load: a module of tests.benchmarks, and where it finds simplysocket."""

    name: str  # in the output
    module: str
    options: tuple[str, ...] = ()  # of its command line
    packages: Path = ROOT  # the folder with the `simplysocket` that it must import


@attrs.frozen
class RunningServer:
    """A server that listens on a port of 127.0.0.1."""

    process: subprocess.Popen[str]
    port: str
    package: str  # `simplysocket.__file__` as the server sees it; empty if it does not use it


@contextmanager
def module(name: str, *options: str, core: int, packages: Path = ROOT) -> Iterator[subprocess.Popen[str]]:
    """Run a module of this package as a process on a core of its own; it ends with the block.

    Python does not put the working directory first on its path (PYTHONSAFEPATH), so that the `simplysocket`
    in `packages` wins over that of the working tree, and both win over the installed one. In a process group of its
    own it is spared the terminal's Ctrl+C: it is stopped here.
    """
    command = [sys.executable, "-m", f"tests.benchmarks.{name}", *options]
    path = [str(packages), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path), "PYTHONSAFEPATH": "1"}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            cores = sorted(os.sched_getaffinity(0))
            if len(cores) > 1:
                os.sched_setaffinity(process.pid, {cores[core]})
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    """Return what a process says first: a server its port, the idle clients that they are connected."""
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
    finally:
        watchdog.cancel()
    if not line:
        raise SystemExit(f"{process.args!r} ended before it was ready: see its own message above")
    return line.strip()


@contextmanager
def running(program: ServerProgram) -> Iterator[RunningServer]:
    """Run a fresh server until the block ends; refuse one that imported another package than its program names."""
    with module(program.module, *program.options, core=SERVER_CORE, packages=program.packages) as process:
        port, _, package = first_line(process).partition(" ")
        if package and not Path(package).resolve().is_relative_to(program.packages / "simplysocket"):
            raise SystemExit(f"the {program.name} server imported {package}, not the package in {program.packages}")
        yield RunningServer(process, port, package)


def measure(program: ServerProgram, load: Load | Arrivals | ComeBack, seconds: float) -> dict[str, float]:
    """Put one fresh server under one load, once."""
    options = [f"--{name.replace('_', '-')}={value}" for name, value in attrs.asdict(load).items()]
    options += [f"--seconds={seconds}", f"--warm-up={WARM_UP_SECONDS}"]
    with (
        running(program) as server,
        module(load.module, server.port, *options, core=GENERATOR_CORE) as generator,
    ):
        try:
            output, _ = generator.communicate(timeout=seconds + FINISH_SECONDS)
        except subprocess.TimeoutExpired:
            output = ""
        server_waited = waited_share(server.process.pid)
    if not output:
        raise SystemExit(f"the load on the {program.name} server came to no result: see its own message above")
    figures: dict[str, float] = json.loads(output) | {"server_waited": server_waited}
    if figures["errors"] or figures["closed"]:
        told = f"{figures['errors']} errors, {figures['closed']} closed. {figures['first_error']}"
        print(f"  {program.name}: {told}", flush=True)
    return figures


def missed(figures: dict[str, float]) -> int:
    """Return how many messages were lost in a run; one that came twice is no better than one that did not come."""
    return int(figures["lost"] + figures["doubled"])


def resident_bytes(process: subprocess.Popen[str]) -> int:
    """Return the resident memory of a process: the second figure of statm, in pages."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * resource.getpagesize()


def measure_memory(program: ServerProgram, clients: int, protocols: str = "") -> float:
    """Return the resident memory of a server for each idle client, in KiB."""
    options = f"--idle={clients}", f"--protocols={protocols}"
    with running(program) as server:
        before = resident_bytes(server.process)
        with module("load", server.port, *options, core=GENERATOR_CORE) as generator:
            first_line(generator)
            time.sleep(SETTLE_SECONDS)
            return (resident_bytes(server.process) - before) / clients / 1024


def idle_clients() -> int:
    """Raise the limit of open files for this process and its children; return how many idle clients it allows."""
    wanted = IDLE_CLIENTS + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return min(IDLE_CLIENTS, max(soft, limit) - SPARE_FILES)


def machine() -> str:
    """Say what the figures were taken on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    cores = len(os.sched_getaffinity(0))
    packages = ", ".join(f"{name} {version(name)}" for name in ("trio", "trio-websocket", "msgspec"))
    apart = "server and generator have one each" if cores > 1 else "SERVER AND GENERATOR SHARE IT: compare nothing"
    return f"{model}, {cores} cores ({apart}); Python {platform.python_version()}, {packages}"


def run_command(main: Callable[[], int]) -> NoReturn:
    """Run a command and exit; SIGTERM and SIGHUP end it as Ctrl+C does, together with what it started."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
