"""Where two views disagree, in units and money, each gap with the lever that closes most of it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sopkit.book import Book
from sopkit.reconcile.finance import COMPANY, gross_margin
from sopkit.words import divided


def _gap(name: str, plan: pd.Series, reference: pd.Series, value: pd.Series | float) -> pd.DataFrame:
    """One gap by family and month; `value` is the money of a unit of difference (1 where it is money already)."""
    frame = pd.DataFrame({"plan": plan, "reference": reference}).fillna(0.0)
    frame["difference"] = frame["plan"] - frame["reference"]
    frame["share"] = frame["difference"] / frame["reference"].where(frame["reference"] != 0)
    each = value if isinstance(value, float) else frame.index.get_level_values("family").map(value).to_numpy(float)
    frame["money"] = frame["difference"] * each
    return frame.reset_index().assign(gap=name)


def _sum(frame: pd.DataFrame, column: str) -> pd.Series:
    return frame.groupby(["family", "month"])[column].sum()


def gaps(book: Book, statement: pd.DataFrame) -> pd.DataFrame:
    """Table `gaps`: demand against what is delivered, and plan against budget for sales, margin, production and stock.

    Units are valued at the family's mean price (demand) or standard cost (production, stock); difference = plan -
    reference, so a shortfall is negative. A lever from table `levers` is named where one helps the family.
    """
    products, deliveries, budget = book["products"], book["deliveries"], book["budget"]
    delivered = deliveries.assign(family=book.families(deliveries["product"]))
    sold = delivered.assign(money=delivered["delivered"] * delivered["price"]).groupby("family")[["money", "delivered"]]
    price = sold.sum().eval("money / delivered").where(sold.sum()["delivered"] > 0)
    price = price.fillna(products.groupby("family")["price"].mean()).fillna(0.0)
    cost = products.groupby("family")["standard_cost"].mean()
    found = [_gap("demand-supply", _sum(delivered, "delivered"), _sum(delivered, "demand"), price)]
    if len(budget):
        money = gross_margin(statement)
        money = money[money["family"] != COMPANY]
        budget = budget.set_index(["family", "month"])
        made = book["supply_plan"]
        made = made.assign(family=book.families(made["item"])).dropna(subset="family")
        held = book["stock"].assign(family=book.families(book["stock"]["item"])).dropna(subset="family")
        budget = budget[budget.index.isin(_sum(delivered, "demand").index)]
        for name, plan, value in (
            ("sales-budget", _sum(money, "sales"), 1.0),
            ("margin-budget", _sum(money, "margin"), 1.0),
            ("production-budget", _sum(made, "quantity"), cost),
            ("stock-budget", _sum(held, "closing"), cost),
        ):
            found.append(_gap(name, plan.reindex(budget.index, fill_value=0.0), budget[name.split("-")[0]], value))
    return _with_levers(pd.concat(found, ignore_index=True), book)


def _with_levers(rows: pd.DataFrame, book: Book) -> pd.DataFrame:
    """The best priced lever of each family (found by re-solving) beside its shortfalls of supply."""
    rows = rows.assign(lever="", lever_gain=np.nan)
    levers = book["levers"]
    if levers.empty:
        return rows
    gains, told = dict[str, float](), dict[str, str]()
    for lever in levers[levers["gain"] > 0].sort_values("gain").itertuples():
        for product in divided(lever.helps):  # sorted by gain: the last one stands
            gains[book.family[product]], told[book.family[product]] = lever.gain, lever.sentence
    family = rows.loc[(rows["gap"] == "demand-supply") & (rows["difference"] < -0.5), "family"]
    rows.loc[family.index, "lever"] = family.map(told).fillna("")
    rows.loc[family.index, "lever_gain"] = family.map(gains)
    return rows
