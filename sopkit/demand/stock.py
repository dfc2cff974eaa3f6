"""How much safety stock the forecast's own error asks for, product by site, beside today's target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtri

from sopkit.demand.layers import PAIR, Notes
from sopkit.words import percent

if TYPE_CHECKING:
    from sopkit.book import Book

# A plan is made once a month, so stock must bridge the time to replenish and the month until the next plan.
REVIEW = 1
# Only errors this few months ahead count: nearer to the lead time than the horizon.
STEPS = 6
MOST_SERVICE = 0.9999


def safety_stock(service_level: float | np.ndarray, error: float | np.ndarray) -> float | np.ndarray:
    """F^-1(service level) x standard error over the lead time, units; 0 below a service level of one half.

    `service_level`: chance of no stock-out in a lead time (cycle service). Source: Chopra & Meindl, chapter on safety
    inventory: ss = F_s^-1(CSL) x sigma_L. A level of 1 cannot be had from any stock: 0.9999 stands in.
    """
    return np.maximum(ndtri(np.clip(service_level, 0.5, MOST_SERVICE)), 0.0) * error


def error_over_lead_time(error: float | np.ndarray, lead_time: float | np.ndarray) -> float | np.ndarray:
    """Standard error over `lead_time` months from that of one month, months independent: error x sqrt(lead time).

    Used where no backtest says how errors add up. Source: Chopra & Meindl, sigma_L = sqrt(L) x sigma_D.
    """
    return error * np.sqrt(lead_time)


def _ways(tables: Book) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Which site serves a market with a product, and from where a site is replenished with it in how many months.

    The cheapest lane counts (then the quickest): which one the supply plan will use is not known yet.
    """
    held = tables["policies"].rename(columns={"item": "product"})
    held = held[held["product"].isin(tables["products"]["product"])][["site", "product"]]
    lanes = tables["lanes"].sort_values(["cost", "lead_time", "origin"], kind="stable")
    serves = held.merge(lanes, left_on="site", right_on="origin")
    serves = serves[serves["destination"].isin(tables["markets"]["market"])].sort_values(
        ["cost", "lead_time", "site"], kind="stable"
    )
    serves = serves.drop_duplicates(["product", "destination"]).rename(columns={"destination": "market"})[
        ["site", "product", "market"]
    ]
    makes = tables["routings"].merge(tables["resources"][["resource", "site"]], on="resource")
    makes = makes.rename(columns={"item": "product"})[["product", "site"]].drop_duplicates()
    ships = makes.merge(lanes, left_on="site", right_on="origin")[
        ["product", "origin", "destination", "cost", "lead_time"]
    ]
    ships = ships.sort_values(["cost", "lead_time", "origin"], kind="stable").drop_duplicates(
        ["product", "destination"]
    )
    buys = (
        tables["offers"]
        .rename(columns={"item": "product", "site": "destination"})
        .sort_values(["price", "lead_time"], kind="stable")
    )
    buys = buys.drop_duplicates(["product", "destination"])[["product", "destination", "supplier", "lead_time"]]
    here = makes.assign(destination=makes["site"], origin="", lead_time=0)
    ways = pd.concat([here, ships, buys.rename(columns={"supplier": "origin"})], ignore_index=True)
    ways = ways.drop_duplicates(["product", "destination"]).rename(columns={"destination": "site", "site": "_"})
    return serves, ways[["product", "site", "origin", "lead_time"]]


def _errors(tried: pd.DataFrame, served: pd.DataFrame, months: pd.DataFrame) -> pd.Series:
    """Root mean square error of sums over each site x product's months in the backtest, as a share of what was sold."""
    known = tried.merge(served, on=PAIR)
    known = known.groupby(["site", "product", "cutoff", "month"], as_index=False)[["actual", "forecast"]].sum()
    known["step"] = known.groupby(["site", "product", "cutoff"]).cumcount()
    shares = {}
    lengths = months.set_index(["site", "product"])["months"]
    for key, rows in known.groupby(["site", "product"]):
        length, squares, sold = int(lengths[key]), [], []
        for _, window in rows[rows["step"] < max(STEPS, length)].groupby("cutoff"):
            if len(window) < length:
                continue
            sums = np.lib.stride_tricks.sliding_window_view(
                window[["actual", "forecast"]].to_numpy(), length, axis=0
            ).sum(axis=-1)
            squares.append((sums[:, 1] - sums[:, 0]) ** 2)
            sold.append(sums[:, 0])
        if squares and np.concatenate(sold).mean() > 0:
            shares[key] = float(np.sqrt(np.concatenate(squares).mean()) / np.concatenate(sold).mean())
    return pd.Series(shares, dtype=float)


