"""What goes into the cycle folder: the only thing that later stages read, and enough to make the plan again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from sopkit.book import commitments
from sopkit.collect import cleanse, complete
from sopkit.collect.cells import as_frame, together
from sopkit.errors import Finding, FindingsError
from sopkit.tables import TABLES

if TYPE_CHECKING:
    from sopkit.collect.collected import Collected


def joined(collected: Collected, carried: Mapping[str, pd.DataFrame]) -> Collected:
    """`collected` with what earlier cycles left in their folders (`Cycle.carried`), so that nobody copies it by hand.

    A cycle that the company's own table holds is left out; a plan of the company's own stays as it is. What names a
    product, site or market that is gone is left out too, and a finding counts it. What was adopted binds
    (`book.commitments`).
    """
    tables, findings = dict(collected.tables), []
    for name, frame in carried.items():
        known, declared = tables.get(name), TABLES[name]
        if known is None or frame.empty or (len(known) and "cycle" not in declared.names):
            continue
        new = frame if frame is known or "cycle" not in declared.names else frame[~frame["cycle"].isin(known["cycle"])]
        gone = pd.Series(False, index=new.index)
        for column in (one for one in declared if one.refs):
            keys = [tables[ref][TABLES[ref].key[0]] for ref in column.refs if ref in tables]
            gone |= ~new[column.name].isin(pd.concat(keys))
        if gone.any():
            rule = f"{int(gone.sum()):,} rows of earlier cycles name what is no longer there and are left out"
            fix = "Nothing, if it was meant to go; otherwise bring it back into its table."
            findings.append(Finding(name, 0, "", "", rule, "warning", "", fix))
        new = new.loc[~gone, declared.names]
        tables[name] = declared.conform(pd.concat([known, new], ignore_index=True) if len(known) else new)
    if len(left := carried.get("commitments", ())):
        closed, months = carried.get("closings", TABLES["closings"].empty()), collected.company.months(collected.cycle)
        tables, more = commitments.overlaid(tables, left, closed, months)
        findings += more
    asked = collected.findings
    answered = [name for name in carried if len(tables.get(name, ()))]
    asked = asked[~(asked["rule"].eq(complete.UNSAID) & asked["table"].isin(answered))]
    found = together([asked, as_frame(findings)]) if findings else asked
    return replace(collected, tables=tables, findings=found.reset_index(drop=True))


def moved(effects: pd.DataFrame) -> pd.DataFrame:
    """Rows of table `past_overrides` from table `override_effects` of earlier cycles.

    One person's overrides of a month are judged together: from before the first to after the last.
    """
    rows = effects.sort_values("id", kind="stable").groupby(list(TABLES["past_overrides"].key), as_index=False)
    return rows.agg(before=("before", "first"), after=("after", "last"), reason=("reason", "; ".join))


def frames(collected: Collected, answers: pd.DataFrame | None = None) -> dict[str, pd.DataFrame]:
    """Every table that stage collect writes, as declared; none where a finding stops the plan.

    `answers` (table `history_answers`): planners' answers to proposed corrections of history.
    Raises FindingsError with every finding where one of them is an error.
    """
    if collected.errors:
        raise FindingsError(
            (Finding(**row) for row in collected.findings.to_dict("records") if row["severity"] == "error"),
            f"{collected.company.name} cannot be planned for {collected.cycle} and nothing was written",
        )
    tables = dict(collected.tables)
    tables |= {"findings": TABLES["findings"].conform(collected.findings)}
    tables |= {"sources": collected.sources, "source_rows": collected.source_rows}
    tables |= complete.scorecard(tables, collected.company, collected.cycle)
    tables |= cleanse.clean(tables, collected.company, collected.cycle, answers)
    return tables
