"""The data room under load and under attack: `python tests/bench.py collect [quick]`.

Two million order lines (CSV, about 100 MB) are read, checked, summed to months and snapshotted in a process of its
own, beside plain `pandas.read_csv` + groupby in another one; then ten thousand spoiled copies of the demo company are
checked, in other encodings, ways of writing months and exported twice among them (`quick`: five hundred). Wall time
counts; processor time stands beside it for machines that are shared.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import spoiled

from sopkit.collect import collect

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "data" / "demo"
LINES = 2_000_000
ITEMS = 1_000

OURS = """
from sopkit.collect import collect
from sopkit.cycle import Cycle
c = Cycle.open("big", "2026-11", stage="collect")
collected = collect(c.company_folder, c.cycle)
c.save(collected.tables | {"findings": collected.findings, "sources": collected.sources,
        "source_rows": collected.source_rows})
done = collected.tables["sales_history"]
"""
PLAIN = """
import pandas as pd
lines = pd.read_csv("orders.csv", parse_dates=["date"])
lines["month"] = lines["date"].dt.to_period("M").dt.to_timestamp()
done = lines.groupby(["month", "product", "market"], as_index=False)[["quantity", "revenue"]].sum()
"""
MEASURED = """
import json, resource, time
start = time.perf_counter()
{work}
took = time.perf_counter() - start
use = resource.getrusage(resource.RUSAGE_SELF)
spent = use.ru_utime + use.ru_stime
print(json.dumps([took, spent, use.ru_maxrss / 1024**2, len(done), float(done["quantity"].sum())]))
"""


def run(size: str = "default") -> Iterator[dict]:
    """Each figure as name, value, unit, goal, met, peer; `size` is `default` or `quick`."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _load(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        yield from _attack(Path(folder), 500 if size == "quick" else 10_000)


def _figure(name: str, value: float, unit: str, goal: float | None = None, peer: str = "") -> dict:
    met = None if goal is None else bool(value <= goal)
    wanted = None if goal is None else f"<= {goal}"
    return {"name": name, "value": round(float(value), 3), "unit": unit, "goal": wanted, "met": met, "peer": peer}


def _load(folder: Path) -> Iterator[dict]:
    company = _big_company(folder / "data" / "big")
    size = (company / "orders.csv").stat().st_size / 1024**2
    ours = _measured(OURS, folder, company)
    plain = _measured(PLAIN, folder, company)
    if ours[3:] != plain[3:]:
        raise AssertionError(f"rows and units differ from pandas': {ours[3:]} and {plain[3:]}")
    peer = f"{plain[0]:.1f} s by pandas.read_csv + groupby, without check and snapshot"
    yield _figure(f"{LINES:,} history lines ({size:.0f} MB) to a snapshot", ours[0], "s", 15, peer)
    yield _figure("the same, processor time", ours[1], "s", None, f"{plain[1]:.1f} s")
    yield _figure("the same, most memory", ours[2], "GB", 2.0, f"{plain[2]:.2f} GB")
    yield _figure("the same, monthly rows", ours[3], "rows", None, f"{plain[3]:,} rows, the same {plain[4]:,.0f} units")


def _big_company(folder: Path) -> Path:
    """The demo company with a thousand products more and two million order lines instead of its history."""
    shutil.copytree(DEMO, folder)
    (folder / "sales_history.csv").unlink()
    products = pd.read_csv(folder / "products.csv", dtype=str)
    items = np.array([f"ITEM-{number:04d}" for number in range(ITEMS)])
    more = {"product": items, "family": products["family"].iloc[0], "price": "20", "standard_cost": "9"}
    pd.concat([products, pd.DataFrame(more)]).to_csv(folder / "products.csv", index=False)
    markets = pd.read_csv(folder / "markets.csv")["market"].to_numpy()
    days = pd.date_range("2022-11-01", "2026-10-31").strftime("%Y-%m-%d").to_numpy()
    random = np.random.default_rng(2026)
    pd.DataFrame({
        "order": np.arange(LINES) + 4_500_000_000,
        "date": random.choice(days, LINES),
        "product": random.choice(items, LINES),
        "market": random.choice(markets, LINES),
        "quantity": random.integers(1, 50, LINES),
        "revenue": random.uniform(1, 900, LINES).round(2),
    }).to_csv(folder / "orders.csv", index=False)  # fmt: skip
    with (folder / "company.yaml").open("a", encoding="utf-8") as settings:
        settings.write(
            "\ntables:\n  sales_history: {file: orders.csv, rename: {date: month}, ignore: [order], sum_rows: true}\n"
        )
    return folder


def _measured(work: str, folder: Path, company: Path) -> list[float]:
    """[seconds, processor seconds, GB, rows, units] of `work` in a process of its own, imports included."""
    roots = {"SOPKIT_DATA": str(folder / "data"), "SOPKIT_REPORTS": str(folder / "reports"), "PYTHONPATH": str(ROOT)}
    code = MEASURED.format(work=work)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=company, env=os.environ | roots, check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def _attack(folder: Path, copies: int) -> Iterator[dict]:
    """Half of the copies a process: two cores halve the wait; copies are numbered, so they stay the same."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        numbers = [range(0, copies, 2), range(1, copies, 2)]
        halves = list(pool.map(_attacked, [folder / "even", folder / "odd"], numbers))
    counts = sum((half for half, _ in halves), Counter())
    same, twice = spoiled.SAME, spoiled.TWICE
    said = (
        f"{counts['accepted']:,} accepted, {counts['answered by findings']:,} answered by findings; of "
        f"{counts[same]:,} in another encoding or way of months {counts[f'{same}, accepted']:,} accepted as what they "
        f"are, of {counts[twice]:,} exported twice {counts[f'{twice}, accepted']:,}"
    )
    yield _figure(f"wrong answers to {copies:,} spoiled copies", counts["wrong"], "copies", 0, said)
    yield _figure("slowest check of a spoiled copy", max(slowest for _, slowest in halves), "processor seconds", 5)


def _attacked(folder: Path, numbers: range) -> tuple[Counter, float]:
    """How the spoiled copies `numbers` were answered, and the seconds of the slowest check."""
    company = shutil.copytree(DEMO, folder / "demo")
    files = {path.name: path.read_bytes() for path in DEMO.glob("*.csv")}
    memory: dict = {}
    honest = collect(company, spoiled.CYCLE, memory=memory).tables
    counts: Counter = Counter()
    slowest = 0.0
    for number in numbers:
        name, content, meant = spoiled.spoil(files, number)
        (company / name).write_bytes(content)
        start = time.process_time()
        table = honest[name.removesuffix(".csv")]
        wrong, accepted = spoiled.wrong_answers(company, memory, name, deep=number % 50 == 0, meant=meant, honest=table)
        slowest = max(slowest, time.process_time() - start)
        (company / name).write_bytes(files[name])
        if wrong:
            print(f"copy {number}, {name}: {wrong[0]}", file=sys.stderr)
        counts["wrong" if wrong else "accepted" if accepted else "answered by findings"] += 1
        counts[f"{meant}, accepted"] += accepted and not wrong
        counts[meant] += 1
    return counts, slowest
