"""Checks before a server runs, and the explanation when it cannot listen.

Law: knows the values of the options, and nothing of the command line that parsed them.
"""

import errno
import os
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ..errors import SimplySocketError

DEFAULT_PORT: Final = 8080
_FIRST_FREE_PORT: Final = 1_024  # ports below it need privileges


class CannotRun(SimplySocketError):
    """The server cannot run with these options on this machine; the text tells the user why."""


def check_directories(app_dir: Path, reload_dirs: Iterable[Path]) -> None:
    """Refuse directories that do not exist."""
    for option, directory in [("--app-dir", app_dir), *(("--reload-dir", each) for each in reload_dirs)]:
        if not directory.is_dir():
            raise CannotRun(f"{option}: there is no directory {str(directory)!r}")


def load_certificate(certfile: Path | None, keyfile: Path | None, *, port: int | None) -> ssl.SSLContext | None:
    """Return the TLS context with the certificate; None without --certfile."""
    if certfile is None:
        if keyfile is not None:
            raise CannotRun("--keyfile alone is no use: give the certificate with --certfile")
        return None
    if port is None:
        raise CannotRun("--certfile is for a TCP port, and a Unix socket has no TLS: give --port too")
    for option, path in (("--certfile", certfile), ("--keyfile", keyfile)):
        if path is not None and not os.access(path, os.R_OK):
            raise CannotRun(f"{option}: there is no file {str(path)!r} that can be read")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certfile, keyfile, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else str(error)
        problem = "--certfile, --keyfile: no certificate with its key, in PEM, can be read from there"
        raise CannotRun(f"{problem} ({reason})" if reason else problem) from None
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted, and a server has nobody to ask for the password")


def explain(error: OSError, host: str, port: int | None, unix: Path | None) -> str:
    """Return in one line why a server cannot listen, and what to do."""
    said, number = error.strerror or str(error), error.errno
    if port is None or (unix is not None and repr(str(unix)) in said):
        return said.replace("cannot listen on ", "cannot listen on --unix ", 1)
    if number == errno.EADDRINUSE:
        return f"port {port} of {host} is in use: stop what listens there, or take another with --port; 0 is a free one"
    if number == errno.EACCES and port < _FIRST_FREE_PORT:
        remedy = f"take one from {_FIRST_FREE_PORT} on, such as --port {DEFAULT_PORT}"
        return f"port {port} is for privileged programs: {remedy}"
    if isinstance(error, socket.gaierror):
        return f"{said}: give --host a name or address of this machine, such as 0.0.0.0"
    if number == errno.EADDRNOTAVAIL:
        return f"{host!r} is no address of this machine: give --host one that is, such as 0.0.0.0 for all of them"
    return said
