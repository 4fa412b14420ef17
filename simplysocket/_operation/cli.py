"""The command line: `simplysocket run` and `simplysocket check`.

Laws: a mistake of the user is explained in a few lines on stderr, with no frame of
this package in a traceback. Exit code 1: the server cannot be loaded, or `check
--strict` has warnings. Exit code 2: the command line, the environment or the
machine does not allow it.
"""

import logging
import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn

import attrs
import trio
from cyclopts import App, CycloptsError, Group, Parameter, Token, convert
from cyclopts.validators import Number

from .. import logs
from .._serving.signals import name_places, run_program
from .._stderr import tell
from .check_report import print_report, to_json
from .loader import LoadError, load
from .reload import UNUSABLE, Supervisor, heed, is_supervised, this_command
from .settings_check import unsafe_settings
from .startup_check import (
    DEFAULT_PORT,
    CannotRun,
    check_directories,
    explain,
    load_certificate,
)

logger = logging.getLogger("simplysocket.cli")

_PREFIX: Final = "SIMPLYSOCKET_"  # of every environment variable
_RELOAD_GRACE: Final = 3.0  # seconds; short, as a developer who saved a file waits for it

app = App(
    name="simplysocket",
    help="Run and check servers of real-time rooms.",
    help_format="plaintext",
    version_flags=["--version"],
)

_listening = Group("Where it listens", sort_key=1)
_running = Group("How it runs", sort_key=2)
_logging = Group("What it logs", sort_key=3)

ServerName = Annotated[
    str,
    Parameter(
        name="SERVER",
        help="module:server or path/to/file.py:server; the module alone if there is one Server in it; "
        "may also name a function that returns the Server.",
    ),
]
AppDir = Annotated[Path, Parameter(help="Directory that modules are imported from.")]


def _to_lower(kind: Any, tokens: Sequence[Token]) -> Any:  # Any: a type form, and a value of it
    """Convert a word as cyclopts does, ignoring its case."""
    return convert(kind, [attrs.evolve(token, value=token.value.lower()) for token in tokens])


def _to_port(kind: Any, tokens: Sequence[Token]) -> Any:  # Any: a type form, and a value of it
    """Convert a port as cyclopts does; None for a service link, which is no setting."""
    return None if tokens[0].source == "env" and _is_service_link(tokens[0].value) else convert(kind, tokens)


def _is_service_link(value: str) -> bool:
    """Tell whether Kubernetes or Docker has set SIMPLYSOCKET_PORT, for a service of that name: `tcp://10.0.0.1:80`."""
    return value.partition("://")[0] in ("tcp", "udp", "sctp")


@Parameter(name="*")
@attrs.frozen(kw_only=True)
class RunSettings:
    """The options of `run`. A flag wins over its environment variable, and that over the default."""

    host: Annotated[
        str,
        Parameter(
            group=_listening,
            env_var="SIMPLYSOCKET_HOST",
            help="Name or address to listen on; :: for all addresses of this machine, 0.0.0.0 for those of IPv4.",
        ),
    ] = "localhost"
    port: Annotated[
        int | None,
        Parameter(
            group=_listening,
            env_var="SIMPLYSOCKET_PORT",
            converter=_to_port,
            validator=Number(gte=0, lte=65_535),
            help=f"TCP port; 0 for a free one. [default: {DEFAULT_PORT}; no TCP port with --unix]",
        ),
    ] = None
    unix: Annotated[
        Path | None,
        Parameter(group=_listening, env_var="SIMPLYSOCKET_UNIX", help="Path of a Unix socket to listen on."),
    ] = None
    certfile: Annotated[
        Path | None,
        Parameter(
            group=_listening,
            env_var="SIMPLYSOCKET_CERTFILE",
            help="Certificate with its chain (PEM); with it the port speaks TLS.",
        ),
    ] = None
    keyfile: Annotated[
        Path | None,
        Parameter(
            group=_listening,
            env_var="SIMPLYSOCKET_KEYFILE",
            help="Private key of the certificate (PEM), if it is not in the same file.",
        ),
    ] = None
    grace: Annotated[
        float | None,
        Parameter(
            group=_running,
            env_var="SIMPLYSOCKET_GRACE",
            validator=Number(gte=0),
            help="Seconds for a graceful stop after SIGINT, SIGTERM or SIGHUP; a second signal stops at once. "
            f"[default: the server's Limits.drain_seconds; {_RELOAD_GRACE:g} with --reload]",
        ),
    ] = None
    reload: Annotated[
        bool,
        Parameter(
            group=_running,
            env_var="SIMPLYSOCKET_RELOAD",
            show_default=False,
            help="Restart when a .py or a static file has changed; for development.",
        ),
    ] = False
    reload_dir: Annotated[
        tuple[Path, ...],
        Parameter(
            group=_running,
            env_var="SIMPLYSOCKET_RELOAD_DIR",
            show_default=False,
            negative="",
            help="Directory to watch with --reload, in addition to --app-dir; may be given more than once.",
        ),
    ] = ()
    tune_gc: Annotated[
        bool,
        Parameter(
            group=_running,
            env_var="SIMPLYSOCKET_TUNE_GC",
            help="Let the garbage collector look at all objects very rarely: the server stands still meanwhile.",
        ),
    ] = True
    app_dir: Annotated[Path, Parameter(group=_running, help="Directory that modules are imported from.")] = Path()
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"],
        Parameter(
            group=_logging,
            converter=_to_lower,
            env_var="SIMPLYSOCKET_LOG_LEVEL",
            help="Show records of this level and above.",
        ),
    ] = "info"
    log_json: Annotated[
        bool,
        Parameter(
            group=_logging,
            env_var="SIMPLYSOCKET_LOG_JSON",
            show_default=False,
            help="Write one JSON object a line instead of text.",
        ),
    ] = False


