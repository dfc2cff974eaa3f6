"""Controls inside the notebooks: findings, corrections and history (01), the consensus typed over with a reason (02),
what-if (03), the scenario lab (04), the decision room (05), the checklist of publication (06).

All are plain widgets that wait for nobody: in a headless run they show what is recorded and the notebook goes on. Each
is opened with the cycle of its notebook, whose tables are saved.
"""

from __future__ import annotations

from sopkit.charts import Figure, nothing
from sopkit.cycle import Cycle
from sopkit.workbench.consensus import ConsensusSheet
from sopkit.workbench.decision import Checklist, DecisionRoom
from sopkit.workbench.findings import FindingsBrowser
from sopkit.workbench.forms import AnswerForm
from sopkit.workbench.history import HistorySheet
from sopkit.workbench.running import CarryOn
from sopkit.workbench.scenarios import ScenarioLab
from sopkit.workbench.what_if import WhatIf

findings_browser, answer_form = FindingsBrowser, AnswerForm
consensus_sheet, what_if, scenario_lab = ConsensusSheet, WhatIf, ScenarioLab
decision_room, checklist, carry_on = DecisionRoom, Checklist, CarryOn


def history_sheet(cycle: Cycle) -> HistorySheet | Figure:
    """History as a spreadsheet, where there is any."""
    none = cycle.read("clean_history").empty
    return nothing("History", "There is no history that could be typed over.") if none else HistorySheet(cycle)
