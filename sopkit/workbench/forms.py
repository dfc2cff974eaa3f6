"""Forms that ask for an answer and a name: a correction of history (01), a decision (05), and what all forms share."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ipywidgets as widgets
import pandas as pd

from sopkit import charts, words
from sopkit.book.signed import signers
from sopkit.cycle import Cycle
from sopkit.errors import RecordError, SopkitError

LABEL = {"description_width": "9.5em"}
WIDE = widgets.Layout(width="34em")
ALL = ""
CELL = ["month", "product", "market"]
MOST_OFFERED = 300  # a longer list is slow in a browser and read by nobody: the pickers narrow it


def _choice(label: str, options: Iterable[tuple[str, Any]]) -> widgets.Dropdown:
    return widgets.Dropdown(description=label, options=list(options), style=LABEL, layout=WIDE)


def _offer_in(picker: widgets.Dropdown, options: Iterable[tuple[str, Any]]) -> None:
    """Offer other options and choose the first: a picker that once offered none would go on choosing none."""
    picker.options = list(options)
    picker.index = 0 if picker.options else None


def _words(label: str, hint: str) -> widgets.Text:
    return widgets.Text(description=label, placeholder=hint, style=LABEL, layout=WIDE)


def _names(frame: pd.DataFrame, code: str) -> list[tuple[str, str]]:
    """(what people read, code) of a table with a code and a name."""
    return [(f"{row[code]}  {row['name']}".strip(), row[code]) for row in frame.to_dict("records")]


def _people(cycle: Cycle, may_sign: str = "") -> list[tuple[str, str]]:
    """(what people read, name) of everybody, or of those who may sign a stage."""
    people = cycle.read("people")
    if may_sign:
        people = people[people["name"].isin(signers(people, may_sign))]
    return [(f"{person['name']}, {person['role']}", person["name"]) for person in people.to_dict("records")]


def _person(label: str, people: Iterable[tuple[str, str]]) -> widgets.Dropdown:
    """Somebody has to be named: nobody is chosen in advance."""
    return _choice(label, [("choose a person", ""), *people])


def _month_options(months: Iterable[pd.Timestamp]) -> list[tuple[str, pd.Timestamp]]:
    return [(words.month_name(month), month) for month in months]


class _Message(widgets.HTML):
    """One line that says what happened; a screen reader speaks it."""

    def say(self, text: str, wrong: bool = False) -> None:
        colour = "#a33" if wrong else "#1b6e3c"
        lines = "<br>".join(html.escape(line) for line in text.splitlines())
        self.value = f'<div role="{"alert" if wrong else "status"}" style="color:{colour}">{lines}</div>'

    def refuse(self, error: SopkitError) -> None:
        """Why it failed: a line for everything wrong with what was to be stored, else what the error says."""
        if not isinstance(error, RecordError):
            self.say(str(error), wrong=True)
            return
        lines = [f"{f.column or f.table} {f.value} {f.rule}. {f.fix}" for f in error.findings]
        self.say("\n".join(["Nothing was stored.", *(" ".join(line.split()) for line in lines)]), wrong=True)


class _Form(widgets.VBox):
    """Controls under a heading, in the order in which they were made, a line that says what happened, and figures."""

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle

    def _lay_out(self, heading: str, within: Sequence[Any] = ()) -> None:
        """Controls under their heading; those `within` another control are laid out there."""
        controls = [one for one in vars(self).values() if isinstance(one, widgets.Widget) and one not in within]
        super().__init__([widgets.HTML(f"<h3>{heading}</h3>"), *controls])

    def _finish(self, verb: str) -> None:
        """The button that stores, the line that says what happened, and the figure that shows it."""
        self.store = widgets.Button(description=verb, button_style="primary")
        self.message = _Message()
        self.shown = widgets.HTML()
        self.store.on_click(self._stored)

    def _stored(self, _: Any) -> None:
        """Store what the form holds, once."""
        self._once(self.store, self._store, self.message)

    def _once(self, button: widgets.Button, act: Callable[[], None], message: _Message) -> None:
        """What a button does, once at a time; an error of ours is a message, never a traceback."""
        button.disabled = True
        try:
            act()
        except SopkitError as error:
            message.refuse(error)
        finally:
            button.disabled = False

    def _store(self) -> None:
        raise NotImplementedError


class AnswerForm(_Form):
    """A planner's answer to a proposed correction of history: accepted, refused, or another quantity; why, and by whom.

    The answer goes into record table `history_answers`. History is corrected by it when stage collect runs again: until
    then collect and all that follows from it are stale, and the form says so.
    """

    def __init__(self, cycle: Cycle) -> None:
        super().__init__(cycle)
        self.history = cycle.read("clean_history")
        self.corrections = self._corrections()
        self.which = _choice("Show", [("what waits for an answer", "waiting"), ("every correction", ALL)])
        self.product = _choice("Product", [("all products", ALL), *self._touched("products", "product")])
        self.market = _choice("Market", [("all markets", ALL), *self._touched("markets", "market")])
        self.correction = _choice("Correction", [])
        self.correction.layout = widgets.Layout(width="62em")
        self.answer = _choice(
            "Answer",
            [
                ("choose an answer", ""),
                ("accepted: it counts as proposed", "accepted"),
                ("changed: another quantity counts", "changed"),
                ("refused: what was sold counts", "refused"),
            ],
        )
        self.quantity = widgets.FloatText(description="Month counts", disabled=True, style=LABEL, layout=WIDE)
        self.reason = _words("Reason", "what really happened in that month")
        self.owner = _person("Owner", _people(cycle))
        self._finish("Store answer")
        self.recorded = widgets.HTML()
        self._show_recorded()
        self._offer()
        for picker in (self.which, self.product, self.market):
            picker.observe(self._offer, "value")
        self.correction.observe(self._pick, "value")
        for control in (self.answer, self.quantity):
            control.observe(self._show, "value")
        self._lay_out("Answer a proposed correction")

    def _corrections(self) -> pd.DataFrame:
        """One row a corrected month of a series: raw, quantity (what counts now), proposed; largest change first."""
        rows = self.cycle.read("history_adjustments").rename(columns={"quantity": "change"})
        # where a planner changed it, the method's own proposal is what is offered again
        rows = rows.sort_values("status", key=lambda status: status.eq("changed"), kind="stable").drop_duplicates(CELL)
        rows = rows.merge(self.history[[*CELL, "raw", "quantity"]], on=CELL)
        rows["proposed"] = rows["raw"] + rows["change"]
        return rows.sort_values("change", key=abs, ascending=False, kind="stable", ignore_index=True)

    def _touched(self, table: str, code: str) -> list[tuple[str, str]]:
        frame = self.cycle.read(table)
        return _names(frame[frame[code].isin(self.corrections[code])], code)

    @property
    def _row(self) -> dict[str, Any] | None:
        """The chosen correction."""
        return None if self.correction.value is None else self.corrections.loc[self.correction.value].to_dict()

    def _offer(self, _: Any = None) -> None:
        rows = self.corrections
        for name in ("product", "market"):
            if chosen := getattr(self, name).value:
                rows = rows[rows[name] == chosen]
        if self.which.value:
            answered = pd.MultiIndex.from_frame(self.cycle.read("history_answers")[CELL])
            rows = rows[rows["status"].eq("proposed") & ~pd.MultiIndex.from_frame(rows[CELL]).isin(answered)]
        _offer_in(
            self.correction,
            (
                (
                    f"{words.month_name(row.month)} · {row.product} · {row.market}: {words.number(row.raw)} → "
                    f"{words.number(row.proposed)} units, {row.method.replace('_', ' ')}, {row.status}",
                    row.Index,
                )
                for row in rows.head(MOST_OFFERED).itertuples()
            ),
        )
        self.message.say(
            f"{len(rows):,} corrections to choose from, the largest first"
            + (
                f"; the first {MOST_OFFERED:,} are offered: choose a product or a market."
                if len(rows) > MOST_OFFERED
                else "."
            )
        )
        self._pick()

    def _pick(self, _: Any = None) -> None:
        if self._row is not None:
            self.quantity.value = self._row["proposed"]
        self._show()

    def _counts(self, row: dict[str, Any]) -> float:
        """What the month counts under the answer on the form; as it stands where none is chosen."""
        counts = {"accepted": row["proposed"], "refused": row["raw"], "changed": self.quantity.value}
        return counts.get(self.answer.value, row["quantity"])

    def _show(self, _: Any = None) -> None:
        row = self._row
        self.quantity.disabled = self.answer.value != "changed"
        if row is None:
            self.shown.value = charts.nothing("The correction in its series", "No correction is chosen.")._repr_html_()
            return
        mine = self.history[(self.history["product"] == row["product"]) & (self.history["market"] == row["market"])]
        series = {"as sold": mine["raw"], "as it counts": mine["quantity"]}
        if self.answer.value:
            series["with this answer"] = mine["quantity"].mask(mine["month"].eq(row["month"]), self._counts(row))
        frame = mine[["month"]].assign(**series).melt("month", var_name="history", value_name="units")
        self.shown.value = charts.line(
            frame,
            "units",
            series="history",
            unit="units",
            height=200,
            title=f"The correction in its series: {row['product']} · {row['market']}",
            look_for=f"{words.month_name(row['month'])}: {row['reason']}.",
        )._repr_html_()

    def _store(self) -> None:
        row = self._row
        if row is None:
            self.message.say("Nothing was stored. Choose a correction first.", wrong=True)
            return
        given, counts = self.answer.value, self._counts(row)
        number = self.cycle.records.add(
            "history_answers",
            author=self.owner.value,
            cycle=self.cycle.cycle,
            answer=given,
            quantity=counts if given == "changed" else None,
            reason=self.reason.value,
            **{name: row[name] for name in CELL},
        )
        self.answer.value, self.reason.value = "", ""
        self._show_recorded()
        self._offer()
        self.message.say(
            f"Answer {number} by {self.owner.value} is stored: {row['product']} in {row['market']}, "
            f"{words.month_name(row['month'])}, counts {words.number(counts)} units once collect has run again; it "
            f"counts {words.number(row['quantity'])} in the plan as it stands. Stale until then: "
            f"{', '.join(self.cycle.stale())}. Run sopkit run --company {self.cycle.company_name} --cycle "
            f"{self.cycle.cycle} --resume, or the cells above again."
        )

    def _show_recorded(self) -> None:
        recorded = self.cycle.read("history_answers")
        holds = ~recorded.duplicated(CELL, keep="last")
        recorded = recorded.assign(
            number=recorded["id"].astype(str), holds=holds.map({True: "yes", False: "answered again"})
        )
        self.recorded.value = charts.table(
            recorded.iloc[::-1],
            {
                "number": "No.",
                "author": "Owner",
                "month": "Month",
                "product": "Product",
                "market": "Market",
                "answer": "Answer",
                "quantity": charts.Show("Counts", "units"),
                "reason": "Reason",
                "holds": "Holds",
            },
            title="Answers given",
            none="Nobody has answered yet.",
        )._repr_html_()


class DecisionForm(_Form):
    """The meeting's answer to a question: which option, why, who decided, and who carries it out by when.

    An answer that makes no sense is refused before it is stored. What is stored goes into the records, and the
    decision log of the cycle is made again.
    """

    def __init__(self, cycle: Cycle) -> None:
        from sopkit import decide

        super().__init__(cycle)
        self.book = cycle.book
        results = self.book["scenario_results"]
        self.titles = results.drop_duplicates("scenario").set_index("scenario")["title"]
        self.questions = decide.questions(self.book)
        self.question = _choice("Question", [(asked.question, at) for at, asked in enumerate(self.questions)])
        self.advice = widgets.HTML()
        self.option = _choice("Decision", [])
        self.reason = _words("Reason", "why this option, in a sentence")
        self.by = _person("Decided by", _people(cycle, "decide"))
        self.owner = _choice("Carried out by", [("as asked", ""), *_people(cycle)])
        self.due = _choice("Due", [("as asked", None), *_month_options(cycle.months)])
        self._finish("Store decision")
        self.question.observe(self._offer_options, "value")
        self._show(self._log())
        self._offer_options()
        self._lay_out("Decide, with a reason")

    def _offer_options(self, _: Any = None) -> None:
        asked = self.questions[self.question.value]
        self.option.options = [("not decided yet", ""), *((self.titles[code], code) for code in asked.options)]
        log = self._log().set_index("question")
        advice = log.loc[asked.question, "recommendation"].partition(": ")[2]
        self.advice.value = f'<p style="max-width:46em">The numbers recommend: {html.escape(advice)}</p>'

    def _store(self) -> None:
        from sopkit import decide
        from sopkit.cycle import signatures

        asked = self.questions[self.question.value]
        fields = {
            "question": asked.question,
            "option": self.option.value,
            "reason": self.reason.value.strip(),
            "owner": self.owner.value or asked.owner,
            "due": self.due.value,
            "status": "approved" if self.option.value else decide.UNDECIDED,
        }
        needed = {"a reason": fields["reason"], "who decided": self.by.value}
        missing = [what for what, given in needed.items() if not given]
        if missing:
            self.message.say(f"Nothing was stored. Say {' and '.join(missing)}.", wrong=True)
            return
        number = signatures.decide(self.cycle, fields, by=self.by.value)
        self.book = self.cycle.book
        self.message.say(f"Decision {number} is stored; the plan of record is being made ...")
        log = self.cycle.save(decide.plan(self.book), anew=True)["decision_log"]
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

        return decide.decisions(self.book)

    def _show(self, log: pd.DataFrame) -> None:
        recorded = log.assign(decided=log["option"].map(self.titles).fillna("open"))
        self.shown.value = charts.table(
            recorded,
            {
                "question": "Question",
                "decided": "Decision",
                "reason": "Reason",
                "decided_by": "Decided by",
                "owner": "Carried out by",
                "due": "Due",
            },
            title="What stands decided",
            look_for="",
            none="Nothing is to be decided.",
        )._repr_html_()
