"""The figures of the supply meeting, one function a figure, from a book: notebook, pack and library show the same."""

from __future__ import annotations

import pandas as pd

from sopkit import charts, kpis
from sopkit.book import Book, Plan
from sopkit.charts import Figure, Show
from sopkit.supply.check import reported_number
from sopkit.words import amount, heading, listed, month_name, number, say, sentence, several, unit_name

MODES = {"make_regular": "made, regular hours", "make_overtime": "made, overtime", "buy": "bought"}
FULL = 0.995  # a resource is full from this share of its regular hours on


def goods(book: Book, table: str) -> pd.DataFrame:
    """The rows of `table` (column `item`) that are of products, not of materials."""
    return book[table][book[table]["item"].isin(book["products"]["product"])]


def _places(book: Book, codes: pd.Series) -> pd.Series:
    return book.called(codes, "sites", "suppliers", "markets", "resources").astype(object)


def _items(book: Book, codes: pd.Series) -> pd.Series:
    return book.called(codes, "products", "materials").astype(object)


def _crews(book: Book, rows: pd.DataFrame) -> pd.Series:
    """`Leipzig plant, sewing` of each row."""
    return _places(book, rows["site"]) + ", " + rows["skill"]


# The plan ----------------------------------------------------------------------------------------------------------


def modes(book: Book) -> pd.Series:
    """Units of finished goods supplied in the next twelve months, by mode."""
    near = book.near(goods(book, "supply_plan"))
    return near.groupby(near["mode"].map(MODES))["quantity"].sum()


def by_mode(book: Book) -> Figure:
    """Finished goods made and bought by mode, and demand."""
    rows, units = goods(book, "supply_plan"), modes(book)
    overtime, text = units.get(MODES["make_overtime"], 0.0) / (units.sum() or 1.0), say("No overtime is needed.")
    if overtime:
        text = say("Overtime makes {share} of it.", amount(overtime, "share"))
    return charts.bars(
        rows.assign(mode=rows["mode"].map(MODES)), "quantity", "mode", order=tuple(MODES.values()),
        over=book["deliveries"], over_y="demand", over_name="demand",
        who=book.who, title="Finished goods by mode, and demand",
        unit=book.units, source="supply_plan deliveries", better="higher", note="By the month of making or ordering.",
        look_for=text + " " + say("Where bars stand above the line, stock is built ahead; below it, stock is used."),
        none="There is no supply plan.",
    )  # fmt: skip


def by_line(book: Book) -> list[Figure]:
    """What every line makes, item by item and month by month: a figure for each plant."""
    rows = book.near(book["supply_plan"]).query("mode != 'buy'")
    rows = rows.assign(name=_places(book, rows["source"]) + ": " + _items(book, rows["item"]))
    return [
        charts.heat_map(
            part, "name", "month", "quantity", rows=sorted(part["name"].unique()),
            who=book.who, title=say("{site}, line by line", book.names('sites').get(site, site)), unit=book.units,
            source="supply_plan", measure="good units made", look_for=_busiest(part),
        ) for site, part in rows.groupby("site")
    ]  # fmt: skip


def _busiest(rows: pd.DataFrame) -> str:
    months = rows.groupby("month")["quantity"].sum()
    return say("Most is made in {most}, least in {least}.", month_name(months.idxmax()), month_name(months.idxmin()))


def orders(book: Book) -> Figure:
    """What every supplier is asked for, by item, place of delivery and month of ordering."""
    rows = book.near(book["supply_plan"]).query("mode == 'buy'")
    name = _items(book, rows["item"]) + ", " + _places(book, rows["site"])
    if rows["source"].nunique() > 1:
        name = _places(book, rows["source"]) + ": " + name
    rows = rows.assign(name=name)
    return charts.heat_map(
        rows if len(rows) else None, "name", "month", "quantity", rows=sorted(rows["name"].unique()), who=book.who,
        title="Orders planned, by month of ordering", unit="units", source="supply_plan", measure="units ordered",
        look_for=say("Ordered from {start} to {end}; the first arrives in {month}.", *map(month_name, (
                     rows["month"].min(), rows["month"].max(), rows["available"].min()))),
        none="Nothing is bought in this plan.",
    )  # fmt: skip


