"""TLS for tests: a server's certificate, and a client that trusts it."""

import ssl

import trustme

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]  # of the server, and of a client that trusts it


def make_contexts() -> Contexts:
    """Return the context of a server on 127.0.0.1, and that of a client."""
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    return server, client
