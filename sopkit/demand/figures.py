"""The figures of the demand meeting, from the stage's own tables: what notebook 02 shows, one function a figure."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from sopkit import charts
from sopkit.charts import Figure
from sopkit.demand.review import ALL
from sopkit.kpis import ERROR_SIGN
from sopkit.tables import Company

Plan = Mapping[str, pd.DataFrame]
LAYER_WORDS = {
    "lifecycle": "lifecycle", "market_conditions": "market conditions", "campaigns": "campaigns",
    "pipeline": "pipeline", "sales": "sales department", "override": "overrides",
}  # fmt: skip
NOT_JUDGED = "No past forecast can be judged yet."


# The plan ----------------------------------------------------------------------------------------------------------


def outlook(plan: Plan, clean_history: pd.DataFrame, company: Company, cycle: str) -> Figure:
    """Three years of sales, the baseline, and the consensus with its range."""
    return charts.line(
        sold_and_planned(clean_history, plan["demand_levels"]), "units", series="series", low="p10", high="p90",
        start=company.months(cycle)[0], title="Sold and planned, all products", unit="units",
        look_for="Does the plan carry on from what was sold, season for season?",
    )  # fmt: skip


def families(plan: Plan) -> Figure:
    """The consensus of each family, month by month."""
    return charts.heat_map(
        plan["demand_levels"].query("level == 'family'"), "node", "month", "consensus", title="Consensus by family",
        unit="units", look_for="Where the seasons of the families peak together, supply will be short.",
    )  # fmt: skip


def layers(plan: Plan) -> Figure:
    """What each layer adds to the baseline or takes from it."""
    return charts.bars(
        by_layer(plan["demand_plan"]), "units", "layer", order=list(LAYER_WORDS.values()), unit="units",
        title="What the layers add to the baseline", none="No layer changes the baseline.",
        look_for="Large bars rest on people's knowledge rather than on history: who answers for them?",
    )  # fmt: skip


def weights(plan: Plan, company: Company) -> Figure:
    """How much each stream counts in the consensus, and why."""
    return charts.table(
        plan["stream_weights"], charts.columns_of("stream_weights", "family stream wape weight reason"),
        title=f"How much each stream counts, by its error {company.consensus.lag} month(s) ahead",
        look_for="A stream counts by the inverse of its squared error, within the limits of company.yaml.",
    )  # fmt: skip


def campaigns(plan: Plan) -> Figure:
    """What past campaigns kept of their promise."""
    return charts.table(
        plan["campaign_success"],
        charts.columns_of(
            "campaign_success", "campaign_kind campaigns +promised +achieved success pull_forward reason"),
        title="What campaigns kept of their promise", none="No campaign is planned and none was run.",
        look_for="Planned campaigns count at the share that past ones of their kind kept.",
    )  # fmt: skip


def pipeline(plan: Plan, most: int = 10) -> Figure:
    """The customers of the CRM that weigh most on production."""
    return charts.table(
        plan["pipeline_weight"].sort_values("rank").head(most),
        charts.columns_of("pipeline_weight", "customer products first_month quantity added hours_if_won share"),
        title="Opportunities that weigh most on production", none="The CRM holds no opportunity in the planned months.",
        look_for="A deal is won whole or not at all: the plan holds its expected value, never its size.",
    )  # fmt: skip


def changed(plan: Plan) -> Figure:
    """From the last cycle's plan to this one's, layer by layer."""
    return charts.waterfall(
        **waterfall_of(plan["demand_change"]), step="layer", value="units", unit="units",
        title="From the last plan to this one", none="No earlier cycle kept its forecasts.",
        look_for="Each bar is what one layer changed over the months that both plans cover; nothing else moved.",
    )  # fmt: skip


# Who was right -----------------------------------------------------------------------------------------------------


def in_words(plan: Plan) -> Figure:
    """What the past cycles say of streams, campaigns, steps and people."""
    return charts.table(
        plan["demand_notes"].query("topic == 'who was right'"), {"subject": "Who", "sentence": "What past cycles say"},
        title="In words", note=ERROR_SIGN, none=NOT_JUDGED,
    )  # fmt: skip


def stair(plan: Plan, company: Company) -> Figure:
    """The error after each step from naive to consensus."""
    lag = company.consensus.lag
    return charts.stair_step(
        plan["fva"].query("family == @ALL and lag == @lag"), "name", "wape", unit="share", width=charts.WIDE,
        title=f"Error after each step, {lag} month(s) ahead", none=NOT_JUDGED,
        look_for="A step that adds error destroys value: stop it, or change who does it.",
    )  # fmt: skip


def accuracy(plan: Plan, company: Company) -> Figure:
    """Every measure of every stream."""
    lag = company.consensus.lag
    return charts.table(
        plan["forecast_accuracy"].query("family == @ALL and lag == @lag"),
        charts.columns_of("forecast_accuracy", "stream forecast actual wape value_wape +bias +tracking_signal rmsse"),
        title=f"Accuracy by stream, {lag} month(s) ahead", note=ERROR_SIGN, none=NOT_JUDGED,
        look_for="A tracking signal beyond -4 or +4 is no chance; an RMSSE below 1 beats last month's sales.",
    )  # fmt: skip


def accuracy_by_lag(plan: Plan) -> Figure:
    """The error of every stream, the further ahead the worse."""
    return charts.heat_map(
        plan["forecast_accuracy"].query("family == @ALL"), "stream", "lag", "wape", unit="share", none=NOT_JUDGED,
        title="Error (WAPE) by months ahead", look_for="Which stream holds when decisions must be taken early?",
    )  # fmt: skip


def bias_by_family(plan: Plan, company: Company) -> Figure:
    """The bias of every stream in every family."""
    lag = company.consensus.lag
    return charts.heat_map(
        plan["forecast_accuracy"].query("family != @ALL and lag == @lag"), "stream", "family", "bias", unit="share",
        diverging=True, title=f"Bias by family, {lag} month(s) ahead", note=ERROR_SIGN, none=NOT_JUDGED,
        look_for="A row of one colour is a habit of that stream; a column of one colour is a surprise of that market.",
    )  # fmt: skip


def owners(plan: Plan, company: Company) -> Figure:
    """Whose overrides help, by person and by role."""
    return charts.table(
        plan["override_owners"],
        charts.columns_of(
            "override_owners", "role owner overrides helped wape_before wape_after +money", company.currency),
        title="Whose overrides help", none="Nobody's overrides can be judged yet.",
        look_for="Below zero: the numbers alone would have been nearer.",
    )  # fmt: skip


def overrides_judged(plan: Plan, company: Company) -> Figure:
    """The ten best and the ten worst overrides of the past."""
    return charts.table(
        best_and_worst(plan["override_review"]),
        charts.columns_of(
            "override_review", "owner product market month before after actual +gain +money reason", company.currency),
        title="The ten best and the ten worst overrides", none="Nobody's overrides can be judged yet.",
        look_for="Are the worst ones alike: one owner, one reason?",
    )  # fmt: skip


# What to look at, what to change -----------------------------------------------------------------------------------


def exceptions(plan: Plan, company: Company) -> Figure:
    """What deserves the meeting's time, most money first."""
    return charts.table(
        plan["exceptions"].sort_values("rank"),
        charts.columns_of("exceptions", "cause money sentence advice", company.currency),
        title="Exceptions", none="Nothing stands out this cycle.",
        note=f"{plan['exception_causes']['found'].sum()} were found; all are counted by cause in exception_causes.",
    )  # fmt: skip


