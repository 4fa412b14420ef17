"""The command line: finding a server, running it, reloading it, and checking its settings.

Law: only `__main__` imports from here.
"""
