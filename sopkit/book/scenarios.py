"""Scenarios, a short list of changes on any table, and the questions they answer; checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from sopkit.book.ask import chosen
from sopkit.errors import SettingsError, nearest
from sopkit.files import replace_file
from sopkit.tables import BY_NAME, TABLES, Table, load_yaml, to_yaml, validated
from sopkit.tables.company import Month
from sopkit.words import heading, local, say, span, with_unit

if TYPE_CHECKING:
    from sopkit.book.book import Book
    from sopkit.book.plan import Plan

    Planned = TypeVar("Planned", bound=Plan)

# what a scenario may change: whatever demand and supply read that the company brought, what people override, and the
# demand plan itself
CHANGEABLE = sorted(
    name
    for name in {*BY_NAME["demand"].reads, *BY_NAME["supply"].reads}
    if (TABLES[name].stage == "collect" or name in ("demand_plan", "overrides")) and name != "commitments"
)


class Change(BaseModel):
    """One change: cells (`column` with set, add or scale, `where` it applies), new `rows`, or rows to `drop`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str
    where: dict[str, Any] = {}
    column: str = ""
    set: float | str | None = None
    add: float | None = Field(None, allow_inf_nan=False)
    scale: float | None = Field(None, ge=0, allow_inf_nan=False)
    rows: list[dict[str, Any]] = []
    drop: bool = False

    @model_validator(mode="after")
    def _one_action(self) -> Change:
        if self.table not in CHANGEABLE:
            raise ValueError(f"no table {self.table!r} to change: {nearest(self.table, CHANGEABLE)}")
        cells = [action for action in (self.set, self.add, self.scale) if action is not None]
        if bool(self.rows) + self.drop + bool(cells) != 1 or len(cells) > 1:
            raise ValueError("say exactly one of set, add, scale, rows or drop")
        if bool(cells) != bool(self.column):
            raise ValueError("set, add and scale need a column")
        declared = TABLES[self.table]
        for name in [*self.where, *([self.column] if self.column else []), *(key for row in self.rows for key in row)]:
            if name not in declared.names:
                raise ValueError(f"table {self.table} has no column {name!r}: {nearest(name, declared.names)}")
        if (self.add is not None or self.scale is not None) and declared[self.column].kind not in ("number", "whole"):
            raise ValueError(f"{self.table}.{self.column} is not a number: only set can change it")
        if isinstance(self.set, str) and declared[self.column].kind in ("number", "whole"):
            raise ValueError(f"{self.column} cannot be {self.set!r}; allowed: {declared[self.column].allowed}")
        for row in (self.where, *self.rows, {self.column: self.set}):
            given = {name: value for name, value in row.items() if value not in ("", None)}
            try:  # no row yet, but values that no row could have are refused
                chosen(declared.empty(), given, f"table {self.table}")
            except SettingsError as error:
                raise ValueError(str(error)) from None
        return self

    @classmethod
    def checked(cls, **fields: Any) -> Change:
        """A change from its fields; SettingsError in words where they make none."""
        try:
            return cls(**fields)
        except ValidationError as error:
            wrong = [mistake["msg"].removeprefix("Value error, ") for mistake in error.errors()]
            raise SettingsError(f"This is no change: {'; '.join(wrong)}.") from None

    @property
    def sentence(self) -> str:
        """The change in words; `Book.in_words` puts names in the place of its codes."""
        table, column, where = heading(self.table), _named(self.column), self._told(self.where) or say("everywhere")
        if self.rows:
            return f"{table}: {'; '.join(map(self._told, self.rows))}"
        if self.drop:
            return say("{table}: rows dropped where {rows}", table, where)
        if self.set is not None:
            value = _words(self.set, TABLES[self.table][self.column].kind)
            return say("{table}: {column} becomes {value} ({rows})", table, column, value, where)
        if self.add is not None:
            return f"{table}: {column} {local(f'{self.add:+,g}')} ({where})"
        share = with_unit(local(f"{100 * (self.scale or 0.0) - 100:+,.4g}"), "%")
        return f"{table}: {column} {share} ({where})"

    def _told(self, cells: Mapping[str, Any]) -> str:
        kinds = {name: TABLES[self.table][name].kind for name in cells}
        return ", ".join(f"{_named(name)} {_words(value, kinds[name])}" for name, value in cells.items())


