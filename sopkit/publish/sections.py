"""The sections of the pack in reading order: each opens with its finding and selects the stages' own figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sopkit import kpis
from sopkit.book import Book
from sopkit.book.explain import Explanations
from sopkit.charts import Figure
from sopkit.collect import figures as collect
from sopkit.decide import UNDECIDED
from sopkit.decide import figures as decide
from sopkit.demand import figures as demand
from sopkit.demand.explain import because, idle_steps
from sopkit.publish import figures as own
from sopkit.publish.paper import shared
from sopkit.reconcile import figures as reconcile
from sopkit.supply import figures as supply
from sopkit.words import amount, counted, listed, month_name, number, quoted, say, say_count, sentence, several, than

Body = Figure | list[Figure] | Explanations | str


def section(key: str, label: str, headline: str, *body: Body) -> dict[str, Any]:
    """One section: its key in the page, its label in the list of contents, its finding, its text and figures.

    A list of figures is shown side by side where there is room.
    """
    told = [say(part) if isinstance(part, str) else part for part in body if part]
    return {"key": key, "label": say(label), "headline": sentence(say(headline)), "body": told}


BUDGET = "{share} above budget", "{share} below budget"
LAST = "{share} above the last twelve months", "{share} below the last twelve months"


def filled(*figures: Figure) -> list[Figure]:
    """Of `figures` those that have data: what a company does not have costs no room."""
    return [figure for figure in figures if len(figure.frame)]


def decisions(book: Book) -> dict[str, Any]:
    """What must be decided, the options with their price and service, what the numbers recommend, by when, who."""
    log = book["decision_log"]
    if log.empty:
        return section(
            "decisions", "Decisions", "No question was put to this meeting.",
            "Write the questions into decisions.yaml of the company; until one is decided this plan is a draft.",
        )  # fmt: skip
    open_ = log[log["status"] == UNDECIDED]
    late = int(decide.overdue(book).sum())
    soon = month_name(open_["due"][open_["due"] >= book.first].min())
    when = [say("{late} overdue", counted(late))] if late else []
    when += [say("the next due in {month}", soon) if late else say("the first by {month}", soon)] if soon else []
    headline = say("All decisions are made: {questions} answered.", several(len(log), "question"))
    if len(open_):
        headline = ", ".join([say("{decisions} required", several(len(open_), "decision")), *when]) + "."
    shown: list[Body] = [*filled(decide.adopted(book), decide.commitments(book))]
    for place in range(min(len(log), 3)):
        shown += [decide.question(book, place), *filled(decide.table(book, place))]
    if len(log) > 3:
        more = "{count} more questions are in the decision log; a meeting decides at most three well."
        shown.append(say(more, number(len(log) - 3)))
    both = list(book["recommended_together"]["sentence"])
    # what changed has a page of its own, and page one is one page
    lines = (*both, money_line(book), service_line(book), "" if both else change_line(book))
    return section("decisions", "Decisions required", headline, *shown, *lines)


def review(book: Book) -> dict[str, Any] | None:
    """What became of the last plan: its decisions, actions and numbers, what this one changes; None at first."""
    rows = book["decision_review"]
    figures: list[Body] = [
        *filled(decide.review(book), decide.actions_judged(book), decide.board(book), own.by_lag(book), own.churn(book))
    ]
    pair = filled(own.process(book), own.pipeline_judged(book))
    figures += [pair] if pair else []
    if not figures:
        return None
    bad = int(rows["outcome"].isin(["at risk", "missed"]).sum())
    told = several(len(rows), "decision")
    headline = say("{decisions} of the last meeting: none is at risk.", told) if len(rows) else (
        "What became of the last plan.")  # fmt: skip
    if bad:
        headline = say_count(bad, "{count} of {decisions} of the last meeting is at risk or missed.",
                             "{count} of {decisions} of the last meeting are at risk or missed.",
                             counted(bad), told)  # fmt: skip
    return section("review", "Last month", headline, *figures)


def summary(book: Book) -> dict[str, Any]:
    """The cycle in three sentences, where every stage stands and who signed it."""
    money, *more = money_line(book), service_line(book), change_line(book)
    return section("summary", "Cycle summary", money or "This cycle holds no plan in money.", *more,
                   shared(reconcile.outlook, book), reconcile.promised(book), demand.exceptions(book, 6))  # fmt: skip


def money_line(book: Book) -> str:
    """Net sales of the next twelve months against last year and budget, and the margin."""
    sales, last = (kpis.value(book, "total_sales", period) for period in (kpis.PLAN, kpis.PAST))
    margin, budget = kpis.value(book, "gross_margin", kpis.PLAN), book.near(book["budget"])["sales"].sum()
    if sales is None:
        return ""
    against = [than(sales / last - 1, *LAST)] if last and len(book.year) == 12 else []
    against += [than(sales / budget - 1, *BUDGET)] if budget else []
    told = [book.span, amount(sales, book.currency), *([listed(against)] if against else [])]
    if margin is None:
        how = ("The {span} bring net sales of {sales}.", "The {span} bring net sales of {sales}, {against}.")
        return say(how[bool(against)], *told)
    how = (
        "The {span} bring net sales of {sales}, at a gross margin of {margin}.",
        "The {span} bring net sales of {sales}, {against}, at a gross margin of {margin}.",
    )
    return say(how[bool(against)], *told, amount(margin, "share"))


def service_line(book: Book) -> str:
    """Fill rate of the next twelve months, and the fullest resource."""
    fill, load = kpis.value(book, "fill_rate", kpis.PLAN), book.near(book["resource_load"])
    if fill is None:
        return ""
    full, share = load[load["utilisation"] >= supply.FULL]["resource"].value_counts(), amount(fill, "share")
    if len(full):
        name = book.names("resources").get(full.index[0], full.index[0])
        how = "Supply meets {share} of the demand of these months on time; {resource} is full in {count} of {months}."
        return say(how, share, name, counted(int(full.iloc[0])), several(len(book.year), "month"))
    how = "Supply meets {share} of the demand of these months on time."
    return say("Supply meets {share} of the demand of these months on time; no resource is full." if len(load) else how,
               share)  # fmt: skip


def change_line(book: Book) -> str:
    """The demand plan against last cycle's, and the layer that moved it most."""
    change = book["demand_change"].query("family == 'all'").sort_values("step")
    if len(change) < 3 or not change["money"].iloc[0]:
        return ""
    driver = change.iloc[1:-1].sort_values("money", key=abs, kind="stable").iloc[-1]
    moved = than(change["money"].iloc[-1] / change["money"].iloc[0] - 1, "{share} more", "{share} less")
    step = say(driver["layer"]), amount(driver["money"], book.currency, True)
    return say("Against last cycle the demand plan brings {share} over the months both plan; the largest step "
               "is {layer}, {money}.", moved, *step)  # fmt: skip


