"""How long a planner waits in the notebooks, seen from a real browser: typing, storing, a slider, large sheets."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
from jupyterlab_room import PROJECT, control_alone, opened, run_all
from nbformat.v4 import new_code_cell

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic")
# a company of 25 families of 20 products: 526 lines, and ten times as many
MADE = """import numpy as np, pandas as pd, sopkit
from IPython.display import HTML, display
from sopkit.book import Plan
from sopkit.workbench.draft import Draft
from sopkit.workbench.sheet import Sheet
book = sopkit.demo()
months, market = book.months, book["markets"]["market"].iloc[0]
codes = [(f"F{{f:03d}}", f"P{{f:03d}}-{{p:02d}}") for f in range({families}) for p in range(20)]
families = pd.DataFrame({{"family": sorted({{f for f, _ in codes}})}}).assign(name=lambda t: t["family"])
products = pd.DataFrame(codes, columns=["family", "product"]).assign(
    name=lambda t: t["product"], price=10.0, standard_cost=5.0, uom="pcs")
plan = pd.MultiIndex.from_product([products["product"], months], names=["product", "month"]).to_frame(index=False)
plan = plan.assign(market=market, consensus=np.random.default_rng(1).integers(10, 900, len(plan)).astype(float))
wide = book.with_tables({{"families": families, "products": products}})
wide = Plan(wide.with_tables({{"demand_plan": plan}}).tables, book.company, book.cycle)
sheet = Sheet(Draft(wide), label="large", corner="pcs")
sheet.rows = [row | {{"open": True}} for row in sheet.rows]
display(HTML("<h3>Large</h3>"))
"""


def _figure(name: str, value: float, goal: float, unit: str = "s") -> dict:
    return {"name": name, "value": round(value, 3), "unit": unit, "goal": goal, "met": value <= goal, "peer": None}


def _until(page: Any, done: Callable[[], bool]) -> float:
    began = time.perf_counter()
    while not done():
        page.wait_for_timeout(10)
        if time.perf_counter() - began > 120:
            raise RuntimeError("nothing happened in 120 s")
    return time.perf_counter() - began


def run() -> Iterator[dict]:
    """Figures in seconds, in Chromium, on the demo company and on made companies of 526 and 5,251 lines."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory(prefix="bench-") as made, sync_playwright() as playwright:
        root = Path(made)
        shutil.copytree(PROJECT / "data" / "demo", root / "data" / "demo", ignore=shutil.ignore_patterns("records*"))
        os.environ |= {"SOPKIT_DATA": str(root / "data"), "SOPKIT_REPORTS": str(root / "reports")}
        os.environ["PYTHONPATH"] = str(PROJECT)
        from sopkit import cycle

        cycle.run("demo", "2026-11", notebooks=PROJECT / "notebooks", progress=False)
        names = {stage: control_alone(stage, root / "notebooks") for stage in ("demand", "supply")}
        for lines, families in ((526, 25), (5251, 250)):
            notebook = nbformat.v4.new_notebook(
                cells=[new_code_cell(MADE.format(families=families)), new_code_cell("sheet")],
                metadata={"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)"}},
            )
            nbformat.write(notebook, root / "notebooks" / f"large_{lines}.ipynb")
        with opened(root) as lab:
            browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
            page = browser.new_page(viewport={"width": 1400, "height": 1200})
            page.set_default_timeout(180_000)

            def go(name: str) -> None:
                page.goto(f"{lab}/lab/tree/notebooks/{name}?reset")
                run_all(page)

            yield from _sheet(page, go, names["demand"])
            yield from _slider(page, go, names["supply"])
            for lines in (526, 5251):
                go(f"large_{lines}.ipynb")
                yield from _large(page, lines)
            browser.close()
        yield from _reference()


