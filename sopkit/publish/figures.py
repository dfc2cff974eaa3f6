"""The figures of the pack that belong to no earlier stage: stages, scorecard, one sheet a family, how it was made."""

from __future__ import annotations

import pandas as pd

from sopkit import charts, kpis
from sopkit.book import Book, workflow
from sopkit.book.explain import Explanations
from sopkit.book.signed import PROVENANCE, plan_hash, signatures, signers
from sopkit.charts import Figure, Show, Tile
from sopkit.publish import judged
from sopkit.tables import STAGES
from sopkit.words import (
    GLOSSARY,
    amount,
    counted,
    leaning,
    listed,
    month_name,
    number,
    percent,
    say,
    say_count,
    sentence,
    span,
    than,
    unit_name,
)

SHEET = {
    "last year": "sold in the month a year before", "consensus": "consensus", "p10": "low (P10)", "p90": "high (P90)",
    "sales": "sales department", "supplied": "made and bought", "delivered": "delivered",
    "stock": "stock at the end", "safety": "safety stock wanted", "budget": "stock in the budget",
}  # fmt: skip
MEASURED = {"production": "Units made and bought", "sales": "Net sales", "stock": "Stock"}
WHO = "sopkit"  # figures of the programme itself, not of the company
RULES = ("objective", "decision", "balance", "limit", "policy", "cost")


# The cycle and its scorecard ----------------------------------------------------------------------------------------


def stages(book: Book) -> Figure:
    """The six stages as a flow: what each asks, whether it is made and signed, and who may sign it."""
    signed = signatures(book["sign_offs"], book.cycle, book.manifest)
    held = signed[signed["holds"]].groupby("stage")["author"].agg(", ".join)
    lapsed = signed[~signed["holds"]].groupby("stage")["author"].agg(", ".join)
    made = {name: str(entry.get("written_at", ""))[:10] for name, entry in book.manifest.get("stages", {}).items()}
    # publish is being made while its page is
    lines, stale = [], [name for name in book.manifest.get("stale", {}) if name in made and name != "publish"]
    for one in STAGES:
        name = one.name
        known = {"made": bool(made.get(name)), "stale": name in stale, "signed": name in held}
        state = workflow.state(book, name, **known)
        day, rule = workflow.due(book.company, book.cycle, one.name), book.company.rule(one.name)
        may = rule.owner or listed(signers(book["people"], one.name)) or say("nobody may sign")
        may = say("{owner} with {others}", may, listed(rule.participants)) if rule.participants else may
        when = made.get(name, "")
        if pd.notna(day) and state != "signed":
            when = say("{day}, due {due}", when, f"{day:%Y-%m-%d}")
        who = held.get(name) or (say("{names}, before a change", lapsed[name]) if name in lapsed else may)
        lines.append((one.name.capitalize(), one.question, state, when, who))
    rows = pd.DataFrame(lines, columns=["stage", "question", "state", "made", "who"])
    open_ = [say(name) for name in rows.loc[rows["state"] != "signed", "stage"]]
    stale = [say(name) for name in stale]
    return charts.flow(
        rows, who=book.who, title="The six stages of this cycle", unit="state, day, who signed or may sign",
        source="sign_offs people", period=say("cycle {cycle}", book.cycle),
        look_for=(say("Stale, to be run again: {stages}.", listed(stale, 6)) + " " if stale else "")
        + (say("Not signed yet: {stages}.", listed(open_, 6)) if open_ else say("Every stage is signed.")),
    )  # fmt: skip


def eight(book: Book) -> list[Tile]:
    """The eight KPIs that the meeting asks for first, each with its months."""
    there = set(book["kpis"]["kpi"]) if "status" in book.manifest else kpis.EIGHT  # of an audience: what it may see
    return book.once("tiles", lambda: [_tile(book, name) for name in kpis.EIGHT if name in there])


