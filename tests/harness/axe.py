"""What axe-core finds in a page that would keep a person out."""

import itertools
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

View: TypeAlias = tuple[tuple[int, int], Literal["light", "dark"]]
"""A size of the window, and the colours that its owner prefers."""

SIZES: Final = ((390, 844), (1440, 900))
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
VIEWS: Final[tuple[View, ...]] = tuple(itertools.product(SIZES, SCHEMES))


def faults(page: Page, views: Iterable[View] = VIEWS) -> list[str]:
    """Return what is serious in each of these views of a page, and whether it is wider than the window."""
    found = []
    for (width, height), scheme in views:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        violations: list[dict[str, Any]] = Axe().run(page).response["violations"]
        for each in violations:
            if each["impact"] in ("serious", "critical"):
                nodes = [node["html"] for node in each["nodes"]]
                found.append(f"{width}, {scheme}: {each['id']}: {each['help']}: {nodes}")
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append(f"{width}: wider than the window")
    return found
