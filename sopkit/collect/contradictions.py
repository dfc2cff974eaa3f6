"""Tables that contradict each other so that a plan would mean nothing, found before the solver is called.

Asked at collect, of the rows as they stand in the source, and by stage supply, of each scenario and its demand plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
import pandas as pd

from sopkit.book.known import Known, Tables
from sopkit.errors import Finding, SupplyDataError, plural
from sopkit.tables import TABLES, Company
from sopkit.tables.declare import DAYS_A_MONTH
from sopkit.words import percent

Months = list[pd.Timestamp]
OFFER, SHIFT, CREW = ["supplier", "item", "site"], ["place", "shift"], ["site", "skill"]

LEAST = 1e-6
"""The least hours or components of one unit that a plan can tell from none."""


def _wrong(
    table: str, frame: pd.DataFrame, at: Any, column: str, rule: str, *, allowed: str, fix: str, severity: str = "error"
) -> Iterator[Finding]:
    """One finding for each row of `frame` that `at` is true for, with the number a person sees (the header is row 1).

    Rule, allowed and fix may name columns of the row: `{item}`.
    """
    at = np.asarray(at, dtype=bool)
    rows = frame[at] if at.any() else frame[:0]
    for place, row in zip(rows.index, rows.to_dict("records"), strict=True):
        texts = {name: _text(value) for name, value in row.items()}
        about = rule.format(**texts), severity, allowed.format(**texts), fix.format(**texts)
        yield Finding(table, int(place) + 2, column, texts[column], *about)


def _keyed(frame: pd.DataFrame, key: list[str]) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(frame[key])


def _text(value: Any) -> str:
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m}"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def bom_order(tables: Tables) -> list[str]:
    """All items, each after all that it is made of or comes out with; what is in a loop of the bill is left out."""
    bom = tables["bom"]
    keys = (("products", "product"), ("materials", "material"), ("inventory", "item"), ("bom", "component"))
    sorter = TopologicalSorter[str]({item: () for table, key in keys for item in tables[table][key]})
    for item, component, comes_out in zip(bom["item"], bom["component"], bom["by_product"], strict=True):
        sorter.add(*((component, item) if comes_out else (item, component)))
    try:
        sorter.prepare()
    except CycleError:
        pass  # what is in no loop, and made of none, is still ordered
    order: list[str] = []
    while ready := sorted(sorter.get_ready()):
        order += ready
        sorter.done(*ready)
    return order


def reached(places: Iterable[str], lanes: pd.DataFrame, item: str = "") -> set[str]:
    """Everything that lanes for all items, or for `item`, lead to from `places`, over any number of stops."""
    lanes = lanes[lanes["item"].isin(["", item])]
    onward = lanes.groupby("origin")["destination"].agg(list).to_dict()
    seen: set[str] = set()
    todo = sorted(places)
    while todo:
        for place in onward.get(todo.pop(), []):
            if place not in seen:
                seen.add(place)
                todo.append(place)
    return seen


def whole_months(frame: pd.DataFrame) -> pd.Series:
    """Lead times of offers or lanes in whole months: what has to be bridged, a part of a month like a whole one."""
    return frame["lead_time"] - (-frame["lead_days"] // DAYS_A_MONTH)


def own_lanes(pairs: pd.DataFrame) -> pd.DataFrame:
    """Of products beside rows of lanes: the lane for the product alone, or where there is none that for all items."""
    fits = pairs[pairs["item"].eq("") | pairs["item"].eq(pairs["product"])]
    own = fits.sort_values("item", ascending=False, kind="stable")
    return own.drop_duplicates(["product", "origin", "destination", "mode"]).sort_index()


def made_at(tables: Tables) -> pd.DataFrame:
    """Item and site of everything that is made, or comes out as a by-product."""
    made = tables["routings"].merge(tables["resources"][["resource", "site"]], on="resource", how="left")
    bom = tables["bom"]
    out = bom[bom["by_product"].astype(bool)].merge(made[["item", "site"]], on="item")
    return pd.concat([made[["item", "site"]], out[["component", "site"]].rename(columns={"component": "item"})])


def _sources(tables: Tables) -> pd.DataFrame:
    """Item and site of everything that is made, bought, on its way or in stock."""
    stocked = tables["inventory"][tables["inventory"]["quantity"].gt(0)]
    frames = [
        frame[["item", "site"]] for frame in (made_at(tables), tables["offers"], tables["scheduled_receipts"], stocked)
    ]
    return pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True).drop_duplicates()


def _references(tables: Tables) -> Iterator[Finding]:
    for name, frame in tables.items():
        for column in TABLES[name]:
            refs = [ref for ref in column.refs if ref in tables]
            if not refs or len(refs) < len(column.refs) or frame.empty:
                continue
            known = {""}.union(*(tables[ref][TABLES[ref].key[0]] for ref in refs))
            if known.issuperset(frame[column.name].unique()):
                continue
            unknown = ~frame[column.name].isin(known)
            fix = f"Add it to {' or '.join(refs)}, or correct it here."
            yield from _wrong(name, frame, unknown, column.name, "unknown", allowed=column.allowed, fix=fix)


def _materials(tables: Tables) -> Iterator[Finding]:
    bom, ordered = tables["bom"], set(bom_order(tables))
    out = bom["by_product"].astype(bool)
    before, after = bom["component"].mask(out, bom["item"]), bom["item"].mask(out, bom["component"])
    looped = ~bom["item"].isin(ordered) & ~bom["component"].isin(ordered)
    above = pd.Series(True, index=bom.index)
    while above.any():  # what is made of a loop's item, but goes into none of them, is not part of the loop
        above = looped & ~after.isin(before[looped])
        looped &= ~above
    yield from _wrong(
        "bom", bom, looped, "component", "a loop: {item} needs itself",
        allowed="components that are not made of the item", fix="Remove one row of the loop.",
    )  # fmt: skip
    sourced = set(_sources(tables)["item"])
    routings = tables["routings"]
    ways = routings["item"] + "\0" + routings["routing"].where(routings["routing"].ne(""), routings["resource"])
    yield from _wrong(
        "bom", bom, bom["routing"].ne("") & ~(bom["item"] + "\0" + bom["routing"]).isin(ways), "routing",
        "no routing of {item} has this name", allowed="a routing of the item, or empty for all",
        fix="Correct the name, or add the routing.",
    )  # fmt: skip
    yield from _wrong(
        "bom", bom, ~bom["item"].isin(sourced) & ~bom.duplicated("item"), "item", "has components but no routing",
        allowed="an item of routings", fix="Add a routing, or an offer of a supplier.",
    )  # fmt: skip
    ends = ~out & ~bom["component"].isin(sourced | set(bom["item"]))
    yield from _wrong(
        "bom", bom, ends & ~bom["component"].where(ends).duplicated(), "component",
        "nobody makes or sells it, and none is in stock", allowed="an item of routings or offers",
        fix="Add a routing or an offer.",
    )  # fmt: skip


def _products(tables: Tables, months: Months) -> Iterator[Finding]:
    plan = tables["demand_plan"]
    plan = plan[plan["consensus"].gt(0) & plan["month"].isin(months)]
    sources = _sources(tables)
    orphan = ~plan["product"].isin(set(sources["item"]) | set(tables["bom"]["item"]))
    yield from _wrong(
        "demand_plan", plan, orphan & ~plan.duplicated("product"), "product",
        "demand for a product nobody can make or buy", allowed="a product with a routing, an offer or stock",
        fix="Add a routing or an offer, or take it off the plan.",
    )  # fmt: skip
    # a site that holds none of it yet may still send what is moved there
    held = pd.concat([sources, tables["inventory"][["item", "site"]]]).dropna()
    places = held.groupby("item")["site"].agg(frozenset).to_dict()
    lanes = tables["lanes"]
    own, ways = set(lanes["item"]), cache(lambda start, item: reached(start, lanes, item))
    pairs = plan[~plan.duplicated(["product", "market"])]
    far = [
        product in places and market not in ways(places[product], product if product in own else "")
        for product, market in zip(pairs["product"], pairs["market"], strict=True)
    ]
    yield from _wrong(
        "demand_plan", pairs, far, "market", "no lane leads there from where {product} can be",
        allowed="a market at the end of a lane", fix="Add a lane, or take the demand off the plan.",
    )  # fmt: skip


def _lead_times(tables: Tables, months: Months) -> Iterator[Finding]:
    for name, column in (("offers", "lead_time"), ("lanes", "lead_time"), ("workforce", "hire_lead_time")):
        frame = tables[name]
        parts = frame["lead_days"] / DAYS_A_MONTH if "lead_days" in frame else 0
        yield from _wrong(
            name, frame, (frame[column] + parts).gt(len(months) - 1), column,
            f"longer than the horizon of {len(months)} months", allowed=f"a whole number of at most {len(months) - 1}",
            fix="Correct it, or remove the row.",
        )  # fmt: skip


def _of_shifts(tables: Tables) -> pd.Series:
    """Of each row of capacity: the hours of all shifts that its resource may work beside them, at most."""
    every = pd.concat([tables["shifts"], tables["dated_shifts"]]).groupby(["place", "shift"])["hours"].max()
    return tables["capacity"]["resource"].map(every.groupby("place").sum()).fillna(0.0)


def _shifts(tables: Tables) -> Iterator[Finding]:
    shifts, dated = tables["shifts"], tables["dated_shifts"]
    known = _keyed(shifts, SHIFT)
    yield from _wrong(
        "dated_shifts", dated, ~_keyed(dated, SHIFT).isin(known), "shift", "{place} has no such shift",
        allowed="place and shift of shifts", fix="Add the shift, or remove this row.",
    )  # fmt: skip
    for name, frame in (("shifts", shifts), ("dated_shifts", dated)):
        site = ~frame["place"].isin(tables["resources"]["resource"])
        yield from _wrong(
            name, frame, site & (frame["hours"].gt(0) | frame["shift"].ne(1)), "place",
            "a site with hours or a second shift: it is open or closed", allowed="for a site shift 1 without hours",
            fix="Enter hours and shifts of its resources in rows of their own.",
        )  # fmt: skip


def _lots(tables: Tables, months: Months) -> Iterator[Finding]:
    capacity, routings = tables["capacity"], tables["routings"]
    for table, column in (("offers", "minimum_order"), ("offers", "order_multiple"), ("lanes", "full_load")):
        called = column.replace("_", " ")
        yield from _wrong(
            table, tables[table], tables[table][column].gt(tables[table]["capacity"]), column,
            f"{called} above the capacity of {{capacity}} a month", allowed="at most {capacity}",
            fix=f"Correct the {called} or the capacity.",
        )  # fmt: skip
    lanes = tables["lanes"]
    yield from _wrong(
        "lanes", lanes, lanes["full_load"].gt(0) & ~lanes["destination"].isin(tables["sites"]["site"]), "full_load",
        "full loads to a market: it takes what it asks for, no more", allowed="0 for a lane to a market",
        fix="Empty it; where customers buy whole pallets, plan the product in pallets.",
    )  # fmt: skip
    capacity = capacity[capacity["month"].isin(months)]
    hours = capacity["hours"] - capacity["maintenance"] + capacity["overtime_limit"] + _of_shifts(tables)
    most = routings["resource"].map(hours.groupby(capacity["resource"]).max())
    wanted = routings["minimum_run"] * routings["hours"] / routings["yield"] + routings["setup_hours"]
    yield from _wrong(
        "routings", routings.assign(most=most.map("{:g}".format)),
        routings["minimum_run"].gt(0) & wanted.gt(most * (1 + 1e-9)), "minimum_run",
        "minimum run above what {resource} can make in any month", allowed="what fits into {most} hours",
        fix="Correct the minimum run or the capacity.",
    )  # fmt: skip
    named = routings["setup_family"].ne("")  # alike in all rows of a family, none where there is none
    for column in ("family_setup_hours", "family_setup_cost"):
        first = routings.groupby(["resource", "setup_family"])[column].transform("first").where(named, 0.0)
        yield from _wrong(
            "routings", routings.assign(first=first.map("{:g}".format)), routings[column].ne(first), column,
            "not the set-up of the family's other rows", allowed="{first}",
            fix="Enter it alike in all rows of the family on the resource, or name the family.",
        )  # fmt: skip


def _too_small(tables: Tables) -> Iterator[Finding]:
    """Hours and quantities so small for one unit that they vanish beside the solver's tolerance of a ten-millionth."""
    for name, column in (("routings", "hours"), ("bom", "quantity")):
        frame = tables[name]
        yield from _wrong(
            name, frame, frame[column].gt(0) & frame[column].lt(LEAST), column,
            "so little for one unit that it could not be told from nothing", allowed=f"0, or at least {LEAST:g}",
            fix="Plan the item in a larger unit, for example in thousands.",
        )  # fmt: skip


