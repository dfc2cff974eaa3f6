"""What every section of the pack is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from sopkit.charts import Figure
from sopkit.decide import is_draft
from sopkit.tables import TABLES, Company
from sopkit.words import amount, sentence

FULL = 0.995  # a resource is full from this share of its regular hours on


@dataclass(frozen=True)
class Paper:
    """What every section is made from: the tables of the cycle, the company's settings, and the cycle's manifest."""

    tables: Mapping[str, pd.DataFrame]
    company: Company
    cycle: str
    manifest: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Table `name`; without rows where nobody brought it."""
        frame = self.tables.get(name)
        return TABLES[name].empty() if frame is None else frame

    @cached_property
    def months(self) -> pd.DatetimeIndex:
        """The planned months."""
        return pd.DatetimeIndex(self.company.months(self.cycle))

    @property
    def first(self) -> pd.Timestamp:
        """The first planned month."""
        return self.months[0]

    @cached_property
    def year(self) -> pd.DatetimeIndex:
        """The next twelve months, or fewer where the horizon is shorter."""
        return self.months[:12]

    def near(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of the next twelve months."""
        return frame[frame["month"].isin(self.year)]

    @property
    def money(self) -> str:
        """The company's currency."""
        return self.company.currency

    def cash(self, value: float | None, sign: bool = False) -> str:
        """An amount of money in words: `1.24 million EUR`."""
        return amount(value, self.money, sign)

    @property
    def span(self) -> str:
        """The months that totals are of: `next 12 months`."""
        return f"next {len(self.year)} months"

    @cached_property
    def units(self) -> str:
        """The unit of measure of all products, or `units` where they have several."""
        uoms = self["products"]["uom"].unique()
        return uoms[0] if len(uoms) == 1 else "units"

    def names(self, table: str) -> dict[str, str]:
        """Code -> what people call it."""
        frame, key = self[table], TABLES[table].key[0]
        named = frame["name"].where(frame["name"].ne(""), frame[key])
        return dict(zip(frame[key], named, strict=True))

    def called(self, codes: pd.Series, *tables: str) -> pd.Series:
        """Codes as people call them; a code that no table knows stays as it is."""
        known = {code: name for table in tables for code, name in self.names(table).items()}
        return codes.map(known).fillna(codes)

    @cached_property
    def family(self) -> dict[str, str]:
        """Product -> family."""
        return dict(zip(self["products"]["product"], self["products"]["family"], strict=True))

    def kpi(self, name: str, period: str) -> float | None:
        """A KPI's value; None where it could not be computed."""
        return self._kpis.get((name, period))

    @cached_property
    def _kpis(self) -> dict[tuple[str, str], float]:
        known = self["kpis"].dropna(subset="value")
        return dict(zip(zip(known["kpi"], known["period"], strict=True), known["value"], strict=True))

    @cached_property
    def draft(self) -> bool:
        """Whether the plan is a draft: a question is open, or nobody decided at all."""
        return self["decision_log"].empty or is_draft(self["decision_log"])


def section(key: str, label: str, headline: str, *body: Figure | list[Figure | None] | str | None) -> dict[str, Any]:
    """One section: its key in the page, its label in the list of contents, its finding, its text and figures.

    A list of figures is shown side by side where there is room.
    """
    return {"key": key, "label": label, "headline": sentence(headline), "body": [part for part in body if part]}
