"""Brokers: what carries a room's messages to its members, on this machine or on several.

A server takes one with `Server(broker=...)`; by default each server has a `MemoryBroker`.
"""

from .broker import Batch, Broker, Channel
from .memory import MemoryBroker

__all__ = ["Batch", "Broker", "Channel", "MemoryBroker"]
