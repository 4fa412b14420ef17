"""Prints the lowest version of each package that pyproject.toml allows: `trio>=0.31` becomes `trio==0.31`.

    python tests/lowest.py

`make test-lowest` installs exactly these versions, those of all extras included. Of the packages that these bring along
pip takes the newest that fits.
"""

import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[1] / "pyproject.toml"

_LOWER_BOUND: Final = re.compile(r"([\w.-]+(?:\[[\w,-]+\])?)>=([\w.]+)")


def lowest(project: str) -> list[str]:
    """Return the requirements of the text of a pyproject.toml and of all its extras, each at its lower bound."""
    table = tomllib.loads(project)["project"]
    requirements = {*table["dependencies"], *chain.from_iterable(table["optional-dependencies"].values())}
    return [_at_lower_bound(each) for each in sorted(requirements)]


def _at_lower_bound(requirement: str) -> str:
    parts = _LOWER_BOUND.fullmatch(requirement)
    if parts is None:
        raise SystemExit(f"pyproject.toml: {requirement!r} has no lower bound that is read here: write `name>=version`")
    return f"{parts[1]}=={parts[2]}"


if __name__ == "__main__":
    print("\n".join(lowest(PROJECT.read_text("utf-8"))))