def _tile(book: Book, name: str) -> Tile:
    kpi, rows = kpis.KPIS[name], book["kpis"][book["kpis"]["kpi"] == name]
    period = kpis.PLAN if (rows["period"] == kpis.PLAN).any() else kpis.PAST
    if not (rows["period"] == period).any():
        return Tile(say(kpi.title), None, "units", say("its tables are not there"))
    total = rows[rows["period"] == period].iloc[0]
    months = rows[~rows["period"].isin([kpis.PAST, kpis.PLAN])].sort_values("period")
    past = months[months["kind"] == "actual"].tail(12)
    months = pd.concat([past, months[months["kind"] == "plan"].head(12)])
    before = kpis.value(book, name, kpis.PAST) if period == kpis.PLAN else None
    note = book.span if period == kpis.PLAN else say("last 12 months, {measured}", say(kpi.measured))
    if before is not None:
        note = say("{span}; last 12: {value}", note, amount(before, total["unit"]))
    goal = None if pd.isna(total["target"]) else total["target"], total["better"], total["owner"]
    line = list(pd.to_datetime(months["period"] + "-01")), list(months["value"]), len(past)
    return Tile(say(kpi.title), total["value"], total["unit"], note, *goal, *line)


def tiles(book: Book) -> Figure:
    """The eight KPIs: value, target met or missed, owner, and their months."""
    made = eight(book)
    planned = [tile.name.lower() for tile in made if tile.note.startswith(book.span)]
    return charts.tiles(
        made, who=book.who, title=say("The {count} KPIs", counted(len(made))), source="kpis", shows=["actual", "plan"],
        look_for=say("Planned values stand for {names}; the others are what happened.", listed(planned, 8))
        if planned else "What happened.",
        note=say("Small lines: the last twelve months solid, planned months dashed. ▼ misses its target, ✓ meets it.")
        + " " + say(kpis.ERROR_SIGN),
    )  # fmt: skip


def kpis_explained(book: Book) -> Explanations:
    """How each KPI is made, down to the company's files: of the plan, or of what happened where it is not planned."""
    rows = book["kpis"].set_index("kpi")["period"]
    known = {
        name: [one for one in (kpis.PLAN, kpis.PAST) if one in set(rows[[name]])] for name in kpis.KPIS if name in rows
    }
    found = [book.explain("kpis", "value", kpi=name, period=one[0]) for name, one in known.items() if one]
    return Explanations(say("How the KPIs are made; each opens:"), found)


def explained(book: Book, table: str, column: str, each: str = "") -> Explanations:
    """How the next twelve months of a column are made, in all or for `each` value of another column."""
    rows, year = book.near(book[table]), f"{book.year[0]:%Y-%m}..{book.year[-1]:%Y-%m}"
    rows = rows[rows[column].notna()]  # an audience may not see it
    values = [{each: value} for value in rows[each].unique()] if each else [{}]
    found = [book.explain(table, column, month=year, **where) for where in values] if len(rows) else []
    return Explanations(say("How the numbers of the {span} are made; each opens:", book.span), found)


def scorecard(book: Book) -> Figure:
    """The KPIs beside the eight, last and next twelve months."""
    rest = book["kpis"][~book["kpis"]["kpi"].isin(kpis.EIGHT)].drop_duplicates("kpi").set_index("kpi")["unit"]
    rows = pd.DataFrame({"kpi": [name for name in kpis.KPIS if name in rest]})
    for period in (kpis.PAST, kpis.PLAN):
        rows[period] = [amount(kpis.value(book, name, period), rest[name]) for name in rows["kpi"]]
    rows["measured"] = [say(kpis.KPIS[name].measured) for name in rows["kpi"]]
    rows["kpi"] = [say(kpis.KPIS[name].title) for name in rows["kpi"]]
    wape = kpis.value(book, "forecast_wape", kpis.PAST)
    bias = kpis.value(book, "forecast_against_actual", kpis.PAST)
    return charts.table(
        rows,
        {"kpi": "KPI", kpis.PAST: "Last 12 months", kpis.PLAN: "Next 12 months", "measured": "What is measured"},
        who=book.who,
        title="The rest of the scorecard", unit="each in its own unit", source="kpis", shows=["actual", "plan"],
        look_for=say("The consensus missed by {share} of sales and was {bias}.", amount(wape, 'share'), leaning(bias))
        if wape is not None and bias is not None else "",
    )  # fmt: skip


# How good the last plan was ------------------------------------------------------------------------------------------


