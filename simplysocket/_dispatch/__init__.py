"""Dispatch: the way of a message from its bytes to an inbox, and in its turn to its handler.

Open inbound.py first: it takes each message that a connection has read, and puts it into the
inbox of its room. registry.py finds the handler when the message has its turn.

Law: every message is handled or answered.
"""
