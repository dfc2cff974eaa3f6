"""What if: several changes of anything the plan depends on, each with its own effect and all of them together."""

from __future__ import annotations

import re
import threading
import time
from functools import cached_property
from typing import Any, NamedTuple

import ipywidgets as widgets
import pandas as pd

from sopkit import words
from sopkit.book import Change, Plan, Scenario, add_scenario
from sopkit.cycle import Cycle
from sopkit.errors import SopkitError, StoppedError
from sopkit.workbench import forms
from sopkit.workbench.sheet import Sheet
from sopkit.workbench.typed import SHEETS, TableDraft

PATIENCE = 2.0  # seconds for which a slider waits for its answer; a large network's comes later, and can be stopped
SHIFT = 8.0  # hours of a shift on a working day


class Lever(NamedTuple):
    """Something a plan depends on: a `column` of `table`, for the rows of one code of table `places`.

    `monthly`: the table has months. `by`: per cent, whole months, or shifts of eight hours on each working day.
    """

    words: str
    table: str
    column: str
    place: str
    places: str
    monthly: bool = False
    by: str = "%"

    @property
    def found_in(self) -> str:
        """The table that says which places have it: a supplier's capacity by month is an exception to its offers."""
        return "offers" if self.table == "supplier_capacity" else self.table


LEVERS = {
    "hours": Lever("available hours", "capacity", "hours", "resource", "resources", monthly=True),
    "shifts": Lever("shifts", "capacity", "hours", "resource", "resources", monthly=True, by="shifts"),
    "overtime_limit": Lever("overtime limit", "capacity", "overtime_limit", "resource", "resources", monthly=True),
    "people": Lever("people", "workforce", "people", "site", "sites"),
    "supplier": Lever("supplier capacity", "supplier_capacity", "capacity", "supplier", "suppliers", monthly=True),
    "supplier_price": Lever("supplier price", "offers", "price", "supplier", "suppliers"),
    "lead_time": Lever("supplier lead time", "offers", "lead_time", "supplier", "suppliers", by="months"),
    "freight": Lever("freight cost from", "lanes", "cost", "origin", "sites"),
    "lane": Lever("lane capacity from", "lanes", "capacity", "origin", "sites"),
    "transit": Lever("transit time from", "lanes", "lead_time", "origin", "sites", by="months"),
    "safety_stock": Lever("safety stock", "policies", "safety_stock", "site", "sites"),
    "demand": Lever("demand", "demand_plan", "consensus", "family", "families", monthly=True),
    "price": Lever("net price", "demand_plan", "price", "family", "families", monthly=True),
}


class Listed(widgets.HBox):
    """A change on the list: on or off, what it does alone, and a button that takes it away."""

    def __init__(self, title: str, changes: list[Change], effect: str) -> None:
        self.title, self.changes = title, changes
        self.on = widgets.Checkbox(value=True, description=title, indent=False, layout=widgets.Layout(width="28em"))
        self.effect = widgets.HTML(f"<span>{effect}</span>", layout=widgets.Layout(width="36em"))
        self.away = forms.button("Remove", title)
        super().__init__([self.on, self.effect, self.away])


