"""Events that most companies ask about, made from the tables at hand: each only where the data carry it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from sopkit.book import Book, Change, Scenario
from sopkit.words import month_name, percent, say

Made = tuple[str, Scenario] | None


def events(book: Book, most: int = 12) -> dict[str, Scenario]:
    """At most `most` standard events of a planned book by code, the most telling first."""
    makers: tuple[Callable[[Book], Made], ...] = (
        supplier_fails, resource_down, deal_lost, demand_up, demand_down, deal_won, launch_late, material_dearer,
    )  # fmt: skip
    return dict([one for one in (make(book) for make in makers) if one is not None][:most])


def _event(code: str, title: str, change: dict[str, Any], **more: Any) -> Made:
    return code, Scenario(title=title, kind="event", changes=[Change(**change)], **more)


def _two_months(book: Book) -> str:
    months = book.months[1:3] if len(book.months) > 2 else book.months[:1]
    return f"{months[0]:%Y-%m}..{months[-1]:%Y-%m}"


def supplier_fails(book: Book) -> Made:
    """The supplier with the highest risk delivers nothing for two months."""
    suppliers, offers = book["suppliers"].sort_values(["risk", "supplier"]), book["offers"]
    suppliers = suppliers[suppliers["supplier"].isin(offers["supplier"]) & suppliers["risk"].gt(0)]
    if suppliers.empty:
        return None
    name = suppliers["supplier"].iloc[-1]
    places = offers.loc[offers["supplier"] == name, ["supplier", "item", "site"]].drop_duplicates().to_dict("records")
    rows = [place | {"month": _two_months(book), "capacity": 0} for place in places]
    title = say("{supplier} delivers nothing for two months", book.names("suppliers")[name])
    return _event("supplier_fails", title, {"table": "supplier_capacity", "rows": rows}, supplier=name)


def resource_down(book: Book) -> Made:
    """The fullest resource stands still in its fullest month."""
    load = book["resource_load"]
    if load.empty or not load["utilisation"].max() > 0:
        return None
    worst = load.sort_values(["utilisation", "resource", "month"]).iloc[-1]
    rows = book["capacity"].query("resource == @at.resource and month == @at.month", local_dict={"at": worst})
    rows = rows.assign(hours=rows["maintenance"], overtime_limit=0.0, month=rows["month"].dt.strftime("%Y-%m"))
    if rows.empty:
        return None
    name = book.names("resources")[worst["resource"]]
    title = say("{resource} stands still in {month}", name, month_name(worst["month"]))
    return _event("resource_down", title, {"table": "capacity", "rows": rows.to_dict("records")})


def _largest_deal(book: Book, won: bool) -> Made:
    deals, plan = book["pipeline"], book["demand_plan"]
    cell = ["product", "market", "month"]
    deals = deals.merge(plan[[*cell, "price"]], on=cell)
    deals = deals[deals["probability"].between(0, 1, inclusive="neither") & ~deals["in_baseline"]]
    if deals.empty:
        return None
    deal = deals.assign(money=deals["quantity"] * deals["price"]).sort_values(["money", "opportunity"]).iloc[-1]
    counted = plan.set_index(cell).loc[tuple(deal[cell]), "pipeline"]
    units = float(deal["quantity"] - counted if won else -counted)
    where = {"product": deal["product"], "market": deal["market"], "month": f"{deal['month']:%Y-%m}"}
    change = {"table": "demand_plan", "where": where, "column": "consensus", "add": units}
    chance = float(deal["probability"] if won else 1 - deal["probability"])
    title = say(
        "{customer}: the deal is won in full" if won else "{customer}: the deal is lost",
        deal["customer"] or deal["opportunity"],
    )
    return _event("deal_won" if won else "deal_lost", title, change, probability=chance)


def deal_won(book: Book) -> Made:
    """The largest open deal is won in full."""
    return _largest_deal(book, True)


def deal_lost(book: Book) -> Made:
    """The largest open deal is lost: what the plan counts on for it is gone."""
    return _largest_deal(book, False)


def _all_demand(book: Book, code: str, scale: float) -> Made:
    if not book["demand_plan"]["consensus"].gt(0).any():
        return None
    change = {"table": "demand_plan", "column": "consensus", "scale": scale}
    return _event(code, say("All demand {share} over the horizon", percent(scale - 1, sign=True)), change)


def demand_up(book: Book) -> Made:
    """Demand is 10 % above plan everywhere."""
    return _all_demand(book, "demand_up", 1.1)


def demand_down(book: Book) -> Made:
    """Demand is 10 % below plan everywhere."""
    return _all_demand(book, "demand_down", 0.9)


def launch_late(book: Book) -> Made:
    """The largest launch of the horizon comes two months late: nothing of it is sold before."""
    plan, products = book["demand_plan"], book["products"]
    new = products[products["launch_month"].isin(book.months)]
    sold = plan[plan["product"].isin(new["product"])].groupby("product")["consensus"].sum()
    if sold.empty or not sold.max() > 0:
        return None
    name = sold.idxmax()
    first = new.set_index("product").loc[name, "launch_month"]
    months = f"{first:%Y-%m}..{first + pd.DateOffset(months=1):%Y-%m}"
    change = {"table": "demand_plan", "where": {"product": name, "month": months}, "column": "consensus", "scale": 0.0}
    return _event("launch_late", say("{product} comes two months late", book.names("products")[name]), change)


def material_dearer(book: Book) -> Made:
    """What is bought for most money costs 10 % more."""
    bought = book["supply_plan"].query("mode == 'buy'").groupby("item")["cost"].sum()
    if bought.empty or not bought.max() > 0:
        return None
    item = bought.idxmax()
    names = book.names("products") | book.names("materials")
    change = {"table": "offers", "where": {"item": item}, "column": "price", "scale": 1.1}
    return _event("material_dearer", say("{item} costs 10 % more to buy", names.get(item) or item), change)
