"""Authentication and roles: signed tokens say who a client is, what it may do, and for how long.

    export AUTH_SECRET=$(python -c "import secrets; print(secrets.token_hex())")
    python -m examples.auth.server token Ana --role admin
    python -m examples.auth.server token Ben --minutes 2
    python -m examples.auth.server

The second and the third command each print a link. Open the links while the server runs.
"""

import argparse
import hmac
import os
import secrets
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
import msgspec

from simplysocket import ActionError, Actions, Call, Client, CloseCode, Identity, Next, Refuse, Request, Server

# Without AUTH_SECRET the server makes a secret that nobody knows, so it refuses every token.
SECRET = os.environ.get("AUTH_SECRET") or secrets.token_hex()

server = Server("auth", open_rooms=False)
server.static("/", Path(__file__).with_name("static"))


# --- tokens: the claims, then a dot, then the signature


Role = Literal["member", "admin"]


@attrs.frozen
class Claims:
    """What a token says. Anybody can read it; making one needs the secret."""

    user: str
    role: Role
    expires_at: float  # seconds since the epoch


def sign(text: str) -> str:
    """Return the signature of a text; it cannot be made without the secret."""
    return hmac.digest(SECRET.encode(), text.encode(), "sha256").hex()


def make_token(claims: Claims) -> str:
    """Return a signed token with these claims."""
    text = msgspec.json.encode(claims).hex()
    return f"{text}.{sign(text)}"


def read_token(token: str) -> Claims:
    """Return the claims of a token; `Refuse` if it was not signed here or has expired."""
    text, _, signature = token.partition(".")
    if not hmac.compare_digest(signature.encode(), sign(text).encode()):
        raise Refuse(401, "this token was not made here")
    claims = msgspec.json.decode(bytes.fromhex(text), type=Claims)
    if claims.expires_at <= time.time():
        raise Refuse(401, "this token has expired", expired=True)
    return claims


# --- connecting and disconnecting


@server.authenticate
async def authenticate(request: Request) -> Identity:
    """Accept a client that has a valid token; when the token expires, the connection is closed with 3005."""
    if request.token is None:
        raise Refuse(401, "a token is needed")
    claims = read_token(request.token)
    return Identity(claims.user, name=claims.user, claims={"role": claims.role}, expires_at=claims.expires_at)


def role_of(client: Client) -> str:
    """Return the role that the client's token gives it."""
    return client.identity.claims["role"] if client.identity else ""


def card_of(client: Client) -> dict[str, str]:
    """Return what other clients may know about a client."""
    return {"client": client.id, "name": client.name, "role": role_of(client)}


@server.on_connect
async def greet(client: Client) -> None:
    """Tell the other clients that a client has connected."""
    await server.broadcast("came", card_of(client))


@server.on_disconnect
async def see_off(client: Client) -> None:
    """Tell the other clients that a client has disconnected."""
    await server.broadcast("went", card_of(client))


# --- actions for everyone


@server.action("me")
async def me(client: Client) -> dict[str, Any]:
    """Reply with who the client is. A page asks each time it has connected: its session may be an older one."""
    return {**card_of(client), "expires_at": client.identity.expires_at if client.identity else None}


@attrs.frozen
class Say:
    """A text that is not only white space."""

    text: Annotated[str, msgspec.Meta(max_length=500, pattern=r"\S")]


@server.action("people")
async def people() -> list[dict[str, str]]:
    """Reply with all connected clients."""
    return [card_of(client) for client in server.clients.values()]


@server.action("say")
async def say(client: Client, body: Say) -> None:
    """Send a text to everyone, including the client that wrote it."""
    await server.broadcast("said", {"name": client.name, "text": body.text}, sender=client)


# --- actions for admins only

admin = Actions(prefix="admin.")


@attrs.frozen
class SendOut:
    """Which client to send out."""

    client: str  # its id


@admin.middleware
async def only_admins(call: Call, next: Next) -> object:
    """Let only admins use the actions of this group."""
    if role_of(call.client) != "admin":
        raise ActionError("forbidden", "only an admin may do this")
    return await next(call)


@admin.action("send-out")
async def send_out(client: Client, body: SendOut) -> None:
    """Close a client's connection; its page does not connect again by itself."""
    other = server.clients.get(body.client)
    if other is None:
        raise ActionError("unknown-target", "this client is no longer connected", path="$.client")
    await other.close(CloseCode.KICKED, f"{client.name} has sent you out")


server.include(admin)


def main() -> None:
    """Read the command line; print a token, or run until Ctrl+C."""
    parser = argparse.ArgumentParser(description="A server that accepts only clients with a signed token.")
    parser.add_argument("--host", default="localhost", help="the address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="the port; 0 takes a free port (default: %(default)s)")
    commands = parser.add_subparsers(dest="command")
    token = commands.add_parser("token", help="print a link with a token, instead of running the server")
    token.add_argument("user", help="the user that the token is for")
    token.add_argument("--role", choices=["member", "admin"], default="member")
    token.add_argument("--minutes", type=float, default=60, help="how long the token is valid (default: %(default)s)")
    arguments = parser.parse_args()
    if not os.environ.get("AUTH_SECRET"):
        parser.error('no secret: export AUTH_SECRET=$(python -c "import secrets; print(secrets.token_hex())")')
    if arguments.command == "token":
        claims = Claims(arguments.user, arguments.role, time.time() + arguments.minutes * 60)
        print(f"http://{arguments.host}:{arguments.port}/#{make_token(claims)}")
    else:
        server.run(arguments.host, arguments.port)


if __name__ == "__main__":
    main()
