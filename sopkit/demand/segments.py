"""Where effort pays: products by value (ABC), by how well they can be forecast (XYZ), and by the shape of demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sopkit.demand.campaigns import usual_sales
from sopkit.demand.contestants import INTERMITTENT_GAP
from sopkit.demand.grid import Grid, Past
from sopkit.demand.judged import from_first
from sopkit.words import say

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.book import Book

# Above this squared variation of sizes demand is erratic or lumpy (Syntetos, Boylan & Croston 2005).
WILD = 0.49
_ADVICE = {
    "AX": "let the numbers plan it; look when an exception names it",
    "AY": "numbers first, then what people know of events; every cycle",
    "AZ": "talk to the customers behind it every cycle; hold safety stock deliberately",
    "BX": "let the numbers plan it",
    "BY": "let the numbers plan it; look every quarter",
    "BZ": "plan by family; look every quarter",
    "CX": "let the numbers plan it; no meeting time",
    "CY": "let the numbers plan it; no meeting time",
    "CZ": "make or buy to order, or ask whether it should stay in the range",
}


def segments(book: Book, past: Past) -> pd.DataFrame:
    """The rows of `segments`: ABC by net sales of the last 12 months, XYZ by the variation that season and level leave.

    Pattern: mean interval between sales against 1.32 months, squared variation of sizes against 0.49 (Syntetos, Boylan
    & Croston 2005).
    """
    rules, products = book.company.demand, book["products"][["product", "family"]]
    money = past.sold[:, -12:].sum(axis=1) * past.pairs["price"]
    value = products["product"].map(money.groupby(past.pairs["product"]).sum()).fillna(0.0)
    out = products.assign(value=value)
    out = out.sort_values(["value", "product"], ascending=[False, True], ignore_index=True)
    total = out["value"].sum()
    out["share"] = out["value"] / total if total else 0.0
    out["cumulative"] = out["share"].cumsum()
    before = out["cumulative"] - out["share"]
    a, b = ((before < limit) & (out["value"] > 0) for limit in rules.abc)
    out["abc"] = np.select([a, b], ["A", "B"], "C")
    wholes = Grid(out[["product"]].assign(market="", price=0.0), past.months)
    of_all = wholes.matrix(past.long(quantity=past.sold).assign(market=""))
    usual = usual_sales(wholes, of_all, np.zeros(of_all.shape, bool))
    each = zip(out["product"], of_all, usual, strict=True)
    shapes = [_shape(past.sold[past.rows_of.get(name, [])], *of) for name, *of in each]
    out[["variation", "interval", "pattern"]] = shapes
    x, y = (out["variation"] <= limit for limit in rules.xyz)
    out["xyz"] = np.select([x, y], ["X", "Y"], "Z")
    out["advice"] = [say(_ADVICE[one]) for one in out["abc"] + out["xyz"]]
    out.loc[out["pattern"] == "new", "advice"] = say("new: plan by its like-product, watch the first months")
    return out


def _shape(pairs: np.ndarray, of_all: np.ndarray, usual: np.ndarray) -> tuple[float, float, str]:
    """Variation, mean interval between sales and pattern of a product: its sales by market, in all, and as usual."""
    mine = from_first(of_all)
    normal = usual[len(usual) - len(mine) :]
    gaps = [len(sold) / np.count_nonzero(sold) for sold in map(from_first, pairs) if len(sold)]
    interval, variation = float(np.mean(gaps)) if gaps else np.nan, np.nan
    if len(mine) >= 6 and mine.sum() > 0:
        variation = float(np.std(mine / (normal if len(mine) >= 24 and (normal > 0).all() else mine.mean())))
    if len(mine) < 12 or not gaps:
        return variation, interval, "new"
    steady, wild = interval <= INTERMITTENT_GAP, variation**2 > WILD
    return variation, interval, ("erratic" if wild else "smooth") if steady else "lumpy" if wild else "intermittent"
