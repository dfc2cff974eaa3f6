"""Two cycles of company bags, decided and published for good with an SSH key, through the real rooms."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from small_company import CYCLE
from small_cycle import after_the_meeting, bags, to_the_meeting

from sopkit.cycle import Cycle, signatures, versions
from sopkit.tables import TABLES

NEXT = "2026-02"
DECISION = {
    "question": "Do we work overtime in March?",
    "option": "overtime",
    "reason": "March is short",
    "status": "approved",
}
COMPANY = "name: Bags\nhorizon: 3\ndecision: {standard_events: 0}\n"
SCENARIO = """
overtime:
  title: Thirty hours of overtime in March
  changes:
    - {table: capacity, where: {resource: LINE, month: 2026-03}, column: overtime_limit, add: 30}
"""
QUESTION = """
- question: Do we work overtime in March?
  options: [base, overtime]
  owner: Greta
  due: 2026-02
"""


def publish_twice(root: Path, set_variable: Callable[[str, str], None]) -> None:
    """Lay out `root`: data/, reports/ and Greta's key; `set_variable` sets what names them in the environment."""
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / "key"], check=True)
    for name, place in (("DATA", "data"), ("REPORTS", "reports"), ("SSH_KEY", "key")):
        set_variable(f"SOPKIT_{name}", str(root / place))
    tables = bags()
    tables["people"] = tables["people"].assign(ssh_key=[(root / "key.pub").read_text().strip(), ""])
    (root / "data" / "bags").mkdir(parents=True)
    (root / "data" / "bags" / "company.yaml").write_text(COMPANY)
    (root / "data" / "bags" / "scenarios.yaml").write_text(SCENARIO)
    (root / "data" / "bags" / "decisions.yaml").write_text(QUESTION)
    # the first cycle is there to be followed: nothing is solved in it
    wrote = {"collect": {"families": tables["families"], "people": tables["people"]}}
    row = {column.name: "x" for column in TABLES["decision_log"] if column.required}
    wrote["decide"] = {"decision_log": pd.DataFrame([row | {"status": "approved"}])}
    for stage in ("collect", "decide", "publish"):
        c = Cycle.open("bags", CYCLE, stage=stage)
        c.save(wrote.get(stage, {}))
        c.mark(stage, "done")
    _publish(CYCLE)
    for name in ("calendar", "capacity", "demand_plan"):
        later = pd.to_datetime(tables[name]["month"]) + pd.DateOffset(months=1)
        tables[name] = tables[name].assign(month=later.dt.strftime("%Y-%m"))
    to_the_meeting(root, tables, NEXT)
    signatures.decide(Cycle.open("bags", NEXT, stage="decide"), DECISION, by="Greta")
    after_the_meeting(NEXT, pack=True)
    _publish(NEXT)


def _publish(cycle: str) -> None:
    opened = Cycle.open("bags", cycle)
    versions.freeze(opened, "Greta", signatures.key_of(opened, "Greta"))
