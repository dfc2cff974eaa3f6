"""Every KPI: one function each, its formula and source in the docstring.

Sign of an error everywhere in sopkit: **error = F - A** (forecast less actual); positive = too much was forecast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from sopkit.book import Book

ERROR_SIGN = "Error = forecast - actual: positive = too much was forecast."


# How good a forecast was -------------------------------------------------------------------------------------------


def _pair(forecast: ArrayLike, actual: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    forecast, actual = np.asarray(forecast, dtype=float), np.asarray(actual, dtype=float)
    if forecast.shape != actual.shape:
        raise ValueError(f"forecast has shape {forecast.shape}, actual {actual.shape}")
    return forecast, actual


def _ratio(above: float, below: float) -> float:
    """above / below; NaN where nothing stands below, so that "no sales" never reads as "no error"."""
    return float(above / below) if below else float("nan")


def wape(forecast: ArrayLike, actual: ArrayLike, value: ArrayLike | float = 1.0) -> float:
    """Weighted absolute percentage error, sum value |F-A| / sum value A, a share; NaN without sales.

    `value`: money of a unit (price) for the value-weighted form. Source: Hyndman & Koehler 2006 ("MAD/mean").
    """
    forecast, actual = _pair(forecast, actual)
    value = np.asarray(value, dtype=float)
    return _ratio((value * np.abs(forecast - actual)).sum(), (value * actual).sum())


def bias(forecast: ArrayLike, actual: ArrayLike) -> float:
    """Sum (F-A) / sum A, a share; positive = too much was forecast. To be shown beside WAPE, always."""
    forecast, actual = _pair(forecast, actual)
    return _ratio((forecast - actual).sum(), actual.sum())


def tracking_signal(forecast: ArrayLike, actual: ArrayLike) -> NDArray[np.float64]:
    """The running tracking signal, one value a month: cumulative error / MAD of the months so far; the last one counts.

    Beyond +-4 MAD (+-6 in some books) the forecast is biased. 0 while there is no error at all.
    Source: Chopra & Meindl; Heizer & Render, Operations Management (who write A - F, the opposite).
    """
    forecast, actual = _pair(forecast, actual)
    error = forecast - actual
    deviation = np.abs(error).cumsum() / np.arange(1, len(error) + 1)
    return np.divide(error.cumsum(), deviation, out=np.zeros_like(error), where=deviation > 0)


def scale(history: ArrayLike, season: int = 1, power: int = 1) -> float:
    """Mean |y(t) - y(t-season)|^power of `history`: what scales MASE (power 1) and RMSSE (power 2); NaN if 0.

    Sources: Hyndman & Koehler 2006; Makridakis et al. 2022 (M5).
    """
    history = np.asarray(history, dtype=float)
    if len(history) <= season:
        return float("nan")
    step = np.abs(history[season:] - history[:-season]) ** power
    return float(step.mean()) or float("nan")


def forecast_value_added(errors: ArrayLike) -> NDArray[np.float64]:
    """FVA of each step of the stair after the first: error(step before) - error(this step), in the unit of the errors.

    Negative = the step destroys value. The steps telescope to first error - last error. Source: Gilliland 2010.
    """
    errors = np.asarray(errors, dtype=float)
    return errors[:-1] - errors[1:]


def brier(probability: ArrayLike, happened: ArrayLike) -> float:
    """Mean of (probability - happened)^2, happened 1 or 0: 0 = always right, 0.25 = a coin. Source: Brier 1950."""
    stated, came = _pair(probability, happened)
    return float(((stated - came) ** 2).mean())


# Sales, money and margin --------------------------------------------------------------------------------------------


def total_sales(sold: ArrayLike) -> float:
    """Sum of the rows given, units or money. The first KPI of every S&OP meeting."""
    return float(np.asarray(sold, dtype=float).sum())


def forecast_against_actual(forecast: ArrayLike, actual: ArrayLike) -> tuple[float, float]:
    """(sum F - sum A, the same / sum A): units or money, and a share; the forecast from a frozen snapshot at one lag.

    Totals against totals: errors of products cancel here and do not in `wape`, which stands beside it.
    """
    forecast, actual = _pair(forecast, actual)
    return float((forecast - actual).sum()), bias(forecast, actual)


def gross_margin(net_sales: float, cost_of_goods: float) -> float:
    """(net sales - cost of goods sold) / net sales, a share; NaN without sales. Horngren, Cost Accounting."""
    return _ratio(net_sales - cost_of_goods, net_sales)


# Making and delivering ----------------------------------------------------------------------------------------------


def cycle_time(start: ArrayLike, finish: ArrayLike) -> tuple[float, float]:
    """(mean, P90) of finish - start of work orders, calendar days; NaN without orders.

    The time to make an item (Hopp & Spearman, Factory Physics); the planning cycle's own days are another measure.
    """
    days = (np.asarray(finish, "datetime64[s]") - np.asarray(start, "datetime64[s]")).astype(float) / 86_400
    return (float(days.mean()), float(np.quantile(days, 0.9))) if len(days) else (float("nan"), float("nan"))


def capacity_utilisation(load_hours: ArrayLike, available_hours: ArrayLike) -> float:
    """Sum load hours / sum available hours, a share; available = regular, after maintenance: overtime can pass 1."""
    return _ratio(float(np.sum(load_hours)), float(np.sum(available_hours)))


def production_forecast(demand: ArrayLike, target_end_stock: float, opening_stock: float) -> float:
    """Finished units needed = demand + target end stock - opening stock, units; below 0, stock is too high already.

    Over months it telescopes where each month's target is the next one's opening. Heizer & Render, aggregate planning.
    """
    return float(np.sum(demand) + target_end_stock - opening_stock)


def units_on_time(deliveries: pd.DataFrame) -> pd.Series:
    """Units of each row of table deliveries that reach the market in the month of their demand, index as given.

    What arrives first serves those who wait since an earlier month.
    """
    ordered = deliveries.sort_values(["product", "market", "month"])
    waiting = ordered.groupby(["product", "market"])["backlog"].shift(fill_value=0.0)
    return (ordered["delivered"] - waiting).clip(lower=0.0).reindex(deliveries.index)


def fill_rate(on_time: ArrayLike, demand: ArrayLike) -> float:
    """Sum units delivered in the month of their demand / sum units demanded, a share; 1 where nothing is demanded.

    The unit fill rate ("type 2"); OTIF has no standard definition and is not used. Silver, Pyke & Thomas 2017.
    """
    wanted = float(np.sum(demand))
    return float(np.sum(on_time)) / wanted if wanted else 1.0


def production_plan_adherence(actual: ArrayLike, planned: ArrayLike) -> float:
    """1 - sum |actual - planned| / sum planned, a share; below 0 where the plan was missed by more than itself."""
    return 1 - wape(actual, planned)


def plan_stability(plan: ArrayLike, last_plan: ArrayLike) -> float:
    """Sum |plan - last plan| / sum last plan over the near months of both, a share; 0 = nothing moved."""
    return wape(plan, last_plan)


# Stock and cash -----------------------------------------------------------------------------------------------------


def average_inventory(balances: ArrayLike) -> float:
    """[(I0 + IT)/2 + I1 + ... + I(T-1)] / T of T+1 month-end balances, in their unit: true to a season.

    Source: Heizer & Render. NaN below two balances.
    """
    balances = np.asarray(balances, dtype=float)
    if len(balances) < 2:
        return float("nan")
    return float(((balances[0] + balances[-1]) / 2 + balances[1:-1].sum()) / (len(balances) - 1))


def inventory_turns(cost_of_goods: float, inventory: float) -> float:
    """A year's cost of goods / average inventory value, turns a year. Source: Chopra & Meindl."""
    return _ratio(cost_of_goods, inventory)


