"""Sessions: what the server keeps for each client: its connection, rooms, rates and requests.

Open session.py first. Each other module is one part of a session, except clients_view.py and
outbound_hooks.py, which serve all sessions of a server.

Law: only the session knows its connection.
"""