def _offers(tables: Tables, months: Months) -> Iterator[Finding]:
    offers, special = tables["offers"], tables["supplier_capacity"]
    offered = _keyed(offers, OFFER)
    for name in ("supplier_capacity", "dated_offers", "price_breaks"):
        yield from _wrong(
            name, tables[name], ~_keyed(tables[name], OFFER).isin(offered), "supplier", "offers no {item} to {site}",
            allowed="supplier, item and site of a row of offers", fix="Add the offer, or remove this row.",
        )  # fmt: skip
    breaks = tables["price_breaks"].sort_values([*OFFER, "from_quantity"], kind="stable")
    usual = offers.set_index(OFFER)["price"].reindex(_keyed(breaks, OFFER)).to_numpy()
    before = breaks.groupby(OFFER)["price"].shift().fillna(pd.Series(usual, breaks.index))
    yield from _wrong(
        "price_breaks", breaks.assign(before=before), breaks["price"].ge(before) | breaks["from_quantity"].le(0),
        "price", "a price from a larger quantity on that is not lower",
        allowed="from a quantity above 0 on, below {before}", fix="Correct the price or the quantity.",
    )  # fmt: skip
    dated = tables["dated_offers"]
    low = dated[dated["month"].isin(months)].groupby(OFFER)["price"].min()
    low = pd.Series(low.reindex(_keyed(breaks, OFFER)).to_numpy(), breaks.index)
    left = low - (usual - breaks["price"])
    for severity, far in (("error", left.lt(0)), ("warning", left.ge(0) & low.lt(breaks["price"]))):
        yield from _wrong(
            "price_breaks", breaks.assign(usual=usual, low=low, left=left), far, "price",
            "where dated_offers has {item} at {low}, it would cost {left} from {from_quantity} on: as much below as "
            "{price} is below the usual {usual}", allowed="a lower price that fits the lowest dated price, {low}, too",
            fix="Correct the price here or in dated_offers, or the usual price in offers.", severity=severity,
        )  # fmt: skip
    special = special[special["month"].isin(months)]
    most = special.groupby(OFFER)["capacity"].agg(["max", "count"]).reindex(offered)
    usual = offers["capacity"].to_numpy() != 0
    sells = (usual & (most["count"].fillna(0).to_numpy() < len(months))) | most["max"].gt(0).to_numpy()
    able = offers.assign(share=offers["share_limit"].where(sells, 0.0))
    shares = able.groupby(["item", "site"])["share"].transform("sum")
    yield from _wrong(
        "offers", able.assign(all=shares.map(percent)), sells & shares.lt(1 - 1e-9), "share_limit",
        "all who can deliver {item} to {site} may together sell only {all} of it, so nothing could be bought",
        allowed="shares of one item and site that add up to 1 or more",
        fix="Raise the share limits, or add an offer of another supplier.",
    )  # fmt: skip


