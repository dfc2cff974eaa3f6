"""The pack that the executive meeting reads: one plain dictionary made from tables only, decisions first.

`report` computes; `page` renders. Every section opens with its finding, and every figure with the sentence that says
what to see in it: both are computed from the tables of this cycle. A table that a company does not have costs its
figure, never the pack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sopkit import charts, kpis
from sopkit.charts import NARROW, Figure, Show, Tile, amount, month_name, number
from sopkit.decide import UNDECIDED
from sopkit.publish import appendix
from sopkit.publish.paper import Paper, counted, leaning, listed, quoted, section, sentence, several, than
from sopkit.reconcile import MEASURES
from sopkit.tables import STAGES, Company

FULL = 0.995  # a resource is full from this share of its regular hours on
MODES = {"make_regular": "made, regular hours", "make_overtime": "made, overtime", "buy": "bought"}
# what the options of a question are compared by: value or difference from the plan, measure, kind of unit
DECISION_MEASURES = (
    ("difference", "result", "currency"), ("value", "policy cost", "currency"), ("value", "fill rate", "share"),
    ("difference", "mean stock value", "currency"), ("difference", "working capital at the end", "currency"))
STEPS = {
    "naive": "same month last year", "baseline": "statistical baseline", "campaigns": "campaigns",
    "lifecycle": "lifecycle", "market_conditions": "market conditions", "pipeline": "CRM pipeline",
    "statistical": "all layers", "blended": "sales blended in", "consensus": "overrides: consensus"}
# the sections, in the order in which the meeting reads them ------------------------------------------------------


def decisions(paper: Paper) -> dict[str, Any]:
    """What must be decided, the options with their price and service, what the numbers recommend, by when, who."""
    log, results = paper["decision_log"], paper["scenario_results"]
    open_ = log[log["status"] == UNDECIDED]
    if log.empty:
        return section(
            "decisions", "Decisions", "No question was put to this meeting.",
            "Write the questions into decisions.yaml of the company; until one is decided this plan is a draft.")
    soon = open_["due"].min() if len(open_) else pd.NaT
    headline = (
        f"{several(len(open_), 'decision')} required" + (f", the first by {month_name(soon)}." if soon == soon else ".")
        if len(open_)
        else f"All decisions are made: {several(len(log), 'question')} answered.")
    body: list[Figure | str] = []
    for row in log.head(3).itertuples():
        body.append(_decision(paper, row, results))
    if len(log) > 3:
        body.append(f"{len(log) - 3:,} more questions are in the decision log; a meeting decides at most three well.")
    return section("decisions", "Decisions required", headline, *body)


def _decision(paper: Paper, row: Any, results: pd.DataFrame) -> Figure:
    codes = [code.strip() for code in row.options.split(",")]
    wide = results[results["scenario"].isin(codes)]
    titles = dict(zip(wide["scenario"], wide["title"], strict=True))
    if "base" in titles:
        titles["base"] = "Keep the plan as it stands"
    values = wide.pivot_table(index="scenario", columns="measure", values=["value", "difference"], sort=False)
    recommended = row.recommendation.split(":")[0]
    marks = {recommended: " (recommended)", row.option: " (decided)"}
    rows = pd.DataFrame(
        {
            "option": [titles.get(code, code) + marks.get(code, "") for code in codes],
            **{
                f"{kind} {measure}": [
                    values.at[c, (kind, measure)] if (kind, measure) in values and c in values.index else None
                    for c in codes]
                for kind, measure, _ in DECISION_MEASURES
            },
        }
    )
    if row.status != UNDECIDED:
        state = f"Decided by {row.by}: {quoted(titles.get(row.option, row.option))}. {row.reason}"
    else:
        state = _recommendation(paper, recommended, codes, titles, values) or "The numbers recommend nothing."
    due = f"due {month_name(row.due)}" if pd.notna(row.due) else ""
    units = {"currency": paper.money, "units": paper.units, "share": "share"}
    show = {
        f"{kind} {measure}": Show(
            sentence(measure) + (" against plan" if kind == "difference" else ""), units[unit], kind == "difference")
        for kind, measure, unit in DECISION_MEASURES
    }
    return charts.table(
        rows.astype({name: float for name in show}), {"option": "Option", **show}, title=row.question, look_for=state,
        unit=", ".join(filter(None, [f"owner {row.owner}" if row.owner else "", due])) or "open",
        alt=f"Options of the question: {row.question}",
        note="Policy cost is the price of broken promises: late, lost, below safety stock.")


def _recommendation(
    paper: Paper, code: str, codes: Sequence[str], titles: Mapping[str, str], values: pd.DataFrame
) -> str:
    """What the numbers recommend, against the first option: what happens if nothing is decided."""
    rivals = [other for other in codes if other != code and other in values.index]
    if code not in values.index or not rivals:
        return ""
    other, change = rivals[0], values["value"].loc[code] - values["value"].loc[rivals[0]]
    return (
        f"Recommended: {quoted(titles[code])}. Against {quoted(titles[other])} it changes the result by "
        f"{paper.cash(change.get('result', 0.0), sign=True)}, the price of broken promises by "
        f"{paper.cash(change.get('policy cost', 0.0), sign=True)} and the fill rate by "
        f"{number(change.get('fill rate', 0.0) * 100, 1, sign=True)} points.")


def summary(paper: Paper) -> dict[str, Any]:
    """The cycle in three sentences, where every stage stands and who signed it."""
    lines = [line for line in (_money_line(paper), _service_line(paper), _change_line(paper)) if line]
    signed = paper["sign_offs"].sort_values("id").drop_duplicates("stage", keep="last").set_index("stage")
    rows = []
    for stage in STAGES:
        entry = paper.manifest.get("stages", {}).get(stage.name, {})
        rows.append(
            {
                "stage": stage.name.capitalize(), "question": stage.question,
                "state": "made " + str(entry.get("written_at", ""))[:16].replace("T", " ")
                if entry.get("written_at")
                else "not recorded",
                "signed": signed.at[stage.name, "by"] if stage.name in signed.index else "not signed"}
        )
    missing = [row["stage"] for row in rows if row["signed"] == "not signed"]
    table = charts.table(
        pd.DataFrame(rows), {"stage": "Stage", "question": "Question", "state": "State (UTC)", "signed": "Signed by"},
        title="The six stages of this cycle", unit="times in UTC",
        look_for=f"Not signed yet: {listed(missing, 6)}." if missing else "Every stage is signed.")
    sales = paper.kpi("total_sales", kpis.PLAN)
    headline = lines[0] if lines else "This cycle holds no plan in money."
    return section(
        "summary", "Cycle summary", headline if sales is not None else "This cycle holds no plan in money.", *lines[1:],
        table)


def _budget(paper: Paper, column: str) -> float | None:
    rows = paper.near(paper["targets"])
    return float(rows[column].sum()) if len(rows) else None


def _money_line(paper: Paper) -> str:
    sales, last, margin = (
        paper.kpi(*pair)
        for pair in (("total_sales", kpis.PLAN), ("total_sales", kpis.PAST), ("gross_margin", kpis.PLAN)))
    if sales is None:
        return ""
    budget = _budget(paper, "sales")
    parts = [
        f"{than(sales / last - 1)} the last twelve months" if last else "",
        f"{than(sales / budget - 1)} budget" if budget else ""]
    against = " and ".join(filter(None, parts))
    return (
        f"The {paper.span} bring net sales of {paper.cash(sales)}"
        + (f", {against}" if against else "")
        + (f", at a gross margin of {amount(margin, 'share')}." if margin is not None else "."))


def _service_line(paper: Paper) -> str:
    fill, load = paper.kpi("fill_rate", kpis.PLAN), paper.near(paper["resource_load"])
    if fill is None:
        return ""
    said = f"Supply meets {amount(fill, 'share')} of the demand of these months on time"
    full = load[load["utilisation"] >= FULL].groupby("resource").size().sort_values(ascending=False, kind="stable")
    if full.empty:
        return said + "; no resource is full."
    name = paper.names("resources").get(full.index[0], full.index[0])
    return said + f"; {name} is full in {counted(int(full.iloc[0]))} of {several(len(paper.year), 'month')}."


def _change_line(paper: Paper) -> str:
    change = paper["demand_change"].query("family == 'all'").sort_values("step")
    if len(change) < 2:
        return ""
    before, after = change["money"].iloc[0], change["money"].iloc[-1]
    if not before:
        return ""
    driver = (
        change.iloc[1:-1]
        .assign(size=lambda f: f["money"].abs())
        .sort_values("size", ascending=False, kind="stable")
        .iloc[0])
    return (
        f"Against last cycle the demand plan is worth {than(after / before - 1, 'more', 'less')} "
        "over the months both plan; "
        f"the largest step is {driver['layer']}, {paper.cash(driver['money'], sign=True)}.")


def scorecard(paper: Paper) -> dict[str, Any]:
    """The eight KPIs, then the rest of the scorecard."""
    frame = paper["kpis"]
    made = [tile for tile in (_tile(paper, name) for name in kpis.EIGHT) if tile]
    missed = [tile.name.lower() for tile in made if tile.missed]
    headline = (
        f"{counted(len(missed))} of the eight KPIs {'misses its' if len(missed) == 1 else 'miss their'} target: "
        f"{listed(missed, 8)}."
        if missed
        else "Every KPI that has a target meets it."
        if any(t.missed is False for t in made)
        else "No KPI has a target yet.")
    planned = [tile.name.lower() for tile in made if tile.note.startswith("next")]
    tiles = charts.tiles(
        made, title="The eight KPIs",
        look_for=f"Planned values stand for {listed(planned, 8)}; the others are what happened."
        if planned
        else "What happened.",
        note="Small lines: the last twelve months solid, planned months dashed. ▼ misses its target, ✓ meets it. "
        + kpis.ERROR_SIGN)
    rest = frame[~frame["kpi"].isin(kpis.EIGHT) & frame["period"].isin([kpis.PAST, kpis.PLAN])]
    rows = [
        {
            "kpi": kpi.title,
            **{
                p: amount(paper.kpi(name, p), rest.loc[rest["kpi"] == name, "unit"].iloc[0])
                for p in (kpis.PAST, kpis.PLAN)},
            "measured": kpi.measured,
        }
        for name, kpi in kpis.KPIS.items()
        if name in set(rest["kpi"])
    ]
    wape, bias = paper.kpi("forecast_wape", kpis.PAST), paper.kpi("forecast_against_actual", kpis.PAST)
    said = (
        f"The consensus missed by {amount(wape, 'share')} of sales and leaned {leaning(bias)}."
        if wape is not None and bias is not None
        else "")
    return section(
        "scorecard",
        "Scorecard",
        headline,
        tiles,
        charts.table(
            pd.DataFrame(rows),
            {"kpi": "KPI", kpis.PAST: "Last 12 months", kpis.PLAN: "Next 12 months", "measured": "What is measured"},
            title="The rest of the scorecard", unit="each in its own unit", look_for=said),
    )


def _tile(paper: Paper, name: str) -> Tile | None:
    rows = paper["kpis"][paper["kpis"]["kpi"] == name]
    period = kpis.PLAN if (rows["period"] == kpis.PLAN).any() else kpis.PAST
    total = rows[rows["period"] == period]
    if total.empty:
        return Tile(kpis.KPIS[name].title, None, "units", "its tables are not there")
    total = total.iloc[0]
    months = rows[~rows["period"].isin([kpis.PAST, kpis.PLAN])].sort_values("period")
    months = months.assign(at=pd.to_datetime(months["period"] + "-01"))
    months = pd.concat([months[months["kind"] == "actual"].tail(12), months[months["kind"] == "plan"].head(12)])
    before = paper.kpi(name, kpis.PAST) if period == kpis.PLAN else None
    note = f"{paper.span}" if period == kpis.PLAN else f"last 12 months, {kpis.KPIS[name].measured}"
    if before is not None:
        note += f"; last 12: {amount(before, total['unit'])}"
    return Tile(
        kpis.KPIS[name].title, total["value"], total["unit"], note,
        None if pd.isna(total["target"]) else total["target"], total["better"], total["owner"], list(months["at"]),
        list(months["value"]), int((months["kind"] == "actual").sum()))


def changed(paper: Paper) -> dict[str, Any]:
    """From last cycle's demand plan to this one, driver by driver."""
    change = paper["demand_change"].query("family == 'all'").sort_values("step")
    if len(change) < 3:
        return section("changed", "What changed", "There is no earlier plan to compare with.")
    inner = change.iloc[1:-1]
    inner = inner[inner["money"].abs() >= 0.5]
    return section(
        "changed",
        "What changed since the last plan",
        _change_line(paper) or "The demand plan did not change.",
        charts.waterfall(
            inner.assign(layer=inner["layer"].map(sentence)), "layer", "money", start=sentence(change["layer"].iloc[0]),
            end=sentence(change["layer"].iloc[-1]), opening=float(change["money"].iloc[0]), unit=paper.money,
            title="Demand plan, last cycle to this one", look_for=_moved_line(paper),
            note=f"Over {change['months'].iloc[0]}, at today's net prices. Layers that did not change are left out."),
    )