def overrides(plan: Plan, company: Company) -> Figure:
    """What each override moves, those not in force too."""
    return charts.table(
        plan["overrides_applied"],
        charts.columns_of(
            "overrides_applied", "owner scope action first_month last_month status +units +money reason",
            company.currency),
        title="What the overrides move", none="Nobody has changed the numbers.",
        look_for="Units and money over the planned months; what is not in force stays listed.",
    )  # fmt: skip


def segments(plan: Plan, company: Company) -> Figure:
    """Value and steadiness of each product, and how to plan it."""
    return charts.table(
        plan["segments"].sort_values("cumulative"),
        charts.columns_of("segments", "product value cumulative abc variation xyz pattern advice", company.currency),
        title="Segments", look_for="A = few that make most of the value; X = steady once season and trend are out.",
    )  # fmt: skip


def safety_stock(plan: Plan, company: Company) -> Figure:
    """What the forecast's error asks for beside today's targets."""
    return charts.table(
        plan["safety_stock_proposal"],
        charts.columns_of(
            "safety_stock_proposal", "site product error proposed current proposed_value +difference_value",
            company.currency),
        title="Safety stock from the forecast's error", none="No site holds stock of a product by policy.",
        look_for="Where the change is large, today's target was set by habit, not by the error it has to cover.",
    )  # fmt: skip


