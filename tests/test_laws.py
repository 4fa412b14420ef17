"""The laws of the house, read from the source."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

import simplysocket
from simplysocket.errors import ERROR_CODES

PACKAGE = Path(simplysocket.__file__).parent

# From the words up to the edges; a module imports from its own floor and from those above it in this list.
FLOORS = (
    (
        "errors",
        "message",
        "request",
        "_protocol.codec",
        "_protocol.names",
        "_protocol.delivery",
        "limits",
        "_protocol.frames",
        "_wire.outbox",
        "_wire.heartbeat",
        "_token_bucket",
        "_rooms.fanout",
        "metrics",
        "_http.proxies",
        "describe",
        "_functions",
    ),
    (
        "logs",
        "_operation.settings_check",
    ),
    (
        "_wakeup",
        "_wire.epoll",
        "_wire.transport",
        "_wire.library",
        "_wire.writer",
        "_wire.reader",
        "_wire.connection",
        "_http.handshake",
        "_http.front_door",
    ),
    (
        "broker",
        "_sessions.outbound_hooks",
    ),
    (
        "_rooms.turns",
        "client",
        "_sessions.session",
        "_sessions.handler_scope",
        "_rooms.members",
        "_rooms.tasks",
        "_rooms.runtime",
        "_rooms.global_room",
        "room",
        "_rooms.room_classes",
        "_rooms.flush",
        "_rooms.hub",
        "tree",
    ),
    (
        "_dispatch.signature",
        "_dispatch.class_check",
        "middleware",
        "actions",
        "_dispatch.chain",
        "_dispatch.registry",
    ),
    (
        "_dispatch.dispatch",
        "_serving.admission",
    ),
    (
        "_http.sidedoor",
        "_serving.listeners",
        "_serving.assembly",
        "_serving.signals",
        "server",
    ),
    (
        "testing.pipes",
        "testing.client",
        "testing.net",
        "testing.__init__",
        "from_thread",
    ),
    (
        "_operation.loader",
        "_operation.reload",
        "_operation.check_report",
        "_operation.cli",
    ),
)
MACHINES = FLOORS[0]
NAMES = ("__init__", "__main__")  # on no floor: they import what they like, and nothing imports them
BOUNDARIES = {  # may catch `except* Exception`
    "_wire.connection",
    "_http.front_door",
    "_rooms.turns",
    "_rooms.tasks",
    "_rooms.runtime",
    "_sessions.outbound_hooks",
    "_serving.admission",
}
# The hub makes a client out of a connection, the server accepts it.
HOLDERS_OF_CONNECTIONS = {"_sessions.session", "_rooms.hub", "_serving.admission"}
# What hands an exception on other than by `raise`.
HANDED_ON = {("_rooms.turns", "_go_on"), ("_wire.epoll", "_serve"), ("_dispatch.chain", "caught")}
# A line of the log is written whatever its values raise when they are shown: they say that they could not be.
SHOWN_ANYWAY = {("logs", name) for name in ("_message", "_exception", "_field", "_repr_of")}
# What a log line may hold by %s: never a client's text.
TRUSTED_LINES = {
    ("_rooms.tasks", "%s of room %.200r failed"),  # the name of a hook or a timer, a constant of ours
    (
        "_rooms.turns",  # what held it up: a function of ours, or a handler with its action quoted
        "%s in room %.200r blocked the loop for %.2f s, and with it every client: "
        "await something meanwhile, or hand the work to `await trio.to_thread.run_sync(...)`",
    ),
    ("_operation.cli", "%s listens on %s (Ctrl+C stops)"),  # the server's own name, and the address it was given
}
SAFE_CONVERSION = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[radegfx%]")
LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def name_of(path: Path) -> str:
    """Return a module's dotted name inside the package; that of a folder is its `__init__`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {name_of(path): ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}


FOLDERS = {  # what stands in them is a docstring
    name for name, tree in MODULES.items() if name.endswith(".__init__") and len(tree.body) == 1
}


def imports(name: str) -> set[str]:
    """Return what is imported anywhere in a module: "trio", "os.path", "simplysocket._protocol.codec"."""
    found: set[str] = set()
    package = ["simplysocket", *name.split(".")[:-1]]
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            own = module.removeprefix("simplysocket").lstrip(".")
            if module.startswith("simplysocket") and own not in MODULES:  # a folder: its modules are imported
                found |= {f"{module}.{alias.name}" for alias in node.names}
            else:
                found.add(module)
    return found


def own_imports(name: str) -> set[str]:
    """Return the modules of the package that a module imports, by their dotted names inside the package."""
    found = {each.removeprefix("simplysocket.") for each in imports(name) if each.startswith("simplysocket.")}
    return {each if each in MODULES else each.rpartition(".")[0] + ".__init__" for each in found}


def handlers(tree: ast.AST) -> list[tuple[str, ast.ExceptHandler, bool]]:
    """Return (the function around it, the handler, whether it is `except*`) of every handler."""
    found = []

    def visit(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Try | ast.TryStar):
            found.extend((function, handler, isinstance(node, ast.TryStar)) for handler in node.handlers)
        for child in ast.iter_child_nodes(node):
            visit(child, function)

    visit(tree, "")
    return found


def caught(handler: ast.ExceptHandler) -> set[str]:
    if handler.type is None:
        return {"BaseException"}
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {ast.unparse(each).split(".")[-1] for each in types}


# --- the floors


@pytest.mark.parametrize("name", sorted(name for name in MODULES.keys() - set(NAMES) if name not in FOLDERS))
def test_every_module_has_a_floor(name: str) -> None:
    assert name in FLOOR_OF, f"{name}.py is on no floor: put it into FLOORS in {Path(__file__).name}"


