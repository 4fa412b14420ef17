"""The link on a fake clock: when it connects, pings and gives up, and what it sends then."""

import os
import subprocess
from pathlib import Path

from ..harness.node import LIBRARY, PATIENCE, find_node


def test_what_it_does_on_a_fake_clock() -> None:
    command = [find_node(), "--test", str(Path(__file__).with_name("clock.mjs"))]
    environment = {**os.environ, "LIBRARY": str(LIBRARY / "simplysocket.js")}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "fail 0" in ran.stdout
    assert "cancelled 0" in ran.stdout