def assumed(plan: Plan) -> Figure:
    """What the stage assumed or could not know."""
    return charts.table(
        plan["demand_notes"].query("topic != 'who was right'"),
        charts.columns_of("demand_notes", "topic subject sentence"), title="Assumptions and findings",
        none="Nothing had to be assumed.",
    )  # fmt: skip


# Frames behind the figures -----------------------------------------------------------------------------------------


def sold_and_planned(clean_history: pd.DataFrame, demand_levels: pd.DataFrame, months: int = 36) -> pd.DataFrame:
    """The company's last `months` of sales beside its planned ones: month, series, units, p10, p90 (plan only)."""
    sold = clean_history.groupby("month", as_index=False)["quantity"].sum().tail(months)
    total = demand_levels[demand_levels["level"] == "total"]
    columns = ["month", "series", "units", "p10", "p90"]
    parts = [
        sold.rename(columns={"quantity": "units"}).assign(series="history"),
        total.rename(columns={"baseline": "units"})[["month", "units"]].assign(series="baseline"),
        total.rename(columns={"consensus": "units"}).assign(series="consensus"),
    ]
    return pd.concat(parts, ignore_index=True)[columns]


def by_layer(demand_plan: pd.DataFrame) -> pd.DataFrame:
    """What each layer adds to or takes from the baseline, month by month: month, layer, units, money."""
    steps = demand_plan.assign(sales=demand_plan["blended"] - demand_plan["statistical"])
    parts = [
        steps[["month"]].assign(layer=words, units=steps[name], money=steps[name] * steps["price"])
        for name, words in LAYER_WORDS.items()
    ]
    out = pd.concat(parts).groupby(["layer", "month"], as_index=False)[["units", "money"]].sum()
    return out[out.groupby("layer")["units"].transform(lambda units: units.abs().max()) > 0]


def best_and_worst(override_review: pd.DataFrame, each: int = 10) -> pd.DataFrame:
    """The `each` overrides that removed most error, in money, and the `each` that added most; best first."""
    ranked = override_review.sort_values("rank", ignore_index=True)
    return ranked[(ranked.index < each) | (ranked.index >= len(ranked) - each)]


def waterfall_of(demand_change: pd.DataFrame, family: str = ALL) -> dict[str, object]:
    """`demand_change` of one family as `charts.waterfall` takes it: frame, start, end and opening."""
    rows = demand_change[demand_change["family"] == family].sort_values("step")
    if rows.empty:
        return {"frame": rows}
    steps = rows.iloc[1:-1]
    first, last = rows.iloc[0], rows.iloc[-1]
    return {
        "frame": steps[steps["units"].abs() > 0.5],
        "start": first["layer"],
        "end": last["layer"],
        "opening": first["units"],
    }
