"""The protocol: messages as JSON, WebSocket frames, delivery classes and reserved names.

Open codec.py first, which reads and writes messages, then frames.py, which splits and builds
the frames that carry them.

Law: no trio, no clock, no I/O.
"""
