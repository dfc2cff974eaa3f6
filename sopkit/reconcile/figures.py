"""The figures of the pre-S&OP meeting, one function a figure, from a book: notebook, pack and library show the same."""

from __future__ import annotations

import pandas as pd

from sopkit import charts, kpis
from sopkit.book import Book
from sopkit.charts import Figure, Show
from sopkit.kpis import LOWER, MEASURES
from sopkit.reconcile.compare import BASE_TITLE
from sopkit.reconcile.finance import LINES, OPTIONS, STEPS, cash
from sopkit.words import amount, month_name, number, quoted, say, sentence, than

GAPS = {
    "demand-supply": "Delivered against demand",
    "sales-budget": "Sales against budget",
    "margin-budget": "Gross margin against budget",
    "production-budget": "Production against budget",
    "stock-budget": "Stock against budget (sum of month ends)",
}
SALES = "sales department"
TIED, CASH = "working capital freed", "cash added up"  # less than nothing: tied up, paid out
MOST = 12  # families or markets that a statement tells apart
BRIDGE = {"volume": "Volume", "mix": "Mix", "rate": "Rate (price and cost)"}


# Money --------------------------------------------------------------------------------------------------------------


def _year_ago(book: Book) -> pd.DataFrame:
    """Sales of the months a year before the next twelve: family, market, month, net sales and cost of goods sold."""
    sold = book.year_ago(book["sales_history"])
    goods = -book.at_cost(sold, item="product")
    return sold.assign(family=book.families(sold["product"]), **{LINES[0]: book.revenue(sold), LINES[1]: goods})


def _margins(frame: pd.DataFrame) -> pd.DataFrame:
    """Net sales, cost of goods sold and gross margin: a line each, from the two columns."""
    return frame.assign(**{"gross margin": frame[LINES[0]] + frame[LINES[1]]})


def statement(book: Book) -> Figure:
    """Profit and loss of the next twelve months beside last year and budget, with the differences drawn."""
    lines, near = book.near(book["pnl"]).groupby("line")["amount"].sum(), book.near(book["budget"])
    planned = lines.reindex(LINES, fill_value=0.0)
    rows = [*LINES[:2], "gross margin", *(name for name in LINES[2:] if name != OPTIONS or planned[name]), "result"]
    plan = planned.to_dict() | {"gross margin": planned.iloc[:2].sum(), "result": lines.sum()}
    ago = _margins(_year_ago(book))
    past = ago[[*LINES[:2], "gross margin"]].sum() if len(ago) else {}
    sales, margin = near["sales"].sum(), near["margin"].sum()
    wanted = {LINES[0]: sales, LINES[1]: margin - sales, "gross margin": margin} if len(near) else {}
    frame = pd.DataFrame({"last year": past, "budget": wanted, "plan": plan}, index=rows, dtype=float)
    change = plan["gross margin"] - (margin if len(near) else past.get("gross margin", float("nan")))
    lies = ("The gross margin lies {money} above last year.", "The gross margin lies {money} below last year.")
    if len(near):
        lies = ("The gross margin lies {money} above budget.", "The gross margin lies {money} below budget.")
    return charts.variances(
        frame.rename_axis("line").reset_index() if len(lines) else None, "line", unit=book.currency,
        against=("last year", "budget"), bold=("gross margin", "result"), who=book.who, title="Profit and loss",
        period=book.span, source="pnl sales_history budget", better="higher", none="There is no statement.",
        look_for=say(lies[int(change < 0)], amount(abs(change), book.currency)) if change == change else "",
        note="Goods at standard cost; supply beyond it has its own line. Last year, budget: no more lines.",
    )  # fmt: skip


def _cash(book: Book) -> pd.Series:
    """Cash of each month; empty where no balance sheet tells what customers owe and suppliers are owed."""
    known = len(book["balance_sheet"]) and len(book["working_capital"])
    return cash(book, book["pnl"], book["working_capital"]) if known else pd.Series(dtype=float)


