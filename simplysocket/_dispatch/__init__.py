"""A message's way to its handler: bytes to an inbox, built-in actions, and in its turn the handler itself.

Law: every message is handled or answered.
"""
