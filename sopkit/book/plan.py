"""A plan is a value: a book with what was planned on it, that can be changed, compared, rolled up and drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import pandas as pd

from sopkit.book.book import Book
from sopkit.book.scenarios import Change, Scenario, changed_by
from sopkit.errors import SettingsError, SopkitError
from sopkit.words import span

if TYPE_CHECKING:
    from sopkit.charts import Figure
    from sopkit.engine import Engine

THIS = "This plan"
# what hangs on a plan and is made when somebody asks for it, and how
ON_ASKING: dict[str, Callable[[Plan], Mapping[str, pd.DataFrame]]] = {
    **dict.fromkeys(("binding_limits", "why_short", "levers", "level_chase"), lambda plan: plan._session.explained()),
    **dict.fromkeys(("pnl", "working_capital", "budget_bridge"), lambda plan: _room("reconcile").statements(plan)),
    "gaps": lambda plan: _room("reconcile").money(plan),
    **dict.fromkeys(("kpis", "frozen_plans"), lambda plan: _room("publish").plan(plan)),
}


def _room(name: str) -> Any:
    return import_module(f"sopkit.{name}")


Asked: TypeAlias = str | Scenario | Change | Sequence[Change]  # what if: a table, or changes as in scenarios.yaml


@dataclass(frozen=True, eq=False, repr=False)
class Plan(Book):
    """A book with a plan on it. A scenario is a plan like any other: the same tables, checks, figures and pack.

    `title` is what people call it; `base` is the plan it was changed from, `scenario` the changes and `rows` how many
    rows each of them concerned; `by_hand` are all changes of the demand plan itself that it stands on. Why there is not
    more, its money and its KPIs (`ON_ASKING`) are made when they are asked for.
    """

    title: str = THIS
    base: Plan | None = None
    scenario: Scenario | None = None
    rows: Sequence[int] = ()
    by_hand: Sequence[Change] = ()

    _next = "plan.what_if(table, column=..., add=...), plan.compare(other), plan.table(name, by=...), plan.plot(...)"

    def __getitem__(self, name: str) -> pd.DataFrame:
        """As a book's; what hangs on this plan and was not made is made now. A cycle's plan has what was written."""
        if name in self.tables or name not in ON_ASKING or "supply_costs" not in self.tables or self.manifest:
            return super().__getitem__(name)
        make = ON_ASKING[name]
        return self.once(make, lambda: self.with_tables(make(self)).tables)[name]

    @cached_property
    def _session(self) -> Any:
        """The supply model of this plan kept in the solver, to answer the next question from the last plan."""
        return _room("supply").session(self)

    def what_if(
        self,
        what: Asked,
        *,
        title: str = "",
        warm: bool = True,
        judged: bool = True,
        engine: Engine | str | None = None,
        **change: Any,
    ) -> Self:
        """The plan under a change: a scenario, changes, or one change of table `what` as in scenarios.yaml.

        `plan.what_if("capacity", resource="SEW-N", column="overtime_limit", add=90)`: `column` with one of `set`,
        `add`, `scale`, or `rows`, or `drop`; every other word says which rows. Demand is planned again where the change
        reaches it, with the changes that were made of the demand plan itself; one that was brought stays. Then supply:
        `warm`, the solver starts from this plan's answer (the same optimum, found sooner), else at `engine`. Without
        `judged` past forecasts are not judged again. Raises SettingsError for a change that concerns no row or an
        unknown name, SupplyDataError for data that contradict each other.
        """
        scenario = _scenario(self, what, title, change)
        changed, rows = changed_by(self, scenario, judged=judged)
        session, cold = self._session if warm else vars(self).get("_session"), None
        if session and not engine:
            frames = session.plan(self._asked(changed), anew=not warm)
        else:
            cold = _room("supply").session(changed, engine=engine)
            frames = cold.plan()
        planned = {name: frame for name, frame in frames.items() if name not in ON_ASKING}
        made = changed.with_stage("supply", planned, declared=True)
        made = replace(made, title=scenario.title, base=self, scenario=scenario, rows=rows)
        if cold:
            vars(made)["_session"] = cold
        return made

    def stop(self) -> None:
        """Give up the what-if that another thread waits for: it gets StoppedError, and the plan stays as it is."""
        if session := vars(self).get("_session"):
            session.stop()

    def _asked(self, changed: Book) -> dict[str, pd.DataFrame]:
        """The tables of stage supply in which `changed` differs."""
        reads = _room("supply").READS
        return {name: changed[name] for name in reads if changed[name] is not self[name]}

    def measures(self) -> pd.Series:
        """What plans are compared by: net sales, margin, result, service penalties, service, stock (a value each)."""
        return pd.Series(self.measured, name=self.title)

    @cached_property
    def measured(self) -> dict[str, float]:
        """`measures` by name, computed once: a plan is never changed."""
        if "supply_costs" not in self:
            raise SopkitError("Supply is not planned yet: ask plan.supply() first.")
        measured: dict[str, float] = _room("reconcile").measures(self)
        return measured

    def side_by_side(self, *others: Plan) -> pd.DataFrame:
        """Table scenario_results of this plan beside `others`, or beside the plan it was changed from."""
        for other in others:
            if not isinstance(other, Plan):
                what = f"a {type(other).__name__} is no plan" if isinstance(other, Book) else f"{other!r} is no plan"
                raise SettingsError(f"{what}: compare takes plans, such as book.plan() or plan.what_if(...)")
        if not others and self.base is None:
            raise SettingsError("There is nothing to compare with: name another plan, or ask plan.what_if(...) first.")
        base, rest = (self, others) if others else (self.base or self, (self,))
        titles = [base.title, *(plan.title for plan in rest)]
        names = [title if titles.count(title) == 1 else f"{title} ({at})" for at, title in enumerate(titles)][1:]
        frame = _room("reconcile").results(base, dict(zip(names, rest, strict=True)))
        return frame.assign(title=frame["scenario"].where(frame["scenario"].isin(names), base.title))

    def compare(self, *others: Plan, look_for: str = "") -> Figure:
        """`side_by_side` as a figure: a row a measure, the difference below each value, and which way is better."""
        from sopkit import charts, kpis

        frame = self.side_by_side(*others)
        frame["better"] = frame["measure"].isin(kpis.LOWER).map({True: "lower", False: "higher"})
        return charts.comparison(
            frame, title="Plans side by side", measures=kpis.MEASURES, lower=kpis.LOWER, look_for=look_for,
            who=self.who, period=span(self.first, self.months[-1]), shows=list(dict.fromkeys(frame["title"])),
            base_name=frame["title"].iloc[0], source="deliveries supply_costs stock resource_load",
        )  # fmt: skip

    def __getstate__(self) -> dict[str, Any]:
        """What travels to another process: everything but the model in the solver."""
        return {name: value for name, value in vars(self).items() if name not in ("_session", "_known")}


Book.planned_as = Plan


def _scenario(plan: Plan, what: Asked, title: str, change: dict[str, Any]) -> Scenario:
    if isinstance(what, Scenario) and not change:
        return what.model_copy(update={"title": title}) if title else what
    if isinstance(what, str):
        fields = ("column", "set", "add", "scale", "rows", "drop")
        actions = {name: change.pop(name) for name in fields if name in change}
        what = Change.checked(table=what, where=change, **actions)
    elif change:
        raise SettingsError(f"{', '.join(change)} would be ignored: name a table to change, or give changes alone")
    changes: list[Any] = [what] if isinstance(what, Change) else list(what) if isinstance(what, Sequence) else [what]
    wrong = [one for one in changes if not isinstance(one, Change)]
    if wrong or not changes or not isinstance(title, str):
        why = f"{wrong[0]!r} is no change" if wrong else f"{title!r} is no title" if changes else "there is no change"
        raise SettingsError(f"{why}: name a table and what changes in it, or give a Scenario or changes")
    told = plan.in_words(pd.Series([change.sentence for change in changes]))
    return Scenario(title=title or "; ".join(told), changes=changes)
