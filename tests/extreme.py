"""Twenty companies at the edge of what data can be, and the whole process on one: every cell of the notebooks."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import demo_company as demo
import pandas as pd

from sopkit.tables import TABLES

PROJECT = Path(__file__).resolve().parents[1]
CYCLE = "2026-11"
SMALL = demo.Size(products=3, families=2, plants=1, dcs=1, markets=2, resources=2, materials=3, history=24, horizon=4)
Tables = dict[str, pd.DataFrame]


def _set(name: str, value: float, *columns: str) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        tables[name] = tables[name].assign(**dict.fromkeys(columns, value))

    return change


def _gone(*names: str) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        for name in names:
            tables[name] = TABLES[name].empty()

    return change


def _units(factor: float) -> Callable[[Tables], None]:
    """Every number of units in the inputs times a factor."""

    def change(tables: Tables) -> None:
        for name, frame in tables.items():
            columns = [c.name for c in TABLES[name] if c.unit == "units" and c.kind == "number"]
            tables[name] = frame.assign(**{column: frame[column] * factor for column in columns})

    return change


def _history(months: int, value: float | None = None) -> Callable[[Tables], None]:
    """Only the last months of every history, each of `value` if given."""

    def change(tables: Tables) -> None:
        first = pd.Timestamp(f"{CYCLE}-01") - pd.DateOffset(months=months)
        for name in ("sales_history", "past_forecasts", "past_plans"):
            if name in tables and "month" in tables[name]:
                tables[name] = tables[name][tables[name]["month"] >= first].reset_index(drop=True)
        if value is not None:
            _set("sales_history", value, "quantity")(tables)

    return change


def _nothing(tables: Tables) -> None:
    """Every number that may be zero is zero."""
    for name, frame in tables.items():
        numbers = [c.name for c in TABLES[name] if c.kind == "number" and (c.low or 0) <= 0]
        tables[name] = frame.assign(**dict.fromkeys(numbers, 0.0))


def _all(*changes: Callable[[Tables], None]) -> Callable[[Tables], None]:
    def change(tables: Tables) -> None:
        for one in changes:
            one(tables)

    return change


no_sales = _all(_set("sales_history", 0.0, "quantity"), _set("sales_forecast", 0.0, "quantity"))
# name -> size, change of its tables; those of "slow" are made in the bench only
EXTREMES: dict[str, tuple[demo.Size, Callable[[Tables], None]]] = {
    "no capacity": (SMALL, _all(_set("capacity", 0.0, "hours", "overtime_limit"), _gone("workforce"))),
    "no supplier": (SMALL, _set("suppliers", 0.0, "capacity")),
    "no demand": (SMALL, no_sales),
    "no stock": (SMALL, _set("inventory", 0.0, "on_hand")),
    "nothing anywhere": (SMALL, _nothing),
    "units x1000": (SMALL, _units(1e3)),
    "units x0.001": (SMALL, _units(1e-3)),
    "one product": (
        replace(SMALL, products=1, families=1, markets=1, plants=1, dcs=0, resources=1, materials=0),
        _all(),
    ),
    "one month": (replace(SMALL, horizon=1), _all()),
    "36 months": (replace(SMALL, products=1, families=1, markets=1, horizon=36), _all()),
    "20 years": (replace(SMALL, products=1, families=1, markets=1, history=240), _all()),
    "no history": (SMALL, _history(0)),
    **{f"history of {months}": (SMALL, _history(months)) for months in (1, 2, 3, 7, 12, 15)},
    "history of zeros": (SMALL, _history(24, 0.0)),
    "no calendar of people or money": (SMALL, _gone("balance_sheet", "budget", "people", "workforce")),
}
SLOW = {"36 months", "20 years"}


def lay_out(folder: Path, name: str) -> None:
    """The extreme company `name` in its folder, as CSV files."""
    size, change = EXTREMES[name]
    made = demo.tables(size, demo.SEED, CYCLE)
    change(made)
    demo.write(folder, size, demo.SEED, CYCLE, made=made)
    if name == "no history":
        (folder / "sales_history.csv").write_text("product,market,month,quantity\n", encoding="utf-8")
    if name.startswith("history") or name in SLOW:  # these are about demand
        with (folder / "company.yaml").open("a", encoding="utf-8") as settings:
            settings.write("decision: {standard_events: 0}\n")


def perform(company: str, cycle: str = CYCLE) -> None:
    """Every cell of the six notebooks in this process, what each shows drawn as in the notebook; then marked done."""
    from sopkit.cycle import Cycle

    for path in sorted((PROJECT / "notebooks").glob("0*.ipynb")):
        names: dict[str, object] = {}
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] != "code":
                continue
            if "parameters" in cell["metadata"].get("tags", []):
                exec("".join(cell["source"]), names)
                names |= {"company": company, "cycle": cycle}
                continue
            tree, last = ast.parse("".join(cell["source"])), None
            if isinstance(tree.body[-1], ast.Expr):
                last = ast.Expression(tree.body.pop().value)
            exec(compile(tree, path.name, "exec"), names)
            shown = eval(compile(last, path.name, "eval"), names) if last else None
            draw = getattr(shown, "_repr_html_", None)
            assert draw is None or draw() is not None
        Cycle.open(company, cycle).mark(path.stem.split("_")[1], "done")
