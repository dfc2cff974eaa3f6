"""The tables the stages write: each names the stage that writes it; nobody else does."""

from __future__ import annotations

from sopkit.tables.declare import Table, choice, flag, month, number, share, text, whole
from sopkit.tables.inputs import MONEY, PER_UNIT, QUANTITY

PRODUCT = text("product", "the product")
MARKET = text("market", "the market")
FAMILY = text("family", "the family")
SITE = text("site", "the site")
ITEM = text("item", "the product or material")
MONTH = month()


def _units(name: str, meaning: str, **more):
    return number(name, meaning, QUANTITY, **more)


def _money(name: str, meaning: str, **more):
    return number(name, meaning, MONEY, low=None, **more)


def _plan(stage: str):
    def declare(name: str, meaning: str, key: str, *columns, required: bool = True) -> Table:
        return Table(name, stage, stage, meaning, tuple(key.split()), columns, required)

    return declare


_collect, _demand, _supply, _reconcile, _decide, _publish = map(
    _plan, ("collect", "demand", "supply", "reconcile", "decide", "publish")
)

PLANS = (
    # 01 collect ------------------------------------------------------------------------------------------------
    _collect(
        "findings", "One thing wrong with the data.", "",
        text("table", "the table"),
        whole("row", "row in the spreadsheet or query, header = 1; 0 = the whole table", "row"),
        text("column", "the column", required=False),
        text("value", "what stands there", required=False),
        text("rule", "what is wrong"),
        choice("severity", "stop: no plan can be made; look: somebody should know", "stop", "look"),
        text("allowed", "what may stand there", required=False),
        text("cure", "what to do"),
    ),
    _collect(
        "completeness", "How complete a table is, by family where that can be said.", "table family measure",
        text("table", "the table"),
        text("family", "the family, or `all`"),
        text("measure", "what was looked at"),
        number("present", "how many are there", "count"),
        number("wanted", "how many there should be", "count"),
        share("score", "present / wanted"),
        text("missing", "the first of those that are missing", required=False),
    ),
    _collect(
        "assumptions", "What is missing but planned around, declared with an owner.", "assumption",
        text("assumption", "code of the assumption"),
        text("statement", "what is assumed"),
        text("table", "the table it stands in for", required=False),
        text("owner", "who answers for it"),
        month("expires", "last cycle in which it holds", required=False),
    ),
    _collect(
        "history_adjustments", "A correction of history, kept apart from it.", "month product market method",
        MONTH, PRODUCT, MARKET,
        number("quantity", "change of the month's quantity", QUANTITY, low=None),
        text("reason", "why"),
        text("method", "the method (see sopkit/collect/cleanse.py), or the person"),
        choice("status", "where it stands", "proposed", "accepted", "changed", "refused"),
    ),
    _collect(
        "clean_history", "Monthly history with every accepted correction, every product x market x month from its first sale.",
        "month product market",
        MONTH, PRODUCT, MARKET,
        number("quantity", "units, corrected", QUANTITY, low=None),
        number("raw", "units as they came", QUANTITY, low=None),
        number("revenue", "net sales as they came; empty where the source has none", MONEY, low=None, required=False),
    ),
    # 02 demand -------------------------------------------------------------------------------------------------
    _demand(
        "baseline", "The statistical forecast with its range.", "product market month",
        PRODUCT, MARKET, MONTH,
        _units("quantity", "expected units"),
        _units("p10", "units exceeded with 90 % chance"),
        _units("p50", "median units"),
        _units("p90", "units exceeded with 10 % chance"),
        text("model", "how it was made"),
    ),
    _demand(
        "demand_plan", "The baseline, every layer as its own column, and the consensus.", "product market month",
        PRODUCT, FAMILY, MARKET, MONTH,
        _units("baseline", "statistical forecast"),
        *(number(layer, f"layer: {what}", QUANTITY, low=None) for layer, what in (
            ("lifecycle", "launch, retirement, succession"),
            ("market_conditions", "outside influences"),
            ("campaigns", "campaigns at the success rate of their kind, with pull-forward"),
            ("pipeline", "CRM opportunities not in the baseline, weighted by probability"),
        )),
        _units("statistical", "baseline and layers: what the numbers alone say"),
        _units("sales", "the sales department's forecast", required=False),
        _units("blended", "the streams weighted by their past accuracy"),
        number("override", "layer: what people changed", QUANTITY, low=None),
        _units("consensus", "what the demand meeting signs: blended and overridden"),
        _units("p10", "consensus less its range"),
        _units("p90", "consensus plus its range"),
        number("price", "net price used", PER_UNIT),
    ),
    _demand(
        "stream_weights", "How much each stream counts in the consensus, by its past accuracy.", "family stream",
        FAMILY,
        text("stream", "whose forecast"),
        number("wape", "weighted absolute percentage error of past cycles", "share"),
        share("weight", "its weight in the consensus"),
        text("reason", "how the weight came about", required=False),
    ),
    _demand(
        "forecast_accuracy", "Who was right: errors (F - A) of past cycles.", "stream family lag",
        text("stream", "whose forecast"),
        text("family", "the family, or `all`"),
        whole("lag", "months from the cycle to the month forecast", "months"),
        number("forecast", "units forecast", QUANTITY, low=None),
        number("actual", "units sold", QUANTITY, low=None),
        number("wape", "sum |F-A| / sum A", "share", required=False),
        number("value_wape", "the same weighted by price", "share", required=False),
        number("bias", "sum (F-A) / sum A; positive = too high", "share", low=None, required=False),
        number("tracking_signal", "cumulative error / MAD", "MAD", low=None, required=False),
        number("rmsse", "root mean squared scaled error", "ratio", required=False),
    ),
    # 03 supply -------------------------------------------------------------------------------------------------
    _supply(
        "supply_plan", "How demand is supplied, by mode: one row a decision that brings goods.", "mode source item site month",
        choice("mode", "how", "make_regular", "make_overtime", "buy"),
        text("source", "the resource, or the supplier"),
        ITEM,
        text("site", "where the goods arrive"),
        month(meaning="the month of making or ordering"),
        month("available", "the month in which the goods can be used"),
        _units("quantity", "good units"),
        number("hours", "hours of the resource", "hours", required=False, default=0.0),
        _money("cost", "variable cost"),
    ),
    _supply(
        "shipments", "What moves over a lane.", "origin destination item month",
        text("origin", "from"),
        text("destination", "to: a site or a market"),
        ITEM,
        month(meaning="the month of leaving"),
        month("arrival", "the month of arriving"),
        _units("quantity", "units"),
        _money("cost", "freight"),
    ),
    _supply(
        "stock", "Stock of an item at a site through a month: opening + received - issued = closing.", "site item month",
        SITE, ITEM, MONTH,
        _units("opening", "at the start"),
        _units("received", "made, bought, arrived"),
        _units("issued", "shipped, used, scrapped"),
        _units("closing", "at the end"),
        _units("safety_stock", "wanted at the end"),
        _units("below_safety", "missing from it"),
        number("value", "closing stock at standard cost", MONEY),
    ),
    _supply(
        "deliveries", "Demand of a product in a market and month, and what became of it.", "product market month",
        PRODUCT, MARKET, MONTH,
        _units("demand", "consensus demand of the month"),
        _units("delivered", "units that reach the market in the month, for this or an earlier month's demand"),
        _units("backlog", "units waiting at the month's end"),
        _units("lost", "units lost in the month"),
        number("price", "net price", PER_UNIT),
    ),
    _supply(
        "resource_load", "Hours of a resource in a month.", "resource month",
        text("resource", "the resource"),
        SITE, MONTH,
        number("available", "regular hours after maintenance", "hours"),
        number("overtime_limit", "most overtime hours", "hours"),
        number("regular", "regular hours used", "hours"),
        number("overtime", "overtime hours used", "hours"),
        number("utilisation", "load / available regular hours", "share", required=False),
    ),
    _supply(
        "people_plan", "People of a skill at a site in a month.", "site skill month",
        SITE,
        text("skill", "the skill"),
        MONTH,
        number("people", "people working", "people"),
        number("hired", "people starting", "people"),
        number("laid_off", "people leaving", "people"),
        number("available", "regular hours", "hours"),
        number("used", "regular hours used", "hours"),
        number("overtime", "overtime hours used", "hours"),
    ),
    _supply(
        "supply_costs", "The plan's money by named cost and month; revenue positive, costs positive, profit = revenue - costs.",
        "cost item month",
        text("cost", "name of the cost expression in the model, or `revenue`"),
        text("item", "product or material it belongs to; `` = none", required=False),
        MONTH,
        _money("amount", "money"),
        flag("policy", "a price of policy, not cash: missing safety stock, backlog, lost sales, overflow"),
    ),
    _supply(
        "binding_limits", "What stops the plan from earning more, ranked by worth.", "limit place item month",
        text("limit", "name of the limit in the model"),
        text("place", "resource, supplier, lane, site or market"),
        text("item", "the item, where there is one", required=False),
        MONTH,
        number("size", "the limit", "its unit"),
        text("unit", "unit of the limit"),
        _money("worth", "profit gained by one more unit"),
        text("sentence", "the same in words"),
    ),
    _supply(
        "levers", "A priced way to close a shortage that the plan does not use, and what it would bring: found by re-solving.",
        "lever place item months",
        text("lever", "what could be done"),
        text("place", "resource, site, supplier or lane"),
        text("item", "the item, where there is one", required=False),
        text("months", "the months it concerns"),
        text("change", "the change of the tables"),
        _money("gain", "profit gained beside the plan"),
        text("sentence", "the same in words"),
        required=False,
    ),
    _supply(
        "supply_run", "How the plan was solved.", "measure",
        text("measure", "what"),
        text("value", "how much"),
    ),
    _supply(
        "supply_checks", "The plan re-derived in pandas, rule by rule.", "rule",
        text("rule", "what must hold"),
        whole("rows", "rows looked at", "rows"),
        number("worst", "largest violation", "units or currency"),
        flag("holds", "within tolerance"),
    ),
    # 04 reconcile ----------------------------------------------------------------------------------------------
    _reconcile(
        "pnl", "Profit and loss by family and month; costs negative, so lines add up.", "line family month",
        text("line", "line of the statement"),
        text("family", "the family; `company` = not of one family"),
        MONTH,
        _money("amount", "money"),
    ),
    _reconcile(
        "working_capital", "Working capital at each month's end.", "month",
        MONTH,
        number("inventory", "stock at standard cost", MONEY),
        number("receivables", "from sales and DSO", MONEY),
        number("payables", "from purchases and DPO", MONEY),
        _money("other", "other current assets less liabilities, held constant"),
        _money("working_capital", "inventory + receivables - payables + other"),
    ),
    _reconcile(
        "gaps", "Where plan and budget, or demand and supply, disagree.", "gap family month",
        choice("gap", "which two views", "demand-supply", "sales-budget", "margin-budget", "production-budget", "stock-budget"),
        FAMILY, MONTH,
        number("plan", "the plan's figure", "units or currency", low=None),
        number("reference", "what it is held against", "units or currency", low=None),
        number("difference", "plan - reference", "units or currency", low=None),
        number("share", "difference / reference", "share", low=None, required=False),
        _money("money", "difference in money"),
        text("lever", "the best lever that closes it", required=False),
        _money("lever_gain", "what the lever brings", required=False),
    ),
    _reconcile(
        "scenario_results", "What each scenario brings beside the base.", "scenario measure",
        text("scenario", "code of the scenario"),
        text("title", "what people call it"),
        text("measure", "what is compared"),
        number("value", "its value", "unit", low=None),
        number("base", "the base's value", "unit", low=None),
        number("difference", "value - base", "unit", low=None),
        text("unit", "unit of the measure"),
    ),
    _reconcile(
        "scenario_months", "Each scenario by month.", "scenario month",
        text("scenario", "code of the scenario"),
        MONTH,
        number("net_sales", "net sales", MONEY, low=None),
        number("result", "result of the month", MONEY, low=None),
        number("short", "units waiting at the month's end or lost in it", QUANTITY),
        number("stock_value", "stock at the month's end at standard cost", MONEY),
    ),
    _reconcile(
        "budget_bridge", "From the budget's gross margin to the plan's, by family.", "family step",
        FAMILY,
        choice("step", "step of the bridge", "budget", "volume", "mix", "rate", "plan"),
        _money("amount", "money"),
    ),
    _reconcile(
        "scenario_changes", "What each scenario changes.", "scenario change",
        text("scenario", "code of the scenario"),
        whole("change", "number of the change", ""),
        text("table", "the table changed"),
        text("sentence", "the change in words"),
        whole("rows", "rows changed", "rows"),
    ),
    # 05 decide -------------------------------------------------------------------------------------------------
    _decide(
        "decision_log", "The decisions this plan stands on.", "question",
        text("question", "what was to be decided"),
        text("options", "what can be chosen, divided by commas"),
        text("option", "the option chosen; empty = undecided", required=False),
        text("recommendation", "what the numbers recommend, with what it brings", required=False),
        text("reason", "why", required=False),
        text("owner", "who carries it out", required=False),
        text("by", "who decided", required=False),
        text("expected_effect", "what it should bring", required=False),
        month("due", "when it must be done", required=False),
        choice("status", "where it stands", "undecided", "approved", "rejected", "done"),
    ),
    # 06 publish ------------------------------------------------------------------------------------------------
    _publish(
        "kpis", "The KPIs of the plan, past and planned.", "kpi period",
        text("kpi", "the KPI"),
        text("period", "a month like 2026-11, or `plan` for the next twelve months, `past` for the last"),
        number("value", "its value", "unit", low=None, required=False),
        text("unit", "its unit"),
        number("target", "its target", "unit", low=None, required=False),
        text("owner", "who answers for it", required=False),
        choice("kind", "what happened, or what is planned", "actual", "plan"),
    ),
)
