"""Brokers: they carry the messages of rooms to their members, on one machine or on several.

Give a server its broker with `Server(broker=...)`; the default is a `MemoryBroker`. Open
broker.py first: it says what a broker must do.
"""

from .broker import Batch, Broker, Channel
from .memory import MemoryBroker

__all__ = ["Batch", "Broker", "Channel", "MemoryBroker"]