_DEFAULTS: Final = RunSettings()


@app.command
def run(server: ServerName, /, *, settings: RunSettings = _DEFAULTS) -> int:
    """Run a server until Ctrl+C.

    Options may also come from the environment: a flag wins over its variable,
    which wins over the default. Modules are imported from the current directory.

    Examples:

    simplysocket run chat:server --reload

    simplysocket run examples/chat/server.py --host 0.0.0.0 --port 80 --log-json
    """
    logs.configure(settings.log_level, json=settings.log_json)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # the supervisor logs what has changed
    link = os.environ.get("SIMPLYSOCKET_PORT", "")
    if settings.port is None and _is_service_link(link) and not is_supervised():
        logger.warning("SIMPLYSOCKET_PORT=%.100r is ignored: it is the address of a service, and no port", link)
    port = _port_of(settings)
    context = load_certificate(settings.certfile, settings.keyfile, port=port)
    check_directories(settings.app_dir, settings.reload_dir)
    grace, signals = settings.grace, None
    if settings.reload:
        grace = _RELOAD_GRACE if grace is None else grace
        if not is_supervised():
            place = Path(server.partition(":")[0])
            directories = {settings.app_dir, *settings.reload_dir, *([place.parent] if place.suffix == ".py" else [])}
            return trio.run(Supervisor(this_command(), sorted(directories), grace).run)
        heed(grace)
        signals = [signal.SIGTERM]
    found = load(server, settings.app_dir.resolve())
    grace = found.limits.drain_seconds if grace is None else grace

    def listens() -> None:
        where = name_places(found, settings.host, settings.unix, is_tls=context is not None)
        logger.info("%s listens on %s (Ctrl+C stops)", found.name, where)

    serving = partial(found.serve, settings.host, port, unix=settings.unix, ssl_context=context)
    error = run_program(
        serving,
        found.stop,
        grace=grace,
        tune_gc=settings.tune_gc,
        listens=listens,
        signals=signals,
        ends_process=True,
    )
    if error is not None:
        raise CannotRun(explain(error, settings.host, port, settings.unix))
    return 0


@app.command
def check(
    server: ServerName,
    /,
    *,
    app_dir: AppDir = Path(),
    all: Annotated[
        bool, Parameter(negative="", show_default=False, help="Show all limits, not only the changed ones.")
    ] = False,
    json: Annotated[
        bool, Parameter(negative="", show_default=False, help="Write JSON for machines instead of tables.")
    ] = False,
    strict: Annotated[
        bool, Parameter(negative="", show_default=False, help="Exit with 1 if there are warnings.")
    ] = False,
) -> int:
    """Show what is registered with a server, and which of its settings are unsafe.

    Nothing is started: the module is imported, and its Server is read.
    """
    description = load(server, app_dir.resolve()).describe()
    findings = unsafe_settings(description)
    if json:
        print(to_json(description, findings))
    else:
        print_report(description, findings, all_limits=all)
    return 1 if strict and findings else 0


def main() -> None:
    """Run the command line of this process and exit."""
    for name, value in list(os.environ.items()):
        if name.startswith(_PREFIX) and not value:
            del os.environ[name]  # container tools set a variable to "" where it has no value
    try:
        command, bound, _ = app.parse_args(exit_on_error=False, print_error=False)
        raise SystemExit(command(*bound.args, **bound.kwargs))
    except CycloptsError as error:
        commands = " ".join(["simplysocket", *(error.command_chain or ())])
        _fail(f"{error}\nSee {commands} --help", UNUSABLE)
    except CannotRun as error:
        _fail(str(error), UNUSABLE)
    except LoadError as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None


def _fail(message: str, code: int) -> NoReturn:
    tell(f"simplysocket: {message}")
    raise SystemExit(code)


def _port_of(settings: RunSettings) -> int | None:
    return DEFAULT_PORT if settings.port is None and settings.unix is None else settings.port
