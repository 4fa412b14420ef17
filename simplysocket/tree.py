"""The classes of what `Server.tree()` returns, under their earlier module name: see introspection.py."""

from .introspection import RoomView, Task, Tree

__all__ = ["RoomView", "Task", "Tree"]
