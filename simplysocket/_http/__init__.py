"""Everything that is said in HTTP on the port: request heads, upgrades, pages and static files.

Law: no message of a client is read here.
"""
