"""A running server: how it is put together, whom it admits, where it listens, how it starts and stops.

Law: every nursery of the server is opened here.
"""
