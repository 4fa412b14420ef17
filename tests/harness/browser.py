"""A real browser and its pages, and an example as a process of its own."""

import contextlib
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Locator, Page, expect, sync_playwright

from . import ROOT

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 20_000  # milliseconds that the browser may take; passed only when something is broken
HURRY = "const random = Math.random; Math.random = () => random() / 1000;"  # the shortest pauses between attempts


def find_chromium() -> str:
    """Return the path of Debian's chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("this test drives Debian's chromium: apt-get install chromium")
    return chromium


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Open Debian's chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        expect.set_options(timeout=PATIENCE)
        yield browser
        browser.close()


@contextlib.contextmanager
def open_pages(browser: Browser) -> Iterator[Callable[[], Page]]:
    """Give a function that opens a page in a context of its own.

    At the end no script may have failed, and no error may stand in the console. Of attempts to connect that fail the
    browser itself writes there.
    """
    contexts: list[BrowserContext] = []
    faults: list[Error | str] = []

    def hear(said: ConsoleMessage) -> None:
        if said.type == "error" and "WebSocket connection to" not in said.text:
            faults.append(said.text)

    def open_page() -> Page:
        context = browser.new_context()
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.add_init_script(HURRY)
        page = context.new_page()
        page.on("pageerror", lambda fault: faults.append(fault))
        page.on("console", hear)
        return page

    try:
        yield open_page
    finally:
        for context in contexts:
            context.close()
    assert not faults, faults


def people_on(page: Page) -> Locator:
    """Return the names in the list of an example's page that shows who is here."""
    return page.get_by_role("list", name="Who is here").get_by_role("listitem").locator(".name")


@contextlib.contextmanager
def run_example(module: str, *arguments: str) -> Iterator["Process"]:
    """Run an example during the block: a module, or `module:server` by the command line, with arguments of its own."""
    process = Process(module, *arguments)
    try:
        yield process
    finally:
        process.kill()


class Process:
    """The example as a process of its own, as a reader of the docs starts it."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.url = ""
        program = ["simplysocket", "run", module] if ":" in module else [module]
        self._command = [sys.executable, "-m", *program, *arguments]
        self.start()

    def start(self) -> None:
        """Start it, on the same port as before if it ran already, and wait until it has printed its address."""
        port = self.url.rpartition(":")[2] or "0"
        command = [*self._command, "--port", port]
        self._process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        lines: list[str] = []  # on a busy machine, it may first say that it was held up
        while not (found := re.search(r"http://\S+:\d+", lines[-1] if lines else "")):
            lines.append(self._process.stderr.readline())
            if not lines[-1]:
                self.kill()
                raise AssertionError(f"the example printed no address, but {lines}")
        self.url = found[0]

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> int:
        """Stop it as Ctrl+C does, and return its exit status."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.communicate(timeout=PATIENCE / 1000)
        finally:
            self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """End it if it still runs."""
        if self.is_running:
            self._process.kill()
        self._process.communicate()
