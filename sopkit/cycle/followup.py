"""What follows a meeting: what a cycle leaves to the next one, and commitments that a person closes with a reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sopkit.book import actions
from sopkit.book.commitments import DONE, EXPIRED, IN_FORCE, LATE, REVOKED
from sopkit.book.signed import chosen, must_be_allowed, signed_on
from sopkit.book.workflow import due
from sopkit.errors import SettingsError, nearest
from sopkit.files import replace_file
from sopkit.tables import TABLES, Company
from sopkit.words import divided

if TYPE_CHECKING:
    from sopkit.cycle.cycle import Cycle


def close(cycle: Cycle, option: str, how: str, *, by: str, reason: str) -> int:
    """Record that commitment `option` of `cycle` is `how` (done or revoked); the number of the record.

    It counts when stage collect runs again, in this cycle and in those after it. Raises SettingsError for a commitment
    that does not bind here or a person who may not decide, RecordError without a reason.
    """
    rows = cycle.read("commitments")
    rows = rows[~rows["status"].isin([DONE, EXPIRED, REVOKED])].set_index("option")
    if option not in rows.index:
        known = nearest(option, rows.index) if len(rows) else "no commitment binds this cycle"
        raise SettingsError(f"{option!r} is no commitment of {cycle.company_name} {cycle.cycle}: {known}.")
    if how == DONE and rows.loc[option, "status"] in (IN_FORCE, LATE):
        raise SettingsError(
            f"{option!r} is not done: the company's own tables do not contain it yet. Bring it into them and run stage "
            "collect, or revoke it."
        )
    must_be_allowed(cycle.read("people"), by, "decide", f"close what was decided: {option}")
    record = {"option": option, "adopted": rows.loc[option, "cycle"], "how": how, "reason": reason}
    return cycle.records.add("closings", author=by, cycle=cycle.cycle, **record)


def tick(cycle: Cycle, stage: str, item: str, *, by: str) -> int:
    """Record that `by` ticks `item` of a stage's checklist; SettingsError where company.yaml has no such item."""
    known = cycle.company.rule(stage).ticks
    if item not in known:
        raise SettingsError(f"stage {stage} has no item {item!r} to tick: {nearest(item, known)}.")
    must_be_allowed(cycle.read("people"), by, stage, f"tick for {stage}")
    return cycle.records.add("ticks", author=by, cycle=cycle.cycle, stage=stage, item=item)


def note(cycle: Cycle, *, by: str, **fields: Any) -> int:
    """Record an action, or a later word about one (`action`: its number); the number of the action.

    Raises SettingsError for a person or an action that does not exist, RecordError for a field that is wrong.
    """
    known = list(actions.standing(cycle.records.read("actions")).index)
    actions.must_fit(cycle.read("people"), known, fields | {"assignees": fields.get("assignees", "")})
    if not fields.get("action") and not str(fields.get("what", "")).strip():
        raise SettingsError("An action tells what is to be done. Write it, or name the action that this is about.")
    record = {name: value for name, value in fields.items() if value not in ("", None)}
    number = cycle.records.add("actions", author=by, cycle=cycle.cycle, **record)
    return int(fields.get("action") or number)


