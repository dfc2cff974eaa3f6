"""Whether two cycles hold the same plan, table by table and number by number: `compare_plans.py BEFORE AFTER`.

BEFORE and AFTER are cycle folders (`reports/demo/2026-11`). Tables and columns of the earlier one are renamed first, by
the maps below: what the terms of CHANGELOG "Renamed" are called now. Numbers, months, flags and codes must be equal;
sentences may be worded anew, and are counted apart. Ends with 1 where a number differs.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

RENAMED_TABLES = {"targets": "budget"}
RENAMED_COLUMNS = {
    "findings": {"cure": "fix"},
    "supply_costs": {"policy": "penalty"},
    "binding_limits": {"worth": "shadow_price"},
    "why_short": {"worth": "shadow_price"},
    "level_chase": {"short": "shortfall", "profit": "contribution_after_penalties"},
    "scenario_months": {"short": "shortfall"},
    "decision_log": {"by": "decided_by"},
    **{
        name: {"by": "author", "at": "recorded_at"}
        for name in ("overrides", "decisions", "history_answers", "sign_offs")
    },
}
RENAMED_VALUES = {
    ("findings", "severity"): {"stop": "error", "look": "warning"},
    ("scenario_results", "measure"): {"policy cost": "service penalties"},
    ("supply_run", "measure"): {"profit less policy prices": "contribution after penalties"},
    ("supply_checks", "rule"): {"profit less policy prices": "contribution after penalties"},
    ("sources", "table"): {"targets": "budget"},
    ("completeness", "table"): {"targets": "budget"},
}
# what nobody read has left the declarations
REMOVED_COLUMNS = {("people", "mail")}
# columns of sentences, and what says how long something took
WORDS = set(
    "sentence reason advice meaning statement rule fix allowed recommendation change note expected_effect place sha256 "
    "missing name layer title".split()
)
CLOCK = {("supply_run", "value")}
# meant: the check looks at more rows, and the model's money is by what it is paid for
MEANT = {("supply_checks", "rows"), ("supply_formulation", "over"), ("supply_formulation", "size")}


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Every table of the cycle in `folder`, under its name of today."""
    found = {}
    for path in sorted((folder / "tables").glob("*.parquet")):
        frame = pd.read_parquet(path).rename(columns=RENAMED_COLUMNS.get(path.stem, {}))
        name = RENAMED_TABLES.get(path.stem, path.stem)
        for (table, column), values in RENAMED_VALUES.items():
            if table == name:
                frame[column] = frame[column].replace(values)
        found[name] = frame
    return found


def differences(before: dict[str, pd.DataFrame], after: dict[str, pd.DataFrame]) -> tuple[list[str], list[str]]:
    """What differs in number, and what differs in words only; a line each."""
    wrong = [f"{name}: is gone" for name in sorted(set(before) - set(after))]
    words = [f"{name}: is new" for name in sorted(set(after) - set(before))]
    for name in sorted(set(before) & set(after)):
        old, new = before[name], after[name]
        lost = [column for column in old if column not in new]
        wrong += [f"{name}.{column}: is gone" for column in lost if (name, column) not in REMOVED_COLUMNS]
        words += [f"{name}.{column}: is new" for column in new if column not in old]
        if len(old) != len(new):
            wrong.append(f"{name}: {len(old):,} rows before, {len(new):,} now")
            continue
        shared = [column for column in old if column in new]
        codes = [column for column in shared if column not in WORDS and not pd.api.types.is_float_dtype(old[column])]
        if codes:  # order may follow a renamed word
            old = old.sort_values(codes, kind="stable", ignore_index=True)
            new = new.sort_values(codes, kind="stable", ignore_index=True)
        for column in shared:
            left, right = old[column], new[column]
            if pd.api.types.is_float_dtype(left):
                same = np.isclose(left, right.astype(float), rtol=1e-9, atol=1e-9, equal_nan=True)
            else:
                same = ((left == right) | (left.isna() & right.isna())).to_numpy()
            if not same.all():
                at = int(np.flatnonzero(~same)[0])
                line = f"{name}.{column}: {int((~same).sum()):,} of {len(same):,} rows, {left[at]!r} -> {right[at]!r}"
                (words if column in WORDS or (name, column) in CLOCK | MEANT else wrong).append(line)
    return wrong, words


if __name__ == "__main__":
    wrong, words = differences(*(tables(Path(folder)) for folder in sys.argv[1:3]))
    print("\n".join([*(f"words    {line}" for line in words), *(f"NUMBERS  {line}" for line in wrong)]))
    print(f"{len(wrong)} differences in numbers, {len(words)} in words")
    sys.exit(bool(wrong))