def _moved_line(paper: Paper) -> str:
    steps = paper["demand_change"].query("family != 'all'").set_index(["family", "step"])["money"].unstack()
    if steps.empty:
        return "Each bar is one layer of the forecast."
    moved = steps.iloc[:, -1] - steps.iloc[:, 0]
    most = moved.abs().idxmax()
    name = paper.names("families").get(most, most)
    return f"Largest change of a family: {name}, {paper.cash(moved[most], sign=True)}."


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
        else f"Every step to the consensus earned its keep: {amount(end['wape'], 'share')} error at the end.")
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
                f"What destroyed value: {listed(harmful['name'])}." if len(harmful) else "No step destroyed value."),
            note="WAPE: sum of absolute errors / sum of sales. Blue steps made it better, vermillion ones worse.",
            width=charts.WIDE,
        ),
        [
            charts.ranking(
                _errors_in_money(paper), "product", "money", title="Missed most, by value", unit=paper.money,
                look_for=_worst_line(paper), most=8,
                note=f"Absolute error of the consensus {several(lag, 'month')} ahead x list price."),
            charts.table(
                streams,
                {
                    "stream": "Stream", "wape": Show("WAPE", "share"), "bias": Show("Bias", "share", True),
                    "tracking_signal": Show("Tracking signal", "MAD", True)},
                title="Whose forecast was right",
                unit=f"{several(lag, 'month')} ahead",
                note=kpis.ERROR_SIGN,
                look_for=_bias_line(streams),
            ),
        ],
        charts.table(
            owners,
            {
                "owner": "Who", "role": "Role", "overrides": Show("Overrides judged", "count"),
                "helped": Show("Helped", "share"), "wape_before": Show("Error before", "share"),
                "wape_after": Show("Error after", "share"), "money": Show("Error removed", paper.money, True)},
            title="Whose overrides help",
            none="No past override was judged.",
            unit="positive = error removed",
            look_for=(
                f"{worst['owner']}'s overrides added {paper.cash(-worst['money'])} of error."
                if worst is not None and worst["money"] < 0
                else "Nobody's overrides did harm."),
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
        {"product": paper.called(money.index.to_series(), "products").to_numpy(), "money": money.to_numpy()})


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
        pd.DataFrame({"month": sales.index, "series": "sales department", "units": sales.to_numpy()})]
    lines = pd.concat([part for part in parts if len(part)], ignore_index=True)
    total, before = months.loc[paper.year, "consensus"].sum(), past.tail(12).sum()
    peak = months.loc[paper.year, "consensus"].idxmax()
    headline = (
        f"Demand of the {paper.span} is {number(total)} {paper.units}"
        + (f", {than(total / before - 1)} the last twelve" if before else "")
        + f"; it peaks in {month_name(peak)}.")
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
                else "The band is the range of the consensus."),
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
        .reset_index())
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
        if rows[name].abs().sum() > 0.5}
    shown |= {"sales": Show("Sales blended in", unit, True)} if rows["sales"].abs().sum() > 0.5 else {}
    shown |= {"override": Show("Overrides", unit, True)} if rows["override"].abs().sum() > 0.5 else {}
    shown |= {
        "consensus": Show("Consensus", unit), "growth": Show("Growth", "share", True),
        "value": Show("Value", paper.money)}
    return charts.table(
        rows, shown, title="From baseline to consensus", unit=f"{paper.span}, at net prices",
        look_for=f"Strongest growth: {top['family']}, {amount(top['growth'], 'share', sign=True)}."
        if top["growth"] == top["growth"]
        else "", note="Layers: "
        + listed([name.replace("_", " ") for name in layers[1:]], 9)
        + "; a layer that moves nothing is left out.")