def _overdue(tables: Tables, months: Months) -> Iterator[Finding]:
    """Receipts that should be here already: planned without, so somebody should know."""
    receipts = tables["scheduled_receipts"]
    yield from _wrong(
        "scheduled_receipts", receipts.assign(units=receipts["quantity"].map("{:,g}".format)),
        receipts["month"].lt(months[0]) & receipts["quantity"].gt(0), "month",
        "{units} of {item} were due before the plan begins and are not counted", allowed=f"{months[0]:%Y-%m} or later",
        fix="Enter when they will come, or count them in inventory if they are there.", severity="warning",
    )  # fmt: skip


def _months(tables: Tables, months: Months) -> Iterator[Finding]:
    """Planned months without capacity or working days: named is the row after which they belong."""
    capacity, calendar = tables["capacity"], tables["calendar"]
    known = capacity.groupby("resource")["month"].agg(set)
    last = (capacity.reset_index().groupby("resource")["index"].max() + 2).to_dict()
    resources = tables["resources"]["resource"]
    for resource in resources[resources.isin(tables["routings"]["resource"])]:
        if missing := sorted(set(months) - known.get(resource, set())):
            first = f"{missing[0]:%Y-%m}"
            rule = f"{resource} lacks {plural(len(missing), 'planned month')}, first {first}"
            fix = "Add the rows (0 hours where it stands still)."
            row = last.get(resource, 1)
            yield Finding("capacity", row, "month", first, rule, "error", "a row for each planned month", fix)
    missing = sorted(set(months) - set(calendar["month"]))
    if missing and len(tables["workforce"]):
        rule, allowed = f"{plural(len(missing), 'planned month')} without working days", "a row for each planned month"
        first = f"{missing[0]:%Y-%m}"
        yield Finding("calendar", len(calendar) + 1, "month", first, rule, "error", allowed, "Add the months.")


