"""The package where no clone is: `python tests/bench.py wheel`.

A wheel is built (pip takes setuptools from the package index), unpacked elsewhere and run from an empty folder: the
notebooks, the demo, the packs and the vocabulary must have travelled along.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
OWN = {"SOPKIT_DATA", "SOPKIT_REPORTS", "SOPKIT_RECORDS", "PYTHONPATH"}


def run(size: str = "default") -> Iterator[dict]:
    """Each figure as name, value, unit, goal, met, peer."""
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        wrong = list(_wrong(Path(place)))
        peer = f"{time.perf_counter() - start:.0f} s; {'; '.join(wrong) or 'all of them work'}"
    name = "commands that fail where only the wheel is"
    yield {"name": name, "value": len(wrong), "unit": "commands", "goal": "<= 0", "met": not wrong, "peer": peer}


def built(folder: Path) -> Path:
    """The wheel of the package as it stands, made in `folder` from a copy."""
    source = folder / "clone"
    shutil.copytree(PROJECT / "sopkit", source / "sopkit", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _wrong(folder: Path) -> Iterator[str]:
    """Every command whose answer lacks what it should hold."""
    site, away = folder / "site", folder / "away"
    with zipfile.ZipFile(built(folder)) as archive:
        archive.extractall(site)
    away.mkdir()
    env = {name: value for name, value in os.environ.items() if name not in OWN} | {"PYTHONPATH": str(site)}
    demo = "import sopkit; print(sopkit.__file__, len(sopkit.demo()['products']))"
    for holds, where, command in (
        ("and the demo", away, ["-m", "sopkit", "init", "work"]),
        ("demo", away / "work", ["-m", "sopkit", "list"]),
        ("0 errors", away / "work", ["-m", "sopkit", "check", "--company", "demo", "--cycle", "2026-11"]),
        ("products", away / "work", ["-m", "sopkit", "new", "acme", "--from", "data/demo/products.csv"]),
        ("left out", away / "work", ["-m", "sopkit", "new", "other", "--from", "sap", "data/demo"]),
        (f"{site / 'sopkit' / '__init__.py'} 12", away, ["-c", demo]),
    ):
        done = subprocess.run([sys.executable, *command], cwd=where, env=env, capture_output=True, text=True)
        if done.returncode or holds not in done.stdout:
            yield f"{' '.join(command)}: {(done.stdout + done.stderr)[-300:]}"
    if not (away / "work" / "notebooks" / "06_publish.ipynb").is_file():
        yield "sopkit init: no notebooks"