def by_lag(book: Book) -> Figure:
    """What happened in the last months against what was planned for them, by how long before."""
    plans = book["past_plans"]
    plans = plans.assign(lag=book.lag(plans)) if len(plans) else plans.assign(lag=0)
    plans = plans[(plans["month"] < book.first) & (plans["month"] >= book.first - pd.DateOffset(months=6))]
    key, facts = ["measure", "family", "month"], judged.happened(book)
    both = plans.merge(facts, on=key)
    both = both[both["lag"].between(0, 3)]
    both["off"] = (both["quantity"] - both["actual"]).abs()
    rows = both.groupby(["measure", "lag"])[["off", "actual"]].sum()
    wide = (rows["off"] / rows["actual"].where(rows["actual"] > 0)).unstack("lag")
    wide = wide.reindex(list(MEASURED)).dropna(how="all")
    bias = both[both["lag"] == 1].groupby("measure")[["quantity", "actual"]].sum()
    wide["bias"] = bias["quantity"] / bias["actual"].where(bias["actual"] > 0) - 1
    worst = wide[1].idxmax() if 1 in wide and wide[1].notna().any() else ""
    ahead = {lag: say_count(lag, "{count} month ahead", "{count} months ahead", lag) for lag in wide if lag != "bias"}
    lags = {lag: Show(told if lag else "Same month", "share") for lag, told in ahead.items()}
    return charts.table(
        wide.rename(index=MEASURED).rename_axis("measure").reset_index() if len(wide) else None,
        {"measure": "Measure", **lags, "bias": Show("Bias, 1 month ahead", "share", True)},
        who=book.who, title="Plan against actual, by how long before", unit="error, by family and month",
        source="past_plans production_history sales_history stock_history", shows=["actual", "last plan"],
        period=span(both["month"].min(), both["month"].max()) if len(both) else "",
        look_for=say("{measure} misses its plan of a month before most, by {share}.", say(MEASURED[worst]),
            amount(wide.at[worst, 1], 'share'))
        if worst else "", none="No earlier plan has a month that is over.", note=kpis.ERROR_SIGN,
    )  # fmt: skip


def churn(book: Book) -> Figure:
    """How far this plan left the last one in the next months, and how much of it neither demand nor stock explains."""
    rows, near = judged.churn(book)
    total = rows["last"].sum() or 1.0
    share, left = (amount(rows[name].abs().sum() / total, "share") for name in ("change", "left"))
    rows.index = rows.index.map(lambda code: book.names("families").get(code, code))
    return charts.table(
        rows.rename_axis("family").reset_index() if len(rows) and rows["last"].sum() else None,
        {"family": "Family", "last": Show("Last plan", book.units), "plan": Show("This plan", book.units),
         "change": Show("Change", book.units, True), "demand": Show("Demand changed", book.units, True),
         "stock": Show("Stock was short of plan", book.units, True),
         "left": Show("Neither explains", book.units, True)},
        who=book.who, title="What this plan changes in the next months", unit=say("{units} made and bought",
            book.units),
        source="past_plans supply_plan demand_plan past_forecasts stock", shows=["last plan", "plan"],
        period=span(near[0], near[-1]), none="There is no earlier plan of these months.",
        look_for=say("{share} of the last plan is changed; neither demand nor stock explains any of it.", share)
        if left == share else say("{share} of the last plan is changed; neither demand nor stock explains {rest}.",
                                  share, left),
    )  # fmt: skip


def process(book: Book) -> Figure:
    """The scorecard of the process itself: days to publication, signatures, questions decided."""
    rows = book["past_cycles"]
    rows = rows[rows["cycle"] < book.first].sort_values("cycle").tail(4)
    days = (rows["published"] - rows["data"]).dt.days.astype(float)
    touchless, quiet, touched = judged.touchless(book)
    told = [amount(one, "share") for one in (touchless, quiet, touched) if one is not None]
    words = "Nobody touched {share} of the forecasts: they miss by {wape}."
    if touched is not None:
        words = "Nobody touched {share} of the forecasts: they miss by {wape}, the others by {other}."
    words = "" if touchless is None else say(words, *told)
    return charts.table(
        rows.assign(days=days, cycle=[month_name(month) for month in rows["cycle"]],
                    in_time=rows["in_time"].astype(str),
                    signed=[say("{count} of {all}", row.signed, len(STAGES)) for row in rows.itertuples()],
                    decided=[say("{count} of {all}", row.decided, row.questions) for row in rows.itertuples()]),
        {"cycle": "Cycle", "days": Show("Days", "days"), "signed": "Signed",
         "in_time": "In time", "decided": "Decided"},
        who=book.who, title="The process itself", unit="each cycle", source="past_cycles past_overrides past_forecasts",
        shows=["actual"], look_for=words, none="No earlier cycle tells how it went.",
        note="Days: from data to the published plan.",
    )  # fmt: skip