@pytest.mark.parametrize("name", sorted(FLOOR_OF))
def test_every_name_on_a_floor_is_a_module(name: str) -> None:
    assert name in MODULES, f"{name}.py is gone: take it out of FLOORS in {Path(__file__).name}"


@pytest.mark.parametrize("name", sorted(MODULES.keys() & FLOOR_OF.keys()))
def test_a_module_imports_nothing_from_a_later_floor(name: str) -> None:
    later = {each for each in own_imports(name) if FLOOR_OF.get(each, len(FLOORS)) > FLOOR_OF[name]}
    assert not later, f"{name}.py may import only from its own floor and those before it"


def test_no_imports_go_in_a_circle() -> None:
    graph = {name: own_imports(name) for name in MODULES}  # with those under TYPE_CHECKING and inside functions
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError with the circle


@pytest.mark.parametrize("name", MACHINES)
def test_words_and_machines_know_neither_trio_nor_sockets(name: str) -> None:
    known = {each.split(".")[0] for each in imports(name)}
    assert not known & {"trio", "trio_websocket", "wsproto", "h11", "socket", "ssl", "select", "asyncio", "time"}


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_never_waits(name: str) -> None:
    waiting = ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith
    assert not [node for node in ast.walk(MODULES[name]) if isinstance(node, waiting)]


def test_only_the_stream_it_is_given_knows_trio_websocket() -> None:
    assert [name for name in MODULES if "trio_websocket" in imports(name)] == ["_wire.library"]


def test_only_the_client_and_who_makes_it_know_connections() -> None:
    assert {name for name in MODULES if "_wire.connection" in own_imports(name)} <= HOLDERS_OF_CONNECTIONS


def test_publishing_is_a_plain_function() -> None:
    found = [node for node in ast.walk(MODULES["broker"]) if getattr(node, "name", "") == "publish"]
    assert found
    assert all(isinstance(node, ast.FunctionDef) for node in found)


@pytest.mark.parametrize(("module", "owner"), [("room", "Room"), ("client", "Client")])
@pytest.mark.parametrize("method", ["broadcast", "send"])
def test_broadcast_and_send_are_no_cancellation_points(module: str, owner: str, method: str) -> None:
    (found,) = [node for node in MODULES[module].body if isinstance(node, ast.ClassDef) and node.name == owner]
    for function in found.body:
        if isinstance(function, ast.AsyncFunctionDef) and function.name == method:
            for node in ast.walk(function):
                assert not isinstance(node, ast.AsyncFor | ast.AsyncWith)
                if isinstance(node, ast.Await):  # one that waits may await only another of them
                    assert isinstance(node.value, ast.Call)
                    assert ast.unparse(node.value.func).split(".")[-1] in ("broadcast", "send")


# --- what is caught, and what is said


@pytest.mark.parametrize("name", MODULES)
def test_nothing_catches_broadly_without_raising_again(name: str) -> None:
    for function, handler, is_star in handlers(MODULES[name]):
        broad = caught(handler) & ({"BaseException"} if is_star else {"BaseException", "Exception"})
        if broad and (name, function) not in HANDED_ON | SHOWN_ANYWAY:
            assert isinstance(handler.body[-1], ast.Raise), f"{name}.py:{handler.lineno} catches {broad}"


@pytest.mark.parametrize("name", MODULES)
def test_only_a_boundary_catches_every_exception_of_a_group(name: str) -> None:
    found = [
        handler.lineno for _, handler, is_star in handlers(MODULES[name]) if is_star and "Exception" in caught(handler)
    ]
    assert not found or name in BOUNDARIES


@pytest.mark.parametrize("name", MODULES)
def test_a_cancellation_is_never_swallowed(name: str) -> None:
    for _, handler, _ in handlers(MODULES[name]):
        if "Cancelled" in caught(handler):
            assert isinstance(handler.body[-1], ast.Raise), f"{name}.py:{handler.lineno}"


@pytest.mark.parametrize("name", MODULES)
def test_every_refusal_has_a_code_of_the_protocol(name: str) -> None:
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ActionError" and node.args:
            code = node.args[0]
            if isinstance(code, ast.Constant):
                assert code.value in ERROR_CODES, f"{name}.py:{node.lineno}"


def log_lines(tree: ast.AST) -> list[ast.expr]:
    """Return the format strings of the calls of loggers, whatever these are called."""
    return [
        node.args[1 if node.func.attr == "log" else 0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LOGGING
        and "log" in ast.unparse(node.func.value).lower()
    ]


@pytest.mark.parametrize("name", MODULES)
def test_a_log_line_is_a_constant_and_quotes_what_it_holds(name: str) -> None:
    for line in log_lines(MODULES[name]):
        at = f"{name}.py:{line.lineno}"
        assert isinstance(line, ast.Constant), f"{at}: give the values as arguments, not inside the text"
        assert isinstance(line.value, str), at
        rest = SAFE_CONVERSION.sub("", line.value)
        assert "%" not in rest or (name, line.value) in TRUSTED_LINES, f"{at}: write %.200r for what may be a client's"


def test_every_trusted_log_line_is_there() -> None:
    said = {(name, ast.literal_eval(line)) for name in MODULES for line in log_lines(MODULES[name])}
    assert said >= TRUSTED_LINES


# --- the public names


@pytest.mark.parametrize("name", simplysocket.__all__)
def test_a_public_name_is_there(name: str) -> None:
    assert hasattr(simplysocket, name)


def test_public_names_are_said_once_and_every_import_is_public() -> None:
    imported = {
        alias.asname or alias.name
        for node in ast.walk(MODULES["__init__"])
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert len(simplysocket.__all__) == len(set(simplysocket.__all__))
    assert imported == set(simplysocket.__all__)
