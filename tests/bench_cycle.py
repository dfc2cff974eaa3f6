"""How long a newcomer waits: set-up, the demo company's plan, and the same notebooks by six papermill commands."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
OVERRIDE = """
from sopkit.records import Records
Records.of("demo").add("overrides", author="Ada Brandt", cycle="2026-11", product="TENT-2P", first_month="2026-12",
                       last_month="2026-12", action="add", amount=10, reason="a shop opens")
"""


ORPHANS_ARE_MINE = 36
"""PR_SET_CHILD_SUBREAPER of Linux's prctl: a process whose parent is gone is handed to this one, and counted."""


def _processor() -> float:
    """Processor seconds of all programs that this one started and that have ended, theirs included."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _timed(*command: str, cwd: Path, env: dict[str, str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stdout[-500:]}{done.stderr[-1500:]}")
    return time.perf_counter() - began


def _figure(name: str, value: float, goal: float | None = None, peer: float | None = None) -> dict:
    met = None if goal is None else value <= goal
    return {"name": name, "value": round(value, 2), "unit": "s", "goal": goal, "met": met, "peer": peer}


def run() -> Iterator[dict]:
    """Figures in seconds, each with its goal where it has one; `peer` = the same work by six papermill commands."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(ORPHANS_ARE_MINE, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        root = Path(folder)
        shutil.copytree(PROJECT / "data" / "demo", root / "data" / "demo", ignore=shutil.ignore_patterns("records*"))
        home = {"SOPKIT_DATA": str(root / "data"), "SOPKIT_REPORTS": str(root / "reports"), "PYTHONPATH": str(PROJECT)}
        env = {**os.environ, **home}
        demo = ("--company", "demo", "--cycle", "2026-11")
        python = sys.executable

        helps = min(_timed(python, "-m", "sopkit", "--help", cwd=PROJECT, env=env) for _ in range(3))
        yield _figure("sopkit --help", helps, goal=0.5)

        plans, used = [], []
        for _ in range(2):
            shutil.rmtree(root / "reports", ignore_errors=True)  # nothing kept of the run before
            before = _processor()
            plans.append(_timed(python, "-m", "sopkit", "run", *demo, cwd=PROJECT, env=env))
            time.sleep(1.0)  # what computes beside a kernel ends when it does, unwatched
            used.append(_processor() - before)
        peer, before = 0.0, _processor()
        env_of_peer = env | {"SOPKIT_REPORTS": str(root / "peer")}
        for notebook in sorted((PROJECT / "notebooks").glob("*.ipynb")):
            out = str(root / notebook.name)
            command = (python, "-m", "papermill", str(notebook), out, "-p", "company", "demo", "-p", "cycle", "2026-11")
            peer += _timed(*command, cwd=PROJECT, env=env_of_peer)
        yield _figure("plan of the demo company, after set-up", min(plans), goal=12.0, peer=round(peer, 2))
        busy = round(_processor() - before, 2)
        yield _figure("the same, in processor seconds of all its processes", min(used), goal=16.0, peer=busy)
        _timed(python, "-c", OVERRIDE, cwd=PROJECT, env=env)
        again = _timed(python, "-m", "sopkit", "run", *demo, "--resume", cwd=PROJECT, env=env)
        yield _figure("run --resume after one override", again, goal=5.0)
        yield _figure(
            "run --resume with nothing to do",
            _timed(python, "-m", "sopkit", "run", *demo, "--resume", cwd=PROJECT, env=env),
        )
        yield _figure(
            "plan made again and compared, hash for hash",
            _timed(python, "-m", "sopkit", "reproduce", *demo, cwd=PROJECT, env=env),
        )

        clone = root / "clone"
        _timed("git", "clone", "--quiet", str(PROJECT), str(clone), cwd=root, env=env)
        bare = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        first = _timed("make", ".venv/installed", cwd=clone, env=bare)
        yield _figure("set-up with a warm package index", first, goal=60.0)
        yield _figure("set-up again", _timed("make", ".venv/installed", cwd=clone, env=bare), goal=0.5)
