"""Chromium whose pages can be hidden and frozen: the one that playwright opens shows each of its pages all the time."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator

from playwright.sync_api import BrowserContext, Page, sync_playwright

from .browser import FLAGS, find_chromium


@contextlib.contextmanager
def open_hideable() -> Iterator[BrowserContext]:
    """Open a Chromium of its own; give its context."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = ["--headless", "--remote-debugging-port=0", f"--user-data-dir={folder}", "--no-default-browser-check"]
        command = [find_chromium(), *options, *FLAGS, "about:blank"]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.connect_over_cdp(_address(process), no_defaults=True)
                yield browser.contexts[0]
                browser.close()
        finally:
            process.terminate()
            process.communicate()


def _address(process: "subprocess.Popen[str]") -> str:
    """Return where Chromium is driven, which it says at its start."""
    assert process.stderr is not None
    lines: list[str] = []
    while not (lines and lines[-1].startswith("DevTools listening on ")):
        lines.append(process.stderr.readline())
        assert lines[-1], f"Chromium has not started: {lines}"
    return lines[-1].split()[-1]


@contextlib.contextmanager
def hidden(page: Page) -> Iterator[None]:
    """Hide a page behind another tab during the block."""
    with contextlib.closing(page.context.new_page()) as other:
        other.bring_to_front()
        assert page.evaluate("document.visibilityState") == "hidden"
        yield
        page.bring_to_front()
    assert page.evaluate("document.visibilityState") == "visible"


@contextlib.contextmanager
def frozen(page: Page) -> Iterator[None]:
    """Hide and freeze a page during the block, as a browser does with pages that nobody looks at.

    It closes their WebSockets; the pages hear of it when they go on.
    """
    session = page.context.new_cdp_session(page)
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    yield
    session.send("Page.setWebLifecycleState", {"state": "active"})
    session.detach()
    page.bring_to_front()
