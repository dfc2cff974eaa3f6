"""What goes into the cycle folder: the only thing that later stages read, and enough to make the plan again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from sopkit.collect import cleanse, complete
from sopkit.errors import Finding, FindingsError
from sopkit.tables import TABLES

if TYPE_CHECKING:
    from sopkit.collect.collected import Collected


def frames(
    collected: Collected,
    answers: pd.DataFrame | None = None,
    earlier: pd.DataFrame | None = None,
    effects: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """Every table that stage collect writes, as declared; none where a finding stops the plan.

    `answers` (table `history_answers`): planners' answers to proposed corrections of history. `earlier` (columns of
    table `past_forecasts`): what earlier cycles froze. `effects` (table `override_effects`): what overrides moved in
    them, to be judged as `past_overrides`. A cycle that the company's own table holds is left out of both.
    Raises FindingsError with every finding where one of them is an error.
    """
    if collected.errors:
        raise FindingsError(
            (Finding(**row) for row in collected.findings.to_dict("records") if row["severity"] == "error"),
            f"{collected.company.name} cannot be planned for {collected.cycle} and nothing was written",
        )
    tables = dict(collected.tables)
    if effects is not None and len(effects):
        # one person's overrides of a month are judged together: from before the first to after the last
        moved = effects.sort_values("id", kind="stable").groupby(list(TABLES["past_overrides"].key), as_index=False)
        effects = moved.agg(before=("before", "first"), after=("after", "last"), reason=("reason", "; ".join))
    for name, kept in (("past_forecasts", earlier), ("past_overrides", effects)):
        if kept is not None and len(kept):
            known = tables[name]
            new = kept.loc[~kept["cycle"].isin(known["cycle"]), TABLES[name].names]
            whole = pd.concat([known, new], ignore_index=True) if len(known) else new
            tables[name] = TABLES[name].conform(whole)
    tables |= {"findings": TABLES["findings"].conform(collected.findings), "sources": collected.sources}
    tables |= complete.scorecard(tables, collected.company, collected.cycle)
    tables |= cleanse.clean(tables, collected.company, collected.cycle, answers)
    return tables
