import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sopkit.engine import Engine, EngineError, engine_at
from sopkit.errors import SettingsError


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


def test_importing_the_engine_imports_nothing_heavy():
    code = "import sys, sopkit.engine; print([m for m in ('pandas', 'numpy', 'distributed') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_a_script_without_a_main_guard_is_not_run_again_by_its_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("print('once')\nfrom math import sqrt\nfrom sopkit.engine import Engine\n"
                      "print(Engine(workers=2).map(sqrt, [4.0, 9.0]))\n")
    told = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert told.stdout.split("\n") == ["once", "[2.0, 3.0]", ""]


def _history():
    random, at = np.random.default_rng(2), np.arange(36)
    season = 1 + 0.2 * np.sin(2 * np.pi * at / 12)
    months = pd.date_range("2023-11-01", periods=36, freq="MS")
    return pd.concat([
        pd.DataFrame({"unique_id": f"S{n:02d}", "ds": months, "y": 100 * season * random.lognormal(0, 0.1, 36)})
        for n in range(26)
    ])


def _slowly(item):
    """A part that takes long enough for its worker to be killed meanwhile; tells who works on it."""
    number, folder = item
    (Path(folder) / f"{number}-{os.getpid()}").touch()
    time.sleep(0.3)
    return float(np.sqrt(number))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A Dask scheduler and two worker processes, as `dask scheduler` and `dask worker` start them."""
    pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("dask")
    root = Path(__file__).resolve().parent
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(root.parent), str(root)])}
    log = (folder / "log").open("w")

    def start(*command):
        return subprocess.Popen([sys.executable, "-m", "distributed.cli." + command[0], *command[1:]],
                                env=env, cwd=folder, stdout=log, stderr=log)

    told = folder / "scheduler.json"
    where = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", told)
    running = [start("dask_scheduler", *where)]
    running += [start("dask_worker", "--scheduler-file", told, "--nthreads", "1", "--no-dashboard") for _ in range(2)]
    try:
        from distributed import Client

        with Client(scheduler_file=str(told), timeout=60) as client:
            client.wait_for_workers(2, timeout=60)
            yield client.scheduler.address
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(20)
        log.close()


def test_a_forecast_on_a_dask_cluster_equals_the_local_one(cluster):
    from sopkit.demand import baseline

    here = baseline.forecast(_history(), 6, engine=Engine(workers=1))
    with Engine(cluster) as engine:
        there = baseline.forecast(_history(), 6, engine=engine)
    for name in ("forecast", "cv", "accuracy", "coverage", "weights", "fitted"):
        pd.testing.assert_frame_equal(getattr(here, name), getattr(there, name), rtol=0, atol=1e-9)


def test_a_killed_dask_worker_does_not_change_the_numbers(cluster, tmp_path):
    items = [(number, str(tmp_path)) for number in range(16)]
    killed = []

    def kill_one_worker(done, of):
        if done == 4 and not killed:
            alive = [int(path.name.partition("-")[2]) for path in sorted(tmp_path.iterdir(), key=os.path.getmtime)]
            killed.append(alive[-1])
            os.kill(alive[-1], signal.SIGKILL)

    with Engine(cluster) as engine:
        found = engine.map(_slowly, items, progress=kill_one_worker)
    assert killed and found == [float(np.sqrt(number)) for number in range(16)]