def _lifecycle(paper: Paper) -> Figure | None:
    products = paper["products"]
    starts = products[products["launch_month"].between(paper.first, paper.months[-1])]
    ends = products[products["end_month"].between(paper.first, paper.months[-1])]
    names = paper.names("products")
    volume = paper["demand_plan"].groupby("product")["consensus"].sum()
    rows = [
        {
            "what": "Launch", "product": names[r.product], "month": r.launch_month,
            "other": names.get(r.like_product, "–"), "units": volume.get(r.product)}
        for r in starts.itertuples()
    ]
    rows += [
        {
            "what": "Retirement", "product": names[r.product], "month": r.end_month,
            "other": names.get(r.successor, "–"), "units": volume.get(r.product)}
        for r in ends.itertuples()
    ]
    if not rows:
        return None
    return charts.table(
        pd.DataFrame(rows).astype({"units": float}),
        {
            "what": "Change", "product": "Product", "month": "First or last month",
            "other": "Like product, or successor", "units": Show("Planned", paper.units)},
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
            "scope": "What", "first_month": "From", "last_month": "To", "units": Show("Moved", paper.units, True),
            "money": Show("Worth", paper.money, True), "reason": "Reason", "owner": "Owner"},
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
        found, {"sentence": "What is the matter", "money": Show("At stake", paper.money), "advice": "What to do"},
        title="What deserves the meeting's time", unit="by money at stake",
        look_for=f"{paper.cash(found['money'].sum())} hang on these {len(found):,} exceptions.",
        note=f"{more:,} smaller ones are not shown." if more > 0 else "")


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
    cost = costs.groupby(["cost", "policy"], as_index=False)["amount"].sum()
    cost = cost[cost["amount"].abs() > 0.5].sort_values(
        ["policy", "amount"], ascending=[True, False], ignore_index=True)
    cash = cost.loc[~cost["policy"], "amount"].sum()
    cost["kind"] = cost["policy"].map({True: "Prices of policy, not cash", False: "Cash"})
    cost["name"] = cost["cost"].str.replace("_", " ").str.capitalize()
    largest = cost[~cost["policy"]].head(1)
    return section(
        "supply",
        "Supply plan",
        f"{number(near.sum())} {paper.units} are supplied in the {paper.span}: {amount(shares.max(), 'share')} {main}.",
        charts.bars(
            goods, "quantity", "mode", order=tuple(MODES.values()), over=demand_, over_y="consensus",
            over_name="demand", title="Finished goods by mode, and demand", unit=paper.units,
            note="By the month of making or ordering.",
            look_for=said + " Where bars stand above the line, stock is built ahead; below it, stock is used."),
        charts.table(
            cost, {"name": "Cost", "amount": Show(f"Next {len(paper.year)} months", paper.money)}, group="kind",
            title="What supply costs", unit=paper.money, none="The plan carries no costs.",
            look_for=f"Supply costs {paper.cash(cash)} in cash"
            + (f"; the largest part is {largest['name'].iloc[0].lower()}." if len(largest) else ".")),
        _people(paper),
    )


