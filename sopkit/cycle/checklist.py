"""What still blocks publication, computed: what is stale, what is undecided, which signature is missing, who acts."""

from __future__ import annotations

import pandas as pd

from sopkit.book.signed import signatures, signers
from sopkit.cycle.cycle import Cycle, command
from sopkit.tables import STAGES

COLUMNS = ["stage", "state", "what", "waits for", "next"]


def blocking(cycle: Cycle) -> pd.DataFrame:
    """What must still happen before `cycle` can be published as approved, in the order of doing; no row = nothing.

    Columns `stage state what waits for next`. A cycle that is published for good waits for nothing. Raises what reading
    the cycle raises.
    """
    rows, manifest, stale = [], cycle.manifest, cycle.stale()
    if "frozen" in manifest:
        return pd.DataFrame(columns=COLUMNS)
    again = command("run", cycle.company_name, cycle.cycle, "--resume")
    rows += [(stage, f"{stage}: {why}", f"stage {stage} is stale: {why}", "you", again) for stage, why in stale.items()]
    people = cycle.read("people") if "collect" in manifest["stages"] else pd.DataFrame({"name": [], "may_sign": []})
    signed = signatures(cycle.records.read("sign_offs", cycle=cycle.cycle), cycle.cycle, manifest)
    held = set(signed.loc[signed["holds"], "stage"])
    for stage in (one.name for one in STAGES if one.name not in stale):
        may = signers(people, stage)
        if stage == "decide" and "decision_log" in manifest["tables"]:
            log = cycle.read("decision_log")
            room = "notebook 05, or decisions.yaml"
            for row in log[log["status"] == "undecided"].to_dict("records"):
                what = " ".join(filter(None, [f"undecided: {row['question']}", row["lapsed"]]))
                rows.append((stage, "made", what, row["owner"] or " or ".join(may) or "nobody may decide", room))
        if stage not in held:
            by = f'{stage} --by "{may[0]}"' if may else stage
            waits = f"{stage}: {' or '.join(may) or 'nobody may sign it'}"
            sign = command("sign", cycle.company_name, cycle.cycle, by)
            rows.append((stage, "made", f"stage {stage} is not signed as it is", waits, sign))
    return pd.DataFrame(rows, columns=COLUMNS)
