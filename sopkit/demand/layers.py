"""The named layers over the baseline: which pairs are planned, market conditions, the CRM pipeline.

A layer is so many units added or taken away in a month. All that scale with volume (market conditions, campaigns)
scale with the same volume, baseline + lifecycle, so leaving one layer out changes no other one. What past campaigns and
market conditions did to history is taken out before the baseline is made: it would be counted twice otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sopkit.demand.grid import PAIR, Grid, Notes, Past, make_grid
from sopkit.demand.lifecycle import young_products
from sopkit.words import month_name, number

if TYPE_CHECKING:
    from sopkit.book import Book

LAYERS = ("lifecycle", "market_conditions", "campaigns", "pipeline")


def planned_grid(book: Book, past: Past) -> Grid:
    """Every pair that can be planned: with history, launched like one that has, or named by sales or the CRM."""
    like, found = young_products(book, past), [book["baseline"][PAIR]]
    for _ in range(len(like)):  # a like-product may be a launch itself
        known = pd.concat(found)
        more = like.merge(known.rename(columns={"product": "like_product"}), on="like_product")[PAIR]
        more = more.merge(known, how="left", indicator=True).query("_merge == 'left_only'")[PAIR].drop_duplicates()
        if more.empty:
            break
        found.append(more)
    for table in ("sales_forecast", "pipeline"):
        rows = book[table]
        found.append(rows.loc[rows["month"].isin(book.months) & (rows["quantity"] > 0), PAIR])
    return make_grid(plannable(pd.concat(found), book), book.months, book)


def agreed_grid(book: Book) -> Grid:
    """The pairs that the layers plan, and those that an override names besides."""
    overrides = book["overrides"]
    named = overrides.loc[(overrides["product"] != "") & (overrides["market"] != ""), PAIR]
    return make_grid(pd.concat([book["demand_layers"][PAIR], plannable(named, book)]), book.months, book)


def plannable(pairs: pd.DataFrame, book: Book) -> pd.DataFrame:
    """The rows of `pairs` whose product and market exist, the product not ended before last month.

    What the successor of an ended product took over is in the successor's history.
    """
    products = book["products"]
    ended = products.loc[products["end_month"] < book.first - pd.DateOffset(months=1), "product"]
    known = pairs["product"].isin(products["product"]) & pairs["market"].isin(book["markets"]["market"])
    return pairs[known & ~pairs["product"].isin(ended)]


def market_effects(book: Book, grid: Grid) -> np.ndarray:
    """Joint effect of all drivers on each pair and month, a share: drivers multiply."""
    conditions = book["market_conditions"]
    conditions = conditions[conditions["month"].isin(grid.months)]
    if conditions.empty:
        return grid.zeros()
    joint = conditions.assign(quantity=np.log1p(np.maximum(conditions["effect"], -0.999999)))
    joint = joint.groupby(["family", "market", "month"], as_index=False)["quantity"].sum()
    spread = grid.pairs[["product", "market", "family"]].merge(joint, on=["family", "market"])
    return np.expm1(grid.matrix(spread))


def pipeline_layer(book: Book, grid: Grid, notes: Notes) -> tuple[np.ndarray, np.ndarray]:
    """Units of CRM opportunities that are not in the baseline, weighted by probability, and their variance.

    The variance of one opportunity is quantity^2 x p (1 - p): it is won whole or not at all.
    """
    deals = book["pipeline"]
    for row in deals[(deals["month"] < grid.months[0]) & (deals["probability"] > 0)].itertuples():
        told = (
            "{deal} ({customer}, {quantity} {product}) was expected in {month}, which is past: not in the plan until "
            "sales gives a new month."
        )
        deal = row.opportunity, row.customer, number(row.quantity), row.product, month_name(row.month)
        notes.say("pipeline", row.opportunity, told, *deal)
    inside = deals[deals["in_baseline"] & (deals["month"] >= grid.months[0])]
    if len(inside):
        told = (
            "{count} opportunities of {quantity} units are not added: history already holds these customers' usual "
            "orders."
        )
        customers = ", ".join(sorted(set(inside["customer"])))
        notes.say("pipeline", customers, told, len(inside), number(inside["quantity"].sum()))
    deals = deals[~deals["in_baseline"]]
    units, chance = deals["quantity"], deals["probability"]
    expected = deals.assign(units=units * chance, variance=units**2 * chance * (1 - chance))
    return grid.matrix(expected, "units"), grid.matrix(expected, "variance")


def pipeline_weight(book: Book) -> pd.DataFrame:
    """Customers of the CRM by the machine hours their opportunities need, most first; the rows of `pipeline_weight`.

    Hours of a unit: the mean of the product's routings (which machine will make it is not known yet); bought-in parts
    and people are not counted.
    """
    deals = book["pipeline"]
    deals = deals[deals["month"].isin(book.months)]
    hours = deals["product"].map(book["routings"].groupby("item")["hours"].mean()).fillna(0.0)
    expected = deals["quantity"] * deals["probability"]
    sums = {
        "expected": expected,
        "added": expected.where(~deals["in_baseline"], 0.0),
        "value": expected * book.net_prices(deals),
        "hours": expected * hours,
        "hours_if_won": deals["quantity"] * hours,
    }
    groups = deals.assign(**sums).groupby("customer")
    out = groups[["quantity", *sums]].sum().assign(opportunities=groups.size(), first_month=groups["month"].min())
    out = out.assign(products=groups["product"].agg(lambda names: ", ".join(sorted(set(names))))).reset_index()
    out["share"] = (out["hours_if_won"] / out["hours_if_won"].sum()).fillna(0.0)
    out = out.sort_values(["hours_if_won", "customer"], ascending=[False, True], ignore_index=True)
    return out.assign(rank=np.arange(1, len(out) + 1))
