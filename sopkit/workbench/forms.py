"""Forms that ask for an answer and a name: a correction of history (01), a decision (05), and what all forms share."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import ipywidgets as widgets
import pandas as pd

from sopkit import charts, words
from sopkit.book.signed import signers
from sopkit.charts import Figure
from sopkit.charts.figure import begin
from sopkit.cycle import Cycle
from sopkit.errors import RecordError, SopkitError
from sopkit.workbench.freshness import Freshness

LABEL = {"description_width": "9.5em"}
WIDE = widgets.Layout(width="34em")
ALL = ""
CELL = ["month", "product", "market"]
MOST_OFFERED = 300  # a longer list is slow in a browser and read by nobody: the pickers narrow it


def choice(label: str, options: Iterable[tuple[str, Any]]) -> widgets.Dropdown:
    """One of several, the first chosen."""
    offered = list(options)  # without an index, an option whose value is None is not shown as chosen
    first = 0 if offered else None
    return widgets.Dropdown(description=label, options=offered, index=first, style=LABEL, layout=WIDE)


def offer_in(picker: widgets.Dropdown, options: Iterable[tuple[str, Any]]) -> None:
    """Offer other options and choose the first: a picker that once offered none would go on choosing none."""
    picker.options = list(options)
    picker.index = 0 if picker.options else None


def button(label: str, tip: str = "", *, primary: bool = False, disabled: bool = False) -> widgets.Button:
    """A button as wide as its label."""
    style, fits = "primary" if primary else "", widgets.Layout(width="max-content")
    return widgets.Button(description=label, tooltip=tip, button_style=style, disabled=disabled, layout=fits)


def stop_button(label: str, tip: str = "") -> widgets.Button:
    """Ends what is under way, asleep until then; any other press waits for what was typed before it (freshness.js)."""
    return button(label, tip, disabled=True).add_class("sopkit-stop")


def text(label: str, hint: str) -> widgets.Text:
    """A line to type into."""
    return widgets.Text(description=label, placeholder=hint, style=LABEL, layout=WIDE)


def named(frame: pd.DataFrame, code: str) -> list[tuple[str, str]]:
    """(what people read, code) of a table with a code and a name."""
    return [(f"{row[code]}  {row['name']}".strip(), row[code]) for row in frame.to_dict("records")]


def people(cycle: Cycle, may_sign: str = "") -> list[tuple[str, str]]:
    """(what people read, name) of everybody, or of those who may sign a stage."""
    people = cycle.read("people")
    if may_sign:
        people = people[people["name"].isin(signers(people, may_sign))]
    return [(f"{person['name']}, {person['role']}", person["name"]) for person in people.to_dict("records")]


def person(label: str, people: Iterable[tuple[str, str]]) -> widgets.Dropdown:
    """Somebody has to be named: nobody is chosen in advance."""
    return choice(label, [("choose a person", ""), *people])


def months(cycle: Cycle, told: str = "{}") -> list[tuple[str, pd.Timestamp]]:
    """(what people read, month) of the planned months."""
    return [(told.format(words.month_name(month)), month) for month in cycle.months]


def looks(cycle: Cycle) -> Cycle:
    """The cycle as it stands on disk, opened for no stage."""
    return Cycle.open(cycle.company_name, cycle.cycle, reports=cycle.folder.parents[1])


def effect(change: pd.Series, currency: str) -> str:
    """What a change by measure brings: the result of the company, and the service penalties that are no money."""
    result, penalties = (words.amount(change[name], currency, sign=True) for name in ("result", "service penalties"))
    return f"result {result}, service penalties {penalties}"


def counted(frame: pd.DataFrame) -> list[str]:
    """The numbers of rows, from 1 on."""
    return [str(at) for at in range(1, len(frame) + 1)]


def numbered(what: str, numbers: list[int]) -> str:
    """Which records were stored: `Override 7`, `Overrides 7 to 9`."""
    return f"{what} {numbers[0]}" if len(numbers) == 1 else f"{what}s {numbers[0]} to {numbers[-1]}"


class Message(widgets.HTML):
    """One line that says what happened; a screen reader speaks it."""

    def say(self, text: str, wrong: bool = False) -> None:
        """Say what happened, or what is `wrong`."""
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


class Shown(widgets.HTML):
    """A figure under controls: dimmed and marked from when one of them moves until it is made again."""

    def show(self, figure: Figure) -> None:
        """Show a figure in the place of the last one."""
        self.value = figure._repr_html_()

    def stale(self, why: str) -> None:
        """Mark what is shown, with the reason."""
        self.value = re.sub(r"<figure( data-stale=\"[^\"]*\")?", f'<figure data-stale="{html.escape(why)}"', self.value)


class Control(widgets.VBox):
    """What a person works with; a headless run keeps what it shows as a static table, for nobody will click there."""

    def _repr_mimebundle_(self, **more: Any) -> Any:
        still = "".join(one.value for one in self.children if isinstance(one, widgets.HTML) and one.value)
        if os.environ.get("SOPKIT_RUNNER"):
            return {"text/html": still, "text/plain": type(self).__name__}
        self._opened()
        return super()._repr_mimebundle_(**more)

    def _opened(self) -> None:
        """What takes a while, only where a person looks at the control."""
        begin()  # for the figure that follows


class Form(Control):
    """Controls under a heading, in the order in which they were made, a line that says what happened, and figures."""

    def __init__(self, cycle: Cycle) -> None:
        self.cycle = cycle

    def _lay_out(self, heading: str, within: Sequence[Any] = (), level: int = 3) -> None:
        """Controls under their heading; those `within` another control are laid out there, as a form of level 4 is."""
        controls = [one for one in vars(self).values() if isinstance(one, widgets.Widget) and one not in within]
        self.fresh = Freshness.of(self.cycle, type(self).__name__, self._told)
        told = [self.fresh] if level == 3 else []
        super().__init__([widgets.HTML(f"<h{level}>{heading}</h{level}>"), *told, *controls])

    def _told(self) -> None:
        """What to do when others have stored or made something."""

    def _finish(self, verb: str) -> None:
        """The button that stores, the line that says what happened, and the figure that shows it."""
        self.store = button(verb, primary=True)
        self.message = Message()
        self.shown = Shown()
        self._does(self.store, self._store, self.message)

    def _does(self, button: widgets.Button, act: Callable[[], None], message: Message) -> None:
        """A press of `button` acts, once at a time; an error of ours is a message, never a traceback."""

        def pressed(_: Any) -> None:
            button.disabled = True
            try:
                act()
            except SopkitError as error:
                message.refuse(error)
            finally:
                button.disabled = False
                self.fresh.look()

        button.on_click(pressed)

    def _store(self) -> None:
        raise NotImplementedError

    def _until_run(self) -> str:
        return (
            f"Stale until then: {', '.join(self.cycle.stale())}. Run sopkit run --company {self.cycle.company_name} "
            f"--cycle {self.cycle.cycle} --resume, or the cells above again."
        )


class AnswerForm(Form):
    """A planner's answer to proposed corrections of history: accepted, refused, or another quantity; why, and by whom.

    Several can be answered at once; another quantity is given for one. It is a record, `history_answers`, by which
    history is corrected when collect runs again.
    """

    def __init__(self, cycle: Cycle) -> None:
        super().__init__(cycle)
        self.history = cycle.read("clean_history")
        self.corrections = self._corrections()
        self.which = choice("Show", [("what waits for an answer", "waiting"), ("every correction", ALL)])
        self.product = choice("Product", [("all products", ALL), *self._touched("products", "product")])
        self.market = choice("Market", [("all markets", ALL), *self._touched("markets", "market")])
        wide = widgets.Layout(width="min(70em, 100%)")
        self.correction = widgets.SelectMultiple(description="Corrections", rows=8, style=LABEL, layout=wide)
        told = {"accepted": "it counts as proposed", "changed": "another quantity counts",
                "refused": "what was sold counts"}  # fmt: skip
        answers = [(f"{answer}: {what}", answer) for answer, what in told.items()]
        self.answer = choice("Answer", [("choose an answer", ""), *answers])
        self.quantity = widgets.FloatText(description="Month counts", disabled=True, style=LABEL, layout=WIDE)
        self.reason = text("Reason", "what really happened in that month")
        self.owner = person("Owner", people(cycle))
        self._finish("Store answer")
        self.recorded = Shown()
        self.recorded.show(answers_given(self.cycle))
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
        return named(frame[frame[code].isin(self.corrections[code])], code)

    @property
    def _rows(self) -> list[dict[str, Any]]:
        """The chosen corrections."""
        return self.corrections.loc[list(self.correction.value)].to_dict("records")

    def _offer(self, _: Any = None) -> None:
        rows = self.corrections
        for name in ("product", "market"):
            if chosen := getattr(self, name).value:
                rows = rows[rows[name] == chosen]
        if self.which.value:
            answered = pd.MultiIndex.from_frame(self.cycle.read("history_answers")[CELL])
            rows = rows[rows["status"].eq("proposed") & ~pd.MultiIndex.from_frame(rows[CELL]).isin(answered)]
        self.correction.options = [(_told(row), row.Index) for row in rows.head(MOST_OFFERED).itertuples()]
        more = f"; the first {MOST_OFFERED:,} are offered: choose a product or a market" * (len(rows) > MOST_OFFERED)
        self.message.say(f"{len(rows):,} corrections to choose from, the largest first{more}.")
        self.correction.index = (0,) if self.correction.options else ()
        self._pick()

    def _pick(self, _: Any = None) -> None:
        if rows := self._rows:
            self.quantity.value = rows[0]["proposed"]
        self._show()

    def _counts(self, row: dict[str, Any]) -> float:
        """What the month counts under the answer on the form; as it stands where none is chosen."""
        counts = {"accepted": row["proposed"], "refused": row["raw"], "changed": self.quantity.value}
        return counts.get(self.answer.value, row["quantity"])

    def _show(self, _: Any = None) -> None:
        row = next(iter(self._rows), None)
        self.quantity.disabled = self.answer.value != "changed" or len(self._rows) != 1
        if row is None:
            return self.shown.show(charts.nothing("The correction in its series", "No correction is chosen."))
        mine = self.history[(self.history["product"] == row["product"]) & (self.history["market"] == row["market"])]
        series = {"as sold": mine["raw"], "as it counts": mine["quantity"]}
        if self.answer.value:
            series["with this answer"] = mine["quantity"].mask(mine["month"].eq(row["month"]), self._counts(row))
        frame = mine[["month"]].assign(**series).melt("month", var_name="history", value_name="units")
        why = f"{words.month_name(row['month'])}: {row['reason']}.".replace("?.", "?")
        title = f"The correction in its series: {row['product']} · {row['market']}"
        about = charts.About(title=title, look_for=why, height=200)
        self.shown.show(charts.line(frame, "units", series="history", unit="units", **about))

    def _store(self) -> None:
        rows, given = self._rows, self.answer.value
        if not rows:
            return self.message.say("Nothing was stored. Choose a correction first.", wrong=True)
        if given == "changed" and len(rows) > 1:
            return self.message.say("Nothing was stored. Choose one correction to give another quantity.", wrong=True)
        another = self._counts(rows[0]) if given == "changed" else None
        fields = {"answer": given, "reason": self.reason.value, "quantity": another}
        answers = [fields | {name: row[name] for name in CELL} for row in rows]
        by = {"author": self.owner.value, "cycle": self.cycle.cycle}
        numbers = self.cycle.records.add_all("history_answers", answers, **by)
        first, counts = rows[0], words.number(self._counts(rows[0]))
        self.answer.value, self.reason.value = "", ""
        self.recorded.show(answers_given(self.cycle))
        self._offer()
        told = f"are stored: {words.several(len(rows), 'correction')} {given}"
        if len(rows) == 1:
            told = f"is stored: {first['product']} in {first['market']}, {words.month_name(first['month'])}, counts "
            told += f"{counts} units once collect has run again; "
            told += f"it counts {words.number(first['quantity'])} in the plan"
        self.message.say(f"{numbered('Answer', numbers)} by {self.owner.value} {told}. {self._until_run()}")


def _told(row: Any) -> str:
    """A proposed correction in a line."""
    quantities = f"{words.number(row.raw)} → {words.number(row.proposed)} units"
    place = f"{words.month_name(row.month)} · {row.product} · {row.market}"
    return f"{place}: {quantities}, {row.method.replace('_', ' ')}, {row.status}"


def answers_given(cycle: Cycle) -> Figure:
    """Every answer to a month of history, the newest first."""
    recorded = cycle.read("history_answers")
    holds = recorded.duplicated(CELL, keep="last").map({False: "yes", True: "answered again"})
    show: dict[str, charts.Show | str] = {
        "id": "No.", "author": "Owner", "month": "Month", "product": "Product", "market": "Market", "answer": "Answer",
        "quantity": charts.Show("Counts", "units"), "reason": "Reason", "holds": "Holds",
    }  # fmt: skip
    rows = recorded.assign(id=recorded["id"].astype(str), holds=holds).iloc[::-1]
    return charts.table(rows, show, title="Answers given", none="Nobody has answered yet.")
