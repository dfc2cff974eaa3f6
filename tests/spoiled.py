"""Mutated copies of a company's CSV files, by number: the same number is always the same copy."""

from __future__ import annotations

import csv
import io
import random
import re
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd

from sopkit.collect import collect
from sopkit.collect.collected import Collected
from sopkit.errors import FindingsError
from sopkit.tables import TABLES

CYCLE = "2026-11"
HOSTILE = (
    "=1+1", "'=1+1", "@SUM(A1)", "-2+3", "+cmd|' /C calc'!A0", "<script>alert(1)</script>", "'; DROP TABLE x; --",
    "\x00", "\x1b[2J", "\ufeff", "\u202eevil", "💥" * 20, "a" * 100_000, '"', '""', "a,b", "a\nb", "\r", "\t", "\\",
    "%s%n", "{0}", "${HOME}", "../../etc/passwd", "NULL", "None", "N/A", "#REF!", "\xa0", "Å", "ﬁ", "१२", "True", "٠",
)  # fmt: skip
NUMBERS = (
    "1e308", "1e309", "-1e308", "9" * 400, "-1", "0", "-0", "1e-400", "0x1F", "1_000", "NaN", "inf", "1,5", "1.234,5",
    "١٢", "12 pcs", "½", "1e15", "--1", ".", "-", "1.", ".5", "1e5",
)  # fmt: skip
DATES = (
    "2026-13", "2026-00", "2026-02-30", "0000-01", "99999-12", "9999-12", "1677-01", "26-11", "11/2026", "2026-11-31",
    "2026-11-01T25:00", "2026-11-17", "20261101", "2026", "yesterday", "-2026-11", "2026-11-01 00:00:00+99:00",
)  # fmt: skip

Rows = list[list[str]]


def _cell(random: random.Random, rows: Rows) -> tuple[list[str], int]:
    row = random.choice(rows[1:] or rows)
    return row, random.randrange(len(row))


def _set(words: tuple[str, ...]) -> Callable[[random.Random, Rows], None]:
    def change(random: random.Random, rows: Rows) -> None:
        row, place = _cell(random, rows)
        row[place] = random.choice(words)

    return change


def _set_column(random: random.Random, rows: Rows) -> None:
    place, word = random.randrange(len(rows[0])), random.choice([w for w in HOSTILE + NUMBERS + DATES if len(w) < 999])
    for row in rows[1:]:
        row[place:] = [word] * (place < len(row)) + row[place + 1 :]


def _duplicate(random: random.Random, rows: Rows) -> None:
    for _ in range(random.choice((1, 1, 5, 50))):
        rows.insert(random.randrange(1, len(rows) + 1), list(random.choice(rows[1:] or rows)))


def _drop_rows(random: random.Random, rows: Rows) -> None:
    for _ in range(random.choice((1, 3, len(rows)))):
        if len(rows) > 1:
            rows.pop(random.randrange(1, len(rows)))


def _rename(random: random.Random, rows: Rows) -> None:
    place = random.randrange(len(rows[0]))
    name = rows[0][place]
    rows[0][place] = random.choice(
        (name.upper(), name[:-1], name + "s", name[::-1], "", " " + name, random.choice(rows[0]), "x")
    )


def _drop_column(random: random.Random, rows: Rows) -> None:
    place = random.randrange(len(rows[0]))
    for row in rows:
        if len(row) > 1:
            row.pop(place if place < len(row) else -1)


def _ragged(random: random.Random, rows: Rows) -> None:
    row = random.choice(rows)
    row.extend(["x"] * random.randint(1, 3)) if random.random() < 0.5 else row.pop()
    if not row:
        row.append("")


def _swap(random: random.Random, rows: Rows) -> None:
    row, place = _cell(random, rows)
    other = random.randrange(len(row))
    row[place], row[other] = row[other], row[place]


ROWS = (_set(("",)), _set(HOSTILE), _set(NUMBERS), _set(DATES), _set_column, _duplicate, _drop_rows, _rename,
        _drop_column, _ragged, _swap)  # fmt: skip
BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    lambda random, content: content[: random.randrange(len(content) + 1)],
    lambda random, content: content.decode().encode("utf-16"),
    lambda random, content: "ä".encode("cp1252").join(content.split(b",", 1)),
    lambda random, content: content.replace(b",", b";"),
    lambda random, content: b'"' + content,
    lambda random, content: (
        (place := random.randrange(len(content) + 1)) * 0 or content[:place] + b'"' + content[place:]
    ),
    lambda random, content: bytes(
        byte ^ (random.random() < 0.001) * random.randrange(256) for byte in content[:50_000]
    ),
    lambda random, content: content.replace(b"\n", b"\r"),
    lambda random, content: b"\n\n" + content,
    lambda random, content: b"",
)


