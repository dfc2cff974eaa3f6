"""Carry on from here: the stages that a change made stale run again, beside the notebook, and can be stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import ipywidgets as widgets
import pandas as pd

from sopkit import charts, words
from sopkit.cycle import Cycle
from sopkit.errors import StageError
from sopkit.kpis import LOWER, MEASURES
from sopkit.tables import STAGES, TABLES
from sopkit.workbench import forms


class CarryOn(forms.Control):
    """A button that runs what is stale, stage by stage, in a process of its own.

    The notebook stays free meanwhile. Stop ends the run between two files: what is made is whole, the rest stays stale.
    """

    def __init__(self, cycle: Cycle, stale: Sequence[str] | None = None) -> None:
        self.cycle = cycle
        self.run = forms.button("Carry on from here")
        self.stop = forms.stop_button("Stop")
        self.bar = widgets.IntProgress(min=0, max=len(STAGES), layout=widgets.Layout(width="12em"))
        self.message = forms.Message()
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._watching = threading.Thread()
        self.changed = forms.Shown()
        super().__init__([widgets.HBox([self.run, self.stop, self.bar]), self.message, self.changed])
        self.run.on_click(self._begin)
        self.stop.on_click(self._end)
        self.offer(list(cycle.stale()) if stale is None else stale)

    def offer(self, stale: Sequence[str]) -> None:
        """Show the button where stages are stale, and say which."""
        self.run.disabled = not stale
        named = words.sentence(words.listed(stale, 6))
        self.message.say(f"{named}: not made yet from what stands now." if stale else "Nothing is stale.")

    def _begin(self, _: Any = None) -> None:
        stale = list(self.cycle.stale())
        if not stale:
            return self.message.say("Nothing is stale.")
        self.run.disabled, self.stop.disabled, self._stopped = True, False, False
        self.bar.value, self.bar.max = 0, len(stale)
        asked = ["run", "--company", self.cycle.company_name, "--cycle", self.cycle.cycle, "--resume"]
        folders = os.environ | {"SOPKIT_REPORTS": str(self.cycle.folder.parents[1])}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sopkit", *asked], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=folders,
        )  # fmt: skip
        self._before = self._measured()
        self.message.say(f"Running {words.listed(stale, 6)} ...")
        self._watching = threading.Thread(target=self._watch, args=(self._process, stale), daemon=True)
        self._watching.start()

    def _watch(self, process: subprocess.Popen[str], stale: Sequence[str]) -> None:
        lines = []
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if line[:2].isdigit() and line.rstrip().endswith(" s"):
                self.bar.value += 1
                self.message.say(f"{line.split()[1].capitalize()} is made, {self.bar.value} of {len(stale)} ...")
        code = process.wait()
        left = list(self.cycle.stale())
        if code == 0:
            told = f"Made again: {words.listed(stale, 6)}. {self._what_changed()}"
            self.message.say(f"{told} Open {self.cycle.folder / 'plan.html'}.")
        elif self._stopped:
            self.message.say(f"Stopped. Still stale: {words.listed(left, 6)}.", wrong=True)
        else:
            self.message.say("\n".join(lines[-6:]), wrong=True)
        self.run.disabled, self.stop.disabled = False, True

    def _measured(self) -> pd.DataFrame:
        """What the plan is compared by, as it stands on disk; no row where it is not made yet."""
        with suppress(StageError):
            return forms.looks(self.cycle).read("scenario_results").query("scenario == 'base'")
        return TABLES["scenario_results"].empty()

    def _what_changed(self) -> str:
        """A sentence, and the plan before beside the plan now where they differ."""
        before, now = self._before.set_index("measure")["value"], self._measured()
        rows = now.assign(base=now["measure"].map(before), title="The plan now")
        rows["difference"] = rows["value"] - rows["base"]
        moved = rows[rows["difference"].abs() > 1e-6 * rows["value"].abs().clip(lower=1)]
        if before.empty or moved.empty:
            return "The plan is made for the first time." if before.empty else "The plan did not change."
        told = forms.effect(rows.set_index("measure")["difference"], self.cycle.company.currency)
        self.changed.show(charts.comparison(
            rows, title="What changed", measures=MEASURES, lower=LOWER, base_name="The plan before",
            source="scenario_results", look_for=f"{words.sentence(told)}.",
        ))  # fmt: skip
        return f"What changed: {told}."

    def _end(self, _: Any = None) -> None:
        if self._process is not None and self._process.poll() is None:
            self._stopped = True
            self._process.send_signal(signal.SIGINT)  # the runner ends its kernels and notes where it stood
