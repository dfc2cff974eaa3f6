"""Controls inside the notebooks: an answer to a proposed correction of history (01), the consensus typed over with a
reason (02), a what-if that solves again (03), the meeting's decision (05).

All are plain widgets that wait for nobody: in a headless run they show what is recorded and the notebook goes on.
"""

from __future__ import annotations

from sopkit.cycle import Cycle
from sopkit.workbench.consensus import ConsensusSheet
from sopkit.workbench.forms import AnswerForm, DecisionForm
from sopkit.workbench.running import CarryOn
from sopkit.workbench.what_if import WhatIf


def answer_form(cycle: Cycle) -> AnswerForm:
    """The answers to corrections of notebook 01, for a `cycle` opened for stage collect whose tables are saved."""
    return AnswerForm(cycle)


def consensus_sheet(cycle: Cycle) -> ConsensusSheet:
    """The consensus as a spreadsheet, of notebook 02, for a `cycle` opened for stage demand whose plan is saved."""
    return ConsensusSheet(cycle)


def what_if(cycle: Cycle) -> WhatIf:
    """The what-if panel of notebook 03, for a `cycle` opened for stage supply whose plan is saved."""
    return WhatIf(cycle)


def decision_form(cycle: Cycle) -> DecisionForm:
    """The decision form of notebook 05, for a `cycle` opened for stage decide whose decision log is saved."""
    return DecisionForm(cycle)


def carry_on(cycle: Cycle) -> CarryOn:
    """A button that makes again what is stale in `cycle`, with its progress; it can be stopped."""
    return CarryOn(cycle)
