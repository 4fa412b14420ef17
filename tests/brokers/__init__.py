"""Brokers: what every broker promises, and what becomes of a room when one fails."""
