"""What bytes mean: messages as JSON, WebSocket frames, delivery classes, reserved names.

Law: no trio, no clock, no I/O.
"""
