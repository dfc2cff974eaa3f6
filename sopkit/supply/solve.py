"""The model handed to HiGHS as arrays, solved, and read back by component."""

from __future__ import annotations

import time
from typing import Any

import highspy
import numpy as np
import pandas as pd
import pyomo.environ as pyo
from pyomo.repn.plugins.standard_form import LinearStandardFormCompiler

from sopkit.errors import StageError

GAP = 1e-6
"""Relative gap at which a plan with whole numbers is taken as best."""


class Solution:
    """What the solver found: `solution[m.make]` is a Series over the index of a Var, Expression or Constraint.

    The worth of a rule is the profit gained by one more unit on its right-hand side; with whole numbers it is that of
    the plan with these held fixed. `measures` says how the plan was solved.
    """

    def __init__(self, model: pyo.ConcreteModel) -> None:
        clock = time.perf_counter()
        form = LinearStandardFormCompiler().write(model, mixed_form=True, set_sense=None)
        self._columns = {id(column): at for at, column in enumerate(form.columns)}
        self._rows = {id(row.constraint): at for at, row in enumerate(form.rows)}
        self._form = form
        handed = time.perf_counter()
        highs, lp = _handed_over(form)
        highs.run()
        self._refuse_unsolved(highs)
        self.values = np.array(highs.getSolution().col_value)
        whole = np.array([column.is_integer() or column.is_binary() for column in form.columns], dtype=bool)
        self.profit = highs.getInfo().objective_function_value
        gap = highs.getInfo().mip_gap if whole.any() else 0.0
        if whole.any():  # hold the whole numbers fixed: the worth of every limit, and exact quantities
            self.values[whole] = np.round(self.values[whole])
            lp.integrality_ = []
            lower, upper = np.array(lp.col_lower_), np.array(lp.col_upper_)
            lower[whole] = upper[whole] = self.values[whole]
            lp.col_lower_, lp.col_upper_ = lower, upper
            highs.passModel(lp)
            highs.run()
            self._refuse_unsolved(highs)
            self.values = np.array(highs.getSolution().col_value)
            self.profit = highs.getInfo().objective_function_value
        self.worth = np.array(highs.getSolution().row_dual)
        self.measures = {
            "profit less policy prices": self.profit,
            "solver": f"HiGHS {highs.version()}",
            "status": highs.modelStatusToString(highs.getModelStatus()),
            "gap": gap,
            "variables": len(form.columns),
            "rules": len(form.rows),
            "whole-number decisions": int(whole.sum()),
            "seconds to hand over": handed - clock,
            "seconds to solve": time.perf_counter() - handed,
        }

    def _refuse_unsolved(self, highs: highspy.Highs) -> None:
        status = highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise StageError(
                f"HiGHS ended with '{highs.modelStatusToString(status)}'. A plan always exists, so this is an "
                "error of sopkit: please report it with the cycle's tables folder."
            )

    def __getitem__(self, component: Any) -> pd.Series:
        """Values of a Var or Expression, or the worth of a Constraint, over its index."""
        if component.ctype is pyo.Var:
            at = {index: self._columns.get(id(data)) for index, data in component.items()}
            found = {index: 0.0 if column is None else self.values[column] for index, column in at.items()}
        elif component.ctype is pyo.Constraint:
            found = {
                index: self.worth[self._rows[id(data)]] for index, data in component.items() if id(data) in self._rows
            }
        else:
            for column, value in zip(self._form.columns, self.values, strict=True):
                column.set_value(value, skip_validation=True)
            found = {index: pyo.value(data) for index, data in component.items()}
        index = list(found)
        if component.dim() == 0:
            return pd.Series(list(found.values()), dtype=float)
        if component.dim() == 1:
            return pd.Series(list(found.values()), index=pd.Index(index, dtype=object), dtype=float)
        keys = (
            pd.MultiIndex.from_tuples(index, names=range(component.dim()))
            if index
            else pd.MultiIndex.from_arrays([[]] * component.dim(), names=range(component.dim()))
        )
        return pd.Series(list(found.values()), index=keys, dtype=float)


def _handed_over(form: Any) -> tuple[highspy.Highs, highspy.HighsLp]:
    """The standard form in HiGHS: one thread, fixed seed, so that the same tables give the same plan."""
    lp = highspy.HighsLp()
    columns, rows = len(form.columns), len(form.rows)
    lp.num_col_, lp.num_row_ = columns, rows
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.offset_ = float(form.c_offset[0])
    lp.col_cost_ = form.c.toarray()[0] if columns else np.zeros(0)
    bounds = [column.bounds for column in form.columns]
    lp.col_lower_ = np.array([-np.inf if low is None else low for low, _ in bounds])
    lp.col_upper_ = np.array([np.inf if high is None else high for _, high in bounds])
    kind = np.array([row.bound_type for row in form.rows])
    lp.row_lower_ = np.where(kind > 0, -np.inf, form.rhs)
    lp.row_upper_ = np.where(kind < 0, np.inf, form.rhs)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = form.A.indptr, form.A.indices, form.A.data
    if any(not column.is_continuous() for column in form.columns):
        lp.integrality_ = [
            highspy.HighsVarType.kContinuous if column.is_continuous() else highspy.HighsVarType.kInteger
            for column in form.columns
        ]
    highs = highspy.Highs()
    for option, value in {"output_flag": False, "threads": 1, "random_seed": 0, "mip_rel_gap": GAP}.items():
        highs.setOptionValue(option, value)
    highs.passModel(lp)
    return highs, lp


def solve(model: pyo.ConcreteModel) -> Solution:
    """Solve `model`; raises StageError where HiGHS finds no best plan."""
    return Solution(model)
