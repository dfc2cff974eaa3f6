"""The figures of the demand meeting, one function a figure, from a book: notebook, pack and library show the same."""

from __future__ import annotations

import pandas as pd

from sopkit import charts
from sopkit.book import Book
from sopkit.charts import Figure, Show
from sopkit.demand.explain import few_beaten
from sopkit.demand.judged import STEP_WORDS, STREAM_WORDS
from sopkit.kpis import ERROR_SIGN
from sopkit.words import amount, leaning, listed, number, say, sentence, several, span, than

LAYERS = {
    "lifecycle": "lifecycle", "market_conditions": "market conditions", "campaigns": "campaigns",
    "pipeline": "pipeline", "sales": "sales department", "override": "overrides",
}  # fmt: skip
NOT_JUDGED = "No past forecast can be judged yet."


def _ahead(book: Book) -> str:
    lag = several(book.judged_lag, "month")
    return say("{months} ahead", lag) if book.judged_lag else say("for the cycle's own month")


def _lag(book: Book, table: str, family: str = "family == 'all'") -> pd.DataFrame:
    """The rows of `table` at the lag at which this company judges."""
    return book[table].query(f"{family} and lag == {book.judged_lag}")


# The plan ----------------------------------------------------------------------------------------------------------


def outlook(book: Book, months: int = 24) -> Figure:
    """Sales of the last `months`, the consensus with its range, the baseline and what the sales department expects."""
    past = book.sold.groupby("month")["quantity"].sum().tail(months)
    total = book["demand_levels"].query("level == 'total'").set_index("month")
    if total.empty:
        total = book["demand_plan"].groupby("month")[["baseline", "consensus", "p10", "p90"]].sum()
    sales = book["demand_plan"].groupby("month")["sales"].sum(min_count=1).dropna()
    lines = pd.concat([
        past.rename("units").reset_index().assign(series="history"),
        total[["baseline"]].rename(columns={"baseline": "units"}).reset_index().assign(series="baseline"),
        total[["consensus", "p10", "p90"]].rename(columns={"consensus": "units"}).reset_index()
        .assign(series="consensus"),
        sales.rename("units").reset_index().assign(series="sales department"),
    ], ignore_index=True)  # fmt: skip
    consensus = total["consensus"].sum()
    lean = sales.reindex(total.index).sum() / consensus - 1 if len(sales) and consensus else None
    return charts.line(
        lines if len(total) else None, "units", series="series", low="p10", high="p90", start=book.first,
        order=("history", "consensus", "baseline", "sales department"),
        who=book.who, title="Demand, all products", unit=book.units,
        source="demand_levels clean_history", better="higher", measure="units sold and planned",
        look_for="The band is the range of the consensus: one month in five lies outside." if lean is None
        else than(lean, "The sales department expects {share} more than the consensus.",
                  "The sales department expects {share} less than the consensus."),
        note="Band: P10 to P90 of the consensus.", none="There is no demand plan.",
    )  # fmt: skip


def families(book: Book) -> Figure:
    """The consensus of each family, month by month."""
    return charts.heat_map(
        book["demand_levels"].query("level == 'family'").assign(node=lambda f: book.in_words(f["node"])), "node",
        "month", "consensus", who=book.who, title="Consensus by family", unit=book.units, source="demand_levels",
        better="higher",
        look_for="Where the seasons of the families peak together, supply falls short.",
    )  # fmt: skip


