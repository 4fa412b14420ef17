"""The laws of the package's layout, read from the source."""

import ast
import graphlib
import re
import statistics
from pathlib import Path

import pytest

from .harness.source import MODULES, PACKAGE, PATHS, imports, own_imports, place_of

TESTS = Path(__file__).parent
REFERENCE = TESTS.parent / "docs" / "reference"

# From the ground up; a module imports from its own floor and from those above it in this list. A folder stands for all
# modules in it.
FLOORS = (
    (
        "errors",
        "limits",
        "message",
        "reasons",
        "request",
        "metrics",
        "introspection",
        "logs",
        "describe",
        "tree",
        "_log_limit",
        "_memory_bound",
        "_process_end",
        "_stderr",
    ),
    (
        "_accounts",
        "_boundary",
        "_functions",
        "_live_view",
        "_loop_sampler",
        "_loop_watch",
        "_own_names",
        "_pass_budget",
        "_stack_place",
        "_token_bucket",
        "_wakeup",
    ),
    ("_protocol",),
    ("client", "event", "middleware", "_listing_option", "_room_hooks", "room", "actions", "timer"),
    ("_wire", "brokers"),
    ("_http",),
    ("_sessions",),
    ("_rooms",),
    ("_dispatch",),
    ("_serving",),
    ("server",),
    ("from_thread", "games", "testing"),
    ("_operation",),
)
ENTRANCES = ("__init__", "__main__")  # on no floor: they import from any, and no module imports them
# Neither trio nor sockets, no clock, and nothing in them waits.
MACHINES = (
    *("errors", "limits", "message", "reasons", "request", "metrics", "introspection"),
    *("_accounts", "_functions", "_live_view", "_own_names", "_token_bucket"),
    *("_protocol.codec", "_protocol.error_texts", "_protocol.frames", "_protocol.delivery_classes", "_protocol.names"),
    *("_protocol.resuming", "_protocol.resume_tokens", "_protocol.client_side"),
    *(
        "_wire.history",
        "_wire.outbox",
        "_wire.part",
        "_wire.ring",
        "_wire.stretch",
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
        "_rooms.census",
        "_rooms.options",
        "_rooms.listing",
        "_rooms.schedule",
        "_rooms.sorted_names",
        "_rooms.member_order",
        "_rooms.fanout",
        "_rooms.passes",
        "_rooms.segment",
        "_rooms.slices",
        "_rooms.outgoing",
        "_rooms.inbox",
        "_rooms.held",
        "_sessions.intake",
        "_operation.settings_check",
        "games.bodies",
        "games.options",
        "games.phase",
        "games.seat",
        "games.seats",
        "games.turn_order",
        "games.wishes",
    ),
)
# What a package of a user's could be: only public names.
GAMES = tuple(
    f"games.{name}"
    for name in (
        *("bodies", "bot", "game", "game_room", "hook_calls", "options", "phase", "play", "seat", "seats", "table"),
        *("telling", "turn_order", "turns", "wishes"),
    )
)
# The session has the connection; the server accepts it, and makes a session for it.
HOLDERS_OF_CONNECTIONS = {"_sessions.session", "_serving.admission", "_serving.refused", "_serving.returns"}

LONGEST_MODULE = 350  # lines
MEDIAN_MODULE = 160
LONGEST_TEST = 400

FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}
TEST_PATHS = sorted(TESTS.rglob("*.py"))


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


def test_games_use_only_names_that_a_user_may_use() -> None:
    for name in GAMES:
        used = own_imports(name, with_types=True) - {"games._lobby.places"}  # where a room with seats meets the lobby
        assert not {each for each in used if any(part.startswith("_") for part in each.split("."))}, name
        for node in ast.walk(MODULES[name]):
            assert not (isinstance(node, ast.Attribute) and node.attr in ("_runtime", "_session", "_scope")), name


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


def test_only_membership_changes_who_is_a_member() -> None:
    for name, tree in MODULES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value).split(".")[-1]
                if owner == "members" and node.func.attr in ("add", "remove"):
                    assert name == "_rooms.membership", f"{name}:{node.lineno}"


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
    beside = {"benchmarks", "conformance", "docs", "examples", "harness", "resuming", "typed"}  # run or shared
    found = {path.name for path in TESTS.iterdir() if path.is_dir() and not path.name.startswith("__")}
    assert found == folders | beside


@pytest.mark.parametrize("path", TEST_PATHS, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_a_file_of_tests_is_short_and_imports_no_other(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST_TEST
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").split(".")[-1].startswith("test_"), f"line {node.lineno}"