def proposal(tables: Book, notes: Notes) -> pd.DataFrame:
    """The rows of `safety_stock_proposal`: service factor x error of the forecast over replenishment and review time.

    The error is that of the backtest (table `backtest_months`), summed over the markets that the site serves and over
    the months to bridge, so that errors which cancel or follow each other are counted as they came;
    it scales with the demand now planned. Where there is no backtest (a launch), the family's median share stands in.
    """
    serves, ways = _ways(tables)
    demand_plan, currency = tables["demand_plan"], tables.currency
    policies = tables["policies"].rename(columns={"item": "product"})
    products = tables["products"].set_index("product")
    policies = policies[policies["product"].isin(products.index)]
    # a site that only sends to other sites holds for all that they serve
    onward = ways[ways["origin"].isin(set(policies["site"])) & (ways["origin"] != ways["site"])]
    through = serves.merge(onward[["product", "site", "origin"]], on=["product", "site"])
    through = through.assign(site=through["origin"])[["site", "product", "market"]]
    served = pd.concat([serves, through]).drop_duplicates().merge(policies[["site", "product"]], on=["site", "product"])
    out = policies[["site", "product", "service_level", "safety_stock"]].rename(columns={"safety_stock": "current"})
    out = out.merge(ways, on=["site", "product"], how="left")
    out["months"] = out["lead_time"].fillna(0) + REVIEW
    year = sorted(demand_plan["month"].unique())[:12]
    planned = demand_plan[demand_plan["month"].isin(year)].groupby(PAIR)["consensus"].sum() / len(year)
    mean = served.join(planned, on=PAIR).groupby(["site", "product"])["consensus"].sum()
    share = _errors(tables["backtest_months"], served, out)
    index = pd.MultiIndex.from_frame(out[["site", "product"]])
    out["mean"] = mean.reindex(index).fillna(0.0).to_numpy()
    out["relative"] = share.reindex(index).to_numpy()
    family = out["product"].map(products["family"])
    guessed = out["relative"].isna()
    out["relative"] = (
        out["relative"]
        .fillna(out["relative"].groupby(family).transform("median"))
        .fillna(out["relative"].median())
        .fillna(0.0)
    )
    out["error"] = out["relative"] * out["mean"] * out["months"]
    out["proposed"] = safety_stock(out["service_level"].to_numpy(), out["error"].to_numpy())
    cost = out["product"].map(products["standard_cost"])
    out["proposed_value"], out["current_value"] = out["proposed"] * cost, out["current"] * cost
    out["difference"] = out["proposed"] - out["current"]
    out["difference_value"] = out["proposed_value"] - out["current_value"]
    source = np.where(out["origin"].fillna("") == "", "made here", "from " + out["origin"].fillna(""))
    source = np.where(out["lead_time"].isna(), "no way in found", source)
    how = np.where(guessed, "error of its family", "error of its backtest")
    out["reason"] = [
        f"{where}, {lead:.0f} month(s) to replenish + {REVIEW} of review; {said} {percent(part)} of demand over them"
        for where, lead, said, part in zip(source, out["months"] - REVIEW, how, out["relative"], strict=True)
    ]
    if len(out):
        change = out["difference_value"].sum()
        notes.say(
            "safety stock",
            "all",
            f"The forecast's error asks for {out['proposed_value'].sum():,.0f} {currency} of safety stock at "
            f"standard cost; today's targets hold {out['current_value'].sum():,.0f} ({change:+,.0f}). "
            "Normal errors and each market served over its cheapest lane are assumed; the lead time is certain.",
            float(change),
        )
    columns = [
        "site",
        "product",
        "service_level",
        "lead_time",
        "mean",
        "error",
        "proposed",
        "current",
        "difference",
        "proposed_value",
        "current_value",
        "difference_value",
        "reason",
    ]
    return out.assign(lead_time=out["months"])[columns]