BASE = "base"  # the plan without changes, among scenarios and options
# a month like 2026-12, which YAML may read as a day; nothing is empty
_Month = Annotated[Month, BeforeValidator(lambda value: "" if value is None else str(value)[:7])]


class Scenario(BaseModel):
    """A named list of changes over the base: an option is ours to choose, an event happens to us.

    An option may cost money `once` (in `first`, or the cycle's month) and `monthly` (from `first` to `last`), can be
    chosen up to `choose_by`, and is held `against` events (codes; none given = all of the file). An event has a
    `probability`, or takes it from table suppliers (`supplier`: its risk) or pipeline (`opportunity`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    title: str
    owner: str = ""
    changes: list[Change]
    kind: Literal["option", "event"] = "option"
    once: float = 0.0
    monthly: float = 0.0
    first: _Month = ""
    last: _Month = ""
    choose_by: _Month = ""
    against: list[str] | None = None
    probability: float | None = None
    supplier: str = ""
    opportunity: str = ""

    @model_validator(mode="after")
    def _of_its_kind(self) -> Scenario:
        of_an_option, of_an_event = "once monthly first last choose_by against", "probability supplier opportunity"
        given, other = (of_an_event, "event") if self.kind == "option" else (of_an_option, "option")
        wrong = [name for name in given.split() if name in self.model_fields_set]
        if wrong:
            raise ValueError(f"{wrong[0]} belongs to an {other}, and this is an {self.kind}: write kind: {other}")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError(f"probability is {self.probability:g}: a probability is between 0 and 1 (20 % is 0.2)")
        return self

    @property
    def spans(self) -> list[tuple[str, str]]:
        """First and last month (`2027-01`) that each change speaks of; empty texts where it speaks of none."""
        named = [row.get("month") for change in self.changes for row in (change.rows or [change.where])]
        months = [one for span in named for one in (span if isinstance(span, list) else [span])]
        ends = [str(one or "").partition("..") for one in months]
        return [(first[:7], (last or first)[:7]) for first, _, last in ends]

    @property
    def until(self) -> str:
        """The last month that its changes speak of; empty where one of them has no end."""
        ends = [last for _, last in self.spans]
        return max(ends) if ends and all(ends) else ""

    def under(self, event: Scenario) -> Scenario:
        """This option once `event` has happened."""
        changes = [*event.changes, *self.changes]
        return self.model_copy(update={"changes": changes, "title": f"{self.title}, if: {event.title}"})

    def costs(self, code: str, months: Sequence[pd.Timestamp]) -> pd.DataFrame:
        """Rows of table `option_costs` in the planned `months`: what the option costs beside what the plan buys."""
        first, last = pd.Timestamp(self.first or months[0]), pd.Timestamp(self.last or months[-1])
        rows = [(code, max(first, months[0]), self.once)]
        rows += [(code, month, self.monthly) for month in months if first <= month <= last]
        frame = pd.DataFrame(rows, columns=["option", "month", "amount"])
        return frame[frame["amount"] != 0].groupby(["option", "month"], as_index=False)["amount"].sum()

    def chance(self, book: Book) -> tuple[float | None, str]:
        """The probability of an event, None where nobody states one, and where it is from."""
        if self.probability is not None:
            return self.probability, "stated"
        for code, table, key, column in (
            (self.supplier, "suppliers", "supplier", "risk"),
            (self.opportunity, "pipeline", "opportunity", "probability"),
        ):
            if code:
                found = book[table].set_index(key)[column]
                if code not in found.index:
                    raise SettingsError(f"event {self.title!r}: no {key} {code!r}: {nearest(code, found.index)}")
                return float(found[code]), f"{table}.{column}"
        return None, "nobody states it"


class Question(BaseModel):
    """One question for the executive meeting: its options, and the answer once there is one.

    `events` are those that matter to it; none given = those that its options are held against. An answer is given in
    one `cycle` for one `plan` (the first letters of its hash) and counts for no other.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str = Field(min_length=1)
    options: list[str] = Field(min_length=1)
    option: str | None = None
    reason: str | None = None
    owner: str = ""
    decided_by: str = ""
    events: list[str] | None = None
    due: _Month = ""
    expected_effect: str = ""
    cycle: _Month = ""
    plan: str = Field("", pattern="^([0-9a-f]{8,64})?$")


