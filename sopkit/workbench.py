"""Controls inside the notebooks: an override (02), a what-if that solves again (03), the meeting's decision (05).

All are plain widgets that wait for nobody: in a headless run they show what is recorded and the notebook goes on.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import pandas as pd

from sopkit import charts, kpis
from sopkit.cycle import Cycle
from sopkit.errors import Finding, RecordError, SopkitError

if TYPE_CHECKING:
    from sopkit.supply.solve import Session

LABEL = {"description_width": "9.5em"}
WIDE = widgets.Layout(width="34em")
ALL = ""
WORTH = "profit less promises broken"
LEVERS = {"hours": "available hours", "overtime_limit": "overtime limit", "supplier": "supplier capacity"}


def _choice(label: str, options: Iterable[tuple[str, Any]]) -> widgets.Dropdown:
    return widgets.Dropdown(description=label, options=list(options), style=LABEL, layout=WIDE)


def _words(label: str, hint: str) -> widgets.Text:
    return widgets.Text(description=label, placeholder=hint, style=LABEL, layout=WIDE)


def _names(frame: pd.DataFrame, code: str) -> list[tuple[str, str]]:
    """(what people read, code) of a table with a code and a name."""
    return [(f"{row[code]}  {row['name']}".strip(), row[code]) for row in frame.to_dict("records")]


def _month_options(months: Iterable[pd.Timestamp]) -> list[tuple[str, pd.Timestamp]]:
    return [(charts.month_name(month), month) for month in months]


def _as_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.assign(month=frame["month"].dt.strftime("%Y-%m")).to_dict("records")


class _Message(widgets.HTML):
    """One line that says what happened; a screen reader speaks it."""

    def say(self, text: str, wrong: bool = False) -> None:
        colour = "#a33" if wrong else "#1b6e3c"
        lines = "<br>".join(html.escape(line) for line in text.splitlines())
        self.value = f'<div role="{"alert" if wrong else "status"}" style="color:{colour}">{lines}</div>'


class OverrideForm(widgets.VBox):
    """A person's change to the demand plan: what, when, how much, why, and who answers for it.

    Storing needs a reason and an owner and says so; what is stored goes into the records, and the consensus of the
    cycle is made again and shown before and after.
    """

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle
        self.products = cycle.read("products")
        months = _month_options(cycle.months)
        self.family = _choice("Family", [("all families", ALL), *_names(cycle.read("families"), "family")])
        self.product = _choice("Product", [])
        self.market = _choice("Market", [("all markets", ALL), *_names(cycle.read("markets"), "market")])
        self.first = _choice("First month", months)
        self.last = _choice("Last month", months)
        self.action = _choice("Change", [
            ("add units a month", "add"), ("set units a month", "set"), ("scale by a factor", "scale"),
        ])
        self.amount = widgets.FloatText(description="Amount", value=0, style=LABEL, layout=WIDE)
        self.reason = _words("Reason", "why the numbers alone are wrong")
        people = [(f"{row.name_}, {row.role}", row.name_) for row in cycle.read("people").rename(
            columns={"name": "name_"}).itertuples()]
        self.owner = _choice("Owner", [("choose a person", ""), *people])
        self.evidence = _words("Evidence", "where it can be seen")
        self.expires = _choice("Holds", [("until superseded", None), *((f"up to cycle {a}", m) for a, m in months)])
        self.supersedes = _choice("Replaces", [])
        self.store = widgets.Button(description="Store override", button_style="primary")
        self.message = _Message()
        self.shown = widgets.HTML()
        self.recorded = widgets.HTML()
        self._offer_products()
        self._show_recorded()
        self._show(cycle.read("demand_plan"))
        self.family.observe(self._offer_products, "value")
        for picker in (self.family, self.product, self.market):
            picker.observe(lambda _: self._show(self.cycle.read("demand_plan")), "value")
        self.store.on_click(self._store)
        super().__init__([
            widgets.HTML("<h3>Change the plan, with a reason</h3>"),
            self.family, self.product, self.market, self.first, self.last, self.action, self.amount, self.reason,
            self.owner, self.evidence, self.expires, self.supersedes, self.store, self.message, self.shown,
            self.recorded,
        ])

    def _offer_products(self, _: Any = None) -> None:
        offered = self.products
        if self.family.value:
            offered = offered[offered["family"] == self.family.value]
        self.product.options = [("all products", ALL), *_names(offered, "product")]

    @property
    def fields(self) -> dict[str, Any]:
        """What the form says, as fields of an override."""
        level = next((name for name in ("product", "family", "market") if getattr(self, name).value), "total")
        return {
            "level": level, "product": self.product.value, "family": self.family.value, "market": self.market.value,
            "first_month": self.first.value, "last_month": self.last.value, "action": self.action.value,
            "amount": self.amount.value, "reason": self.reason.value, "evidence": self.evidence.value,
            "expires": self.expires.value, "supersedes": self.supersedes.value,
        }

    def _store(self, _: Any) -> None:
        from sopkit import demand

        self.store.disabled = True
        before = self.cycle.read("demand_plan")
        try:
            number = self.cycle.records.say("overrides", by=self.owner.value, cycle=self.cycle.cycle, **self.fields)
            self.message.say(f"Override {number} is stored; the consensus is being made again ...")
            plan = self.cycle.save(demand.plan(self.cycle.tables(), self.cycle.company, self.cycle.cycle))
        except RecordError as error:
            self.message.say("\n".join(["Nothing was stored.", *map(_refused, error.findings)]), wrong=True)
            return
        except SopkitError as error:
            self.message.say(str(error), wrong=True)
            return
        finally:
            self.store.disabled = False
        after = plan["demand_plan"]
        change = after["consensus"].sum() - before["consensus"].sum()
        self.message.say(
            f"Override {number} by {self.owner.value} is stored. The consensus changed by "
            f"{charts.number(change, sign=True)} units in all. The stages after demand are now stale."
        )
        self.reason.value = self.evidence.value = ""
        self._show(after, before)
        self._show_recorded()

    def _scope(self, plan: pd.DataFrame) -> pd.Series:
        for name in ("product", "family", "market"):
            chosen = getattr(self, name).value
            plan = plan[plan[name] == chosen] if chosen else plan
        return plan.groupby("month")["consensus"].sum()

    def _show(self, plan: pd.DataFrame, before: pd.DataFrame | None = None) -> None:
        series = {"consensus": self._scope(plan)}
        if before is not None:
            series = {"consensus before": self._scope(before)} | series
        frame = pd.concat({name: part for name, part in series.items()}, names=["series"]).reset_index(name="units")
        where = " · ".join(
            getattr(self, name).label for name in ("family", "product", "market") if getattr(self, name).value
        )
        self.shown.value = charts.line(
            frame, "units", series="series", title=f"Consensus demand: {where or 'everything planned'}",
            unit=self._unit(), look_for="What the demand meeting signs, month by month.", height=200,
            none="Nothing is planned for this choice.",
        )._repr_html_()

    def _unit(self) -> str:
        units = set(self.products["uom"])
        return units.pop() if len(units) == 1 else "units"

    def _show_recorded(self) -> None:
        said = self.cycle.read("overrides")
        self.supersedes.options = [("nothing", 0), *(
            (f"override {row.id} by {row.by}: {row.reason}", row.id) for row in said.itertuples())]
        self.supersedes.value = 0
        name = charts.month_name
        said = said.assign(
            what=[" · ".join(filter(None, (row.family, row.product, row.market))) or "everything"
                  for row in said.itertuples()],
            change=[f"{row.action} {row.amount:,g}" for row in said.itertuples()],
            months=[" to ".join(dict.fromkeys((name(row.first_month), name(row.last_month))))
                    for row in said.itertuples()],
            number=said["id"].astype(str),
        )
        self.recorded.value = charts.long_table(
            said, {"number": "No.", "by": "Owner", "what": "What", "months": "Months", "change": "Change",
                   "reason": "Reason", "evidence": "Evidence"},
            title="Overrides in force", none="Nobody has changed the numbers.",
        )._repr_html_()


class WhatIf(widgets.VBox):
    """Hours of a resource, its overtime, or a supplier's capacity, more or less in some months: what would it bring?

    Each change solves the supply plan again and shows it beside the plan of the cycle. Nothing is stored.
    """

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle
        self.tables = cycle.tables()
        months = _month_options(cycle.months)
        self.lever = _choice("Change", [(words, lever) for lever, words in LEVERS.items()])
        self.place = _choice("Of", [])
        self.first = _choice("From", months)
        self.last = _choice("To", months)
        self.last.index = len(months) - 1
        self.percent = widgets.IntSlider(
            description="By, %", min=-100, max=100, step=5, value=0, continuous_update=False, style=LABEL, layout=WIDE)
        self.message = _Message()
        self.shown = widgets.HTML()
        self._offer_places()
        self.base = self._measures({name: cycle.read(name) for name in ("deliveries", "supply_costs", "stock")})
        self.lever.observe(self._offer_places, "value")
        for control in (self.place, self.first, self.last, self.percent):
            control.observe(self._solve, "value")
        super().__init__([
            widgets.HTML("<h3>What if there were more, or less?</h3>"),
            self.lever, self.place, self.first, self.last, self.percent, self.message, self.shown,
        ])
        self.message.say("Move the slider: the plan is solved again, nothing is stored.")

    @cached_property
    def _session(self) -> Session:
        """The model in the solver's memory, loaded at the first question: later ones only change its numbers."""
        from sopkit.supply.solve import Session

        return Session(self.tables, self.cycle.company, self.cycle.cycle)

    def _offer_places(self, _: Any = None) -> None:
        name = "supplier" if self.lever.value == "supplier" else "resource"
        self.place.options = _names(self.tables[f"{name}s"], name)

    def _changes(self) -> list:
        from sopkit.reconcile.scenarios import Change

        factor = 1 + self.percent.value / 100
        first, last = self.first.value, self.last.value
        if self.lever.value != "supplier":
            rows = self.tables["capacity"]
            rows = rows[(rows["resource"] == self.place.value) & rows["month"].between(first, last)].copy()
            if self.lever.value == "hours":
                # hours that are there after maintenance: the maintenance itself stays as planned
                rows["hours"] = rows["maintenance"] + (rows["hours"] - rows["maintenance"]) * factor
            else:
                rows["overtime_limit"] *= factor
            return [Change(table="capacity", rows=_as_rows(rows))]
        offers, months = self.tables["offers"], [month for month in self.cycle.months if first <= month <= last]
        mine = offers[(offers["supplier"] == self.place.value) & offers["capacity"].notna()]
        grid = mine[["supplier", "item", "site", "capacity"]].merge(pd.DataFrame({"month": months}), how="cross")
        if grid.empty:
            raise SopkitError(f"{self.place.value} delivers without a limit: there is nothing to change.")
        keys = ["supplier", "item", "site", "month"]
        grid = grid.merge(self.tables["supplier_capacity"], on=keys, how="left", suffixes=("", "_of_month"))
        grid["capacity"] = grid["capacity_of_month"].fillna(grid["capacity"]) * factor
        return [Change(table="supplier_capacity", rows=_as_rows(grid[[*keys, "capacity"]]))]

    def _solve(self, _: Any = None) -> None:
        from sopkit.reconcile.scenarios import apply

        if self.first.value > self.last.value:
            self.message.say("The first month is after the last one.", wrong=True)
            return
        said = f"{self.place.value} {LEVERS[self.lever.value]} {self.percent.value:+d} %"
        self.message.say(f"Solving with {said} ...")
        try:
            changes = self._changes()
            changed, _ = apply(self.tables, changes, "what-if")
            plan = self._session.plan({change.table: changed[change.table] for change in changes})
        except SopkitError as error:
            self.message.say(str(error), wrong=True)
            return
        result = self._measures(plan)
        gain = result.at[WORTH, "value"] - self.base.at[WORTH, "value"]
        currency = self.cycle.company.currency
        frame = result.assign(base=self.base["value"], title=said).rename_axis("measure").reset_index()
        self.shown.value = charts.comparison(
            frame, base_name="This plan", title="The plan solved again", measures={name: name for name in result.index},
            look_for=f"{said} changes profit less promises broken by {charts.amount(gain, currency, sign=True)}.",
            note="Promises broken: the prices of policy for what is late, lost or below safety stock. No cash.",
        )._repr_html_()
        self.message.say(f"Solved: {charts.amount(gain, currency, sign=True)} of profit less promises broken.")

    def _measures(self, plan: dict[str, pd.DataFrame]) -> pd.DataFrame:
        """What the solver maximises and its parts, service and stock of a plan; revenue, cost and profit are cash."""
        cash = plan["supply_costs"][~plan["supply_costs"]["policy"]]
        broken = plan["supply_costs"].loc[plan["supply_costs"]["policy"], "amount"].sum()
        revenue = cash.loc[cash["cost"] == "revenue", "amount"].sum()
        cost = cash.loc[cash["cost"] != "revenue", "amount"].sum()
        deliveries = plan["deliveries"]
        currency = self.cycle.company.currency
        rows = {
            WORTH: (revenue - cost - broken, currency), "profit": (revenue - cost, currency),
            "revenue": (revenue, currency), "cost": (cost, currency), "promises broken": (broken, currency),
            "fill rate": (kpis.fill_rate(kpis.units_on_time(deliveries), deliveries["demand"]), "share"),
            "units lost": (deliveries["lost"].sum(), "units"),
            "units waiting at the end": (
                deliveries.loc[deliveries["month"] == deliveries["month"].max(), "backlog"].sum(), "units"),
            "mean stock value": (plan["stock"].groupby("month")["value"].sum().mean(), currency),
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "unit"])


