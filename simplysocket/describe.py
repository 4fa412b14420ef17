"""The classes of what `Server.describe()` returns, under their earlier module name: see introspection.py."""

from .introspection import ActionInfo, Description, RoomInfo

__all__ = ["ActionInfo", "Description", "RoomInfo"]
