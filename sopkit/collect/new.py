"""A new company's folder: settings to edit, the workbook to fill, and what was found in its exports, to correct."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from sopkit.collect import template
from sopkit.collect.extract import quoted
from sopkit.collect.mapping import INPUT_TABLES
from sopkit.errors import SettingsError
from sopkit.tables import Company
from sopkit.tables.dictionary import commented

if TYPE_CHECKING:
    from sopkit.collect.exports import Export
    from sopkit.collect.proposal import Proposal

HERE = Path(__file__).parent
PACKS = sorted(path.name for path in (HERE / "packs").iterdir() if (path / "company.yaml").is_file())
WORKING_DAYS = """-- Every Monday to Friday: nothing here knows your holidays. Correct it, or bring a calendar.
SELECT strftime(day, '%Y-%m') AS month, count(*) FILTER (isodow(day) < 6) AS working_days
FROM (SELECT unnest(generate_series(
    date_trunc('month', CAST(getvariable('cycle') || '-01' AS DATE)) - INTERVAL 60 MONTH,
    date_trunc('month', CAST(getvariable('cycle') || '-01' AS DATE)) + INTERVAL 60 MONTH - INTERVAL 1 DAY,
    INTERVAL 1 DAY)) AS day)
GROUP BY ALL ORDER BY 1
"""


def new_company(folder: Path, name: str = "", places: Sequence[str] = ()) -> str:
    """Lay out `folder` for a new company; returns what was found in `places`, in words.

    `places`: exports (CSV, Excel, Parquet), folders of them, or database URLs, whose mapping is proposed; or a pack's
    name (`sap`, `odoo`) and the folder of its tables. Files are copied to `folder`/exports, where those of the next
    month belong. Raises SettingsError where the folder is not empty or a place cannot be read; then nothing is made.
    """
    name = name or folder.name
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingsError(f"{folder} exists and is not empty. Choose another name.")
    pack = places[0] if places and places[0] in PACKS and not Path(places[0]).exists() else ""
    files = dict(_files(places[bool(pack) :]))
    proposals: list[Proposal] = []
    queries: dict[str, str] = {}
    if pack:
        if not files:
            raise SettingsError(f"--from {pack} needs the folder with its tables: sopkit new NAME --from {pack} FOLDER")
        lines = (HERE / "packs" / pack / "company.yaml").read_text(encoding="utf-8")
        kept = {path.name: path.read_text("utf-8") for path in sorted((HERE / "packs" / pack / "sql").iterdir())}
        queries, summary = _of_pack(kept, {Path(inside).stem for inside in files})
    elif places:
        from sopkit.collect.exports import found, joined, settled
        from sopkit.collect.proposal import propose

        exports = joined(settled(found(places, Company(name=name), folder)))
        proposals = propose(exports)
        queries = dict(_queries(proposals))
        lines = "\n".join(_mapping(proposals, exports, queries, places))
        summary = "\n".join(_summary(proposals, exports, queries))
    else:
        lines, summary = (HERE / "new_mapping.yaml").read_text(encoding="utf-8"), ""
    for place in (folder, folder / "exports", folder / "sql"):
        place.mkdir(parents=True, exist_ok=True)
    for inside, path in files.items():
        (folder / "exports" / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / "exports" / inside)
    for file, text in queries.items():
        (folder / "sql" / file).write_text(text, encoding="utf-8")
    _own(queries, folder)
    settings = Template((HERE / "new_company.yaml").read_text(encoding="utf-8"))
    named = {"name": name, "quoted": json.dumps(name, ensure_ascii=False), "settings": commented()}
    text = settings.substitute(named, mapping=lines.strip())
    (folder / "company.yaml").write_text(text, encoding="utf-8")
    template.write(folder / "tables.xlsx")
    return summary


def _of_pack(kept: dict[str, str], there: set[str]) -> tuple[dict[str, str], str]:
    """(the queries of a pack whose tables are all `there`, what was found and what was not, in words)."""
    shared = kept.pop("_shared.sql", "")
    views = dict(re.findall(r"CREATE VIEW (\w+) AS(.*?);", shared, re.DOTALL))
    queries, lines = {"_shared.sql": shared}, []
    for file, text in kept.items():
        whole = text + "".join(body for view, body in views.items() if re.search(rf"\b{view}\b", text))
        named = set(re.findall(r"\b(?:FROM|JOIN)\s+(\w+)\b(?!\s*[.(])", whole)) - set(views)
        lacks = sorted(named - there)
        found = f"left out: no dump of {', '.join(lacks)}" if lacks else ", ".join(sorted(named))
        lines.append(f"  {file.removesuffix('.sql'):<19}{found}")
        if not lacks:
            queries[file] = text
    return queries, "\n".join(lines)


def _own(queries: dict[str, str], folder: Path) -> None:
    """A file with a header alone for each exports/own/<table>.csv that a query of a pack joins and nobody brought."""
    for file, text in queries.items():
        table, path = file.removesuffix(".sql"), folder / "exports" / "own" / file.replace(".sql", ".csv")
        if f"own.{table}" in text and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(",".join(dict.fromkeys(re.findall(r"\bo\.(\w+)", text))) + "\n", encoding="utf-8")


def _files(places: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """(place below exports/, file) of every file among `places`; SettingsError where two have one name."""
    from sopkit.collect.exports import files_at

    seen: dict[str, Path] = {}
    for place in places:
        for path, inside in files_at(place):
            if inside in seen:
                raise SettingsError(f"{seen[inside]} and {path} have one name. Rename one of them.")
            seen[inside] = path
    yield from seen.items()


# what is written ------------------------------------------------------------------------------------------------
def _mapping(
    proposals: Sequence[Proposal], exports: Sequence[Export], queries: dict[str, str], places: Sequence[str]
) -> Iterator[str]:
    """The lines of company.yaml: where each table comes from, how sure that is, and what was not found."""
    yield "# Proposed from the exports, to be corrected: `sure`, `likely` or `a guess` stands beside every column."
    if any(one.files for one in exports):
        yield "raw: exports"
    if urls := [place for place in places if "://" in place]:
        from sopkit.collect.exports import PASSWORD

        secret = f", password_env: {PASSWORD}" if os.environ.get(PASSWORD) else ""
        yield f"databases:\n  exports: {{url: {json.dumps(urls[0])}{secret}}}"
    raw = dict(_raw_files(proposals, queries))
    if raw:
        yield "raw_files:"
        yield from (f"  {json.dumps(file, ensure_ascii=False)}: {text}" for file, text in sorted(raw.items()))
    yield "tables:" if any(f"{one.table.name}.sql" not in queries for one in proposals) else "# no table was recognised"
    for one in proposals:
        if f"{one.table.name}.sql" not in queries:
            yield from _source(one)
    yield "#\n# Not found:"
    for one in proposals:
        if one.missing:
            needed = [f"{n} (needed)" if one.table[n].required else n for n in one.missing]
            yield f"#   {one.table.name}: {', '.join(needed)}"
    there = _there(proposals, queries)
    for table in INPUT_TABLES.values():
        if table.name not in there:
            yield f"#   {table.name}{' (needed)' if table.required else ''}: {table.meaning}"
    for export in exports:
        if export not in [one.export for one in proposals]:
            yield f"# {_place(export)} is none of our tables by what it holds: {', '.join(export.columns)}"


def _there(proposals: Sequence[Proposal], queries: dict[str, str]) -> set[str]:
    return {one.table.name for one in proposals} | {file.removesuffix(".sql") for file in queries}


def _place(export: Export) -> str:
    return export.source.file + (f", sheet {export.source.sheet}" if export.source.sheet else "") or export.name


def _source(one: Proposal) -> Iterator[str]:
    yield f"  {one.table.name}:    # {one.confidence}"
    kinds = {one.table[match.ours].kind for match in one.matches}
    needless = set() if kinds & {"month", "date"} else {"dates"}
    needless |= set() if kinds & {"number", "whole"} else {"decimal", "thousands"}
    for name, value in one.export.source.model_dump(exclude_defaults=True).items():
        if name not in needless:
            yield f"    {name}: {json.dumps(value, ensure_ascii=False)}"
    if one.matches:
        yield "    rename:"
    for match in one.matches:
        yield f"      {json.dumps(match.theirs, ensure_ascii=False)}: {match.ours}    # {match.confidence}: {match.why}"
    for name, parts in (
        ("values", {m.ours: dict(sorted(m.values.items())) for m in one.matches if m.values}),
        ("multiply", {m.ours: m.factor for m in one.matches if m.factor != 1}),
    ):
        if parts:
            yield f"    {name}: {json.dumps(parts, ensure_ascii=False)}"
    if one.unknown:
        yield f"    ignore: {json.dumps(one.unknown, ensure_ascii=False)}"
    if one.sum_rows:
        yield "    sum_rows: true    # several rows of one key are added up"


def _raw_files(proposals: Sequence[Proposal], queries: dict[str, str]) -> Iterator[tuple[str, str]]:
    """How the files are written that queries read, where that is not plain UTF-8 CSV."""
    for one in proposals:
        file, written = one.export.source.file, one.export.source.model_dump(exclude_defaults=True)
        written_so = {name: written[name] for name in ("encoding", "delimiter", "decimal", "skip") if name in written}
        if written_so and any(_view(one) in text for text in queries.values()):
            yield file, json.dumps(written_so, ensure_ascii=False)


def _view(one: Proposal) -> str:
    inside = Path(one.export.source.file)
    view = quoted(inside.stem) + (f".{quoted(one.export.source.sheet)}" if one.export.source.sheet else "")
    return ".".join([*(quoted(part) for part in inside.parent.parts), view])


def _queries(proposals: Sequence[Proposal]) -> Iterator[tuple[str, str]]:
    """The SQL of tables whose months stand side by side, and of what follows from other tables."""
    for one in proposals:
        if one.export.across:
            named = {match.ours: match.theirs for match in one.matches}
            months = ", ".join(map(quoted, one.export.across))
            chosen = ", ".join(f"{quoted(theirs)} AS {ours}" for ours, theirs in named.items())
            text = "-- The months stand side by side in the export: one row for each of them.\n"
            text += f"SELECT {chosen}\nFROM (UNPIVOT {_view(one)} ON {months} INTO NAME month VALUE quantity)\n"
            yield f"{one.table.name}.sql", text
    there = {one.table.name: one for one in proposals}
    products = there.get("products")
    family = next((m.theirs for m in products.matches if m.ours == "family"), "") if products else ""
    if products and family and "families" not in there and products.export.files:
        text = "-- The families that the products name.\n"
        text += f"SELECT DISTINCT {quoted(family)} AS family FROM {_view(products)} ORDER BY 1\n"
        yield "families.sql", text
    if products and "calendar" not in there:
        yield "calendar.sql", WORKING_DAYS


def _summary(proposals: Sequence[Proposal], exports: Sequence[Export], queries: dict[str, str]) -> Iterator[str]:
    """What was found, for a screen."""
    for one in proposals:
        counts: Any = Counter(match.confidence for match in one.matches)
        found = ", ".join(f"{counts[word]} {word}" for word in ("sure", "likely", "a guess") if counts[word])
        needed = [name for name in one.missing if one.table[name].required]
        lacks = f"; needed and not found: {', '.join(needed)}" if needed else ""
        yield f"  {one.table.name:<19}{_place(one.export)} ({one.confidence}): {found}{lacks}"
    for export in exports:
        if export not in [one.export for one in proposals]:
            yield f"  {'none of ours':<19}{_place(export)}"
    made = [file for file in queries if file.removesuffix(".sql") not in {one.table.name for one in proposals}]
    if made:
        yield f"  {'follows from them':<19}{', '.join(f'sql/{file}' for file in made)}"
    there = _there(proposals, queries)
    if left := [name for name, table in INPUT_TABLES.items() if table.required and name not in there]:
        yield f"  {'needed, not found':<19}{', '.join(left)}"