def costs(book: Book) -> Figure:
    """What supply costs over the next twelve months: cash, then service penalties."""
    rows = book.near(book["supply_costs"]).query("cost != 'revenue'")
    rows = rows.groupby(["cost", "penalty"], as_index=False)["amount"].sum()
    rows = rows[rows["amount"].abs() > 0.5].sort_values(["penalty", "amount"], ascending=[True, False])
    rows["kind"] = rows["penalty"].map({True: "Service penalties, not cash", False: "Cash"})
    rows["cost"] = rows["cost"].map(heading)
    cash = rows[~rows["penalty"]]
    return charts.table(
        rows, {"cost": "Cost", "amount": Show(sentence(book.span), book.currency)}, group="kind",
        who=book.who, title="What supply costs", unit="by kind of cost", none="The plan carries no costs.",
        source="supply_costs", better="lower", period=book.span, note=could_bring(book),
        look_for=say("Supply costs {money} in cash; the largest part is {cost}.",
                     amount(cash["amount"].sum(), book.currency), cash["cost"].iloc[0].lower()) if len(cash)
        else say("Supply costs {money} in cash.", amount(0.0, book.currency)),
    )  # fmt: skip


def could_bring(book: Book) -> str:
    """How much more a plan with other lots could bring at most; nothing where the plan is proven the best."""
    gap = reported_number(book["supply_run"], "gap in money")
    told = "A plan with other lots, set-ups or shifts could bring {money} more at most: the search for one ended there."
    return say(told, amount(gap, book.currency)) if gap >= 1 else ""  # where no run is recorded it is not known


def people(book: Book) -> Figure:
    """People by site and skill, month by month."""
    rows = book["people_plan"]
    hired, gone = book.near(rows)[["hired", "laid_off"]].sum()
    moved = number(hired, 1), number(gone, 1), book.span
    return charts.heat_map(
        rows.assign(place=_crews(book, rows)), "place", "month", "people", who=book.who, unit="people",
        title="People by site and skill", source="people_plan", none="No people are planned.",
        look_for=say("The plan hires {hired} and lays off {gone} in the {span}.", *moved)
        if hired + gone > 0.05 else "The plan neither hires nor lays off.",
    )  # fmt: skip


def shifts(book: Book) -> Figure:
    """How many shifts every resource works, and which sites are open, of those left to the plan."""
    plan = book["shift_plan"]
    rows = plan.assign(place=_places(book, plan["place"]), shifts=plan["worked"].astype(float))
    return charts.heat_map(
        rows.groupby(["place", "month"], as_index=False)["shifts"].sum(), "place", "month", "shifts", who=book.who,
        title="Shifts worked and sites open", unit="shifts", source="shift_plan",
        none="No shift and no site is left to the plan.",
        note="Beside the hours that a resource has anyway; of a site 1 = open, 0 = closed.",
        look_for=say("They cost {money} in the {span}, their changes included.",
            amount(book.near(plan)["cost"].sum(), book.currency), book.span),
    )  # fmt: skip


def hiring(book: Book, most: int = 8) -> Figure:
    """Who is hired or laid off, and by when each hiring must be decided: its month less the lead time."""
    rows = book["people_plan"].query("hired > 0.05 or laid_off > 0.05").sort_values("month", kind="stable")
    lead = rows.merge(book["workforce"], how="left", on=["site", "skill"])["hire_lead_time"].fillna(0).astype(int)
    decide = [month - pd.DateOffset(months=int(back)) if hired > 0.05 else pd.NaT
              for month, back, hired in zip(rows["month"], lead, rows["hired"], strict=True)]  # fmt: skip
    late = sum(month < book.first for month in decide if month is not pd.NaT)
    return charts.table(
        rows.assign(place=_crews(book, rows), change=rows["hired"] - rows["laid_off"],
                    decide=pd.to_datetime(pd.Series(decide, rows.index))),
        {"place": "People", "month": "From", "change": Show("Change", "people", True), "decide": "Decide by"},
        most=most, who=book.who, title="Hiring plan", unit="people by site and skill", source="people_plan workforce",
        none="The plan neither hires nor lays off.",
        look_for=say("{hirings} had to be decided before this cycle.", sentence(several(late, 'hiring'))) if late
        else "Every hiring can still be decided in time.",
    )  # fmt: skip