def working_capital(inventory: float, receivables: float, payables: float, other: float = 0.0) -> float:
    """Current assets less current liabilities: inventory + receivables - payables + other, money.

    `other` (cash and other current assets less other current liabilities) is not moved by the plan: held constant.
    """
    return inventory + receivables - payables + other


def days_of_cover(stock: float, demand: ArrayLike, days: ArrayLike) -> float:
    """Days of *future* demand that `stock` covers: whole months first, then the part of the month in which it ends.

    `demand` of the months to come and their calendar `days`. NaN where the stock outlasts the months known.
    """
    covered = 0.0
    for wanted, length in zip(np.asarray(demand, dtype=float), np.asarray(days, dtype=float), strict=True):
        if stock < wanted:
            return covered + length * stock / wanted
        stock, covered = stock - wanted, covered + length
    return float("nan")


def days_outstanding(balance: float, flow: float, days: float) -> float:
    """Balance / flow x days of the period, days.

    DIO is of inventory and cost of goods, DSO of receivables and net sales, DPO of payables and purchases.
    """
    return _ratio(balance * days, flow)


def cash_to_cash(dio: float, dso: float, dpo: float) -> float:
    """DIO + DSO - DPO, days from paying a supplier to being paid. Source: Chopra & Meindl."""
    return dio + dso - dpo