def scorecard(book: Book) -> dict[str, Any]:
    """The eight KPIs, then the rest of the scorecard."""
    tiles = own.eight(book)
    missed = [tile.name.lower() for tile in tiles if tile.missed]
    if missed:
        headline = say_count(len(missed), "{count} of the {all} KPIs misses its target: {names}.",
                             "{count} of the {all} KPIs miss their target: {names}.",
                             counted(len(missed)), counted(len(tiles)), listed(missed, 8))  # fmt: skip
    else:
        known = any(tile.missed is False for tile in tiles)
        headline = "Every KPI that has a target meets it." if known else "No KPI has a target yet."
    return section("scorecard", "Scorecard", headline, own.tiles(book), own.kpis_explained(book), own.scorecard(book))


def changed(book: Book) -> dict[str, Any]:
    """From last cycle's demand plan to this one, driver by driver."""
    figure = demand.changed(book)
    if figure.chart is None:
        return section("changed", "What changed", "There is no earlier plan to compare with.")
    figures = figure, demand.changed_by_family(book), demand.by_family(book)
    return section("changed", "What changed since the last plan", change_line(book) or figure.look_for, *figures,
                   *filled(demand.overrides(book, in_force=True)))  # fmt: skip


def accuracy(book: Book) -> dict[str, Any]:
    """How good the forecasts were: the stair from naive to consensus, errors by money, whose changes helped."""
    stair = demand.stair(book)
    if stair.chart is None:
        return section("accuracy", "Forecast accuracy", "There are no past forecasts to judge yet.")
    best, end = stair.frame.loc[stair.frame["wape"].idxmin()], stair.frame.iloc[-1]
    idle = idle_steps(book)
    ended = amount(end["wape"], "share")
    headline = say("Every step to the consensus earned its keep: {share} error at the end.", ended)
    if idle:
        headline = say("No step did harm, and {steps} added nothing: {share} error at the end.", listed(idle), ended)
    if best["name"] != end["name"]:
        headline = say("The forecast was best after the step {step} ({share} error); the consensus ended at {end}.",
                       best["name"], amount(best["wape"], "share"), ended)  # fmt: skip
    pair = [demand.missed(book), demand.accuracy(book)]
    return section("accuracy", "Forecast accuracy", headline, stair, pair, demand.owners(book))


