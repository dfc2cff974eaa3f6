"""What may be recorded: everything wrong with a record is found before it is stored, and said at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pandas as pd

from sopkit.errors import Finding, FindingsError, RecordError, nearest
from sopkit.tables import Table

ASKED = {"reason": "Say why, so that it can be judged next cycle.", "author": "Name the person who records it."}


def checked(declared: Table, row: Mapping[str, Any], known: Collection[int]) -> dict[str, Any]:
    """`row` as the database keeps it; `known` are the numbers of the records of this table that exist.

    Raises RecordError that lists everything wrong.
    """
    row, name = dict(row), declared.name
    wrong = []
    for column, fix in ASKED.items():
        if column in declared.names and declared[column].required and not str(row.get(column) or "").strip():
            wrong.append(_wrong(name, column, "is missing", fix))
            row[column] = "-"
    for column in sorted(set(row) - set(declared.names)):
        wrong.append(_wrong(name, column, "is no field of this record", nearest(column, declared.names)))
        del row[column]
    frame = pd.DataFrame([row])
    for day in (one for one in declared if one.kind in ("month", "date") and one.name in frame):
        try:
            frame[day.name] = pd.to_datetime(frame[day.name]).astype("datetime64[ns]")
        except (ValueError, TypeError):
            value = str(row[day.name])
            wrong.append(_wrong(name, day.name, "is no date", "Write it like 2026-11.", value, day.allowed))
            frame[day.name] = pd.Timestamp("2000-01-01")
    try:
        frame = declared.conform(frame)
        found = declared.findings(frame)
    except FindingsError as error:
        found = error.findings
    # the row of a table in memory would mean nothing to a person who filled in a form
    wrong += [Finding(f.table, 0, f.column, f.value, f.rule, f.severity, f.allowed, f.fix) for f in found]
    if not wrong and name == "overrides":
        wrong += _override(frame.iloc[0], known)
    if not wrong and name == "history_answers":
        wrong += _answer(frame.iloc[0])
    if wrong:
        raise RecordError(wrong, "Nothing was stored")
    return {column: _cell(frame[column].iloc[0]) for column in declared.names}


def _wrong(table: str, column: str, rule: str, fix: str, *about: str) -> Finding:
    """A finding about one field; `about` = its value, and what is allowed."""
    value, allowed = (*about, "", "")[:2]
    return Finding(table, 0, column, value, rule, "error", allowed, fix)


def _override(row: pd.Series, known: Collection[int]) -> Iterator[Finding]:
    if row["last_month"] < row["first_month"]:
        yield _wrong("overrides", "last_month", "is before first_month", "Correct it.", f"{row['last_month']:%Y-%m}")
    if row["action"] != "add" and row["amount"] < 0:
        rule = "may be negative only with action add"
        yield _wrong("overrides", "amount", rule, "Correct it.", f"{row['amount']:g}")
    if row["supersedes"] and row["supersedes"] not in known:
        allowed = ", ".join(map(str, known)) or "there is none yet"
        fix = "Give the number of an override, or 0."
        yield _wrong("overrides", "supersedes", "is no override", fix, str(row["supersedes"]), allowed)


def _answer(row: pd.Series) -> Iterator[Finding]:
    """A quantity belongs to the answer `changed` and to no other: elsewhere nobody could tell what it means."""
    changed, given = row["answer"] == "changed", pd.notna(row["quantity"])
    if changed and not given:
        fix = "Give what the month counts."
        yield _wrong("history_answers", "quantity", "is missing", fix, "", "a number of at least 0")
    if given and not changed:
        fix = "Leave it out, or answer `changed`."
        yield _wrong("history_answers", "quantity", "has no meaning here", fix, f"{row['quantity']:g}")


def _cell(value: Any) -> Any:
    """A cell as the database keeps it: nothing as None, months and days as dates, numbers as Python's."""
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.date()
    return value.item() if hasattr(value, "item") else value
