"""The package's source, as the laws read it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import simplysocket

PACKAGE = Path(simplysocket.__file__).parent


def name_of(path: Path) -> str:
    """Return a module's dotted name inside the package; that of a folder is its `__init__`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


PATHS = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = {name: ast.parse(path.read_text("utf-8")) for name, path in PATHS.items()}


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