def pipeline_judged(book: Book) -> Figure:
    """Probabilities of the pipeline against what was won, by owner, and what today's would be if calibrated."""
    owners = judged.owners(book)
    deals = book["pipeline"]
    deals = deals[deals["probability"].between(0, 1, inclusive="neither")]
    factor = deals["owner"].map(owners["factor"]) if len(owners) else deals["probability"] * float("nan")
    proposed = (deals["probability"] * factor).clip(upper=0.99)
    named = deals["customer"].where(deals["customer"].ne(""), deals["opportunity"])
    known = proposed.notna()
    proposals = [
        say("{name} {proposed} instead of {stated}", name, percent(p), percent(q))
        for name, p, q in zip(named[known], proposed[known], deals.loc[known, "probability"], strict=True)
    ]
    return charts.table(
        owners.rename_axis("owner").reset_index(),
        {"owner": "Stated by", "deals": Show("Judged", "deals"), "stated": Show("Stated", "share"),
         "won": Show("Won", "share"), "brier": Show("Brier", "ratio")},
        who=book.who, title="Deals as stated and as won", unit="Brier score: 0 is always right",
        source="past_pipeline pipeline", shows=["actual"],
        look_for=say("Calibrated: {proposals}.", listed(proposals, 2)) if proposals else "",
        none="No opportunity of an earlier cycle has ended yet, or nobody tells who stated its probability.",
    )  # fmt: skip


# One sheet a family --------------------------------------------------------------------------------------------------


def families(book: Book) -> dict[str, str]:
    """The families that have products, code -> name."""
    return {code: name for code, name in book.names("families").items() if code in set(book.family.values())}


def _of(book: Book, table: str, column: str, family: str) -> pd.Series:
    """A column of a family, month by month; "sold" is what was sold, as it came."""

    def sums() -> pd.Series:
        frame = book.sold if table == "sold" else book[table]
        families = book.families(frame["item" if "item" in frame else "product"]).astype(object)
        return frame.groupby([families, "month"])[column].sum(min_count=1)

    every = book.once((table, column), sums)
    return every[every.index.get_level_values(0) == family].droplevel(0)


def family_months(book: Book, family: str) -> Figure:
    """A family's demand, supply and stock, month by month."""
    name, budget = families(book).get(family, family), book["budget"]
    year_ago = _of(book, "sold", "quantity", family)
    year_ago.index += pd.DateOffset(years=1)
    lines = {
        "last year": year_ago,
        **{column: _of(book, "demand_plan", column, family) for column in ("consensus", "p10", "p90", "sales")},
        "supplied": _of(book, "supply_plan", "quantity", family),
        "delivered": _of(book, "deliveries", "delivered", family),
        "stock": _of(book, "stock", "closing", family),
        "safety": _of(book, "stock", "safety_stock", family),
        "budget": budget[budget["family"] == family].groupby("month")["stock"].sum(),
    }
    rows = pd.concat(lines, names=["line", "month"]).rename("units").reset_index().replace({"line": SHEET})
    rows = rows[rows["month"].isin(book.months)].dropna()
    ahead, back = (lines[n].reindex(book.year).sum(min_count=len(book.year)) for n in ("consensus", "last year"))
    told = [name, number(ahead), book.units, book.span]
    words = say("{family}: {quantity} {unit} in the {span}.", *told)
    if back > 0:
        than_ago = than(ahead / back - 1, "{share} above the year before", "{share} below the year before")
        words = say("{family}: {quantity} {unit} in the {span}, {against}.", *told, than_ago)
    return charts.statement(
        rows, "line", "month", "units", rows=list(SHEET.values()), bold=("consensus",),
        who=book.who, title=say("{family}, month by month", name),
        unit=book.units, source="demand_plan supply_plan stock budget", measure="demand, supply and stock of a family",
        shows=["last year", "plan", "budget"], none=say("Nothing is planned for {name}.", name),
        look_for=words,
    )  # fmt: skip


