"""How much safety stock the forecast's own error asks for, product by site, beside today's target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtri

from sopkit.collect.contradictions import own_lanes, whole_months
from sopkit.demand.grid import PAIR, Notes
from sopkit.tables import TABLES
from sopkit.words import number, percent, say, several

if TYPE_CHECKING:
    from sopkit.book import Book

# A plan is made once a month, so stock must bridge the time to replenish and the month until the next plan.
REVIEW = 1
# Only errors this few months ahead count: nearer to the lead time than the horizon.
STEPS = 6
MOST_SERVICE = 0.9999
KEY = ["site", "product"]


def safety_stock(service_level: float | np.ndarray, error: float | np.ndarray) -> float | np.ndarray:
    """F^-1(service level) x standard error over the lead time, units; 0 below a service level of one half.

    `service_level`: chance of no stock-out in a lead time (cycle service). Source: Chopra & Meindl, chapter on safety
    inventory: ss = F_s^-1(CSL) x sigma_L. A level of 1 cannot be had from any stock: 0.9999 stands in.
    """
    return np.maximum(ndtri(np.clip(service_level, 0.5, MOST_SERVICE)), 0.0) * error


def _first(frame: pd.DataFrame, best: str, once: list[str]) -> pd.DataFrame:
    """One row for each `once`: the first by the columns named in `best`."""
    return frame.sort_values(best.split(), kind="stable").drop_duplicates(once)


def _ways(book: Book) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Which site serves a market with a product, and from where a site is replenished with it in how many months.

    The cheapest lane counts (then the quickest): which one the supply plan will use is not known yet.
    """
    held = book["policies"].rename(columns={"item": "product"})[["site", "product"]]
    held = held[held["product"].isin(book["products"]["product"])]
    lanes, offers = (book[name].assign(lead_time=whole_months) for name in ("lanes", "offers"))
    there = ["product", "destination"]
    serves = held.merge(lanes[lanes["destination"].isin(book["markets"]["market"])], left_on="site", right_on="origin")
    serves = _first(own_lanes(serves), "cost lead_time site", there).rename(columns={"destination": "market"})
    makes = book["routings"].merge(book["resources"][["resource", "site"]], on="resource")
    makes = makes.rename(columns={"item": "product"})[["product", "site"]].drop_duplicates()
    here = makes.assign(destination=makes["site"], origin="", lead_time=0)
    ships = _first(own_lanes(makes.merge(lanes, left_on="site", right_on="origin")), "cost lead_time origin", there)
    buys = _first(offers.rename(columns={"item": "product", "site": "destination"}), "price lead_time", there)
    ways = pd.concat([here, ships, buys.assign(origin=buys["supplier"])])[[*there, "origin", "lead_time"]]
    ways = ways.drop_duplicates(there).rename(columns={"destination": "site"})
    return serves[["site", "product", "market"]], ways


def _errors(tried: pd.DataFrame, served: pd.DataFrame, months: pd.Series) -> pd.Series:
    """Root mean square error of sums over each site x product's months in the backtest, as a share of what was sold."""
    known = tried.merge(served, on=PAIR)
    known = known.groupby([*KEY, "cutoff", "month"], as_index=False)[["actual", "forecast"]].sum()
    known["step"] = known.groupby([*KEY, "cutoff"]).cumcount()
    shares = {}
    for key, rows in known.groupby(KEY):
        length, found = int(months[key]), []
        for _, window in rows[rows["step"] < max(STEPS, length)].groupby("cutoff"):
            if len(window) >= length:
                values = window[["actual", "forecast"]].to_numpy()
                found.append(np.lib.stride_tricks.sliding_window_view(values, length, axis=0).sum(axis=-1))
        sold, forecast = np.concatenate(found).T if found else np.zeros((2, 1))
        if sold.mean() > 0:
            shares[key] = np.sqrt(np.square(forecast - sold).mean()) / sold.mean()
    return pd.Series(shares, dtype=float)


def proposal(book: Book, notes: Notes) -> pd.DataFrame:
    """The rows of `safety_stock_proposal`: service factor x error of the forecast over replenishment and review time.

    The error is that of the backtest (table `backtest_months`), summed over the markets that the site serves and over
    the months to bridge, so that errors which cancel or follow each other are counted as they came; it scales with the
    demand now planned. Where there is no backtest (a launch), the family's median share stands in.
    """
    serves, ways = _ways(book)
    policies = book["policies"].rename(columns={"item": "product", "safety_stock": "current"})
    out = policies.loc[policies["product"].isin(book["products"]["product"]), [*KEY, "service_level", "current"]]
    # a site that only sends to other sites holds for all that they serve
    onward = ways[ways["origin"].isin(set(out["site"])) & (ways["origin"] != ways["site"])]
    through = serves.merge(onward[[*KEY, "origin"]], on=KEY)
    through = through.assign(site=through["origin"])[serves.columns]
    served = pd.concat([serves, through]).drop_duplicates().merge(out[KEY], on=KEY)
    out = out.merge(ways, on=KEY, how="left")
    out["lead_time"], found = out["lead_time"].fillna(0) + REVIEW, out["lead_time"].notna()
    plan = book["demand_plan"]
    planned = book.near(plan).groupby(PAIR)["consensus"].sum() / len(book.year)
    mean = served.join(planned, on=PAIR).groupby(KEY)["consensus"].sum()
    key = pd.MultiIndex.from_frame(out[KEY])
    out["mean"] = mean.reindex(key).fillna(0.0).to_numpy()
    share = pd.Series(_errors(book["backtest_months"], served, out.set_index(KEY)["lead_time"]).reindex(key).to_numpy())
    how = np.where(share.isna(), say("error of its family"), say("error of its backtest"))
    of_family = share.groupby(book.families(out["product"])).transform("median")
    share = share.fillna(of_family).fillna(share.median()).fillna(0.0)
    out["error"] = share * out["mean"] * out["lead_time"]
    out["proposed"] = safety_stock(out["service_level"].to_numpy(), out["error"].to_numpy())
    out["difference"] = out["proposed"] - out["current"]
    cost = out["product"].map(book["products"].set_index("product")["standard_cost"])
    for column in ("proposed", "current", "difference"):
        out[f"{column}_value"] = out[column] * cost
    source = [say("from {site}", one) if one else say("made here") for one in out["origin"].fillna("")]
    source = [one if known else say("no way in found") for one, known in zip(source, found, strict=True)]
    told = "{where}, {lead} to replenish + {review} of review; {error} {share} of demand over them"
    months = (out["lead_time"] - REVIEW).astype(int)
    waits = [several(lead, "month") if lead else say("no time") for lead in months]
    each = zip(source, waits, how, map(percent, share), strict=True)
    out["reason"] = [say(told, where, lead, several(REVIEW, "month"), of, part) for where, lead, of, part in each]
    if len(out):
        proposed, current, change = out[["proposed_value", "current_value", "difference_value"]].sum()
        told = (
            "The forecast's error asks for {proposed} {currency} of safety stock at standard cost; today's targets "
            "hold {current} ({change}). Normal errors and each market served over its cheapest lane are assumed; the "
            "lead time is certain."
        )
        sums = number(proposed), book.currency, number(current), number(change, sign=True)
        notes.say("safety stock", "all", told, *sums, money=change)
    return out[TABLES["safety_stock_proposal"].names]
