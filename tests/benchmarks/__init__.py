"""Speed and memory, side by side with a plain trio-websocket server: `python -m tests.benchmarks`;
and side by side with another commit: `python -m tests.benchmarks.against REF`.

Benchmarks are not tests: nothing here asserts a time. Only messages that the product loses fail the run.
"""