def family_products(book: Book, family: str) -> Figure:
    """A family's products: two years behind, the plan ahead, growth, cover, fill rate, class.

    A product launched within the last twelve months has no growth: they are no year of it.
    """
    products = [product for product, of in book.family.items() if of == family]
    past = pd.date_range(end=book.first - pd.offsets.MonthBegin(), periods=24, freq="MS")

    def months(table: str, column: str, wanted: pd.DatetimeIndex) -> pd.DataFrame:
        frame, keys = book.sold if table == "sold" else book[table], ["product", "month"]
        sums = book.once((table, column, *keys), lambda: frame.groupby(keys)[column].sum().unstack())
        return sums.reindex(index=products, columns=wanted)

    back, ahead = months("sold", "quantity", past), months("demand_plan", "consensus", book.months)
    rows = pd.DataFrame({"last": back.iloc[:, -12:].sum(axis=1), "near": ahead[book.year].sum(axis=1)}, products)
    whole_year = (rows["last"] > 0) & (back.iloc[:, :-11].sum(axis=1) > 0) & bool(len(book.year_ago(book.sold)))
    rows["growth"] = rows["near"] / rows["last"].where(whole_year) - 1
    start = book["stock"][book["stock"]["month"] == book.first].groupby("item")["opening"].sum()
    days = book.months.days_in_month
    rows["cover"] = [kpis.days_of_cover(start.get(p, 0.0), ahead.loc[p].fillna(0.0), days) for p in products]
    served = book.near(book["deliveries"][book["deliveries"]["product"].isin(products)])
    served = served.assign(on_time=kpis.units_on_time(served)).groupby("product")[["on_time", "demand"]].sum()
    rows["fill"] = (served["on_time"] / served["demand"].where(served["demand"] > 0)).fillna(1.0)
    names, segments = book.names("products"), book["segments"].set_index("product")
    rows["class"] = segments["abc"] + " " + segments["xyz"]
    lines = [[*past_, *plan] for past_, plan in zip(back.to_numpy(), ahead.to_numpy(), strict=True)]
    return charts.table(
        rows.assign(line=lines, product=[names[product] for product in products])
        .astype({"growth": float, "cover": float, "fill": float}),
        {"product": "Product", "line": Show("Two years and the plan", planned_from=24),
         "last": Show("Last 12 months", book.units), "near": Show(say("Next {count}", len(book.year)), book.units),
         "growth": Show("Growth", "share", True), "cover": Show("Stock covers today", "days"),
         "fill": Show("Fill rate", "share"), "class": "Class"},
        who=book.who,
        title=say("{family}, product by product", families(book).get(family, family)),
            unit="lines: past solid, plan dashed",
        source="demand_plan sales_history", shows=["actual", "plan"], period=span(past[0], book.months[-1]),
        note="Class: value A to C, steadiness X to Z.",
    )  # fmt: skip


# How it was made -----------------------------------------------------------------------------------------------------


def solver(book: Book) -> Figure:
    """What the solver reported."""
    return charts.table(
        book["supply_run"].assign(measure=lambda f: f["measure"].map(say), value=lambda f: f["value"].map(
            lambda value: number(int(value)) if value.isdigit() else say(value))),
        charts.columns_of("supply_run", "measure value"), who=book.who, title="How it was solved",
        unit="as the solver reports it", none="No solver run is recorded.", source="supply_run",
    )  # fmt: skip


def model(book: Book) -> Figure:
    """The model's objective, decisions, rules and costs; its sets and parameters stay in the cycle's table."""
    rows = book["supply_formulation"].query("kind in @kinds and size > 0", local_dict={"kinds": RULES})
    rows = rows.assign(sentence=rows["sentence"].map(say), unit=rows["unit"].map(unit_name))
    return charts.table(
        rows.sort_values(["kind", "name"], key=lambda c: c.map(RULES.index) if c.name == "kind" else c, kind="stable"),
        charts.columns_of("supply_formulation", "kind name sentence over unit size", kind="Part", over="For each",
                          sentence="What it is", size="How many"),
        who=book.who,
        title="The model", unit="generated from the model that was solved", none="No formulation is recorded.",
        source="supply_formulation",
    )  # fmt: skip