def _people(paper: Paper) -> Figure | None:
    people = paper["people_plan"]
    if people.empty:
        return None
    people = people.assign(place=paper.called(people["site"], "sites") + ", " + people["skill"])
    hired, gone = paper.near(people)[["hired", "laid_off"]].sum()
    return charts.heat_map(
        people, "place", "month", "people", title="People by site and skill", unit="people",
        look_for=f"The plan hires {number(hired, 1)} and lays off {number(gone, 1)} in the {paper.span}."
        if hired + gone > 0.05
        else "The plan neither hires nor lays off.")


def capacity(paper: Paper) -> dict[str, Any]:
    """How full every resource is, which limits bind, and what one more hour or unit is worth."""
    load = paper["resource_load"].assign(resource=lambda f: paper.called(f["resource"], "resources"))
    if load.empty:
        return section("capacity", "Capacity", "There are no resources in this plan.")
    full = load[load["utilisation"] >= FULL]
    resources = full["resource"].nunique()
    binding = paper["binding_limits"].sort_values("worth", ascending=False, kind="stable").head(8)
    binding = binding.assign(place=paper.called(binding["place"], "sites", "suppliers", "markets", "resources"))
    total = paper.kpi("capacity_utilisation", kpis.PLAN)
    headline = (
        f"{counted(resources)} of {several(load['resource'].nunique(), 'resource')} "
        f"{'is' if resources == 1 else 'are'} full at some time; all together work at "
        f"{amount(total, 'share')} in the {paper.span}."
        if total is not None
        else "Load of every resource.")
    worst = full.groupby("resource").size().sort_values(ascending=False, kind="stable")
    top = binding.iloc[0] if len(binding) else None
    return section(
        "capacity",
        "Capacity",
        headline,
        charts.heat_map(
            load, "resource", "month", "utilisation", mark_from=FULL, title="Load of each resource", unit="share",
            look_for=f"{worst.index[0]} is full in {several(int(worst.iloc[0]), 'month')}; framed cells are full."
            if len(worst)
            else "No resource is full in any month.",
            note="Hours used, overtime included, in % of regular hours after maintenance: above 100 is overtime."),
        charts.table(
            binding,
            {
                "sentence": "Limit", "month": "Month", "size": Show("Size of the limit", "its unit"), "unit": "Unit",
                "worth": Show("One more is worth", paper.money)},
            title="What limits the plan",
            unit=f"{paper.money} for one more unit of the limit",
            none="No limit keeps the plan from earning more: more capacity would bring nothing.",
            look_for=f"The most valuable relief, {top['place']} in {month_name(top['month'])}, brings "
            f"{paper.cash(top['worth'])} for one more {top['unit'].rstrip('s')}."
            if top is not None
            else "",
        ),
    )


