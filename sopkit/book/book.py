"""A book: tables, company settings and cycle as one value; what every room asks of them, written once."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

import pandas as pd

from sopkit.book import ask, explain
from sopkit.errors import FindingsError, SettingsError
from sopkit.tables import BY_NAME, STAGES, TABLES, Company, hierarchy, written_by
from sopkit.tables import table as declaration
from sopkit.words.languages import say, speak

if TYPE_CHECKING:
    from sopkit.book.explain import Explanation
    from sopkit.book.plan import Plan
    from sopkit.book.scenarios import Question, Scenario
    from sopkit.charts import Figure
    from sopkit.engine import Engine

SELLING = ["product", "market"]
Derived = TypeVar("Derived")
BINDING = ("in force", "late", "contained", "done")  # states of a commitment in which the plan contains it


@dataclass(frozen=True, eq=False, repr=False)
class Book(Mapping[str, pd.DataFrame]):
    """Tables + company settings + cycle. `book["products"]` is a table as declared; one that nobody brought is empty.

    Every table in a book is conformed and checked against its declaration (`Book.of`, `with_tables` do so), so nobody
    checks again. A book is never changed: what differs is a new book. `scenarios` and `questions` are the company's
    scenarios.yaml and decisions.yaml, `manifest` says how a cycle's tables were made.

    >>> import sopkit
    >>> book = sopkit.demo()
    >>> plan = book.plan()
    """

    tables: Mapping[str, pd.DataFrame]
    company: Company
    cycle: str
    scenarios: Mapping[str, Scenario] = field(default_factory=dict)
    questions: Sequence[Question] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)
    planned_as: ClassVar[type[Plan]]  # what the stages make of a book; said where it is defined, in `book.plan`

    @classmethod
    def of(cls, tables: Mapping[str, pd.DataFrame], company: Company, cycle: str) -> Self:
        """A book of frames as they come, each conformed and checked; FindingsError names every wrong cell."""
        return cls({}, company, cycle).with_tables(tables)

    def with_tables(self, tables: Mapping[str, pd.DataFrame], *, company: Company | None = None) -> Self:
        """This book with other frames in place of those of the same names, and other settings where they are given.

        A demand plan may be thin (product, market, month, consensus): family, net price and the layers are filled in.
        One that comes alone was brought: what stage demand had made beside another one is gone.
        Raises FindingsError naming every cell that breaks its declaration, KeyError for a table that does not exist.
        """
        checked, findings = {}, []
        for name, frame in tables.items():
            declared = declaration(name)
            if frame is not self.tables.get(name):
                whole = self._whole_demand(frame, tables) if name == "demand_plan" else frame
                checked[name] = declared.conform(whole)
                findings += declared.findings(checked[name])
        if findings:
            raise FindingsError(findings, "Tables do not fit their declarations")
        brought = "demand_plan" in checked and "demand_levels" not in checked
        gone = written_by("demand") if brought else ()
        kept = {name: frame for name, frame in self.tables.items() if name not in gone}
        return replace(self, tables={**kept, **checked}, company=company or self.company)

    def _whole_demand(self, frame: pd.DataFrame, beside: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
        """A demand plan with every column, from one that holds at least product, market, month and consensus."""
        declared = TABLES["demand_plan"]
        if not {*SELLING, "month", "consensus"} <= set(frame) or set(declared.names) <= set(frame):
            return frame
        known = replace(self, tables={**self.tables, **beside})
        month = frame["month"] if pd.api.types.is_datetime64_any_dtype(frame["month"]) else frame["month"].astype(str)
        whole = frame.assign(month=pd.to_datetime(month).astype("datetime64[ns]"))
        if "family" not in whole:
            whole["family"] = known.families(whole["product"])
        if "price" not in whole:
            whole["price"] = known.net_prices(whole)
        forecasts = {"baseline", "statistical", "blended", "p10", "p90"}
        for column in declared:
            if column.required and column.name not in whole:
                whole[column.name] = whole["consensus"] if column.name in forecasts else 0.0
        return whole

    @cached_property
    def bound(self) -> frozenset[str]:
        """Options that earlier cycles adopted and that this plan contains: nobody adopts them once more."""
        rows = self["commitments"]
        return frozenset(rows.loc[rows["status"].isin(BINDING), "option"])

    @cached_property
    def open_scenarios(self) -> dict[str, Scenario]:
        """The scenarios that can still come about: not in the plan already, and their last month is not over."""
        return {
            code: one
            for code, one in self.scenarios.items()
            if code not in self.bound and not (one.until and one.until < self.cycle)
        }

    def __post_init__(self) -> None:
        speak(self.company.language)

    # a mapping of tables -------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Table `name`; without rows where nobody brought it. KeyError with the nearest names for an unknown one.

        What is said from here on is said in the language of this book's company.
        """
        speak(self.company.language)
        frame = self.tables.get(name)
        return declaration(name).empty() if frame is None else frame

    def __contains__(self, name: object) -> bool:
        return name in self.tables

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    # calendar and money --------------------------------------------------------------------------------------------

    @cached_property
    def months(self) -> pd.DatetimeIndex:
        """The planned months, the cycle's own first."""
        return pd.DatetimeIndex(self.company.months(self.cycle))

    @property
    def first(self) -> pd.Timestamp:
        """The first planned month."""
        return self.months[0]

    @property
    def year(self) -> pd.DatetimeIndex:
        """The next twelve months, or fewer where the horizon is shorter."""
        return self.months[:12]

    @property
    def span(self) -> str:
        """The months that totals of a year are of: `next 12 months`."""
        return say("next {count} months", len(self.year))

    def near(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of the next twelve months (column `month`)."""
        return frame[frame["month"].isin(self.year)]

    def year_ago(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of what happened a year before `year`; none where `frame` begins later or ends before: no year."""
        past, months = self.year - pd.DateOffset(years=1), frame["month"]
        return frame[months.isin(past) & (months.min() <= past[0]) & (months.max() >= past[-1])]

    @property
    def who(self) -> str:
        """Whose numbers these are, as figures say it in their first line."""
        return self.company.name

    @property
    def currency(self) -> str:
        """The company's currency."""
        return self.company.currency

    @cached_property
    def units(self) -> str:
        """The unit of measure of all products, or `units` where they have several."""
        uoms = self["products"]["uom"].unique()
        return uoms[0] if len(uoms) == 1 else "units"

    @cached_property
    def uom(self) -> dict[str, str]:
        """Product or material -> unit of measure."""
        things = (("materials", "material"), ("products", "product"))
        return {code: uom for table, key in things for code, uom in self[table][[key, "uom"]].to_numpy()}

    def unit(self, declared: str) -> str:
        """A declared unit as this company has it: its currency for money, its unit of measure for quantities."""
        known = {"currency": self.currency, "unit of measure": self.units, "units": self.units}
        return " per ".join(known.get(part, part) for part in declared.split(" per "))

    @staticmethod
    def lag(frame: pd.DataFrame) -> pd.Series:
        """Months from column `cycle` to column `month`: 0 for the cycle's own month."""
        months = [frame[name].dt.year * 12 + frame[name].dt.month for name in ("month", "cycle")]
        return months[0] - months[1]

    @cached_property
    def judged_lag(self) -> int:
        """The lag at which forecasts are judged: the company's, or the longest shorter one that past forecasts have."""
        past, wanted = self["past_forecasts"], self.company.consensus.lag
        past = past[(past["cycle"] < self.first) & (past["month"] < self.first)]
        return int(max((lag for lag in self.lag(past).unique() if lag <= wanted), default=wanted))

    # products, items, money ----------------------------------------------------------------------------------------

    @cached_property
    def family(self) -> dict[str, str]:
        """Product -> family."""
        return dict(zip(self["products"]["product"], self["products"]["family"], strict=True))

    def families(self, items: pd.Series) -> pd.Series:
        """The family of each product in `items`; NaN for a material, which belongs to none."""
        return items.map(self.family)

    @cached_property
    def standard_cost(self) -> pd.Series:
        """Standard cost of every product and material, currency per unit, by code."""
        things = (("products", "product"), ("materials", "material"))
        return pd.concat([self[name].set_index(key)["standard_cost"] for name, key in things])

    def at_cost(self, frame: pd.DataFrame, quantity: str = "quantity", item: str = "item") -> pd.Series:
        """The quantities of `frame` at standard cost, currency."""
        return frame[quantity] * frame[item].map(self.standard_cost)

    def net_prices(self, frame: pd.DataFrame) -> pd.Series:
        """Net price of each row's product and market, currency per unit: that of table prices, else the list price."""
        special = self["prices"].set_index(SELLING)["price"].reindex(pd.MultiIndex.from_frame(frame[SELLING]))
        listed = frame["product"].map(self["products"].set_index("product")["price"])
        return pd.Series(special.to_numpy(), index=frame.index).fillna(listed)

    @property
    def sold(self) -> pd.DataFrame:
        """Sales as they came, product, market, month, quantity; of corrected history where nobody shows the raw one."""
        if len(self["sales_history"]):
            return self["sales_history"]
        return self["clean_history"].drop(columns="quantity").rename(columns={"raw": "quantity"})

    def judged(self) -> pd.DataFrame:
        """Past forecasts of the consensus at the lag of judging whose month is over, with what was sold (`actual`)."""
        past, cell = self["past_forecasts"].query("stream == 'consensus'"), [*SELLING, "month"]
        past = past[(self.lag(past) == self.judged_lag) & (past["month"] < self.first)]
        actual = self.sold.groupby(cell)["quantity"].sum().rename("actual").reset_index()
        return past.merge(actual, on=cell, how="left").fillna({"actual": 0.0})

    def revenue(self, sold: pd.DataFrame) -> pd.Series:
        """Net sales of each row of table sales_history, currency: as it was brought, else quantity x net price."""
        return sold["revenue"].fillna(sold["quantity"] * self.net_prices(sold))

    def names(self, table: str) -> dict[str, str]:
        """Code -> what people call it, from a table with a column `name`."""
        frame, key = self[table], TABLES[table].key[0]
        return {code: name or code for code, name in zip(frame[key], frame["name"], strict=True)}

    def called(self, codes: pd.Series, *tables: str) -> pd.Series:
        """Codes as people call them; a code that no table knows stays as it is."""
        known = {code: name for table in tables for code, name in self.names(table).items()}
        return codes.map(known).fillna(codes)

    @cached_property
    def coded(self) -> dict[str, str]:
        """Code -> name of products, markets, sites, resources, materials, suppliers and families."""
        tables = ("products", "markets", "sites", "resources", "materials", "suppliers", "families")
        known = {code: name for table in tables for code, name in self.names(table).items() if len(code) > 2}
        # only what looks like a code: a word of a sentence that happens to be one stays a word
        return {code: name for code, name in known.items() if code != name and (code.isupper() or "-" in code)}

    def in_words(self, texts: pd.Series) -> pd.Series:
        """Sentences with names in the place of codes of products, markets, sites, resources, materials, suppliers."""
        if not self.coded:
            return texts
        codes = sorted(map(re.escape, self.coded), key=len, reverse=True)
        pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(codes)})(?![\w-])")
        return texts.map(lambda text: pattern.sub(lambda found: self.coded[found[0]], str(text)))

    # levels --------------------------------------------------------------------------------------------------------

    @cached_property
    def _known(self) -> dict[Hashable, Any]:
        return {}

    def once(self, what: Hashable, make: Callable[[], Derived]) -> Derived:
        """What `make` derives from this book, which never changes: derived when it is first asked for, then kept."""
        if what not in self._known:
            self._known[what] = make()
        derived: Derived = self._known[what]
        return derived

    @cached_property
    def traced(self) -> dict[str, pd.DataFrame]:
        """Table `source_rows` by the table whose rows it traces, each by the code of a row's key."""
        return {str(name): rows.set_index("code") for name, rows in self["source_rows"].groupby("table")}

    @cached_property
    def came_from(self) -> dict[str, list[tuple[str, int, str]]]:
        """Table -> place, lines read and sha256 of each of its sources."""
        groups = self["sources"].groupby("table", sort=False)[["place", "lines", "sha256"]]
        return {str(name): list(rows.itertuples(index=False, name=None)) for name, rows in groups}

    def with_levels(self, frame: pd.DataFrame) -> pd.DataFrame:
        """`frame` with a column for every level above those it has: family, region, quarter, fiscal_year, total."""
        return hierarchy.with_levels(frame, self, self.company)

    # asking --------------------------------------------------------------------------------------------------------

    def table(
        self, name: str, /, *columns: str, by: str | Sequence[str] = (), period: str = "", **where: Any
    ) -> pd.DataFrame:
        """Table `name`: the rows of `where`, added up `by` columns or levels and `period`, each column as it declares.

        `book.table("stock", by="family", period="quarter", site="PLANT-N")`. Levels: product, family, market, region;
        periods: month, quarter, fiscal_year, year, total. A flow sums, a stock takes the period's last month, a rate is
        computed again from its parts; columns that do not add up are left out, or refused where they are named, and
        quantities of several units of measure keep a row each (`uom`). Without `by` and `period` the rows come as they
        are. `where`: a value, a list, or months `2027-01..2027-06`. Units by column stand in `.attrs["units"]`. Raises
        SettingsError for an unknown name, with the nearest valid one, for no row, and for what does not add up.
        """
        return ask.table(self, name, columns, by=by, period=period, where=where)

    def plot(
        self, name: str, column: str, /, *, by: str = "", period: str = "month", look_for: str = "", **where: Any
    ) -> Figure:
        """`table` drawn: title, unit and months come from the declarations; `by` makes a line a value.

        `plan.plot("demand_plan", "consensus", by="market", family="BAGS")`. Raises what `table` raises, and
        SettingsError for numbers in several units, which one figure does not show.
        """
        return ask.plot(self, name, column, by=by, period=period, where=where, look_for=look_for)

    def explain(self, name: str, column: str, /, **where: Any) -> Explanation:
        """Why a number is what it is: its formula, the parts with their values, down to the company's files.

        `plan.explain("demand_plan", "consensus", product="TENT-2P", month="2026-12")`. Several rows count as added up,
        as the column declares. Raises SettingsError for what is no number, for no row, and for rows that do not add up.
        """
        return explain.explain(self, name, column, where)

    # stages --------------------------------------------------------------------------------------------------------

    def demand(self, *, engine: Engine | str | None = None) -> Plan:
        """What can we sell? A plan with every table of stage demand."""
        return self._planned("demand", engine)

    def supply(self, *, engine: Engine | str | None = None) -> Plan:
        """What can we make, buy, ship and hold? A plan with every table of stage supply, from table demand_plan.

        Without rows a month has no demand. SettingsError where there is no demand plan, or one of other months.
        """
        if "demand_plan" not in self:
            raise SettingsError("There is no demand plan. Ask book.demand() first, or bring table demand_plan.")
        outside = self["demand_plan"].loc[~self["demand_plan"]["month"].isin(self.months), "month"]
        if len(outside):
            raise SettingsError(
                f"Table demand_plan has {len(outside)} rows outside the planned months, {self.first:%b %Y} to "
                f"{self.months[-1]:%b %Y}, the first in {outside.min():%b %Y}: they would be ignored. Leave them out, "
                "or open the cycle that they belong to."
            )
        return self._planned("supply", engine)

    def plan(self, *, engine: Engine | str | None = None) -> Plan:
        """Demand, then supply. `engine`: where the work runs (this machine, or the address of a Dask scheduler)."""
        return self.demand(engine=engine).supply(engine=engine)

    def _planned(self, stage: str, engine: Engine | str | None) -> Plan:
        # every stage is a room of its name whose door is `plan(book, engine=...)`: the book knows no more of it
        frames = import_module(f"sopkit.{stage}").plan(self, engine=engine)
        kind, given = self.planned_as, {one.name: getattr(self, one.name) for one in fields(Book)}
        return (self if isinstance(self, kind) else kind(**given)).with_stage(stage, frames)

    def with_stage(self, stage: str, frames: Mapping[str, pd.DataFrame], *, declared: bool = False) -> Self:
        """This book with what `stage` made of it, `frames`; what it or a later stage had made before is gone.

        So is the manifest: the tables are not a cycle's any more. `declared`: they are checked already.
        """
        old = {name for one in STAGES if one.number >= BY_NAME[stage].number for name in written_by(one.name)}
        kept = {name: frame for name, frame in self.tables.items() if name not in old}
        whole = replace(self, tables=kept | dict(frames if declared else {}), manifest={})
        return whole if declared else whole.with_tables(frames)

    # what it is ----------------------------------------------------------------------------------------------------

    _next = "book.plan(), book.demand(), book.supply(); book[name] for a table"

    def _summary(self) -> list[tuple[str, str]]:
        rows = sum(len(frame) for frame in self.values())
        names = sorted(name for name, frame in self.items() if len(frame))
        return [
            ("company", f"{self.company.name}, money in {self.currency}"),
            ("cycle", f"{self.cycle}, {len(self.months)} months from {self.first:%b %Y} to {self.months[-1]:%b %Y}"),
            ("tables", f"{len(names)} with {rows:,} rows: {', '.join(names)}"),
            ("scenarios", ", ".join(self.scenarios) or "none"),
            ("next", self._next),
        ]

    def __repr__(self) -> str:
        """What it is, what it holds, what to call next."""
        lines = [f"  {label:<10} {text}" for label, text in self._summary()]
        return "\n".join([f"<{type(self).__name__}>", *lines])

    def _repr_html_(self) -> str:
        from sopkit import charts

        rows = pd.DataFrame(self._summary(), columns=["what", "value"])
        return charts.table(rows, {"what": "", "value": type(self).__name__}, title="")._repr_html_()
