"""All worlds that can be reached, and the promises that must hold in each of them.

python -m tests.resuming.search    # the whole search: two million worlds, half an hour
"""

import time
from collections import deque
from collections.abc import Callable

from .model import Offer, Server
from .world import Plan, Step, Welcome, World, not_seen, of_client, promise, steps

NO_MORE = 0  # the token of a client without one

# {name: what may happen}. Each is about one thing beside drops and late attempts.
PLANS = {
    "plain": Plan(),
    "volatile": Plan(server=("~s1", "s2")),
    "coalesced": Plan(server=("=s1", "=s2"), drops=2, stalls=1),
    "request": Plan(client=("?c1", "c2"), server=("s1",), give_ups=1),
    "acknowledged": Plan(client=("c1",), server=("s1", "s2"), pings=1),
    "short": Plan(client=("?c1",), server=("s1", "s2"), most=1),
    "slow": Plan(client=("?c1",), server=("s1", "s2"), drops=2, stalls=1, slow=1),
    "late": Plan(client=("c1",), server=("s1", "~s2"), stalls=1),
    "reload": Plan(client=("?c1", "c2"), server=("s1",), drops=2, reloads=1),
    "grace": Plan(client=("?c1", "c2"), server=("s1", "s2"), drops=2, graces=1),
}


def normal(world: World) -> World:
    """Return the world that stands for all that differ from it only in numbers, or in what nobody asks for again."""
    names = {NO_MORE: NO_MORE}
    offers = [each.up[0].token for each in world.connections if each.up and isinstance(each.up[0], Offer)]
    needed = {world.client.token, *offers}
    welcomes = [each for connection in world.connections for each in connection.down if isinstance(each, Welcome)]
    sessions = {world.session, *(each.session for each in welcomes), *(number for number, _ in world.sessions)}

    def name(number: int) -> int:
        return names.setdefault(number, len(names))

    def named(server: Server) -> Server:
        return server._replace(
            valid=tuple(each._replace(number=name(each.number)) for each in server.valid),
            superseded=tuple(sorted(name(each) for each in server.superseded if each in needed)),
            connection=None if server.connection is None else name(server.connection),
        )

    connections = tuple(each._replace(number=name(each.number)) for each in world.connections)
    return world._replace(
        client=world.client._replace(token=name(world.client.token)),
        sessions=tuple((name(number), named(server)) for number, server in world.sessions),
        connections=tuple(
            each._replace(
                up=tuple(one._replace(token=name(one.token)) if isinstance(one, Offer) else one for one in each.up),
                down=tuple(
                    one._replace(answer=one.answer._replace(token=name(one.answer.token)), session=name(one.session))
                    if isinstance(one, Welcome)
                    else one
                    for one in each.down
                ),
                session=None if each.session is None else name(each.session),
            )
            for each in connections
        ),
        said=tuple((name(number), words) for number, words in world.said if number in sessions),
        session=name(world.session),
        numbers=len(names) - 1,
    )


def judge(world: World) -> None:
    """Check the promises in a world in which nothing is under way."""
    client, connection = world.client, of_client(world)
    promise(client.is_open and connection is not None, "the client is connected")
    promise(len(world.connections) == len(world.sessions) == 1, "nothing is left of other connections and sessions")
    (number, server), *_ = world.sessions
    promise(connection is not None and connection.session == number == world.session, "it has its session")
    promise((client.received, server.received) == (server.sent, client.sent), "both sides count alike")
    promise(not not_seen(world), "the client has seen everything, or was told")
    promise(set(world.asked[world.handled :]) <= world.given_up, "the server has handled everything, or it was told")
    promise(not client.requests, "every request has ended")


class Reached(dict[int, tuple[int, int] | None]):
    """The worlds that were reached, each with the one before and the number of the step from there.

    A world is known by its hash of 64 bits: a million of them share one with a chance of one in ten million.
    """

    def way(self, world: World) -> list[int]:
        """Return the numbers of the steps that lead to a world from the beginning."""
        way, place = [], hash(world)
        while (before := self[place]) is not None:
            place, number = before
            way.append(number)
        return way[::-1]


def explore(plan: Plan, look: Callable[[World, int, Step], None] = lambda world, number, step: None) -> Reached:
    """Go through all worlds that can be reached, and check the promises.

    `look` is called for each step, with the world that it begins in and its number there.
    """
    begin = World(plan)
    reached = Reached({hash(begin): None})
    line = deque([begin])
    while line:
        world = line.popleft()
        is_under_way = False
        for number, step in enumerate(steps(world)):
            is_under_way = is_under_way or step.is_free
            look(world, number, step)
            then = normal(step.world)
            place = hash(then)
            if place not in reached:
                reached[place] = (hash(world), number)
                line.append(then)
        if not is_under_way:
            judge(world)
    return reached


def main() -> None:
    for name, plan in PLANS.items():
        began = time.monotonic()
        reached = explore(plan)
        print(f"{name}: {len(reached):,} worlds in {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
