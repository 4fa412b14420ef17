"""The listing: the rooms of a server that `list-rooms` shows, by name.

Laws:
- A room is listed from the end of its `on_create` to its own end, unless it is hidden: one that hides itself in
  `on_create` was never listed.
- A page costs no look at the rooms that are not on it, hidden ones included.
"""

from typing import TYPE_CHECKING

from .sorted_names import SortedNames

if TYPE_CHECKING:
    from .directory import Directory
    from .runtime import RoomRuntime


class Listing:
    """The names of the rooms that are listed. The global room is not."""

    __slots__ = ("_names", "directory")

    def __init__(self) -> None:
        self._names = SortedNames()
        self.directory: Directory | None = None  # who is told of each change of a room, if anybody is

    def __len__(self) -> int:
        return len(self._names)

    def changed(self, runtime: "RoomRuntime") -> None:
        """Tell the directory that a room has changed: its state, its members, whether it is listed or locked."""
        if self.directory is not None:
            self.directory.changed(runtime)

    def after(self, name: str, most: int) -> list[str]:
        """Return the first names after `name`, at most `most`."""
        return self._names.after(name, most)

    def opened(self, runtime: "RoomRuntime") -> None:
        """List a room whose `on_create` has ended, unless it is hidden."""
        if not (runtime.is_listed or runtime.is_hidden or runtime.is_global):
            runtime.is_listed = True
            self._names.add(runtime.name)
            self.changed(runtime)

    def hide(self, runtime: "RoomRuntime") -> None:
        """Take a room out, now or when it would be listed."""
        runtime.is_hidden = True
        self.closed(runtime)
        self.changed(runtime)  # also one that is not listed yet: a directory may know of it

    def unhide(self, runtime: "RoomRuntime") -> None:
        """List a room again that was hidden, if it is open."""
        runtime.is_hidden = False
        if runtime.is_open and runtime.is_created:
            self.opened(runtime)

    def closed(self, runtime: "RoomRuntime") -> None:
        """Take out a room that has ended."""
        if runtime.is_listed:
            runtime.is_listed = False
            self._names.remove(runtime.name)
            self.changed(runtime)