def demand_plan(book: Book) -> dict[str, Any]:
    """What can be sold: history, consensus and its range, launches and retirements, overrides, exceptions."""
    months = book["demand_plan"].groupby("month")["consensus"].sum().reindex(book.year)
    if book["demand_plan"].empty:
        return section("demand", "Demand plan", "There is no demand plan.")
    before = book.year_ago(book.sold)["quantity"].sum()
    told = [book.span, number(months.sum()), book.units]
    peak = month_name(months.idxmax())
    headline = say("Demand of the {span} is {quantity} {unit}; it peaks in {month}.", *told, peak)
    if before:
        told.append(than(months.sum() / before - 1, "{share} above the last twelve", "{share} below the last twelve"))
        headline = say("Demand of the {span} is {quantity} {unit}, {against}; it peaks in {month}.", *told, peak)
    return section("demand", "Demand plan", headline, demand.outlook(book),
                   own.explained(book, "demand_plan", "consensus"), reconcile.net_sales(book),
                   reconcile.by_market(book), *filled(demand.lifecycle(book)))  # fmt: skip


def supply_plan(book: Book) -> dict[str, Any]:
    """What is made and bought to meet it, and what it costs."""
    units = supply.modes(book)
    if units.empty:
        return section("supply", "Supply plan", "There is no supply plan.")
    share = amount(units.max() / (units.sum() or 1.0), "share")
    headline = say("{quantity} {unit} are supplied in the {span}: {share} {mode}.",
                   number(units.sum()), book.units, book.span, share, say(units.idxmax()))  # fmt: skip
    return section("supply", "Supply plan", headline, supply.by_mode(book),
                   own.explained(book, "supply_costs", "amount", "cost"), [supply.costs(book), supply.hiring(book)],
                   *filled(supply.people(book), supply.shifts(book)))  # fmt: skip


def capacity(book: Book) -> dict[str, Any]:
    """How full every resource is, which limits bind, and the shadow price of one more hour or unit."""
    if book["resource_load"].empty:
        return section("capacity", "Capacity", "There are no resources in this plan.")
    full, total = len(supply.full(book)), kpis.value(book, "capacity_utilisation", kpis.PLAN)
    of = several(book["resource_load"]["resource"].nunique(), "resource")
    headline = say_count(full, "{count} of {resources} is full at some time.",
                         "{count} of {resources} are full at some time.",
                         counted(full), of)  # fmt: skip
    if total is not None:
        headline = say_count(
            full, "{count} of {resources} is full at some time; all together work at {share} in the {span}.",
            "{count} of {resources} are full at some time; all together work at {share} in the {span}.",
            counted(full), of, amount(total, "share"), book.span)  # fmt: skip
    return section("capacity", "Capacity", headline, supply.load(book),
                   own.explained(book, "resource_load", "utilisation", "resource"), supply.limits(book, 6),
                   *filled(supply.by_hour(book, 7)))  # fmt: skip


def gaps(book: Book) -> dict[str, Any]:
    """Where plan and budget, or demand and supply, disagree: by family and month, with levers and their price."""
    rows = book["gaps"]
    if rows.empty:
        return section("gaps", "Gaps and levers", "There is nothing to hold the plan against: no budget was brought.")
    sales = rows[rows["gap"] == "sales-budget"]
    short = -rows.query("gap == 'demand-supply' and difference < -0.5")["difference"].sum()
    near = book.near(sales)["money"].sum()
    met = "supply meets all demand."
    if short:
        met = say("supply misses {quantity} {unit} of demand in its month.", number(short), book.units)
    lie = (
        "sales lie {money} above budget in the {span}; {supply}",
        "sales lie {money} below budget in the {span}; {supply}",
    )
    against = say(lie[int(near < 0)], amount(abs(near), book.currency), book.span, say(met)) if len(sales) else met
    return section(
        "gaps", "Gaps and levers", against,
        reconcile.against_budget(book), reconcile.unmet(book),
        *filled(supply.levers(book, 4, brief=True)),
    )  # fmt: skip


