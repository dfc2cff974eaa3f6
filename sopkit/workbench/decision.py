"""The decision room: agenda, options side by side, the answer with dissent and expected effect, and signatures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
import pandas as pd

from sopkit import charts, words
from sopkit.book import Book, actions
from sopkit.cycle import Cycle, followup, signatures
from sopkit.cycle.checklist import blocking
from sopkit.tables import STAGES, TABLES
from sopkit.words import divided
from sopkit.workbench import forms

MOST = 90  # letters of an action in a list to choose from


class DecisionRoom(forms.Form):
    """The executive meeting: its agenda, each question with its options side by side, and the answer to it.

    An answer says which option, why, who decided, what it should bring, who disagreed and why, and who carries it out
    by when; one that makes no sense is refused before it is stored. What is stored goes into the records, the plan of
    record is made at once, and stage decide can be signed.
    """

    def __init__(self, cycle: Cycle) -> None:
        from sopkit import decide

        super().__init__(cycle)
        self.book = cycle.given
        self.agenda = forms.Shown()
        results = self.book["scenario_results"]
        self.titles = results.drop_duplicates("scenario").set_index("scenario")["title"]
        self.questions = decide.questions(self.book)
        self.question = forms.choice("Question", [(asked.question, at) for at, asked in enumerate(self.questions)])
        self.side, self.events = forms.Shown(), forms.Shown()
        self.option = forms.choice("Decision", [])
        self.reason = forms.text("Reason", "why this option, in a sentence")
        self.expected = forms.text("Expected effect", "what it should bring; judged next cycle")
        self.dissent = forms.text("Dissent", "who disagreed, and why; else empty")
        self.by = forms.person("Decided by", forms.people(cycle, "decide"))
        self.owner = forms.choice("Carried out by", [("as asked", ""), *forms.people(cycle)])
        self.due = forms.choice("Due", [("as asked", None), *forms.months(cycle)])
        self._finish("Store decision")
        self.actions = ActionForm(cycle)
        self.sign = SignForm(cycle, ["decide"])
        self.question.observe(self._offer_options, "value")
        made = {name: cycle.read(name) for name in ("decision_log", "decision_table", "decision_scores", "adopted")}
        self._show(self.book.with_tables(made))
        self._offer_options()
        self._lay_out("Decide, with a reason")

    def _offer_options(self, _: Any = None) -> None:
        asked = self.questions[self.question.value]
        forms.offer_in(self.option, [("not decided yet", ""), *((self.titles[code], code) for code in asked.options)])
        self._side_by_side()

    def _side_by_side(self) -> None:
        from sopkit.decide import figures

        asked = self.questions[self.question.value].question
        place = list(self.decided["decision_log"]["question"]).index(asked)
        self.side.show(figures.question(self.decided, place))
        self.events.show(figures.table(self.decided, place))

    def _store(self) -> None:
        from sopkit import decide

        asked = self.questions[self.question.value]
        status = "approved" if self.option.value else decide.UNDECIDED
        fields = {
            "question": asked.question, "option": self.option.value, "reason": self.reason.value.strip(),
            "owner": self.owner.value or asked.owner, "due": self.due.value, "expected_effect": self.expected.value,
            "dissent": self.dissent.value, "status": status,
        }  # fmt: skip
        needed = {"a reason": fields["reason"], "who decided": self.by.value}
        missing = [what for what, given in needed.items() if not given]
        if missing:
            return self.message.say(f"Nothing was stored. Say {' and '.join(missing)}.", wrong=True)
        number = signatures.decide(self.cycle, fields, by=self.by.value)
        self.book = self.cycle.book
        self.reason.value = self.expected.value = self.dissent.value = ""  # first: what is typed from here on stays
        self.message.say(f"Decision {number} is stored; the plan of record is being made ...")
        plan = self.cycle.save(decide.plan(self.book), anew=True)
        log = plan["decision_log"]
        left = int((log["status"] == decide.UNDECIDED).sum())
        stands = f"{left} of {len(log)} questions are open: the plan is a draft." if left else "The plan is decided."
        told = f"Decision {number} by {self.by.value} is stored: {self.option.label}."
        self.message.say(f"{told} {stands} Stage publish is now stale.")
        self._show(plan)
        self._side_by_side()

    def _show(self, decided: Book) -> None:
        """The agenda and what stands decided, of the book with the tables of stage decide."""
        from sopkit.decide import figures

        self.decided, order = decided, [asked.question for asked in self.questions]
        self.actions.look(decided)
        log = decided["decision_log"].set_index("question").loc[order].reset_index()
        late = set(decided["decision_log"].loc[figures.overdue(decided), "question"])
        status = log["status"].mask(log["question"].isin(late), figures.OVERDUE)
        left = int(log["status"].eq("undecided").sum())
        told = f"{words.sentence(words.several(left, 'question'))} to decide." if left else "Every question is decided."
        show = {"number": "No.", "question": "Question", "owner": "Owner", "due": "Due", "status": "Status"}
        rows, none = log.assign(number=forms.counted(log), status=status), "Nothing is to be decided."
        self.agenda.show(charts.table(rows, show, title="Agenda", look_for=told, none=none))
        columns = "question option reason decided_by owner due expected_effect dissent"
        answers = charts.columns_of("decision_log", columns, option="Decision", owner="Carried out by")
        rows = log.assign(option=log["option"].map(self.titles).fillna("open"))
        self.shown.show(charts.table(rows, answers, title="What stands decided", none=none))


class ActionForm(forms.Form):
    """Who does what by when: an action of one's own, one that the plan proposes, or a later word about one."""

    def __init__(self, cycle: Cycle) -> None:
        super().__init__(cycle)
        self.about = forms.choice("Action", [])
        self.what = forms.text("What", "what is to be done")
        self.who = widgets.SelectMultiple(
            description="Who", options=forms.people(cycle), rows=4, style=forms.LABEL, layout=forms.WIDE
        )
        self.due = widgets.DatePicker(description="Due", style=forms.LABEL, layout=forms.WIDE)
        self.status = forms.choice("Status", [(word, word) for word in TABLES["actions"]["status"].choices])
        self.comment = forms.text("Comment", "what is to be known; @name for whom")
        self.by = forms.person("Recorded by", forms.people(cycle))
        self._finish("Store action")
        self._lay_out("Who does what by when", level=4)
        self.about.observe(self._pick, "value")

    def look(self, book: Book) -> None:
        """What is recorded now, and what the decided plan proposes."""
        from sopkit.decide import figures

        self.book = book = book.with_tables({"actions": self.cycle.records.read("actions")})
        self.standing, self.proposed = actions.standing(book["actions"]), actions.proposed(book)
        known = [(f"{number}. {row.what}", number) for number, row in self.standing.iterrows()]
        new = [(f"proposed: {row.what}", row.origin) for row in self.proposed.itertuples()]
        forms.offer_in(self.about, [("a new one", ""), *((label[:MOST], value) for label, value in known + new)])
        self.shown.show(figures.board(book))

    def _pick(self, _: Any = None) -> None:
        chosen = self.about.value
        if isinstance(chosen, int):
            row = self.standing.loc[chosen]
        elif chosen:
            row = self.proposed.set_index("origin").loc[chosen]
        else:
            row = pd.Series({"what": "", "assignees": "", "due": None})
        names = set(dict(self.who.options).values())
        self.what.value = row["what"]
        self.who.value = [name for name in divided(row["assignees"]) if name in names]
        self.due.value = row["due"].date() if pd.notna(row["due"]) else None
        self.status.value = row.get("status", "open")

    def _store(self) -> None:
        chosen = self.about.value
        told: dict[str, Any] = {}
        if isinstance(chosen, int):
            told = {"action": chosen}
        elif chosen:
            told = {"origin": chosen, "effect": self.proposed.set_index("origin").at[chosen, "effect"]}
        told |= {"what": self.what.value, "assignees": ", ".join(self.who.value), "status": self.status.value}
        told |= {"due": self.due.value and f"{self.due.value:%Y-%m-%d}", "comment": self.comment.value}
        number = followup.note(self.cycle, by=self.by.value, **told)
        self.comment.value = ""
        self.look(self.book)
        self.message.say(f"Action {number} is stored. sopkit actions drafts a mail and a calendar for each person.")