def by_month(book: Book) -> Figure:
    """Profit and loss by month and the cash it leaves, with net sales and margin of last year and budget below."""
    pnl, ago = book["pnl"], _margins(_year_ago(book))
    margin = pnl[pnl["line"].isin(LINES[:2])].assign(line="gross margin")
    ago = ago.assign(month=ago["month"] + pd.DateOffset(years=1)).groupby("month")[[LINES[0], "gross margin"]].sum()
    budget = book["budget"].rename(columns={"sales": LINES[0], "margin": "gross margin"})
    budget = budget[budget["month"].isin(book.months)].groupby("month")[[LINES[0], "gross margin"]].sum()
    more = []
    for name, part in (("last year", ago), ("budget", budget)):
        part.columns = [f"{say(line)}, {say(name)}" for line in part]
        more.append(part.reset_index().melt("month", var_name="line", value_name="amount"))
    rows = [*LINES[:2], "gross margin", *LINES[2:], "result"]
    if len(left := _cash(book)):
        freed = left - pnl.groupby("month")["amount"].sum().reindex(left.index)
        both = ((TIED, freed), (CASH, left.cumsum()))
        more += [part.rename("amount").reset_index().assign(line=line) for line, part in both]
        rows += [TIED, CASH]
    rows += [line for pair in zip(ago, budget, strict=True) for line in pair]
    result = pnl.groupby("month")["amount"].sum()
    return charts.statement(
        pd.concat([pnl, margin, pnl.assign(line="result"), *more])
        if {*LINES[:2]} <= {*pnl["line"]} else None, "line", "month", "amount",
        rows=rows, bold=("gross margin", "result"), who=book.who, title="Profit and loss by month", unit=book.currency,
        source="pnl sales_history budget", better="higher", shows=["last year", "budget", "plan"],
        look_for=say("The best month is {best}, the weakest {weakest}.", month_name(result.idxmax()),
            month_name(result.idxmin()))
        if len(result) else "", none="There is no statement.",
    )  # fmt: skip


def _net_sales(book: Book, column: str) -> pd.DataFrame:
    """Net sales of the next twelve months and last year by `column` of deliveries and sales, the sum below."""
    near = book.near(book["deliveries"])
    near = near.assign(family=book.families(near["product"]), plan=near["delivered"] * near["price"])
    rows = near.groupby(column)["plan"].sum().to_frame()
    rows["last year"] = _year_ago(book).groupby(column)[LINES[0]].sum().reindex(rows.index)
    told = book.near(book["demand_plan"])
    told = (told["sales"] * told["price"]).groupby(told[column]).sum(min_count=1)
    rows[SALES] = told.reindex(rows.index).astype(float)
    return rows.sort_values("plan", ascending=False, kind="stable")


def _with_total(book: Book, rows: pd.DataFrame, table: str) -> pd.DataFrame:
    """Rows by name, the smallest together as `Rest`, and the sum of all: the parts add up to it."""
    whole, rest = rows.sum(min_count=1), rows.iloc[MOST:].sum(min_count=1)
    rows = rows.head(MOST).rename(index=book.names(table))
    if len(rest.dropna()) and len(rows) == MOST:
        rows.loc[say("Rest")] = rest
    rows.loc["All"] = whole
    return rows.rename_axis("name").reset_index()


def by_family(book: Book) -> Figure:
    """Net sales of each family over the next twelve months beside last year and budget."""
    rows = _net_sales(book, "family")
    budget = book.near(book["budget"]).groupby("family")["sales"].sum()
    rows["budget"] = budget.reindex(rows.index).astype(float)
    rows = _with_total(book, rows[["last year", "budget", "plan"]], "families")
    change = (rows["plan"] - rows["budget" if len(budget) else "last year"])[:-1]
    return charts.variances(
        rows if len(rows) > 1 else None, "name", unit=book.currency, against=("last year", "budget"), bold=("All",),
        who=book.who, title="Net sales by family", period=book.span, source="deliveries sales_history budget",
        better="higher", none="Nothing is sold in this plan.",
        look_for=say("{family} is furthest from it: {money}.", rows['name'].iloc[change.argmin()], amount(change.min(),
            book.currency, True)) if change.min() < 0
        else "No family lies below." if change.notna().any() else "",
    )  # fmt: skip


