"""Demand and supply in the pack: accuracy, demand plan, supply plan, capacity, inventory and service."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sopkit import charts, kpis
from sopkit.charts import Figure, Show
from sopkit.publish.paper import FULL, Paper, section
from sopkit.words import amount, counted, leaning, listed, month_name, number, sentence, several, than

MODES = {"make_regular": "made, regular hours", "make_overtime": "made, overtime", "buy": "bought"}
STEPS = {
    "naive": "same month last year",
    "baseline": "statistical baseline",
    "campaigns": "campaigns",
    "lifecycle": "lifecycle",
    "market_conditions": "market conditions",
    "pipeline": "CRM pipeline",
    "statistical": "all layers",
    "blended": "sales blended in",
    "consensus": "overrides: consensus",
}


def accuracy(paper: Paper) -> dict[str, Any]:
    """How good the forecasts were: the stair from naive to consensus, errors by money, whose changes helped."""
    lag = paper.company.consensus.lag
    stair = paper["fva"].query("family == 'all' and lag == @lag").sort_values("step")
    stair = stair.assign(name=stair["stream"].map(STEPS).fillna(stair["stream"]))
    # a step that changes nothing says nothing
    stair = stair[stair["fva"].isna() | (stair["fva"].abs() > 1e-9)]
    if stair.empty:
        return section("accuracy", "Forecast accuracy", "There are no past forecasts to judge yet.")
    best, end = stair.loc[stair["wape"].idxmin()], stair.iloc[-1]
    harmful = stair[stair["fva"] < -0.0005]
    headline = (
        f"The forecast was best after the step {best['name']} ({amount(best['wape'], 'share')} error); "
        f"the consensus ended at "
        f"{amount(end['wape'], 'share')}."
        if best["stream"] != end["stream"]
        else f"Every step to the consensus earned its keep: {amount(end['wape'], 'share')} error at the end."
    )
    owners = paper["override_owners"].query("owner != 'all'").sort_values("money")
    streams = paper["forecast_accuracy"].query("family == 'all' and lag == @lag").sort_values("wape")
    streams = streams.assign(stream=streams["stream"].map(lambda name: STEPS.get(name, name)))
    worst = owners.iloc[0] if len(owners) else None
    return section(
        "accuracy",
        "Forecast accuracy",
        headline,
        charts.stair_step(
            stair,
            "name",
            "wape",
            title=f"Error after each step, {several(lag, 'month')} ahead",
            unit="share",
            look_for=(
                f"What destroyed value: {listed(harmful['name'])}." if len(harmful) else "No step destroyed value."
            ),
            note="WAPE: sum of absolute errors / sum of sales. Blue steps made it better, vermillion ones worse.",
            width=charts.WIDE,
        ),
        [
            charts.ranking(
                _errors_in_money(paper),
                "product",
                "money",
                title="Missed most, by value",
                unit=paper.money,
                look_for=_worst_line(paper),
                most=8,
                note=f"Absolute error of the consensus {several(lag, 'month')} ahead x list price.",
            ),
            charts.table(
                streams,
                {
                    "stream": "Stream",
                    "wape": Show("WAPE", "share"),
                    "bias": Show("Bias", "share", True),
                    "tracking_signal": Show("Tracking signal", "MAD", True),
                },
                title="Whose forecast was right",
                unit=f"{several(lag, 'month')} ahead",
                note=kpis.ERROR_SIGN,
                look_for=_bias_line(streams),
            ),
        ],
        charts.table(
            owners,
            {
                "owner": "Who",
                "role": "Role",
                "overrides": Show("Overrides judged", "count"),
                "helped": Show("Helped", "share"),
                "wape_before": Show("Error before", "share"),
                "wape_after": Show("Error after", "share"),
                "money": Show("Error removed", paper.money, True),
            },
            title="Whose overrides help",
            none="No past override was judged.",
            unit="positive = error removed",
            look_for=(
                f"{worst['owner']}'s overrides added {paper.cash(-worst['money'])} of error."
                if worst is not None and worst["money"] < 0
                else "Nobody's overrides did harm."
            ),
        ),
    )


def _errors_in_money(paper: Paper) -> pd.DataFrame:
    said = paper["past_forecasts"].query("stream == 'consensus'")
    lag = said["month"].dt.to_period("M").astype("int64") - said["cycle"].dt.to_period("M").astype("int64")
    said = said[(lag == paper.company.consensus.lag) & (said["month"] < paper.first)]
    key = ["product", "market", "month"]
    sold = paper["sales_history"].groupby(key)["quantity"].sum().rename("actual").reset_index()
    both = said.merge(sold, on=key, how="left").fillna({"actual": 0.0})
    price = paper["products"].set_index("product")["price"]
    money = ((both["quantity"] - both["actual"]).abs() * both["product"].map(price)).groupby(both["product"]).sum()
    return pd.DataFrame(
        {"product": paper.called(money.index.to_series(), "products").to_numpy(), "money": money.to_numpy()}
    )


def _worst_line(paper: Paper) -> str:
    errors = _errors_in_money(paper)
    if errors.empty or not errors["money"].sum():
        return ""
    top = errors.sort_values("money", ascending=False, kind="stable").iloc[0]
    return f"{top['product']} makes {amount(top['money'] / errors['money'].sum(), 'share')} of the error by value."


def _bias_line(streams: pd.DataFrame) -> str:
    known = streams.dropna(subset="bias")
    if known.empty:
        return ""
    worst = known.loc[known["bias"].abs().idxmax()]
    return f"The most biased stream is {worst['stream']}: {leaning(worst['bias'])}."


def demand(paper: Paper) -> dict[str, Any]:
    """What can be sold: history, consensus and its range, what sales expects, launches and retirements, exceptions."""
    plan = paper["demand_plan"]
    if plan.empty:
        return section("demand", "Demand plan", "There is no demand plan.")
    months = plan.groupby("month")[["consensus", "p10", "p90"]].sum()
    sales = plan.groupby("month")["sales"].sum(min_count=1).dropna()
    past = paper["sales_history"].groupby("month")["quantity"].sum().tail(24)
    parts = [
        pd.DataFrame({"month": past.index, "series": "history", "units": past.to_numpy()}),
        months.rename(columns={"consensus": "units"}).reset_index().assign(series="consensus"),
        pd.DataFrame({"month": sales.index, "series": "sales department", "units": sales.to_numpy()}),
    ]
    lines = pd.concat([part for part in parts if len(part)], ignore_index=True)
    total, before = months.loc[paper.year, "consensus"].sum(), past.tail(12).sum()
    peak = months.loc[paper.year, "consensus"].idxmax()
    headline = (
        f"Demand of the {paper.span} is {number(total)} {paper.units}"
        + (f", {than(total / before - 1)} the last twelve" if before else "")
        + f"; it peaks in {month_name(peak)}."
    )
    lean = sales.reindex(months.index).sum() / months["consensus"].sum() - 1 if len(sales) else None
    return section(
        "demand",
        "Demand plan",
        headline,
        charts.line(
            lines,
            "units",
            series="series",
            low="p10",
            high="p90",
            order=("history", "consensus", "sales department"),
            start=paper.first,
            title="Demand, all products",
            unit=paper.units,
            look_for=(
                f"The sales department expects {than(lean, 'more', 'less')} than the consensus."
                if lean is not None
                else "The band is the range of the consensus."
            ),
            note="Band: from P10 to P90, summed over products and markets; the range of the total is narrower.",
        ),
        _demand_by_family(paper),
        _lifecycle(paper),
        _overrides(paper),
        _exceptions(paper),
    )


def _demand_by_family(paper: Paper) -> Figure:
    near = paper.near(paper["demand_plan"])
    near = near.assign(value=near["consensus"] * near["price"])
    layers = ["baseline", "lifecycle", "market_conditions", "campaigns", "pipeline"]
    rows = (
        near.groupby("family")[[*layers, "statistical", "blended", "override", "consensus", "p10", "p90", "value"]]
        .sum()
        .reset_index()
    )
    back = paper["sales_history"][paper["sales_history"]["month"] >= paper.first - pd.DateOffset(months=12)]
    rows["last"] = rows["family"].map(back.groupby(back["product"].map(paper.family))["quantity"].sum())
    rows["sales"] = rows["blended"] - rows["statistical"]
    rows["growth"] = rows["consensus"] / rows["last"].where(rows["last"] > 0) - 1
    rows["family"] = paper.called(rows["family"], "families")
    top = rows.sort_values("growth", ascending=False, kind="stable").iloc[0]
    unit = paper.units
    shown = {"family": "Family", "last": Show("Last 12 months", unit), "baseline": Show("Baseline", unit)}
    shown |= {
        name: Show(name.replace("_", " ").capitalize(), unit, True)
        for name in layers[1:]
        if rows[name].abs().sum() > 0.5
    }
    shown |= {"sales": Show("Sales blended in", unit, True)} if rows["sales"].abs().sum() > 0.5 else {}
    shown |= {"override": Show("Overrides", unit, True)} if rows["override"].abs().sum() > 0.5 else {}
    shown |= {
        "consensus": Show("Consensus", unit),
        "growth": Show("Growth", "share", True),
        "value": Show("Value", paper.money),
    }
    return charts.table(
        rows,
        shown,
        title="From baseline to consensus",
        unit=f"{paper.span}, at net prices",
        look_for=f"Strongest growth: {top['family']}, {amount(top['growth'], 'share', sign=True)}."
        if top["growth"] == top["growth"]
        else "",
        note="Layers: "
        + listed([name.replace("_", " ") for name in layers[1:]], 9)
        + "; a layer that moves nothing is left out.",
    )


def _lifecycle(paper: Paper) -> Figure | None:
    products = paper["products"]
    starts = products[products["launch_month"].between(paper.first, paper.months[-1])]
    ends = products[products["end_month"].between(paper.first, paper.months[-1])]
    names = paper.names("products")
    volume = paper["demand_plan"].groupby("product")["consensus"].sum()
    rows = [
        {
            "what": "Launch",
            "product": names[r.product],
            "month": r.launch_month,
            "other": names.get(r.like_product, "–"),
            "units": volume.get(r.product),
        }
        for r in starts.itertuples()
    ]
    rows += [
        {
            "what": "Retirement",
            "product": names[r.product],
            "month": r.end_month,
            "other": names.get(r.successor, "–"),
            "units": volume.get(r.product),
        }
        for r in ends.itertuples()
    ]
    if not rows:
        return None
    return charts.table(
        pd.DataFrame(rows).astype({"units": float}),
        {
            "what": "Change",
            "product": "Product",
            "month": "First or last month",
            "other": "Like product, or successor",
            "units": Show("Planned", paper.units),
        },
        title="Launches and retirements",
        unit="in the planned months",
        look_for=sentence(f"{several(len(starts), 'launch', 'launches')}, {several(len(ends), 'retirement')}."),
    )


def _overrides(paper: Paper) -> Figure | None:
    applied = paper["overrides_applied"].query("status == 'in force'")
    if applied.empty:
        return None
    return charts.table(
        applied,
        {
            "scope": "What",
            "first_month": "From",
            "last_month": "To",
            "units": Show("Moved", paper.units, True),
            "money": Show("Worth", paper.money, True),
            "reason": "Reason",
            "owner": "Owner",
        },
        title="Overrides in force",
        unit="over the planned months",
        look_for=f"People moved the demand plan by {paper.cash(applied['money'].sum(), sign=True)}.",
    )


def _exceptions(paper: Paper) -> Figure | None:
    found = paper["exceptions"].sort_values("rank").head(8)
    if found.empty:
        return None
    more = int(paper["exception_causes"]["found"].sum()) - len(found)
    return charts.table(
        found,
        {"sentence": "What is the matter", "money": Show("At stake", paper.money), "advice": "What to do"},
        title="What deserves the meeting's time",
        unit="by money at stake",
        look_for=f"{paper.cash(found['money'].sum())} hang on these {len(found):,} exceptions.",
        note=f"{more:,} smaller ones are not shown." if more > 0 else "",
    )


def supply(paper: Paper) -> dict[str, Any]:
    """What is made and bought to meet it, and what it costs."""
    plan = paper["supply_plan"]
    goods = plan[plan["item"].isin(paper["products"]["product"])]
    if goods.empty:
        return section("supply", "Supply plan", "There is no supply plan.")
    goods = goods.assign(mode=goods["mode"].map(MODES))
    near = paper.near(goods).groupby("mode")["quantity"].sum()
    shares = near / near.sum() if near.sum() else near
    demand_ = paper["demand_plan"].groupby("month")["consensus"].sum().reset_index()
    main = shares.idxmax()
    overtime = shares.get(MODES["make_overtime"], 0.0)
    said = f"Overtime makes {amount(overtime, 'share')} of it." if overtime else "No overtime is needed."
    costs = paper.near(paper["supply_costs"]).query("cost != 'revenue'")
    cost = costs.groupby(["cost", "penalty"], as_index=False)["amount"].sum()
    cost = cost[cost["amount"].abs() > 0.5].sort_values(
        ["penalty", "amount"], ascending=[True, False], ignore_index=True
    )
    cash = cost.loc[~cost["penalty"], "amount"].sum()
    cost["kind"] = cost["penalty"].map({True: "Service penalties, not cash", False: "Cash"})
    cost["name"] = cost["cost"].str.replace("_", " ").str.capitalize()
    largest = cost[~cost["penalty"]].head(1)
    return section(
        "supply",
        "Supply plan",
        f"{number(near.sum())} {paper.units} are supplied in the {paper.span}: {amount(shares.max(), 'share')} {main}.",
        charts.bars(
            goods,
            "quantity",
            "mode",
            order=tuple(MODES.values()),
            over=demand_,
            over_y="consensus",
            over_name="demand",
            title="Finished goods by mode, and demand",
            unit=paper.units,
            note="By the month of making or ordering.",
            look_for=said + " Where bars stand above the line, stock is built ahead; below it, stock is used.",
        ),
        charts.table(
            cost,
            {"name": "Cost", "amount": Show(f"Next {len(paper.year)} months", paper.money)},
            group="kind",
            title="What supply costs",
            unit=paper.money,
            none="The plan carries no costs.",
            look_for=f"Supply costs {paper.cash(cash)} in cash"
            + (f"; the largest part is {largest['name'].iloc[0].lower()}." if len(largest) else "."),
        ),
        _people(paper),
    )


def _people(paper: Paper) -> Figure | None:
    people = paper["people_plan"]
    if people.empty:
        return None
    people = people.assign(place=paper.called(people["site"], "sites") + ", " + people["skill"])
    hired, gone = paper.near(people)[["hired", "laid_off"]].sum()
    return charts.heat_map(
        people,
        "place",
        "month",
        "people",
        title="People by site and skill",
        unit="people",
        look_for=f"The plan hires {number(hired, 1)} and lays off {number(gone, 1)} in the {paper.span}."
        if hired + gone > 0.05
        else "The plan neither hires nor lays off.",
    )


def capacity(paper: Paper) -> dict[str, Any]:
    """How full every resource is, which limits bind, and the shadow price of one more hour or unit."""
    load = paper["resource_load"].assign(resource=lambda f: paper.called(f["resource"], "resources"))
    if load.empty:
        return section("capacity", "Capacity", "There are no resources in this plan.")
    full = load[load["utilisation"] >= FULL]
    resources = full["resource"].nunique()
    binding = paper["binding_limits"].sort_values("shadow_price", ascending=False, kind="stable").head(8)
    binding = binding.assign(place=paper.called(binding["place"], "sites", "suppliers", "markets", "resources"))
    total = paper.kpi("capacity_utilisation", kpis.PLAN)
    headline = (
        f"{counted(resources)} of {several(load['resource'].nunique(), 'resource')} "
        f"{'is' if resources == 1 else 'are'} full at some time; all together work at "
        f"{amount(total, 'share')} in the {paper.span}."
        if total is not None
        else "Load of every resource."
    )
    worst = full.groupby("resource").size().sort_values(ascending=False, kind="stable")
    top = binding.iloc[0] if len(binding) else None
    return section(
        "capacity",
        "Capacity",
        headline,
        charts.heat_map(
            load,
            "resource",
            "month",
            "utilisation",
            mark_from=FULL,
            title="Load of each resource",
            unit="share",
            look_for=f"{worst.index[0]} is full in {several(int(worst.iloc[0]), 'month')}; framed cells are full."
            if len(worst)
            else "No resource is full in any month.",
            note="Hours used, overtime included, in % of regular hours after maintenance: above 100 is overtime.",
        ),
        charts.table(
            binding,
            {
                "sentence": "Limit",
                "month": "Month",
                "size": Show("Size of the limit", "its unit"),
                "unit": "Unit",
                "shadow_price": Show("Shadow price", paper.money),
            },
            title="What limits the plan",
            unit=f"{paper.money} for one more unit of the limit",
            none="No limit keeps the plan from earning more: more capacity would bring nothing.",
            look_for=f"The most valuable relief, {top['place']} in {month_name(top['month'])}, brings "
            f"{paper.cash(top['shadow_price'])} for one more {top['unit'].rstrip('s')}."
            if top is not None
            else "",
        ),
    )


def inventory(paper: Paper) -> dict[str, Any]:
    """Stock against what it should be, and how each market is served."""
    stock = paper["stock"][paper["stock"]["item"].isin(paper["products"]["product"])]
    if stock.empty:
        return section("inventory", "Inventory and service", "There is no stock in this plan.")
    months = stock.groupby("month")[["closing", "safety_stock", "below_safety"]].sum()
    budget = paper["budget"].groupby("month")["stock"].sum().reindex(months.index)
    lines = pd.concat(
        [
            pd.DataFrame({"month": months.index, "series": name, "units": values.to_numpy()})
            for name, values in (
                ("planned stock", months["closing"]),
                ("safety stock", months["safety_stock"]),
                ("budget", budget),
            )
        ]
    ).dropna()
    held = paper["stock"].assign(
        kind=paper["stock"]["item"].isin(paper["products"]["product"]).map({True: "finished goods", False: "materials"})
    )
    value = held.groupby("month")["value"].sum()
    turns, cover = paper.kpi("inventory_turns", kpis.PLAN), paper.kpi("days_of_cover", kpis.PLAN)
    below = months.loc[months["below_safety"] > 0.5]
    served = paper.near(paper["deliveries"])
    served = served.assign(
        on_time=kpis.units_on_time(paper["deliveries"]).reindex(served.index),
        market=paper.called(served["market"], "markets"),
    )
    service = served.groupby("market", as_index=False)[["demand", "on_time", "lost"]].sum()
    service["fill"] = service["on_time"] / service["demand"].where(service["demand"] > 0)
    last = served[served["month"] == served["month"].max()].groupby("market")["backlog"].sum()
    service["backlog"] = service["market"].map(last).astype(float)
    worst = service.loc[service["fill"].idxmin()] if service["fill"].notna().any() else None
    peak = value.idxmax()
    words = [
        f"Finished stock turns {number(turns, 1)} times a year" if turns is not None else "",
        f"covers {number(cover)} days of demand" if cover is not None else "",
    ]
    return section(
        "inventory",
        "Inventory and service",
        (" and ".join(filter(None, words)) or "Stock by month") + ".",
        charts.line(
            lines,
            "units",
            series="series",
            order=("planned stock", "safety stock", "budget"),
            title="Finished stock at the month's end",
            unit=paper.units,
            look_for=f"Stock falls below what safety wants in {several(len(below), 'month')}."
            if len(below)
            else "Stock never falls below what safety wants.",
        ),
        charts.bars(
            held,
            "value",
            "kind",
            order=("finished goods", "materials"),
            title="Stock value at standard cost",
            unit=paper.money,
            look_for=f"Stock ties up most money in {month_name(peak)}: {paper.cash(value.max())}.",
            height=220,
        ),
        charts.table(
            service,
            {
                "market": "Market",
                "demand": Show("Demand", paper.units),
                "on_time": Show("On time", paper.units),
                "lost": Show("Lost", paper.units),
                "backlog": Show("Waiting at the end", paper.units),
                "fill": Show("Fill rate", "share"),
            },
            title="How each market is served",
            unit=f"{paper.span}",
            look_for=f"{worst['market']} is served worst: {amount(worst['fill'], 'share')} on time."
            if worst is not None and worst["fill"] < 0.9995
            else "Every market gets all it wants on time.",
        ),
    )
