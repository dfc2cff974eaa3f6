import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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