def _people(tables: Tables, company: Company, cycle: str) -> Iterator[Finding]:
    workforce, resources, routings = tables["workforce"], tables["resources"], tables["routings"]
    dated = tables["dated_workforce"]
    parts = [(workforce, "people"), (workforce, "attrition"), (dated, "starting"), (dated, "leaving")]
    for frame, column in parts if company.policies.whole_people else ():
        yield from _wrong(
            "workforce" if frame is workforce else "dated_workforce", frame, frame[column].mod(1).ne(0), column,
            "part of a person, but policies.whole_people is true", allowed="a whole number",
            fix="Round it, or set policies.whole_people to false.",
        )  # fmt: skip
    coming = dated[dated["month"].ge(pd.Timestamp(f"{cycle}-01"))].sort_values("month")
    employed = workforce.set_index(CREW)["people"].reindex(_keyed(coming, CREW)).to_numpy()
    there = employed + (coming["starting"] - coming["leaving"]).groupby([coming[name] for name in CREW]).cumsum()
    yield from _wrong(
        "dated_workforce", coming, there.isna() | there.lt(0) & coming["leaving"].gt(0), "leaving",
        "more people leave than there are", allowed="at most the people of workforce and those who start before",
        fix="Correct it, or the people of workforce.",
    )  # fmt: skip
    if len(workforce):
        manned = _keyed(resources, CREW).isin(_keyed(workforce, CREW))
        yield from _wrong(
            "resources", resources, resources["skill"].ne("") & ~manned, "skill",
            "nobody with this skill works at {site}", allowed="a skill of workforce at that site",
            fix="Add the people to workforce, or empty the skill.",
        )  # fmt: skip
    skill = routings["resource"].map(resources.set_index("resource")["skill"])
    yield from _wrong(
        "routings", routings, routings["people_hours"].gt(0) & skill.eq(""), "people_hours",
        "needs people, but {resource} has no skill", allowed="0, or a skill of {resource} in resources",
        fix="Name the skill in resources, or set people_hours to 0.",
    )  # fmt: skip


