"""The laws of the package's layout and code, read from the source."""

import ast
import graphlib
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

import simplysocket
from simplysocket.errors import ERROR_CODES

PACKAGE = Path(simplysocket.__file__).parent
TESTS = Path(__file__).parent
REFERENCE = TESTS.parent / "docs" / "reference"

# From the ground up; a module imports from its own floor and from those above it in this list. A folder stands for all
# modules in it.
FLOORS = (
    ("errors", "limits", "message", "request", "metrics", "introspection", "logs", "describe", "tree", "_log_limit"),
    ("_functions", "_token_bucket", "_wakeup"),
    ("_protocol",),
    ("client", "middleware", "room", "actions"),
    ("_wire", "brokers"),
    ("_http",),
    ("_sessions",),
    ("_rooms",),
    ("_dispatch",),
    ("_serving",),
    ("server",),
    ("from_thread", "testing"),
    ("_operation",),
)
ENTRANCES = ("__init__", "__main__")  # on no floor: they import from any, and no module imports them
# Neither trio nor sockets, no clock, and nothing in them waits.
MACHINES = (
    *("errors", "limits", "message", "request", "metrics", "introspection", "_functions", "_token_bucket"),
    *("_protocol.codec", "_protocol.error_texts", "_protocol.frames", "_protocol.delivery_classes", "_protocol.names"),
    *(
        "_wire.outbox",
        "_wire.heartbeat",
        "_http.proxies",
        "_http.origins",
        "_sessions.rates",
        "brokers.broker",
        "brokers.memory",
    ),
    *(
        "_rooms.state",
        "_rooms.crashes",
        "_rooms.fanout",
        "_rooms.segment",
        "_rooms.slices",
        "_rooms.outgoing",
        "_rooms.inbox",
        "_operation.settings_check",
    ),
)
# May catch `except* Exception`: the boundaries of a connection, a turn, a room and the HTTP side.
BOUNDARIES = {
    "_wire.connection",
    "_http.front_door",
    "_sessions.outbound_hooks",
    "_rooms.turn_boundary",
    "_rooms.closing",
    "_rooms.fanout",
    "_rooms.hooks",
    "_rooms.jobs",
    "_rooms.outside_turn",
    "_rooms.runtime",
    "_rooms.timers",
    "_rooms.turns",
    "_serving.admission",
}
# The session has the connection; the server accepts it, and makes a session for it.
HOLDERS_OF_CONNECTIONS = {"_sessions.session", "_serving.admission"}
# What hands an exception on other than by `raise`.
HANDED_ON = {("_rooms.stepping", "go_on"), ("_wire.epoll", "_serve"), ("_dispatch.chain", "caught")}
# A line of the log is written whatever its values raise when they are shown: they say that they could not be.
SHOWN_ANYWAY = {("logs", name) for name in ("_message", "_exception", "_field", "_repr_of")}
# What a log line may hold by %s: never a client's text.
TRUSTED_LINES = {
    ("_rooms.hooks", "%s of room %.200r failed"),  # the name of a hook, a constant of ours
    (
        "_rooms.turns",  # the function that blocked: one of ours, or a handler with its action quoted
        "%s in room %.200r blocked the loop for %.2f s, and with it every client: "
        "await something meanwhile, or hand the work to `await trio.to_thread.run_sync(...)`",
    ),
    ("_operation.cli", "%s listens on %s (Ctrl+C stops)"),  # the server's own name, and the address it was given
}
# The only regular expressions, and why each reads a client's text once. All other text of a client is searched plainly.
EXPRESSIONS = {
    ("_http.origins", "HOST"): "a name holds no colon, which begins the port",
    ("_http.pages", "_BAD_ESCAPE"): "each of its choices has a fixed length",
    ("_http.static_files", "_ETAG"): "what is between two quotes holds none",
    ("_http.static_files", "_URL"): "not a client's text: a url that the server's code has given",
    ("_log_limit", "_CONVERSION"): "not a client's text: a format string of this package",
    ("_rooms.room_classes", "_NO_PATTERN"): "not a client's text: a pattern that the server's code has given",
}
SAFE_CONVERSION = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[radegfx%]")
LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "log"}

LONGEST_MODULE = 350  # lines
MEDIAN_MODULE = 160
LONGEST_TEST = 400