def load_questions(path: Path) -> list[Question]:
    """The questions in `path` (decisions.yaml); none where there is no file. Raises SettingsError by line."""
    if not path.exists():
        return []
    document, lines = load_yaml(path)
    return validated(list[Question], document or [], lines, path)


def _named(column: str) -> str:
    return say(column.replace("_", " "))


def _words(value: Any, kind: str) -> str:
    """The value of a cell, a list of them or a span of months, as people write it."""
    if isinstance(value, list):
        return reduce(lambda one, other: say("{one} or {other}", one, other), [_words(one, kind) for one in value])
    if kind == "month":
        first, _, last = str(value).partition("..")
        return span(first, last or first)
    return local(f"{value:,.10g}") if kind in ("number", "whole") else str(value)


def load_scenarios(path: Path) -> dict[str, Scenario]:
    """The scenarios in `path`, in its order; none where there is no file. Raises SettingsError by line."""
    if not path.exists():
        return {}
    document, lines = load_yaml(path)
    if not isinstance(document, dict):
        raise SettingsError(f"{path}, line 1: write one scenario a key, with a title and changes.")
    loaded = validated(dict[str, Scenario], document, lines, path)
    if BASE in loaded:
        raise SettingsError(f"{path}, line {lines[(BASE,)]}: base is the plan without changes; rename this scenario.")
    return loaded


def add_scenario(path: Path, code: str, scenario: Scenario) -> None:
    """Write `scenario` at the end of scenarios.yaml, under `code`; what stands there stays, to the letter.

    Raises SettingsError where the code is taken or the file cannot be read.
    """
    if code in load_scenarios(path):
        raise SettingsError(f"{path} has a scenario {code!r} already. Give another title.")
    before = path.read_text(encoding="utf-8").rstrip("\n") + "\n\n" if path.exists() else ""
    written = scenario.model_dump(exclude_defaults=True)
    replace_file(path, (before + to_yaml({code: written})).encode())


def _spread(row: dict[str, Any], declared: Table) -> list[dict[str, Any]]:
    """A row for every month of a range such as `2027-01..2027-06`; the row itself where it has none."""
    for name, value in row.items():
        if declared[name].kind == "month" and ".." in str(value):
            first, last = str(value).split("..")
            return [{**row, name: month.strftime("%Y-%m")} for month in pd.date_range(first, last, freq="MS")]
    return [row]


def _changed(frame: pd.DataFrame, change: Change, name: str) -> tuple[pd.DataFrame, int]:
    """`frame` after one change, checked, and how many rows it concerned."""
    declared = TABLES[change.table]
    if change.rows:
        rows = pd.DataFrame([row for given in change.rows for row in _spread(given, declared)])
        for column in (one for one in declared if one.kind in ("month", "date") and one.name in rows):
            rows[column.name] = pd.to_datetime(rows[column.name].astype(str))
        rows = declared.conform(rows)
        key = list(declared.key)
        kept = frame.merge(rows[key], on=key, how="left", indicator=True)["_merge"].eq("left_only").to_numpy()
        return declared.check(pd.concat([frame[kept], rows], ignore_index=True)), len(rows)
    try:
        mask = chosen(frame, change.where, f"scenario {name!r}: table {change.table}")
    except SettingsError as error:
        raise SettingsError(f"{error}. The change would do nothing.") from None
    if not mask.any():
        why = f"scenario {name!r}: no row of table {change.table} fits {change.where}"
        raise SettingsError(f"{why}. Correct `where`: the change would do nothing.")
    if change.drop:
        return frame[~mask].reset_index(drop=True), int(mask.sum())
    frame = frame.copy()
    column = declared[change.column]
    if change.set is not None:
        value = pd.Timestamp(str(change.set)) if column.kind in ("month", "date") else change.set
        frame.loc[mask, column.name] = value
    elif change.add is not None:
        changed = frame.loc[mask, column.name] + change.add
        frame.loc[mask, column.name] = changed if column.low is None else changed.clip(lower=column.low)
    else:
        frame.loc[mask, column.name] *= change.scale
    return declared.check(frame), int(mask.sum())