def by_market(book: Book) -> Figure:
    """Net sales of each market over the next twelve months beside last year and what the sales department expects."""
    rows = _with_total(book, _net_sales(book, "market")[["last year", SALES, "plan"]], "markets")
    less = (rows["plan"] - rows[SALES]).iloc[-1] if len(rows) else float("nan")
    side = "All lie {money} above what sales expects." if less > 0 else "All lie {money} below what sales expects."
    told = say(side, amount(abs(less), book.currency)) if less == less else ""
    grown = (rows["plan"] / rows["last year"].where(rows["last year"] > 0) - 1)[:-1]
    how = "{market} grows most: {share}." if grown.max() > 0 else "{market} shrinks least: {share}."
    return charts.variances(
        rows if len(rows) > 1 else None, "name", unit=book.currency, against=("last year", SALES), bold=("All",),
        who=book.who, title="Net sales by market", period=book.span, source="deliveries sales_history sales_forecast",
        better="higher", none="Nothing is sold in this plan.",
        look_for=" ".join(filter(None, [
            say(how, rows["name"].iloc[grown.argmax()], amount(grown.max(), "share", True))
            if grown.notna().any() else "", told])),
    )  # fmt: skip


def outlook(book: Book) -> Figure:
    """Net sales by month: a year of actual, the plan, and the budget outlined behind both."""
    sold, planned = book["sales_history"], book.near(book["pnl"].query("line == 'net sales'"))
    sold = sold[sold["month"] >= book.first - pd.DateOffset(months=12)]
    parts = {
        "actual": sold.assign(amount=book.revenue(sold)),
        "plan": planned,
        "budget": book.near(book["budget"]).rename(columns={"sales": "amount"}),
    }
    rows = pd.concat([part[["month", "amount"]].assign(scenario=name) for name, part in parts.items()])
    near, wanted = book.near(planned)["amount"].sum(), parts["budget"]["amount"].sum()
    best = planned.groupby("month")["amount"].sum()
    return charts.columns(
        rows if len(planned) else None, "amount", "scenario", unit=book.currency, who=book.who, title="Net sales",
        source="sales_history pnl budget", better="higher", measure="net sales", none="There is no statement.",
        shows=[name for name, part in parts.items() if len(part)], height=230,
        mark=best.idxmax() if len(best) else "",
        look_for=say("The {span} lie {against}; the best month is {month}.", book.span, than(
            near / wanted - 1, "{share} above budget", "{share} below budget"), month_name(best.idxmax()))
        if wanted and len(best) else say("The best month is {month}.", month_name(best.idxmax())) if len(best) else "",
    )  # fmt: skip


def net_sales(book: Book) -> Figure:
    """Net sales of each family month by month, beside the budget, all on one scale."""
    rows = book.near(book["pnl"].query("line == 'net sales'")).assign(scenario="plan")
    budget = book.near(book["budget"]).rename(columns={"sales": "amount"}).assign(scenario="budget")
    both = pd.concat([rows, budget])[["family", "month", "amount", "scenario"]]
    return charts.panels(
        both.assign(family=book.called(both["family"], "families")) if len(rows) else None, "amount", "scenario",
        each="family", who=book.who, title="Net sales by family", unit=book.currency, source="pnl budget",
        better="higher", measure="net sales", none="There is no statement.", height=210,
        look_for="Where the seasons of the families peak together, capacity binds.",
    )  # fmt: skip


