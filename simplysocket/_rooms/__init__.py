"""Rooms: their turns, members, joins, tasks and timers, and the fan-out to their members.

Open runtime.py first: one room is composed there of its parts, and each part is a module. Then
turns.py, in which handlers run, and fanout.py, through which a broadcast leaves.

Law: a room knows sessions, but no connections and no sockets.
"""
