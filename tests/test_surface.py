"""What users may import and call: a change of it is a decision, and shows here as a line of `surface.txt`.

python -m tests.test_surface > tests/surface.txt    # after such a decision
"""

import enum
import importlib
import importlib.metadata
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import simplysocket
import simplysocket.describe
import simplysocket.tree
from simplysocket.testing import open_server

EXPECTED = Path(__file__).with_name("surface.txt")
MODULES = {  # {module: the names that users import from it}
    "simplysocket": simplysocket.__all__,
    "simplysocket.games": importlib.import_module("simplysocket.games").__all__,
    "simplysocket.brokers": importlib.import_module("simplysocket.brokers").__all__,
    "simplysocket.testing": importlib.import_module("simplysocket.testing").__all__,
    "simplysocket.testing.fixtures": ["OpenNet", "in_trio", "net", "net_clock", "open_net"],
    "simplysocket.logs": ["LEVELS", "JsonFormatter", "TextFormatter", "configure", "escape"],
    "simplysocket.from_thread": ["run", "run_sync"],
    "simplysocket.middleware": ["ExceptionHandler", "Middleware", "Next", "middleware"],
    "simplysocket.introspection": ["ActionInfo", "Description", "RoomInfo", "RoomView", "Task", "Tree"],
    "simplysocket.tree": ["RoomView", "Task", "Tree"],
    "simplysocket.describe": ["ActionInfo", "Description", "RoomInfo"],
}

# Made by the server or the test kit: users never call these classes, so how they are made may change.
MADE_FOR_USERS = {"Broker", "Call", "Channel", "Client", "Event", "Net", "Pipe", "Room", "TestClient", "Timer"}
MADE_FOR_USERS |= {"GameRoom", "Seat"}
FOR_THE_PACKAGE = {"Actions.take"}


def parameters_of(function: object) -> str:
    """Return the parameters with their kinds and defaults; annotations are mypy's business."""
    try:
        signature = inspect.signature(function)  # type: ignore[arg-type]  # what is not callable raises
    except (TypeError, ValueError):
        return ""
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    text = str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def members_of(owner: type) -> Iterator[str]:
    """Yield what a class offers beyond what its plain bases have."""
    own = {name for each in owner.__mro__ if each.__module__.startswith("simplysocket") for name in vars(each)}
    own |= {name for each in owner.__mro__ for name in getattr(each, "__annotations__", {})}
    for name in sorted(own):
        if name.startswith("_") or f"{owner.__name__}.{name}" in FOR_THE_PACKAGE:
            continue
        value = inspect.getattr_static(owner, name, None)
        is_method = inspect.isfunction(value) or isinstance(value, (classmethod, staticmethod))
        yield name + (parameters_of(getattr(owner, name)) if is_method else "")


def surface() -> Iterator[str]:
    """Yield one line for each public name, and one for each member of a public class."""
    for module_name, names in MODULES.items():
        module = importlib.import_module(module_name)
        for name in sorted(names):
            value = getattr(module, name)
            if inspect.isclass(value):
                is_never_called = name in MADE_FOR_USERS or issubclass(value, enum.Enum)
                yield f"{module_name}.{name}{'' if is_never_called else parameters_of(value)}"
                yield from (f"{module_name}.{name}.{member}" for member in members_of(value))
            else:
                yield f"{module_name}.{name}{parameters_of(value) if inspect.isroutine(value) else ''}"
    for name in sorted(logger_names()):
        yield f"logger {name}"
    for script in importlib.metadata.entry_points(group="console_scripts"):
        if script.name == "simplysocket":
            yield f"command {script.name} = {script.value}"


def logger_names() -> set[str]:
    """Return the names of the package's loggers, which users set levels for."""
    sources = Path(simplysocket.__file__).parent.rglob("*.py")
    return {
        name for path in sources for name in re.findall(r'^logger = .*getLogger\("(.+?)"\)', path.read_text(), re.M)
    }


def test_the_public_surface_is_as_it_was() -> None:
    assert list(surface()) == EXPECTED.read_text("utf-8").splitlines()


def test_a_description_is_of_the_class_that_users_import() -> None:
    assert type(simplysocket.Server().describe()) is simplysocket.describe.Description


async def test_a_tree_is_of_the_class_that_users_import() -> None:
    async with open_server(simplysocket.Server()) as net:
        tree = net.server.tree()
    assert type(tree) is simplysocket.tree.Tree
    assert {type(room) for room in tree.rooms} == {simplysocket.tree.RoomView}


if __name__ == "__main__":
    print("\n".join(surface()))