def inventory(book: Book) -> dict[str, Any]:
    """Stock against what it should be, and how each market is served."""
    if supply.goods(book, "stock").empty:
        return section("inventory", "Inventory and service", "There is no stock in this plan.")
    turns, cover = (kpis.value(book, name, kpis.PLAN) for name in ("inventory_turns", "days_of_cover"))
    told = "Finished stock by month."
    if turns is not None and cover is not None:
        told = "Finished stock turns {turns} times a year and covers {days} days of demand."
        told = say(told, number(turns, 1), number(cover))
    elif turns is not None:
        told = say("Finished stock turns {turns} times a year.", number(turns, 1))
    elif cover is not None:
        told = say("Finished stock covers {days} days of demand.", number(cover))
    return section(
        "inventory", "Inventory and service", told, shared(supply.stock, book),
        own.explained(book, "stock", "value"), supply.service(book),
        own.explained(book, "deliveries", "delivered", "market"), supply.promises(book),
    )  # fmt: skip


def finance(book: Book) -> dict[str, Any]:
    """The plan in money: P&L by month and family, the bridge to budget, working capital and cash."""
    near = book.near(book["pnl"])
    if near.empty:
        return section("finance", "Finance", "There is no statement.")
    result, sales = near["amount"].sum(), near.loc[near["line"] == "net sales", "amount"].sum()
    headline = say("The result of the {span} is {result}.", book.span, amount(result, book.currency))
    if sales:
        headline = say("The result of the {span} is {result}, {share} of net sales.",
                       book.span, amount(result, book.currency), amount(result / sales, "share"))  # fmt: skip
    return section("finance", "Finance", headline, shared(reconcile.statement, book),
                   own.explained(book, "pnl", "amount", "line"), shared(reconcile.by_family, book),
                   *filled(reconcile.bridge(book), reconcile.capital(book)),
                   own.explained(book, "working_capital", "working_capital"))  # fmt: skip


def scenarios(book: Book) -> dict[str, Any]:
    """The plan and every scenario side by side."""
    change = reconcile.result_changes(book)
    if change.empty and book["risk"].empty:
        return section("scenarios", "Scenarios", "No scenario was solved beside the plan.")
    headline = "No scenario earns more than the plan."
    if len(change) and change.iloc[0] > 0.5:
        more = amount(change.iloc[0], book.currency)
        headline = say("{scenario} brings {money} more than the plan over the horizon.", quoted(change.index[0]), more)
    sampled: tuple[Body, ...] = (
        reconcile.risk(book), reconcile.tornado(book, 8),
        *(reconcile.risk(book, measure) for measure in ("fill rate", "mean stock value", "lowest cash")),
        reconcile.frontier(book),
    ) if len(book["risk"]) else ()  # fmt: skip
    return section("scenarios", "Scenarios", headline, reconcile.scenarios(book), reconcile.gained(book), *sampled)


def risks(book: Book) -> dict[str, Any]:
    """What the plan stands on: assumptions, risks, opportunities, and what was wrong with the data."""
    found = len(book["findings"])
    return section(
        "risks", "Assumptions, risks and findings",
        say("The plan stands on {assumptions}; {findings} in the data is open." if found < 2 else
            "The plan stands on {assumptions}; {findings} in the data are open.",
            several(len(book["assumptions"]), "declared assumption"), several(found, "finding")),
        collect.assumptions(book), supply.suppliers(book, 5), collect.findings(book, 6),
        *filled(demand.pipeline(book, 5)),
    )  # fmt: skip


def families(book: Book) -> dict[str, Any]:
    """One sheet a family: its months, and its products with two years behind and the plan ahead."""
    known = own.families(book)
    forms = (own.family_months, own.family_products, lambda book, family: because(book, family=family))
    sheets = []
    for family, name in known.items():
        for figure in (make(book, family) for make in forms):
            figure.who = f"{book.who}, {name}"  # whose sheet it is: what a reader can choose
            sheets.append(figure)
    headline = say("{families}, month by month.", several(len(known), "family", "families"))
    return section("families", "One sheet a family", headline, reconcile.by_month(book), *sheets)


