"""A place where JavaScript runs: a process of Node, or a page in a browser. A test says the same to both."""

import json
import os
import signal
import subprocess
from typing import Any, Final, Protocol

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, TimeoutError

from . import ROOT
from .browser import PATIENCE
from .node import LIBRARY, find_node

_DRIVER: Final = ROOT / "tests" / "browser" / "driver.mjs"
_WORDS: Final = ROOT / "tests" / "browser" / "static" / "words.js"


class Script(Protocol):
    """Runs code: the body of an async function, in which the library, `words.js`, `url` and `my` are there.

    `my` keeps what one piece of code leaves for the next. `said` is the console.
    """

    def run(self, code: str, given: Any = None) -> Any:  # Any: JSON
        """Run the code to its end, and return what it returns."""

    def said(self) -> str:
        """Return what was written to the console."""

    def end(self) -> None:
        """End it."""


class NodeScript:
    """A process of Node."""

    def __init__(self, url: str) -> None:
        command = [find_node(), str(_DRIVER), str(LIBRARY / "simplysocket.js"), str(_WORDS), f"{url}/ws"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, code: str, given: Any = None) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"code": code, "given": given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process of Node has ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def said(self) -> str:
        said: str = self.run("return said.join('\\n')")
        return said

    def stop(self) -> None:
        """Stop the process as it is, until `go_on`: what a machine that sleeps does to it."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


class PageScript:
    """A page of the tests' server."""

    def __init__(self, context: BrowserContext, url: str, page: Page | None = None) -> None:
        self.page = page or context.new_page()
        self._said: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("requestfailed", lambda request: self._said.append(f"{request.url}: {request.failure}"))
        self.page.on("response", lambda got: got.status >= 400 and self._said.append(f"{got.url}: {got.status}"))
        self.page.on("pageerror", lambda error: self._said.append(f"page error: {error}"))
        self.page.set_default_timeout(PATIENCE)
        if page is None:
            self.page.goto(url)
        self.wait()

    def wait(self) -> None:
        """Wait until the page has loaded the library."""
        try:
            self.page.wait_for_function("globalThis.isReady")
        except TimeoutError as error:
            raise AssertionError(f"the page did not load: {self.said()}") from error

    def reload(self) -> None:
        self.page.reload()
        self.wait()

    def run(self, code: str, given: Any = None) -> Any:
        return self.page.evaluate("async (given) => {" + code + "\n}", given)

    def said(self) -> str:
        return "\n".join(self._said)

    def end(self) -> None:
        if not self.page.is_closed():  # with its browser
            self.page.close()

    def _hear(self, message: ConsoleMessage) -> None:
        if "WebSocket connection to" not in message.text:  # the browser's own, for each attempt that fails
            self._said.append(message.text)
