"""The page of the chat example, as its tests use it."""

from collections.abc import Sequence
from typing import Protocol

from playwright.sync_api import Locator, Page, expect


class Enter(Protocol):
    """Opens the page and enters a name."""

    def __call__(self, name: str, closes: Sequence[int] = (), room: str = "") -> Page:
        """Enter as `name`, by a link to `room`; the first connections are closed with the codes in `closes`."""


def join(page: Page, room: str) -> None:
    page.get_by_label("Join or create a room").fill(room)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=room)).to_be_visible()


def write(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def log(page: Page) -> Locator:
    return page.get_by_role("log")
