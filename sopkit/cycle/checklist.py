"""What still blocks publication, computed: what is stale, what is not true, which signature is missing, who acts."""

from __future__ import annotations

import pandas as pd

from sopkit.book.signed import signatures, signers
from sopkit.cycle.cycle import Cycle, command
from sopkit.tables import STAGES

COLUMNS = ["stage", "state", "what", "waits for", "next"]


def blocking(cycle: Cycle) -> pd.DataFrame:
    """What must still happen before `cycle` can be published as approved, in the order of doing; no row = nothing.

    Columns `stage state what waits for next`; what must be true is the checklist of `book.workflow`, as a signature
    asks it. A cycle that is published for good waits for nothing. Raises what reading the cycle raises.
    """
    rows, manifest, stale = [], cycle.manifest, cycle.stale()
    if manifest["stages"].get(cycle.stage, {}).get("state") == "running":
        del stale[cycle.stage]  # asked by the notebook of the stage while it runs
    if "frozen" in manifest:
        return pd.DataFrame(columns=COLUMNS)
    again = command("run", cycle.company_name, cycle.cycle, "--resume")
    rows += [(stage, f"{stage}: {why}", f"stage {stage} is stale: {why}", "you", again) for stage, why in stale.items()]
    people = cycle.read("people") if "collect" in manifest["stages"] else pd.DataFrame({"name": [], "may_sign": []})
    signed = signatures(cycle.records.read("sign_offs", cycle=cycle.cycle), cycle.cycle, manifest)
    held = set(signed.loc[signed["holds"], "stage"])
    for stage in STAGES:
        if stage.name in stale:
            continue
        may, rule = signers(people, stage.name), cycle.company.rule(stage.name)
        several = " or ".join(may)
        if stage.name not in held or stage.name == "decide":
            for item in cycle.untrue(stage.name):
                asked = item.owner or rule.owner or several or f"nobody may sign {stage.name}"
                where = f'--tick "{item.what}"' if item.what in rule.ticks else ""
                room = command("sign", cycle.company_name, cycle.cycle, f"{stage.name} {where}") if where else ""
                room = room or f"notebook {stage.number:02d}" + ", or decisions.yaml" * (stage.name == "decide")
                rows.append((stage.name, "made", item.missing, f"{stage.name}: {asked}", room))
        if stage.name not in held:
            by = f'{stage.name} --by "{may[0]}"' if may else stage.name
            sign = command("sign", cycle.company_name, cycle.cycle, by)
            waits = f"{stage.name}: {several or 'nobody may sign it'}"
            rows.append((stage.name, "made", f"stage {stage.name} is not signed as it is", waits, sign))
    return pd.DataFrame(rows, columns=COLUMNS)