def drafts(cycle: Cycle, folder: Path) -> list[Path]:
    """Write a mail (`.eml`, a draft that nobody sends) and a calendar (`.ics`) for each person with open actions."""
    from sopkit.publish.mails import draft  # the pack's libraries, only where a mail is written

    rows = actions.standing(cycle.read("actions"))
    rows = rows[~rows["status"].isin(actions.CLOSED)]
    people = sorted({name for text in rows["assignees"] for name in divided(text)})
    made = []
    for name in people:
        mine = rows[[name in divided(text) for text in rows["assignees"]]]
        subject = f"{cycle.company.name}: your actions of the plan {cycle.cycle}"
        lines = "\n".join(actions.mine(rows, name))
        mail = draft(name, subject, f"Dear {name},\n\nthis is yours after the meeting:\n\n{lines}\n")
        days = [
            ("BEGIN:VTODO", f"UID:{cycle.company_name}-{number}@sopkit",
             f"DTSTAMP:{row.began[:10].replace('-', '')}T000000Z", f"SUMMARY:{_ics(row.what)}",
             f"DUE;VALUE=DATE:{row.due:%Y%m%d}", "END:VTODO")
            for number, row in zip(mine.index, mine.itertuples(), strict=True) if pd.notna(row.due)
        ]  # fmt: skip
        calendar = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//sopkit//actions//EN",
                    *(line for day in days for line in day), "END:VCALENDAR"]  # fmt: skip
        plain = re.sub(r"\W+", "_", name).strip("_") or "somebody"
        for path, content in ((folder / f"{plain}.eml", mail), (folder / f"{plain}.ics", _folded(calendar))):
            replace_file(path, content)
            made.append(path)
    return made


def _ics(text: str) -> str:
    return re.sub(r"([\\;,])", r"\\\1", text).replace("\r", "").replace("\n", "\\n")


def _folded(lines: list[str]) -> bytes:
    """Lines of a calendar as RFC 5545 wants them: at most 75 bytes, the rest begins with a blank."""
    out = []
    for line in lines:
        while len(line.encode()) > 74:
            cut = next(n for n in range(min(len(line), 74), 0, -1) if len(line[:n].encode()) <= 74)
            out.append(line[:cut])
            line = " " + line[cut:]
        out.append(line)
    return "".join(f"{line}\r\n" for line in out).encode()


def left(cycle: Cycle) -> dict[str, pd.DataFrame]:
    """What the earlier cycles of `cycle` tell of themselves: tables past_decisions, past_pipeline and past_cycles."""
    told: dict[str, list[pd.DataFrame]] = {"past_decisions": [], "past_pipeline": [], "past_cycles": []}
    for one in cycle.others():
        made, manifest = one.manifest["tables"], one.manifest
        if one.cycle >= cycle.cycle or "decision_log" not in made:
            continue
        at, log = pd.Timestamp(one.cycle), one.read("decision_log")
        each = log.assign(option=[chosen(text) or [""] for text in log["option"]]).explode("option")
        taken = one.read("adopted")[["option", "title", "expected"]]
        told["past_decisions"].append(each.merge(taken, on="option", how="left").assign(cycle=at))
        if "pipeline" in made:
            told["past_pipeline"].append(one.read("pipeline")[["opportunity", "owner", "probability"]].assign(cycle=at))
        went = {
            "cycle": at,
            "data": _day(manifest["stages"].get("collect", {}).get("written_at")),
            "published": _day(manifest.get("frozen", {}).get("at")),
            "questions": len(log),
            "decided": int((log["status"] != "undecided").sum()),
        }
        told["past_cycles"].append(pd.DataFrame([went | _signed(one)]))
    return {
        name: TABLES[name].conform(
            pd.concat([part.reindex(columns=TABLES[name].names) for part in parts], ignore_index=True)
        )
        if parts
        else TABLES[name].empty()
        for name, parts in told.items()
    }


def _day(moment: str | None) -> pd.Timestamp:
    """The day of a moment of the manifest, in UTC; NaT where there is none."""
    return pd.Timestamp(moment[:10]) if moment else pd.NaT


def _signed(cycle: Cycle) -> dict[str, int]:
    """How many stages of a cycle were signed as they stand, and how many of them by their day."""
    days = signed_on(cycle.records.read("sign_offs", cycle=cycle.cycle), cycle.cycle, cycle.manifest)
    return {"signed": len(days), "in_time": in_time(cycle.company, cycle.cycle, days)}


def in_time(company: Company, cycle: str, days: pd.Series) -> int:
    """How many stages were signed (`days`, by stage) by the day that company.yaml sets; without one, none is late."""
    return sum(not day > due(company, cycle, stage) for stage, day in days.items())
