"""Sheets of Excel workbooks; a formula without a value becomes a finding with the cell's address."""

from __future__ import annotations

import io
import zipfile
from difflib import get_close_matches
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from sopkit.collect.extract import (
    HEADER_WITHIN,
    Extract,
    failed,
    header_findings,
    printable,
    sha,
    stop,
    strange_header,
    texts,
    unique,
)
from sopkit.errors import SettingsError, nearest
from sopkit.tables import TABLES, Source, Table

UNREADABLE = (CalamineError, zipfile.BadZipFile, ElementTree.ParseError, KeyError, ValueError, OverflowError)
MOST_UNPACKED = 2 * 1024**3
CALCULATE = "Open the workbook in a spreadsheet program, let it calculate, save it; or write the value itself."
SHEET_XML = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION_XML = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def read_sheet(table: Table, source: Source, content: bytes, place: str, optional: bool = False) -> Extract | None:
    """A sheet of the Excel workbook `content` as an extract; None where an `optional` sheet is not there.

    A cell whose formula was never calculated, or shows an error, becomes a finding with the cell's address.
    """
    name = source.sheet or table.name
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        # spreadsheet programs take Prices for prices
        name = next((sheet for sheet in workbook.sheet_names if sheet.strip().casefold() == name.casefold()), name)
        if name not in workbook.sheet_names:
            return _missing(table, place, name, workbook.sheet_names, optional)
        formulas = _uncalculated(content, name)
        cells = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except PasswordError:
        return failed(table, place, "is locked with a password", "Save it without a password.")
    except UNREADABLE as error:
        return failed(table, place, "is no workbook that can be read", f"Save it again as .xlsx ({str(error)[:80]}).")
    findings = [stop(table.name, (row, ""), address, rule, CALCULATE) for row, address, rule in formulas]
    place = f"sheet {name} of {place}"
    lines = cells[source.skip :]
    head = [[str(cell).strip() for cell in line] for line in lines[:HEADER_WITHIN]]
    if strange := strange_header(table, place, source, head):
        return strange
    if not head or not any(head[0]):
        return failed(table, place, "has no header", "Write the column names into the first row.", 1)
    width = max(index + 1 for index, cell in enumerate(head[0]) if cell)
    filled = enumerate((line[:width] for line in lines[1:]), source.skip + 2)
    kept = [(row, line) for row, line in filled if any(str(cell).strip() for cell in line)]
    if optional and not kept and not table.required:
        return None
    columns = [texts(values, source.decimal) for values in zip(*(line for _, line in kept), strict=True)]
    header, rows = head[0][:width], np.array([row for row, _ in kept], dtype=np.int64)
    cells = pa.table(columns or [pa.array([], pa.string())] * width, names=unique(header))
    return Extract(table.name, place, cells, rows, (*findings, *header_findings(table, header)), sha(content))


def _missing(table: Table, place: str, name: str, sheets: list[str], optional: bool) -> Extract | None:
    """What is said of a workbook without the sheet `name`: nothing where it is `optional` and no other is near it."""
    strangers = {sheet.casefold(): sheet for sheet in sheets if sheet.casefold() not in TABLES}
    meant = get_close_matches(name, strangers, n=1, cutoff=0.8)
    if optional and not meant:
        return None
    if optional:
        rule = f"has no sheet {name!r}, but a sheet {printable(strangers[meant[0]])!r} of no table"
        return failed(table, place, rule, f"Rename the sheet to {name}, or to a name that is not so near.")
    fix = nearest(name, sheets) + " Rename the sheet, or name it under `sheet` in company.yaml."
    return failed(table, place, f"has no sheet {name!r}", fix)


def grid(content: bytes, sheet: str) -> tuple[list[list[str]], dict[str, str]]:
    """(every cell of a sheet as text, row by row; address -> what is wrong with its formula).

    Raises SettingsError where `content` is no workbook that can be read, or has no such sheet.
    """
    try:
        cells = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_name(sheet)
        rows = cells.to_python(skip_empty_area=False)
        unread = {address: rule for _, address, rule in _uncalculated(content, sheet)}
    except UNREADABLE as error:
        raise SettingsError(f"The workbook's sheet {sheet!r} cannot be read ({printable(error)}).") from None
    return [[cell.strip() for cell in texts(row).to_pylist()] for row in rows], unread


def _uncalculated(content: bytes, sheet: str) -> list[tuple[int, str, str]]:
    """(row, address, what is wrong) of the cells of `sheet` whose formula has no value, or whose value is an error.

    Readers give 0 or an empty cell for them. A program that is no spreadsheet writes 0 as the value of every formula
    and asks for a calculation when the file is opened (`fullCalcOnLoad`): such formulas count as never calculated.
    """
    if not content.startswith(b"PK"):
        return []
    found = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(part.file_size for part in archive.infolist()) > MOST_UNPACKED:
            raise ValueError("it unpacks to more than 2 GB")
        if "xl/workbook.xml" not in archive.namelist():
            return []
        book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
        links = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
        targets = {link.get("Id"): link.get("Target", "") for link in links}
        entry = next((s for s in book.iter(f"{SHEET_XML}sheet") if s.get("name") == sheet), None)
        if entry is None:
            return []
        target = targets.get(entry.get(f"{RELATION_XML}id"), "")
        part = archive.read(target.lstrip("/") if target.startswith("/") else f"xl/{target}")
        stale = any(calc.get("fullCalcOnLoad") in ("1", "true") for calc in book.iter(f"{SHEET_XML}calcPr"))
    if b"<f" not in part and b't="e"' not in part:
        return []
    for _, cell in ElementTree.iterparse(io.BytesIO(part)):
        if cell.tag != f"{SHEET_XML}c":
            continue
        value, formula = cell.find(f"{SHEET_XML}v"), cell.find(f"{SHEET_XML}f")
        address = cell.get("r", "")
        row = int("".join(mark for mark in address if mark.isdigit()) or 0)
        if formula is not None and (stale or value is None or value.text is None):
            found.append((row, address, "formula was never calculated"))
        elif cell.get("t") == "e":
            found.append((row, address, f"shows the error {value.text if value is not None else ''}".strip()))
        cell.clear()
    return found