class SignForm(forms.Form):
    """A signature on a stage exactly as its tables are now; who may sign it is in table people."""

    def __init__(self, cycle: Cycle, stages: Sequence[str], done: Callable[[], None] = lambda: None) -> None:
        super().__init__(cycle)
        self._done = done
        self.stage = forms.choice("Stage", [(stage, stage) for stage in stages])
        self.by = forms.person("Signed by", [])
        self.note = forms.text("Remark", "stands beside the signature")
        self.because = forms.text("Signed because", "only where its checklist is not true")
        self._finish("Sign")
        self._lay_out("Sign a stage as it is now", level=4)
        self.stage.observe(self._offer, "value")
        self._offer()

    def _offer(self, _: Any = None) -> None:
        forms.offer_in(self.by, [("choose a person", ""), *forms.people(self.cycle, self.stage.value)])

    def _store(self) -> None:
        if not self.by.value:
            return self.message.say("Nothing was signed. Say who signs.", wrong=True)
        told = {"note": self.note.value, "because": self.because.value}
        number, _ = signatures.sign(forms.looks(self.cycle), self.stage.value, by=self.by.value, **told)
        self.message.say(f"{self.by.value} signed stage {self.stage.value} as it is now (record {number}).")
        self._done()


class Checklist(forms.Form):
    """What still blocks publication, in the order of doing, with who is waited for; a stage can be signed here."""

    def __init__(self, cycle: Cycle) -> None:
        super().__init__(cycle)
        self.shown = forms.Shown()
        self.again = forms.button("Look again")
        self.sign = SignForm(cycle, [stage.name for stage in STAGES], self._told)
        self.again.on_click(lambda _: self._told())
        self._told()
        self._lay_out("What still blocks publication")

    def _told(self) -> None:
        left = blocking(self.cycle)
        self.shown.show(charts.table(
            left.assign(number=forms.counted(left)),
            {"number": "No.", "what": "What blocks", "waits for": "Waits for", "next": "Next"},
            title="Before it can be published", none="Nothing blocks publication.",
            look_for=f"{words.sentence(words.several(len(left), 'thing'))} to do first.",
        ))  # fmt: skip
