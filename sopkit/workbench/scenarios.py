"""The scenario lab: scenarios built from changes, solved, and options held against events, beside the plan."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
import pandas as pd

from sopkit import charts, words
from sopkit.book import Scenario, load_scenarios
from sopkit.cycle import Cycle
from sopkit.engine import Engine
from sopkit.errors import SettingsError, SopkitError, StoppedError
from sopkit.reconcile import USUAL
from sopkit.workbench import forms
from sopkit.workbench.what_if import WhatIf

NOTHING = "nothing happens"


class ScenarioLab(WhatIf):
    """Scenarios of scenarios.yaml, and those kept here from the same changes as in the what-if panel, solved anew.

    Those chosen are solved one after the other beside the notebook, options also under each event that is chosen; what
    is solved stands side by side in the pack's own figure. Futures can be sampled for the plan and every option. Either
    can be stopped at any time. Nothing is stored.
    """

    heading = "Build a scenario, solve it, compare"

    def __init__(self, cycle: Cycle) -> None:
        super().__init__(cycle)
        wide, told = widgets.Layout(width="min(62em, 100%)"), "Options also under each chosen event"
        self.chosen = widgets.SelectMultiple(description="Scenarios", rows=8, style=forms.LABEL, layout=wide)
        self.against = widgets.Checkbox(value=True, description=told, indent=False, style=forms.LABEL)
        self.solve = forms.button("Solve", primary=True)
        self.stop = forms.stop_button("Stop")
        self.bar = widgets.IntProgress(min=0, max=1, layout=widgets.Layout(width="12em"))
        self.progress = forms.Message()
        self.compared, self.held = forms.Shown(), forms.Shown()
        self.futures = widgets.BoundedIntText(USUAL, min=20, max=5000, description="Sampled futures", style=forms.LABEL)
        self.sample = forms.button("Sample the risk of every option")
        self.sampled = [forms.Shown() for _ in range(4)]
        self._stop = threading.Event()
        self._working = threading.Thread()
        self.solve.on_click(self._begin)
        self.sample.on_click(lambda _: self._start(self._sample, self.futures.value))
        self.stop.on_click(self._stopped)
        self.chosen.observe(self._moved, "value")
        row = widgets.HBox([self.solve, self.futures, self.sample, self.stop, self.bar])
        below = [self.chosen, self.against, row, self.progress, self.compared, self.held, *self.sampled]
        self.children = (*self.trait_values()["children"], *below)
        self._offer()

    @property
    def known(self) -> dict[str, Scenario]:
        """The company's scenarios as scenarios.yaml has them now; away from the company, as collect kept them."""
        try:
            return load_scenarios(self.cycle.scenarios)
        except SettingsError:  # a cycle's folder is enough to run its notebooks
            return dict(self.cycle.book.scenarios)

    def _offer(self) -> None:
        known = self.known
        self.chosen.options = [(f"{one.kind}: {one.title}", code) for code, one in known.items()]
        self.chosen.value = list(known)
        told = "Choose with Ctrl and Shift, then solve." if known else "There is no scenario yet: keep one above."
        self.progress.say(told)

    def _moved(self, _: Any) -> None:
        for figure in (self.compared, self.held):
            figure.stale("other scenarios are chosen. Solve again.")
        count = words.several(len(self._pairs(self.known)), "plan")
        self.progress.say(f"{words.sentence(count)} to solve.")

    def _store(self) -> None:
        super()._store()
        self._offer()

    def _pairs(self, known: dict[str, Scenario]) -> list[tuple[str, str]]:
        """(option, event) to be solved, "" for none: each scenario alone, then options under events."""
        options = [code for code in self.chosen.value if known[code].kind == "option"]
        events = [code for code in self.chosen.value if known[code].kind == "event"]
        both = [(option, event) for event in events for option in options] if self.against.value else []
        return [*((option, "") for option in options), *(("", event) for event in events), *both]

    def _begin(self, _: Any = None) -> None:
        known = self.known
        if not (pairs := self._pairs(known)):
            return self.progress.say("Choose a scenario first.", wrong=True)
        self._start(self._work, pairs, known)

    def _start(self, work: Callable[..., None], *given: Any) -> None:
        """Work beside the notebook, until it is done or stopped."""

        def run() -> None:
            try:
                work(*given)
            except SopkitError as error:
                self.progress.say(str(error), wrong=True)
            finally:
                self.solve.disabled = self.sample.disabled = False
                self.stop.disabled = True

        self._stop.clear()
        self.solve.disabled = self.sample.disabled = True
        self.stop.disabled, self.bar.value, self._began = False, 0, time.monotonic()
        self.progress.say("Solving ...")
        self._working = threading.Thread(target=run, daemon=True)
        self._working.start()

    def _stopped(self, _: Any = None) -> None:
        self._stop.set()
        self.plan.stop()

    def _solved(self, done: int, of: int, what: str) -> None:
        self.bar.max, self.bar.value = of, done
        left = (time.monotonic() - self._began) / done * (of - done)
        self.progress.say(f"{done} of {of} {what} solved, about {left:.0f} s left ...")

    def _work(self, pairs: list[tuple[str, str]], known: dict[str, Scenario]) -> None:
        solved: dict[tuple[str, str], dict[str, float]] = {}
        for done, (option, event) in enumerate(pairs, start=1):
            if self._stop.is_set():
                break
            try:
                asked = known[option].under(known[event]) if option and event else known[option or event]
                solved[option, event] = self.plan.what_if(asked, judged=False).measured
            except StoppedError:
                break
            self._solved(done, len(pairs), "plans")
        self._show(solved, known)
        stopped = f" Stopped: {len(pairs) - len(solved)} are not solved." if len(solved) < len(pairs) else ""
        self.progress.say(f"{words.sentence(words.several(len(solved), 'plan'))} solved.{stopped}")

    def _sample(self, count: int) -> None:
        """The plan and every option of the file in sampled futures, and the figures of their risk."""
        from sopkit.reconcile import figures, sampled

        def told(done: int, of: int) -> None:
            if self._stop.is_set():
                raise StoppedError("Stopped: no future is shown.")
            self._solved(done, of, "parts")

        plan = replace(self.plan, scenarios=self.known)
        with Engine() as engine:
            found = sampled(plan, count, engine=engine, progress=told)
        plan = plan.with_tables(found)
        shown = figures.risk(plan), figures.risk(plan, "fill rate"), figures.tornado(plan), figures.frontier(plan)
        for place, figure in zip(self.sampled, shown, strict=True):
            place.show(figure)
        again = self.cycle.command(f"--resume -p futures={count}")
        self.progress.say(f"{words.several(count, 'future')} sampled. To have them in the pack: {again}.")

    def _show(self, solved: dict[tuple[str, str], dict[str, float]], known: dict[str, Scenario]) -> None:
        from sopkit.reconcile import compare, figures

        measured = {compare.BASE: (compare.BASE_TITLE, self.plan.measured)}
        measured |= {o or e: (known[o or e].title, values) for (o, e), values in solved.items() if not (o and e)}
        rows = compare.side_by_side(measured, self.plan.currency)
        self.compared.show(figures.scenarios(self.plan.with_tables({"scenario_results": rows})))
        cells = {pair: values["result"] - values["service penalties"] for pair, values in solved.items()}
        base = self.plan.measured["result"] - self.plan.measured["service penalties"]
        alone = {event: value for (option, event), value in cells.items() if not option} | {"": base}
        shown = [
            (known[option].title, known[event].title if event else NOTHING, value - alone[event])
            for (option, event), value in cells.items()
            if option and event in alone
        ]
        frame = pd.DataFrame(shown, columns=["option", "event", "gain"])
        wide = frame.pivot(index="option", columns="event", values="gain").reset_index()
        names, unit = list(dict.fromkeys(frame["event"])), self.plan.currency
        show = {name: charts.Show(words.sentence(name), unit, True) for name in names}
        self.held.show(charts.table(
            wide if len(names) > 1 else None, {"option": "Option", **show}, title="Options against events",
            unit="result after penalties, against doing nothing", who=self.plan.who,
            look_for="What each option brings if the event happens; the first column is its price if nothing does.",
            none="Choose options and events together to hold one against the other.",
        ))  # fmt: skip
