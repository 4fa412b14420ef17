"""Sessions: what the server keeps for each client: its connection, rooms, rates and requests.

Open session.py first. Each other module is one part of a session, except outbound_hooks.py,
which serves all sessions of a server.

Law: only the session knows its connection.
"""