# What limits it -----------------------------------------------------------------------------------------------------


def full(book: Book) -> pd.Series:
    """Resource by name -> months in which it is full; the fullest first."""
    load = book["resource_load"]
    load = load[load["utilisation"] >= FULL]
    return book.called(load["resource"], "resources").value_counts()


def used_up(plan: Plan) -> Figure:
    """The limits that bind under a change, beside those of the plan before it: months in which nothing is left."""
    before, after = (_used_up(book)["limit"].value_counts() for book in (plan.base or plan, plan))
    rows = pd.DataFrame({"before": before, "after": after}).fillna(0).rename_axis("limit").reset_index()
    moved = rows["after"] - rows["before"]
    more, less = (listed([*rows.loc[one, "limit"]], 2) for one in (moved > 0, moved < 0))
    return charts.table(
        rows.sort_values(["after", "limit"], ascending=[False, True]),
        {"limit": "Limit", "before": Show("Before", "months"), "after": Show("After", "months")},
        who=plan.who, title="Limits that bind", unit="months in which nothing of them is left",
        none="No limit of a resource, of people or of a supplier binds.",
        source="resource_load people_plan supply_plan offers",
        look_for=" ".join(say(told, what) for told, what in
                          (("More often: {limits}.", more), ("Less often: {limits}.", less)) if what)
        or "None binds more or less often than before.",
    )  # fmt: skip


def _used_up(book: Book) -> pd.DataFrame:
    """A row a limit by name and month in which it binds."""
    load, people, offers = book["resource_load"], book["people_plan"], book["offers"]
    busy = load[load["regular"] + load["overtime"] >= (load["available"] + load["overtime_limit"]).clip(lower=1) * FULL]
    staff = people[people["used"] >= people["available"].clip(lower=1) * FULL]
    offer = ["supplier", "item", "site"]
    bought = book["supply_plan"][book["supply_plan"]["mode"].eq("buy")].rename(columns={"source": "supplier"})
    ordered = bought.groupby([*offer, "month"])["quantity"].sum()
    usual = offers.set_index(offer)["capacity"].reindex(ordered.index.droplevel("month")).set_axis(ordered.index)
    special = book["supplier_capacity"].set_index([*offer, "month"])["capacity"].reindex(ordered.index)
    gone = ordered[ordered >= special.fillna(usual).clip(lower=1) * FULL].reset_index()
    named = (
        (busy, _places(book, busy["resource"])),
        (staff, _crews(book, staff)),
        (gone, _places(book, gone["supplier"]) + ": " + _items(book, gone["item"])),
    )
    return pd.concat([rows[["month"]].assign(limit=limit) for rows, limit in named]).drop_duplicates()


def load(book: Book) -> Figure:
    """How full every resource is, month by month; full cells are framed."""
    rows, most = book["resource_load"], full(book)
    return charts.heat_map(
        rows.assign(resource=book.called(rows["resource"], "resources")), "resource", "month", "utilisation",
        mark_from=FULL, who=book.who, title="Load of each resource", unit="share", source="resource_load",
        look_for=say("{resource} is full in {months}; framed cells are full.", most.index[0],
            several(int(most.iloc[0]), 'month'))
        if len(most) else "No resource is full in any month.", none="There are no resources in this plan.",
        note="Hours used, overtime included, in % of regular hours after maintenance: above 100 is overtime.",
    )  # fmt: skip


def limits(book: Book, most: int = 8) -> Figure:
    """What keeps the plan from earning more, the highest shadow price first."""
    rows = book["binding_limits"]
    rows = rows[rows[["kept", "shadow_price"]].ge(0.005).any(axis=1)]  # less reads as nothing
    rows = rows.sort_values(["kept", "shadow_price"], ascending=False, kind="stable").head(most)
    return charts.table(
        rows.assign(unit=rows["unit"].map(unit_name)),
        charts.columns_of("binding_limits", "sentence month size unit shadow_price", book.unit, sentence="Limit",
                          size="Size of the limit", shadow_price="Shadow price, after penalties"),
        who=book.who, title="What limits the plan", unit="shadow price: what one more unit of the limit brings",
        source="binding_limits",
        none="No limit keeps the plan from earning more: more capacity would bring nothing.",
        look_for=say("The most valuable relief: {sentence}", rows["sentence"].iloc[0]) if len(rows) else "",
    )  # fmt: skip


