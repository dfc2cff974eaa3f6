"""Goods with a shelf life followed by their age, in pandas, from the plan's tables alone: is anything used too old?

First in, first out: each month the oldest goods that still serve go to the nearest use (what is used up or delivered
at once before what travels, what travels before what is kept), batch by batch. Where that leaves something unserved,
another assignment of the same goods may still serve it, for example young goods kept back for a long lane: then all
assignments are looked at, as a linear model of batches and nothing else. What no assignment serves is too old.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.optimize import linprog
from scipy.sparse import coo_array

if TYPE_CHECKING:
    from sopkit.supply.recount import Recount

LEAST = 1e-5  # units below this are the solver's tolerance


@dataclass(frozen=True)
class Flow:
    """Units that leave a site in a month: to another site, to a market, into something made, or on to the next month.

    They must have been new in month `since` or later, to be young enough when they are used or arrive.
    """

    units: float
    site: str
    month: int
    since: int
    to: tuple[str, int] | None = None  # where and when they come in again


def too_old(plan: Recount) -> pd.Series:
    """Units of each item, site and month that are used, sent or held although all that is there is too old."""
    stock = plan.stock_lines
    stock = stock[stock["shelf_life"].gt(0)]
    found: dict[tuple, float] = {}
    for item, own in stock.groupby("item"):
        fresh, flows = _moves(plan, item, own)
        missing = _first_in_first_out(fresh, flows)
        if sum(missing.values()) > LEAST:
            missing = _any_assignment(fresh, flows)
        for flow, units in missing.items():
            at = item, flow.site, plan.months[flow.month]
            found[at] = found.get(at, 0.0) + units
    index = pd.MultiIndex.from_frame(stock[["item", "site", "month"]])
    return pd.Series(found, dtype=float).reindex(index, fill_value=0.0) if found else pd.Series(0.0, index)


# by site and month: units that come in new to the network, by the month in which they were new (before 0: on hand)
Batches = dict[tuple[str, int], dict[int, float]]


def _moves(plan: Recount, item: str, own: pd.DataFrame) -> tuple[Batches, list[Flow]]:
    """What comes in of one item, and everything that leaves a site in a month."""
    life, last = int(own["shelf_life"].iloc[0]), len(plan.months) - 1
    fresh: Batches = defaultdict(dict)
    flows: list[Flow] = []
    shipped = plan.shipped[plan.shipped["item"].eq(item)]
    sites, arrived, sent = set(own["site"]), defaultdict[Any, float](float), defaultdict[Any, float](float)
    at, when = plan.at(shipped["month"]).astype(int), plan.at(shipped["arrival"])
    for o, d, units, t, arrival in zip(
        shipped["origin"], shipped["destination"], shipped["quantity"], at, when, strict=True
    ):
        arrival = int(arrival) if arrival == arrival else last + 1
        flows.append(Flow(units, o, t, arrival - life, (d, arrival) if d in sites else None))
        sent[o, t] += units
        if d in sites:
            arrived[d, arrival] += units
    on_hand = plan.book["inventory"].query("item == @item")
    for row in own.itertuples():
        t = int(plan.at(pd.Index([row.month]))[0])
        place = row.site, t
        for lot in on_hand[on_hand["site"].eq(row.site)].itertuples() if t == 0 else ():
            fresh[place][-1 - int(lot.age)] = float(lot.quantity)
        fresh[place][t] = row.received - arrived[place]
        flows.append(Flow(row.issued - row.scrapped - sent[place], row.site, t, t - life))
        flows.append(Flow(row.closing, row.site, t, t - life + 1, (row.site, t + 1)))
    return fresh, [flow for flow in flows if flow.units > LEAST]


def _first_in_first_out(fresh: Batches, flows: list[Flow]) -> dict[Flow, float]:
    """What the oldest goods that still serve leave unserved of each flow, nearest use first."""
    here: Batches = defaultdict(lambda: defaultdict(float))
    for place, batches in fresh.items():
        for born, units in batches.items():
            here[place][born] += units
    missing = {}
    for flow in _in_order(flows):
        needed = flow.units
        batches = here[flow.site, flow.month]
        for born in sorted(batch for batch in batches if batch >= flow.since):
            taken = min(needed, batches[born])
            batches[born] -= taken
            needed -= taken
            if flow.to:
                here[flow.to][born] += taken
        if needed > LEAST:
            missing[flow] = needed
    return missing


def _in_order(flows: list[Flow]) -> list[Flow]:
    """By month, sites that send on in the same month first, and at each site the nearest use first."""
    onward = {(flow.site, flow.to[0], flow.month) for flow in flows if flow.to and flow.to[1] == flow.month}
    depth: dict[tuple[str, int], int] = defaultdict(int)
    for _ in range(len(onward)):
        for origin, destination, month in sorted(onward):
            depth[destination, month] = max(depth[destination, month], min(depth[origin, month] + 1, len(onward)))
    return sorted(flows, key=lambda f: (f.month, depth[f.site, f.month], f.site, f.since, f.to is not None, f.to or ()))


def _any_assignment(fresh: Batches, flows: list[Flow]) -> dict[Flow, float]:
    """What the best assignment of batches to flows leaves unserved: least units over all assignments."""
    batches = sorted({born for some in fresh.values() for born in some})
    column = {
        (at, born): n
        for n, (at, born) in enumerate(
            (at, born) for at, flow in enumerate(flows) for born in batches if flow.since <= born <= flow.month
        )
    }
    short = len(column)
    nodes = sorted({(*place, born) for place in [*fresh, *((f.site, f.month) for f in flows)] for born in batches})
    node = {each: n for n, each in enumerate(nodes)}
    there = np.zeros(len(nodes))
    for (site, month), some in fresh.items():
        for born, units in some.items():
            there[node[site, month, born]] += units
    balance, served = [], []
    for (at, born), n in column.items():
        flow = flows[at]
        balance.append((node[flow.site, flow.month, born], n, 1.0))
        if flow.to and (*flow.to, born) in node:
            balance.append((node[(*flow.to, born)], n, -1.0))
        served.append((at, n, 1.0))
    served += [(at, short + at, 1.0) for at in range(len(flows))]
    size = short + len(flows)

    def matrix(entries: list, rows: int) -> coo_array:
        row, col, value = (np.array(part) for part in zip(*entries, strict=True)) if entries else ([], [], [])
        return coo_array((value, (row, col)), shape=(rows, size)).tocsr()

    answer = linprog(
        np.append(np.zeros(short), np.ones(len(flows))),
        A_ub=matrix(balance, len(nodes)),
        b_ub=np.maximum(there, 0.0),
        A_eq=matrix(served, len(flows)),
        b_eq=[flow.units for flow in flows],
    )
    missing = answer.x[short:] if answer.status == 0 else [flow.units for flow in flows]
    return {flow: float(units) for flow, units in zip(flows, missing, strict=True) if units > LEAST}
