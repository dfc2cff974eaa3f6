"""What the meeting opens and closes with: decisions, summary, scorecard, what changed, scenarios, risks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from sopkit import charts, kpis
from sopkit.charts import Figure, Show, Tile
from sopkit.decide import UNDECIDED
from sopkit.publish.paper import FULL, Paper, section
from sopkit.reconcile import MEASURES
from sopkit.tables import STAGES
from sopkit.words import amount, counted, leaning, listed, month_name, number, quoted, sentence, several, than

# what the options of a question are compared by: value or difference from the plan, measure, kind of unit
DECISION_MEASURES = (
    ("difference", "result", "currency"),
    ("value", "service penalties", "currency"),
    ("value", "fill rate", "share"),
    ("difference", "mean stock value", "currency"),
    ("difference", "working capital at the end", "currency"),
)


def decisions(paper: Paper) -> dict[str, Any]:
    """What must be decided, the options with their price and service, what the numbers recommend, by when, who."""
    log, results = paper["decision_log"], paper["scenario_results"]
    open_ = log[log["status"] == UNDECIDED]
    if log.empty:
        return section(
            "decisions",
            "Decisions",
            "No question was put to this meeting.",
            "Write the questions into decisions.yaml of the company; until one is decided this plan is a draft.",
        )
    soon = open_["due"].min() if len(open_) else pd.NaT
    headline = (
        f"{several(len(open_), 'decision')} required" + (f", the first by {month_name(soon)}." if soon == soon else ".")
        if len(open_)
        else f"All decisions are made: {several(len(log), 'question')} answered."
    )
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
                    for c in codes
                ]
                for kind, measure, _ in DECISION_MEASURES
            },
        }
    )
    if row.status != UNDECIDED:
        state = f"Decided by {row.decided_by}: {quoted(titles.get(row.option, row.option))}. {row.reason}"
    else:
        state = _recommendation(paper, recommended, codes, titles, values) or "The numbers recommend nothing."
    due = f"due {month_name(row.due)}" if pd.notna(row.due) else ""
    units = {"currency": paper.money, "units": paper.units, "share": "share"}
    show = {
        f"{kind} {measure}": Show(
            sentence(measure) + (" against plan" if kind == "difference" else ""), units[unit], kind == "difference"
        )
        for kind, measure, unit in DECISION_MEASURES
    }
    return charts.table(
        rows.astype({name: float for name in show}),
        {"option": "Option", **show},
        title=row.question,
        look_for=state,
        unit=", ".join(filter(None, [f"owner {row.owner}" if row.owner else "", due])) or "open",
        alt=f"Options of the question: {row.question}",
        note="Service penalties are the prices of what is: late, lost, below safety stock.",
    )


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
        f"{paper.cash(change.get('result', 0.0), sign=True)}, service penalties by "
        f"{paper.cash(change.get('service penalties', 0.0), sign=True)} and the fill rate by "
        f"{number(change.get('fill rate', 0.0) * 100, 1, sign=True)} points."
    )


def summary(paper: Paper) -> dict[str, Any]:
    """The cycle in three sentences, where every stage stands and who signed it."""
    lines = [line for line in (_money_line(paper), _service_line(paper), _change_line(paper)) if line]
    signed = paper["sign_offs"].sort_values("id").drop_duplicates("stage", keep="last").set_index("stage")
    rows = []
    for stage in STAGES:
        entry = paper.manifest.get("stages", {}).get(stage.name, {})
        rows.append(
            {
                "stage": stage.name.capitalize(),
                "question": stage.question,
                "state": "made " + str(entry.get("written_at", ""))[:16].replace("T", " ")
                if entry.get("written_at")
                else "not recorded",
                "signed": signed.at[stage.name, "author"] if stage.name in signed.index else "not signed",
            }
        )
    missing = [row["stage"] for row in rows if row["signed"] == "not signed"]
    table = charts.table(
        pd.DataFrame(rows),
        {"stage": "Stage", "question": "Question", "state": "State (UTC)", "signed": "Signed by"},
        title="The six stages of this cycle",
        unit="times in UTC",
        look_for=f"Not signed yet: {listed(missing, 6)}." if missing else "Every stage is signed.",
    )
    sales = paper.kpi("total_sales", kpis.PLAN)
    headline = lines[0] if lines else "This cycle holds no plan in money."
    return section(
        "summary",
        "Cycle summary",
        headline if sales is not None else "This cycle holds no plan in money.",
        *lines[1:],
        table,
    )


def _budget(paper: Paper, column: str) -> float | None:
    rows = paper.near(paper["budget"])
    return float(rows[column].sum()) if len(rows) else None


def _money_line(paper: Paper) -> str:
    sales, last, margin = (
        paper.kpi(*pair)
        for pair in (("total_sales", kpis.PLAN), ("total_sales", kpis.PAST), ("gross_margin", kpis.PLAN))
    )
    if sales is None:
        return ""
    budget = _budget(paper, "sales")
    parts = [
        f"{than(sales / last - 1)} the last twelve months" if last else "",
        f"{than(sales / budget - 1)} budget" if budget else "",
    ]
    against = " and ".join(filter(None, parts))
    return (
        f"The {paper.span} bring net sales of {paper.cash(sales)}"
        + (f", {against}" if against else "")
        + (f", at a gross margin of {amount(margin, 'share')}." if margin is not None else ".")
    )


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
        .iloc[0]
    )
    return (
        f"Against last cycle the demand plan is worth {than(after / before - 1, 'more', 'less')} "
        "over the months both plan; "
        f"the largest step is {driver['layer']}, {paper.cash(driver['money'], sign=True)}."
    )


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
        else "No KPI has a target yet."
    )
    planned = [tile.name.lower() for tile in made if tile.note.startswith("next")]
    tiles = charts.tiles(
        made,
        title="The eight KPIs",
        look_for=f"Planned values stand for {listed(planned, 8)}; the others are what happened."
        if planned
        else "What happened.",
        note="Small lines: the last twelve months solid, planned months dashed. ▼ misses its target, ✓ meets it. "
        + kpis.ERROR_SIGN,
    )
    rest = frame[~frame["kpi"].isin(kpis.EIGHT) & frame["period"].isin([kpis.PAST, kpis.PLAN])]
    rows = [
        {
            "kpi": kpi.title,
            **{
                p: amount(paper.kpi(name, p), rest.loc[rest["kpi"] == name, "unit"].iloc[0])
                for p in (kpis.PAST, kpis.PLAN)
            },
            "measured": kpi.measured,
        }
        for name, kpi in kpis.KPIS.items()
        if name in set(rest["kpi"])
    ]
    wape, bias = paper.kpi("forecast_wape", kpis.PAST), paper.kpi("forecast_against_actual", kpis.PAST)
    said = (
        f"The consensus missed by {amount(wape, 'share')} of sales and leaned {leaning(bias)}."
        if wape is not None and bias is not None
        else ""
    )
    return section(
        "scorecard",
        "Scorecard",
        headline,
        tiles,
        charts.table(
            pd.DataFrame(rows),
            {"kpi": "KPI", kpis.PAST: "Last 12 months", kpis.PLAN: "Next 12 months", "measured": "What is measured"},
            title="The rest of the scorecard",
            unit="each in its own unit",
            look_for=said,
        ),
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
        kpis.KPIS[name].title,
        total["value"],
        total["unit"],
        note,
        None if pd.isna(total["target"]) else total["target"],
        total["better"],
        total["owner"],
        list(months["at"]),
        list(months["value"]),
        int((months["kind"] == "actual").sum()),
    )


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
            inner.assign(layer=inner["layer"].map(sentence)),
            "layer",
            "money",
            start=sentence(change["layer"].iloc[0]),
            end=sentence(change["layer"].iloc[-1]),
            opening=float(change["money"].iloc[0]),
            unit=paper.money,
            title="Demand plan, last cycle to this one",
            look_for=_moved_line(paper),
            note=f"Over {change['months'].iloc[0]}, at today's net prices. Layers that did not change are left out.",
        ),
    )


def _moved_line(paper: Paper) -> str:
    steps = paper["demand_change"].query("family != 'all'").set_index(["family", "step"])["money"].unstack()
    if steps.empty:
        return "Each bar is one layer of the forecast."
    moved = steps.iloc[:, -1] - steps.iloc[:, 0]
    most = moved.abs().idxmax()
    name = paper.names("families").get(most, most)
    return f"Largest change of a family: {name}, {paper.cash(moved[most], sign=True)}."


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
        else pd.DataFrame()
    )
    changes = paper["scenario_changes"].assign(title=lambda f: f["scenario"].map(titles).fillna(f["scenario"]))
    if best["difference"] > 0.5:
        headline = (
            f"{quoted(best['title'])} brings {paper.cash(best['difference'])} more than the plan over the horizon."
        )
    else:
        headline = "No scenario earns more than the plan."
    return section(
        "scenarios",
        "Scenarios",
        headline,
        charts.comparison(
            others,
            measures=MEASURES,
            title="Scenarios beside the plan",
            base_name="The plan",
            look_for=f"The worst, {quoted(worst['title'])}, changes it by {paper.cash(worst['difference'], True)}."
            if worst["difference"] < -0.5
            else "No scenario costs result; look at service and stock.",
            note="Over the whole horizon.",
        ),
        charts.line(
            gained.assign(series=gained["series"].map(titles)) if len(gained) else gained,
            "money",
            series="series",
            title="Result gained or lost against the plan, cumulative",
            unit=paper.money,
            height=220,
            look_for=f"By the end the scenarios lie {paper.cash(best['difference'] - worst['difference'])} apart.",
            none="There are no months to compare.",
        ),
        charts.table(
            changes,
            {"title": "Scenario", "sentence": "What it changes", "rows": Show("Rows changed", "rows")},
            title="What each scenario changes",
            unit="everything else as in the plan",
        ),
    )


def risks(paper: Paper) -> dict[str, Any]:
    """What the plan stands on: assumptions, risks, opportunities, and what was wrong with the data."""
    assumed, found, proposed = paper["assumptions"], paper["findings"], paper["history_adjustments"]
    open_ = proposed[proposed["status"] == "proposed"]
    suppliers = paper["suppliers"][paper["suppliers"]["risk"] > 0].sort_values("risk", ascending=False)
    bought = paper.near(paper["supply_plan"].query("mode == 'buy'")).groupby("source")[["cost"]].sum()
    suppliers = suppliers.assign(
        name=paper.called(suppliers["supplier"], "suppliers"),
        bought=suppliers["supplier"].map(bought["cost"]).fillna(0.0),
    )
    deals = paper["pipeline_weight"].sort_values("rank").head(6)
    headline = (
        f"The plan stands on {several(len(assumed), 'declared assumption')}; "
        f"{several(len(found), 'finding')} in the data "
        f"{'is' if len(found) < 2 else 'are'} open."
    )
    grouped = found.groupby(["severity", "table", "rule", "fix"], as_index=False).agg(
        count=("row", "size"), row=("row", "min")
    )
    grouped = grouped.sort_values(["severity", "count"], ascending=[False, False], kind="stable")
    return section(
        "risks",
        "Assumptions, risks and findings",
        headline,
        charts.table(
            assumed,
            {"statement": "Assumption", "table": "Stands in for", "owner": "Owner", "expires": "Holds until"},
            title="Assumptions",
            unit="declared in company.yaml",
            none="Nothing had to be assumed.",
            look_for="What is missing but planned around, each with an owner.",
        ),
        charts.table(
            suppliers.head(8),
            {
                "name": "Supplier",
                "country": "Country",
                "risk": Show("Chance of a lost month in a year", "share"),
                "bought": Show(f"Bought, {paper.span}", paper.money),
            },
            title="Suppliers at risk",
            unit="as purchasing judges them",
            none="No supplier is judged to be at risk.",
            look_for=f"{suppliers['name'].iloc[0]} is the most likely to fail." if len(suppliers) else "",
        ),
        charts.table(
            deals,
            {
                "customer": "Customer",
                "products": "Products",
                "first_month": "From",
                "quantity": Show("If all is won", paper.units),
                "expected": Show("Expected", paper.units),
                "added": Show("In the plan", paper.units),
                "value": Show("Worth", paper.money),
                "hours_if_won": Show("Machine hours if won", "hours"),
            },
            title="Opportunities in the CRM",
            unit="weighted by probability",
            none="The CRM holds no opportunity in the planned months.",
            look_for=f"{deals['customer'].iloc[0]} weighs most on production." if len(deals) else "",
        ),
        charts.table(
            grouped.head(12),
            {
                "severity": "Severity",
                "table": "Table",
                "rule": "What is wrong",
                "count": Show("Cells", "count"),
                "fix": "What to do",
            },
            title="Findings in the data",
            unit="cells",
            none="Nothing is wrong with the data.",
            look_for=sentence(f"{several(int(grouped['count'].sum()), 'finding')} of {several(len(grouped), 'kind')}."),
            note=f"{len(grouped) - 12:,} more kinds are in table findings." if len(grouped) > 12 else "",
        ),
        charts.table(
            open_.assign(
                product=paper.called(open_["product"], "products"), market=paper.called(open_["market"], "markets")
            ),
            {
                "product": "Product",
                "market": "Market",
                "month": "Month",
                "quantity": Show("Change", paper.units, True),
                "reason": "Why",
            },
            title="Corrections of history that wait for an answer",
            unit=paper.units,
            look_for="Proposed, not applied: history stays as it came until a planner answers.",
            none="No correction of history waits for an answer.",
        ),
    )