class DecisionForm(widgets.VBox):
    """The meeting's answer to a question: which option, why, who decided, and who carries it out by when.

    An answer that makes no sense is refused before it is stored. What is stored goes into the records, and the
    decision log of the cycle is made again.
    """

    def __init__(self, cycle: Cycle) -> None:
        from sopkit import decide

        self.cycle = cycle
        self.tables = cycle.tables()
        results = self.tables["scenario_results"]
        self.titles = results.drop_duplicates("scenario").set_index("scenario")["title"]
        self.questions = decide.questions(decide.load_decisions(cycle.said("decisions.yaml")), results)
        people = cycle.read("people")
        deciders = people[people["may_sign"].str.split().map(lambda stages: "decide" in stages)]
        named = [(f"{name}, {role}", name) for name, role in zip(people["name"], people["role"], strict=True)]
        self.question = _choice("Question", [(asked.question, at) for at, asked in enumerate(self.questions)])
        self.option = _choice("Decision", [])
        self.reason = _words("Reason", "why this option, in a sentence")
        self.by = _choice("Decided by", [("choose a person", ""), *(n for n in named if n[1] in set(deciders["name"]))])
        self.owner = _choice("Carried out by", [("as asked", ""), *named])
        self.due = _choice("Due", [("as asked", None), *_month_options(cycle.months)])
        self.store = widgets.Button(description="Store decision", button_style="primary")
        self.message = _Message()
        self.advice = widgets.HTML()
        self.shown = widgets.HTML()
        self.question.observe(self._offer_options, "value")
        self.store.on_click(self._store)
        self._show(self._log())
        self._offer_options()
        super().__init__([
            widgets.HTML("<h3>Decide, with a reason</h3>"),
            self.question, self.advice, self.option, self.reason, self.by, self.owner, self.due, self.store,
            self.message, self.shown,
        ])

    def _offer_options(self, _: Any = None) -> None:
        from sopkit import decide

        asked = self.questions[self.question.value]
        self.option.options = [("not decided yet", ""), *((self.titles[code], code) for code in asked.options)]
        advice = decide.recommend(asked, self.tables["scenario_results"], self.cycle.company.currency)[1]
        self.advice.value = f'<p style="max-width:46em">The numbers recommend: {html.escape(advice)}</p>'

    def _store(self, _: Any) -> None:
        from sopkit import decide

        asked = self.questions[self.question.value]
        fields = {
            "question": asked.question, "option": self.option.value, "reason": self.reason.value.strip(),
            "owner": self.owner.value or asked.owner, "due": self.due.value,
            "status": "approved" if self.option.value else decide.UNDECIDED,
        }
        needed = {"a reason": fields["reason"], "who decided": self.by.value}
        missing = [words for words, said in needed.items() if not said]
        if missing:
            self.message.say(f"Nothing was stored. Say {' and '.join(missing)}.", wrong=True)
            return
        try:
            number = self.cycle.records.say("decisions", by=self.by.value, cycle=self.cycle.cycle, **fields)
            self.tables = self.cycle.tables()
            log = self.cycle.write("decision_log", self._log())
        except RecordError as error:
            self.message.say("\n".join(["Nothing was stored.", *map(_refused, error.findings)]), wrong=True)
            return
        except SopkitError as error:
            self.message.say(str(error), wrong=True)
            return
        left = int((log["status"] == decide.UNDECIDED).sum())
        self.message.say(
            f"Decision {number} by {self.by.value} is stored: {self.option.label}. "
            + (f"{left} of {len(log)} questions are open: the plan is a draft. " if left else "The plan is decided. ")
            + "Stage publish is now stale."
        )
        self.reason.value = ""
        self._show(log)

    def _log(self) -> pd.DataFrame:
        from sopkit import decide

        made = decide.decide(self.tables, self.questions, self.cycle.cycle, self.cycle.company.currency)
        return made["decision_log"]

    def _show(self, log: pd.DataFrame) -> None:
        said = log.assign(decided=log["option"].map(self.titles).fillna("open"))
        self.shown.value = charts.long_table(
            said, {"question": "Question", "decided": "Decision", "reason": "Reason", "by": "Decided by",
                   "owner": "Carried out by", "due": "Due"},
            title="What stands decided", look_for="", none="Nothing is to be decided.",
        )._repr_html_()


def _refused(finding: Finding) -> str:
    """One reason why a record was not stored, as a sentence."""
    return " ".join(f"{finding.column or 'it'} {finding.value} {finding.rule}. {finding.cure}".split())


def override_form(cycle: Cycle) -> OverrideForm:
    """The override form of notebook 02, for a `cycle` opened for stage demand whose plan is saved."""
    return OverrideForm(cycle)


def what_if(cycle: Cycle) -> WhatIf:
    """The what-if panel of notebook 03, for a `cycle` opened for stage supply whose plan is saved."""
    return WhatIf(cycle)


def decision_form(cycle: Cycle) -> DecisionForm:
    """The decision form of notebook 05, for a `cycle` opened for stage decide whose decision log is saved."""
    return DecisionForm(cycle)