# Table kpis ---------------------------------------------------------------------------------------------------------


class Kpi(NamedTuple):
    """What a KPI is called, its unit (`currency` = the company's), which way is better, what exactly is measured."""

    title: str
    unit: str
    better: str
    measured: str


# the eight that the meeting asks for first, in its order; then the rest of the scorecard
KPIS = {
    "total_sales": Kpi("Total sales", "currency", "higher", "net sales, sum of the months"),
    "forecast_against_actual": Kpi("Forecast against actual", "share", "nearer 0",
        "consensus less actual units, share of actual, at one lag"),
    "gross_margin": Kpi("Gross margin", "share", "higher", "net sales less standard cost of goods, share of net sales"),
    "cycle_time": Kpi("Cycle time", "days", "lower", "mean days from start to finish of a work order"),
    "inventory_turns": Kpi("Inventory turns", "turns a year", "higher",
        "annualised cost of goods / average finished stock at cost"),
    "working_capital": Kpi("Working capital", "currency", "lower",
        "inventory + receivables - payables + other, mean of the months' ends"),
    "capacity_utilisation": Kpi("Capacity utilisation", "share", "higher",
        "hours used, overtime included / hours after maintenance"),
    "production_forecast": Kpi("Production forecast", "units", "higher",
        "finished units: demand + target end stock - opening stock"),
    "sales_units": Kpi("Units sold", "units", "higher", "units, sum of the months"),
    "fill_rate": Kpi("Fill rate", "share", "higher", "units delivered in the month of their demand / units demanded"),
    "days_of_cover": Kpi("Days of cover", "days", "lower", "days of future demand that finished stock covers"),
    "forecast_wape": Kpi("Forecast error (WAPE)", "share", "lower", "sum |F-A| / sum A of the consensus at one lag"),
    "cycle_time_p90": Kpi("Cycle time (P90)", "days", "lower", "nine work orders of ten take no longer"),
    "average_inventory": Kpi("Average inventory", "currency", "lower", "finished stock at standard cost"),
    "days_inventory": Kpi("Days inventory (DIO)", "days", "lower", "average inventory / cost of goods x days"),
    "days_sales": Kpi("Days sales (DSO)", "days", "lower", "average receivables / net sales x days"),
    "days_payables": Kpi("Days payables (DPO)", "days", "higher", "average payables / purchases x days"),
    "cash_to_cash": Kpi("Cash-to-cash", "days", "lower", "DIO + DSO - DPO"),
    "plan_stability": Kpi("Plan change", "share", "lower",
        "sum |plan - last plan| / sum last plan, units made in three months"),
    "production_plan_adherence": Kpi("Production-plan adherence", "share", "higher",
        "1 - sum |made - planned| / sum planned, plan of the month"),
}  # fmt: skip
EIGHT = tuple(KPIS)[:8]
NEAR_MONTHS = 3
PAST, PLAN = "past", "plan"
CASH_DAYS = ("days_inventory", "days_sales", "days_payables", "cash_to_cash")
# what plans are compared by, in the order of every comparison, and its unit
MEASURES = {
    "net sales": "currency", "gross margin": "currency", "gross margin rate": "share", "result": "currency",
    "service penalties": "currency", "fill rate": "share", "units lost": "units", "backlog at the end": "units",
    "mean stock value": "currency", "working capital at the end": "currency", "overtime": "hours",
    "mean utilisation": "share",
}  # fmt: skip
LOWER = (  # of these less is better
    "service penalties", "units lost", "backlog at the end", "mean stock value", "working capital at the end",
    "overtime",
)  # fmt: skip