def _reference() -> Iterator[dict]:
    """A network of 168,000 variables: how long an answer takes, and how soon one that is given up is gone."""
    import demo_company as demo
    from small_company import company, made

    from sopkit.book import Book, Plan
    from sopkit.errors import StoppedError

    book = Book.of(made(demo.REFERENCE), company(demo.REFERENCE.horizon), demo.CYCLE)
    plan = Plan(book.tables, book.company, book.cycle).supply()
    ended: list[float] = []

    def ask(scale: float) -> None:
        try:
            plan.what_if("capacity", column="hours", scale=scale)
        except StoppedError:
            pass
        ended.append(time.perf_counter())

    ask(0.95)  # loads the model
    began = time.perf_counter()
    ask(0.9)
    answered = ended[-1] - began
    yield _figure("168,000 variables: the answer to a what-if", answered, 3.0)
    waits = []
    for share in (0.2, 0.4, 0.6, 0.8):
        asked = threading.Thread(target=ask, args=(0.85,))
        asked.start()
        time.sleep(share * answered)
        began = time.perf_counter()
        plan.stop()
        asked.join()
        waits.append(ended[-1] - began)
    yield _figure("168,000 variables: given up, until the panel is free again, worst of 4", max(waits), 3.0)


def _told(page: Any) -> str:
    return page.locator(".sopkit-sheet .told").inner_text()


def _typed(page: Any, times: int) -> float:
    """Median seconds from Enter to the sheet that has taken the number over."""
    waits = []
    for at in range(times):
        cell = page.locator('.sopkit-sheet tr[data-row="0"] td[data-column="0"]')
        before = _told(page)
        cell.click()
        page.keyboard.type(f"+{at + 1}")
        page.keyboard.press("Enter")
        waits.append(_until(page, lambda before=before: _told(page) != before))
    return statistics.median(waits)


def _sheet(page: Any, go: Callable[[str], None], name: str) -> Iterator[dict]:
    go(name)
    page.locator(".sopkit-sheet td").first.wait_for()
    yield _figure("demo: a number typed over until all lines follow, median of 9", _typed(page, 9), 0.1)
    page.get_by_label("Reason", exact=True).fill("a shop opens")
    page.get_by_label("Reason", exact=True).press("Tab")
    page.get_by_label("Owner", exact=True).select_option(index=1)
    page.get_by_role("button", name="Store", exact=True).click()
    stored = page.get_by_text("The consensus changed by")
    yield _figure(
        "demo: nine changes stored until the new consensus stands there", _until(page, stored.is_visible), 2.0
    )


def _slider(page: Any, go: Callable[[str], None], name: str) -> Iterator[dict]:
    go(name)
    page.get_by_label("Of", exact=True).select_option(label="SEW-N  Sewing line, Leipzig")
    handle, waits = page.get_by_role("slider").first, []
    handle.focus()
    for at in range(1, 10):
        handle.press("ArrowRight")
        heading = page.get_by_role("columnheader", name=f"SEW-N available hours +{5 * at} %")
        waits.append(_until(page, heading.is_visible))
    yield _figure(
        "demo: a slider moved until the changed plan stands there, median of 8", statistics.median(waits[1:]), 0.5
    )


def _large(page: Any, lines: int) -> Iterator[dict]:
    page.locator(".sopkit-sheet td").first.wait_for()
    goals = {526: (1.5, 0.1), 5251: (5.0, 0.2)}[lines]
    opened_in = page.evaluate(
        """async () => {
            const frame = document.querySelector(".sopkit-sheet .frame");
            const began = performance.now();
            frame.scrollTop = frame.scrollHeight;
            while (true) {
                await new Promise((done) => setTimeout(done, 5));
                const cells = [...document.querySelectorAll(".sopkit-sheet tbody tr:nth-last-child(3) td")];
                if (cells.length > 2 && cells.every((cell) => cell.textContent)) break;
            }
            return (performance.now() - began) / 1000;
        }"""
    )
    yield _figure(f"{lines:,} lines x 18 months: from the top to the last line, drawn", opened_in, goals[0])
    page.evaluate("document.querySelector('.sopkit-sheet .frame').scrollTop = 0")
    page.locator('.sopkit-sheet tr[data-row="0"]').wait_for()
    yield _figure(
        f"{lines:,} lines x 18 months: the total typed over until all lines follow", _typed(page, 5), goals[1]
    )


if __name__ == "__main__":
    sys.exit("python tests/bench.py workbench")
