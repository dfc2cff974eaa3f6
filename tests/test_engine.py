import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sopkit import cycle as cycles
from sopkit.cycle import Cycle
from sopkit.engine import Engine, EngineError, engine_at
from sopkit.errors import SettingsError
from sopkit.tables import STAGES

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def _square(item):
    return item * item


def _slow_square(item):
    time.sleep(0.05)
    return item * item


def _dies_once(item):
    """Kills its own process the first time that it meets item 3."""
    number, folder = item
    mark = Path(folder) / "died"
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def _always_dies(item):
    os.kill(os.getpid(), signal.SIGKILL)


def _refuses(item):
    if item == 2:
        raise ValueError("item 2 is wrong")
    return item


def _where(item):
    return os.getpid()


def test_results_come_in_the_order_of_the_items_wherever_they_run():
    items = list(range(20, 0, -1))
    here = Engine(workers=1).map(_slow_square, items)
    with Engine(workers=2) as engine:
        assert engine.map(_slow_square, items) == here == [item * item for item in items]


def test_short_work_starts_no_process():
    engine = Engine(workers=2)
    assert engine.map(_square, [1, 2, 3], seconds=0.1) == [1, 4, 9]
    assert engine._pool is None


def test_progress_is_told_after_each_part():
    seen = []
    Engine(workers=1).map(_square, [1, 2, 3], progress=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_killed_process_is_replaced_and_its_part_run_again(tmp_path):
    with Engine(workers=2) as engine:
        assert engine.map(_dies_once, [(n, str(tmp_path)) for n in range(8)]) == [n * n for n in range(8)]
    assert (tmp_path / "died").exists()


def test_a_part_that_always_kills_its_process_is_named():
    with Engine(workers=2) as engine, pytest.raises(EngineError, match="Workers died 4 times at part"):
        engine.map(_always_dies, [1, 2])


def test_an_error_of_a_part_is_raised_and_the_engine_works_on():
    with Engine(workers=2) as engine:
        with pytest.raises(ValueError, match="item 2 is wrong"):
            engine.map(_refuses, [1, 2, 3])
        assert engine.map(_square, [4, 5]) == [16, 25]


def test_a_wrong_address_is_refused():
    with pytest.raises(SettingsError, match="not an address"):
        engine_at("localhost:8786")
    with pytest.raises(SettingsError, match="workers is 0"):
        Engine(workers=0)
    assert engine_at(None).address is None and engine_at("local").address is None


def test_no_cluster_at_the_address_is_said():
    pytest.importorskip("distributed")
    with pytest.raises(EngineError, match="No Dask scheduler answers"):
        Engine("tcp://127.0.0.1:9").map(_square, [1, 2])


BESIDE = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from test_engine import _dies_once, _refuses, _square, _where
from sopkit import engine
engine.fork_beside()
two = engine.Engine(workers=2)
share = lambda function, items: two.map(function, items, seconds=1.0)
assert share(_square, [1, 2, 3, 4, 5]) == [1, 4, 9, 16, 25]
assert [pid == os.getpid() for pid in share(_where, range(4))] == [True, True, False, False]
uneven = two.map(_where, range(4), seconds=[3.0, 1.0, 1.0, 1.0])
assert [pid == os.getpid() for pid in uneven] == [True, False, False, False]  # halves of the time, not of the number
try:
    share(_refuses, [1, 2, 3])
except ValueError as error:
    assert "item 2 is wrong" in str(error)
assert share(lambda item: item, [1, 2, 3]) == [1, 2, 3]  # what cannot travel
assert len(set(share(_where, range(2)))) == 2
other = share(_where, range(2))[1]
if sys.argv[2] == "stopped":
    def stop(done, of):
        raise KeyboardInterrupt
    try:
        two.map(_where, range(4), seconds=1.0, progress=stop)
    except KeyboardInterrupt:
        pass
    assert set(share(_where, range(2))) == {os.getpid()}  # what was left undone is nobody's answer
    while os.waitpid(other, 0)[0] != other:
        pass
else:
    assert share(_dies_once, [(1, sys.argv[2]), (3, sys.argv[2]), (5, sys.argv[2])]) == [1, 9, 25]
    assert set(share(_where, range(2))) == {os.getpid()}
"""


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_short_work_is_shared_with_the_process_beside_and_done_without_it(tmp_path, how):
    """Where it is stopped, fails, is killed or cannot travel, the numbers are those of this process alone."""
    told = [sys.executable, "-c", BESIDE, str(Path(__file__).parent), how if how == "stopped" else str(tmp_path)]
    subprocess.run(told, check=True)


def test_importing_the_engine_imports_nothing_heavy():
    code = "import sys, sopkit.engine; print([m for m in ('pandas', 'numpy', 'distributed') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_a_script_without_a_main_guard_is_not_run_again_by_its_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "print('once')\nfrom math import sqrt\nfrom sopkit.engine import Engine\n"
        "print(Engine(workers=2).map(sqrt, [4.0, 9.0]))\n"
    )
    told = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert told.stdout.split("\n") == ["once", "[2.0, 3.0]", ""]


def _history(series):
    random, at = np.random.default_rng(2), np.arange(36)
    season = 1 + 0.2 * np.sin(2 * np.pi * at / 12)
    months = pd.date_range("2023-11-01", periods=36, freq="MS")
    return pd.concat(
        [
            pd.DataFrame({"unique_id": f"S{n:03d}", "ds": months, "y": 100 * season * random.lognormal(0, 0.1, 36)})
            for n in range(series)
        ]
    )


@pytest.fixture
def dask(tmp_path):
    """Starts what `dask scheduler` and `dask worker` start, in processes of their own; all end with the test.

    No client of ours stays open beside the engine's own: it would lend the engine its loop, and hide a missing one.
    """
    distributed = pytest.importorskip("distributed")
    root, told = Path(__file__).resolve().parent, tmp_path / "scheduler.json"
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(root.parent), str(root)])}
    running = []

    def start(workers):
        def process(name, *options):
            command = [sys.executable, "-m", f"distributed.cli.dask_{name}", "--scheduler-file", told, "--no-dashboard"]
            with (tmp_path / "dask.log").open("a") as log:
                running.append(subprocess.Popen([*command, *options], env=env, cwd=tmp_path, stdout=log, stderr=log))
            return running[-1]

        started = [process("scheduler", "--host", "127.0.0.1", "--port", "0")]
        started += [process("worker", "--nthreads", "1") for _ in range(workers)]
        with distributed.Client(scheduler_file=str(told), timeout=60, set_as_default=False) as client:
            if workers:
                client.wait_for_workers(workers, timeout=60)
            return client.scheduler.address, started

    yield start
    for process in running:
        process.kill()  # a worker's own process ends when the one that minds it does
        process.wait(20)


def _same(left, right):
    for name in ("forecast", "cv", "accuracy", "coverage", "weights", "fitted"):
        pd.testing.assert_frame_equal(getattr(left, name), getattr(right, name), rtol=0, atol=1e-9)


def test_a_forecast_on_a_dask_cluster_equals_the_local_one(dask):
    from sopkit.demand import baseline

    address, _ = dask(workers=2)
    with Engine(address) as engine:
        _same(baseline.forecast(_history(26), 6, engine=engine), baseline.forecast(_history(26), 6, engine="local"))


def test_a_worker_killed_in_the_middle_of_a_forecast_does_not_change_its_numbers(dask, tmp_path):
    from distributed import Client

    from sopkit.demand import baseline

    address, _ = dask(workers=2)
    with Client(address, set_as_default=False) as client:
        workers = sorted(client.run(os.getpid).values())
    killed = []

    def kill_one_worker(done, of):
        if done == 2:
            killed.append((workers[0], of))
            os.kill(workers[0], signal.SIGKILL)

    with Engine(address) as engine:
        there = baseline.forecast(_history(150), 6, engine=engine, progress=kill_one_worker)
    assert killed[0][1] > 5, "parts were left to do"
    _same(there, baseline.forecast(_history(150), 6, engine="local"))


def test_a_whole_cycle_on_a_dask_cluster_is_the_same_plan_hash_for_hash(dask, own_run):
    address, _ = dask(workers=2)
    before = Cycle.open("demo", "2026-11").manifest
    stages, engine = [stage.name for stage in STAGES if stage.name not in ("collect", "publish")], {"engine": address}
    cycles.run("demo", "2026-11", only=stages, parameters=engine, notebooks=NOTEBOOKS, progress=False)
    after = Cycle.open("demo", "2026-11").manifest
    assert after["stages"]["supply"]["parameters"] == {"engine": address}
    assert {name: entry["sha256"] for name, entry in after["tables"].items()} == {
        name: entry["sha256"] for name, entry in before["tables"].items()
    }


def test_a_cluster_without_workers_is_said_instead_of_waited_for(dask):
    address, _ = dask(workers=0)
    with Engine(address) as engine:
        engine.patience = 1.0
        with pytest.raises(EngineError, match="has had no worker for 1 s. Start one with `dask worker tcp://127.0.0.1"):
            engine.map(_square, [1, 2])


def test_a_scheduler_that_dies_ends_the_run_with_a_word(dask):
    address, (scheduler, _) = dask(workers=1)
    with Engine(address) as engine, pytest.raises(EngineError, match=f"The Dask scheduler at {address} went away"):
        engine.map(_slow_square, range(400), progress=lambda done, of: done == 3 and scheduler.kill())
