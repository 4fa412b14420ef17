"""The loader: imports a module and finds the Server that "module:attribute" names.

Law: every failure is explained in a few lines; a traceback shows only the frames
of the user's own code. Knows nothing of the command line.
"""

import difflib
import importlib
import inspect
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

from ..errors import SimplySocketError
from ..server import Server

_HERE: Final = str(Path(__file__).parents[1]) + os.sep  # the package
_STDLIB: Final = sysconfig.get_path("stdlib") + os.sep
_SITE: Final = f"{os.sep}site-packages{os.sep}"
_SHOWN: Final = 3  # names in a suggestion; a longer list does not help


class LoadError(SimplySocketError):
    """No Server was found under the given name; the text tells the user why."""


def load(target: str, directory: Path) -> Server:
    """Return the Server that `target` names; modules are imported from `directory`.

    `target` is `module:attribute` or `path/to/file.py:attribute`; the attribute may
    have dots, and a function without parameters is called for its Server. The
    module alone is enough if there is one Server in it. Every failure is a `LoadError`.
    """
    place, _, attribute = target.partition(":")
    if not place:
        raise LoadError(f"{target!r} names no module: write module:server, such as chat:server")
    module = _import_file(place, directory) if place.endswith(".py") else _import_module(place, directory)
    if not attribute:
        return _only_server(module, place)
    return _to_server(_find(module, attribute, place), module, f"{place}:{attribute}")


# --- the module


def _import_file(place: str, directory: Path) -> ModuleType:
    """Import a file by its path. In a package it gets its full name, such as `game.server`."""
    path = Path(place).resolve()
    if not path.is_file():
        names = [each.name for each in path.parent.glob("*.py")]
        raise LoadError(f"there is no file {place!r}{_nearest(path.name, names, place.removesuffix(path.name))}")
    root, parts = path.parent, [path.stem]
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    name = ".".join(parts).removesuffix(".__init__")
    module = _import(name, place, [str(directory), str(root)])
    if Path(module.__file__ or "").resolve() != path:
        raise LoadError(f"{place!r} has the name of another module, {name!r} ({module.__file__}): rename the file")
    return module


def _import_module(place: str, directory: Path) -> ModuleType:
    if not all(part.isidentifier() for part in place.split(".")):
        if (directory / f"{place}.py").is_file():
            raise LoadError(f"{place!r} is no name of a module: write {place}.py:server, or with dots")
        raise LoadError(f"{place!r} is no name of a module: write module:server, or path/to/file.py:server")
    return _import(place, place, [str(directory)])


def _import(name: str, place: str, paths: list[str]) -> ModuleType:
    for path in paths:
        if path in sys.path:
            sys.path.remove(path)
        sys.path.insert(0, path)  # first, so that a `test` or `chat` of the user is found before an installed one
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not _is_missing(name, error):
            raise LoadError(f"{place!r} cannot be imported:\n{_own_traceback(error)}") from None
        raise LoadError(f"there is no module {name!r} in {paths[-1]}{_hint(name, paths[-1])}") from None
    except SystemExit as error:
        raise LoadError(f"{place!r} ended the program while it was imported (exit code {error.code!r})") from None
    except Exception as error:
        raise LoadError(f"{place!r} cannot be imported:\n{_own_traceback(error)}") from None


def _is_missing(name: str, error: ModuleNotFoundError) -> bool:
    """Tell whether the module itself is missing, and not one that it imports."""
    is_it = error.name is not None and (name == error.name or name.startswith(f"{error.name}."))
    return is_it and not list(_own_frames(error))


def _hint(name: str, directory: str) -> str:
    """Return a suggestion for a module that is missing, or ""."""
    package, _, last = name.rpartition(".")
    folder = Path(directory, *package.split("."))
    if package and folder.with_suffix(".py").is_file():
        return f": {package!r} is a file, so write {package}:{last}"
    modules = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    return _nearest(last, modules, f"{package}." if package else "")


def _nearest(name: str, names: Iterable[str], prefix: str = "") -> str:
    found = difflib.get_close_matches(name, sorted(names), n=1)
    return f": do you mean {prefix + found[0]!r}?" if found else ""


def _own_frames(error: BaseException) -> Iterator[traceback.FrameSummary]:
    """Yield the frames outside this package and the import machinery."""
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith(("<frozen ", _HERE)) and frame.filename != importlib.__file__:
            yield frame


def _own_traceback(error: BaseException) -> str:
    """Return the traceback with only the user's own frames, and the error itself."""
    frames = list(_own_frames(error))
    own = [frame for frame in frames if not frame.filename.startswith(_STDLIB) and _SITE not in frame.filename]
    lines = traceback.format_list(own or frames[-1:]) + traceback.format_exception_only(error)
    return "".join(lines).rstrip("\n")


# --- the attribute


def _find(module: ModuleType, attribute: str, place: str) -> object:
    found: object = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise LoadError(f"{place!r} has no {attribute!r}: {_what_is_there(module, place)}") from None
    return found


def _to_server(found: object, module: ModuleType, target: str) -> Server:
    if isinstance(found, Server):
        return found
    if not callable(found) or not _takes_nothing(found):
        kind = f"a {type(found).__name__}"
        raise LoadError(f"{target!r} is no Server but {kind}: {_what_is_there(module, target.partition(':')[0])}")
    try:
        made = found()
    except Exception as error:
        raise LoadError(f"{target!r} failed:\n{_own_traceback(error)}") from None
    if inspect.iscoroutine(made):
        made.close()
        raise LoadError(f"{target!r} is async: what makes the Server is a plain def")
    if not isinstance(made, Server):
        raise LoadError(f"{target!r} returned a {type(made).__name__}: it must return a Server")
    return made


def _takes_nothing(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return False
    return True


def _servers(module: ModuleType) -> dict[str, Server]:
    """Return the Servers of a module by name; a Server with two names under the first."""
    found: dict[int, tuple[str, Server]] = {}
    for name, value in vars(module).items():
        if isinstance(value, Server):
            found.setdefault(id(value), (name, value))
    return dict(found.values())


def _only_server(module: ModuleType, place: str) -> Server:
    servers = _servers(module)
    if len(servers) != 1:
        problem = f"has {len(servers)} Servers" if servers else "names no Server"
        raise LoadError(f"{place!r} {problem}: {_what_is_there(module, place)}")
    return next(iter(servers.values()))


def _what_is_there(module: ModuleType, place: str) -> str:
    names = list(_servers(module))
    if names:
        return "write " + " or ".join(f"{place}:{name}" for name in names[:_SHOWN])
    return f'write server = Server("name") there, or name a function that returns one, as {place}:make'
