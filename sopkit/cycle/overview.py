"""Where everything stands: companies, their cycles, what waits for whom, and the next command to type."""

from __future__ import annotations

from datetime import date

import pandas as pd

from sopkit.cycle.checklist import blocking
from sopkit.cycle.cycle import Cycle, command
from sopkit.cycle.lock import holder
from sopkit.errors import SopkitError
from sopkit.files import data_root, reports_root
from sopkit.tables import parse_cycle


def overview() -> pd.DataFrame:
    """One row a cycle of every company, the newest first: where it stands, who is asked, the next command.

    Columns `company cycle state waits next`. A company without a cycle has one row, with the cycle of this month.
    """
    rows = []
    for folder in sorted(path.parent for path in data_root().glob("*/company.yaml")):
        names = sorted(
            (path.parent.name for path in (reports_root() / folder.name).glob("*/manifest.json")), reverse=True
        )
        for place, name in enumerate(names):
            rows.append((folder.name, name, *_stands(folder.name, name, closed=place > 0)))
        if not names:
            month = f"{date.today():%Y-%m}"
            rows.append((folder.name, month, "not begun", "you", command("check", folder.name, month)))
    return pd.DataFrame(rows, columns=["company", "cycle", "state", "waits for", "next"])


def _stands(company: str, cycle: str, *, closed: bool) -> tuple[str, str, str]:
    """(state, who is waited for, next command) of one cycle; a cycle with a later one is closed."""
    if closed:
        return "closed", "-", command("verify", company, cycle)
    try:
        opened = Cycle.open(company, parse_cycle(cycle))
        if runs := holder(opened.folder):
            return "running", runs, command("status", company, cycle)
        left = blocking(opened)
    except SopkitError as error:
        return "damaged", str(error).splitlines()[0], command("verify", company, cycle)
    if len(left):
        first = left.iloc[0]
        return first["state"], "; ".join(left.drop_duplicates("stage")["waits for"].unique()), first["next"]
    return "signed", "-", command("publish", company, cycle)
