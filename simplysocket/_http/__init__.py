"""Everything that is said in HTTP on the port: request heads, upgrades, pages and static files.

Law: a client's first message has not been read here.
"""
