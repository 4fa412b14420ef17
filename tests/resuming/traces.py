"""Traces of the model, chosen so that each kind of step is in one of them: `traces.json`; README.md tells its format.

python -m tests.resuming.traces    # after a change of the model; about a minute
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .model import Answer, Offer, Server
from .scripts import CLIENT_SCRIPTS, SERVER_SCRIPTS, run_client, run_server
from .search import PLANS, explore
from .world import Event, Plan, Step, World, steps

FILE = Path(__file__).with_name("traces.json")

Json = dict[str, Any]  # Any: JSON
Kind = tuple[object, ...]


def choose() -> list[Json]:
    """Return traces that show every kind of step there is in a search with one drop, as few as are found quickly."""
    chosen: list[Json] = [{"script": name, "steps": written(events)} for name, events in played()]
    ways = [(name, way) for name in PLANS for way in _first_ways(plan_of(name))]
    shows = {place: kinds(*way) for place, way in enumerate(ways)}
    while shows:
        best = max(shows, key=lambda place: len(shows[place]))
        name, way = ways[best]
        chosen.append({"plan": name, "way": way, "keeps": PLANS[name].most, "steps": written(events_of(name, way))})
        shown = shows[best]
        shows = {place: kinds - shown for place, kinds in shows.items() if kinds - shown}
    return chosen


def played() -> Iterator[tuple[str, list[Event]]]:
    """Return the scripts by their names, as the model plays them."""
    for name, script in CLIENT_SCRIPTS.items():
        yield name, list(run_client(script))
    for name, script in SERVER_SCRIPTS.items():
        yield name, list(run_server(script))


def _first_ways(plan: Plan) -> list[list[int]]:
    """Return the shortest way to each kind of step."""
    first: dict[Kind, tuple[World, int]] = {}

    def look(world: World, number: int, step: Step) -> None:
        for event in step.events:
            first.setdefault(kind_of(world, event), (world, number))

    reached = explore(plan, look)
    return [[*reached.way(world), number] for world, number in first.values()]


def plan_of(name: str) -> Plan:
    """Return the plan of this name, as far as it is searched for traces."""
    return PLANS[name]._replace(drops=1)


def kinds(plan: str, way: list[int]) -> set[Kind]:
    """Return the kinds of steps that this way shows."""
    return {kind_of(world, event) for world, step in walk(plan, way) for event in step.events}


def events_of(plan: str, way: list[int]) -> Iterator[Event]:
    """Return what happens on this way through a plan, and then until nothing is under way."""
    for _, step in walk(plan, way):
        yield from step.events


def walk(plan: str, way: list[int]) -> Iterator[tuple[World, Step]]:
    """Yield the steps of a way, each with the world before it, and then what happens until nothing is under way."""
    world = World(plan_of(plan))
    for number in way:
        step = list(steps(world))[number]
        yield world, step
        world = step.world
    while free := [each for each in steps(world) if each.is_free]:
        yield world, free[0]
        world = free[0].world


# --- kinds of steps


def kind_of(world: World, event: Event) -> Kind:
    """Return what makes this event another kind of step: what goes in and comes out, and how it finds its side."""
    finds: Kind = ()
    if event.side == "client":
        client = world.client
        finds = (client.is_open, client.was_taken, *map(bool, (client.kept, client.waiting, client.requests)))
        finds = finds[2:] if event.do == "opened" else finds[1:2] if event.do == "closed" else finds[:1]
    elif (server := _server_of(world, event)) is not None:
        finds = (server.connection is None, server.is_stalled, server.gap)
        if event.do == "offered":
            is_newest = event.given[1].token == server.valid[-1].number
            finds = (*finds, is_newest, *map(bool, (server.valid[1:], server.kept, server.waiting)))
    return (event.side, event.do, *map(_kind, event.given), "->", *map(_kind, event.out), "from", *finds)


def _server_of(world: World, event: Event) -> Server | None:
    for number, server in world.sessions:
        if event.do == "offered":
            is_its = event.given[1].token in (*server.superseded, *(each.number for each in server.valid))
        elif event.do in ("hear", "ping", "lose"):
            is_its = server.connection == event.given[0]
        else:
            is_its = number == event.given[0]
        if is_its:
            return server
    return None


def _kind(value: object) -> object:
    match value:
        case Offer():
            return "new" if not value.token else "reload" if value.received is None else "position"
        case Answer():
            return value.outcome, value.reason
        case str():
            return value[0]
        case bool() | None:
            return value
        case int():
            return value if value > 3000 else "number"
        case tuple():
            return tuple(map(_kind, value))
    raise TypeError(f"{value!r}")


# --- the file


def written(events: Iterable[Event]) -> list[Json]:
    """Return what stands in the file for these events."""
    return [{event.side: event.do, **_given(event), **_out(event)} for event in events]


def _given(event: Event) -> Json:
    match (event.do, *event.given):
        case "offered", connection, Offer() as offer, is_stalled:
            return {"connection": connection, "offer": _entry(offer), **({"stalled": True} if is_stalled else {})}
        case "opened", Answer() as answer:
            return {"resume": _resume(answer)}
        case "say", str(word):
            return {"text": word, **_request(word)}
        case "say", session, word:
            return {"session": session, "text": word}
        case "hear", str(word):
            return {"text": word, **({"answers": word[1:]} if word[0] == "!" else {})}
        case "hear", connection, word:
            return {"connection": connection, "text": word}
        case "ping", connection, received:
            return {"connection": connection, "received": received}
        case "pong", received:
            return {"received": received}
        case "closed", code:
            return {"code": code}
        case "give_up", word:
            return _request(str(word))
        case "lose", connection:
            return {"connection": connection}
        case "stall" | "flow" | "slow" | "grace", session:
            return {"session": session}
        case ("offer" | "ping" | "reload",):
            return {}
    raise ValueError(f"{event!r}")


def _out(event: Event) -> Json:
    match (event.do, *event.out):
        case "offer", Offer() as offer:
            return {"out": {"offer": _entry(offer)}}
        case "offered", Answer("taken"), _:
            return {"out": {"close": 3502}}
        case "offered", Answer() as answer, closed, *frames:
            return {"out": {"resume": _resume(answer), "frames": frames, **({"closed": closed} if closed else {})}}
        case "opened", words, gone:
            return {"out": {"send": list(words), "gone": [each[1:] for each in gone]}}
        case "say" | "flow", *words:
            return {"out": {"send" if event.side == "client" else "frames": words}}
        case "ping" | "hear", received:
            return {"out": {"received": received}}
        case "closed", again:
            return {"out": {"again": again}}
    return {}


def _request(word: str) -> Json:
    return {"id": word[1:]} if word[0] == "?" else {}


def _entry(offer: Offer) -> str:
    if not offer.token:
        return "simplysocket.resume"
    return f"simplysocket.resume.t{offer.token}.{'-' if offer.received is None else offer.received}.{offer.sent}"


def _resume(answer: Answer) -> Json:
    reason = {"reason": answer.reason} if answer.reason else {}
    return {"outcome": answer.outcome, "token": f"t{answer.token}", "received": answer.received, **reason}


def read() -> list[Json]:
    """Return the traces of the file."""
    traces: list[Json] = json.loads(FILE.read_text("utf-8"))
    return traces


def write(traces: list[Json]) -> None:
    lines = (json.dumps(each, separators=(",", ":")) for each in traces)
    FILE.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")


if __name__ == "__main__":
    write(choose())
