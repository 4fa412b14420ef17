"""The values that `Server.describe()` returns, under the name they are imported by; see introspection.py."""

from .introspection import ActionInfo, Description, RoomInfo

__all__ = ["ActionInfo", "Description", "RoomInfo"]
