"""The report of `check`: a server's description and its warnings, as tables or as JSON.

Law: it prints what it is given, and decides nothing.
"""

import json
import math
import os
from collections.abc import Iterable, Sequence
from typing import Any, Final

import attrs
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from .._memory_bound import lifted
from ..introspection import ActionInfo, Description, RoomInfo
from ..limits import Limits
from .settings_check import Unsafe

_LEAST_COLUMNS: Final = 100  # columns of the output at least, when it is not a terminal


def print_report(description: Description, findings: Sequence[Unsafe], *, all_limits: bool) -> None:
    """Print the tables to stdout."""
    console = Console(highlight=False)
    if not console.is_terminal and console.width < _LEAST_COLUMNS:
        console.width = _LEAST_COLUMNS
    console.print(_overview(description))
    if description.actions:
        console.print(_actions(description.actions))
    if description.rooms:
        console.print(_rooms(description.rooms))
    console.print(_limits(description.limits, all_limits=all_limits))
    console.print(_memory(description.limits))
    console.print(_findings(findings))


def to_json(description: Description, findings: Sequence[Unsafe]) -> str:
    """Return a JSON object with the fields of `Description`, `memory_bound` (null if infinite) and `warnings`."""
    fields: dict[str, Any] = attrs.asdict(description)
    bound = description.limits.memory_bound()
    fields["memory_bound"] = None if math.isinf(bound) else bound
    fields["warnings"] = [attrs.asdict(finding) for finding in findings]
    return json.dumps(fields, indent=2)


def _table(title: str, columns: Iterable[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(
        title=Text(title), title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
    )
    for column in columns:
        table.add_column(Text(column, "dim"), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))  # as Text, so that brackets in a name or an annotation are not read as markup
    return table


def _overview(description: Description) -> RenderableType:
    origins = description.origins
    lines = {
        "WebSockets at": ", ".join(description.paths),
        "files under": ", ".join(description.static),
        "pages from": "the same host and port" if origins is None else ", ".join(origins) or "nowhere",
        "asked for as": "any host" if description.hosts is None else ", ".join(description.hosts) or "nothing",
        "trusted proxies": ", ".join(description.trusted_proxies),
        "authenticated": _yes(description.is_authenticated),
        "relay": _yes(description.relay),
        "direct messages": _yes(description.direct),
        "rooms of any name": _yes(description.open_rooms),
        "connections of a user": _number(description.connections_per_user),
        "middleware": ", ".join(description.middleware),
    }
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, value in lines.items():
        grid.add_row(Text(name, "dim"), Text(value or "none"))
    return Group(Text(description.name, "bold"), grid, "")


def _actions(actions: Sequence[ActionInfo]) -> RenderableType:
    rows: list[tuple[str, ...]] = [
        (each.name, each.room_class or "any room", each.body, _yes(each.turn), _yes(each.cancel), _short(each.place))
        for each in actions
    ]
    columns: tuple[str, ...] = ("name", "in", "body", "turn", "cancel", "where")
    if any(each.only for each in actions):
        rows = [(*row[:-1], each.only or "anyone", row[-1]) for row, each in zip(rows, actions, strict=True)]
        columns = (*columns[:-1], "only", columns[-1])
    return Group(_table("Actions", columns, rows), "")


def _rooms(rooms: Sequence[RoomInfo]) -> RenderableType:
    columns = ("pattern", "class", "capacity", "relay", "opened by a join", "announce", "lives on empty")
    found = [
        (
            each.pattern,
            each.class_name,
            "the server's" if each.capacity is None else str(each.capacity),
            "the server's" if each.relay is None else _yes(each.relay),
            _yes(each.open),
            _yes(each.announce),
            "until closed" if each.empty_ttl is None else f"{each.empty_ttl:g} s",
        )
        for each in rooms
    ]
    return Group(_table("Rooms", columns, found), "")


def _limits(limits: Limits, *, all_limits: bool) -> RenderableType:
    rows = [
        (field.name, _number(getattr(limits, field.name)), _number(field.default))
        for field in attrs.fields(Limits)
        if all_limits or getattr(limits, field.name) != field.default
    ]
    if not rows:
        return Group(Text("Limits: all as by default (--all shows them)"), "")
    return Group(
        _table("Limits" if all_limits else "Limits that are not the default", ("name", "value", "default"), rows), ""
    )


def _memory(limits: Limits) -> RenderableType:
    bound, names = limits.memory_bound(), lifted(limits)
    if names:
        verb = "is" if len(names) == 1 else "are"
        said = f"no bound, since {', '.join(names)} {verb} lifted"
    else:
        said = f"at most {_size(bound)} (Limits.memory_bound)"
    return Group(Text.assemble("Memory that clients can make it hold: ", said), "")


def _findings(findings: Sequence[Unsafe]) -> RenderableType:
    if not findings:
        return Text("No warnings: nothing in the settings is unsafe.", "green")
    lines: list[RenderableType] = [Text(f"Warnings ({len(findings)})", "bold yellow")]
    for each in findings:
        lines.append(Text.assemble((each.setting, "yellow"), f": {each.problem}"))
        lines.append(Text(f"    {each.remedy}"))
    return Group(*lines)


def _short(place: str) -> str:
    """Return a place relative to the current directory, if it is below it."""
    return place.removeprefix(os.getcwd() + os.sep)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _number(value: float | None) -> str:
    return "no limit" if value is None else f"{value:,}"


def _size(count: float) -> str:
    """Return a number of bytes with the unit that suits it, such as `1.5 GiB`."""
    for unit in ("KiB", "MiB"):
        count /= 1_024
        if count < 1_000:
            return f"{count:.1f} {unit}"
    return f"{count / 1_024:,.1f} GiB"