ENCODINGS = "latin-1", "cp1252", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"
GERMAN = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()
FRENCH = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split()
MONTHS: tuple[Callable[[date], str], ...] = (
    lambda day: f"{day:%Y/%m}",
    lambda day: f"{day:%m/%Y}",
    lambda day: f"{day:%m.%Y}",
    lambda day: f"{day:%d.%m.%Y}",
    lambda day: f"{day:%d/%m/%Y}",
    lambda day: f"{day:%m/%d/%Y}",
    lambda day: f"{day:%Y%m%d}",
    lambda day: f"{day:%b %Y}",
    lambda day: f"{day:%B %Y}",
    lambda day: f"{GERMAN[day.month - 1]} {day.year}",
    lambda day: f"{FRENCH[day.month - 1]} {day.year}",
    lambda day: str((day - date(1899, 12, 30)).days),  # as Excel counts days
    lambda day: f"{day.replace(day=28):%Y-%m-%d}",
)
MONTH = re.compile(r"\d{4}-\d{2}")
SAME, TWICE = "the same rows, written in another way", "rows that count twice"


def _encoded(random: random.Random, content: bytes) -> bytes:
    """Names with umlauts where there are any, in another encoding."""
    return content.decode().encode(random.choice(ENCODINGS), "replace")


def _other_months(random: random.Random, content: bytes) -> bytes:
    """Every month of the file written in one other way."""
    written = random.choice(MONTHS)
    rows = csv.reader(io.StringIO(content.decode()))
    return _content([
        [written(date.fromisoformat(f"{cell}-01")) if MONTH.fullmatch(cell) else cell for cell in row] for row in rows
    ])  # fmt: skip


def _exported_twice(random: random.Random, content: bytes) -> bytes:
    """The whole export, or its second half, once more below itself, with its header or without."""
    head, *lines = content.splitlines(keepends=True)
    again = lines[random.choice((0, len(lines) // 2)) :]
    return content + b"".join([head, *again] if random.random() < 0.5 else again)


def rewritten(files: dict[str, bytes], number: int) -> tuple[str, bytes, str]:
    """(file name, its new content, SAME or TWICE): copy `number`, of which is known what it must be taken for."""
    chance = random.Random(-number)
    name = chance.choice(sorted(files))
    rewrite, kind = chance.choice(((_encoded, SAME), (_other_months, SAME), (_exported_twice, TWICE)))
    content = rewrite(chance, files[name])
    if kind == SAME and chance.random() < 0.3 and rewrite is _other_months:
        content = _encoded(chance, content)
    return name, content, kind


def _content(rows: Rows) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


def spoil(files: dict[str, bytes], number: int) -> tuple[str, bytes, str]:
    """(file name, its new content, what it must be taken for): copy `number` of the `files`.

    Three of four have one to three mutations; one of four is `rewritten`.
    """
    if number % 4 == 3:
        return rewritten(files, number)
    chance = random.Random(number)
    name = chance.choice(sorted(files))
    rows = list(csv.reader(io.StringIO(files[name].decode())))
    for _ in range(chance.choice((1, 1, 2, 3))):
        chance.choice(ROWS)(chance, rows)
    content = _content(rows)
    if chance.random() < 0.25:
        content = chance.choice(BYTES)(chance, content)
    return name, content, ""


def wrong_answers(
    folder: Path, memory: dict, name: str, deep: bool, *, meant: str = "", honest: pd.DataFrame | None = None
) -> tuple[list[str], bool]:
    """(what the data room did wrong with the company in `folder`, whether it was accepted).

    `deep`: of an accepted company the whole snapshot is made, not only the changed table checked. `meant`: what the
    copy must be taken for, SAME as the table `honest` where it is accepted.
    """
    table = name.removesuffix(".csv")
    start = time.process_time()
    try:
        collected = collect(folder, CYCLE, memory=dict(memory))
        collected.summary()
    except Exception as error:  # every exception is the answer "traceback", which is the wrong one
        return [f"{type(error).__name__}: {error}"[:300]], False
    wrong = []
    if (took := time.process_time() - start) > 5:
        wrong.append(f"took {took:.1f} processor seconds")
    if collected.errors:
        return wrong + _unnamed(collected, table) + _kept_in_spite(collected), False
    try:
        for name, frame in (collected.snapshot() if deep else {table: collected.tables[table]}).items():
            TABLES[name].check(frame)
    except Exception as error:
        wrong.append(f"accepted, but {type(error).__name__}: {error}"[:300])
    if meant == TWICE:
        wrong.append("accepted, although rows count twice")
    if meant == SAME and honest is not None and not collected.tables[table].equals(honest):
        wrong.append("accepted as other rows than it holds")
    return wrong, True


def _unnamed(collected: Collected, table: str) -> list[str]:
    """Stops that do not say where: each names a table and, but for a file as a whole, a row and a column of it."""
    stops = collected.findings[collected.findings["severity"].eq("error")]
    wrong = []
    for finding in stops.drop_duplicates(["table", "rule", "column"]).itertuples():
        whole = finding.rule in ("has no header", "has no rows") or finding.rule.startswith("cannot be read")
        if finding.table not in TABLES or finding.row < 1 or not finding.fix or not (whole or finding.column):
            wrong.append(f"says too little: {finding}")
        if finding.column and finding.rule not in ("unknown column", "column comes twice", "duplicated key"):
            known = TABLES[finding.table].names
            if finding.column not in known and not finding.rule.startswith(("row has", "holds bytes")):
                wrong.append(f"names no column: {finding}")
    return wrong


def _kept_in_spite(collected: Collected) -> list[str]:
    try:
        collected.snapshot()
    except FindingsError:
        return []
    return ["a snapshot was made in spite of a stop"]
