"""For those who run a server: the command line, loading, reloading, and the check of settings.

Law: nothing imports from here but __main__.
"""
