"""History as a sheet: a month that is known better is typed over, with reason and owner; sales stay as they came."""

from __future__ import annotations

from sopkit import words
from sopkit.book import Book
from sopkit.cycle import Cycle
from sopkit.workbench import forms
from sopkit.workbench.sheet import Sheet
from sopkit.workbench.typed import HistoryDraft


class HistorySheet(forms.Form):
    """The newest months of history, typed over like the demand plan: what is typed is stored as planners' answers."""

    def __init__(self, cycle: Cycle) -> None:
        super().__init__(cycle)
        read = {name: cycle.read(name) for name in ("families", "products", "markets", "clean_history")}
        self.draft = HistoryDraft(Book(read, cycle.company, cycle.cycle))
        label = f"History as it counts, {self.draft.unit}"
        self.sheet = Sheet(self.draft, label=label, corner=self.draft.unit)
        self.reason = forms.text("Reason", "what really happened in these months")
        self.owner = forms.person("Owner", forms.people(cycle))
        self._finish("Store history")
        self.recorded = forms.Shown()
        self.recorded.show(forms.answers_given(cycle))
        self._lay_out("Type over history, with a reason")

    def _store(self) -> None:
        if not (answers := self.draft.answers):
            return self.message.say("Nothing was stored: nothing is typed yet.", wrong=True)
        rows = [one | {"reason": self.reason.value} for one in answers]
        author, cycle = self.owner.value, self.cycle.cycle
        numbers = self.cycle.records.add_all("history_answers", rows, author=author, cycle=cycle)
        self.reason.value = ""
        self.recorded.show(forms.answers_given(self.cycle))
        self.message.say(
            f"{forms.numbered('Answer', numbers)} by {author} stored: {words.several(len(rows), 'month')} of history. "
            f"They count once collect has run again. {self._until_run()}"
        )
