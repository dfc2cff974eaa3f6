"""What nobody supplies lasts as long as its stock: said before a plan is made that must fail on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from sopkit.collect.contradictions import bom_order, made_at
from sopkit.errors import Finding
from sopkit.tables import Company

YEAR = 12  # months of sales from which a monthly need is taken
NAMED = 5


def findings(tables: Mapping[str, pd.DataFrame], company: Company, cycle: str) -> Iterator[Finding]:
    """One warning for each item that is needed, that nobody makes or sells, and that ends within the horizon.

    The need is last year's mean monthly sales of the products, carried down the bill of materials, of several the most.
    """
    bom = tables["bom"].query("not by_product").groupby(["item", "component"], as_index=False)["quantity"].max()
    start = pd.Timestamp(f"{cycle}-01")
    sold = tables["sales_history"]
    sold = sold[sold["month"].ge(start - pd.DateOffset(months=YEAR)) & sold["month"].lt(start)]
    need: dict[str, float] = (sold.groupby("product")["quantity"].sum() / YEAR).to_dict()
    hangs = {product: {product} for product in need}
    parts = {item: rows for item, rows in bom.groupby("item")}
    for item in reversed(bom_order(tables)):
        for row in parts[item].itertuples() if item in parts and item in need else ():
            need[row.component] = need.get(row.component, 0.0) + need[item] * row.quantity
            hangs.setdefault(row.component, set()).update(hangs[item])
    sourced = set(tables["offers"]["item"]) | set(made_at(tables)["item"])
    coming = pd.concat([tables[name][["item", "quantity"]] for name in ("inventory", "scheduled_receipts")])
    there = coming.groupby("item")["quantity"].sum()
    for item in sorted(set(need) - sourced):
        left = float(there.get(item, 0.0))
        if left <= 0 or need[item] <= 0 or left / need[item] >= company.horizon:
            continue
        end = start + pd.DateOffset(months=int(left / need[item]))
        names = sorted(hangs[item] - {item})
        on_it = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        rule = f"nobody makes or sells it: the {left:,.0f} in stock or on order run out in about {end:%b %Y}"
        rule += f", and {on_it} cannot be made after that" if names else ""
        table, column = ("bom", "component") if names else ("products", "product")
        fix = "Add an offer of a supplier or a routing, or end what is made of it."
        fix = fix if names else "Add an offer or a routing, or give the product an end month."
        yield Finding(table, 0, column, item, rule, "warning", "an item of offers or routings", fix)