def apply(
    tables: Mapping[str, pd.DataFrame], changes: Sequence[Change], name: str
) -> tuple[dict[str, pd.DataFrame], list[int]]:
    """The tables after every one of `changes` in order, and the rows each one concerned.

    Raises SettingsError where a change concerns no row, FindingsError where a changed table breaks its declaration.
    """
    changed, rows = dict(tables), []
    for change in changes:
        if change.rows and change.table not in changed:
            changed[change.table] = TABLES[change.table].empty()
        if change.table not in changed:
            raise SettingsError(f"scenario {name!r} changes table {change.table}, which this company does not have.")
        changed[change.table], count = _changed(changed[change.table], change, name)
        rows.append(count)
    return changed, rows


def changed_by(plan: Planned, scenario: Scenario, *, judged: bool = True) -> tuple[Planned, list[int]]:
    """`plan` under a scenario before supply is planned, and the rows each of its changes concerned.

    Demand is planned again where a change reaches it; changes of the demand plan itself, those the plan stands on
    already and the scenario's, come after that. A demand plan that was brought stays: SettingsError for a change of
    what only stage demand reads. Without `judged` past forecasts are not judged again. Raises what `apply` raises.
    """
    inputs = [change for change in scenario.changes if change.table != "demand_plan"]
    of_plan = [change for change in scenario.changes if change.table == "demand_plan"]
    tables, rows = apply(plan, inputs, scenario.title)
    changed, demand, brought = plan.with_tables(tables), import_module("sopkit.demand"), "demand_layers" not in plan
    if brought:
        changed = _around_what_was_brought(plan, changed, scenario)
    else:
        # a plan that was not judged is not judged for this
        judged = judged and "exceptions" in plan
        steps = [step for step in BY_NAME["demand"].steps if judged or step.name != "judge"]
        if any(step.reached(changed, plan) for step in steps):
            changed = changed.with_tables(demand.plan(changed, kept=plan))
    anew = not brought and changed["demand_plan"] is not plan["demand_plan"]
    by_hand = [*(plan.by_hand if anew else ()), *of_plan]
    if by_hand:
        tables, more = apply({"demand_plan": changed["demand_plan"]}, by_hand, scenario.title)
        changed = changed.with_tables(demand.settled(changed, tables["demand_plan"], judged=judged))
        rows += more[len(by_hand) - len(of_plan) :]
    costs = scenario.costs(scenario.title, changed.months)
    if len(costs):
        changed = changed.with_tables({"option_costs": pd.concat([changed["option_costs"], costs], ignore_index=True)})
    counted = {id(change): count for change, count in zip([*inputs, *of_plan], rows, strict=True)}
    return replace(changed, by_hand=(*plan.by_hand, *of_plan)), [counted[id(change)] for change in scenario.changes]


def _around_what_was_brought(plan: Planned, changed: Planned, scenario: Scenario) -> Planned:
    """`changed` with the demand plan of `plan`, which was brought; its net prices follow those that changed."""
    reach = {*BY_NAME["supply"].reads, "prices"}
    if unread := sorted({change.table for change in scenario.changes} - reach):
        raise SettingsError(
            f"scenario {scenario.title!r} changes table {unread[0]}, which only stage demand reads, and the demand "
            "plan was brought as it is: the change would do nothing. Change table demand_plan, or ask book.demand()."
        )
    frame = plan["demand_plan"]
    before, now = plan.net_prices(frame), changed.net_prices(frame)
    moved = (frame["price"] == before) & (before != now)
    if not moved.any():
        return changed
    return changed.with_tables({"demand_plan": frame.assign(price=frame["price"].mask(moved, now))})