def checks(book: Book) -> Figure:
    """The plan re-derived without the model, rule by rule."""
    rows = book["supply_checks"]
    return charts.table(
        rows.assign(holds=rows["holds"].map({True: say("holds"), False: say("BROKEN")}),
                    rule=[say(rule.replace("_", " ")) for rule in rows["rule"]]),
        charts.columns_of("supply_checks", "rule rows worst holds", rows="Rows checked", worst="Largest violation",
                          holds="Outcome"),
        who=book.who, title="The plan re-derived without the model", unit="every rule, every row",
        none="The plan was not re-derived.", source="supply_checks",
    )  # fmt: skip


def _pairs(title: str, unit: str, rows: pd.DataFrame, none: str = "", *, source: str = "manifest.json") -> Figure:
    """A table of text from settings or the manifest: its columns are its headings, numbers are counts or seconds."""
    units = {"Seconds": "seconds", "Rows": "rows"}
    show = {name: Show(name, units.get(name, "")) for name in rows}
    return charts.table(rows, show, who=WHO, title=title, unit=unit, none=none or "Nothing is recorded.",
                        note=say("Source: {source}.", source))  # fmt: skip


def policies(book: Book) -> Figure:
    """Policies of the company."""
    rows = [(say(name.replace("_", " ")), say(str(value))) for name, value in book.company.policies]
    return _pairs("Policies of this company", "company.yaml", pd.DataFrame(rows, columns=["Policy", "Setting"]),
                  source="company.yaml")  # fmt: skip


def formulas() -> Figure:
    """What each KPI measures."""
    rows = [(say(kpi.title), unit_name(kpi.unit), say(kpi.measured)) for kpi in kpis.KPIS.values()]
    return _pairs("What each KPI measures", "formulas with their sources in sopkit/kpis.py",
                  pd.DataFrame(rows, columns=["KPI", "Unit", "What is measured"]), source="sopkit/kpis.py")  # fmt: skip


def glossary() -> Figure:
    """The words of this pack, each with its meaning and its formula or unit."""
    rows = [(sentence(say(one.term)), say(one.meaning), say(one.formula)) for one in GLOSSARY]
    return _pairs("Glossary", "one name an idea", pd.DataFrame(rows, columns=["Word", "Meaning", "Formula or unit"]),
                  source="sopkit/words")  # fmt: skip


def versions(book: Book) -> Figure:
    """Software and its versions."""
    rows = pd.DataFrame(sorted(book.manifest.get("versions", {}).items()), columns=["Software", "Version"])
    return _pairs("Software", "versions", rows, "No versions are recorded.")


def parameters(book: Book) -> Figure:
    """Parameters and seconds of every stage."""
    rows = []
    for stage, entry in book.manifest.get("stages", {}).items():
        given = ", ".join(f"{name} = {value}" for name, value in sorted((entry.get("parameters") or {}).items()))
        rows.append((stage, given or say("defaults"), float(entry.get("seconds") or "nan")))
    return _pairs("Parameters of the run", "by stage", pd.DataFrame(rows, columns=["Stage", "Parameters", "Seconds"]),
                  "No parameters are recorded.")  # fmt: skip


def hashes(book: Book) -> Figure:
    """Every table of the cycle with its hash, and one over all numbers, wherever the data came from."""
    rows = [(n, e["stage"], e["rows"], e["sha256"]) for n, e in sorted(book.manifest.get("tables", {}).items())]
    if rows:
        whole = say("All but {tables}", listed(sorted(PROVENANCE), 9)), "", sum(row[2] for row in rows)
        rows.append((*whole, plan_hash(book.manifest, provenance=False)))
    table = pd.DataFrame(rows, columns=["Table", "Written by", "Rows", "sha256"])
    return _pairs("Every table of this cycle", "sha256 of its file", table, "No hashes are recorded.")