def by_family(book: Book) -> Figure:
    """From baseline to consensus, layer by layer, beside last year's sales."""
    near = book.near(book["demand_plan"])
    near = near.assign(value=near["consensus"] * near["price"], sales=near["blended"] - near["statistical"])
    steps = [*LAYERS, "consensus", "value"]
    rows = near.groupby("family")[["baseline", *steps]].sum().reset_index()
    past = book.year_ago(book.sold)
    rows["last"] = rows["family"].map(past.groupby(book.families(past["product"]))["quantity"].sum()).astype(float)
    rows["growth"] = rows["consensus"] / rows["last"].where(rows["last"] > 0) - 1
    rows["family"] = book.called(rows["family"], "families")
    known = rows.dropna(subset="growth").sort_values("growth", ascending=False, kind="stable")
    moving = [name for name in LAYERS if rows[name].abs().sum() > 0.5]
    layers = {name: Show(sentence(say(LAYERS[name])), book.units, True) for name in moving}
    return charts.table(
        rows,
        {"family": Show("Family"), "last": Show("Last 12 months", book.units),
         "baseline": Show("Baseline", book.units), **layers, "consensus": Show("Consensus", book.units),
         "growth": Show("Growth", "share", True), "value": Show("Value", book.currency)},
        who=book.who, title="From baseline to consensus", unit=say("{span}, at net prices", book.span),
        source="demand_plan sales_history", period=span(book.year[0], book.year[-1]), better="higher",
        look_for=say("Strongest growth: {family}, {share}.", known["family"].iloc[0],
                     amount(known["growth"].iloc[0], "share", True)) if len(known) else "",
        note="A layer that moves nothing is left out.",
    )  # fmt: skip


def lifecycle(book: Book) -> Figure:
    """Launches and retirements in the planned months."""
    products, names = book["products"], book.names("products")
    volume = book["demand_plan"].groupby("product")["consensus"].sum()
    kinds = (("Launch", "launch_month", "like_product"), ("Retirement", "end_month", "successor"))
    rows = pd.concat([
        products[products[month].between(book.first, book.months[-1])]
        .assign(what=what, at=lambda f, m=month: f[m], other=lambda f, o=other: f[o].map(names).fillna("–"))
        for what, month, other in kinds
    ])  # fmt: skip
    starts = int(rows["what"].eq("Launch").sum())
    counts = f"{several(starts, 'launch', 'launches')}, {several(len(rows) - starts, 'retirement')}."
    return charts.table(
        rows.assign(units=rows["product"].map(volume).astype(float), product=rows["product"].map(names)),
        {"what": "Change", "product": "Product", "at": "First or last month", "other": "Like product, or successor",
         "units": Show("Planned", book.units)},
        who=book.who, title="Launches and retirements", unit="in the planned months", source="products demand_plan",
        look_for=sentence(counts), none="No product is launched or retired in the planned months.",
    )  # fmt: skip


def layers(book: Book) -> Figure:
    """What each layer adds to the baseline or takes from it."""
    plan = book["demand_plan"].assign(sales=lambda f: f["blended"] - f["statistical"])
    rows = plan.rename(columns=LAYERS).melt("month", [*LAYERS.values()], "layer", "units")
    rows = rows.groupby(["layer", "month"], as_index=False)["units"].sum()
    return charts.bars(
        rows[rows.groupby("layer")["units"].transform(lambda units: units.abs().max()) > 0], "units", "layer",
        order=list(LAYERS.values()), unit=book.units, who=book.who, title="What the layers add to the baseline",
        source="demand_plan", none="No layer changes the baseline.", measure="units added to the baseline",
        look_for="Large bars rest on people's knowledge rather than on history: who answers for them?",
    )  # fmt: skip


def weights(book: Book) -> Figure:
    """How much each stream counts in the consensus, and why."""
    rows = book["stream_weights"]
    return charts.table(
        rows.assign(family=book.called(rows["family"], "families")),
        charts.columns_of("stream_weights", "family stream wape +bias weight reason"), source="stream_weights",
        who=book.who, title=say("How much each stream counts, by its error {ahead}", _ahead(book)),
        look_for="A stream counts by the inverse of its squared error, its lasting bias taken out, within limits.",
    )  # fmt: skip


def campaigns(book: Book) -> Figure:
    """What past campaigns kept of their promise."""
    return charts.table(
        book["campaign_success"],
        charts.columns_of(
            "campaign_success",
            "campaign_kind campaigns +promised +achieved success pull_forward cannibalised reason"),
        who=book.who, title="What campaigns kept of their promise", none="No campaign is planned and none was run.",
        source="campaign_success", shows=["actual"],
        look_for="Planned campaigns count at the share that past ones of their kind kept.",
    )  # fmt: skip