def plants(book: Book) -> dict[str, Any] | None:
    """One sheet a plant: what each line makes, month by month; and what every supplier is asked for."""
    made = supply.by_line(book)
    if not made:
        return None
    headline = say("{plants}: what every line makes, and what is ordered for it.", several(len(made), "plant"))
    return section("plants", "One sheet a plant", headline, *made, *filled(supply.orders(book)))


def orders(book: Book) -> dict[str, Any]:
    """What one supplier is asked for."""
    return section("orders", "Orders planned", "What we plan to order, month by month.", supply.orders(book))


def promises(book: Book) -> dict[str, Any]:
    """What can be delivered, by product and month."""
    return section("promises", "Deliveries planned", "What we can deliver, month by month.", supply.promises(book))


def _head(book: Book) -> list[str]:
    """How a reader who keeps this page finds an event log that was cut or put back."""
    head = book.manifest.get("stages", {}).get("publish", {}).get("log_head", "")
    about = book.manifest.get("company", "…"), book.cycle, head
    asked = "sopkit verify --company {} --cycle {} --head {}".format(*about)
    told = "Head of the event log when this page was made: {head}. Keep the page: {command}"
    return [say(told, head, asked)] if head else []


def reproduce(book: Book) -> dict[str, Any]:
    """Versions, solver, parameters, hashes, checks, the model's rules, and where every word is defined."""
    checks, run = book["supply_checks"], book["supply_run"]
    status = dict(zip(run["measure"], run["value"], strict=True)).get("status", "")
    broken = int((~checks["holds"].astype(bool)).sum())
    told = [status.lower()] if status else []
    if not len(checks):
        how = (
            "The solver calls this plan {status}; it was not re-derived." if status else "This plan was not re-derived."
        )
    elif broken:
        told.append(several(broken, "rule"))
        how = ("The solver calls this plan {status}; it breaks {rules} when re-derived without the model." if status
               else "This plan breaks {rules} when re-derived without the model.")  # fmt: skip
    else:
        told.append(number(len(checks)))
        how = ("The solver calls this plan {status}; it holds all {count} rules when re-derived without the model."
               if status else "This plan holds all {count} rules when re-derived without the model.")  # fmt: skip
    return section(
        "reproduce", "How to make it again", say(how, *told),
        say("sopkit reproduce --company {company} --cycle {cycle} makes it again from its own folder "
            "and compares every hash. The data dictionary, data/README.md of the project, explains all "
            "columns.", book.manifest.get('company', '…'), book.cycle),
        "The numbers to go on working with are in plan.xlsx, which lies beside this page.", *_head(book),
        own.stages(book),
        *filled(reconcile.changes(book), supply.why_short(book), collect.corrections(book, waiting=True)),
        collect.completeness(book), *filled(collect.missing(book)), own.glossary(), own.solver(book),
        own.model(book), own.checks(book), own.policies(book), own.formulas(),
        own.versions(book), own.parameters(book), own.hashes(book),
    )  # fmt: skip


MEETING = {
    "decisions": decisions, "review": review, "summary": summary, "scorecard": scorecard, "changed": changed,
    "accuracy": accuracy, "demand": demand_plan, "supply": supply_plan, "capacity": capacity, "gaps": gaps,
    "inventory": inventory, "finance": finance, "scenarios": scenarios, "risks": risks,
}  # fmt: skip
APPENDICES = {"families": families, "plants": plants, "reproduce": reproduce}
ALONE = {"orders": orders, "promises": promises}  # of readers outside the company, who get nothing else


def every(book: Book, pages: Sequence[str] = ()) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Sections and appendices in the order in which the meeting reads; only `pages`, and what has data, where given."""
    wanted = pages or (*MEETING, *APPENDICES)
    made = [
        [part for key, make in group.items() if key in wanted and (part := make(book))]
        for group in (MEETING | ALONE, APPENDICES)
    ]
    for part in (*made[0], *made[1]) if pages else ():
        part["body"] = [one for one in part["body"] if not isinstance(one, Figure) or len(one.frame)]
    return made[0], made[1]
