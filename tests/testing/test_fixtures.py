"""The fixtures for pytest, in real runs of pytest beside other plugins for async tests."""

from pathlib import Path

import pytest

from ..harness.pytest_run import run_pytest

CONFTEST = """
import pytest, trio
from simplysocket import Server

pytest_plugins = ["simplysocket.testing.fixtures"]

@pytest.fixture
async def database(in_trio):
    await trio.sleep(1)
    yield ["row"]
    await trio.sleep(1)

@pytest.fixture
def server(database):
    return Server(database[0])

@pytest.fixture
async def ana(net):
    return await net.connect("Ana")

@pytest.fixture
def name_of_ana(ana):
    return ana.name

@pytest.fixture
async def ben(net):
    ben = await net.connect("Ben")
    yield ben
    await ben.close()
"""

IN_TRIO = """
import pytest, trio
from simplysocket import Server

async def test_time_is_virtual(net):
    ana = await net.connect("Ana")
    await trio.sleep(50_000)
    assert await ana.settle() == []

async def test_async_fixtures_run_with_the_test(net, ana, ben, name_of_ana):
    assert name_of_ana == ana.name == "Ana"
    assert set(net.server.clients) == {ana.id, ben.id}
    assert net.server.name == "row"

async def test_a_fixture_that_uses_the_net_is_enough(ana):
    assert await ana.request("who") == {"members": [{"client": ana.id, "name": "Ana"}], "total": 1}

async def test_a_net_of_the_tests_own(open_net):
    one, two = await open_net(Server("one")), await open_net(Server("two"))
    await one.connect("Ana")
    with trio.fail_after(10):
        third = await open_net(Server("three"))
    await two.connect("Ben")
    await third.connect("Zoe")

async def test_no_net_at_all(in_trio):
    await trio.sleep(1)

async def test_time_stands_still_before_the_test(ana, net_clock):
    assert trio.current_time() == 1  # of the fixture `database`
    net_clock.jump(5)
    assert trio.current_time() == 6

def test_that_is_not_async(net):
    assert not net.server.clients

class TestInAClass:
    @pytest.fixture
    async def zoe(self, net):
        self.has_set_up = True
        return await net.connect("Zoe")

    @pytest.mark.parametrize("seconds", [1, 2])
    async def test_has_the_instance_of_its_fixtures(self, zoe, seconds):
        assert self.has_set_up
        await trio.sleep(seconds)

class TestInRealTime:
    @pytest.fixture
    def net_clock(self):
        return None

    async def test_threads_are_waited_for(self, ana):
        await trio.sleep(0.001)
        assert await trio.to_thread.run_sync(lambda: 5) == 5

async def test_may_skip_itself(net):
    pytest.skip("no")

@pytest.mark.xfail(strict=True)
async def test_may_be_expected_to_fail(net):
    assert not net
"""

IN_ASYNCIO = """
import asyncio
import pytest

@pytest.fixture
async def loop():
    await asyncio.sleep(0)
    yield asyncio.get_running_loop()
    await asyncio.sleep(0)

async def test_in_asyncio(loop):
    await asyncio.sleep(0)
    assert loop is asyncio.get_running_loop()

async def test_beside_a_fixture_in_asyncio(ana, loop):
    assert not loop.is_running()
    assert await ana.settle() == []
"""

FAILING = """
import pytest, trio

async def test_itself(net):
    ana = await net.connect("Ana")
    assert ana.name == "Ben"

async def test_background(net):
    async def fail():
        assert 1 == 2
    net.nursery.start_soon(fail)
    await trio.sleep(5)

@pytest.fixture
async def bad_setup(net):
    raise ValueError("in setup")
    yield

async def test_setup(bad_setup):
    pass

@pytest.fixture
async def bad_teardown(net):
    yield
    raise ValueError("in teardown")

async def test_teardown(bad_teardown):
    pass

@pytest.fixture
async def crashes(net):
    async def crash():
        await trio.sleep(3)
        raise KeyError("crash")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crash)
        yield

async def test_crash(crashes, ana):
    await trio.sleep(5)

async def test_asks_late(net, request):
    request.getfixturevalue("ana")

async def test_waits_for_ever(in_trio):
    await trio.sleep_forever()

async def test_after_all_that(net, ana, ben):
    pass
"""


def write(folder: Path, **tests: str) -> None:
    """Write files of tests, and the fixtures that they use."""
    (folder / "conftest.py").write_text(CONFTEST)
    for name, text in tests.items():
        (folder / f"test_{name}.py").write_text(text)


AUTO = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")


def test_tests_in_trio_and_in_asyncio_stand_side_by_side(tmp_path: Path) -> None:
    write(tmp_path, in_trio=IN_TRIO, in_asyncio=IN_ASYNCIO)
    said = run_pytest(tmp_path, *AUTO, "-p", "no:trio")
    assert said.splitlines()[-1].startswith("12 passed, 1 skipped, 1 xfailed"), said


@pytest.mark.parametrize(
    "plugins",
    [
        ("-p", "no:asyncio", "-p", "no:trio"),
        ("-p", "no:asyncio", "-o", "trio_mode=true"),
        (*AUTO, "-o", "trio_mode=true"),
    ],
    ids=["no plugin", "pytest-trio", "both"],
)
def test_tests_in_trio_need_no_other_plugin(tmp_path: Path, plugins: tuple[str, ...]) -> None:
    write(tmp_path, in_trio=IN_TRIO)
    said = run_pytest(tmp_path, *plugins)
    assert said.splitlines()[-1].startswith("10 passed, 1 skipped, 1 xfailed"), said


def test_what_fails_is_told_where_it_fails(tmp_path: Path) -> None:
    write(tmp_path, failing=FAILING)
    said = run_pytest(tmp_path, *AUTO, "-p", "no:trio")
    for line in (
        "FAILED test_failing.py::test_itself - AssertionError: assert 'Ana' ==",
        "FAILED test_failing.py::test_background - assert 1 == 2",
        "ERROR test_failing.py::test_setup - ValueError: in setup",
        "PASSED test_failing.py::test_teardown",
        "ERROR test_failing.py::test_teardown - ValueError: in teardown",
        "FAILED test_failing.py::test_crash - KeyError: 'crash'",
        "FAILED test_failing.py::test_asks_late - RuntimeError: an async",
        "FAILED test_failing.py::test_waits_for_ever - trio.TooSlowError",
        "PASSED test_failing.py::test_after_all_that",
        "The test still waited after a week of its clock.",
    ):
        assert line in said, said
    assert "ExceptionGroup" not in said