def value(book: Mapping[str, pd.DataFrame], name: str, period: str) -> float | None:
    """A KPI of table `kpis` for a period (PAST, PLAN or a month); None where it could not be computed."""
    rows = book["kpis"]
    known = dict(zip(zip(rows["kpi"], rows["period"], strict=True), rows["value"], strict=True))
    found = float(known.get((name, period), "nan"))
    return found if found == found else None


def kpi_table(book: Book) -> pd.DataFrame:
    """Table `kpis`: every KPI by month, for the last twelve months (`past`) and the next twelve (`plan`).

    Past months come from the history tables, planned ones from the plan tables; a KPI whose tables are absent or empty
    is left out, never estimated. Targets and owners come from company.yaml and stand at the two totals.
    """
    past = pd.date_range(end=book.first - pd.offsets.MonthBegin(), periods=12, freq="MS")
    rows = []
    for measure in (_sales, _forecast, _stock, _capital, _making):
        for name, kind, monthly, total in measure(book, past, book.months):
            kpi, goal = KPIS[name], {str(k): goal for k, goal in book.company.kpi_targets.items()}.get(name)
            better = kpi.better if kpi.better == "nearer 0" or goal is None else goal.better
            about = (book.unit(kpi.unit), better, kind)
            rows += [(name, f"{month:%Y-%m}", value, *about, None, "") for month, value in monthly.dropna().items()]
            whole = (goal.target, goal.owner) if goal else (None, "")
            rows.append((name, PAST if kind == "actual" else PLAN, total, *about, *whole))
    columns = ["kpi", "period", "value", "unit", "better", "kind", "target", "owner"]
    return pd.DataFrame(rows, columns=columns).astype({"value": float, "target": float})


Measured = Iterator[tuple[str, str, "pd.Series", float]]


def _has(book: Book, *names: str) -> bool:
    return all(len(book[name]) for name in names)


def _by_month(values: pd.Series, months: pd.Series, wanted: pd.DatetimeIndex) -> pd.Series:
    return values.groupby(months.to_numpy()).sum().reindex(wanted, fill_value=0.0)


def _happened(values: pd.Series, months: pd.Series, past: pd.DatetimeIndex) -> pd.Series:
    """Sums by past month; NaN before the first month of the table and after its last: not zero, but not known."""
    return _by_month(values, months, past).where((past >= months.min()) & (past <= months.max()))


def _sales(book: Book, past: pd.DatetimeIndex, ahead: pd.DatetimeIndex) -> Measured:
    flows = {}
    if _has(book, "sales_history", "products"):
        sold = book["sales_history"]
        cost = book.at_cost(sold, "quantity", "product")
        money = book.revenue(sold)
        flows["actual"] = [_happened(v, sold["month"], past) for v in (money, cost, sold["quantity"])]
    if _has(book, "deliveries", "products"):
        sold = book["deliveries"]
        cost = book.at_cost(sold, "delivered", "product")
        money = sold["delivered"] * sold["price"]
        flows["plan"] = [_by_month(v, sold["month"], ahead) for v in (money, cost, sold["delivered"])]
        on_time = _by_month(units_on_time(sold), sold["month"], ahead)
        wanted = _by_month(sold["demand"], sold["month"], ahead)
        yield "fill_rate", "plan", on_time / wanted.where(wanted > 0), fill_rate(on_time[:12], wanted[:12])
    for kind, (money, cost, quantity) in flows.items():
        yield "total_sales", kind, money, total_sales(money[:12])
        yield "sales_units", kind, quantity, total_sales(quantity[:12])
        rate = (money - cost) / money.where(money > 0)
        yield "gross_margin", kind, rate, gross_margin(total_sales(money[:12]), total_sales(cost[:12]))


def _forecast(book: Book, past: pd.DatetimeIndex, _: pd.DatetimeIndex) -> Measured:
    if not _has(book, "past_forecasts", "sales_history"):
        return
    pairs = book.judged()
    pairs = pairs[pairs["month"].isin(past)]
    if pairs.empty:
        return
    monthly = pairs.groupby("month")[["quantity", "actual"]]
    for name, measure in (("forecast_against_actual", bias), ("forecast_wape", wape)):
        by_month = monthly.apply(lambda m, measure=measure: measure(m["quantity"], m["actual"]))
        yield name, "actual", by_month, measure(pairs["quantity"], pairs["actual"])


