"""Clients by id, as the application sees them: a view of sessions that shows the client of each.

Law: a view copies nothing until it is iterated, and changes nothing.
"""

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from typing import Any, TypeVar

from ..client import Client
from .session import Session

Held = TypeVar("Held")


class ClientsView(Mapping[str, Client[Any]]):
    """A live, read-only view of {id: session} as {id: client}.

    An iteration goes over a snapshot that is taken when it begins, so clients may come and go meanwhile.
    """

    __slots__ = ("_sessions",)

    def __init__(self, sessions: Mapping[str, Session]) -> None:
        self._sessions = sessions

    def __repr__(self) -> str:
        return repr(dict(self.items()))

    def __getitem__(self, id: str) -> Client[Any]:
        return self._sessions[id].client

    def __contains__(self, id: object) -> bool:
        return id in self._sessions

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._sessions))

    def values(self) -> ValuesView[Client[Any]]:
        return _Values(self)

    def items(self) -> ItemsView[str, Client[Any]]:
        return _Items(self)

    def snapshot(self) -> list[Client[Any]]:
        """Return the clients at this moment."""
        return [session.client for session in self._sessions.values()]


class _Values(ValuesView[Client[Any]]):
    def __init__(self, view: ClientsView) -> None:
        super().__init__(view)
        self._view = view

    def __iter__(self) -> Iterator[Client[Any]]:
        return iter(self._view.snapshot())


class _Items(ItemsView[str, Client[Any]]):
    def __init__(self, view: ClientsView) -> None:
        super().__init__(view)
        self._view = view

    def __iter__(self) -> Iterator[tuple[str, Client[Any]]]:
        return iter([(client.id, client) for client in self._view.snapshot()])
