"""Actions: what somebody is to do by when; every word about one is a record, and the last one stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from sopkit.errors import SettingsError, nearest
from sopkit.words import divided, local, number, say

if TYPE_CHECKING:
    from sopkit.book.book import Book

LASTING = ("what", "assignees", "due", "depends", "status", "effect", "origin", "about")
CLOSED = ("done", "dropped")
TAKEN = 3  # of levers and of exceptions that are proposed as actions


def standing(records: pd.DataFrame) -> pd.DataFrame:
    """One row an action of `records` (table actions) as it stands: LASTING, comments, author, cycle and day it began.

    Index: its number. A field that a later record leaves empty keeps its last word.
    """
    rows = records.sort_values("id")
    rows = rows.assign(action=rows["action"].where(rows["action"] > 0, rows["id"]))
    spoken_of = rows.assign(**{name: rows[name].mask(rows[name].eq("")) for name in LASTING if name != "due"})
    last = spoken_of.groupby("action")[list(LASTING)].last().fillna({name: "" for name in LASTING if name != "due"})
    began = rows.groupby("action")[["author", "cycle", "recorded_at"]].first()
    spoken = rows[rows["comment"] != ""]
    told = (spoken["author"] + ": " + spoken["comment"]).groupby(spoken["action"]).agg(" · ".join)
    out = last.join(began.rename(columns={"recorded_at": "began"}))
    return out.assign(comments=told.reindex(out.index).fillna(""), status=out["status"].replace("", "open"))


def mine(actions: pd.DataFrame, person: str) -> list[str]:
    """The open ones of `actions` (see `standing`) of a person, a line each: number, what, day, what was said."""
    rows = actions[~actions["status"].isin(CLOSED) & actions["assignees"].map(lambda text: person in divided(text))]
    return [
        f"{row.Index}. {row.what}"
        + (f" (by {row.due:%Y-%m-%d})" if pd.notna(row.due) else "")
        + (f"\n   {row.comments}" if row.comments else "")
        for row in rows.itertuples()
    ]


def late(actions: pd.DataFrame, today: pd.Timestamp) -> pd.Series:
    """Which of `actions` (see `standing`) are not closed though their day is over."""
    return ~actions["status"].isin(CLOSED) & (actions["due"] < today)


def judged(book: Book) -> pd.DataFrame:
    """The actions of earlier cycles that were open when this one began, as `standing`, with their `outcome`.

    done, dropped; late: its day is over; at risk: what comes first is late or due after it, or nobody has begun and it
    is due in this month; on track.
    """
    records, today = book["actions"], book.first
    rows, number = standing(records), records["action"].where(records["action"] > 0, records["id"])
    behind, told = late(rows, today), records.groupby(number)["cycle"].max()
    still = ~rows["status"].isin(CLOSED)
    outcome = rows["status"].where(~still, "on track")
    for at, row in rows[still].iterrows():
        first = rows[still & rows.index.isin([int(one) for one in row["depends"].split()])]
        waits = (behind[first.index] | (first["due"] > row["due"])).any()
        soon = row["status"] == "open" and row["due"] < today + pd.DateOffset(months=1)
        outcome[at] = "late" if behind[at] else "at risk" if waits or soon else "on track"
    rows = rows.assign(outcome=outcome)
    return rows[(rows["cycle"] < book.cycle) & (still | told.reindex(rows.index).ge(book.cycle))]


def proposed(book: Book) -> pd.DataFrame:
    """Actions that the plan asks for and nobody recorded yet: of what was adopted, of the best levers, of exceptions.

    Columns what, assignees, due, effect, origin; one origin is proposed once.
    """
    rows: list[tuple[str, str, object, str, str]] = []
    for one in book["adopted"].itertuples():
        what = say("Bring into the company's tables: {title}", one.title)
        effect = say("{money} {currency} expected", number(one.expected, sign=True), book.currency)
        effect = effect if pd.notna(one.expected) else ""
        rows.append((what, one.owner or one.decided_by, one.due, effect, one.option))
    levers = book["levers"]
    for one in levers[levers["gain"] > 0].sort_values("gain", ascending=False).head(TAKEN).itertuples():
        what, effect = say("Look at the lever: {sentence}", one.sentence), local(f"{one.gain:+,.0f} {book.currency}")
        rows.append((what, "", None, effect, f"lever {one.lever}"))
    for one in book["exceptions"].sort_values("rank").head(TAKEN).itertuples():
        rows.append((say("Explain: {sentence}", one.sentence), "", None, "", f"exception {one.product} {one.market}"))
    frame = pd.DataFrame(rows, columns=["what", "assignees", "due", "effect", "origin"])
    known = set(standing(book["actions"])["origin"])
    return frame[~frame["origin"].isin(known)].drop_duplicates("origin").reset_index(drop=True)


def must_fit(people: pd.DataFrame, known: Sequence[int], fields: dict[str, object]) -> None:
    """Raises SettingsError for an assignee who is not in table people, or an action that does not exist."""
    for name in divided(str(fields.get("assignees") or "")) if len(people) else ():
        if name not in set(people["name"]):
            raise SettingsError(f"{name!r} is not in table people: {nearest(name, people['name'])}")
    numbers = [str(fields["action"])] if fields.get("action") else []
    for named in [*numbers, *str(fields.get("depends") or "").split()]:
        if not named.isdigit() or int(named) not in known:
            there = ", ".join(map(str, known)) or "there is none yet"
            raise SettingsError(f"{named!r} is no action: {there}.")
