"""A workbook of `publish.asked` read back: what changed, and which cell cannot be taken, with the fix."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from io import BytesIO
from typing import Any, NamedTuple

import pandas as pd

from sopkit.book import Plan
from sopkit.collect.extract import printable
from sopkit.collect.sheets import grid
from sopkit.errors import SettingsError
from sopkit.files import sha256
from sopkit.publish import asked
from sopkit.words import say, several
from sopkit.workbench.draft import Draft

KEY = (asked.PRODUCT, asked.MARKET, asked.LINE)
HEADS = (*KEY, asked.REASON, asked.REMARK)


@dataclass(frozen=True)
class Taken:
    """What came back: who and when, the overrides to record, and every cell that could not be taken, with the fix."""

    about: dict[str, Any]
    saved: str
    overrides: tuple[dict[str, Any], ...] = ()
    changes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()

    def __str__(self) -> str:
        """For a screen: who, when, what changed, what was not said, what needs an answer."""
        head = f"From {self.about['to']}, asked for {self.about['cycle']} (due {self.about['due']}){self.saved}."
        parts = [("changed", self.changes), ("not taken", self.refused), ("changed since by others", self.conflicts)]
        lines = [head, *(f"  {title}: {line}" for title, found in parts for line in found)]
        return "\n".join([*lines, *(f"  {line}" for line in self.silent)])


class Cell(NamedTuple):
    """A cell that was changed: its address, product | market | month, what stands in it, and the reason beside it."""

    at: str
    key: str
    text: str
    reason: str

    @property
    def name(self) -> str:
        """Product, market and month for a person."""
        return ", ".join(self.key.split("|"))


def take(content: bytes, plan: Plan, recorded: pd.DataFrame, *, anyway: bool = False) -> Taken:
    """What the workbook `content` says against `plan`, the demand plan as it stands; nothing is recorded here.

    `recorded`: every override ever recorded (`Records.read("overrides")`). Those that came after the workbook was sent
    and concern the same cells are conflicts: they are said, and taken only `anyway`. Raises SettingsError for a file
    that is no answer to a question of ours, or whose hidden sheet was changed.
    """
    about = asked_for(content)
    if about["cycle"] != plan.cycle:
        raise SettingsError(f"The workbook was asked for cycle {about['cycle']}, not {plan.cycle}. Name that cycle.")
    cells, refused, silent = _read(content, about["sent"])
    later, draft = recorded[recorded["id"] > about["seen"]], Draft(plan)
    conflicts: list[str] = []
    kept: list[tuple[Cell, dict[str, Any]]] = []
    again = 0
    for cell in cells:
        product, market, month = cell.key.split("|")
        line = next((one for one in (f"m:{product}:{market}", f"p:{product}") if one in draft.lines), "")
        at = next((place for place, one in enumerate(draft.months) if f"{one:%Y-%m}" == month), -1)
        if not line or at < 0:
            refused.append(f"{cell.at} ({cell.name}): is no longer planned")
            continue
        before = draft.overlapping(later) if len(later) else []
        if wrong := draft.enter([(line, at, cell.text)]):
            refused.append(f"{cell.at} ({cell.name}): {wrong[0].why}")
        elif len(draft.overrides) > len(kept):  # what the plan holds already is nothing new
            fields = draft.overrides[-1] | {"reason": cell.reason, "evidence": f"workbook, cell {cell.at}"}
            clash = [one for one in (draft.overlapping(later) if len(later) else []) if one not in before]
            known = _recorded_already(fields, later, about["to"])
            if known or (clash and not anyway):
                draft.undo()
                again += known
                conflicts += [] if known else [f"{cell.at} ({cell.name}): {one}" for one in clash]
                continue
            kept.append((cell, fields))
    changes = [f"{c.at} ({c.name}): {about['sent'][asked.YOURS][c.key]:,} to {c.text}, {c.reason}" for c, _ in kept]
    silent += [f"taken before: {several(again, 'cell')}"] if again else []
    silent += [] if changes or refused or conflicts else ["nothing is new"]
    overrides = tuple(fields for _, fields in kept)
    return Taken(about, _saved(content), overrides, tuple(changes), tuple(refused), tuple(conflicts), tuple(silent))


def _recorded_already(fields: dict[str, Any], later: pd.DataFrame, author: str) -> bool:
    same = later["author"].eq(author)
    for name in ("product", "market", "first_month", "last_month", "action", "amount"):
        same &= later[name].eq(fields[name])
    return bool(same.any())


def asked_for(content: bytes) -> dict[str, Any]:
    """What the hidden sheet says: company, cycle, to whom, due, seen, what was sent; SettingsError without one."""
    try:
        first, *rest = ["".join(row[:1]) for row in grid(content, asked.KEPT)[0]]
    except (SettingsError, ValueError):
        raise SettingsError(
            "This is no workbook that sopkit asked for; nothing was taken. Make one: sopkit ask forecast --to NAME."
        ) from None
    text = "".join(rest)
    if sha256(text.encode()) != first:
        raise SettingsError("The hidden sheet of this workbook was changed: nothing was taken. Ask for it again.")
    return dict(json.loads(text))


def _saved(content: bytes) -> str:
    """When the file was last saved and by whom, as its spreadsheet program noted it."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            core = archive.read("docProps/core.xml").decode("utf-8", "replace")
    except (zipfile.BadZipFile, KeyError):
        return ""
    who, when = (re.search(rf"<{name}[^>]*>([^<]*)<", core) for name in ("cp:lastModifiedBy", "dcterms:modified"))
    by = f" by {printable(who[1])}" if who and who[1] else ""
    return f", last saved{by}" + (f" at {printable(when[1])}" if when else "") if by or when else ""