def pipeline(book: Book, most: int = 8) -> Figure:
    """The customers of the CRM that weigh most on production."""
    deals = book["pipeline_weight"].sort_values("rank").head(most)
    return charts.table(
        deals.assign(products=book.in_words(deals["products"])),
        charts.columns_of(
            "pipeline_weight", "customer products first_month quantity expected added value hours_if_won share",
            book.unit, first_month="From", quantity="If all is won", added="In the plan"),
        who=book.who, title="Opportunities in the CRM", unit="weighted by probability", source="pipeline_weight",
        none="The CRM holds no opportunity in the planned months.",
        look_for=say("{customer} weighs most on production; a deal is won whole or not at all.",
                     deals["customer"].iloc[0]) if len(deals) else "",
    )  # fmt: skip


def changed(book: Book) -> Figure:
    """From the last cycle's plan to this one's, layer by layer, in money."""
    rows = book["demand_change"].query("family == 'all'").sort_values("step")
    steps, ends = rows.iloc[1:-1], rows.iloc[[0, -1]] if len(rows) > 1 else rows
    wide = _family_change(book).ffill(axis=1)
    moved = wide.iloc[:, -1] - wide.iloc[:, 0] if len(wide) else pd.Series(dtype=float)
    most = moved.abs().idxmax() if len(moved) else ""
    return charts.waterfall(
        steps[steps["money"].abs() >= 0.5].assign(layer=lambda f: [sentence(say(one)) for one in f["layer"]])
        if len(rows) > 2 else None,
        "layer", "money", unit=book.currency, who=book.who, title="Demand plan, last cycle to this one",
        source="demand_change",
        start=sentence(say(ends["layer"].iloc[0])) if len(ends) else "", shows=["last plan", "plan"],
        end=sentence(say(ends["layer"].iloc[-1])) if len(ends) else "", better="higher",
        opening=float(ends["money"].iloc[0]) if len(ends) else 0.0, period=rows["months"].iloc[0] if len(rows) else "",
        look_for=say("Largest change of a family: {family}, {money}.", book.names("families").get(most, most),
                     amount(moved[most], book.currency, True)) if most else "Each bar is one layer of the forecast.",
        note=say("Over {span}, at today's net prices. Layers that did not change are left out.",
                 rows["months"].iloc[0]) if len(rows) else "",
        none="There is no earlier plan to compare with.",
    )  # fmt: skip


def _family_change(book: Book) -> pd.DataFrame:
    """Money of the demand plan after each step from the last cycle to this one: family x step."""
    rows = book["demand_change"].query("family != 'all'")
    return rows.pivot(index="family", columns="step", values="money")


def changed_by_family(book: Book) -> Figure:
    """The last cycle's plan and this one's by family, in money over the months that both plan."""
    months, wide = book["demand_change"]["months"], _family_change(book)
    both = pd.DataFrame({"last plan": wide.iloc[:, 0], "plan": wide.ffill(axis=1).iloc[:, -1]}) if len(wide) else wide
    both = both.rename(index=book.names("families"))
    if len(both):
        both.loc["All"] = both.sum()
    change = (both["plan"] - both["last plan"])[:-1] if len(both) else both
    return charts.variances(
        both.rename_axis("family").reset_index() if len(both) else None, "family", unit=book.currency, bold=("All",),
        against=("last plan",), who=book.who, title="Demand plan by family", source="demand_change", better="higher",
        period=months.iloc[0] if len(months) else "", none="There is no earlier plan to compare with.",
        look_for=say("{family} moved most.", change.abs().idxmax()) if len(change) else "",
        note="At today's net prices.",
    )  # fmt: skip


# Who was right -----------------------------------------------------------------------------------------------------


def in_words(book: Book) -> Figure:
    """What the past cycles show of streams, campaigns, steps and people."""
    return charts.table(
        book["demand_notes"].query("topic == 'who was right'"),
        {"subject": "Who", "sentence": "What past cycles show"}, who=book.who, title="In words", note=ERROR_SIGN,
        none=NOT_JUDGED, source="demand_notes", shows=["actual"],
    )  # fmt: skip


