"""Serving: how a server is put together, starts, admits clients, and stops.

Open lifecycle.py first: it opens the nurseries, serves and drains. assembly.py makes the
parts of the server, admission.py admits each client, listeners.py opens the sockets, and
signals.py stops a program on a signal.

Law: the nurseries of all rooms, all connections and all listeners are opened here, and only here.
"""
