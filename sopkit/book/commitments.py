"""Commitments: what was adopted binds later cycles, as an overlay on the company's tables until these contain it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sopkit.book.book import BINDING
from sopkit.book.scenarios import Change, Scenario, apply
from sopkit.errors import Finding, SopkitError
from sopkit.tables import TABLES, Table
from sopkit.words import month_name, say

if TYPE_CHECKING:
    from sopkit.book.book import Book

Tables = dict[str, pd.DataFrame]
PLANNED = ("overrides", "demand_plan")  # no company brings them: stage demand changes them
IN_FORCE, LATE, CONTAINED, DONE = "in force", "late", "contained", "done"
EXPIRED, REVOKED, UNFIT = "expired", "revoked", "fits nothing"
MANY = 1_000  # cells that are remembered, so that tables which contain them are noticed


def _keys(declared: Table, frame: pd.DataFrame) -> pd.Series:
    """Each row's key as one text."""
    parts = [frame[name].map(_cell).astype(str) for name in declared.key]
    return pd.Series(["|".join(row) for row in zip(*parts, strict=True)], frame.index, dtype=object)


def of(changes: str) -> Scenario:
    """The scenario that table `adopted` keeps as JSON; fields that say nothing are left out."""
    return Scenario(**{name: value for name, value in json.loads(changes).items() if value not in (None, "", 0.0)})


def reaches(tables: Mapping[str, pd.DataFrame], scenario: Scenario) -> str:
    """Every cell that `scenario` changes with its value before and after, by change and key, as JSON.

    By it a later cycle notices that the company's own tables contain it. A change of very many cells is not kept.
    """
    found: dict[int, list[Any]] = {}
    for number, change in enumerate(scenario.changes):
        if change.table not in PLANNED and change.column:
            before, declared = tables[change.table], TABLES[change.table]
            after = apply(tables, [change], scenario.title)[0][change.table]
            moved = after[change.column].ne(before[change.column]) & after[change.column].notna()
            values = (frame.loc[moved, change.column].map(_cell) for frame in (before, after))
            cells = [list(cell) for cell in zip(_keys(declared, after[moved]), *values, strict=True)]
            found |= {number: cells} if len(cells) <= MANY else {}
    return json.dumps(found)


def _cell(value: Any) -> Any:
    """A cell as a change of scenarios.yaml writes it."""
    if pd.isna(value):
        return None
    return f"{value:%Y-%m}" if isinstance(value, pd.Timestamp) else value.item() if hasattr(value, "item") else value


def _taken_out(tables: Mapping[str, pd.DataFrame], scenario: Scenario, known: Mapping[str, Any]) -> list[Change]:
    """The changes that take out of the company's own tables what they contain; none where that is not known."""
    steps = []
    for number, change in enumerate(scenario.changes):
        cells, declared = known.get(str(number)), TABLES[change.table]
        if not cells or any(before is None for _, before, _ in cells):
            return []
        keys = _keys(declared, tables[change.table])
        here = dict(zip(keys, tables[change.table].to_dict("records"), strict=True))
        for key, before, after in cells:
            if key in here and _cell(here[key][change.column]) == after:
                where = {name: _cell(here[key][name]) for name in declared.key}
                steps.append(Change(table=change.table, where=where, column=change.column, set=before))
    return steps


def difference(name: str, old: pd.DataFrame, new: pd.DataFrame) -> list[Change]:
    """The changes that make `new` of table `name` out of `old`, row by row."""
    declared = TABLES[name]
    before, after = (frame.set_index(_keys(declared, frame)) for frame in (old, new))

    def row(values: pd.Series) -> dict[str, Any]:
        return {column: _cell(value) for column, value in values.items() if pd.notna(value)}

    made = [Change(table=name, rows=[row(after.loc[key])]) for key in after.index.difference(before.index)]
    for key in before.index.difference(after.index):
        where = {column: _cell(before.at[key, column]) for column in declared.key}
        made.append(Change(table=name, where=where, drop=True))
    both = before.index.intersection(after.index)
    one, two = before.loc[both], after.loc[both]
    other = ~((one == two) | (one.isna() & two.isna()))
    numbers = [c.name for c in declared if c.kind in ("number", "whole")]
    for key in both[other.any(axis=1)]:
        where = {column: _cell(one.at[key, column]) for column in declared.key}
        more = {column: two.at[key, column] - one.at[key, column] for column in numbers if other.at[key, column]}
        if len(more) == other.loc[key].sum() and pd.notna([*more.values()]).all():
            made += [Change(table=name, where=where, column=column, add=float(by)) for column, by in more.items()]
        else:
            made.append(Change(table=name, rows=[row(two.loc[key])]))
    return made