def _stock(book: Book, past: pd.DatetimeIndex, ahead: pd.DatetimeIndex) -> Measured:
    """Finished goods only: histories of materials are rare, and turns of two kinds of stock must not be compared."""
    if not _has(book, "products"):
        return
    cost = book["products"].set_index("product")["standard_cost"]
    goods, balances, flows = set(cost.index), {}, {}
    if _has(book, "stock_history"):
        held = book["stock_history"][book["stock_history"]["item"].isin(goods)]
        opening = past[:1] - pd.offsets.MonthBegin()
        value = (held["quantity"] * held["item"].map(cost)).groupby(held["month"].to_numpy()).sum()
        balances["actual"] = value.reindex(opening.append(past))
    if _has(book, "stock"):
        held = book["stock"][book["stock"]["item"].isin(goods)]
        value = _by_month(held["closing"] * held["item"].map(cost), held["month"], ahead)
        start = held[held["month"] == ahead[0]]
        opening = pd.Series({ahead[0] - pd.offsets.MonthBegin(): (start["opening"] * start["item"].map(cost)).sum()})
        balances["plan"] = pd.concat([opening, value])
    if _has(book, "sales_history"):
        sold = book["sales_history"]
        flows["actual"] = _happened(sold["quantity"] * sold["product"].map(cost), sold["month"], past)
    if _has(book, "deliveries"):
        sold = book["deliveries"]
        flows["plan"] = _by_month(sold["delivered"] * sold["product"].map(cost), sold["month"], ahead)
        wanted = _by_month(sold["demand"] * sold["product"].map(cost), sold["month"], ahead)
        flows["wanted"] = pd.concat([flows.get("actual", wanted[:0]), wanted])
    for kind, balance in balances.items():
        if kind in flows and balance[:13].notna().all():
            mean = (balance + balance.shift()) / 2
            turns = 12 * flows[kind] / mean.where(mean > 0)
            average = average_inventory(balance[:13])
            yield "inventory_turns", kind, turns, inventory_turns(total_sales(flows[kind][:12]), average)
            yield "average_inventory", kind, mean[1:], average
        if "wanted" in flows:
            cover = pd.Series({month: _cover(value, month, flows["wanted"]) for month, value in balance[1:].items()})
            yield "days_of_cover", kind, cover, float(cover[:12].mean())


def _cover(value: float, month: pd.Timestamp, wanted: pd.Series) -> float:
    later = wanted[wanted.index > month]
    return days_of_cover(value, later, later.index.days_in_month)


def _capital(book: Book, past: pd.DatetimeIndex, ahead: pd.DatetimeIndex) -> Measured:
    if _has(book, "balance_sheet", "products", "stock_history"):
        sheet = book["balance_sheet"].set_index("month").sort_index()
        held = book["stock_history"]
        value = book.at_cost(held).groupby(held["month"]).sum()
        other = sheet["other_current_assets"] - sheet["other_current_liabilities"]
        capital: Any = working_capital(value.reindex(sheet.index), sheet["receivables"], sheet["payables"], other)
        capital = capital[capital.index.isin(past)].dropna()
        if len(capital):
            yield "working_capital", "actual", capital, float(capital.mean())
    if not _has(book, "working_capital"):
        return
    plan = book["working_capital"].set_index("month").reindex(ahead)
    yield "working_capital", "plan", plan["working_capital"], float(plan["working_capital"][:12].mean())
    if not _has(book, "pnl", "supply_plan"):
        return
    year, none = ahead[:12], pd.Series(dtype=float)
    days = float(sum(year.days_in_month))
    lines = book["pnl"][book["pnl"]["month"].isin(year)].groupby("line")["amount"].sum()
    bought = book["supply_plan"].query("mode == 'buy'")
    bought = bought.loc[bought["month"].isin(year), "cost"].sum()
    mean = plan.loc[year].mean()
    dio = days_outstanding(mean["inventory"], -lines.get("cost of goods sold", 0.0), days)
    dso = days_outstanding(mean["receivables"], lines.get("net sales", 0.0), days)
    dpo = days_outstanding(mean["payables"], bought, days)
    yield "days_inventory", "plan", none, dio
    if not _has(book, "balance_sheet"):
        return  # what customers owe and suppliers are owed is not known: 0 days would be a lie
    yield "days_sales", "plan", none, dso
    yield "days_payables", "plan", none, dpo
    yield "cash_to_cash", "plan", none, cash_to_cash(dio, dso, dpo)