def stair(book: Book) -> Figure:
    """The error after each step from naive to consensus; a step that changes nothing is left out."""
    rows = _lag(book, "fva").sort_values("step")
    rows = rows.assign(name=[say(STEP_WORDS.get(one, one)) for one in rows["stream"]])
    rows = rows[rows["fva"].isna() | (rows["fva"].abs() > 1e-9)]
    harmful = rows[rows["fva"] < -0.0005]
    return charts.stair_step(
        rows, "name", "wape", unit="share", width=charts.WIDE, source="fva", none=NOT_JUDGED, shows=["actual"],
        who=book.who, title=say("Error after each step, {ahead}", _ahead(book)),
        look_for=say("What destroyed value: {steps}.", listed(harmful["name"])) if len(harmful)
        else "No step destroyed value.",
        note=" ".join([say("WAPE: sum of absolute errors / sum of sales. A minus made it better (blue), a plus worse "
                           "(vermillion)."), *few_beaten(book)]),
    )  # fmt: skip


def accuracy(book: Book) -> Figure:
    """Every measure of every stream."""
    rows = _lag(book, "forecast_accuracy").sort_values("wape")
    rows = rows.assign(stream=[say(STREAM_WORDS.get(one, one)) for one in rows["stream"]])
    known = rows.dropna(subset="bias").sort_values("bias", key=abs, kind="stable")
    return charts.table(
        rows, charts.columns_of("forecast_accuracy", "stream wape value_wape +bias +tracking_signal rmsse"),
        who=book.who, title="Whose forecast was right", unit=_ahead(book), none=NOT_JUDGED, source="forecast_accuracy",
        better="lower", shows=["actual"],
        look_for=say("The most biased stream is {stream}: {bias}.", known["stream"].iloc[-1],
                     leaning(known["bias"].iloc[-1])) if len(known) else "",
        note=say(ERROR_SIGN) + " " + say("A tracking signal beyond -4 or +4 is no chance."),
    )  # fmt: skip


def accuracy_by_lag(book: Book) -> Figure:
    """The error of every stream, the further ahead the worse."""
    return charts.heat_map(
        book["forecast_accuracy"].query("family == 'all'"), "stream", "lag", "wape",
        unit="share", none=NOT_JUDGED, who=book.who, title="Error (WAPE) by months ahead", source="forecast_accuracy",
        better="lower", shows=["actual"], look_for="Which stream holds when decisions must be taken early?",
    )  # fmt: skip


def bias_by_family(book: Book) -> Figure:
    """The bias of every stream in every family."""
    return charts.heat_map(
        _lag(book, "forecast_accuracy", "family != 'all'"), "stream", "family", "bias", unit="share", diverging=True,
        who=book.who, title=say("Bias by family, {ahead}", _ahead(book)), note=ERROR_SIGN, none=NOT_JUDGED,
        source="forecast_accuracy", better="nearer 0", shows=["actual"],
        look_for="A row of one colour is a habit of that stream; a column of one colour is a surprise of that market.",
    )  # fmt: skip


def missed_by_product(book: Book) -> pd.Series:
    """Absolute error of past consensus forecasts at list price, currency by product."""
    both = book.judged()
    price = both["product"].map(book["products"].set_index("product")["price"])
    return ((both["quantity"] - both["actual"]).abs() * price).groupby(both["product"]).sum()


def missed(book: Book) -> Figure:
    """The products whose forecasts missed most, in money."""
    money = missed_by_product(book).rename("money").reset_index()
    money["product"] = book.called(money["product"], "products")
    top = money.sort_values("money", ascending=False, kind="stable").head(1)
    share = amount(top["money"].sum() / (money["money"].sum() or 1.0), "share")
    return charts.ranking(
        money, "product", "money", who=book.who, title="Missed most, by value", unit=book.currency, most=8,
        better="lower", source="past_forecasts sales_history", shows=["actual"],
        measure="absolute error of the consensus",
        look_for=say("{product} makes {share} of the error by value.", *top["product"], share)
        if money["money"].sum() else "",
        note=say("Absolute error of the consensus {ahead} x list price.", _ahead(book)), none=NOT_JUDGED,
    )  # fmt: skip


