"""How many small messages a second a page receives and hands on, with our client and with a bare WebSocket.

Run: python -m tests.benchmarks.page

Headless Chromium asks a server for messages, in turn with `/simplysocket.js` and a handler, and with a WebSocket,
JSON.parse and a comparison of the action; which goes first changes from round to round. The time is that from the first
message to the last.
"""

import argparse
import statistics

from playwright.sync_api import Page

from tests.benchmarks.runs import ServerProgram, machine, run_command, running
from tests.harness.browser import open_browser

MESSAGES = 30_000  # in a round
GOAL, SHARE = 50_000, 0.8  # messages a second, or this share of the bare WebSocket

SCRIPTS = {
    "simplysocket.js": """async (count) => {
        const { connect } = await import("/simplysocket.js");
        return new Promise((resolve, reject) => {
            const socket = connect();
            let heard = 0, began = 0;
            socket.on("tick", () => {
                if (!heard) began = performance.now();
                heard += 1;
                if (heard < count) return;
                resolve((1000 * count) / (performance.now() - began));
                socket.close();
            });
            socket.onState(({ state, reason }) => state === "closed" && reject(new Error(reason)));
            socket.send("flood", count);
        });
    }""",
    "bare WebSocket": """(count) => new Promise((resolve, reject) => {
        const socket = new WebSocket(`ws://${location.host}/ws`, ["simplysocket.json"]);
        let heard = 0, began = 0;
        socket.onopen = () => socket.send(JSON.stringify({ action: "flood", message_body: count }));
        socket.onmessage = ({ data }) => {
            const { action } = JSON.parse(data);
            if (action !== "tick") return;
            if (!heard) began = performance.now();
            heard += 1;
            if (heard < count) return;
            resolve((1000 * count) / (performance.now() - began));
            socket.close();
        };
        socket.onclose = ({ reason }) => reject(new Error(reason));
    })""",
}


def measure(page: Page, rounds: int) -> dict[str, list[float]]:
    """Return the messages a second of each side, round by round."""
    found: dict[str, list[float]] = {name: [] for name in SCRIPTS}
    for number in range(rounds):
        for name in list(SCRIPTS)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(page.evaluate(SCRIPTS[name], MESSAGES))
    return found


def main() -> int:
    """Print the figures of all rounds."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.page", description="How fast a page is.")
    parser.add_argument("--rounds", type=int, default=7, help="pairs of runs")
    rounds = parser.parse_args().rounds
    print(machine())
    with running(ServerProgram("product", "page_server")) as server, open_browser() as browser:
        page = browser.new_page()
        page.set_default_timeout(0)
        page.goto(f"http://127.0.0.1:{server.port}/health")
        found = measure(page, rounds)
    for name, each in found.items():
        print(f"{name:<16} {statistics.median(each):>9,.0f} messages/s (from {min(each):,.0f} to {max(each):,.0f})")
    ours, bare = found.values()
    ratio = statistics.median(a / b for a, b in zip(ours, bare, strict=True))
    met = statistics.median(ours) >= GOAL or ratio >= SHARE
    print(f"ratio {ratio:.2f} (goal: {SHARE}, or {GOAL:,} messages a second): {'met' if met else 'not met'}")
    return 0


if __name__ == "__main__":
    run_command(main)
