"""The findings of collect: filtered, each seen in its file, planned around by an assumption, the files read again."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from sopkit import charts, words
from sopkit.collect import around, collect
from sopkit.collect.collected import Collected
from sopkit.cycle import Cycle
from sopkit.tables import INPUTS, TABLES
from sopkit.workbench import forms


class FindingsBrowser(forms.Form):
    """What is wrong with the data, finding by finding; `collected` is what was read last, for the cells below.

    A finding is shown in its file, with the rows around it. Who corrects the file reads it again here; who plans
    around it declares an assumption, with an owner and the last cycle in which it holds: kept in the records, never
    written into the company's files.
    """

    def __init__(self, cycle: Cycle, collected: Collected) -> None:
        super().__init__(cycle)
        self.collected, self._memory = collected, {}  # type: ignore[var-annotated]
        kinds = [("errors and warnings", forms.ALL), ("errors", "error"), ("warnings", "warning")]
        self.severity = forms.choice("Show", kinds)
        self.table = forms.choice("Table", [("every table", forms.ALL)])
        self.contains = forms.text("Contains", "a column, a value or a word")
        wide = widgets.Layout(width="min(70em, 100%)")
        self.finding = widgets.Select(description="Finding", rows=8, style=forms.LABEL, layout=wide)
        self.again = forms.button("Read the files again", "After a correction in the file")
        self.shown = forms.Shown()
        self.statement = forms.text("Assume", "how it is planned around")
        self.about = forms.choice("In place of", [("no table", forms.ALL), *((one.name, one.name) for one in INPUTS)])
        people = collected.tables.get("people", TABLES["people"].empty())["name"]
        self.owner = forms.person("Owner", [(name, name) for name in sorted(people)])
        self.expires = forms.choice("Holds", [("until declared anew", None), *forms.months(cycle, "up to cycle {}")])
        self._finish("Declare assumption")
        self.recorded = forms.Shown()
        self._does(self.again, self._read_again, self.message)
        for picker in (self.severity, self.table, self.contains):
            picker.observe(self._offer, "value")
        self.finding.observe(self._show, "value")
        self._offer()
        self._show_recorded()
        self._lay_out("Go through the findings")

    # findings ----------------------------------------------------------------------------------------------------

    def _offer(self, change: Any = None) -> None:
        found, words_ = self.collected.findings, self.contains.value.strip().casefold()
        if change is None:
            self.table.options = [("every table", forms.ALL), *((one, one) for one in sorted(found["table"].unique()))]
        for column in ("severity", "table"):
            if chosen := getattr(self, column).value:
                found = found[found[column] == chosen]
        if words_:
            cells = found[["column", "value", "rule", "fix"]].astype(str).to_numpy()
            found = found[[words_ in " ".join(row).casefold() for row in cells]]
        forms.offer_in(self.finding, ((_line(row), row.Index) for row in found.head(forms.MOST_OFFERED).itertuples()))
        more = (
            f"; the first {forms.MOST_OFFERED:,} are offered: choose a table" if len(found) > forms.MOST_OFFERED else ""
        )
        self.message.say(f"{words.sentence(words.several(len(found), 'finding'))}{more}.")
        self._show()

    def _show(self, _: Any = None) -> None:
        at = self.finding.value
        if at is None:
            return self.shown.show(charts.nothing("The finding in its file", "No finding is chosen."))
        row = self.collected.findings.loc[at]
        place, column, lines = around(self.collected, row, self._memory)
        if column and len(lines):
            here = lines["row"] == str(row["row"])
            lines[column] = lines[column].mask(here, "» " + lines[column] + " «")
        told = f"{words.sentence(row['rule'])}. {row['fix']}"
        title = f"The finding in its file: {place}" if place else f"Table {row['table']}"
        show = {name: "Row" if name == "row" else name for name in lines}
        self.shown.show(charts.table(lines, show, title=title, look_for=told, shows=["actual"], none=told))

    def _read_again(self) -> None:
        """The company's files as they stand now; what did not change is not read a second time."""
        self.message.say("Reading ...")
        before = set(map(tuple, self.collected.findings.astype(str).to_numpy()))
        folder, cycle = self.cycle.company_folder, self.cycle
        self.collected = collect(folder, cycle.cycle, carried=cycle.carried(), memory=self._memory)
        now = set(map(tuple, self.collected.findings.astype(str).to_numpy()))
        self._offer()
        self.message.say(
            f"Read again: {words.several(len(before - now), 'finding')} gone, {len(now - before):,} new; "
            f"{words.several(self.collected.errors, 'error')} left. Run the cells below to plan with it.",
            wrong=self.collected.errors > 0,
        )

    # assumptions -------------------------------------------------------------------------------------------------

    def _store(self) -> None:
        told = {"statement": self.statement.value, "stands_for": self.about.value, "expires": self.expires.value}
        by = {"author": self.owner.value, "cycle": self.cycle.cycle}
        number = self.cycle.records.add("declared_assumptions", **by, **told)
        self.statement.value = ""
        self._read_again()
        self._show_recorded()
        left = self.message.value
        self.message.say(f"Assumption {number} by {self.owner.value} is declared; {self.expires.label}.")
        self.message.value += left

    def _show_recorded(self) -> None:
        recorded = self.cycle.read("declared_assumptions").drop_duplicates("statement", keep="last")
        show = {"statement": "Assumption", "stands_for": "In place of", "author": "Owner", "expires": "Holds until"}
        none = "Nothing is assumed but what stands in company.yaml."
        self.recorded.show(charts.table(recorded, show, title="Assumptions declared here", none=none))


def _line(row: Any) -> str:
    where = f"{row.table}, row {row.row:,}" if row.row else row.table
    value = f"{row.column} {row.value}".strip()
    return " · ".join(filter(None, (row.severity, where, value, row.rule)))
