"""What a lobby is made of: what rooms publish, the searches through it, places that are kept, and codes.

Open overview.py first: it knows all rooms. matchmaking.py puts clients into them, changes.py tells of them.
"""
