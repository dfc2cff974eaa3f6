"""A finding where it was found: the row of the file or query, and the rows around it, as they came."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sopkit.collect import mapping
from sopkit.collect.cells import strings
from sopkit.collect.collected import Collected
from sopkit.collect.extract import plainly
from sopkit.collect.sources import extract
from sopkit.tables import TABLES


def around(
    collected: Collected, finding: pd.Series, memory: dict[str, Any], lines: int
) -> tuple[str, str, pd.DataFrame]:
    """What `sopkit.collect.around` says."""
    table, row, column = finding["table"], int(finding["row"]), str(finding["column"])
    declared = TABLES.get(table)
    read = extract(declared, mapping.load(collected.folder, collected.cycle), memory) if row and declared else None
    if read is None or not (places := np.flatnonzero(read.rows == row)).size:
        return "", "", pd.DataFrame()
    names = [name for name in read.columns.column_names if name.strip()]
    renamed = mapping.load(collected.folder, collected.cycle).source(table).rename
    theirs = next((n for n in names if plainly(renamed.get(n, n)) == plainly(column)), "")
    at = int(places[0])
    if theirs and len(places) > 1:  # several files have such a row: the one with this value
        cells = strings(read.columns.column(theirs)).to_pylist()
        at = int(next((place for place in places if cells[place] == finding["value"]), at))
    first, last = max(0, at - lines), min(len(read.rows), at + lines + 1)
    shown = {name: strings(read.columns.column(name).slice(first, last - first)).to_pylist() for name in names}
    rows = pd.DataFrame({"row": read.rows[first:last].astype(str), **shown}).astype(str)
    return read.place_of(at) or read.place, theirs, rows