def name_of(path: Path) -> str:
    """Return a module's dotted name inside the package; that of a folder is its `__init__`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


PATHS = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = {name: ast.parse(path.read_text("utf-8")) for name, path in PATHS.items()}
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}
TEST_PATHS = sorted(TESTS.rglob("*.py"))


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def walk(tree: ast.AST, *, with_types: bool) -> Iterator[ast.AST]:
    """Yield all nodes; those under `if TYPE_CHECKING` only if asked for."""
    for node in ast.iter_child_nodes(tree):
        yield node
        if with_types or not is_for_types(node):
            yield from walk(node, with_types=with_types)
        elif isinstance(node, ast.If):
            for each in node.orelse:
                yield from walk(each, with_types=with_types)


def imports(name: str, *, with_types: bool = False) -> set[str]:
    """Return what a module imports: "trio", "os.path", "simplysocket._protocol.codec"."""
    found: set[str] = set()
    package = ["simplysocket", *name.split(".")[:-1]]
    for node in walk(MODULES[name], with_types=with_types):
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


def own_imports(name: str, *, with_types: bool = False) -> set[str]:
    """Return the modules of the package that a module imports, by their dotted names inside the package."""
    found = imports(name, with_types=with_types)
    own = {each.removeprefix("simplysocket.") for each in found if each.startswith("simplysocket.")}
    return {each if each in MODULES else each.rpartition(".")[0] + ".__init__" for each in own}


def place_of(name: str) -> str:
    """Return the folder of a module, or the module itself at the top of the package."""
    return name.partition(".")[0]


# --- the floors


@pytest.mark.parametrize("name", sorted({place_of(name) for name in MODULES} - set(ENTRANCES)))
def test_everything_at_the_top_has_a_floor(name: str) -> None:
    assert name in FLOOR_OF, f"{name} is on no floor: put it into FLOORS in {Path(__file__).name}"


@pytest.mark.parametrize("name", sorted(FLOOR_OF))
def test_every_name_on_a_floor_is_there(name: str) -> None:
    assert name in {place_of(each) for each in MODULES}, f"{name} is gone: take it out of FLOORS"


@pytest.mark.parametrize("name", sorted(MODULES.keys() - set(ENTRANCES)))
def test_a_module_imports_nothing_from_a_higher_floor(name: str) -> None:
    floor = FLOOR_OF[place_of(name)]
    higher = {each for each in own_imports(name) if FLOOR_OF.get(place_of(each), len(FLOORS)) > floor}
    assert not higher, f"{name} may import only from its own floor and those below it; types go through TYPE_CHECKING"


def test_no_imports_go_in_a_circle() -> None:
    graph = {name: own_imports(name) for name in MODULES}  # with those inside functions
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError with the circle


@pytest.mark.parametrize("name", MACHINES)
def test_words_and_machines_know_neither_trio_nor_sockets(name: str) -> None:
    known = {each.split(".")[0] for each in imports(name)}
    assert not known & {"trio", "trio_websocket", "wsproto", "h11", "socket", "ssl", "select", "asyncio", "time"}


@pytest.mark.parametrize("name", MACHINES)
def test_a_machine_never_waits(name: str) -> None:
    waiting = ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith
    assert not [node for node in ast.walk(MODULES[name]) if isinstance(node, waiting)]


def test_only_the_wire_knows_trio_websocket() -> None:
    assert {place_of(name) for name in MODULES if "trio_websocket" in imports(name)} == {"_wire"}


def test_only_the_session_and_its_makers_know_connections() -> None:
    holders = {name for name in MODULES if "_wire.connection" in own_imports(name, with_types=True)}
    assert holders <= HOLDERS_OF_CONNECTIONS


def test_publishing_is_a_plain_function() -> None:
    for name in ("brokers.broker", "brokers.memory"):
        assert not [node for node in ast.walk(MODULES[name]) if isinstance(node, ast.AsyncFunctionDef)]


@pytest.mark.parametrize(("module", "owner"), [("room", "Room"), ("client", "Client"), ("server", "Server")])
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


def test_only_joining_changes_who_is_a_member() -> None:
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value).split(".")[-1]
                if owner == "members" and node.func.attr in ("add", "remove"):
                    assert name == "_rooms.joining", f"{name}:{node.lineno}"


def test_the_state_of_a_room_changes_in_one_place() -> None:
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr == "state" and isinstance(node.ctx, ast.Store):
                assert name in ("_rooms.runtime", "_sessions.session"), f"{name}:{node.lineno}"  # of a client: its own


# --- classes and modules


@pytest.mark.parametrize("name", MODULES)
def test_no_class_is_left_to_another_to_complete(name: str) -> None:
    for node in ast.walk(MODULES[name]):
        text = ast.unparse(node) if isinstance(node, ast.Raise | ast.Assign | ast.ImportFrom) else ""
        assert "NotImplementedError" not in text, f"{name}:{getattr(node, 'lineno', 0)}"
        assert "__qualname__ =" not in text, f"{name}:{getattr(node, 'lineno', 0)}"
        assert "abstractmethod" not in text, f"{name}:{getattr(node, 'lineno', 0)}"


def test_modules_are_short() -> None:
    lines = {name: len(path.read_text("utf-8").splitlines()) for name, path in PATHS.items()}
    assert not {name: count for name, count in lines.items() if count > LONGEST_MODULE}
    assert statistics.median(lines.values()) < MEDIAN_MODULE


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_is(name: str) -> None:
    assert ast.get_docstring(MODULES[name])


def test_what_users_may_import_is_in_the_reference_and_nothing_else() -> None:
    public = {place_of(name) for name in MODULES if not name.startswith("_")}
    listed = re.findall(r"^\| `simplysocket\.(\w+)` \|", (REFERENCE / "modules.md").read_text("utf-8"), re.M)
    assert sorted(listed) == sorted(public)


# --- the tests


def test_the_tests_mirror_the_folders_of_the_package() -> None:
    folders = {path.name.lstrip("_") for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("__")}
    beside = {"benchmarks", "docs", "examples", "harness", "typed"}  # what they run, and what they share
    found = {path.name for path in TESTS.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert found == folders | beside


@pytest.mark.parametrize("path", TEST_PATHS, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_a_file_of_tests_is_short_and_imports_no_other(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST_TEST
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").split(".")[-1].startswith("test_"), f"line {node.lineno}"


# --- what runs over a client's text


def test_a_regular_expression_is_a_known_one() -> None:
    found = set()
    for name, tree in MODULES.items():
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "re"]
        constants = [
            node for node in tree.body if isinstance(node, ast.AnnAssign) and "re.compile" in ast.unparse(node)
        ]
        found |= {(name, ast.unparse(node.target)) for node in constants}
        assert len([node for node in calls if node.attr != "Pattern"]) == len(constants), f"{name}: make it a constant"
    assert {name for name in MODULES if "re" in imports(name)} == {name for name, _ in found}
    assert found == EXPRESSIONS.keys(), "say why it reads a client's text only once"


# --- what is caught, and what is said


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


@pytest.mark.parametrize("name", MODULES)
def test_nothing_catches_broadly_without_raising_again(name: str) -> None:
    for function, handler, is_star in handlers(MODULES[name]):
        broad = caught(handler) & ({"BaseException"} if is_star else {"BaseException", "Exception"})
        if broad and (name, function) not in HANDED_ON | SHOWN_ANYWAY:
            assert isinstance(handler.body[-1], ast.Raise), f"{name}:{handler.lineno} catches {broad}"


@pytest.mark.parametrize("name", MODULES)
def test_only_a_boundary_catches_every_exception_of_a_group(name: str) -> None:
    found = [
        handler.lineno for _, handler, is_star in handlers(MODULES[name]) if is_star and "Exception" in caught(handler)
    ]
    assert not found or name in BOUNDARIES


@pytest.mark.parametrize("name", sorted(BOUNDARIES))
def test_every_boundary_is_one(name: str) -> None:
    assert [handler for _, handler, is_star in handlers(MODULES[name]) if is_star and "Exception" in caught(handler)]


@pytest.mark.parametrize("name", MODULES)
def test_a_cancellation_is_never_swallowed(name: str) -> None:
    for _, handler, _ in handlers(MODULES[name]):
        if "Cancelled" in caught(handler):
            assert isinstance(handler.body[-1], ast.Raise), f"{name}:{handler.lineno}"


@pytest.mark.parametrize("name", MODULES)
def test_every_refusal_has_a_code_of_the_protocol(name: str) -> None:
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ActionError" and node.args:
            code = node.args[0]
            if isinstance(code, ast.Constant):
                assert code.value in ERROR_CODES, f"{name}:{node.lineno}"


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
        at = f"{name}:{line.lineno}"
        assert isinstance(line, ast.Constant), f"{at}: give the values as arguments, not inside the text"
        assert isinstance(line.value, str), at
        rest = SAFE_CONVERSION.sub("", line.value).replace("%d", "")
        assert "%" not in rest or (name, line.value) in TRUSTED_LINES, f"{at}: write %.200r for what may be a client's"


def test_every_trusted_log_line_is_there() -> None:
    said = {(name, ast.literal_eval(line)) for name in MODULES for line in log_lines(MODULES[name])}
    assert said >= TRUSTED_LINES