def owners(book: Book) -> Figure:
    """Whose overrides help, by person."""
    rows = book["override_owners"].query("owner != 'all'").sort_values("money")
    worst = rows.iloc[0] if len(rows) else {"money": 0.0}
    return charts.table(
        rows,
        charts.columns_of("override_owners", "owner role overrides helped wape_before wape_after +money", book.unit,
                          owner="Who", overrides="Overrides judged", money="Error removed"),
        who=book.who, title="Whose overrides help", none="No past override was judged.",
        unit="positive = error removed", source="override_owners", better="higher", shows=["actual"],
        look_for=say("{owner}'s overrides added {money} of error.", worst["owner"],
                     amount(-worst["money"], book.currency)) if worst["money"] < 0 else "Nobody's overrides did harm.",
    )  # fmt: skip


def overrides_judged(book: Book, each: int = 10) -> Figure:
    """The `each` best and the `each` worst overrides of the past, best first."""
    rows = book["override_review"].sort_values("rank", ignore_index=True)
    return charts.table(
        rows[(rows.index < each) | (rows.index >= len(rows) - each)],
        charts.columns_of(
            "override_review", "owner product market month before after actual +gain +money reason", book.unit),
        who=book.who, title="The best and the worst overrides", none="Nobody's overrides can be judged yet.",
        source="override_review", better="higher", shows=["actual"],
        look_for="Are the worst ones alike: one owner, one reason?",
    )  # fmt: skip


# Exceptions, overrides, effort and stock ----------------------------------------------------------------------------


def exceptions(book: Book, most: int = 20) -> Figure:
    """What deserves the meeting's time, most money first."""
    rows = book["exceptions"].sort_values("rank").head(most)
    more = int(book["exception_causes"]["found"].sum()) - len(rows)
    return charts.table(
        rows.assign(sentence=book.in_words(rows["sentence"]), advice=book.in_words(rows["advice"])),
        charts.columns_of("exceptions", "sentence money advice", book.unit, sentence="What is the matter",
                          money="At stake", advice="What to do"),
        who=book.who, title="What deserves the meeting's time", unit="by money at stake",
        none="Nothing stands out this cycle.", source="exceptions",
        look_for=say("{money} hang on these {exceptions}.", amount(rows["money"].sum(), book.currency),
                     several(len(rows), "exception")),
        note=say("{count} smaller ones are not shown.", number(more)) if more > 0 else "",
    )  # fmt: skip


def overrides(book: Book, *, in_force: bool = False) -> Figure:
    """What each override moves; those not in force too, unless only those `in_force` are asked for."""
    rows = book["overrides_applied"]
    active = rows[rows["status"] == "in force"]
    shown = active if in_force else rows
    return charts.table(
        shown.assign(scope=book.in_words(shown["scope"])),
        charts.columns_of("overrides_applied", "scope first_month last_month status +units +money reason owner",
                          book.unit, scope="What", first_month="From", last_month="To", money="In money"),
        who=book.who, title="What the overrides move", none="Nobody has changed the numbers.",
        source="overrides_applied", unit="over the planned months",
        look_for=say("Overrides in force move the demand plan by {money}.",
                     amount(active["money"].sum(), book.currency, True)),
    )  # fmt: skip


def segments(book: Book) -> Figure:
    """Value and steadiness of each product, and how to plan it."""
    return charts.table(
        book["segments"].sort_values("cumulative"),
        charts.columns_of("segments", "product value cumulative abc variation xyz pattern advice", book.unit),
        who=book.who, title="Segments", source="segments", shows=["actual"],
        look_for="A = few that make most of the value; X = steady once season and trend are out.",
    )  # fmt: skip


def safety_stock(book: Book) -> Figure:
    """What the forecast's error asks for beside today's safety stock."""
    return charts.table(
        book["safety_stock_proposal"],
        charts.columns_of(
            "safety_stock_proposal", "site product error proposed current proposed_value +difference_value", book.unit),
        who=book.who, title="Safety stock from the forecast's error", source="safety_stock_proposal",
        none="No site holds stock of a product by policy.",
        look_for="Where the change is large, today's target was set by habit, not by the error it has to cover.",
    )  # fmt: skip


def assumed(book: Book) -> Figure:
    """What the stage assumed or could not know."""
    return charts.table(
        book["demand_notes"].query("topic != 'who was right'").assign(subject=lambda f: f["subject"].map(say)),
        charts.columns_of("demand_notes", "topic subject sentence"), who=book.who, title="Assumptions and findings",
        none="Nothing had to be assumed.", source="demand_notes",
    )  # fmt: skip
