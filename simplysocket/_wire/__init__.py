"""One connection: bytes from the socket to whole messages, and frames back to the socket.

Law: knows nothing of rooms and sessions.
"""