def by_hour(book: Book, most: int = 10) -> Figure:
    """Deals and products by what an hour of the fullest resource earns with them: margin per bottleneck hour."""
    load, products = book["resource_load"], book["products"].set_index("product")
    if load.empty or book["routings"].empty:
        return charts.nothing("Margin per bottleneck hour", "No resource is planned.")
    bottleneck = load.groupby("resource")["utilisation"].mean().fillna(0.0).idxmax()
    hours = book["routings"].query("resource == @r", local_dict={"r": bottleneck}).groupby("item")["hours"].min()
    items = pd.DataFrame({"product": hours.index, "who": say("all customers"), "what": "product"})
    deals = book["pipeline"].assign(who=lambda f: f["customer"], what="deal")
    rows = pd.concat([items, deals[deals["product"].isin(hours.index)]], ignore_index=True)
    # a deal at the price of its market, a product at its list price
    price = book.net_prices(rows.assign(market=rows["market"].fillna("").where(rows["what"].eq("deal"), "")))
    rows["margin"] = price - rows["product"].map(products["standard_cost"])
    rows["hours"] = rows["product"].map(hours)
    rows["rate"] = rows["margin"] / rows["hours"].where(rows["hours"] > 0)
    rows["name"] = rows["product"].map(book.names("products"))
    rows = rows.dropna(subset="rate").sort_values("rate", ascending=False, kind="stable", ignore_index=True)
    name = book.names("resources").get(bottleneck, bottleneck)
    return charts.table(
        rows,
        {"name": "Product", "who": "Customer", "quantity": Show("Deal", book.units),
         "margin": Show("Margin a unit", f"{book.currency} per unit"), "hours": Show("Hours a unit", "hours"),
         "rate": Show("Margin an hour", f"{book.currency} per hour")},
        most=most, who=book.who, title=say("Margin per bottleneck hour, {resource}", name),
        unit="products and open deals", source="routings products pipeline resource_load", better="higher",
        shows=["plan"], none="Nothing runs on the fullest resource.",
        look_for=say("An hour of {resource} earns most with {most}, least with {least}.", name,
                     *rows["name"].iloc[[0, -1]]) if len(rows) else "",
    )  # fmt: skip


# Shortfalls ---------------------------------------------------------------------------------------------------------


def shortfall(book: Book) -> Figure:
    """Demand that waits or is lost, and what is missing from safety stock, month by month."""
    waiting = book["deliveries"].assign(units=lambda f: f["backlog"] + f["lost"], series="demand waiting or lost")
    below = book["stock"].assign(units=lambda f: f["below_safety"], series="missing from safety stock")
    rows = pd.concat([waiting, below])[["month", "series", "units"]]
    months = waiting.groupby("month")["units"].sum()
    return charts.line(
        rows, "units", series="series", who=book.who, title="Where the plan falls short", unit=book.units,
        better="lower", source="deliveries stock", measure="shortfall of demand and of safety stock",
        look_for=say("Customers wait or are lost in {months}.", several(int((months > 0.5).sum()), 'month')),
    )  # fmt: skip


def _first_limits(book: Book) -> pd.DataFrame:
    return book["why_short"].query("step == 1").sort_values(["kind", "quantity"], ascending=False)


def behind(book: Book) -> Figure:
    """The line, people or supplier that each shortage comes back to."""
    rows = _first_limits(book)
    # a place may be two codes: people of a skill at a site, a supplier's limit at a site
    rows = rows.groupby(book.in_words(rows["limit_place"]))["quantity"].sum().reset_index()
    return charts.ranking(
        rows, "limit_place", "quantity",
        who=book.who, title="What stands behind the shortages", unit=book.units, source="why_short", better="lower",
        look_for="Units short, month by month, by the line, people or supplier that each comes back to.",
        measure="units short by what limits them", none="Nothing is short in this plan.",
    )  # fmt: skip