def bridge(book: Book) -> Figure:
    """Gross margin from the budget to the plan: volume, mix and rate."""
    steps = book["budget_bridge"].groupby("step")["amount"].sum().reindex(STEPS, fill_value=0.0)
    inner = steps[list(BRIDGE)].rename(BRIDGE).rename_axis("step").reset_index()
    worst, gap = inner.loc[inner["amount"].idxmin()], steps["plan"] - steps["budget"]
    loss = say("no step loses")
    if worst["amount"] < 0:
        loss = say("the largest loss is {step}", say(worst["step"]).lower())
    return charts.waterfall(
        inner if len(book["budget_bridge"]) else None, "step", "amount", start="Budget", end="Plan",
        opening=float(steps["budget"]), who=book.who, title="Gross margin, from budget to plan", unit=book.currency,
        height=240,
        source="budget_bridge", shows=["budget", "plan"], better="higher", none="This company brought no budget.",
        period=book.span,
        look_for=say("The plan's margin is {money} above budget; {loss}." if gap >= 0 else
                     "The plan's margin is {money} below budget; {loss}.", amount(abs(gap), book.currency), loss),
    )  # fmt: skip


def capital(book: Book) -> Figure:
    """Working capital at each month's end and its parts; payables negative, so that the parts add up."""
    rows = book["working_capital"]
    order = ("inventory", "receivables", "other", "payables")
    parts = rows.assign(payables=-rows["payables"]).melt("month", order, "part", "amount")
    ends = rows["working_capital"].iloc[[0, -1]] if len(rows) else (0.0, 0.0)
    peak = month_name(rows.set_index("month")["working_capital"].idxmax()) if len(rows) else ""
    told = say("It goes from {first} to {last}; its peak is {month}.", *(amount(one, book.currency) for one in ends),
               peak)  # fmt: skip
    left = _cash(book).reindex(book.year).cumsum()
    if left.notna().any():
        money, low = amount(left.iloc[-1], book.currency), month_name(left.idxmin())
        told += " " + say("Cash of the {span}: {money}; added up, it is lowest in {month}.", book.span, money, low)
    held, owed, owing, both = (kpis.value(book, name, kpis.PLAN) for name in kpis.CASH_DAYS)
    tied = "Money is tied up for {days} days: inventory {inventory} + customers {customers} - suppliers {suppliers}."
    return charts.bars(
        parts, "amount", "part", order=order, over=rows, over_y="working_capital", over_name="working capital",
        unit=book.currency, who=book.who, title="Working capital at the month's end", source="working_capital",
        better="lower", measure="working capital", look_for=told,
        note=say(tied, *map(number, (both, held, owed, owing))) if both is not None else "",
        none="There is no balance sheet to plan working capital from.",
    )  # fmt: skip


# Gaps ---------------------------------------------------------------------------------------------------------------


def promised(book: Book) -> Figure:
    """Plan against demand and budget over the next twelve months, in % and in money."""
    rows = book.near(book["gaps"]).groupby("gap", as_index=False)[["plan", "reference", "money"]].sum()
    rows["share"] = (rows["plan"] - rows["reference"]) / rows["reference"].where(rows["reference"] != 0)
    return charts.table(
        rows.assign(gap=rows["gap"].map(GAPS)),
        {"gap": "Gap", "share": Show("Difference", "share", True), "money": Show("In money", book.currency, True)},
        who=book.who, title="Plan against what was promised", unit=book.span, source="gaps", shows=["plan", "budget"],
        period=book.span, better="higher", none="There is nothing to hold the plan against: no budget was brought.",
        look_for="Demand and stock are valued at price and standard cost; a minus is less than promised.",
    )  # fmt: skip


def against_budget(book: Book) -> Figure:
    """Net sales against budget by family and month."""
    rows = book["gaps"].query("gap == 'sales-budget'")
    rows = rows.assign(family=book.called(rows["family"], "families"))
    families = rows.groupby("family")["money"].sum()
    below = len(families) and families.min() < 0
    return charts.heat_map(
        rows, "family", "month", "money", diverging=True,
        who=book.who, title="Sales against budget", unit=book.currency,
        source="gaps", shows=["plan", "budget"], better="higher", none="This company brought no budget.",
        look_for=say("Furthest below over the horizon: {family}, {money}.", families.idxmin(), amount(families.min(),
            book.currency, True))
        if below else "No family falls short over the horizon.",
    )  # fmt: skip


