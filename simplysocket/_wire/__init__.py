"""One connection: bytes from the socket become messages, and frames go back to the socket.

A message enters in reader.py and a frame leaves in writer.py; connection.py composes them.

Law: nothing here knows rooms or sessions.
"""