class WhatIf(forms.Form):
    """Anything the plan depends on, more or less of it in some months: what would that bring?

    Each move of the slider solves the supply plan again, on top of the changes on the list that are switched on, and
    shows it beside the plan of the cycle. Nothing is stored until the list is kept as a scenario in scenarios.yaml.
    """

    heading = "What if there were more, or less?"

    def __init__(self, cycle: Cycle) -> None:
        super().__init__(cycle)
        self.tables = cycle.given
        months = forms.months(cycle)
        levers = [(lever.words, name) for name, lever in LEVERS.items() if self._there(lever)]
        self.lever = forms.choice("Change", levers)
        self.place = forms.choice("Of", [])
        self.first = forms.choice("From", months)
        self.last = forms.choice("To", months)
        self.last.index = len(months) - 1
        about = {"style": forms.LABEL, "layout": forms.WIDE, "continuous_update": False}
        self.percent = widgets.IntSlider(0, min=-100, max=100, step=5, description="By, %", **about)
        self.keep_change = forms.button("Put on the list", "So that more can be changed with it")
        there = [(typed.words, name) for name, typed in SHEETS.items() if len(self.tables[typed.table])]
        self.sheet_of = forms.choice("Or type over", [("no table", ""), *there])
        self.place_of_sheet: Any = widgets.Box(layout=widgets.Layout(display="block"))
        self.take_sheet = forms.button("Put what is typed on the list")
        self.draft: TableDraft | None = None
        self.message = forms.Message()
        self.give_up = forms.stop_button("Give up", "Stop solving; the plan stays as it is")
        self.listed = widgets.VBox()
        self.shown, self.limits = forms.Shown(), forms.Shown()
        self.title = forms.text("Scenario", "what the list is called in the meeting")
        self.owner = forms.person("Owner", forms.people(forms.looks(cycle)))
        self.store = forms.button("Keep as scenario", primary=True)
        self.kept = forms.Message()
        self._offer_places()
        self.lever.observe(self._offer_places, "value")
        for control in (self.place, self.first, self.last, self.percent):
            control.observe(self._solve, "value")
        self._does(self.keep_change, self._put_on_list, self.message)
        self.sheet_of.observe(self._open_sheet, "value")
        self._does(self.take_sheet, self._take_sheet, self.message)
        self._does(self.store, self._store, self.kept)
        self.give_up.on_click(self._given_up)
        self._lay_out(self.heading, within=(self.take_sheet,))
        self._asked: tuple[str, list[Change]] | None = None
        self._solver, self._took = threading.Thread(), cycle.manifest["stages"].get("supply", {}).get("seconds", 0.0)
        self.message.say("Move the slider: the plan is solved again, nothing is stored.")

    @cached_property
    def plan(self) -> Plan:
        """The plan that stage supply saved, with everything else of the cycle; its model stays in the solver."""
        return self.cycle.before_the_meeting

    @property
    def _lever(self) -> Lever:
        return LEVERS[self.lever.value]

    def _there(self, lever: Lever) -> bool:
        """Whether the company has what the lever changes."""
        known = len(self.tables[lever.places]) > 0 and (lever.by != "shifts" or len(self.tables["calendar"]) > 0)
        return known and bool(self._rows(lever).any())

    def _rows(self, lever: Lever) -> pd.Series:
        """Which rows hold what the lever changes: a lane without a limit has none to change."""
        rows = self.tables[lever.found_in]
        return rows[lever.column].notna() if lever.column in rows else pd.Series(True, rows.index)

    def _offer_places(self, _: Any = None) -> None:
        lever = self._lever
        named = self.tables[lever.places]
        code = named.columns[0]
        found = self.tables[lever.found_in].loc[self._rows(lever), lever.place]
        forms.offer_in(self.place, forms.named(named[named[code].isin(found)], code))
        self.percent.description = f"By, {lever.by}"
        most, self.percent.step = {"%": (100, 5), "months": (6, 1), "shifts": (2, 1)}[lever.by]
        self.percent.min, self.percent.max = -most, most
        for month in (self.first, self.last):
            month.disabled = not lever.monthly

    @property
    def _what(self) -> str:
        lever, by = self._lever, self.percent.value
        every = self.first.index == 0 and self.last.index == len(self.last.options) - 1
        when = f", {words.span(self.first.value, self.last.value)}" if lever.monthly and not every else ""
        return f"{self.place.value} {lever.words} {by:+d} {lever.by}{when}"

    def _changes(self) -> list[Change]:
        lever, factor = self._lever, 1 + self.percent.value / 100
        first, last = self.first.value, self.last.value
        if lever.column == "hours":
            # hours that are there after maintenance: the maintenance itself stays as planned
            rows = self.tables["capacity"]
            rows = rows[(rows["resource"] == self.place.value) & rows["month"].between(first, last)].copy()
            there = rows["hours"] - rows["maintenance"]
            if lever.by == "shifts":
                days = self.tables["calendar"].set_index("month")["working_days"].reindex(rows["month"]).to_numpy()
                more = there + self.percent.value * SHIFT * days
            else:
                more = there * factor
            rows["hours"] = rows["maintenance"] + more.clip(lower=0.0).round(6)
            return [Change(table="capacity", rows=_as_rows(rows))]
        if lever.table == "supplier_capacity":
            return [Change(table="supplier_capacity", rows=self._offered(first, last, factor))]
        where = {lever.place: self.place.value}
        if lever.monthly:
            where["month"] = f"{first:%Y-%m}..{last:%Y-%m}"
        how = {"add": float(self.percent.value)} if lever.by == "months" else {"scale": factor}
        return [Change.checked(table=lever.table, where=where, column=lever.column, **how)]

    def _offered(self, first: pd.Timestamp, last: pd.Timestamp, factor: float) -> list[dict[str, Any]]:
        """A supplier's capacity by month, times `factor`, also where its offers have one for all months."""
        offers, months = self.tables["offers"], [month for month in self.cycle.months if first <= month <= last]
        mine = offers[(offers["supplier"] == self.place.value) & offers["capacity"].notna()]
        grid = mine[["supplier", "item", "site", "capacity"]].merge(pd.DataFrame({"month": months}), how="cross")
        if grid.empty:
            raise SopkitError(f"{self.place.value} delivers without a limit: there is nothing to change.")
        keys = ["supplier", "item", "site", "month"]
        grid = grid.merge(self.tables["supplier_capacity"], on=keys, how="left", suffixes=("", "_of_month"))
        grid["capacity"] = grid["capacity_of_month"].fillna(grid["capacity"]) * factor
        return _as_rows(grid[[*keys, "capacity"]])

    # solving -----------------------------------------------------------------------------------------------------

    @property
    def _on(self) -> list[Listed]:
        return [one for one in self.listed.children if one.on.value]

    def _solve(self, _: Any = None) -> None:
        """What is on the list and switched on, and the change under the slider, solved together."""
        if self.first.value > self.last.value:
            self.message.say("The first month is after the last one.", wrong=True)
            return self.shown.stale("the first month is after the last one.")
        moved = [self._what] if self.percent.value or not self._on else []
        title = " and ".join([*(one.title for one in self._on), *moved])
        self.message.say(f"Solving with {title} ...")
        for figure in (self.shown, self.limits):
            figure.stale(f"not yet solved with {title}.")
        try:
            changes = [change for one in self._on for change in one.changes]
            changes += self._changes() if self.percent.value or not changes else []
        except SopkitError as error:
            return self.message.say(str(error), wrong=True)
        self._ask(title, changes)

    def _ask(self, title: str, changes: list[Change]) -> None:
        """Answer the last question asked in a thread of its own: within PATIENCE here, else until it is there."""
        self._asked = title, changes
        if self._solver.is_alive():
            self.plan.stop()
            self._solver.join(PATIENCE)
        if self._asked and not self._solver.is_alive():
            self._solver = threading.Thread(target=self._answer, daemon=True)
            self._solver.start()
        self._solver.join(PATIENCE)
        if self._solver.is_alive():
            self.give_up.disabled = False
            self.message.say(f"Solving with {title} ... This takes about {self._took:.0f} s.")

    def _answer(self) -> None:
        from sopkit.supply import figures

        while self._asked:
            (title, changes), began = self._asked, time.monotonic()
            self._asked = None
            try:
                compared = self.plan.what_if(changes, title=title, judged=False)
                effect = _effect(compared, self.plan.currency)
            except SopkitError as error:
                if not self._asked:
                    self.message.say(str(error), wrong=not isinstance(error, StoppedError))
                continue
            self._took = time.monotonic() - began
            if not self._asked:
                self.shown.show(compared.compare(look_for=f"{words.quoted(title)}: {effect}."))
                self.limits.show(figures.used_up(compared))
                self.message.say(f"Solved: {effect}.")
        self.give_up.disabled = True

    def _given_up(self, _: Any = None) -> None:
        self.message.say("Stopping ...")
        self._asked = None
        self.plan.stop()

    def _put_on_list(self) -> None:
        if not self.percent.value:
            return self.message.say("Move the slider first: a change of nothing has no effect.", wrong=True)
        listed = self._list(self._what, self._changes())
        self.percent.value = 0  # solves what is on the list
        if listed == 1:
            self._solve()

    def _list(self, title: str, changes: list[Change]) -> int:
        """Put changes on the list with what they do alone; returns how many stand there now."""
        effect = _effect(self.plan.what_if(changes, title=title, judged=False), self.plan.currency)
        one = Listed(title, changes, f"alone: {effect}")
        one.on.observe(self._solve, "value")
        one.away.on_click(lambda _: self._take_away(one))
        self.listed.children = [*self.listed.children, one]
        return len(self.listed.children)

    def _open_sheet(self, _: Any = None) -> None:
        self.draft, self.place_of_sheet.children = None, []
        if self.sheet_of.value:
            self.draft = TableDraft(self.tables, SHEETS[self.sheet_of.value])
            label = f"{words.sentence(self.draft.typed.words)}, {self.draft.unit}"
            self.place_of_sheet.children = [Sheet(self.draft, label=label, corner=self.draft.unit), self.take_sheet]

    def _take_sheet(self) -> None:
        """What is typed over becomes one change on the list: the company's own file stays as it is."""
        change = self.draft.change if self.draft is not None else None
        if self.draft is None or change is None:
            return self.message.say("Nothing is typed yet: type into the sheet first.", wrong=True)
        self._list(self.draft.what, [change])
        self.sheet_of.value = ""
        self._solve()

    def _take_away(self, one: Listed) -> None:
        self.listed.children = [other for other in self.listed.children if other is not one]
        self._solve()

    # keeping -----------------------------------------------------------------------------------------------------

    def _store(self) -> None:
        title, owner = self.title.value.strip(), self.owner.value
        missing = [what for what, given in {"a title": title, "an owner": owner}.items() if not given]
        if not self._on:
            missing.insert(0, "at least one change on the list")
        if missing:
            return self.kept.say(f"Nothing was kept. Give {words.listed(missing)}.", wrong=True)
        scenario = Scenario(title=title, owner=owner, changes=[change for one in self._on for change in one.changes])
        code = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or "scenario"
        path = self.cycle.scenarios
        add_scenario(path, code, scenario)
        self.title.value = ""
        self.kept.say(f"Kept as scenario {code} in {path}. It is solved beside the plan when the cycle runs again.")


def _effect(compared: Plan, currency: str) -> str:
    """What a change brings: the result of the company, and the service penalties that are no money."""
    both = compared.side_by_side()
    found = both[both["title"] == compared.title].set_index("measure")["difference"]
    return forms.effect(found, currency)


def _as_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.assign(month=frame["month"].dt.strftime("%Y-%m")).to_dict("records")