def why_short(book: Book, most: int = 10) -> Figure:
    """Why something is short, followed upstream to what binds."""
    return charts.table(
        _first_limits(book).assign(sentence=lambda f: book.in_words(f["sentence"])),
        charts.columns_of("why_short", "sentence quantity", book.unit, sentence="Why", quantity="Units short"),
        most=most, who=book.who, title="Why is it short?", source="why_short", better="lower",
        look_for="Customers who wait come first, then safety stock; every row ends at what binds.",
        none="Nothing is short in this plan.",
    )  # fmt: skip


def levers(book: Book, most: int = 8, *, brief: bool = False) -> Figure:
    """Priced levers that the plan does not use, found by solving the plan again; `brief`: without months and change."""
    rows = book["levers"].sort_values(["kept", "gain"], ascending=False, kind="stable")
    rows = rows.assign(cash=rows["revenue"] - rows["cash_cost"], avoided=-rows["penalties"])
    return charts.table(
        rows,
        charts.columns_of("levers", "sentence" if brief else "sentence months change", book.unit, sentence="Lever",
                          change="Change")
        | {"cash": Show("In cash", book.currency, True), "avoided": Show("Penalties avoided", book.currency, True)}
        | charts.columns_of("levers", "+gain", book.unit, gain="After penalties"),
        most=most, who=book.who, title="Levers that the plan does not use", unit="found by solving the plan again",
        source="levers", better="higher",
        look_for=say("The best lever brings {cash} in cash and {gain} after service penalties, which nobody is paid; "
            "two levers together bring less than their sum.", *(amount(rows[name].iloc[0], book.currency, sign=True)
            for name in ("cash", "gain"))) if len(rows) else "",
        none="No lever would bring anything: nothing that money can buy is scarce.",
    )  # fmt: skip


def level_chase(book: Book) -> Figure:
    """Hours of the plan beside a level plan and one that chases demand."""
    return charts.line(
        book["level_chase"], "hours", series="strategy", order=["plan", "level", "chase"], who=book.who,
        title="Level or chase?", unit="hours", source="level_chase", shows=["plan", "scenario"],
        look_for="The plan lies between steady hours (level) and hours that follow demand (chase).",
    )  # fmt: skip


def strategies(book: Book) -> Figure:
    """What level and chase would cost."""
    how = {"contribution_after_penalties": "sum", "overtime": "sum", "stock_value": "mean", "shortfall": "sum"}
    return charts.table(
        book["level_chase"].groupby("strategy", as_index=False, sort=False).agg(how),
        charts.columns_of("level_chase", f"strategy {' '.join(how)}", book.unit, stock_value="Mean stock value"),
        who=book.who, title="What level and chase would cost", source="level_chase", shows=["plan", "scenario"],
        better="higher",
        look_for="Service penalties are counted, that of missing safety stock too: neither beats the plan.",
    )  # fmt: skip


# Stock and service ---------------------------------------------------------------------------------------------------


def stock(book: Book) -> Figure:
    """Finished stock at the month's end beside the budget, with safety stock and, where it is set, the most allowed."""
    months = goods(book, "stock").groupby("month")[["closing", "safety_stock", "below_safety"]].sum()
    budget = book["budget"][book["budget"]["month"].isin(months.index)].groupby("month")["stock"].sum()
    most = goods(book, "policies")["maximum_stock"]
    series = {"plan": months["closing"], "safety stock": months["safety_stock"]}
    source = "stock policies"
    if budget.sum():  # stage supply does not know it
        series, source = series | {"budget": budget}, "stock budget policies"
    if len(most) and most.notna().all():
        series["maximum"] = pd.Series(most.sum(), months.index)
    rows = pd.concat([part.rename("units").rename_axis("month").reset_index().assign(series=name)
                      for name, part in series.items()])  # fmt: skip
    low = months.index[months["below_safety"] > 0.5]
    worst = months["below_safety"].idxmax() if len(low) else ""
    return charts.columns(
        rows if len(months) else None, "units", "series", lines=("safety stock", "maximum"), unit=book.units, warn=low,
        who=book.who, title="Finished stock at the month's end", source=source, mark=worst,
        measure="finished stock at the month's end", shows=[s for s in ("plan", "budget") if s in series], height=210,
        look_for=say("Stock of some product is below its safety stock in {months}, most in {month}.",
                     several(len(low), "month"), month_name(worst)) if len(low)
        else "Stock never falls below safety stock.", none="There is no stock in this plan.",
        note="Thick frame: months in which a product is below its safety stock." if len(low) else "",
    )  # fmt: skip


