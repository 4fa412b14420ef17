"""The laws of the package's code, read from the source: what is caught, what is logged, what reads a client's text."""

import ast
import re

import pytest

from simplysocket._log_limit import LIMITED
from simplysocket.errors import ERROR_CODES

from .harness.source import MODULES, imports

# May catch `except* BaseException`, after `except* PASSING`: the boundaries of connections, turns, rooms and HTTP.
BOUNDARIES = {
    "_wire.connection",
    "_http.front_door",
    "_sessions.outbound_hooks",
    "_rooms.turn_boundary",
    "_rooms.closing",
    "_rooms.creation",
    "_rooms.fanout",
    "_rooms.hooks",
    "_rooms.jobs",
    "_rooms.authorizing",
    "_rooms.outside_turn",
    "_rooms.runtime",
    "_rooms.tasks",
    "_rooms.timers",
    "_rooms.turns",
    "_serving.admission",
    "_serving.renewal",
    "games._lobby.places",
    "games.hook_calls",
}
# What hands an exception on other than by `raise`.
HANDED_ON = {
    ("_rooms.stepping", "go_on"),
    ("_wire.library_stream", "_go_on"),
    ("_wire.epoll", "_serve"),
    ("_wire.epoll", "_serve_one"),
    ("_dispatch.chain", "caught"),
    ("testing.guest_run", "_main"),
}
# A line of the log is written whatever its values raise when they are shown: they say that they could not be. So does
# what is raised in place of an exception that cannot be shown.
SHOWN_ANYWAY = {
    *(("logs", name) for name in ("_message", "_exception", "_field", "_repr_of")),
    ("_boundary", "_fault_of"),
}
# What a log line may hold by %s: never a client's text.
TRUSTED_LINES = {
    # The name of an option, the value that its class has, and a word of ours.
    ("_rooms.seconds", "room %.200r has set %s to %.200r, so %s counts: give seconds, or None for %s"),
    ("_rooms.hooks", "%s of room %.200r failed"),  # the name of a hook, a constant of ours
    ("_serving.admission", "%s for %r did not catch: %.500r"),  # the same
    ("_serving.admission", "%s failed for %r"),
    ("_serving.admission", "%s for %r took over %g seconds: the connection is closed"),
    (
        "_rooms.turns",  # the function that blocked: one of ours, or a handler with its action quoted; and a place
        "%s in room %.200r blocked the loop for %.2f s, and with it every client%s: "
        "await something meanwhile, or hand the work to `await trio.to_thread.run_sync(...)`",
    ),
    (
        "_loop_watch",  # places: lines of files
        "the loop has been blocked for %.0f s and still is, and with it every client, at %s: if this does not end, only"
        " SIGKILL stops the process",
    ),
    (
        "_loop_watch",
        "the loop was blocked for %.2f s, and with it every client, %s: if this comes again, please report it",
    ),
    (
        "_loop_watch",
        "the loop was blocked for %.2f s, and with it every client, %s: await something meanwhile, or hand the work to "
        "`await trio.to_thread.run_sync(...)`",
    ),
    (
        "_rooms.long_turns",  # as above
        "%s in room %.200r has been waiting for %g s at %.300r, and what comes after it waits, too: what takes"
        " long belongs outside the turn, as with turn=False",
    ),
    ("_rooms.long_turns", "%s in room %.200r took over %g s and was cancelled"),
    ("_operation.cli", "%s listens on %s (Ctrl+C stops)"),  # the server's own name, and the address it was given
}
# The only regular expressions, and why each reads a client's text once. All other text of a client is searched plainly.
EXPRESSIONS = {
    ("_log_limit", "_CONVERSION"): "not a client's text: the format string of a line of the log",
    ("_http.origins", "HOST"): "a name holds no colon, which begins the port",
    ("_http.pages", "_BAD_ESCAPE"): "each of its choices has a fixed length",
    ("_http.proxies", "_IPV4"): "each of its choices has at most three characters",
    ("_http.request_head", "_USUAL_HEAD"): "every repetition is possessive: what it has taken is never tried again",
    ("_http.static_files", "_ETAG"): "what is between two quotes holds none",
    ("_http.static_files", "_URL"): "not a client's text: a url that the server's code has given",
    ("_protocol.codec", "_DEAR"): "the only run that has no fixed length is of zeros, and begins after an `e`",
    (
        "_protocol.depth",
        "_STRING",
    ): "possessive, so it gives nothing back; between two quotes each byte is looked at once",
    ("_protocol.names", "_HIDDEN"): "its choices begin with different characters, and each takes a run of its own",
    ("_rooms.room_classes", "_NO_PATTERN"): "not a client's text: a pattern that the server's code has given",
}
# Their lines come from the person who runs the command, and from signals: never from a client.
UNLIMITED_LOGGERS = {"simplysocket.cli", "simplysocket.program", "simplysocket.supervisor"}
SAFE_CONVERSION = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[radegfx%]")
LOGGING = {"debug", "info", "warning", "error", "exception", "critical", "log"}


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
    for function, handler, is_star in handlers(MODULES[name]):  # those with a star are looked at below
        broad = caught(handler) & {"BaseException", "Exception"}
        if broad and not is_star and (name, function) not in HANDED_ON | SHOWN_ANYWAY:
            assert isinstance(handler.body[-1], ast.Raise), f"{name}:{handler.lineno} catches {broad}"


@pytest.mark.parametrize("name", MODULES)
def test_only_a_boundary_catches_every_exception_of_a_group(name: str) -> None:
    found = [handler for _, handler, is_star in handlers(MODULES[name]) if is_star and is_broad(handler)]
    assert bool(found) == (name in BOUNDARIES)


@pytest.mark.parametrize("name", sorted(BOUNDARIES))
def test_a_boundary_lets_pass_what_must_and_takes_all_else(name: str) -> None:
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.TryStar) and any(map(is_broad, node.handlers)):
            *_, passing, broad = node.handlers
            assert (caught(passing), caught(broad)) == ({"PASSING"}, {"BaseException"}), f"{name}:{node.lineno}"
            assert [ast.unparse(each) for each in passing.body] == ["raise"], f"{name}:{passing.lineno}"


def is_broad(handler: ast.ExceptHandler) -> bool:
    return bool(caught(handler) & {"BaseException", "Exception"})


@pytest.mark.parametrize("name", MODULES)
def test_a_cancellation_is_never_swallowed(name: str) -> None:
    for _, handler, _ in handlers(MODULES[name]):
        if caught(handler) & {"Cancelled", "PASSING"}:
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


def test_the_log_of_a_running_server_is_limited() -> None:
    said = {
        ast.literal_eval(node.args[0])
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "logging.getLogger"
        and isinstance(node.args[0], ast.Constant)
        and str(node.args[0].value).startswith("simplysocket.")
    }
    assert said - UNLIMITED_LOGGERS == set(LIMITED)
    assert said >= UNLIMITED_LOGGERS


def test_every_trusted_log_line_is_there() -> None:
    said = {(name, ast.literal_eval(line)) for name in MODULES for line in log_lines(MODULES[name])}
    assert said >= TRUSTED_LINES
