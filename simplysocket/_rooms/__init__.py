"""Rooms at work: turns, members, joins and leaves, tasks and timers, and the fan-out to members.

Law: sessions only; connections and sockets are unknown here.
"""