def promises(book: Book) -> Figure:
    """Available to promise: what the plan brings to the markets by product and month, before orders are taken off."""
    near = book.near(book["deliveries"])
    waits = near[near["backlog"] + near["lost"] > 0.5]
    late = listed(sorted(set(book.called(waits["product"], "products"))), 3)
    known = "Every product reaches its markets as demand asks." if near["lost"].notna().any() else ""
    return charts.heat_map(
        near.assign(product=book.called(near["product"], "products")), "product", "month", "delivered", who=book.who,
        title="Available to promise", unit=book.units, source="deliveries", better="higher",
        measure="units that reach the markets", none="There is no plan of deliveries.",
        note="All markets. No order book was brought: orders already taken come off.",
        look_for=say("Promise nothing more of {products}: demand for it waits or is lost.", late) if late else known,
    )  # fmt: skip


def stock_value(book: Book) -> Figure:
    """Stock value at standard cost, finished goods and materials."""
    finished = book["stock"]["item"].isin(book["products"]["product"])
    rows = book["stock"].assign(kind=finished.map({True: "finished goods", False: "materials"}))
    value = rows.groupby("month")["value"].sum()
    told = "Stock ties up most money in {month}: {money}."
    return charts.bars(
        rows, "value", "kind", order=("finished goods", "materials"), who=book.who, unit=book.currency, source="stock",
        title="Stock value at standard cost", better="lower", height=220, none="There is no stock in this plan.",
        look_for=say(told, month_name(value.idxmax()), amount(value.max(), book.currency)) if len(value) else "",
    )  # fmt: skip


def service(book: Book) -> Figure:
    """How each market is served over the next twelve months."""
    rows = book["deliveries"]
    rows = book.near(rows.assign(on_time=kpis.units_on_time(rows), market=book.called(rows["market"], "markets")))
    last = rows[rows["month"] == rows["month"].max()].groupby("market")["backlog"].sum()
    rows = rows.groupby("market", as_index=False)[["demand", "on_time", "lost"]].sum()
    rows["fill"] = rows["on_time"] / rows["demand"].where(rows["demand"] > 0)
    rows["backlog"] = rows["market"].map(last).astype(float)
    worst = rows.loc[rows["fill"].idxmin()] if rows["fill"].notna().any() else None
    return charts.table(
        rows,
        {"market": "Market", "demand": Show("Demand", book.units), "on_time": Show("On time", book.units),
         "lost": Show("Lost", book.units), "backlog": Show("Waiting at the end", book.units),
         "fill": Show("Fill rate", "share")},
        who=book.who, title="How each market is served", unit=book.span, source="deliveries", better="higher",
        period=book.span,
        look_for=say("{market} is served worst: {share} on time.", worst['market'], amount(worst['fill'], 'share'))
        if worst is not None and worst["fill"] < 0.9995 else "Every market gets all it wants on time.",
    )  # fmt: skip


def suppliers(book: Book, most: int = 8) -> Figure:
    """Suppliers at risk, and what the plan buys from them."""
    rows = book["suppliers"][book["suppliers"]["risk"] > 0].sort_values("risk", ascending=False)
    bought = book.near(book["supply_plan"].query("mode == 'buy'")).groupby("source")["cost"].sum()
    rows = rows.assign(name=_places(book, rows["supplier"]), bought=rows["supplier"].map(bought).fillna(0.0))
    return charts.table(
        rows.head(most),
        {"name": "Supplier", "country": "Country", "risk": Show("Chance of a lost month in a year", "share"),
         "bought": Show(say("Bought, {span}", book.span), book.currency)},
        who=book.who, title="Suppliers at risk", unit="as purchasing judges them", source="suppliers supply_plan",
        better="lower", period=book.span, none="No supplier is judged to be at risk.",
        look_for=say("{supplier} is the most likely to fail.", rows['name'].iloc[0]) if len(rows) else "",
    )  # fmt: skip