def unmet(book: Book) -> Figure:
    """Demand that supply does not meet in its month, with the lever that closes most of it."""
    rows = book["gaps"].query("gap == 'demand-supply' and difference < -0.5")
    rows = rows.groupby(["family", "lever"], as_index=False).agg(
        months=("month", "nunique"), units=("difference", "sum"), money=("money", "sum"), gain=("lever_gain", "max")
    )
    return charts.table(
        rows.assign(family=book.called(rows["family"], "families")).sort_values("money"),
        # what to do stands beside the family: a phone shows the first columns
        {"family": "Family", "lever": "Best lever", "gain": Show("It brings, after penalties", book.currency, True),
         "units": Show("Shortfall", book.units, True), "money": Show("In money", book.currency, True),
         "months": Show("Months", "count")},
        who=book.who,
        title="Demand that supply does not meet in its month", unit="over the horizon", source="gaps levers",
        better="lower", look_for="Each shortage with the lever that closes most of it.",
        none="Supply meets all demand in its month: no lever is needed.",
    )  # fmt: skip


# Scenarios ----------------------------------------------------------------------------------------------------------


def scenario_titles(book: Book) -> dict[str, str]:
    """Code -> title of the plan and of every scenario that was solved."""
    return dict(zip(book["scenario_results"]["scenario"], book["scenario_results"]["title"], strict=True))


def result_changes(book: Book) -> pd.Series:
    """What each scenario adds to the result of the horizon, currency by title, best first."""
    rows = book["scenario_results"].query("measure == 'result' and scenario != 'base'")
    return rows.set_index("title")["difference"].sort_values(ascending=False, kind="stable")


def scenarios(book: Book) -> Figure:
    """The plan and every scenario side by side."""
    rows, change = book["scenario_results"], result_changes(book)
    return charts.comparison(
        rows.assign(unit=rows["unit"].map(book.unit)) if len(change) else None, measures=MEASURES, lower=LOWER,
        base_name=BASE_TITLE, who=book.who, title="Scenarios beside the plan", source="scenario_results",
        shows=["plan", "scenario"], period="the whole horizon", note="Over the whole horizon.",
        look_for=say("The worst, {scenario}, changes the result by {money}.", quoted(change.index[-1]),
            amount(change.iloc[-1], book.currency, True)) if len(change) and change.iloc[-1] < -0.5
        else "No scenario costs result; compare service and stock.",
        none="No scenario was solved beside the plan.",
    )  # fmt: skip


def gained(book: Book) -> Figure:
    """Result gained or lost against the plan by each scenario, added up over the months."""
    wide = book["scenario_months"].pivot(index="month", columns="scenario", values="result")
    rows = wide.sub(wide["base"], axis=0).drop(columns="base").cumsum() if "base" in wide else wide.head(0)
    rows = rows.rename(columns=scenario_titles(book)).reset_index().melt("month", var_name="series", value_name="money")
    change = result_changes(book)
    return charts.line(
        rows.dropna(), "money", series="series",
        who=book.who, title="Result gained or lost against the plan, cumulative",
        unit=book.currency, height=220, source="scenario_months", better="higher",
        measure="result against the plan, cumulative", none="There are no months to compare.",
        look_for=say("By the end the scenarios lie {money} apart.", amount(change.iloc[0] - change.iloc[-1],
            book.currency))
        if len(change) else "",
    )  # fmt: skip


def by_scenario(book: Book, column: str) -> Figure:
    """A column of scenario_months (net_sales, result, shortfall, stock_value), a line a scenario."""
    names = {"stock_value": ("Stock value", "lower"), "shortfall": ("Units waiting or lost", "lower")}
    title, better = names.get(column, (sentence(column.replace("_", " ")), "higher"))
    rows = book["scenario_months"]
    return charts.line(
        rows.assign(series=rows["scenario"].replace(scenario_titles(book))), column, series="series",
        who=book.who, title=say("{measure} by option", say(title)), better=better, source="scenario_months",
        unit=book.currency if column != "shortfall" else book.units,
        look_for="What an option costs before it pays, and where it fails its customers.",
    )  # fmt: skip


