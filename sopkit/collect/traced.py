"""The row of its source that each row of a table came from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from sopkit.book.traced import codes
from sopkit.collect.extract import Extract
from sopkit.tables import TABLES


def source_rows(read: Mapping[str, tuple[pd.DataFrame, Extract]]) -> pd.DataFrame:
    """Table `source_rows` of tables by name: their lines as read, from which extract; of lines added up the first."""
    frames = [_of(name, lines, extract) for name, (lines, extract) in read.items() if len(lines)]
    declared = TABLES["source_rows"]
    return declared.conform(pd.concat(frames)) if frames else declared.empty()


def _of(name: str, lines: pd.DataFrame, extract: Extract) -> pd.DataFrame:
    groups, keys = pd.factorize(codes(TABLES[name], lines))  # groups are numbered in order of their first line
    first = np.flatnonzero(np.diff(np.maximum.accumulate(groups), prepend=-1))
    starts, files = zip(*(extract.parts or ((0, ""),)), strict=True)
    file = np.array(files, dtype=object)[np.searchsorted(starts, first, side="right") - 1]
    rows = {"code": keys, "row": extract.rows[first], "lines": np.bincount(groups), "file": file}
    return pd.DataFrame({"table": name} | rows)