def _bound(frame: pd.DataFrame, change: Change, cells: Sequence[Any], first: pd.Timestamp) -> pd.DataFrame:
    """`frame` under `change`, but where it stands there already (`cells`: see `reaches`)."""
    known = {key: after for key, _, after in cells} if change.set is None else {}
    declared, rests = TABLES[change.table], pd.Series(False, frame.index)
    if not change.rows and "month" in frame:
        rests |= frame["month"] < first
    if known:
        reached = _keys(declared, frame).map(known).to_numpy(float)
        rests |= np.isclose(frame[change.column].to_numpy(float), reached, rtol=1e-9, atol=1e-9)
    contained = bool(known) and bool(rests.any())
    try:
        changed = apply({change.table: frame[~rests]}, [change], "commitment")[0][change.table]
    except SopkitError:
        if contained or change.drop:
            return frame
        raise
    return declared.conform(pd.concat([frame[rests], changed], ignore_index=True)) if rests.any() else changed


def _one(
    tables: Tables, scenario: Scenario, known: Mapping[str, Any], first: pd.Timestamp
) -> tuple[Tables, list[Change]]:
    """The tables that `scenario` changes as they are with it, and the changes that take it out again."""
    after = {change.table: tables[change.table] for change in scenario.changes if change.table not in PLANNED}
    for number, change in enumerate(scenario.changes):
        if change.table in after:
            after[change.table] = _bound(after[change.table], change, known.get(str(number), ()), first)
    undo = [step for name in after for step in difference(name, after[name], tables[name])]
    return {name: frame for name, frame in after.items() if frame is not tables[name]}, undo


def passed_on(commitments: pd.DataFrame, adopted: pd.DataFrame) -> pd.DataFrame:
    """What a cycle leaves to the next one: its own `commitments` that still bind, and what it `adopted`."""
    over = commitments["status"].isin([EXPIRED, REVOKED]) | commitments["option"].isin(adopted["option"])
    still, new = commitments[~over], adopted.assign(status=IN_FORCE)
    declared = TABLES["commitments"]
    parts = [part.reindex(columns=declared.names) for part in (still, new) if len(part)] or [declared.empty()]
    return declared.conform(pd.concat(parts, ignore_index=True).fillna({"note": "", "undo": ""}))


