"""A company's supply model kept in the solver, to ask again and again what a change would bring."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pandas as pd
import pyomo.environ as pyo

from sopkit.book import Book
from sopkit.book.known import Known
from sopkit.engine import Engine
from sopkit.errors import StageError, StoppedError, nearest
from sopkit.supply.check import checked
from sopkit.supply.explain import explain
from sopkit.supply.loaded import Effort
from sopkit.supply.matrix import Matrix
from sopkit.supply.network import READS, Network
from sopkit.supply.results import written
from sopkit.supply.solve import Parts, Solution, read

Changed = Book | Mapping[str, pd.DataFrame] | None  # what differs from the base: another book, or whole tables by name


class Session:
    """The supply model of a book, kept in HiGHS.

    Every question is a change over the base, not over the last question. Where only bounds and costs differ (demand,
    capacity, prices, stock targets), these alone are passed into the loaded model and the solver starts from the last
    plan, as it does where coefficients differ (hours, wages); anything else (a new supplier) is loaded anew. `how` says
    which. One question at a time: JupyterLab runs controls in a thread beside the cells, and HiGHS would crash.
    """

    def __init__(self, book: Book, *, engine: Engine | None = None) -> None:
        self.book, self.engine, self.how = book, engine, "loaded"
        self._turn, self._stop = threading.RLock(), threading.Event()
        self.known = Known()
        self.effort = Effort.of(book)
        network, model, whole = read(book, self.known)
        self.tables = network.tables
        self.parts = Parts(whole, engine, effort=self.effort, stop=self._stop)
        self.base = Solution(model, self.parts.matrix, self.parts.answer(), network)

    def stop(self) -> None:
        """Give up the question that is being answered, if one is: whoever asked it gets StoppedError."""
        self._stop.set()
        with self._turn:
            self._stop.clear()

    def _go_on(self) -> None:
        if self._stop.is_set():
            raise StoppedError("Stopped: nothing has changed.")

    def resolve(self, changed: Changed = None, *, anew: bool = False) -> Solution:
        """The best plan of another book, or with other tables; `anew`: not from the last plan, whatever differs.

        Raises FindingsError where a changed table breaks its declaration, SupplyDataError where tables contradict each
        other, KeyError for a table that stage supply does not read, StoppedError after `stop`.
        """
        with self._turn:
            try:
                return self._resolved(changed, anew)
            except StageError:
                self._go_on()
                raise

    def read(self, changed: Changed) -> tuple[Network, pyo.ConcreteModel, Matrix]:
        """The network, model and matrix of another book, or with other tables."""
        if not isinstance(changed, Book):
            for name in changed or ():
                if name not in READS:
                    raise KeyError(f"stage supply reads no table {name!r}: {nearest(name, READS)}")
            changed = self.book.with_tables(changed or {})
        return read(changed, self.known, self._go_on)

    def _resolved(self, changed: Changed, anew: bool) -> Solution:
        network, model, new = self.read(changed)
        whole = self.parts.matrix
        if not anew and whole.same_structure(new):
            self.how = "bounds and costs"
            answer = self.parts.changed(new)
        elif not anew and len(self.parts.places) == 1 and whole.shape == new.shape and not new.integer.any():
            self.how = "coefficients"
            answer = self.parts.beside(new, self._stop)
        else:
            self.how = "anew"
            self.parts.let_go()
            answer = Parts(new, self.engine, effort=self.effort, stop=self._stop).answer()
        return Solution(model, new, answer, network)

    def explained(self) -> dict[str, pd.DataFrame]:
        """Why there is not more of the base: tables `binding_limits`, `why_short`, `levers` and `level_chase`."""
        with self._turn:
            return explain(self)

    def plan(self, changed: Changed = None, *, explained: bool = False, anew: bool = False) -> dict[str, pd.DataFrame]:
        """Every table of stage supply for the base or for what changed (as `resolve`), re-derived in pandas.

        `explained`: with the tables that explain why not more; for the base only. Raises what `resolve` raises, and
        StageError where a plan breaks one of its rules.
        """
        with self._turn:
            solution = self.base if changed is None else self.resolve(changed, anew=anew)
            self._go_on()
            tables = written(solution.network, solution.model, solution)
            self._go_on()
            plan = checked(solution.network.book, tables, self.known)
            return plan | explain(self) if explained and changed is None else plan
