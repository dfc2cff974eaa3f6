"""What a plan is compared by, read off its solution: what tables would say of it, before any table is written."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.sparse import csr_array, vstack

from sopkit.book import Book
from sopkit.errors import StageError
from sopkit.reconcile import finance
from sopkit.supply.matrix import Matrix, Names
from sopkit.supply.model import CASH, POLICY
from sopkit.supply.network import Network
from sopkit.supply.results import NOTHING

HOLDS = 1e-4  # units: how far a solution may be from a limit of its model


class Gauge:
    """The measures of solutions of one supply model; `kpis.MEASURES`, and what else risk is measured by."""

    def __init__(self, book: Book, read: Matrix, network: Network) -> None:
        self.book, self.read, self.network = book, read, network
        self.asked = read.rows["demand_balance"].where if "demand_balance" in read.rows else slice(0, 0)
        months, stock = network.time.months, network.stock
        self.legend = read.columns["hold"].legend
        self.code = {label: at for at, label in enumerate(self.legend)}
        self.month = np.full(len(self.legend), -1)
        self.month[[self.code[month] for month in months if month in self.code]] = np.arange(len(months))
        policy = [name for name in POLICY if name != "changing_the_plan"]
        price, hours = network.buying.price, network.shifts.hours
        parts = {
            "revenue": self._spent(["revenue"]),
            "paid": self._spent(CASH),
            "penalties": self._spent(policy),
            "stock": self._decided("hold", self._by(stock.standard_cost, read.columns["hold"])),
            "bought": self._decided("buy", np.array([price[key] for key in read.columns["buy"].keys])),
            "overtime": self._decided("run_overtime"),
            "regular": self._decided("run"),
            "shifts": self._decided("work_shift", np.array([hours[key] for key in read.columns["work_shift"].keys])),
        }
        self.names, matrices = list(parts), [matrix for matrix, _ in parts.values()]
        self.matrix, self.constant = csr_array(vstack(matrices)), np.concatenate([rest for _, rest in parts.values()])
        self.waits, self.loses = read.columns["wait"], read.columns["lose"]
        self.planned = self.month[self.waits.labels[-1]] >= 0
        self.goods = self._by(stock.standard_cost, self.loses)
        self.opening = sum(units * stock.standard_cost[item] for (item, _), units in stock.opening.items())
        self.capital = self.opening + finance.current(book["balance_sheet"])
        costs = book["option_costs"].groupby("month")["amount"].sum()
        self.options = costs.reindex(book.months).fillna(0.0).to_numpy()

    def _by(self, weights: dict[str, float], names: Names) -> np.ndarray:
        """The weight of each member of a decision by its first label, 0 where it has none."""
        return np.array([weights.get(key, 0.0) for key in self.legend])[names.labels[0]]

    def _monthly(self, month: np.ndarray, weight: np.ndarray) -> csr_array:
        """A matrix that adds up members by month, each times its weight."""
        inside = np.flatnonzero(month >= 0)
        return csr_array((weight[inside], (month[inside], inside)), (len(self.network.time.months), len(month)))

    def _spent(self, names: Iterable[str]) -> tuple[csr_array, np.ndarray]:
        """Named expressions added up by month, as a matrix of the decisions and constants."""
        count = len(self.network.time.months)
        total, rest = csr_array((count, self.read.shape[1])), np.zeros(count)
        for labels, entries, constant in (self.read.expressions[one] for one in names if one in self.read.expressions):
            if labels.size:
                adds = self._monthly(self.month[labels.labels[-1]], np.ones(labels.size))
                total, rest = csr_array(total + adds @ entries), rest + adds @ constant
        return total, rest

    def _decided(self, name: str, weight: np.ndarray | None = None) -> tuple[csr_array, np.ndarray]:
        """A decision times its weight, by month."""
        names, count = self.read.columns[name], len(self.network.time.months)
        if not names.size:
            return csr_array((count, self.read.shape[1])), np.zeros(count)
        adds = self._monthly(self.month[names.labels[-1]], np.ones(names.size) if weight is None else weight).tocoo()
        return csr_array((adds.data, (adds.row, adds.col + names.start)), (count, self.read.shape[1])), np.zeros(count)

    def __call__(self, read: Matrix, values: np.ndarray) -> dict[str, float]:
        """The measures of one solution of a model whose limits are those of `read`.

        Raises StageError where the solution breaks a limit.
        """
        used = read.a @ values
        broken = max(np.max(read.row_lower - used, initial=0.0), np.max(used - read.row_upper, initial=0.0))
        if broken > HOLDS * (1 + np.abs(values).max(initial=0.0) * 1e-3):
            raise StageError(f"A solved plan breaks a limit of its model by {broken:g}: please report this.")
        values = np.where(np.abs(values) <= NOTHING, 0.0, values)
        flow = dict(zip(self.names, np.split(self.matrix @ values + self.constant, len(self.names)), strict=True))
        sales, stock, demand = flow["revenue"], flow["stock"], read.row_lower[self.asked]
        result = sales - flow["paid"] + np.diff(stock, prepend=self.opening) - self.options
        owed, owing, other = finance.outstanding(self.book["balance_sheet"], sales, flow["bought"])
        capital = stock + owed - owing + other
        lost, late = values[self.loses.where], values[self.waits.where][self.planned]
        on_time = np.maximum(demand - lost - late, 0.0)
        end = np.where(self.month[self.loses.labels[-1]] == len(sales) - 1, late, 0.0)
        margin = sales.sum() - float(self.goods @ (demand - lost - end))
        penalties, hours = flow["penalties"].sum(), (flow["regular"] + flow["overtime"]).sum()
        available = sum(self.network.resources.regular_limit.values()) + flow["shifts"].sum()
        return {
            "net sales": sales.sum(),
            "gross margin": margin,
            "gross margin rate": margin / sales.sum() if sales.sum() else 0.0,
            "result": result.sum(),
            "service penalties": penalties,
            "fill rate": on_time.sum() / demand.sum() if demand.sum() else 1.0,
            "units lost": lost.sum(),
            "backlog at the end": end.sum(),
            "mean stock value": stock.mean(),
            "working capital at the end": capital[-1],
            "overtime": flow["overtime"].sum(),
            "mean utilisation": hours / available if available else 0.0,
            "result after penalties": result.sum() - penalties,
            "lowest cash": np.cumsum(result - np.diff(capital, prepend=self.capital)).min(),
            "cost": sales.sum() - result.sum(),
        }
