"""The machine of the browser's client does what the model of coming back does, in every trace."""

from pathlib import Path

from ..harness import ROOT
from ..harness.node import LIBRARY, run_script

HERE = Path(__file__).parent


def test_the_machine_does_what_every_trace_says() -> None:
    traces = ROOT / "tests" / "resuming" / "traces.json"
    done = run_script(HERE / "traces.mjs", str(LIBRARY / "simplysocket.js"), str(traces))
    assert done["wrong"] == []
    assert done["traces"] > 100
    assert done["steps"] > 1_000