def _read(content: bytes, sent: dict[str, dict[str, float]]) -> tuple[list[Cell], list[str], list[str]]:
    """(cells that were changed, what cannot be taken and where, what was not said)."""
    (lines, unread), own = grid(content, say(asked.SHEET)), asked.english()
    lines = [[own.get(cell, cell) for cell in row] for row in lines]
    header = lines[asked.TOP] if len(lines) > asked.TOP else []
    columns = {name: header.index(name) for name in header if name}
    if lost := [name for name in HEADS if name not in columns]:
        raise SettingsError(
            f"Sheet {say(asked.SHEET)} has no column {', '.join(lost)} in row {asked.TOP + 1}: nothing was taken. "
            "Put its headings back, or ask for the workbook again."
        )
    months = {name[:7]: at for name, at in columns.items() if re.fullmatch(r"\d{4}-\d\d(-01)?", name)}
    refused = [f"{at}: {rule}" for at, rule in unread.items()]
    known = {columns[name] for name in HEADS} | set(months.values()) | {columns.get("Name", -1)}
    pairs = {key.rpartition("|")[0] for key in sent[asked.YOURS]}
    cells: list[Cell] = []
    silent: list[str] = []
    seen: dict[tuple[str, str, str], int] = {}
    empty: list[str] = []
    for number, row in enumerate(lines[asked.TOP + 1 :], asked.TOP + 2):
        if not any(row):
            continue
        product, market, line = (row[columns[name]] for name in KEY)
        strange = [asked.address(number, at) for at, cell in enumerate(row) if cell and at not in known]
        refused += [f"{at}: stands in a column that is not read" for at in strange]
        if line not in sent or f"{product}|{market}" not in pairs:
            refused.append(f"{asked.address(number, 0)}: {printable(' '.join(row))!r} is no row that was asked for")
            continue
        if (product, market, line) in seen:
            refused.append(f"{asked.address(number, 0)}: stands in row {seen[product, market, line]} already; keep one")
            continue
        seen[product, market, line] = number
        why = " ".join(row[columns[name]] for name in (asked.REASON, asked.REMARK)).strip()
        count = len(cells) + len(refused) + len(empty)
        for month, at in months.items():
            key, cell, place = f"{product}|{market}|{month}", row[at], asked.address(number, at)
            was = sent[line].get(key)
            if place in unread or _same(cell, was):
                continue
            if not cell:
                empty.append(place)
            elif fault := _fault(line, cell, was, why, asked.address(number, columns[asked.REASON])):
                refused.append(f"{place} ({', '.join((product, market, month))}): {printable(cell)!r} {fault}")
            else:
                cells.append(Cell(place, key, cell, printable(why, 200)))
        if why and count == len(cells) + len(refused) + len(empty):
            silent.append(
                f"{asked.address(number, columns[asked.REASON])}: a reason without a change, {printable(why)}"
            )
    gone = sorted(pairs - {f"{product}|{market}" for product, market, line in seen if line == asked.YOURS})
    lost = sorted({key.rpartition("|")[2] for key in sent[asked.YOURS]} - set(months))
    if empty:
        silent.append(f"left empty: {several(len(empty), 'cell')} ({', '.join(empty)}); write 0 where nothing is sold")
    if gone:
        silent.append("not returned: " + "; ".join(", ".join(pair.split("|")) for pair in gone))
    if lost:
        silent.append(f"not returned: the months {', '.join(lost)}")
    return cells, refused, silent


def _same(cell: str, was: float | None) -> bool:
    """Whether a cell holds what was sent."""
    try:
        return (cell == "" and was is None) or (was is not None and float(cell) == was)
    except ValueError:
        return False


def _fault(line: str, cell: str, was: float | None, why: str, reason: str) -> str:
    """Why a changed cell cannot be taken; "" where it can."""
    if line != asked.YOURS or was is None:
        return f"was typed into a locked cell: type into the row “{asked.YOURS}”"
    if not why:
        return f"has no reason: choose one in {reason}"
    share = re.fullmatch(r"0?\.\d+", cell)
    return f"looks like a share of {was:,}: type units" if share and was >= 10 else ""