def _network(tables: Tables) -> Iterator[Finding]:
    capacity, lanes, markets, routings = (tables[name] for name in ("capacity", "lanes", "markets", "routings"))
    most = capacity["hours"] + _of_shifts(tables)
    yield from _wrong(
        "capacity", capacity.assign(most=most), capacity["maintenance"].gt(most), "maintenance",
        "more maintenance than hours", allowed="at most {most}", fix="Correct the maintenance or the hours.",
    )  # fmt: skip
    named = routings[routings["routing"].ne("")]
    site = named["resource"].map(tables["resources"].set_index("resource")["site"])
    yield from _wrong(
        "routings", named, named.assign(site=site).groupby(["item", "routing"])["site"].transform("nunique").gt(1),
        "routing", "its operations stand at different sites", allowed="resources of one site",
        fix="Divide it: make a semi-finished good at the first site and ship it.",
    )  # fmt: skip
    yield from _wrong(
        "lanes", lanes, lanes["origin"].eq(lanes["destination"]), "destination", "the lane ends where it begins",
        allowed="another site, or a market", fix="Correct the destination, or remove the row.",
    )  # fmt: skip
    yield from _wrong(
        "markets", markets, markets["market"].isin(tables["sites"]["site"]), "market", "a site has the same code",
        allowed="a code of its own", fix="Rename the market or the site.",
    )  # fmt: skip


def refuse_contradictions(tables: Tables, company: Company, cycle: str, known: Known | None = None) -> None:
    """Raise SupplyDataError with every contradiction in `tables` (checked each by itself), unknown values first.

    `known`: what was found the last time.
    """
    found = [*_references(tables)]
    if found := found or [one for one in contradictions(tables, company, cycle, known) if one.severity == "error"]:
        raise SupplyDataError(found)


def contradictions(tables: Tables, company: Company, cycle: str, known: Known | None = None) -> list[Finding]:
    """Every contradiction between `tables` (conformed, their references known); row 2 is a table's first row.

    All are errors but receipts that are overdue, which are planned without, and dated prices below that of a price
    break. Reads what stage supply reads; where demand_plan is empty, what only a demand can contradict is not asked.
    """
    made, months = (Known() if known is None else known).made, company.months(cycle)
    of_months = (_products, _lead_times, _lots, _offers, _months, _overdue)
    found = [finding for check in of_months for finding in made(check, tables, months)]
    found += made(_people, tables, company, cycle)
    return found + [finding for check in (_too_small, _materials, _shifts, _network) for finding in made(check, tables)]
