"""The values that `Server.tree()` returns, under the name they are imported by; see introspection.py."""

from .introspection import RoomView, Task, Tree

__all__ = ["RoomView", "Task", "Tree"]
