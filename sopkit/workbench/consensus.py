"""The consensus as a spreadsheet: typed over, its effect seen, then stored with a reason and an owner."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import pandas as pd

from sopkit import charts, words
from sopkit.book import Book, Change, Plan
from sopkit.cycle import Cycle
from sopkit.records import last_number
from sopkit.tables import TABLES
from sopkit.workbench import forms
from sopkit.workbench.draft import Draft
from sopkit.workbench.running import CarryOn
from sopkit.workbench.sheet import Sheet

MONTHS = ("first_month", "last_month")
SHOWN = {"id": "No.", "author": "Owner", "what": "What", "months": "Months", "change": "Change", "reason": "Reason",
         "evidence": "Evidence"}  # fmt: skip


class ConsensusSheet(forms.Form):
    """The demand plan as a sheet: what a planner types becomes overrides, each with its reason and owner.

    `effect` shows what the draft changes in units, money, service and stock before anything is stored. Storing keeps
    all of it or nothing, makes the consensus again and shows it; `plan` is the plan as it then stands, for the cells
    below. What others stored meanwhile on the same cells is shown and never overwritten unseen.
    """

    def __init__(self, cycle: Cycle) -> None:
        super().__init__(cycle)
        self.plan = self._planned(cycle.given)
        self.sheet: Sheet | None = None
        self.place: Any = widgets.Box(layout=widgets.Layout(display="block"))
        self.reason = forms.text("Reason", "why the numbers alone are wrong")
        self.owner = forms.person("Owner", forms.people(cycle))
        self.evidence = forms.text("Evidence", "where it can be seen")
        self.expires = forms.choice("Holds", [("until superseded", None), *forms.months(cycle, "up to cycle {}")])
        self.supersedes = forms.choice("Replaces", [])
        self.effect = forms.button("Show the effect", "Plans demand and supply with the draft")
        self.store = forms.button("Store", primary=True)
        self.buttons = widgets.HBox([self.effect, self.store])
        self.message = forms.Message()
        self.shown = forms.Shown()
        self.after = CarryOn(cycle, [])
        self.recorded = forms.Shown()
        self._does(self.effect, self._show_effect, self.message)
        self._does(self.store, self._store, self.message)
        self._begin()
        self._lay_out("Type over the plan, with a reason", within=(self.sheet, *self.buttons.children))

    def _planned(self, book: Book) -> Plan:
        made = {name: self.cycle.read(name) for name, table in TABLES.items() if table.stage == "demand"}
        return Plan({**book.tables, **made}, self.cycle.company, self.cycle.cycle)

    def _opened(self) -> None:
        super()._opened()
        self.after.offer(list(self.cycle.stale()))

    def _told(self) -> None:
        """Show what others stored since this sheet was last made; what is typed here stays."""
        recorded = self.cycle.read("overrides")
        if not (news := [row for row in recorded.itertuples() if row.id > self.seen]):
            return
        told = [f"{row.author} stored {row.action} {row.amount:,g}, {_when(row)}: {row.reason}." for row in news]
        if self.draft.entries or "demand" in self.cycle.stale():
            self._show_recorded(recorded)
            self.message.say("\n".join(["Others changed the plan meanwhile; your draft is kept:", *told]))
        else:
            self.plan = self._planned(self.cycle.book)
            self._begin()
            self.message.say("\n".join(["Others changed the plan meanwhile; the sheet shows it:", *told]))

    def _begin(self) -> None:
        """A fresh draft over the plan as it stands, beside what is recorded now."""
        recorded = self.cycle.read("overrides")
        self.seen = last_number(self.cycle.records.read("overrides"))
        self.draft = Draft(self.plan)
        if self.sheet is not None and self.sheet.holds(self.draft):  # the same lines: what is open stays open
            self.sheet.lines = self.draft
            self.sheet.refresh()
        else:
            units = self.plan.units
            self.sheet = Sheet(self.draft, label=f"Consensus demand, {units}", corner=units, changed=self._typed)
            self.place.children = [self.sheet]
        others = ((f"override {row.id} by {row.author}: {row.reason}", row.id) for row in recorded.itertuples())
        forms.offer_in(self.supersedes, [("nothing", 0), *others])
        self._show_recorded(recorded)

    def _typed(self) -> None:
        self.shown.stale("something was typed since. Show the effect again.")

    def _show_effect(self) -> None:
        """The draft through demand and supply, beside the plan of the cycle; nothing is stored."""
        if not self.draft.entries:
            return self.message.say("Nothing is typed yet: type into the sheet first.", wrong=True)
        self.message.say("Planning demand and supply with the draft ...")
        about = {"cycle": self.cycle.cycle, "author": "draft", "recorded_at": "draft", "reason": "draft"}
        rows = [
            {"id": number, **about, **fields, **{name: f"{fields[name]:%Y-%m}" for name in MONTHS}}
            for number, fields in enumerate(self.draft.overrides, start=self.seen + 1)
        ]
        change = Change(table="overrides", rows=rows)
        compared = self.cycle.before_the_meeting.what_if(change, title="With your draft", judged=False)
        self.shown.show(compared.compare(look_for=self.draft.sentence))
        self.message.say("This is what the draft would do. Nothing is stored.")

    def _agree(self) -> None:
        """Make the consensus again from everything recorded; only the steps that it reaches run."""
        from sopkit import demand

        self.plan = self.cycle.save(demand.plan(self.cycle.book, kept=self.cycle.kept))
        self.cycle.mark("demand", "done")  # so that the event log knows these tables

    def _store(self) -> None:
        if not self.draft.entries and not self.supersedes.value:
            return self.message.say("Nothing was stored: nothing is typed yet.", wrong=True)
        recorded = self.cycle.records.read("overrides")
        if clashes := self.draft.overlapping(recorded[recorded["id"] > self.seen]):
            self._agree()
            self._begin()
            lines = ["Nothing was stored. Others changed the same cells; the sheet shows them now:", *clashes]
            return self.message.say("\n".join(lines), wrong=True)
        before = self.plan["demand_plan"]
        common = {"reason": self.reason.value, "evidence": self.evidence.value, "expires": self.expires.value}
        rows = [{**fields, **common, **replaced} for fields, replaced in self._to_store()]
        by = {"author": self.owner.value, "cycle": self.cycle.cycle}
        numbers = self.cycle.records.add_all("overrides", rows, seen=last_number(recorded), **by)
        who, self.reason.value, self.evidence.value = self.owner.value, "", ""
        self.message.say(
            f"{forms.numbered('Override', numbers)} by {who} stored; the consensus is being made again ..."
        )
        self._agree()
        change = self.plan["demand_plan"]["consensus"].sum() - before["consensus"].sum()
        self._begin()
        self._show_change(before)
        stale = [stage for stage in self.cycle.stale() if stage != "demand"]
        self.after.offer(stale)
        self.message.say(
            f"{forms.numbered('Override', numbers)} by {who} stored. The consensus changed by "
            f"{words.number(change, sign=True)} {self.plan.units} in all. Stale now: {words.listed(stale, 6)}."
        )

    def _to_store(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """(override, what it replaces): the first one typed replaces what was chosen; alone, that one is withdrawn."""
        replaced = {"supersedes": self.supersedes.value} if self.supersedes.value else {}
        drafted = self.draft.overrides
        if not drafted:
            old = self.cycle.read("overrides").set_index("id").loc[self.supersedes.value]
            scope = {name: old[name] for name in ("level", "product", "family", "market", "first_month", "last_month")}
            drafted = [scope | {"action": "scale", "amount": 1.0}]
        return [(fields, replaced if not at else {}) for at, fields in enumerate(drafted)]

    def _show_change(self, before: pd.DataFrame) -> None:
        both = pd.concat({"consensus before": before, "consensus": self.plan["demand_plan"]}, names=["series"])
        rows = both.groupby(["series", "month"], sort=False)["consensus"].sum().reset_index(name="units")
        self.shown.show(charts.line(
            rows, "units", series="series", title="Consensus demand: everything planned", unit=self.plan.units,
            look_for="What the demand meeting signs, month by month.", height=200,
        ))  # fmt: skip

    def _show_recorded(self, recorded: pd.DataFrame) -> None:
        rows = list(recorded.itertuples())
        recorded = recorded.assign(
            what=[" · ".join(filter(None, (row.family, row.product, row.market))) or "everything" for row in rows],
            change=[f"{row.action} {row.amount:,g}" for row in rows],
            months=[_when(row) for row in rows],
            id=recorded["id"].astype(str),
        )
        none = "Nobody has changed the numbers."
        self.recorded.show(charts.table(recorded, SHOWN, title="Overrides in force", none=none))


def _when(row: Any) -> str:
    return words.span(row.first_month, row.last_month)
