"""Which row of the company's file a row of a table came from: table `source_rows`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from sopkit.tables import Table
from sopkit.tables import table as declaration
from sopkit.words import say

if TYPE_CHECKING:
    import numpy as np

    from sopkit.book.book import Book


def codes(declared: Table, frame: pd.DataFrame) -> np.ndarray:
    """A number for the key of each row of `frame`: the same in whatever order and however the texts are kept."""
    hashed = pd.util.hash_pandas_object(frame[list(declared.key)], index=False).to_numpy()
    return (hashed >> 15).astype("int64")  # 49 bits: below what a whole number of a table may be


def source_row(book: Book, name: str, rows: pd.DataFrame) -> list[str]:
    """Where each of `rows` of table `name` stood: `row 17 of sales.csv`, `row 17 and 3 more`, "" if not known."""
    if name not in book.traced:
        return [""] * len(rows)
    found = book.traced[name].reindex(codes(declaration(name), rows))[["row", "lines", "file"]]
    return ["" if pd.isna(row) else _told(int(row), int(lines), file) for row, lines, file in found.to_numpy()]


def _told(row: int, lines: int, file: str) -> str:
    place = say("row {row} of {file}", row, file) if file else say("row {row}", row)
    return say("{place} and {count} more", place, lines - 1) if lines > 1 else place