def changes(book: Book) -> Figure:
    """What each scenario changes."""
    rows = book["scenario_changes"]
    return charts.table(
        rows.assign(scenario=rows["scenario"].replace(scenario_titles(book))),
        {"scenario": "Scenario", "sentence": "What it changes", "rows": Show("Rows changed", "rows")},
        who=book.who, title="What each scenario changes", unit="everything else as in the plan",
        source="scenario_changes", none="This company has no scenarios: write them in scenarios.yaml.",
    )  # fmt: skip


# Risk ---------------------------------------------------------------------------------------------------------------

FUTURES = "Nobody has asked for sampled futures: sopkit run -p futures=300, or futures in company.yaml."


def risk(book: Book, measure: str = "result after penalties") -> Figure:
    """A measure of the plan and of each option in sampled futures: as planned, P10, P50, P90, mean of the worst 5 %."""
    rows, rule = book["risk"].query("measure == @measure", local_dict={"measure": measure}), book.company.futures
    unit = book.unit(rows["unit"].iloc[0]) if len(rows) else ""
    order = rows.sort_values("worst", ascending=measure == "mean stock value", kind="stable")
    best = order["title"].iloc[0] if len(order) else ""
    headings = {"planned": "As planned", "p10": "P10", "p50": "P50", "p90": "P90", "worst": "Worst 5 %, mean"}
    return charts.table(
        rows, {"title": "Option", **{name: Show(text, unit) for name, text in headings.items()}}, who=book.who,
        title=say("{measure} in sampled futures", sentence(say(measure))), unit=unit, source="risk", none=FUTURES,
        period="the horizon",
        look_for=say("In the worst 5 % of the futures {option} comes out best.", quoted(best)) if len(rows) > 1 else "",
        note=say("{count} futures, seed {seed}; the first {months} months stay as planned, later ones are planned "
                 "again for what happens.", number(rows["futures"].max()), rule.seed, rule.decided),
    )  # fmt: skip


def tornado(book: Book, most: int = 10) -> Figure:
    """What matters most: the result after penalties with one thing at a time at its low and its high end."""
    rows = book["tornado"].head(most)
    return charts.swings(
        rows.drop(columns=["rank", "swing"]), "driver",
        {"if_low": "Low end", "low": "Change of result", "if_high": "High end", "high": "Change of result"},
        unit=book.currency, who=book.who, title="What moves the result after penalties most", source="tornado",
        none=FUTURES, period="the horizon", better="higher",
        look_for=say("{driver}: {money} from one end to the other.", rows['driver'].iloc[0],
            amount(rows['swing'].iloc[0], book.currency))
        if len(rows) else "",
        note="The plan solved again with one thing at a time, all else as planned; demand at its P10 and P90.",
    )  # fmt: skip


def frontier(book: Book) -> Figure:
    """What service costs: the best plan at other prices of unmet demand, today's policy marked."""
    rows = book["frontier"]
    now, today = rows.loc[rows["today"], "cost"].sum(), "{factor} x, today"
    price = [say(today if row.today else "{factor} x", number(row.factor, 2)) for row in rows.itertuples()]
    fill = [amount(value, "share") for value in rows["fill_rate"]]
    stock = [amount(value, book.currency) for value in rows["stock"]]
    shown = pd.DataFrame({"price of unmet demand": price, "fill": fill, "cost": rows["cost"] - now, "stock": stock})
    top = rows.sort_values(["fill_rate", "cost"], ascending=[False, True], kind="stable").head(1)
    more = amount(top["fill_rate"].sum(), "share"), amount(top["cost"].sum() - now, book.currency, True)
    return charts.swings(
        shown, "price of unmet demand",
        {"fill": "Fill rate", "cost": "Cost against today's plan", "stock": "Mean stock value"}, unit=book.currency,
        bold=[text for text, today in zip(price, rows["today"], strict=True) if today], who=book.who,
        title="What service costs", source="frontier", none=FUTURES, period="the horizon", better="lower",
        look_for=say("The best service that money buys is {share}: {money} against today's plan.", *more),
        note="Each row is the best plan at its price of waiting and lost demand: none serves as well for less.",
    )  # fmt: skip
