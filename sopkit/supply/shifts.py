"""Shifts worked and sites open, once more in pandas, from the plan's tables and the input tables alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from sopkit.supply.recount import Recount

SHIFT = ["place", "shift", "month"]


def worked(plan: Recount) -> pd.DataFrame:
    """Table `shift_plan` beside table `shifts`, by place, shift and month, with columns of its own:

    `adds`: hours of the month before maintenance; `line`: it is of a resource, not of a site; `changed`: 1 where it is
    started or stopped; `working`, `changing`: what is paid for the month and for the change.
    """
    given = plan.book["shifts"].rename(columns={"cost": "price", "hours": "adds", "worked": "before"})
    rows = plan.plan["shift_plan"].merge(given, "left", SHIFT[:2]).sort_values(SHIFT, ignore_index=True)
    if rows.empty:
        return rows.assign(line=False, changed=0.0, working=0.0, changing=0.0).set_index(SHIFT)
    for column, here in (("cost", "price"), ("hours", "adds")):
        rows = plan.dated(rows, "dated_shifts", column, here)
    now = rows["worked"].astype(float)
    last = now.groupby([rows["place"], rows["shift"]]).shift().fillna(rows["before"].astype(float))
    line = rows["place"].isin(plan.book["resources"]["resource"])
    more, less = (now - last).clip(lower=0.0), (last - now).clip(lower=0.0)
    changing = more * rows["start_cost"] + less * rows["stop_cost"]
    rows = rows.assign(line=line, changed=more + less, working=now * rows["price"], changing=changing)
    return rows.set_index(SHIFT)


def hours(plan: Recount) -> pd.DataFrame:
    """Of each resource and month: regular hours that maintenance leaves of capacity and shifts, and most overtime."""
    capacity = plan.book["capacity"].set_index(["resource", "month"])
    rows, added, shut = plan.shifts[plan.shifts["line"].astype(bool)], 0.0, np.zeros(len(capacity), dtype=bool)
    if len(rows):
        shut = capacity.index.isin(_closed(plan, line=True))
        each = rows["adds"].where(rows["worked"], 0.0).groupby(level=["place", "month"]).sum()
        added = each.rename_axis(capacity.index.names).reindex(capacity.index).fillna(0.0)
    regular = (capacity["hours"] + added - capacity["maintenance"]).clip(lower=0.0)
    return pd.DataFrame({"regular": regular, "overtime": capacity["overtime_limit"].mask(shut, 0.0)})


def _closed(plan: Recount, *, line: bool) -> pd.Index:
    """Sites, or lines, and months in which they are closed: no shift is worked and there are no hours anyway."""
    rows = plan.shifts[plan.shifts["line"].astype(bool) == line]
    if rows.empty:
        return rows.index
    anyway = plan.book["capacity"].set_index(["resource", "month"])["hours"]
    stands = rows["worked"].astype(bool).groupby(level=["place", "month"]).any()
    return stands.index[~stands & anyway.reindex(stands.index, fill_value=0.0).eq(0)]


def without_the_one_before(plan: Recount) -> pd.Series:
    """1 where a shift is worked but not the one before it on its place, or the first of a line whose site is closed."""
    rows = plan.shifts
    now = rows["worked"].astype(float)
    if rows.empty:
        return now
    before = now.groupby(level=["place", "month"]).shift()
    site = plan.book["resources"].set_index("resource")["site"].reindex(rows.index.get_level_values("place"))
    shut = pd.MultiIndex.from_arrays([site, rows.index.get_level_values("month")]).isin(_closed(plan, line=False))
    return now * (before.eq(0) | shut).astype(float)


def kept_too_short(plan: Recount) -> pd.Series:
    """By how much more than once a shift is changed within its least months."""
    changes = plan.shifts["changed"].unstack("month").fillna(0.0)
    least = plan.shifts.groupby(level=["place", "shift"])["least_months"].first()
    found = [changes.loc[at].rolling(int(span), min_periods=1).sum() - 1.0 for at, span in least.items()]
    return pd.concat(dict(zip(least.index, found, strict=True)), names=SHIFT) if found else pd.Series(dtype=float)


def where_closed(plan: Recount, *, line: bool) -> pd.Series:
    """Units made at, brought to or sent from a site, or made on a line at all, in a month in which it is closed."""
    shut = _closed(plan, line=line)
    if shut.empty:
        return pd.Series(dtype=float)
    if line:
        moves = [
            (plan.made.merge(plan.making.steps[["item", "way", "resource"]], on=["item", "way"]), "resource", "month")
        ]
    else:
        moves = [(plan.made, "site", "month"), (plan.bought, "site", "available")]
        moves += [(plan.inward, "destination", "arrival"), (plan.shipped, "origin", "month")]
    found = [
        frame["quantity"].set_axis(pd.MultiIndex.from_frame(frame[[site, month]], names=["site", "month"]))
        for frame, site, month in moves
    ]
    moved = pd.concat(found).groupby(level=["site", "month"]).sum()
    return moved[moved.index.isin(shut)]
