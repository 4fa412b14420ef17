"""One client over its connections: its session, rates, requests, and the handlers that end with it.

Law: only the session knows its connection.
"""
