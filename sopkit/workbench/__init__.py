"""Controls inside the notebooks: findings, corrections and history (01), the consensus typed over with a reason (02),
what-if (03), the scenario lab (04), the decision room (05), the checklist of publication (06).

All are plain widgets that wait for nobody: in a headless run they show what is recorded and the notebook goes on.
"""

from __future__ import annotations

from sopkit.charts import Figure, nothing
from sopkit.collect.collected import Collected
from sopkit.cycle import Cycle
from sopkit.workbench.consensus import ConsensusSheet
from sopkit.workbench.decision import Checklist, DecisionRoom
from sopkit.workbench.findings import FindingsBrowser
from sopkit.workbench.forms import AnswerForm
from sopkit.workbench.history import HistorySheet
from sopkit.workbench.running import CarryOn
from sopkit.workbench.scenarios import ScenarioLab
from sopkit.workbench.what_if import WhatIf


def answer_form(cycle: Cycle) -> AnswerForm:
    """The answers to corrections of notebook 01, for a `cycle` opened for stage collect whose tables are saved."""
    return AnswerForm(cycle)


def findings_browser(cycle: Cycle, collected: Collected) -> FindingsBrowser:
    """The findings of notebook 01 one by one, for a `cycle` opened for stage collect and what it `collected`."""
    return FindingsBrowser(cycle, collected)


def history_sheet(cycle: Cycle) -> HistorySheet | Figure:
    """History as a spreadsheet, of notebook 01, for a `cycle` opened for stage collect whose tables are saved."""
    none = cycle.read("clean_history").empty
    return nothing("History", "There is no history that could be typed over.") if none else HistorySheet(cycle)


def consensus_sheet(cycle: Cycle) -> ConsensusSheet:
    """The consensus as a spreadsheet, of notebook 02, for a `cycle` opened for stage demand whose plan is saved."""
    return ConsensusSheet(cycle)


def what_if(cycle: Cycle) -> WhatIf:
    """The what-if panel of notebook 03, for a `cycle` opened for stage supply whose plan is saved."""
    return WhatIf(cycle)


def scenario_lab(cycle: Cycle) -> ScenarioLab:
    """The scenario lab of notebook 04, for a `cycle` opened for stage reconcile whose plan is saved."""
    return ScenarioLab(cycle)


def decision_room(cycle: Cycle) -> DecisionRoom:
    """The decision room of notebook 05, for a `cycle` opened for stage decide whose decision log is saved."""
    return DecisionRoom(cycle)


def checklist(cycle: Cycle) -> Checklist:
    """What still blocks publication, of notebook 06, for a `cycle` that was run."""
    return Checklist(cycle)


def carry_on(cycle: Cycle) -> CarryOn:
    """A button that makes again what is stale in `cycle`, with its progress; it can be stopped."""
    return CarryOn(cycle)
