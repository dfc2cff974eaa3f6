"""How complete the data are: what is there against what a plan wants, table by table and family by family.

Each measure lists everything a plan wants (a product with a price, a market that something reaches) and says which of
it is there; the score of a table is the mean of its measures. Nothing is filled in. What is missing and planned around
must be an assumption of company.yaml with an owner; where there is none, a finding asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import pandas as pd

from sopkit.collect.contradictions import bom_order, made_at, reached
from sopkit.errors import Finding
from sopkit.tables import TABLES, Company
from sopkit.words import number, say

Measure = tuple[str, str, pd.DataFrame]  # table, what was looked at, everything wanted
ALL = "all"
SCORE = "score of the table"
HISTORY = 24  # months of history from which a season can be told from chance
REGULAR = 2 / 3  # share of months with a sale from which an empty month is a gap, not a habit
STALE = 12  # months after which data say nothing about the plan
LISTED = 5
YEAR = 12  # months of sales from which a monthly need is taken
COUNTED = 7  # days before the plan's first month in which stock may have been counted
UNSAID = "is empty and no assumption tells what is planned instead"
DATED = {  # tables that should reach up to the last closed month
    "sales_history": "month",
    "stock_history": "month",
    "production_history": "month",
    "work_orders": "finish",
    "balance_sheet": "month",
}
# tables that a plan can do without, but not unsaid
PLANNED_AROUND = (
    "sales_forecast market_conditions campaigns pipeline budget materials bom scheduled_receipts workforce suppliers "
    "offers work_orders production_history stock_history balance_sheet past_forecasts past_plans"
).split()


def scorecard(tables: Mapping[str, pd.DataFrame], company: Company, cycle: str) -> dict[str, pd.DataFrame]:
    """Tables `completeness` and `assumptions` of the input `tables` as they stand before `cycle`."""
    measured = enumerate(_measures(tables, company, cycle))
    wanted = pd.concat([all_of.assign(at=at, table=name, measure=what) for at, (name, what, all_of) in measured])
    wanted = pd.concat([wanted.assign(family=ALL), wanted[wanted["family"].ne(ALL)]])
    by = ["at", "table", "measure", "family"]
    scores = wanted.groupby(by)["there"].agg(present="sum", wanted="size")
    scores["score"] = scores["present"] / scores["wanted"]
    scores["missing"] = wanted[~wanted["there"]].groupby(by)["label"].agg(_first)
    scores = scores.fillna({"missing": ""}).reset_index()
    whole = scores[scores["family"].eq(ALL)].groupby("table", sort=False)["score"]
    one = whole.agg(present="sum", wanted="size", score="mean").reset_index()
    scores = pd.concat([scores, one.assign(family=ALL, measure=SCORE, missing="")]).drop(columns="at")
    return {
        "completeness": TABLES["completeness"].conform(scores),
        "assumptions": TABLES["assumptions"].conform(_assumptions(company)),
    }


def findings(tables: Mapping[str, pd.DataFrame], company: Company, cycle: str) -> list[Finding]:
    """What is incomplete and should be known: one finding a table and measure, and one an undeclared hole."""
    scores = scorecard(tables, company, cycle)["completeness"]
    found = []
    for row in scores[scores["family"].eq(ALL) & scores["score"].lt(1) & scores["measure"].ne(SCORE)].itertuples():
        if tables[row.table].empty and row.table in PLANNED_AROUND:
            continue
        counts = number(row.present), number(row.wanted)
        told = "incomplete: {measure} ({present} of {wanted}); missing: {names}"
        rule = say(told, say(row.measure), *counts, row.missing)
        fix = say("Complete the source, or declare under `assumptions:` in company.yaml how it is planned around.")
        found.append(Finding(row.table, 0, "", "", rule, "warning", "", fix))
    found += _unmet_demand(tables)
    declared = {assumption.table for assumption in company.assumptions.values()}
    for name in PLANNED_AROUND:
        if tables[name].empty and name not in declared:
            fix = say(
                "Give it a source, or declare under `assumptions:` in company.yaml what is assumed and who answers."
            )
            found.append(Finding(name, 0, "", "", say(UNSAID), "warning", "", fix))
    found += _runs_out(tables, company, cycle)
    return [*found, *_stock_date(tables, cycle), *_expired_assumptions(company, cycle)]


def _unmet_demand(tables: Mapping[str, pd.DataFrame]) -> Iterator[Finding]:
    """Products and markets without a service policy: what is not delivered in its month is lost, at no price."""
    pairs, known = tables["sales_history"][["product", "market"]].drop_duplicates(), tables["service_policies"]
    keys = pd.MultiIndex.from_frame(pairs.astype(object))
    bare = pairs[~keys.isin(pd.MultiIndex.from_frame(known[["product", "market"]].astype(object)))]
    if len(bare):
        named = _first(bare["product"].astype(str) + " in " + bare["market"].astype(str))
        told = (
            "{count} of {all} products and markets have no service policy: what is not delivered in its month is lost, "
            "and nothing but its margin speaks against that; missing: {names}"
        )
        rule = say(told, number(len(bare)), number(len(pairs)), named)
        fix = say("Add them with what a waiting or lost unit costs.")
        yield Finding("service_policies", 0, "", "", rule, "warning", "", fix)


def _stock_date(tables: Mapping[str, pd.DataFrame], cycle: str) -> Iterator[Finding]:
    """Stock that was counted before the month that the plan begins with: last month's export in this month's cycle."""
    stock, start = tables["inventory"], pd.Timestamp(f"{cycle}-01")
    allowed = f"{start - pd.Timedelta(days=1):%Y-%m-%d} or later"
    old = stock[stock["as_of"].lt(start - pd.Timedelta(days=COUNTED))]
    if len(old):
        day = old["as_of"].min()
        rule = f"{len(old):,} of {len(stock):,} rows were counted {(start - day).days} days before the plan begins"
        fix = "Export the stock again: sales and receipts since then are missing from it."
        yield Finding("inventory", 0, "as_of", f"{day:%Y-%m-%d}", rule, "warning", allowed, fix)
    held = tables["stock_history"]
    if stock["as_of"].notna().any() or held.empty:
        return
    months = {back: start - pd.DateOffset(months=back) for back in (1, 2)}
    same = {}
    for back, month in months.items():
        ends = held[held["month"].eq(month)]
        both = stock.merge(ends, on=[name for name in ("site", "item") if name in ends], suffixes=("", "_then"))
        same[back] = both["quantity"].eq(both["quantity_then"]).mean() if len(both) > 2 else 0.0
    if same[2] == 1 and same[1] < 1:
        rule = f"is the stock of the end of {months[2]:%b %Y}, not of {months[1]:%b %Y}"
        fix = "Export the stock again, and let column as_of say of which day it is."
        yield Finding("inventory", 0, "quantity", "", rule, "warning", allowed, fix)


def _runs_out(tables: Mapping[str, pd.DataFrame], company: Company, cycle: str) -> Iterator[Finding]:
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
        on_it = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
        rule = f"nobody makes or sells it: the {left:,.0f} in stock or on order run out in about {end:%b %Y}"
        rule += f", and {on_it} cannot be made after that" if names else ""
        table, column = ("bom", "component") if names else ("products", "product")
        fix = "Add an offer of a supplier or a routing, or end what is made of it."
        fix = fix if names else "Add an offer or a routing, or give the product an end month."
        yield Finding(table, 0, column, item, rule, "warning", "an item of offers or routings", fix)


def _assumptions(company: Company) -> pd.DataFrame:
    rows = [(code, one.statement, one.table, one.owner, one.expires) for code, one in company.assumptions.items()]
    frame = pd.DataFrame(rows, columns=TABLES["assumptions"].names)
    return frame.assign(expires=pd.to_datetime(frame["expires"].replace("", None), format="%Y-%m", errors="coerce"))


def _expired_assumptions(company: Company, cycle: str) -> Iterator[Finding]:
    for code, one in company.assumptions.items():
        if one.expires and one.expires < cycle:
            rule = say("assumption {code} has expired", code)
            fix = say("{owner} confirms it anew or the data are completed.", one.owner)
            yield Finding("assumptions", 0, "expires", one.expires, rule, "warning", f"{cycle} or later", fix)


def _first(names: pd.Series) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names.head(LISTED))
    return say("{names} and {count} more", shown, number(len(names) - LISTED)) if len(names) > LISTED else shown


def _wanted(labels: pd.Series, there: pd.Series, family: pd.Series | str = ALL) -> pd.DataFrame:
    return pd.DataFrame({"label": labels.astype(str), "family": family, "there": there.astype(bool)})


def _of(products: pd.DataFrame, there: pd.Series) -> pd.DataFrame:
    return _wanted(products["product"], there, products["family"])


def _measures(tables: Mapping[str, pd.DataFrame], company: Company, cycle: str) -> Iterator[Measure]:
    """(table, measure, everything wanted) for every measure that the tables at hand can be held against."""
    start = pd.Timestamp(f"{cycle}-01")
    months = pd.Series(pd.DatetimeIndex(company.months(cycle)))
    products = tables["products"]
    sold = products[products["end_month"].isna() | products["end_month"].ge(start)]
    yield "products", "price above zero", _of(sold, sold["price"].gt(0))
    yield "products", "standard cost above zero", _of(sold, sold["standard_cost"].gt(0))
    yield from _history(tables["sales_history"], products, sold, start)
    yield from _network(tables, sold)
    yield from _stock(tables, products, sold)
    yield from _horizon(tables, months)
    for name, column in DATED.items():
        if not tables[name].empty:
            newest = tables[name][column].max().to_period("M").to_timestamp()
            ages = pd.Series(pd.date_range(end=start - pd.offsets.MonthBegin(1), periods=STALE, freq="MS"))
            label = ages.dt.strftime("%b %Y")
            yield name, f"up to date, of the last {STALE} months", _wanted(label, ages <= newest)


def _history(
    history: pd.DataFrame, products: pd.DataFrame, sold: pd.DataFrame, start: pd.Timestamp
) -> Iterator[Measure]:
    past = history[history["month"].lt(start) & history["quantity"].ne(0)]
    past = past.merge(products[["product", "family"]], on="product")
    first = past.groupby("product")["month"].min().reindex(sold["product"]).to_numpy()
    long_enough = first <= start - pd.DateOffset(months=HISTORY)
    measure = f"products with {HISTORY} months of history, their own or a like-product's"
    yield "sales_history", measure, _of(sold, sold["like_product"].ne("") | long_enough)
    if past.empty:
        return
    months = pd.date_range(past["month"].min(), start, freq="MS", inclusive="left")
    by_family = past.pivot_table(index="month", columns="family", values="quantity", aggfunc="count").reindex(months)
    cells = by_family.notna().where(by_family.notna().cumsum().gt(0)).stack().rename("there").reset_index()
    label = cells["family"] + " " + cells["level_0"].dt.strftime("%b %Y")
    yield "sales_history", "months covered since the first sale", _wanted(label, cells["there"], cells["family"])
    wide = past.pivot_table(index="month", columns=["product", "market"], values="quantity", aggfunc="count")
    seen = wide.reindex(months).notna()
    alive = seen.cumsum().gt(0) & seen[::-1].cumsum()[::-1].gt(0)
    regular = seen.where(alive).mean().ge(REGULAR) & alive.sum().ge(6)
    gaps = seen.where(alive).loc[:, regular]
    if gaps.empty:
        return
    whole = gaps.stack(["product", "market"], future_stack=True).dropna().rename("there").reset_index()
    whole = whole.merge(products[["product", "family"]], on="product")
    label = whole["product"] + " in " + whole["market"] + " " + whole.iloc[:, 0].dt.strftime("%b %Y")
    yield "sales_history", "no gap in series that sell regularly", _wanted(label, whole["there"], whole["family"])


def _network(tables: Mapping[str, pd.DataFrame], sold: pd.DataFrame) -> Iterator[Measure]:
    lanes = tables["lanes"]
    sources = pd.concat([made_at(tables), tables["offers"][["item", "site"]]]).dropna().drop_duplicates()
    sourced = set(sources["item"])
    yield "routings", "products that can be made or bought", _of(sold, sold["product"].isin(sourced))
    markets = tables["markets"]["market"]
    yield "lanes", "markets that something reaches", _wanted(markets, markets.isin(lanes["destination"]))
    own, reach = set(lanes["item"]), cache(lambda site, item: reached([site], lanes, item))
    pairs = sold[["product", "family"]].merge(markets, how="cross")
    arrived = {
        (row.item, market)
        for row in sources.itertuples()
        for market in reach(row.site, row.item if row.item in own else "")
    }
    there = pd.Series([pair in arrived for pair in zip(pairs["product"], pairs["market"], strict=True)], dtype=bool)
    wanted = _wanted(pairs["product"] + " to " + pairs["market"], there, pairs["family"])
    yield "lanes", "products and markets that a source reaches", wanted
    parts = tables["bom"].loc[tables["bom"]["item"].isin(sourced), "component"].drop_duplicates()
    if len(parts):
        stocked = set(tables["inventory"]["item"]) | set(tables["scheduled_receipts"]["item"])
        there = parts.isin(sourced | stocked)
        yield "bom", "components that can be made, bought or are in stock", _wanted(parts, there)


def _stock(tables: Mapping[str, pd.DataFrame], products: pd.DataFrame, sold: pd.DataFrame) -> Iterator[Measure]:
    stock = tables["inventory"]
    held = stock.loc[stock["quantity"].gt(0), "item"].drop_duplicates()
    needed = set(sold["product"]) | set(tables["bom"]["component"])
    family = held.map(products.set_index("product")["family"]).fillna(ALL)
    yield "inventory", "stock of items that are still sold or used", _wanted(held, held.isin(needed), family)
    yield "inventory", "products whose stock was counted", _of(sold, sold["product"].isin(stock["item"]))
    yield "policies", "products with a stock policy", _of(sold, sold["product"].isin(tables["policies"]["item"]))


def _horizon(tables: Mapping[str, pd.DataFrame], months: pd.Series) -> Iterator[Measure]:
    """Tables that should speak of every planned month."""
    spoken = months.dt.strftime("%b %Y")
    yield "calendar", "planned months", _wanted(spoken, months.isin(tables["calendar"]["month"]))
    resources = tables["resources"][["resource"]].merge(months.rename("month"), how="cross")
    there = resources.merge(tables["capacity"][["resource", "month"]], how="left", indicator=True)["_merge"].eq("both")
    label = resources["resource"] + " " + resources["month"].dt.strftime("%b %Y")
    yield "capacity", "resources and planned months", _wanted(label, there)
    families = tables["families"][["family"]].merge(months.rename("month"), how="cross")
    for name in ("budget", "sales_forecast"):
        frame = tables[name]
        if frame.empty:
            continue
        if "product" in frame:
            frame = frame.merge(tables["products"][["product", "family"]], on="product")
        keys = frame[["family", "month"]].drop_duplicates()
        there = families.merge(keys, how="left", indicator=True)["_merge"].eq("both")
        label = families["family"] + " " + families["month"].dt.strftime("%b %Y")
        yield name, "families and planned months", _wanted(label, there, families["family"])
