"""Speed and memory, side by side with a plain trio-websocket server: `python -m tests.benchmarks`.

Benchmarks are not tests: nothing here asserts a time. Only messages that the product loses fail the run.
"""
