"""The WebSocket conformance suite of Autobahn against the product: `make conformance`."""