def _making(book: Book, past: pd.DatetimeIndex, ahead: pd.DatetimeIndex) -> Measured:
    if _has(book, "work_orders"):
        done = book["work_orders"].assign(month=lambda f: f["finish"].dt.to_period("M").dt.to_timestamp())
        done = done[done["month"].isin(past)]
        times = {month: cycle_time(part["start"], part["finish"]) for month, part in done.groupby("month")}
        whole = cycle_time(done["start"], done["finish"])
        for place, name in enumerate(("cycle_time", "cycle_time_p90")):
            yield name, "actual", pd.Series({month: pair[place] for month, pair in times.items()}), whole[place]
    if _has(book, "resource_load"):
        load = book["resource_load"]
        used = _by_month(load["regular"] + load["overtime"], load["month"], ahead)
        hours = _by_month(load["available"], load["month"], ahead)
        yield "capacity_utilisation", "plan", used / hours.where(hours > 0), capacity_utilisation(used[:12], hours[:12])
    if _has(book, "demand_plan", "stock", "products"):
        held = book["stock"][book["stock"]["item"].isin(book["products"]["product"])]
        target = _by_month(held["safety_stock"], held["month"], ahead)
        opening = float(held.loc[held["month"] == ahead[0], "opening"].sum())
        wanted = _by_month(book["demand_plan"]["consensus"], book["demand_plan"]["month"], ahead)
        needed = wanted + target - target.shift(fill_value=opening)
        last = target.index[:12][-1]
        yield "production_forecast", "plan", needed, production_forecast(wanted[:12], target[last], opening)
    if _has(book, "production_history"):
        made = _happened(book["production_history"]["quantity"], book["production_history"]["month"], past)
        yield "production_forecast", "actual", made, total_sales(made)
    if _has(book, "past_plans", "products"):
        yield from _kept(book, past, ahead)


def _kept(book: Book, past: pd.DatetimeIndex, ahead: pd.DatetimeIndex) -> Measured:
    """How far plans moved from one cycle to the next, and how far production kept to the plan of its own month."""
    plans = book["past_plans"].query("measure == 'production'").set_index(["cycle", "family", "month"])["quantity"]
    plans = {cycle: part.droplevel("cycle") for cycle, part in plans.groupby(level="cycle")}
    family = book["products"].set_index("product")["family"]

    def by_family(frame: pd.DataFrame, item: str) -> pd.Series:
        return frame.groupby([frame[item].map(family).rename("family"), "month"])["quantity"].sum()

    def moved(plan: pd.Series, last: pd.Series, first: pd.Timestamp) -> float:
        near = pd.date_range(first, periods=NEAR_MONTHS, freq="MS")
        last = last[last.index.get_level_values("month").isin(near)]
        return plan_stability(plan.reindex(last.index, fill_value=0.0), last)

    cycles = sorted(plans)
    before = {now: plans[last] for last, now in zip(cycles, cycles[1:], strict=False)}
    change = pd.Series({now: moved(plans[now], last, now) for now, last in before.items()}, dtype=float)
    if len(change):
        yield "plan_stability", "actual", change, float(change.mean())
    if _has(book, "supply_plan") and cycles:
        value = moved(by_family(book["supply_plan"], "item"), plans[cycles[-1]], ahead[0])
        yield "plan_stability", "plan", pd.Series({ahead[0]: value}), value
    if _has(book, "production_history"):
        made = by_family(book["production_history"], "product")
        own = {now: plan[plan.index.get_level_values("month") == now] for now, plan in plans.items() if now in past}
        pairs = {now: (made.reindex(plan.index, fill_value=0.0), plan) for now, plan in own.items() if len(plan)}
        if pairs:
            monthly = pd.Series({now: production_plan_adherence(*pair) for now, pair in pairs.items()})
            actual, planned = (pd.concat(parts) for parts in zip(*pairs.values(), strict=True))
            yield "production_plan_adherence", "actual", monthly, production_plan_adherence(actual, planned)