def gaps(paper: Paper) -> dict[str, Any]:
    """Where plan and budget, or demand and supply, disagree: by family and month, with levers and their price."""
    rows = paper["gaps"]
    if rows.empty:
        return section("gaps", "Gaps and levers", "There is nothing to hold the plan against: no budget was brought.")
    rows = rows.assign(family=paper.called(rows["family"], "families"))
    short = rows[(rows["gap"] == "demand-supply") & (rows["difference"] < -0.5)]
    sales = rows[rows["gap"] == "sales-budget"]
    near = paper.near(sales)["money"].sum()
    table = short.groupby(["family", "lever"], as_index=False).agg(
        months=("month", "nunique"), units=("difference", "sum"), money=("money", "sum"), gain=("lever_gain", "max"))
    parts = []
    if len(sales):
        parts.append(
            f"Sales lie {paper.cash(abs(near))} {'above' if near >= 0 else 'below'} budget in the {paper.span}")
    parts.append(
        f"supply misses {number(-short['difference'].sum())} {paper.units} of demand in its month"
        if len(short)
        else "supply meets all demand")
    total = (
        paper.near(rows)
        .groupby("gap", as_index=False)
        .agg(plan=("plan", "sum"), reference=("reference", "sum"), money=("money", "sum")))
    total["share"] = (total["plan"] - total["reference"]) / total["reference"].where(total["reference"] != 0)
    total["what"] = total["gap"].map(
        {
            "demand-supply": "Delivered against demand", "sales-budget": "Sales against budget",
            "margin-budget": "Gross margin against budget", "production-budget": "Production against budget",
            "stock-budget": "Stock against budget (sum of month ends)"}
    )
    by_family = sales.groupby("family")["money"].sum()
    return section(
        "gaps",
        "Gaps and levers",
        "; ".join(parts) + ".",
        charts.table(
            total,
            {"what": "Gap", "share": Show("Difference", "share", True), "money": Show("In money", paper.money, True)},
            title="Plan against what was promised", unit=f"{paper.span}",
            look_for="Demand and stock are valued at price and standard cost; a minus is less than promised."),
        charts.heat_map(
            sales, "family", "month", "money", diverging=True, title="Sales against budget", unit=paper.money,
            look_for=f"Furthest below over the horizon: {by_family.idxmin()}, {paper.cash(by_family.min(), True)}."
            if len(by_family) and by_family.min() < 0
            else "No family falls short over the horizon.", none="This company brought no budget."),
        charts.table(
            table,
            {
                "family": "Family", "months": Show("Months", "count"), "units": Show("Short", paper.units, True),
                "money": Show("Worth", paper.money, True), "lever": "Best lever",
                "gain": Show("It brings", paper.money, True)},
            title="Demand that supply does not meet in its month",
            unit="over the horizon",
            none="Supply meets all demand in its month: no lever is needed.",
            look_for="Each shortage with the lever that closes most of it.",
        ),
        _levers(paper),
    )


def _levers(paper: Paper) -> Figure | None:
    levers = paper["levers"].sort_values("gain", ascending=False).head(8)
    if levers.empty:
        return None
    return charts.table(
        levers,
        {
            "sentence": "Lever", "months": "Months", "change": "What changes",
            "gain": Show("Profit gained", paper.money, True)},
        title="Levers the plan does not use",
        unit="found by solving the plan again",
        look_for=f"The best lever brings {paper.cash(levers['gain'].iloc[0])}.",
    )


