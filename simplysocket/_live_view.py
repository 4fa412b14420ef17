"""Live views: the package's own objects by key, as the application sees them.

Law: a view copies nothing until it is iterated, and changes nothing.
"""

from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from typing import Any, Generic, TypeVar

Held = TypeVar("Held")
Shown = TypeVar("Shown")


class LiveView(Mapping[str, Shown], Generic[Held, Shown]):
    """A live, read-only view of {key: object} as {key: show(object)}.

    An iteration goes over a snapshot that is taken when it begins, so objects may come and go meanwhile.
    """

    __slots__ = ("_held", "_show")

    def __init__(self, held: Mapping[str, Held], show: Callable[[Held], Shown]) -> None:
        """`show` returns what the application sees of an object, such as the client of a session."""
        self._held = held
        self._show = show

    def __repr__(self) -> str:
        return repr(dict(self.items()))

    def __getitem__(self, key: str) -> Shown:
        return self._show(self._held[key])

    def __contains__(self, key: object) -> bool:
        return key in self._held

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._held))

    def values(self) -> ValuesView[Shown]:
        return _Values(self)

    def items(self) -> ItemsView[str, Shown]:
        return _Items(self)

    def snapshot(self) -> list[tuple[str, Shown]]:
        """Return the items at this moment."""
        show = self._show
        return [(key, show(held)) for key, held in self._held.items()]


class _Values(ValuesView[Shown]):
    def __init__(self, view: LiveView[Any, Shown]) -> None:  # Any: what the view holds
        super().__init__(view)
        self._snapshot = view.snapshot

    def __iter__(self) -> Iterator[Shown]:
        return iter([shown for _, shown in self._snapshot()])


class _Items(ItemsView[str, Shown]):
    def __init__(self, view: LiveView[Any, Shown]) -> None:  # Any: what the view holds
        super().__init__(view)
        self._snapshot = view.snapshot

    def __iter__(self) -> Iterator[tuple[str, Shown]]:
        return iter(self._snapshot())