def overlaid(
    tables: Mapping[str, pd.DataFrame], carried: pd.DataFrame, closings: pd.DataFrame, months: Sequence[pd.Timestamp]
) -> tuple[Tables, list[Finding]]:
    """The company's tables with every commitment of `carried` that binds, table `commitments` as it stands now, what
    they cost, and what somebody should know. `closings`: what people recorded; `months`: those of the plan.
    """
    now, rows, costs = dict(tables), [], []
    findings: list[Finding] = []
    for row in carried.sort_values(["cycle", "option"]).to_dict("records"):
        scenario, first = of(row["changes"]), months[0]
        closing = closings[(closings["option"] == row["option"]) & (closings["adopted"] == row["cycle"])].tail(1)
        ends, note, closed = scenario.until, "", row["closed"]
        undo: list[Change] = []
        due = pd.notna(row["due"]) and row["due"] < first
        known = json.loads(row["reaches"] or "{}")
        if row["status"] == DONE:  # closed in an earlier cycle
            status, note = DONE, row["note"]
        elif len(closing):
            one = closing.iloc[0]
            status, note, closed = one["how"], f"{one['author']}: {one['reason']}", pd.Timestamp(one["cycle"])
        elif ends and ends < f"{first:%Y-%m}":
            status, note = EXPIRED, say("Its last month was {month}.", month_name(pd.Timestamp(ends)))
        else:
            status = LATE if due else IN_FORCE
            try:
                changed, undo = _one(now, scenario, known, first)
            except SopkitError as error:
                status, note = UNFIT, str(error).replace("scenario 'commitment'", "it")
            else:
                later = any(change.table in PLANNED for change in scenario.changes)
                status = status if undo or later or not scenario.changes else CONTAINED
                now |= changed
        if status in (CONTAINED, DONE):
            undo = _taken_out(now, scenario, known)
        if status in BINDING:
            spent = (scenario.first or f"{row['cycle']:%Y-%m}") < f"{first:%Y-%m}"
            costs.append(scenario.model_copy(update={"once": 0.0} if spent else {}).costs(row["option"], months))
        row |= {"status": status, "note": note, "closed": closed, "until": pd.Timestamp(ends or None)}
        rows.append(row | {"undo": json.dumps([step.model_dump(exclude_defaults=True) for step in undo])})
        findings += _noticed(row, first)
    if rows:
        now["commitments"] = TABLES["commitments"].conform(pd.DataFrame(rows))
    if any(map(len, costs)):
        now["option_costs"] = TABLES["option_costs"].conform(pd.concat(costs, ignore_index=True))
    return now, findings


def _noticed(row: Mapping[str, Any], first: pd.Timestamp) -> Iterator[Finding]:
    """What a planner should know of a commitment."""
    who, about = row["owner"] or row["decided_by"], (row["option"], row["title"], month_name(row["cycle"]))
    close = f"sopkit commitments --cycle {first:%Y-%m} --close {row['option']} --by NAME --reason TEXT"
    revoke = close.replace("--close", "--revoke")
    if row["status"] == IN_FORCE:
        rule = say("{option} ({title}), adopted in {cycle}, is added to the company's tables", *about)
        fix = say("{owner} brings it into them; from then on nothing is added.", who)
    elif row["status"] == LATE:
        told = (
            "{option} ({title}), adopted in {cycle}, is late: due in {month}, and the company's tables do not "
            "contain it yet"
        )
        rule = say(told, *about, month_name(row["due"]))
        fix = say("{owner} brings it into them, or it is revoked: {command}.", who, revoke)
    elif row["status"] == CONTAINED:
        told = "{option} ({title}), adopted in {cycle}, stands in the company's tables now and is not added any more"
        rule, fix = say(told, *about), say("Close it: {command}.", close)
    elif row["status"] == UNFIT:
        rule = say("{option} ({title}), adopted in {cycle}, changes nothing any more: {note}", *about, row["note"])
        fix = say("Correct the table, or revoke it: {command}.", revoke)
    else:
        return
    yield Finding("commitments", 0, "option", row["option"], rule, "warning", "", fix)


def planned(book: Book, table: str) -> list[tuple[str, list[Change]]]:
    """Title and changes of `table` (one of `PLANNED`) of every commitment in force, in the order in which they came."""
    rows = book["commitments"]
    rows = rows[rows["status"].isin([IN_FORCE, LATE])].sort_values(["cycle", "option"])
    found = [(row.title, of(row.changes).changes) for row in rows.itertuples()]
    return [(title, mine) for title, all_ in found if (mine := [one for one in all_ if one.table == table])]


def without(row: Mapping[str, Any]) -> Scenario | None:
    """The scenario that takes a commitment in force out of the plan again; None where that cannot be closing."""
    changes = [Change(**step) for step in json.loads(row["undo"] or "[]")]
    for change in of(row["changes"]).changes:
        if change.table == "demand_plan" and change.add is not None:
            changes.append(change.model_copy(update={"add": -change.add}))
        elif change.table == "demand_plan" and change.scale:
            changes.append(change.model_copy(update={"scale": 1 / change.scale}))
        elif change.table in PLANNED:
            return None
    return Scenario(title=say("without: {title}", row["title"]), changes=changes) if changes else None