def inventory(paper: Paper) -> dict[str, Any]:
    """Stock against what it should be, and how each market is served."""
    stock = paper["stock"][paper["stock"]["item"].isin(paper["products"]["product"])]
    if stock.empty:
        return section("inventory", "Inventory and service", "There is no stock in this plan.")
    months = stock.groupby("month")[["closing", "safety_stock", "below_safety"]].sum()
    budget = paper["targets"].groupby("month")["stock"].sum().reindex(months.index)
    lines = pd.concat(
        [
            pd.DataFrame({"month": months.index, "series": name, "units": values.to_numpy()})
            for name, values in (
                ("planned stock", months["closing"]), ("safety stock", months["safety_stock"]), ("budget", budget),)
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
        market=paper.called(served["market"], "markets"))
    service = served.groupby("market", as_index=False)[["demand", "on_time", "lost"]].sum()
    service["fill"] = service["on_time"] / service["demand"].where(service["demand"] > 0)
    last = served[served["month"] == served["month"].max()].groupby("market")["backlog"].sum()
    service["backlog"] = service["market"].map(last).astype(float)
    worst = service.loc[service["fill"].idxmin()] if service["fill"].notna().any() else None
    peak = value.idxmax()
    words = [
        f"Finished stock turns {number(turns, 1)} times a year" if turns is not None else "",
        f"covers {number(cover)} days of demand" if cover is not None else ""]
    return section(
        "inventory",
        "Inventory and service",
        (" and ".join(filter(None, words)) or "Stock by month") + ".",
        charts.line(
            lines, "units", series="series", order=("planned stock", "safety stock", "budget"),
            title="Finished stock at the month's end", unit=paper.units,
            look_for=f"Stock falls below what safety wants in {several(len(below), 'month')}."
            if len(below)
            else "Stock never falls below what safety wants."),
        charts.bars(
            held, "value", "kind", order=("finished goods", "materials"), title="Stock value at standard cost",
            unit=paper.money, look_for=f"Stock ties up most money in {month_name(peak)}: {paper.cash(value.max())}.",
            height=220),
        charts.table(
            service,
            {
                "market": "Market", "demand": Show("Demand", paper.units), "on_time": Show("On time", paper.units),
                "lost": Show("Lost", paper.units), "backlog": Show("Waiting at the end", paper.units),
                "fill": Show("Fill rate", "share")},
            title="How each market is served",
            unit=f"{paper.span}",
            look_for=f"{worst['market']} is served worst: {amount(worst['fill'], 'share')} on time."
            if worst is not None and worst["fill"] < 0.9995
            else "Every market gets all it wants on time.",
        ),
    )


def finance(paper: Paper) -> dict[str, Any]:
    """The plan in money: P&L by month and family, the bridge to budget, working capital and cash."""
    pnl = paper["pnl"]
    if pnl.empty:
        return section("finance", "Finance", "There is no statement.")
    order = [
        line
        for line in ("net sales", "cost of goods sold", "freight", "warehousing", "supply cost against standard")
        if line in set(pnl["line"])]
    order += sorted(set(pnl["line"]) - set(order))
    near = paper.near(pnl)
    result, sales = near["amount"].sum(), near.loc[near["line"] == "net sales", "amount"].sum()
    margin = pnl[pnl["line"].isin(["net sales", "cost of goods sold"])].assign(line="gross margin")
    lines = [*order[:2], "gross margin", *order[2:], "result"]
    monthly = (
        pd.concat([pnl, margin, pnl.assign(line="result")]).groupby(["line", "month"], as_index=False)["amount"].sum())
    by_family = near.pivot_table(index="family", columns="line", values="amount", aggfunc="sum", fill_value=0.0)[order]
    by_family["gross margin"] = by_family[[line for line in order[:2] if line in by_family]].sum(axis=1)
    by_family.loc["All"] = by_family.sum()
    by_family["rate"] = by_family["gross margin"] / by_family["net sales"].where(by_family["net sales"] > 0)
    rows = by_family.reset_index().assign(
        family=lambda f: paper.called(f["family"].replace("company", "Not of one family"), "families"))
    rows = rows[(rows["net sales"] != 0) | (rows["gross margin"] != 0)]
    against = paper.near(paper["gaps"].query("gap == 'margin-budget'")).groupby("family")["money"].sum()
    against.index = paper.called(against.index.to_series(), "families").to_numpy()
    rows = rows.assign(
        budget=rows["family"].map({**against, "All": against.sum()} if len(against) else {}).astype(float))
    best = rows[rows["family"].ne("All")].sort_values("rate", ascending=False, kind="stable").iloc[0]
    months = monthly[monthly["line"] == "result"].set_index("month")["amount"]
    return section(
        "finance",
        "Finance",
        f"The result of the {paper.span} is {paper.cash(result)}"
        + (f", {amount(result / sales, 'share')} of net sales." if sales else "."),
        charts.statement(
            monthly, "line", "month", "amount", rows=lines, bold=("gross margin", "result"),
            title="Profit and loss by month", unit=paper.money,
            look_for=f"The best month is {month_name(months.idxmax())}, the weakest {month_name(months.idxmin())}.",
            note="Goods are sold at standard cost; what supply really cost beyond it stands in its own line."),
        charts.table(
            rows,
            {
                "family": "Family", "net sales": Show("Net sales", paper.money),
                "gross margin": Show("Gross margin", paper.money), "rate": Show("Margin", "share"),
                "budget": Show("Margin against budget", paper.money, True)},
            total="All",
            title="Profit and loss by family",
            unit=f"{paper.span}",
            look_for=f"Best margin: {best['family']}, {amount(best['rate'], 'share')} of net sales.",
        ),
        _bridge(paper),
        *_capital(paper),
    )


def _bridge(paper: Paper) -> Figure | None:
    steps = paper["budget_bridge"].groupby("step")["amount"].sum()
    if steps.empty:
        return None
    inner = pd.DataFrame(
        {
            "step": ["Volume", "Mix", "Rate (price and cost)"],
            "amount": [steps.get(s, 0.0) for s in ("volume", "mix", "rate")]}
    )
    worst = inner.loc[inner["amount"].idxmin()]
    gap = steps["plan"] - steps["budget"]
    return charts.waterfall(
        inner, "step", "amount", start="Budget", end="Plan", opening=float(steps["budget"]),
        title="Gross margin, from budget to plan", unit=paper.money,
        look_for=f"The plan's margin is {paper.cash(abs(gap))} {'above' if gap >= 0 else 'below'} budget; "
        + (f"the largest loss is {worst['step'].lower()}." if worst["amount"] < 0 else "no step loses."),
        width=NARROW * 2, height=240)


def _capital(paper: Paper) -> list[Figure | str]:
    capital = paper["working_capital"]
    if capital.empty:
        return []
    lines = capital.melt("month", ["working_capital", "inventory", "receivables", "payables"], "series", "amount")
    lines["series"] = lines["series"].str.replace("_", " ")
    first, last = capital["working_capital"].iloc[0], capital["working_capital"].iloc[-1]
    peak = capital.loc[capital["working_capital"].idxmax(), "month"]
    days = {
        name: paper.kpi(name, kpis.PLAN) for name in ("days_inventory", "days_sales", "days_payables", "cash_to_cash")}
    said = (
        f"Money is tied up for {number(days['cash_to_cash'])} days: inventory {number(days['days_inventory'])} "
        "+ customers "
        f"{number(days['days_sales'])} - suppliers {number(days['days_payables'])}."
        if None not in days.values()
        else "")
    return [
        charts.line(
            lines, "amount", series="series", order=("working capital", "inventory", "receivables", "payables"),
            title="Working capital at the month's end", unit=paper.money,
            look_for=f"It goes from {paper.cash(first)} to {paper.cash(last)}; its peak is {month_name(peak)}.",
            note=f"Other assets less liabilities stay at {paper.cash(capital['other'].iloc[0])}. {said}")
    ]


def scenarios(paper: Paper) -> dict[str, Any]:
    """The plan and every scenario side by side."""
    results = paper["scenario_results"]
    others = results[results["scenario"] != "base"]
    if others.empty:
        return section("scenarios", "Scenarios", "No scenario was solved beside the plan.")
    others = others.assign(unit=others["unit"].replace({"currency": paper.money, "units": paper.units}))
    result = others[others["measure"] == "result"].sort_values("difference", ascending=False, kind="stable")
    best, worst = result.iloc[0], result.iloc[-1]
    titles = dict(zip(others["scenario"], others["title"], strict=True))
    months = paper["scenario_months"].pivot_table(index="month", columns="scenario", values="result", sort=False)
    gained = (
        months.sub(months["base"], axis=0)
        .drop(columns="base")
        .cumsum()
        .reset_index()
        .melt("month", var_name="series", value_name="money")
        if "base" in months
        else pd.DataFrame())
    changes = paper["scenario_changes"].assign(title=lambda f: f["scenario"].map(titles).fillna(f["scenario"]))
    if best["difference"] > 0.5:
        headline = (
            f"{quoted(best['title'])} brings {paper.cash(best['difference'])} more than the plan over the horizon.")
    else:
        headline = "No scenario earns more than the plan."
    return section(
        "scenarios",
        "Scenarios",
        headline,
        charts.comparison(
            others, measures=MEASURES, title="Scenarios beside the plan", base_name="The plan",
            look_for=f"The worst, {quoted(worst['title'])}, changes it by {paper.cash(worst['difference'], True)}."
            if worst["difference"] < -0.5
            else "No scenario costs result; look at service and stock.", note="Over the whole horizon."),
        charts.line(
            gained.assign(series=gained["series"].map(titles)) if len(gained) else gained, "money", series="series",
            title="Result gained or lost against the plan, cumulative", unit=paper.money, height=220,
            look_for=f"By the end the scenarios lie {paper.cash(best['difference'] - worst['difference'])} apart.",
            none="There are no months to compare."),
        charts.table(
            changes, {"title": "Scenario", "sentence": "What it changes", "rows": Show("Rows changed", "rows")},
            title="What each scenario changes", unit="everything else as in the plan"),
    )


def risks(paper: Paper) -> dict[str, Any]:
    """What the plan stands on: assumptions, risks, opportunities, and what was wrong with the data."""
    assumed, found, proposed = paper["assumptions"], paper["findings"], paper["history_adjustments"]
    open_ = proposed[proposed["status"] == "proposed"]
    suppliers = paper["suppliers"][paper["suppliers"]["risk"] > 0].sort_values("risk", ascending=False)
    bought = paper.near(paper["supply_plan"].query("mode == 'buy'")).groupby("source")[["cost"]].sum()
    suppliers = suppliers.assign(
        name=paper.called(suppliers["supplier"], "suppliers"),
        bought=suppliers["supplier"].map(bought["cost"]).fillna(0.0))
    deals = paper["pipeline_weight"].sort_values("rank").head(6)
    headline = (
        f"The plan stands on {several(len(assumed), 'declared assumption')}; "
        f"{several(len(found), 'finding')} in the data "
        f"{'is' if len(found) < 2 else 'are'} open.")
    grouped = found.groupby(["severity", "table", "rule", "cure"], as_index=False).agg(
        count=("row", "size"), row=("row", "min"))
    grouped = grouped.sort_values(["severity", "count"], ascending=[False, False], kind="stable")
    return section(
        "risks",
        "Assumptions, risks and findings",
        headline,
        charts.table(
            assumed, {"statement": "Assumption", "table": "Stands in for", "owner": "Owner", "expires": "Holds until"},
            title="Assumptions", unit="declared in company.yaml", none="Nothing had to be assumed.",
            look_for="What is missing but planned around, each with an owner."),
        charts.table(
            suppliers.head(8),
            {
                "name": "Supplier", "country": "Country", "risk": Show("Chance of a lost month in a year", "share"),
                "bought": Show(f"Bought, {paper.span}", paper.money)},
            title="Suppliers at risk",
            unit="as purchasing judges them",
            none="No supplier is judged to be at risk.",
            look_for=f"{suppliers['name'].iloc[0]} is the most likely to fail." if len(suppliers) else "",
        ),
        charts.table(
            deals,
            {
                "customer": "Customer", "products": "Products", "first_month": "From",
                "quantity": Show("If all is won", paper.units), "expected": Show("Expected", paper.units),
                "added": Show("In the plan", paper.units), "value": Show("Worth", paper.money),
                "hours_if_won": Show("Machine hours if won", "hours")},
            title="Opportunities in the CRM",
            unit="weighted by probability",
            none="The CRM holds no opportunity in the planned months.",
            look_for=f"{deals['customer'].iloc[0]} weighs most on production." if len(deals) else "",
        ),
        charts.table(
            grouped.head(12),
            {
                "severity": "Severity", "table": "Table", "rule": "What is wrong", "count": Show("Cells", "count"),
                "cure": "What to do"},
            title="Findings in the data",
            unit="cells",
            none="Nothing is wrong with the data.",
            look_for=sentence(f"{several(int(grouped['count'].sum()), 'finding')} of {several(len(grouped), 'kind')}."),
            note=f"{len(grouped) - 12:,} more kinds are in table findings." if len(grouped) > 12 else "",
        ),
        charts.table(
            open_.assign(
                product=paper.called(open_["product"], "products"), market=paper.called(open_["market"], "markets")),
            {
                "product": "Product", "market": "Market", "month": "Month",
                "quantity": Show("Change", paper.units, True), "reason": "Why"},
            title="Corrections of history that wait for an answer",
            unit=paper.units,
            look_for="Proposed, not applied: history stays as it came until a planner answers.",
            none="No correction of history waits for an answer.",
        ),
    )


SECTIONS = (
    decisions, summary, scorecard, changed, accuracy, demand, supply, capacity, gaps, inventory, finance, scenarios,
    risks)
def report(
    tables: Mapping[str, pd.DataFrame], company: Company, cycle: str, manifest: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The pack as a plain dictionary: company, cycle, months, draft, date of data, sections with text and figures.

    `tables`: every table of the cycle, `kpis` among them; one that is absent counts as empty. `manifest`: the cycle's
    manifest.json (versions, hashes, parameters, when each stage ran).
    """
    paper = Paper(tables, company, cycle, manifest or {})
    collected = paper.manifest.get("stages", {}).get("collect", {}).get("written_at", "")
    parts = [make(paper) for make in SECTIONS]
    return {
        "company": company.name,
        "title": f"Sales & Operations Plan, {paper.first:%B %Y}",
        "cycle": cycle,
        "horizon": f"{month_name(paper.months[0])} to {month_name(paper.months[-1])}",
        "data_as_of": str(collected)[:16].replace("T", " ") + " UTC" if collected else "",
        "currency": company.currency,
        "draft": paper.draft,
        "status": "DRAFT, not decided" if paper.draft else "APPROVED",
        "sections": [{"number": str(place), **part} for place, part in enumerate(parts, start=1)],
        "appendices": [
            {"number": letter, **part} for letter, part in zip("AB", appendix.appendices(paper), strict=True)],
    }


def figures(content: Mapping[str, Any]) -> Iterator[Figure]:
    """Every figure of a report, in reading order."""
    for part in (*content["sections"], *content["appendices"]):
        for one in part["body"]:
            yield from (figure for figure in (one if isinstance(one, list) else [one]) if isinstance(figure, Figure))


def page(content: Mapping[str, Any]) -> str:
    """The report as one HTML page that needs nothing else: no script, no network, styles inside."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: charts.plain(value) if type(value) is str else value)
    css = Markup(charts.CSS + (here / "pack.css").read_text(encoding="utf-8"))
    return environment.get_template("pack.html.j2").render(
        content, css=css, is_figure=lambda part: isinstance(part, Figure))
