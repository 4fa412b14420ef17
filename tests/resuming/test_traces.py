"""The package's machines do what the model does, in every trace; and the traces are those of the model."""

import pytest

from . import traces
from .sides import ClientMachine, ServerMachine

TRACES = traces.read()
WALKED = [trace for trace in TRACES if "way" in trace]


def name_of(trace: traces.Json) -> str:
    return trace.get("script") or f"{trace['plan']} {'.'.join(map(str, trace['way']))}"


@pytest.mark.parametrize("trace", TRACES, ids=name_of)
def test_the_machines_do_what_the_trace_says(trace: traces.Json) -> None:
    client, server = ClientMachine(), ServerMachine(trace.get("keeps", 9))
    for number, step in enumerate(trace["steps"]):
        out = client.step(step) if "client" in step else server.step(step)
        assert out == step.get("out"), f"step {number}: {step}"


@pytest.mark.parametrize("trace", WALKED, ids=name_of)
def test_a_trace_is_what_the_model_does_now(trace: traces.Json) -> None:
    written = traces.written(traces.events_of(trace["plan"], trace["way"]))
    assert trace["steps"] == written, "run python -m tests.resuming.traces"
